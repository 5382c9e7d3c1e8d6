internal import Sockets

/// The queue of a server of emulated capacity: what has arrived and waits, and when what is in service
/// will have been served.
///
/// The server serves one datagram after the other, each in one service time: copies first, since a
/// hot key is not spread again before they are stored, then requests; each kind in order of arrival.
/// What is in service is not interrupted. Times are virtual: a service begins when the one before it
/// ends, or at the arrival if there was nothing to do. A late wake-up thus delays an answer but takes
/// no capacity away. All memory is taken at the start. Not thread-safe.
final class EmulatedQueue {
  /// Datagrams that may wait, the one in service included.
  let capacity: Int
  /// Datagrams that wait, the one in service included.
  private(set) var count = 0

  /// Nanoseconds of one service.
  private let serviceTime: Double
  /// When the last service ended, or the one under way will end.
  private var busyUntil: Double = 0
  private var inService: Waiting?
  private let copies: PlaceQueue
  private let requests: PlaceQueue
  /// Places of `bytes` that are free: a stack.
  private let freePlaces: UnsafeMutablePointer<Int>
  private let stride: Int
  private let bytes: UnsafeMutableRawPointer

  fileprivate struct Waiting {
    var place: Int
    var length: Int
    var sender: Endpoint
    var arrival: UInt64
  }

  /// `operationsPerSecond` above 0; `capacity` at least 1.
  init(operationsPerSecond: Double, capacity: Int, datagramLengthMax: Int) {
    precondition(operationsPerSecond > 0 && capacity > 0)
    serviceTime = 1_000_000_000 / operationsPerSecond
    self.capacity = capacity
    stride = (datagramLengthMax + 63) / 64 * 64
    bytes = .allocate(byteCount: stride * capacity, alignment: 64)
    copies = PlaceQueue(capacity: capacity)
    requests = PlaceQueue(capacity: capacity)
    freePlaces = .allocate(capacity: capacity)
    for place in 0..<capacity { (freePlaces + place).initialize(to: place) }
  }

  deinit {
    bytes.deallocate()
    freePlaces.deallocate()
  }

  /// When the service under way ends; nil: nothing waits.
  var nextDue: UInt64? { inService == nil ? nil : UInt64(busyUntil) }

  /// Takes a datagram that arrived at `now`, which ascends; false: there is no room.
  func append(
    _ datagram: UnsafeRawBufferPointer, from sender: Endpoint, isCopy: Bool, now: UInt64
  ) -> Bool {
    guard count < capacity, datagram.count <= stride else { return false }
    let place = freePlaces[capacity - count - 1]
    count += 1
    UnsafeMutableRawBufferPointer(start: bytes + place * stride, count: stride)
      .copyMemory(from: datagram)
    let waiting = Waiting(place: place, length: datagram.count, sender: sender, arrival: now)
    if isCopy { copies.append(waiting) } else { requests.append(waiting) }
    if inService == nil { beginService() }
    return true
  }

  /// Gives the datagram whose service has ended to `serve`, with the time of that; false: none has
  /// ended. It counts as waiting no more while it is served.
  func serveFirst(
    dueBy now: UInt64, _ serve: (UnsafeRawBufferPointer, Endpoint, _ due: UInt64) -> Void
  ) -> Bool {
    guard let served = inService, UInt64(busyUntil) <= now else { return false }
    let due = UInt64(busyUntil)
    inService = nil
    beginService()
    count -= 1
    serve(
      UnsafeRawBufferPointer(start: bytes + served.place * stride, count: served.length),
      served.sender, due)
    freePlaces[capacity - count - 1] = served.place
    return true
  }

  /// Takes the next one: of those that had arrived when the server became free, a copy before a
  /// request; if none had, the one that came first.
  private func beginService() {
    let (copy, request) = (copies.first, requests.first)
    guard copy != nil || request != nil else { return }
    let earliest = min(copy?.arrival ?? .max, request?.arrival ?? .max)
    let start = max(busyUntil, Double(earliest))
    let isCopy = copy.map { Double($0.arrival) <= start } ?? false
    inService = isCopy ? copies.removeFirst() : requests.removeFirst()
    busyUntil = start + serviceTime
  }
}

/// A ring of what waits.
private final class PlaceQueue {
  private let capacity: Int
  private let ring: UnsafeMutablePointer<EmulatedQueue.Waiting>
  private var head = 0
  private var count = 0

  init(capacity: Int) {
    self.capacity = capacity
    ring = .allocate(capacity: capacity)
  }

  deinit { ring.deallocate() }

  var first: EmulatedQueue.Waiting? { count == 0 ? nil : ring[head] }

  /// Precondition: fewer than `capacity` wait.
  func append(_ waiting: EmulatedQueue.Waiting) {
    (ring + (head + count) % capacity).initialize(to: waiting)
    count += 1
  }

  /// Precondition: one waits.
  func removeFirst() -> EmulatedQueue.Waiting {
    defer {
      head = (head + 1) % capacity
      count -= 1
    }
    return ring[head]
  }
}
