internal import Histogram

/// Counts of times in nanoseconds, right to 1 %, and of what never came. Its memory is fixed;
/// recording allocates nothing. Values beyond about 18 minutes count as that.
///
/// An HdrHistogram (Tene) of two digits: with three, a quantile takes a quarter of a millisecond,
/// which a load that tells its progress would be late by.
public struct LatencyHistogram: Sendable {
  private static let valueMax: UInt64 = 1 << 40 - 1

  private var values = Histogram<UInt64>(
    highestTrackableValue: Self.valueMax, numberOfSignificantValueDigits: .two)
  /// Recorded as without end: what was waited for never came.
  public private(set) var endless: UInt64 = 0

  /// Values recorded, those without end included.
  public var count: UInt64 { values.totalCount + endless }
  /// The largest value recorded; those without end aside.
  public var largest: UInt64 { values.maxRecorded }

  public init() {}

  public mutating func record(_ nanoseconds: UInt64) {
    values.record(min(nanoseconds, Self.valueMax))
  }

  /// Counts something that never came: longer than any time.
  public mutating func recordEndless(_ times: UInt64 = 1) { endless += times }

  public mutating func removeAll() {
    values.reset()
    endless = 0
  }

  public mutating func add(_ other: LatencyHistogram) {
    values.add(other.values)
    endless += other.endless
  }

  /// The least value that is not exceeded by `share` (0 ... 1) of all, rounded up to its bucket's
  /// end; nil: there is none, as nothing was recorded or too many never came.
  public func quantile(_ share: Double) -> UInt64? {
    guard count > 0 else { return nil }
    let wanted = max(UInt64((Double(count) * share).rounded(.up)), 1)
    let came = values.totalCount
    guard wanted <= came else { return nil }
    // Half a value less, so that rounding cannot lead to the value beside the wanted one.
    return values.valueAtPercentile((Double(wanted) - 0.5) / Double(came) * 100)
  }
}
