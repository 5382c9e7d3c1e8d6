/// Counts of times in nanoseconds, in buckets that are at most 1/64 of their value wide: quantiles
/// are right to 1.6 %. Its memory is fixed; recording allocates nothing. Values beyond about 17
/// minutes count as that.
///
/// Buckets as in HdrHistogram (Tene): linear within each power of two.
public struct LatencyHistogram: Sendable {
  private static let linearBits = 6
  private static let perOctave = 1 << linearBits
  private static let valueMax: UInt64 = 1 << 40 - 1

  private var counts: [UInt64]
  /// Values recorded, those without end included.
  public private(set) var count: UInt64 = 0
  /// Recorded as without end: what was waited for never came.
  public private(set) var endless: UInt64 = 0
  /// The largest value recorded; those without end aside.
  public private(set) var largest: UInt64 = 0

  public init() { counts = Array(repeating: 0, count: Self.bucket(Self.valueMax) + 1) }

  public mutating func record(_ nanoseconds: UInt64) {
    counts[Self.bucket(min(nanoseconds, Self.valueMax))] += 1
    count += 1
    largest = max(largest, nanoseconds)
  }

  /// Counts something that never came: longer than any time.
  public mutating func recordEndless(_ times: UInt64 = 1) {
    endless += times
    count += times
  }

  public mutating func removeAll() {
    for index in counts.indices { counts[index] = 0 }
    (count, endless, largest) = (0, 0, 0)
  }

  public mutating func add(_ other: LatencyHistogram) {
    for index in counts.indices { counts[index] += other.counts[index] }
    count += other.count
    endless += other.endless
    largest = max(largest, other.largest)
  }

  /// The least value that is not exceeded by `share` (0 ... 1) of all, rounded up to its bucket's
  /// end; nil: there is none, as nothing was recorded or too many never came.
  public func quantile(_ share: Double) -> UInt64? {
    guard count > 0 else { return nil }
    let wanted = max(UInt64((Double(count) * share).rounded(.up)), 1)
    guard wanted <= count - endless else { return nil }
    var seen: UInt64 = 0
    for index in counts.indices {
      seen += counts[index]
      if seen >= wanted { return min(Self.upperBound(index), largest) }
    }
    return largest
  }

  private static func bucket(_ value: UInt64) -> Int {
    guard value >= perOctave else { return Int(value) }
    let shift = 63 - value.leadingZeroBitCount - linearBits
    return shift << linearBits + Int(value >> UInt64(shift))
  }

  private static func upperBound(_ bucket: Int) -> UInt64 {
    guard bucket >= 2 * perOctave else { return UInt64(bucket) }
    let shift = UInt64(bucket >> linearBits - 1)
    let mantissa = UInt64(bucket & (perOctave - 1) + perOctave)
    return (mantissa + 1) << shift - 1
  }
}
