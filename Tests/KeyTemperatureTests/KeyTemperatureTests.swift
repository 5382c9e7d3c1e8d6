import Glibc
import KeyTemperature
import Testing

/// splitmix64: tests draw the same numbers every time.
struct Random: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var x = state
    x = (x ^ (x >> 30)) &* 0xbf58_476d_1ce4_e5b9
    x = (x ^ (x >> 27)) &* 0x94d0_49bb_1331_11eb
    return x ^ (x >> 31)
  }
}

@Suite struct KeyTemperatureTests {
  @Test func aYoungCounterAlreadyShowsTheRate() {
    var counter = DecayingCounter(timeConstant: 2)
    for _ in 0..<10 {
      counter.advance(by: 0.01)
      counter.add(5)
    }
    #expect(counter.rate > 450 && counter.rate < 550)
    for _ in 0..<1000 {
      counter.advance(by: 0.01)
      counter.add(5)
    }
    #expect(counter.rate > 490 && counter.rate < 510)
    counter.advance(by: 20)
    #expect(counter.rate < 1)
  }

  @Test func theMostAskedForKeysAreFoundInBoundedMemoryAmongAMillion() {
    var keys = HotKeys(capacity: 64, slowTime: 2, fastTime: 0.1)
    var random = Random(state: 1)
    for step in 0..<200_000 {
      // Every third request goes to one of four keys, the others to a million.
      let hash =
        step % 3 == 0
        ? UInt64.random(in: 1...4, using: &random)
        : UInt64.random(in: 10...1_000_010, using: &random)
      keys.add(hash, key: [], weight: 1, isRead: hash != 2)
      if step % 100 == 0 { keys.advance(by: 0.001) }
    }
    #expect(keys.count == 64)
    let hottest = keys.above(slow: 2000, fast: .infinity)
    #expect(hottest.map(\.keyHash).sorted() == [1, 2, 3, 4])
    #expect(keys.estimate(of: 1)?.readShare ?? 0 > 0.99)
    #expect(keys.estimate(of: 2)?.readShare == 0)
  }

  @Test func anEstimateNeverExceedsTheTrueCount() {
    var keys = HotKeys(capacity: 32, slowTime: 1e9, fastTime: 1e9)
    var random = Random(state: 2)
    var truth: [UInt64: Double] = [:]
    for _ in 0..<20_000 {
      let hash = UInt64.random(in: 1...UInt64.random(in: 1...100, using: &random), using: &random)
      keys.add(hash, key: [], weight: 3, isRead: true)
      truth[hash, default: 0] += 3
    }
    let all = keys.above(slow: 0, fast: 0)
    #expect(all.count == 32)
    for estimate in all {
      #expect(estimate.slow <= truth[estimate.keyHash, default: 0] + 1e-6)
    }
    #expect(all.contains { $0.keyHash == 1 })
  }

  @Test func countsDecayAndAKeyThatGrowsColdIsReplaced() {
    var keys = HotKeys(capacity: 2, slowTime: 1, fastTime: 0.1)
    for _ in 0..<100 { keys.add(1, key: [1], weight: 1, isRead: true) }
    keys.advance(by: 1000)
    #expect(keys.estimate(of: 1)?.slow ?? 1 < 1e-9)
    for _ in 0..<10 { keys.add(2, key: [2], weight: 1, isRead: true) }
    for _ in 0..<10 { keys.add(3, key: [3], weight: 1, isRead: true) }
    #expect(keys.above(slow: 5, fast: 5).map(\.keyHash) == [2, 3])
    #expect(keys.estimate(of: 1) == nil)
  }

  @Test func forgettingKeysKeepsTheOthers() {
    var keys = HotKeys(capacity: 100, slowTime: 1, fastTime: 1)
    for hash in UInt64(1)...100 { keys.add(hash, key: [], weight: Double(hash), isRead: true) }
    for hash in UInt64(1)...100 where hash % 3 != 0 { keys.remove(hash) }
    #expect(keys.count == 33)
    let order = keys.above(slow: 0, fast: 0).map(\.keyHash)
    #expect(order == stride(from: UInt64(99), through: 3, by: -3).map { $0 })
    for hash in UInt64(1000)...1066 { keys.add(hash, key: [], weight: 200, isRead: true) }
    keys.add(2000, key: [], weight: 1, isRead: true)
    #expect(keys.count == 100 && keys.estimate(of: 3) == nil && keys.estimate(of: 6) != nil)
  }
}

@Suite struct DistinctCountTests {
  @Test(arguments: [0, 1, 100, 10_000, 1_000_000])
  func theEstimateIsWithinAFewPerCent(_ count: Int) {
    var distinct = DistinctCount()
    var random = Random(state: 3)
    for _ in 0..<count {
      let hash = random.next()
      distinct.add(hash)
      distinct.add(hash)
    }
    #expect(abs(distinct.estimate - Double(count)) <= 0.03 * Double(count))
  }
}

@Suite struct ZipfFitTests {
  /// Counts of the hottest keys of a million requests.
  private func counts(alpha: Double, keys: Int) -> [Double] {
    let weights = (1...keys).map { pow(Double($0), -alpha) }
    let sum = weights.reduce(0, +)
    return weights.map { ($0 / sum * 1e6).rounded() }
  }

  @Test(arguments: [0.0, 0.5, 0.9, 0.99, 1.2, 1.5, 2.0])
  func theExponentIsFound(_ alpha: Double) throws {
    let fit = try #require(ZipfFit(counts: counts(alpha: alpha, keys: 5_000)))
    #expect(abs(fit.alpha - alpha) < 0.02)
    #expect(fit.distance < 0.01)
    #expect(fit.keys <= 1_000)
  }

  @Test func otherPopularitiesAreSeenToBeOthers() throws {
    // One key has half of all requests, the others are alike.
    let fit = try #require(ZipfFit(counts: [50_000] + Array(repeating: 500, count: 100)))
    #expect(fit.distance > ZipfFit.misfit)
  }

  @Test func fewRequestsSayNothing() {
    #expect(ZipfFit(counts: Array(repeating: 49, count: 1_000)) == nil)
    #expect(ZipfFit(counts: Array(repeating: 1_000, count: 9)) == nil)
  }
}
