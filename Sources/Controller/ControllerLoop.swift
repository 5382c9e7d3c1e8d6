package import ControllerCore
internal import DataPlane
internal import Directory
internal import Glibc
package import Logging
package import Sockets
internal import Wire

/// Runs a controller's core on a data plane, a UDP socket, a clock and a control socket: one
/// thread that waits for all of them, and one beside it for grace periods.
package final class ControllerLoop {
  /// Between two ticks of the core. Nanoseconds.
  private static let tickInterval: UInt64 = 10_000_000
  /// Between two looks at the samples, as many come or none do. Nanoseconds.
  private static let drainIntervals: ClosedRange<UInt64> = 1_000_000...5_000_000
  /// A drain with more samples than this makes the next one come sooner.
  private static let samplesMany = 32
  /// Between two looks at who does not answer. Nanoseconds.
  private static let careInterval: UInt64 = 100_000_000
  /// Datagrams taken before the clock is looked at again.
  private static let batchesPerPass = 4

  private enum Token {
    static let datagrams: UInt64 = 0
    static let grace: UInt64 = 1
    static let stop: UInt64 = 2
    static let reload: UInt64 = 3
    static let neighbours: UInt64 = 4
    static let control: UInt64 = 5
  }

  var options: ControllerOptions
  let plane: any DirectoryPlane
  let log: Logger
  var core: ControllerCore
  var events = EventList()
  var promotions = PromotionLog()
  var moves = SlotMoveLog()
  var rates = RateWindow()
  let startedAt: UInt64
  private let socket: UDPSocket
  private let stop: WakeUp
  private let grace: GraceWaiter
  private let poll: EventPoll
  private let control: ControlReaders
  private let arrived: DatagramBatch
  private let leaving: DatagramBatch
  private var isSendingBlocked = false
  private var waiting: [ControllerEvent] = []
  /// The servers' addresses, both ways.
  private var endpoints: [UInt8: Endpoint] = [:]
  private var numbers: [Endpoint: UInt8] = [:]
  /// What the counts of a place were when its present entry was inserted.
  private var countsBefore: [UInt32: (reads: UInt64, writes: UInt64)] = [:]
  private var nextTick: UInt64 = 0
  private var nextDrain: UInt64 = 0
  private var drainInterval = drainIntervals.upperBound
  private var isStopping = false
  private var refusedClients = RefusedClients()
  /// Answers that lacked the rack's tag.
  private(set) var wrongTags: UInt64 = 0
  private var onServing: () -> Void
  /// Keeps on the disk whose data counts, and what was ordered; called when that changes, before it
  /// is true.
  package var record: ((ControllerCore) throws(ControllerError) -> Void)?
  /// Reads the rack file again; throws what is wrong with it. nil: there is none.
  package var readOptions: (() throws(ReloadRefusal) -> ControllerOptions)?
  private let reloadSignal: WakeUp?
  /// nil: every server's MAC address is given.
  let neighbours: NeighbourWatch?
  private var nextCare: UInt64 = 0
  private var recordedMembers: [RackMember] = []
  private var recordedOrders: [ServiceOrder] = []
  /// Why it cannot go on.
  private var failure: ControllerError?

  /// Nothing happens yet. `stop` ends the loop when it is signalled, `reload` has it read the rack
  /// file again; `onServing` is called once, when the rack begins to take requests.
  package init(
    _ options: ControllerOptions, core: ControllerCore, plane: any DirectoryPlane,
    socket: UDPSocket, listener: ControlListener, stop: WakeUp, reload: WakeUp? = nil,
    neighbours: NeighbourWatch? = nil, log: Logger, onServing: @escaping () -> Void
  ) throws(SocketError) {
    self.options = options
    self.core = core
    self.plane = plane
    self.socket = socket
    self.stop = stop
    self.log = log
    reloadSignal = reload
    self.neighbours = neighbours
    self.onServing = onServing
    recordedMembers = core.members
    recordedOrders = core.serviceOrders
    startedAt = MonotonicClock.now
    grace = try GraceWaiter(plane)
    poll = try EventPoll()
    control = try ControlReaders(listener, poll: poll, firstToken: Token.control)
    arrived = DatagramBatch(capacity: 64, datagramLengthMax: WireLimits.datagramLengthMax + 1)
    leaving = DatagramBatch(capacity: 256, datagramLengthMax: WireLimits.datagramLengthMax)
    try poll.add(socket.descriptor, token: Token.datagrams)
    try poll.add(grace.finished.descriptor, token: Token.grace)
    try poll.add(stop.descriptor, token: Token.stop)
    if let reload { try poll.add(reload.descriptor, token: Token.reload) }
    if let neighbours { try poll.add(neighbours.descriptor, token: Token.neighbours) }
    control.answer = { [unowned self] in answer($0) }
    knowServers()
  }

  /// Where datagrams to servers go, and whom those from them are of: as the options say.
  func knowServers() {
    endpoints = Dictionary(uniqueKeysWithValues: options.servers.map { ($0.number, $0.endpoint) })
    numbers = Dictionary(uniqueKeysWithValues: options.servers.map { ($0.endpoint, $0.number) })
  }

  /// Begins the epoch in the directory's memory and looks for the servers.
  package func begin() throws(SocketError) {
    try handle(.start(now: MonotonicClock.now))
  }

  /// Goes on with a directory that another controller has left behind: with what it contains now.
  package func adopt() throws(SocketError) {
    try handle(.adopt(now: MonotonicClock.now, plane.memory.contents()))
  }

  /// Runs until `stop` is signalled.
  package func run() throws {
    while !isStopping {
      try pass()
      if let failure { throw failure }
    }
  }

  private func pass() throws(SocketError) {
    var failure: SocketError?
    control.beginPass()
    try poll.wait(until: min(nextTick, nextDrain)) { token, readiness in
      do throws(SocketError) {
        try ready(token, readiness)
      } catch {
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
    let now = MonotonicClock.now
    if now >= nextDrain { try drainSamples(now) }
    if now >= nextTick { try tick(now) }
  }

  private func ready(_ token: UInt64, _ readiness: Readiness) throws(SocketError) {
    switch token {
    case Token.datagrams:
      if readiness.contains(.writable) { try flush() }
      if readiness != .writable { try receive() }
    case Token.grace:
      for token in grace.takeFinished() { try handle(.graceElapsed(token: token)) }
    case Token.stop:
      isStopping = true
    case Token.reload:
      reloadSignal?.clear()
      _ = reloadAnswer()
    case Token.neighbours:
      try takeNeighbourChanges()
    default:
      control.handle(token, readiness)
    }
  }

  // MARK: Events

  /// Takes an answer only from where its server is.
  private func receive() throws(SocketError) {
    for _ in 0..<Self.batchesPerPass {
      let count = try arrived.receive(from: socket)
      for index in 0..<count {
        guard let number = numbers[arrived.sender(index)] else { continue }
        guard options.keys?.areOf(arrived[index], .fromServer) ?? true else {
          wrongTags += 1
          continue
        }
        guard
          let message = try? Message(datagram: arrived[index]), message.header.server == number
        else { continue }
        try handle(.received(message, server: number))
      }
      if count < arrived.capacity { return }
    }
  }

  private func drainSamples(_ now: UInt64) throws(SocketError) {
    var failure: SocketError?
    let count = plane.drainSamples { sample in
      guard failure == nil else { return }
      do throws(SocketError) {
        switch sample.kind {
        case .collision: try handle(.otherKeySeen(keyHash: sample.keyHash))
        case .refused: refusedClients.add(sample.key, UInt64(sample.weight), now: now)
        case .request where sample.key.isEmpty: break
        case .request:
          try handle(
            .sample(
              keyHash: sample.keyHash, key: sample.key, operation: sample.operation,
              weight: sample.weight))
        }
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    try handle(.drained(now: now))
    let next = count > Self.samplesMany ? drainInterval / 2 : drainInterval * 2
    drainInterval = min(max(next, Self.drainIntervals.lowerBound), Self.drainIntervals.upperBound)
    nextDrain = now + drainInterval
  }

  private func tick(_ now: UInt64) throws(SocketError) {
    nextTick = now + Self.tickInterval
    let entries = core.entriesInUse
    let readings = zip(entries, plane.entryCounts(entries)).map { entry, counts in
      var reading = plane.memory.reading(ofEntry: entry)
      let before = countsBefore[entry] ?? (0, 0)
      reading.reads = counts.reads &- before.reads
      reading.writes = counts.writes &- before.writes
      return reading
    }
    if now >= rates.nextSample {
      rates.add(plane.steeredCounts(), at: now)
    }
    try handle(.tick(now: now, entries: readings, nextVersion: plane.memory.nextVersion))
    if let text = refusedClients.take(now: now) {
      events.add(text)
      log.warning("\(text)")
    }
    guard let neighbours, now >= nextCare else { return }
    nextCare = now + Self.careInterval
    neighbours.care(now, silent: Set(core.silentServers(for: NeighbourWatch.silence)))
  }

  // MARK: Effects

  /// Gives the core an event, and carries out what it wants done, in order.
  ///
  /// Messages leave together at the end. For the protocol that is a delay of the network: what is
  /// published after a message was to be sent never depends on that the message has arrived.
  func handle(_ event: ControllerEvent) throws(SocketError) {
    waiting.append(event)
    // Not begun anew by an event that an effect gives rise to.
    guard waiting.count == 1 else { return }
    var next = 0
    while next < waiting.count {
      let effects = core.handle(waiting[next])
      // Without the record nothing of this may become true.
      guard recordChanges() else { break }
      for effect in effects { try apply(effect) }
      next += 1
    }
    waiting.removeAll(keepingCapacity: true)
    try flush()
  }

  /// Has recorded what has changed of it. False: that failed, and the loop ends.
  private func recordChanges() -> Bool {
    guard core.members != recordedMembers || core.serviceOrders != recordedOrders else {
      return failure == nil
    }
    do throws(ControllerError) {
      try record?(core)
      recordedMembers = core.members
      recordedOrders = core.serviceOrders
    } catch {
      failure = failure ?? error
    }
    return failure == nil
  }

  private func apply(_ effect: ControllerEffect) throws(SocketError) {
    guard !options.isDryRun || DryRun.allows(effect) else { return }
    switch effect {
    case .publish(let change):
      noteCounts(change)
      plane.memory.apply(change)
    case .send(let message, let server):
      try send(message, to: server)
    case .awaitGrace(let token):
      grace.wait(token: token)
    case .reserveVersions(let count, let token):
      waiting.append(
        .versionsReserved(token: token, first: plane.memory.reserveVersions(count)))
    case .notice(let notice):
      tell(notice)
    }
    promotions.note(effect) { core.promotionAsked($0) }
    moves.note(effect, isUnderWay: core.isSlotMoveUnderWay)
  }

  /// An entry's counts begin at zero with it, whatever was counted at its place before.
  private func noteCounts(_ change: DirectoryChange) {
    switch change {
    case .insert(let entry, _, _): countsBefore[entry] = plane.entryCounts([entry]).first
    case .remove(let entry): countsBefore[entry] = nil
    default: break
    }
  }

  /// A message that finds no room is lost, as the network loses one; the core repeats it.
  private func send(_ message: Message, to server: UInt8) throws(SocketError) {
    guard let endpoint = endpoints[server] else { return }
    var bytes = message.encoded()
    options.keys?.sign(&bytes, .toServer)
    if leaving.isFull { try flush() }
    bytes.withUnsafeBytes { _ = leaving.append($0, to: endpoint) }
  }

  private func flush() throws(SocketError) {
    guard !leaving.isEmpty || isSendingBlocked else { return }
    try leaving.send(on: socket)
    guard leaving.isEmpty == isSendingBlocked else { return }
    isSendingBlocked = !leaving.isEmpty
    try poll.change(
      socket.descriptor, token: Token.datagrams,
      to: isSendingBlocked ? [.readable, .writable] : .readable)
  }

  private func tell(_ notice: ControllerNotice) {
    let text = notice.description
    events.add(text)
    switch notice {
    case .serverOfNewerEpoch(let server, let epoch) where !core.state.serving:
      failure =
        failure
        ?? .epochTooOld(
          path: options.stateFile, server: server, epoch: epoch, own: core.state.epoch)
    case .serverLost, .serverAway, .serverStateRefused, .serverDamaged, .serverOfNewerEpoch,
      .serverRenewed, .serverFull, .slotsMoved, .keyLost, .banned, .banRefused, .slotMoveGivenUp,
      .serverSlow, .durableRefused, .onTwoServers(false):
      log.warning("\(text)")
    case .takenOver(let takeOver):
      log.log(level: takeOver.missing.isEmpty ? .notice : .warning, "\(text)")
    case .finished, .givenUp, .floorRaised, .slotMoveFinished, .backupFilled:
      log.debug("\(text)")
    case .serving, .adopted:
      log.info("\(text)")
      onServing()
      onServing = {}
    case .serverAdmitted, .serverBack, .drainBegun, .drained, .serverAdded, .serverRecovered,
      .serverEnrolled, .serverForgotten, .onTwoServers(true):
      log.info("\(text)")
    }
  }
}

/// The latest events, for those who ask.
struct EventList {
  /// Older ones are forgotten.
  static let countMax = 1000

  private(set) var events: [ControlEvent] = []
  private var last: UInt64 = 0

  mutating func add(_ text: String) {
    last += 1
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    let milliseconds = UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
    events.append(ControlEvent(number: last, time: milliseconds, text: text))
    // In blocks, so that forgetting costs little for each.
    if events.count >= 2 * Self.countMax { events.removeFirst(Self.countMax) }
  }
}
