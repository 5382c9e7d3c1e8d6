internal import Glibc

/// What is asked of a key.
public enum OperationKind: Sendable, Hashable, CaseIterable { case read, write, delete }

/// The shares of reads, writes and deletes.
public struct OperationMix: Sendable, Hashable {
  public let readShare: Double
  public let deleteShare: Double
  public var writeShare: Double { max(1 - readShare - deleteShare, 0) }

  /// Shares of 0 ... 1, together at most 1; what is left over is writes.
  public init(readShare: Double, deleteShare: Double = 0) {
    precondition(
      (0...1).contains(readShare) && (0...1).contains(deleteShare)
        && readShare + deleteShare <= 1 + 1e-9, "shares of 0 to 1, together at most 1")
    self.readShare = readShare
    self.deleteShare = deleteShare
  }

  public static let readsOnly = OperationMix(readShare: 1)

  public func kind(using random: inout RandomSource) -> OperationKind {
    let draw = random.unit()
    if draw < readShare { return .read }
    return draw < readShare + deleteShare ? .delete : .write
  }
}

/// Lengths of the values that writes carry, in bytes.
public enum ValueLengths: Sendable, Hashable {
  case fixed(Int)
  /// All lengths of the range are as likely.
  case uniform(ClosedRange<Int>)

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
  /// The popularity of its key, 0 the highest; `KeySpace` has the key.
  public var rank: Int
  /// Bytes of its value; 0 unless it is a write.
  public var valueLength: Int

  public init(kind: OperationKind, rank: Int, valueLength: Int = 0) {
    self.kind = kind
    self.rank = rank
    self.valueLength = valueLength
  }
}

/// An endless, seeded stream of operations.
public struct OperationStream: Sendable {
  public let popularity: ZipfDistribution
  public let mix: OperationMix
  public let valueLengths: ValueLengths
  private var random: RandomSource

  public init(
    popularity: ZipfDistribution, mix: OperationMix, valueLengths: ValueLengths, seed: UInt64
  ) {
    self.popularity = popularity
    self.mix = mix
    self.valueLengths = valueLengths
    random = RandomSource(seed: seed)
  }

  public mutating func next() -> WorkloadOperation {
    let rank = popularity.rank(using: &random)
    let kind = mix.kind(using: &random)
    let length = kind == .write ? valueLengths.length(using: &random) : 0
    return WorkloadOperation(kind: kind, rank: rank, valueLength: length)
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
