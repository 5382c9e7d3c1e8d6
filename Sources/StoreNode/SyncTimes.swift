/// How long the last writes of the log took.
struct SyncTimes {
  private var ring: [UInt64] = []
  private var next = 0
  private(set) var count: UInt64 = 0

  mutating func add(_ nanoseconds: UInt64) {
    count += 1
    if ring.count < 1_024 {
      ring.append(nanoseconds)
    } else {
      ring[next] = nanoseconds
      next = (next + 1) % ring.count
    }
  }

  /// Of the last 1,024, in microseconds; 0: there was none.
  func microseconds(atPercentile percentile: Int) -> UInt64 {
    guard !ring.isEmpty else { return 0 }
    let sorted = ring.sorted()
    return sorted[min(sorted.count - 1, sorted.count * percentile / 100)] / 1_000
  }
}
