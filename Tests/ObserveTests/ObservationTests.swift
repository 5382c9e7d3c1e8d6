import Testing

@testable import Observe

@Suite struct ObservationTests {
  private func zipf(_ count: Int, alpha: Double, readShare: Double) -> [ReplicationGain.Key] {
    let weights = (1...count).map { power(Double($0), -alpha) }
    let sum = weights.reduce(0, +)
    return weights.map { ReplicationGain.Key(share: $0 / sum, readShare: readShare) }
  }

  /// base^exponent, by halving: the tests need no Foundation.
  private func power(_ base: Double, _ exponent: Double) -> Double {
    var (result, factor, rest) = (1.0, base, exponent < 0 ? -exponent : exponent)
    for _ in 0..<50 {
      if rest >= 1 {
        result *= factor
        rest -= 1
      }
      factor = factor.squareRoot()
      rest *= 2
    }
    return exponent < 0 ? 1 / result : result
  }

  @Test func replicatingTheHottestKeysUsesTheWholeRack() {
    let gain = ReplicationGain(keys: zipf(100_000, alpha: 1.2, readShare: 1), servers: 32)
    #expect(gain.plainUsableCapacity > 0.1 && gain.plainUsableCapacity < 0.2)
    #expect(gain.steps.last.map { $0.usableCapacity > 0.95 && $0.factor > 5 } == true)
    let factors = gain.steps.map(\.factor)
    #expect(zip(factors, factors.dropFirst()).allSatisfy { $0 <= $1 + 1e-9 })
    // Writes make copies, which cost.
    let mixed = ReplicationGain(keys: zipf(100_000, alpha: 1.2, readShare: 0.9), servers: 32)
    #expect((mixed.steps.last?.usableCapacity ?? 1) < (gain.steps.last?.usableCapacity ?? 0))
  }

  @Test func withoutHotKeysThereIsNothingToGain() {
    let gain = ReplicationGain(keys: zipf(100_000, alpha: 0, readShare: 1), servers: 8)
    #expect(gain.steps.isEmpty && gain.keysWorthwhile == 0)
    #expect(gain.plainUsableCapacity == 1)
  }

  @Test func aServersAddressIsWrittenAsUsual() {
    var flow = FlowKey()
    flow.destinationPort = 6_379
    (flow.destinationHigh, flow.destinationLow) = (0, 0xffff_0a00_0002)
    #expect(AddressText.of(flow) == "10.0.0.2:6379")
    (flow.destinationHigh, flow.destinationLow) = (0xfe80_0000_0000_0000, 1)
    #expect(AddressText.of(flow) == "[fe80::1]:6379")
    (flow.destinationHigh, flow.destinationLow) = (0, 1)
    #expect(AddressText.of(flow) == "[::1]:6379")
    (flow.destinationHigh, flow.destinationLow) = (0x2001_0db8_0001_0002, 0x0003_0004_0005_0006)
    #expect(AddressText.of(flow) == "[2001:db8:1:2:3:4:5:6]:6379")
  }

  @Test func keysThatAreNotTextAreShownAsBytes() {
    #expect(Observation.printable([97, 0, 92, 255, 32]) == "a\\x00\\x5c\\xff\\x20")
  }

  @Test func theWholePicture() {
    let observer = TrafficObserver(link: .ethernet)
    var sequence: UInt32 = 1
    let packets = Packets()
    for index in 0..<3_000 {
      let text =
        index % 4 == 3
        ? "set a 0 0 1\r\nx\r\n" : "get \(index % 4 == 0 ? "a" : "key\(index % 7)")\r\n"
      observer.take(
        packets.segment(sequence, text), time: 1_000_000_000 + UInt64(index) * 1_000_000)
      sequence += UInt32(text.utf8.count)
    }
    let lines = ObservationText.lines(observer.observation(servers: 8), keys: 3)
    #expect(
      lines == [
        "packets   3,000 in 3.0 s",
        "memcached 3,000 requests, 75% reads",
        "keys      about 8; requests for the top 1: 50%",
        "skew      too few requests for each of the hottest keys to say",
        "",
        "KEY   PROTOCOL   REQUESTS   SHARE  NOW/S  MEAN/S  READS",
        "a     memcached      1500  50.00%    500     500    50%",
        "key1  memcached       215   7.17%     72      72   100%",
        "key2  memcached       215   7.17%     72      72   100%",
        "",
        "With 8 servers (computed), by the number of keys that are replicated:",
        "KEYS  REQUESTS  USABLE CAPACITY  TIMES PLAIN HASHING",
        "none         -              22%                 1.00",
        "   1       50%              72%                 3.28",
        "   4       71%              72%                 3.29",
        "   8      100%             100%                 4.57",
      ])
  }
}
