internal import Glibc

/// What is asked of a key.
public enum OperationKind: Sendable, Hashable, CaseIterable { case read, write, delete }

/// The shares of what is done to keys.
public struct OperationMix: Sendable, Hashable {
  public let readShare: Double
  public let deleteShare: Double
  /// Of writes of keys that are new; `KeySpace.Order.latest`.
  public let insertShare: Double
  /// Of read-modify-writes. Each is two operations, a read and a write of the same key.
  public let readModifyWriteShare: Double
  public var writeShare: Double {
    max(1 - readShare - deleteShare - insertShare - readModifyWriteShare, 0)
  }

  /// Shares of 0 ... 1, together at most 1; what is left over is writes.
  public init(
    readShare: Double, deleteShare: Double = 0, insertShare: Double = 0,
    readModifyWriteShare: Double = 0
  ) {
    let shares = [readShare, deleteShare, insertShare, readModifyWriteShare]
    precondition(
      shares.allSatisfy((0...1).contains) && shares.reduce(0, +) <= 1 + 1e-9,
      "shares of 0 to 1, together at most 1")
    self.readShare = readShare
    self.deleteShare = deleteShare
    self.insertShare = insertShare
    self.readModifyWriteShare = readModifyWriteShare
  }

  public static let readsOnly = OperationMix(readShare: 1)

  enum Choice { case read, write, delete, insert, readModifyWrite }

  func choice(using random: inout RandomSource) -> Choice {
    let draw = random.unit()
    if draw < readShare { return .read }
    if draw < readShare + deleteShare { return .delete }
    if draw < readShare + deleteShare + insertShare { return .insert }
    return draw < readShare + deleteShare + insertShare + readModifyWriteShare
      ? .readModifyWrite : .write
  }
}

/// Lengths of the values that writes carry, in bytes.
public enum ValueLengths: Sendable, Hashable {
  case fixed(Int)
  /// All lengths of the range are as likely.
  case uniform(ClosedRange<Int>)

  public var shortest: Int {
    switch self {
    case .fixed(let length): length
    case .uniform(let range): range.lowerBound
    }
  }

  public var longest: Int {
    switch self {
    case .fixed(let length): length
    case .uniform(let range): range.upperBound
    }
  }

  public func length(using random: inout RandomSource) -> Int {
    switch self {
    case .fixed(let length): length
    case .uniform(let range): range.lowerBound + random.below(range.count)
    }
  }
}

/// One operation of a workload.
public struct WorkloadOperation: Sendable, Hashable {
  public var kind: OperationKind
  /// The number of its key; `KeySpace` has the key. It remains when popularity changes.
  public var key: Int
  /// Bytes of its value; 0 unless it is a write.
  public var valueLength: Int

  public init(kind: OperationKind, key: Int, valueLength: Int = 0) {
    self.kind = kind
    self.key = key
    self.valueLength = valueLength
  }
}

/// An endless, seeded stream of operations.
public struct OperationStream: Sendable {
  public let popularity: ZipfDistribution
  public let mix: OperationMix
  public let valueLengths: ValueLengths
  public private(set) var keys: KeySpace
  private var random: RandomSource
  /// The key that was read to be modified, and is written next.
  private var modified: Int?

  /// The precondition is that popularity and keys are of the same count, and that only keys in the
  /// order of insertion are inserted.
  public init(
    popularity: ZipfDistribution, keys: KeySpace, mix: OperationMix, valueLengths: ValueLengths,
    seed: UInt64
  ) {
    precondition(popularity.count == keys.count)
    precondition(mix.insertShare == 0 || keys.order == .latest)
    self.popularity = popularity
    self.keys = keys
    self.mix = mix
    self.valueLengths = valueLengths
    random = RandomSource(seed: seed)
  }

  /// Changes which keys are popular from the next operation on.
  public mutating func change(_ change: PopularityChange) { keys.change(change) }

  public mutating func next() -> WorkloadOperation {
    if let key = modified {
      modified = nil
      return write(key)
    }
    let rank = popularity.rank(using: &random)
    let choice = mix.choice(using: &random)
    if choice == .insert { return write(keys.insert()) }
    let key = keys.number(ofRank: rank)
    switch choice {
    case .write, .insert: return write(key)
    case .delete: return WorkloadOperation(kind: .delete, key: key)
    case .readModifyWrite: modified = key
    case .read: break
    }
    return WorkloadOperation(kind: .read, key: key)
  }

  private mutating func write(_ key: Int) -> WorkloadOperation {
    WorkloadOperation(
      kind: .write, key: key, valueLength: valueLengths.length(using: &random))
  }
}

/// Arrivals of independent requests at a rate: a Poisson process. They do not wait for answers.
public struct PoissonArrivals: Sendable {
  /// Arrivals per second.
  public let rate: Double
  private var random: RandomSource
  /// Kept in full precision, so that rounding each time does not bend the rate.
  private var time = 0.0

  /// `rate`: above 0.
  public init(rate: Double, seed: UInt64) {
    precondition(rate > 0)
    self.rate = rate
    random = RandomSource(seed: seed)
  }

  /// When the next request arrives, in nanoseconds since the start. Ascends.
  public mutating func next() -> UInt64 {
    // 1 − u is never 0.
    time -= log(1 - random.unit()) / rate * 1e9
    return UInt64(time)
  }
}
