internal import LoadGenerator
internal import Sockets
internal import Workload

/// What a closed load has seen.
struct ClosedCount {
  /// Requests with the right answer.
  var completed = 0
  /// Requests with another answer.
  var refused = 0
  /// Requests that were not answered.
  var lost = 0
  /// Of the completed ones; nanoseconds from handing them to the kernel.
  var latency = LatencyHistogram()

  mutating func add(_ other: ClosedCount) {
    completed += other.completed
    refused += other.refused
    lost += other.lost
    latency.add(other.latency)
  }

  /// Takes over what turned out wrong of its requests after its end.
  mutating func takeErrors(of later: ClosedCount) {
    (refused, lost) = (later.refused, later.lost)
  }

  /// A quantile of the latency; 0 if nothing was completed.
  func microseconds(_ quantile: Double) -> Double {
    Double(latency.quantile(quantile) ?? 0) / 1_000
  }

  /// Of all requests, those without the right answer.
  var errorShare: Double {
    let all = completed + refused + lost
    return all == 0 ? 1 : Double(refused + lost) / Double(all)
  }
}

/// A closed load over UDP: a number of lanes, each of which keeps a window of requests under way and
/// sends the next when one is answered. One engine for all protocols (`LoadDialect`), so that what
/// is compared is the other side.
///
/// Unless it is given a poll it never sleeps: a sleeping receiver would make whoever answers pay for
/// waking it up. Belongs to the thread that runs it.
final class ClosedLoad<Dialect: LoadDialect> {
  /// Which keys are asked for.
  enum Keys {
    case random
    /// Each once, until all were.
    case each
  }

  private(set) var count = ClosedCount()
  private var dialect: Dialect
  private let lanes: [Lane]
  private let window: Int
  private let keyCount: Int
  private var random: RandomSource
  private let arrived: DatagramBatch
  private let leaving: DatagramBatch
  private let poll: EventPoll?
  /// The next of `Keys.each`.
  private var nextKey = 0

  /// Without an answer for so long, a request is lost. Nanoseconds.
  private static var patience: UInt64 { 200_000_000 }
  /// The same while values are stored, which nobody measures.
  private static var fillPatience: UInt64 { 2_000_000_000 }

  private final class Lane {
    let socket: UDPSocket
    let requests: UnsafeMutablePointer<ClosedRequest>
    /// Number of the next request.
    var next: UInt64 = 1
    /// Number of the oldest that is under way; `next`: none is.
    var oldest: UInt64 = 1

    init(socket: UDPSocket, window: Int) {
      self.socket = socket
      requests = .allocate(capacity: window)
      requests.initialize(repeating: ClosedRequest(), count: window)
    }

    deinit { requests.deallocate() }
  }

  /// `sockets`: connected, one lane each. `window`: requests under way in each; a power of two, at
  /// most 64. `poll`: to sleep in while nothing is there; nothing else may use it.
  init(
    _ dialect: Dialect, sockets: [UDPSocket], window: Int, keyCount: Int, seed: UInt64,
    poll: EventPoll? = nil
  ) {
    precondition(window >= 1 && window <= 64 && window & (window - 1) == 0)
    self.dialect = dialect
    self.window = window
    self.keyCount = keyCount
    lanes = sockets.map { Lane(socket: $0, window: window) }
    random = RandomSource(seed: seed)
    self.poll = poll
    for (index, socket) in sockets.enumerated() {
      // It fails only where there is no memory for it; then this lane's answers are found late.
      try? poll?.add(socket.descriptor, token: UInt64(index))
    }
    arrived = DatagramBatch(capacity: window, datagramLengthMax: 2_048)
    leaving = DatagramBatch(capacity: window, datagramLengthMax: 2_048, joinsDatagrams: true)
  }

  /// Opens connected sockets for the lanes.
  static func sockets(
    _ count: Int, to endpoint: Endpoint, in namespace: NetworkNamespace? = nil
  ) throws(SocketError) -> [UDPSocket] {
    var sockets: [UDPSocket] = []
    for _ in 0..<count {
      sockets.append(
        try UDPSocket(connect: endpoint, bufferLength: 4 << 20, in: namespace))
    }
    return sockets
  }

