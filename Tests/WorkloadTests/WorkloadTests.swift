import Testing
import Workload

@Suite struct RandomSourceTests {
  @Test("the bits are those of the authors' xoshiro256**, seeded by SplitMix64")
  func reference() {
    var random = RandomSource(seed: 0)
    let first = (0..<3).map { _ in random.next() }
    #expect(
      first == [0x99ec_5f36_cb75_f2b4, 0xbf6e_1f78_4956_452a, 0x1a5f_849d_4933_e6e0])
  }

  @Test("numbers below a bound are even")
  func below() {
    var random = RandomSource(seed: 3)
    var counts = [Int](repeating: 0, count: 7)
    for _ in 0..<70_000 { counts[random.below(7)] += 1 }
    // Each is binomial with a deviation of 93.
    for count in counts { #expect(abs(count - 10_000) < 450) }
    #expect(random.below(1) == 0)
  }
}

@Suite struct RankPermutationTests {
  @Test(
    "every rank has a number of its own, and back",
    arguments: [1, 2, 3, 4, 5, 15, 16, 17, 255, 1_000, 65_536, 65_537])
  func bijection(count: Int) {
    let permutation = RankPermutation(count: count, seed: 11)
    var seen = [Bool](repeating: false, count: count)
    for rank in 0..<count {
      let number = permutation.number(ofRank: rank)
      #expect(!seen[number])
      seen[number] = true
      #expect(permutation.rank(ofNumber: number) == rank)
    }
  }

  @Test("it is a bijection among a hundred million as well")
  func large() {
    let permutation = RankPermutation(count: 100_000_000, seed: 1)
    var numbers = Set<Int>()
    for rank in 0..<10_000 {
      let number = permutation.number(ofRank: rank)
      #expect((0..<100_000_000).contains(number) && permutation.rank(ofNumber: number) == rank)
      numbers.insert(number)
    }
    #expect(numbers.count == 10_000)
  }

  @Test("hot ranks lie scattered, differently for each seed")
  func scattered() {
    let count = 1_000_000
    func hottest(_ seed: UInt64) -> [Int] {
      let permutation = RankPermutation(count: count, seed: seed)
      return (0..<1_000).map { permutation.number(ofRank: $0) }
    }
    let numbers = hottest(5)
    #expect(numbers != hottest(6))
    // In each tenth of all keys there are about 100 of the 1,000; the deviation is 9.5.
    var tenths = [Int](repeating: 0, count: 10)
    for number in numbers { tenths[number * 10 / count] += 1 }
    for tenth in tenths { #expect(abs(tenth - 100) < 48) }
  }
}

@Suite struct KeySpaceTests {
  @Test("keys are a prefix and a number of fixed width, and lead back to their rank")
  func keys() {
    let space = KeySpace(count: 1_000, seed: 1)
    var keys = Set<[UInt8]>()
    for rank in 0..<1_000 {
      let key = space.key(ofRank: rank)
      #expect(key.count == 9 && key.first == UInt8(ascii: "k"))
      #expect(Int(String(decoding: key.dropFirst(), as: UTF8.self)).map { $0 < 1_000 } == true)
      #expect(space.rank(ofKey: key) == rank)
      keys.insert(key)
    }
    #expect(keys.count == 1_000)
  }

  @Test(
    "what is not a key of the space has no rank",
    arguments: ["k0000000", "k000000000", "x00000001", "k0000000x", "k00001000", ""])
  func strangers(text: String) {
    #expect(KeySpace(count: 1_000, seed: 1).rank(ofKey: Array(text.utf8)) == nil)
  }

  @Test("more keys than digits make the keys longer")
  func wide() {
    #expect(KeySpace(count: 1_001, prefix: "ab", digits: 2, seed: 1).keyLength == 6)
  }

  @Test(
    "keys are as long as was asked for, also where numbers have fewer digits", arguments: [9, 250])
  func length(of length: Int) {
    let space = KeySpace(count: 1_000, keyLength: length, seed: 1)
    let key = space.key(ofRank: 5)
    #expect(key.count == length && space.rank(ofKey: key) == 5)
    // Too large for any integer.
    let large = [UInt8(ascii: "k")] + [UInt8](repeating: UInt8(ascii: "9"), count: length - 1)
    #expect(space.rank(ofKey: large) == nil)
  }

