import Testing
import Workload

/// The ranking in the plainest way: all key numbers in the order of their ranks.
private func numbers(_ ranking: Ranking) -> [Int] {
  (0..<ranking.count).map { ranking.number(ofRank: $0) }
}

private func expectBijection(_ ranking: Ranking) {
  let all = numbers(ranking)
  #expect(all.sorted() == Array(0..<ranking.count))
  for (rank, number) in all.enumerated() { #expect(ranking.rank(ofNumber: number) == rank) }
}

@Suite struct RankingTests {
  @Test("before any change it is the permutation")
  func unchanged() {
    let permutation = RankPermutation(count: 1_000, seed: 3)
    #expect(
      numbers(Ranking(count: 1_000, seed: 3)) == (0..<1_000).map { permutation.number(ofRank: $0) })
  }

  @Test("hot-in moves the coldest keys to the top and all others down", arguments: [1, 10, 99])
  func hotIn(keys: Int) {
    var ranking = Ranking(count: 100, seed: 3)
    let before = numbers(ranking)
    ranking.make(.hotIn(keys))
    #expect(numbers(ranking) == Array(before.suffix(keys) + before.dropLast(keys)))
    expectBijection(ranking)
  }

  @Test("hot-out moves the hottest keys to the bottom and all others up", arguments: [1, 10, 99])
  func hotOut(keys: Int) {
    var ranking = Ranking(count: 100, seed: 3)
    let before = numbers(ranking)
    ranking.make(.hotOut(keys))
    #expect(numbers(ranking) == Array(before[keys...] + before[..<keys]))
    expectBijection(ranking)
  }

  @Test("a random change swaps as many hot keys with cold ones and leaves all others")
  func random() {
    var ranking = Ranking(count: 1_000, seed: 3)
    for _ in 0..<50 {
      let before = numbers(ranking)
      ranking.make(.random(keys: 20, top: 100))
      let after = numbers(ranking)
      let changed = (0..<1_000).filter { before[$0] != after[$0] }
      #expect(changed.count == 40 && changed.count { $0 < 100 } == 20)
      let left = Set(before[..<100]).subtracting(after[..<100])
      #expect(left.count == 20)
      #expect(Set(changed.map { before[$0] }) == Set(changed.map { after[$0] }))
    }
    expectBijection(ranking)
  }

  @Test("a random change of everything possible takes every hot key")
  func randomOfAll() {
    var ranking = Ranking(count: 20, seed: 3)
    let before = numbers(ranking)
    ranking.make(.random(keys: 10, top: 10))
    #expect(Set(numbers(ranking)[..<10]) == Set(before[10...]))
  }

  @Test("hot-in and hot-out undo each other, also after swaps")
  func alternating() {
    var ranking = Ranking(count: 500, seed: 3)
    ranking.make(.random(keys: 5, top: 50))
    let before = numbers(ranking)
    for _ in 0..<20 {
      ranking.make(.hotIn(100))
      #expect(numbers(ranking)[..<100] == before[400...])
      ranking.make(.hotOut(100))
      #expect(numbers(ranking) == before)
    }
  }

  @Test("any mixture of changes agrees with the same changes of a plain list")
  func mixture() {
    var (ranking, choice) = (Ranking(count: 257, seed: 8), RandomSource(seed: 1))
    for _ in 0..<200 {
      let before = numbers(ranking)
      let keys = 1 + choice.below(100)
      switch choice.below(3) {
      case 0:
        ranking.make(.hotIn(keys))
        #expect(numbers(ranking) == Array(before.suffix(keys) + before.dropLast(keys)))
      case 1:
        ranking.make(.hotOut(keys))
        #expect(numbers(ranking) == Array(before[keys...] + before[..<keys]))
      default:
        ranking.make(.random(keys: keys, top: 120))
        #expect(Set(numbers(ranking)[..<120]).subtracting(before[..<120]).count == keys)
      }
    }
    expectBijection(ranking)
  }

  @Test("among a hundred million keys memory grows with what was swapped only")
  func large() {
    let count = 100_000_000
    var ranking = Ranking(count: count, seed: 1)
    let coldest = ranking.number(ofRank: count - 1)
    for _ in 0..<1_000 { ranking.make(.hotIn(100)) }
    #expect(ranking.swapped == 0)
    #expect(ranking.number(ofRank: 100_000 - 1) == coldest)
    for _ in 0..<10 { ranking.make(.random(keys: 100, top: 10_000)) }
    #expect((1_000...2_000).contains(ranking.swapped))
    for rank in [0, 1, 5_000, 99_999, 100_000, 50_000_000, count - 1] {
      #expect(ranking.rank(ofNumber: ranking.number(ofRank: rank)) == rank)
    }
  }

  @Test("the seed decides which keys change")
  func determinism() {
    func changed(_ seed: UInt64) -> [Int] {
      var ranking = Ranking(count: 1_000, seed: seed)
      ranking.make(.random(keys: 10, top: 100))
      ranking.make(.hotIn(7))
      return numbers(ranking)
    }
    #expect(changed(1) == changed(1))
    #expect(changed(1) != changed(2))
  }

  @Test("changes that need more keys than there are, are not possible")
  func possible() {
    for change in [PopularityChange.hotIn(0), .hotIn(10), .hotOut(10), .hotOut(-1)] {
      #expect(!change.isPossible(among: 10))
    }
    #expect(PopularityChange.hotIn(9).isPossible(among: 10))
    #expect(PopularityChange.random(keys: 5, top: 5).isPossible(among: 10))
    for (keys, top) in [(0, 5), (6, 5), (5, 6), (1, 11), (1, 10)] {
      #expect(!PopularityChange.random(keys: keys, top: top).isPossible(among: 10))
    }
  }
}

@Suite struct PopularityScheduleTests {
  private func times(_ schedule: PopularitySchedule, upTo end: UInt64) -> [String] {
    var iterator = schedule.makeIterator()
    var told: [String] = []
    while let time = iterator.nextTime, let change = iterator.next(upTo: end) {
      told.append("\(time): \(change)")
    }
    return told
  }

  @Test("a cycle of changes comes at its interval, over and over")
  func cycle() {
    let schedule = PopularitySchedule([.hotIn(3), .hotOut(3)], every: 10)
    #expect(
      times(schedule, upTo: 40) == [
        "10: hot-in 3", "20: hot-out 3", "30: hot-in 3", "40: hot-out 3",
      ])
    #expect(times(schedule, upTo: 9) == [])
  }

  @Test("a change may come once, and no time is too late")
  func once() {
    #expect(times(.once(.random(keys: 1, top: 2), at: 5), upTo: .max) == ["5: random 1 of 2"])
    let last = PopularitySchedule([.hotIn(1)], every: .max, first: 1)
    #expect(times(last, upTo: .max) == ["1: hot-in 1"])
  }
}