  /// Asks for keys at random until `end`; what is under way then stays so. `count` begins anew.
  func run(_ operation: LoadOperation, until end: UInt64) throws(SocketError) {
    count = ClosedCount()
    var nextExpiry = MonotonicClock.now + Self.patience / 4
    while true {
      let now = MonotonicClock.now
      guard now < end else { return }
      try poll?.wait(until: now + 1_000_000) { _, _ in }
      for (index, lane) in lanes.enumerated() {
        try receive(lane, now: poll == nil ? now : MonotonicClock.now)
        try send(lane, index, operation, .random, now: poll == nil ? now : MonotonicClock.now)
      }
      if now > nextExpiry {
        expire(now: now, after: Self.patience)
        nextExpiry = now + Self.patience / 4
      }
    }
  }

  /// Writes each key once. `count` begins anew.
  func fill() throws(SocketError) {
    count = ClosedCount()
    nextKey = 0
    while nextKey < keyCount || lanes.contains(where: { $0.oldest < $0.next }) {
      let now = MonotonicClock.now
      for (index, lane) in lanes.enumerated() {
        try receive(lane, now: now)
        try send(lane, index, .set, .each, now: now)
      }
      expire(now: now, after: Self.fillPatience)
    }
  }

  /// Sends nothing more, and waits for what is under way; `count` goes on.
  func drain() throws(SocketError) {
    while lanes.contains(where: { $0.oldest < $0.next }) {
      let now = MonotonicClock.now
      for lane in lanes { try receive(lane, now: now) }
      expire(now: now, after: Self.patience)
    }
  }

  private func send(
    _ lane: Lane, _ index: Int, _ operation: LoadOperation, _ keys: Keys, now: UInt64
  ) throws(SocketError) {
    while lane.next - lane.oldest < UInt64(window), !leaving.isFull {
      let key: Int
      switch keys {
      case .random: key = random.below(keyCount)
      case .each:
        key = nextKey
        nextKey = min(nextKey + 1, keyCount)
      }
      guard key < keyCount else { break }
      let request = ClosedRequest(
        number: lane.next, operation: operation, key: key, sentAt: now)
      leaving.append { room in
        dialect.encode(request, lane: index, oldest: lane.oldest, into: room)
      }
      lane.requests[Int(lane.next) & (window - 1)] = request
      lane.next += 1
    }
    // What the kernel has no room for stays in the batch, which is for one lane alone.
    while !leaving.isEmpty { try leaving.send(on: lane.socket) }
  }

  private func receive(_ lane: Lane, now: UInt64) throws(SocketError) {
    guard lane.oldest < lane.next else { return }
    try arrived.receive(from: lane.socket)
    for index in 0..<arrived.count {
      let datagram = arrived[index]
      guard let reply = dialect.decode(datagram) else { continue }
      let number = dialect.number(of: reply)
      let place = lane.requests + Int(truncatingIfNeeded: number) & (window - 1)
      let request = place.pointee
      guard request.number != 0, (request.number ^ number) & Dialect.numberMask == 0 else {
        continue
      }
      if dialect.isRight(reply, datagram, to: request) {
        count.completed += 1
        count.latency.record(now - min(request.sentAt, now))
      } else {
        count.refused += 1
      }
      end(place, lane)
    }
  }

  private func expire(now: UInt64, after patience: UInt64) {
    for lane in lanes {
      for number in lane.oldest..<lane.next {
        let place = lane.requests + Int(number) & (window - 1)
        guard place.pointee.number != 0, place.pointee.sentAt + patience < now else { continue }
        count.lost += 1
        end(place, lane)
      }
    }
  }

  private func end(_ place: UnsafeMutablePointer<ClosedRequest>, _ lane: Lane) {
    place.pointee.number = 0
    while lane.oldest < lane.next,
      lane.requests[Int(lane.oldest) & (window - 1)].number == 0
    { lane.oldest += 1 }
  }
}
