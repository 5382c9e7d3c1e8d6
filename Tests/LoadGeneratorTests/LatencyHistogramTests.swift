import Testing

@testable import LoadGenerator

@Suite struct LatencyHistogramTests {
  @Test(
    "a single value comes back, right to 1.6 %",
    arguments: [
      0, 1, 63, 64, 127, 128, 129, 255, 256, 999, 50_000, 1_234_567, 1 << 30, 1 << 39,
    ] as [UInt64])
  func single(value: UInt64) throws {
    var histogram = LatencyHistogram()
    histogram.record(value)
    #expect(histogram.quantile(0.5) == value)
    // With a larger one beside it, the bucket's end is told.
    histogram.record(1 << 39)
    let median = try #require(histogram.quantile(0.5))
    #expect(median >= value && Double(median) <= Double(value) * (1 + 1 / 64.0))
  }

  @Test("quantiles of 1 to 100,000 are where they belong")
  func quantiles() throws {
    var histogram = LatencyHistogram()
    for value in 1...100_000 { histogram.record(UInt64(value)) }
    for share in [0.001, 0.5, 0.9, 0.99, 0.999, 1] {
      let exact = share * 100_000
      let found = Double(try #require(histogram.quantile(share)))
      #expect(found >= exact && found <= exact * (1 + 1 / 64.0))
    }
    #expect(histogram.largest == 100_000 && histogram.count == 100_000)
  }

  @Test("what never came is longer than anything")
  func endless() {
    var histogram = LatencyHistogram()
    #expect(histogram.quantile(0.5) == nil)
    for _ in 0..<98 { histogram.record(10) }
    histogram.recordEndless(2)
    #expect(histogram.quantile(0.98) == 10)
    #expect(histogram.quantile(0.99) == nil)
    #expect(histogram.count == 100)
  }

  @Test("values beyond the range count as the largest bucket")
  func beyond() {
    var histogram = LatencyHistogram()
    histogram.record(.max)
    histogram.record(1)
    #expect(histogram.quantile(0.5) == 1)
    #expect(histogram.quantile(1).map { $0 >= 1 << 39 } == true)
  }

  @Test("histograms add up, and start anew")
  func adding() {
    var (a, b) = (LatencyHistogram(), LatencyHistogram())
    a.record(5)
    b.record(7)
    b.recordEndless()
    a.add(b)
    #expect(a.count == 3 && a.endless == 1 && a.largest == 7 && a.quantile(0.6) == 7)
    a.removeAll()
    #expect(a.count == 0 && a.quantile(0.5) == nil)
  }
}
