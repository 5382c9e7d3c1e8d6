internal import ClientCore
internal import Sockets
internal import Wire

/// The client's thread: the core on a socket and a clock.
final class ClientLoop {
  private let rack: Endpoint
  private let timeout: Duration
  private let mailbox: Mailbox
  private let socket: UDPSocket
  private let poll: EventPoll
  private let arrived = DatagramBatch(
    capacity: WireLimits.outstandingMax, datagramLengthMax: WireLimits.datagramLengthMax)
  private let leaving = DatagramBatch(
    capacity: WireLimits.outstandingMax, datagramLengthMax: WireLimits.datagramLengthMax)
  private var core: ClientCore
  private var pending: [UInt64: PendingRequest] = [:]
  private var nextToken: UInt64 = 0
  private var waitsForRoom = false
  /// What the network has said since something came from the rack.
  private var hint: SocketError?
  private var refusalsSeen: UInt64 = 0

  private static let socketToken: UInt64 = 0
  private static let mailboxToken: UInt64 = 1

  init(_ rack: Endpoint, _ configuration: HotrackClient.Configuration, _ mailbox: Mailbox)
    throws(SocketError)
  {
    self.rack = rack
    self.mailbox = mailbox
    timeout = max(configuration.timeout, .milliseconds(1))
    core = ClientCore(
      ClientConfiguration(
        client: ClientIdentity.fresh(), hashSeed: configuration.hashSeed,
        timeoutInitial: nanoseconds(max(configuration.firstRetry, .milliseconds(1))),
        timeoutMax: nanoseconds(max(configuration.retryMax, .milliseconds(1))),
        deadline: nanoseconds(timeout)),
      randomSeed: .random(in: .min ... .max))
    socket = try UDPSocket(connect: rack, in: configuration.namespace)
    poll = try EventPoll()
    try poll.add(socket.descriptor, token: Self.socketToken)
    try poll.add(mailbox.wakeUp.descriptor, token: Self.mailboxToken)
  }

  /// Runs until the mailbox is closed or the socket fails.
  func run() {
    do throws(SocketError) {
      while true {
        mailbox.wakeUp.clear()
        let (requests, end) = mailbox.take()
        guard end == nil else { return finish(requests) }
        try turn(requests)
      }
    } catch {
      mailbox.end(.failed(error))
      finish(mailbox.take().requests)
    }
  }

  /// One round: what tasks want, what is due, sending, waiting, receiving.
  private func turn(_ requests: [PendingRequest]) throws(SocketError) {
    for request in requests where request.begin() {
      nextToken += 1
      pending[nextToken] = request
      try apply(core.submit(request.request, token: nextToken, now: MonotonicClock.now))
    }
    let now = MonotonicClock.now
    if let deadline = core.nextDeadline, deadline <= now { try apply(core.advance(to: now)) }
    try send()
    try poll.wait(until: core.nextDeadline) { _, _ in }
    try receive()
  }

  private func send() throws(SocketError) {
    try leaving.send(on: socket)
    note(leaving)
    guard waitsForRoom == leaving.isEmpty else { return }
    waitsForRoom = !leaving.isEmpty
    try poll.change(
      socket.descriptor, token: Self.socketToken,
      to: waitsForRoom ? [.readable, .writable] : .readable)
  }

  private func receive() throws(SocketError) {
    try arrived.receive(from: socket)
    note(arrived)
    guard !arrived.isEmpty else { return }
    hint = nil
    let now = MonotonicClock.now
    for index in 0..<arrived.count { try apply(core.receive(arrived[index], now: now)) }
  }

  private func note(_ batch: DatagramBatch) {
    let refusals = arrived.refusals + leaving.refusals
    guard refusals != refusalsSeen else { return }
    refusalsSeen = refusals
    hint = batch.lastRefusal
  }

  private func apply(_ effects: [ClientEffect]) throws(SocketError) {
    for effect in effects {
      switch effect {
      case .send(let datagram):
        if leaving.isFull { try send() }
        // Where there is still no room it is as good as lost, and repeated later.
        _ = datagram.withUnsafeBytes { leaving.append($0) }
      case .complete(let token, let outcome):
        pending.removeValue(forKey: token)?.end(ending(of: outcome))
      }
    }
  }

  private func ending(of outcome: ClientOutcome) -> PendingRequest.Ending {
    switch outcome {
    case .value, .notFound, .written: .success(outcome)
    case .unknown(.timedOut): .failure(.unknownOutcome(.timedOut(rack: rack, after: timeout)))
    case .unknown(.ambiguous): .failure(.unknownOutcome(.ambiguous))
    case .unknown(.sessionLost): .failure(.unknownOutcome(.sessionLost))
    case .failed(.keyLength(let length)): .failure(.keyLength(length))
    case .failed(.tooLarge(let length)): .failure(.tooLarge(length))
    case .failed(.refused(let status)): .failure(.refused(status))
    case .failed(.lost): .failure(.lost)
    case .failed(.timedOut): .failure(.timedOut(rack: rack, after: timeout, hint: hint))
    }
  }

  /// Ends whatever is unfinished, and `last`.
  private func finish(_ last: [PendingRequest]) {
    guard let end = mailbox.take().end else { preconditionFailure("the mailbox was not ended") }
    for request in pending.values { end.apply(to: request) }
    for request in last { end.apply(to: request) }
    pending = [:]
  }
}

/// At most a year: a core adds it to the time.
private func nanoseconds(_ duration: Duration) -> UInt64 {
  let bounded = min(max(duration, .zero), .seconds(365 * 86_400))
  let (seconds, attoseconds) = bounded.components
  return UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
}