  @Test("by age, an insertion pushes the oldest key out and the numbers around their end")
  func latest() {
    var space = KeySpace(count: 10, digits: 1, order: .latest, seed: 1)
    #expect((0..<10).map { space.number(ofRank: $0) } == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
    #expect(space.insert() == 0 && space.insert() == 1)
    #expect((0..<10).map { space.number(ofRank: $0) } == [1, 0, 9, 8, 7, 6, 5, 4, 3, 2])
    for rank in 0..<10 { #expect(space.rank(ofKey: space.key(ofRank: rank)) == rank) }
    var wide = KeySpace(count: 10, order: .latest, seed: 1)
    #expect(wide.insert() == 10)
    #expect(wide.rank(ofKey: wide.key(ofNumber: 0)) == nil)
  }
}

@Suite struct OperationStreamTests {
  private func operations(
    _ mix: OperationMix, _ lengths: ValueLengths, order: KeySpace.Order = .scattered,
    seed: UInt64 = 9
  ) -> [WorkloadOperation] {
    var stream = OperationStream(
      popularity: ZipfDistribution(count: 100, alpha: 1),
      keys: KeySpace(count: 100, order: order, seed: 2), mix: mix, valueLengths: lengths,
      seed: seed)
    return (0..<20_000).map { _ in stream.next() }
  }

  @Test("kinds come in their shares")
  func mix() {
    let mix = OperationMix(readShare: 0.7, deleteShare: 0.1)
    let all = operations(mix, .fixed(10))
    func count(_ kind: OperationKind) -> Int { all.count { $0.kind == kind } }
    // Deviations of 65, 57 and 42.
    #expect(abs(count(.read) - 14_000) < 300)
    #expect(abs(count(.write) - 4_000) < 260)
    #expect(abs(count(.delete) - 2_000) < 200)
    #expect(all.allSatisfy { $0.valueLength == ($0.kind == .write ? 10 : 0) })
  }

  @Test("the extremes of a mix hold without exception")
  func extremes() {
    #expect(operations(.readsOnly, .fixed(1)).allSatisfy { $0.kind == .read })
    #expect(operations(OperationMix(readShare: 0), .fixed(1)).allSatisfy { $0.kind == .write })
    #expect(
      operations(OperationMix(readShare: 0, deleteShare: 1), .fixed(1)).allSatisfy {
        $0.kind == .delete
      })
  }

  @Test("lengths of a range take both ends and nothing else")
  func lengths() {
    let lengths = operations(OperationMix(readShare: 0), .uniform(3...6)).map(\.valueLength)
    #expect(Set(lengths) == [3, 4, 5, 6])
    #expect(ValueLengths.uniform(3...6).longest == 6)
  }

  @Test("a read-modify-write is a read and then a write of the same key")
  func readModifyWrite() {
    let all = operations(OperationMix(readShare: 0.5, readModifyWriteShare: 0.5), .fixed(1))
    var pairs = 0
    for (index, operation) in all.enumerated() where operation.kind == .write {
      #expect(all[index - 1].kind == .read && all[index - 1].key == operation.key)
      pairs += 1
    }
    // A third of all operations; the deviation of the pairs is about 47.
    #expect(abs(pairs - 20_000 / 3) < 210)
  }

  @Test("inserted keys are new, and reads ask for the latest ones")
  func latest() {
    let all = operations(
      OperationMix(readShare: 0.9, insertShare: 0.1), .fixed(1), order: .latest)
    var newest = 99
    var readsOfNewest = 0
    for operation in all {
      if operation.kind == .write {
        newest += 1
        #expect(operation.key == newest)
      } else {
        #expect((newest - 99...newest).contains(operation.key))
        if operation.key == newest { readsOfNewest += 1 }
      }
    }
    // 20,000 · 0.9 / H(100); the deviation is 56.
    #expect(abs(readsOfNewest - 3_470) < 260)
  }

  @Test("a seed gives the same stream each time, another seed another")
  func determinism() {
    let mix = OperationMix(readShare: 0.5)
    #expect(operations(mix, .fixed(1), seed: 1) == operations(mix, .fixed(1), seed: 1))
    #expect(operations(mix, .fixed(1), seed: 1) != operations(mix, .fixed(1), seed: 2))
  }
}

@Suite struct PoissonArrivalsTests {
  @Test("arrivals ascend, at the rate, as far apart as an exponential distribution says")
  func rate() {
    var arrivals = PoissonArrivals(rate: 1_000, seed: 4)
    let times = (0..<50_000).map { _ in arrivals.next() }
    #expect(zip(times, times.dropFirst()).allSatisfy { $0 <= $1 })
    // 50 s, with a deviation of 0.22 s.
    #expect(abs(Double(times[49_999]) / 1e9 - 50) < 1.1)
    // exp(−1) of the gaps are longer than the mean; the deviation is 108.
    let long = zip(times, times.dropFirst()).count { $1 - $0 > 1_000_000 }
    #expect(abs(Double(long) - 49_999 * 0.367_879) < 500)
  }
}
