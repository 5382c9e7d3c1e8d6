/// Which place of the directory an entry takes: one of the two buckets that its key hash names
/// (the data plane looks in both). Owned by the controller; not thread-safe.
public struct EntryPlacement: Sendable {
  private let bucketMask: UInt32
  private var used: [Bool]

  /// `capacity`: places in the directory, a power of two of at least four.
  public init(capacity: Int) {
    precondition(capacity >= 4 && capacity & (capacity - 1) == 0)
    bucketMask = UInt32(capacity / 4 - 1)
    used = Array(repeating: false, count: capacity)
  }

  /// Takes a free place for the key hash, in the emptier of its two buckets; nil: both are full.
  public mutating func take(_ keyHash: UInt64) -> UInt32? {
    let first = UInt32(truncatingIfNeeded: keyHash) & bucketMask
    let second = UInt32(truncatingIfNeeded: keyHash >> 32) & bucketMask
    let bucket = free(in: second) > free(in: first) ? second : first
    for way in 0..<4 {
      let entry = bucket * 4 + UInt32(way)
      guard !used[Int(entry)] else { continue }
      used[Int(entry)] = true
      return entry
    }
    return nil
  }

  /// A place that an entry has already.
  public mutating func occupy(_ entry: UInt32) { used[Int(entry)] = true }

  /// Gives a place back; not before the grace period after its removal.
  public mutating func giveBack(_ entry: UInt32) { used[Int(entry)] = false }

  private func free(in bucket: UInt32) -> Int {
    (0..<4).count { !used[Int(bucket) * 4 + $0] }
  }
}
