internal import Sockets

/// The queue of a server of emulated capacity: what has arrived and waits, with the time at which it
/// will have been served.
///
/// The server serves one datagram after the other in order of arrival, each in one service time.
/// Times are virtual: a datagram is due one service time after the one before it, or after its
/// arrival if there was nothing to do. A late wake-up thus delays an answer but takes no capacity
/// away. All memory is taken at the start. Not thread-safe.
final class EmulatedQueue {
  /// Datagrams that may wait, the one in service included.
  let capacity: Int
  /// Datagrams that wait.
  private(set) var count = 0

  /// Nanoseconds of one service.
  private let serviceTime: Double
  /// When the server will have served all that waits.
  private var busyUntil: Double = 0
  private var first = 0
  private let stride: Int
  private let bytes: UnsafeMutableRawPointer
  private let waiting: UnsafeMutablePointer<Waiting>

  private struct Waiting {
    var length: Int
    var sender: Endpoint
    var due: UInt64
  }

  /// `operationsPerSecond` above 0; `capacity` at least 1.
  init(operationsPerSecond: Double, capacity: Int, datagramLengthMax: Int) {
    precondition(operationsPerSecond > 0 && capacity > 0)
    serviceTime = 1_000_000_000 / operationsPerSecond
    self.capacity = capacity
    stride = (datagramLengthMax + 63) / 64 * 64
    bytes = .allocate(byteCount: stride * capacity, alignment: 64)
    waiting = .allocate(capacity: capacity)
  }

  deinit {
    bytes.deallocate()
    waiting.deallocate()
  }

  /// When the first that waits is due; nil: none waits.
  var nextDue: UInt64? { count == 0 ? nil : waiting[first].due }

  /// Takes a datagram that arrived at `now`; false: there is no room.
  func append(_ datagram: UnsafeRawBufferPointer, from sender: Endpoint, now: UInt64) -> Bool {
    guard count < capacity, datagram.count <= stride else { return false }
    busyUntil = max(Double(now), busyUntil) + serviceTime
    let place = (first + count) % capacity
    UnsafeMutableRawBufferPointer(start: bytes + place * stride, count: stride)
      .copyMemory(from: datagram)
    (waiting + place).initialize(
      to: Waiting(length: datagram.count, sender: sender, due: UInt64(busyUntil)))
    count += 1
    return true
  }

  /// Gives the first that is due to `serve`, with its due time; false: none is due. It counts as
  /// waiting no more while it is served.
  func serveFirst(
    dueBy now: UInt64, _ serve: (UnsafeRawBufferPointer, Endpoint, _ due: UInt64) -> Void
  ) -> Bool {
    guard count > 0, waiting[first].due <= now else { return false }
    let place = first
    first = (first + 1) % capacity
    count -= 1
    serve(
      UnsafeRawBufferPointer(start: bytes + place * stride, count: waiting[place].length),
      waiting[place].sender, waiting[place].due)
    return true
  }
}
