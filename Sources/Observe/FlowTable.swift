/// The connections that are followed: a fixed number of them. When a new one finds no room, the one
/// of its neighbours that has been silent longest is forgotten; should it speak again, it is taken up
/// in the middle.
final class FlowTable {
  /// One direction of a connection, from client to server.
  struct Flow {
    var key = FlowKey()
    /// 0: free. Else when it was last used, in packets.
    var lastUse: UInt64 = 0
    /// The next byte's sequence number.
    var expected: UInt32 = 0
    /// Segments that have come without an answer to whose protocol this is.
    var unknownSegments: UInt8 = 0
    /// Its server's place in the statistics.
    var server: UInt16 = 0
    /// Segments that came before one that is missing, in order.
    var held: [HeldSegment] = []
    var parser = StreamParser(nil, fromStart: false)
  }

  /// A segment that waits for an earlier one.
  struct HeldSegment {
    var sequence: UInt32
    /// With what was not captured.
    var length: Int
    var bytes: [UInt8]
  }

  private static let ways = 8
  private let setMask: UInt64
  private let flows: UnsafeMutablePointer<Flow>
  private let capacity: Int
  private(set) var count = 0
  /// Connections that had to make room for others.
  private(set) var forgotten: UInt64 = 0

  /// `capacity`: connections, a power of two, at least 8. About 200 bytes each.
  init(capacity: Int) {
    precondition(capacity >= Self.ways && capacity & (capacity - 1) == 0)
    self.capacity = capacity
    setMask = UInt64(capacity / Self.ways - 1)
    flows = .allocate(capacity: capacity)
    flows.initialize(repeating: Flow(), count: capacity)
  }

  deinit {
    flows.deinitialize(count: capacity)
    flows.deallocate()
  }

  private func set(of key: FlowKey) -> UnsafeMutablePointer<Flow> {
    flows + Int(key.spread & setMask) * Self.ways
  }

  func find(_ key: FlowKey) -> UnsafeMutablePointer<Flow>? {
    let first = set(of: key)
    for way in 0..<Self.ways where first[way].lastUse != 0 && first[way].key == key {
      return first + way
    }
    return nil
  }

  /// A place for a connection that has none, cleared but for its key. `forgetting` is told of the one
  /// that had it.
  func take(
    _ key: FlowKey, forgetting: (UnsafeMutablePointer<Flow>) -> Void
  ) -> UnsafeMutablePointer<Flow> {
    let first = set(of: key)
    var oldest = 0
    for way in 1..<Self.ways where first[way].lastUse < first[oldest].lastUse { oldest = way }
    if first[oldest].lastUse == 0 {
      count += 1
    } else {
      forgotten += 1
      forgetting(first + oldest)
    }
    first[oldest] = Flow()
    first[oldest].key = key
    return first + oldest
  }

  func remove(_ flow: UnsafeMutablePointer<Flow>) {
    flow.pointee = Flow()
    count -= 1
  }
}
