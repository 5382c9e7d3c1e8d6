/// Turns counts that only rise into rates of about the last second.
struct RateWindow {
  /// Between two samples. Nanoseconds.
  static let interval: UInt64 = 250_000_000
  private static let samplesMax = 5

  private var samples: [(time: UInt64, counts: [UInt64])] = []

  /// When the next sample should be taken.
  var nextSample: UInt64 { samples.last.map { $0.time + Self.interval } ?? 0 }

  /// Takes a sample; `counts` always has the same length.
  mutating func add(_ counts: [UInt64], at time: UInt64) {
    samples.append((time, counts))
    if samples.count > Self.samplesMax { samples.removeFirst() }
  }

  /// Per second; 0 until there are two samples.
  func rate(_ index: Int) -> Double {
    guard let first = samples.first, let last = samples.last, last.time > first.time else {
      return 0
    }
    let new =
      last.counts[index] >= first.counts[index]
      ? last.counts[index] - first.counts[index] : 0
    return Double(new) * 1e9 / Double(last.time - first.time)
  }
}
