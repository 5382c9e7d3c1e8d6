/// A change of which keys are popular: the three kinds with which the NetCache (SOSP 2017) and
/// Pegasus (OSDI 2020) papers measure how a rack follows its load.
public enum PopularityChange: Sendable, Hashable {
  /// So many of the coldest keys move to the top, in their order; all others go down by as many.
  /// Needs fewer than all keys.
  case hotIn(Int)
  /// So many of the hottest keys move to the bottom; all others go up. Undoes a `hotIn` of as many.
  case hotOut(Int)
  /// `keys` keys among the `top` hottest, chosen at random, change places with as many others from
  /// below them. Needs that many in both groups.
  case random(keys: Int, top: Int)

  /// It can be made in a ranking of `count` keys.
  public func isPossible(among count: Int) -> Bool {
    switch self {
    case .hotIn(let keys), .hotOut(let keys): keys > 0 && keys < count
    case .random(let keys, let top):
      keys > 0 && keys <= top && top <= count && keys <= count - top
    }
  }
}

extension PopularityChange: CustomStringConvertible {
  /// As in "hot-in 100".
  public var description: String {
    switch self {
    case .hotIn(let keys): "hot-in \(keys)"
    case .hotOut(let keys): "hot-out \(keys)"
    case .random(let keys, let top): "random \(keys) of \(top)"
    }
  }
}

/// Which key has which popularity, and how that changes: a bijection of ranks and key numbers, both
/// 0 ..< count.
///
/// At first it is a `RankPermutation`. Hot-in and hot-out turn the whole ranking by some places,
/// which one number tells; random changes are swaps, which a sparse overlay keeps. So memory grows
/// with the keys that were swapped, whatever the number of keys.
public struct Ranking: Sendable {
  public let count: Int
  private let permutation: RankPermutation
  /// The rank r has the place r + turn, around the end.
  private var turn = 0
  /// What the permutation is given in the stead of a place, where swaps have made it another.
  private var standIns: [Int: Int] = [:]
  /// The reverse of it.
  private var places: [Int: Int] = [:]
  private var random: RandomSource

  /// Places that are not their own: what memory grows with.
  public var swapped: Int { standIns.count }

  /// `count`: at least 1. The seed says which keys are popular, and which ones random changes take.
  public init(count: Int, seed: UInt64) {
    self.count = count
    permutation = RankPermutation(count: count, seed: seed)
    random = RandomSource(seed: ~seed)
  }

  /// The key number of a rank.
  public func number(ofRank rank: Int) -> Int {
    precondition((0..<count).contains(rank))
    let place = place(ofRank: rank)
    return permutation.number(ofRank: standIns.isEmpty ? place : standIns[place] ?? place)
  }

  /// The rank of a key number.
  public func rank(ofNumber number: Int) -> Int {
    let standIn = permutation.rank(ofNumber: number)
    let place = places.isEmpty ? standIn : places[standIn] ?? standIn
    return place >= turn ? place - turn : place - turn + count
  }

  /// The precondition is that the change is possible among `count` keys. Takes time in proportion to
  /// the keys that a random change swaps; the others take none to speak of.
  public mutating func make(_ change: PopularityChange) {
    precondition(change.isPossible(among: count), "\(change) among \(count) keys")
    switch change {
    case .hotIn(let keys): turn = place(ofRank: count - keys)
    case .hotOut(let keys): turn = place(ofRank: keys)
    case .random(let keys, let top):
      let hot = distinct(keys, below: top)
      let cold = distinct(keys, below: count - top)
      for (hot, cold) in zip(hot, cold) { swap(hot, top + cold) }
    }
  }

  private func place(ofRank rank: Int) -> Int {
    let place = rank + turn
    return place < count ? place : place - count
  }

  private mutating func swap(_ one: Int, _ other: Int) {
    let (one, other) = (place(ofRank: one), place(ofRank: other))
    let (standIn, otherStandIn) = (standIns[one] ?? one, standIns[other] ?? other)
    put(otherStandIn, at: one)
    put(standIn, at: other)
  }

  private mutating func put(_ standIn: Int, at place: Int) {
    // What is back where it belongs takes no memory.
    standIns[place] = standIn == place ? nil : standIn
    places[standIn] = standIn == place ? nil : place
  }

  /// `keys` different numbers below `bound`, all sets as likely (Floyd; Bentley: Programming pearls,
  /// CACM 1987).
  private mutating func distinct(_ keys: Int, below bound: Int) -> [Int] {
    var chosen: [Int] = []
    var isChosen = Set<Int>()
    for last in bound - keys..<bound {
      let drawn = random.below(last + 1)
      let number = isChosen.insert(drawn).inserted ? drawn : last
      isChosen.insert(number)
      chosen.append(number)
    }
    return chosen
  }
}
