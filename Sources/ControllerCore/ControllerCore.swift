internal import Directory
internal import KeyTemperature
internal import Wire

/// The controller of one rack: chooses the hot keys, runs the transitions, watches the servers
/// (docs/protocol.md §5, §6, §8). Pure: it has no socket, clock or randomness of its own, and the
/// same events give the same effects.
///
/// At any time it runs at most one *batch* of transitions or one *recovery* from lost servers;
/// admissions, probes and floors go on beside them. Every message is sent again until it is
/// answered, and every step may be repeated.
public struct ControllerCore: Sendable {
  /// As `reconfigure` and `relocate` have left it.
  var configuration: ControllerConfiguration
  /// Breaks the protocol on purpose, to test that tests notice.
  public var faults: ControllerFaults = []

  var effects: [ControllerEffect] = []
  var now: UInt64 = 0
  private var lastTick: UInt64 = 0
  /// The directory is another controller's; a grace period has to pass before anything is begun.
  var isAdopting = false
  var startedAt: UInt64 = 0
  var generation: UInt64
  /// The rack's counter at the last tick.
  var nextVersion: UInt64
  var serving = false
  var totals = ControllerTotals()
  /// Begins with the epoch, so that no answer to an earlier directory is taken for one to this.
  private(set) var lastSequence: UInt64
  private var lastToken: UInt64 = 0
  var graceActions: [UInt64: [GraceAction]] = [:]
  /// The last time that servers began to join.
  var joinAttempt: UInt64 = 0

  // Servers and slots (Servers.swift, Recovery.swift).
  var servers: [ServerRecord]
  var alive: UInt32 = 0
  /// As it is written down: the servers that are waited for.
  var awayNoted: UInt32 = 0
  /// Whose data counts, in which start of them: to be known to the next epoch's directory, and so
  /// on the disk before the effects of the event that changed it are carried out.
  public internal(set) var members: [RackMember]
  /// Which servers were drained or added by command, ascending: to be kept like the members.
  public internal(set) var serviceOrders: [ServiceOrder]
  /// How the servers of an earlier epoch were taken over; nil: there were none.
  var takeOver: TakeOver?
  var reboot: Reboot
  var slots = SlotTable()
  /// The generation of the newest loss of a server; 0: none.
  var lossGeneration: UInt64 = 0
  /// Of the newest loss that may have taken with it what no other server had; 0: none.
  var unsafeLoss: UInt64 = 0
  var recovery: Recovery?

  // Keys (Entries.swift, Transitions.swift).
  var entries = EntryTable()
  var placement: EntryPlacement
  var targets = TargetTables()
  /// With the fault `plainTargetChange` only.
  var faultyRotation = 0
  var batch: Batch?
  var requests: [TransitionRequest] = []
  /// Keys whose newest value was lost, while nothing was written since as far as we know.
  var lostKeys: Set<UInt64> = []
  var bans: [UInt64: UInt64] = [:]
  /// As they are written down, by place.
  var bansNoted = Array(repeating: Ban(keyHash: 0, until: 0), count: DirectoryContents.bansMax)

  // Forgetting (Floor.swift).
  var floorRound: FloorRound?
  var floorWanted = false
  var nextFloor: UInt64 = 0

  // Slots that move between living servers (SlotMoves.swift, Draining.swift, SlowServers.swift).
  var move: SlotMove?
  var nextMove: UInt64 = 0
  var nextRefill: UInt64 = 0
  /// Slots have begun to move, and go on until all is even.
  var isBalancing = false
  var isBalancingBackups = false
  /// As was last told: everything is on two servers.
  var wasOnTwo = false
  /// Messages that moves may take now.
  var moveCredit = 0.0
  /// Servers that get no copies, as the directory knows them.
  var spared: UInt32 = 0
  /// Servers that are to take no part, as the directory knows them.
  var drained: UInt32 = 0
  var nextSlowWatch: UInt64 = 0

  var policy: PolicyState

  /// A controller that waits for `start`.
  public init(_ configuration: ControllerConfiguration) {
    self.configuration = configuration
    nextVersion = configuration.firstVersion
    lastSequence = UInt64(configuration.epoch) << 48
    generation = Generation.first(ofEpoch: configuration.epoch)
    let numbers = configuration.servers.keys.sorted()
    servers = numbers.compactMap { number in
      configuration.servers[number].map { ServerRecord(number: number, place: $0) }
    }
    members = configuration.members
    serviceOrders = configuration.serviceOrders
    reboot = Reboot(deadline: .max)
    placement = EntryPlacement(capacity: configuration.capacity)
    policy = PolicyState(configuration.policy, seed: configuration.seed)
    drainFromTheStart()
  }

  /// Takes one event; returns what is to be done, in order.
  public mutating func handle(_ event: ControllerEvent) -> [ControllerEffect] {
    switch event {
    case .start(let now): start(now)
    case .adopt(let now, let found): adopt(now, found)
    case .tick(let now, let readings, let nextVersion): tick(now, readings, nextVersion)
    case .sample(let hash, let key, let operation, let weight):
      policy.sample(
        hash, key: key, isRead: operation == .get, weight: Double(weight),
        isHot: entries.contains(hash))
    case .drained(let now): drained(now)
    case .received(let message, let server): receive(message, from: server)
    case .graceElapsed(let token): graceElapsed(token)
    case .versionsReserved(let token, let first): versionsReserved(token, first)
    case .otherKeySeen(let hash): collide(hash)
    case .command(let command): obey(command)
    case .reconfigure(let change): reconfigure(change)
    case .relocate(let server, let interface, let mac):
      relocate(server, interface: interface, mac: mac)
    }
    defer { effects.removeAll(keepingCapacity: true) }
    return effects
  }

  /// The directory entries that `tick` wants readings of, in ascending order.
  public var entriesInUse: [UInt32] { entries.inOrder.map(\.index).sorted() }

  /// When the promotion of a key that is under way was asked for (`now` of the latest event with a
  /// time); nil: none is.
  public func promotionAsked(_ keyHash: UInt64) -> UInt64? {
    batch?.items.first { $0.keyHash == keyHash }?.asked
  }

  /// No transition, recovery or admission is under way or waiting.
  public var isQuiet: Bool {
    serving && batch == nil && recovery == nil && requests.isEmpty
      && !entries.inOrder.contains { $0.want != nil || $0.mode != .hot || isOutdated($0) }
      && servers.allSatisfy { record in
        switch record.phase {
        case .alive: !record.isDraining
        case .unknown, .lost, .drained: true
        default: false
        }
      }
      && move == nil && !isMoveDue && graceActions.isEmpty
  }

  /// Its time begins. Messages are numbered by the clock, so that no answer to a controller before
  /// this one is taken for an answer to this one's: none sends as many as one in a nanosecond.
  mutating func begin(_ now: UInt64) {
    self.now = now
    lastTick = now
    startedAt = now
    lastSequence = now
    lastToken = now
    nextFloor = now + configuration.times.floor
  }

  mutating func start(_ now: UInt64) {
    begin(now)
    publish(
      .begin(
        epoch: configuration.epoch, serverCount: UInt32(servers.last?.number ?? 0) + 1,
        nextVersion: configuration.firstVersion, window: configuration.window))
    publish(.setServing(false))
    publish(.setAlive(0))
    // Where they are, so that their answers get through to us; not yet who they are.
    for server in servers { publish(.setServer(server.number, server.place)) }
    publish(.setGeneration(generation))
    publish(.setSampleInterval(policy.sampleInterval))
    publish(.setReadChoice(configuration.policy.readChoice))
    publish(.setSpared(0))
    publish(.setDrained(0))
    publishSpared()
    reboot = Reboot(deadline: now + configuration.times.start)
    for index in servers.indices {
      servers[index].probesFrom = lastSequence
      probe(index)
    }
  }

  private mutating func tick(_ now: UInt64, _ readings: [EntryReading], _ nextVersion: UInt64) {
    let elapsed = now - lastTick
    self.now = now
    lastTick = now
    self.nextVersion = nextVersion
    publish(.decayLoads)
    readEntries(readings, elapsed: elapsed)
    watchServers(elapsed: elapsed)
    driveReboot()
    watchSlowServers()
    driveRecovery()
    driveBatch()
    driveMove(elapsed: elapsed)
    driveDrains()
    driveFloor()
    adaptCopies()
    settleMembers()
    if let interval = policy.advance(to: now, servers: living.count) {
      publish(.setSampleInterval(interval))
    }
    decide()
    beginWhatWaits()
  }

  /// Starts the next batch, if nothing stands in its way.
  mutating func beginWhatWaits() {
    guard serving, recovery == nil, batch == nil, !isAdopting, move?.isFrozen != true else {
      return
    }
    joinReadyServers()
    guard !servers.contains(where: { $0.phase == .joining }), !isAnyAway else { return }
    // First, since it takes a few round trips only, and the slots change meanwhile.
    guard !freezeMove() else { return }
    beginFloor()
    dropBackups()
    guard recovery == nil else { return }
    beginMove()
    beginBatch()
  }

  private mutating func receive(_ message: Message, from number: UInt8) {
    let header = message.header
    guard let index = servers.firstIndex(where: { $0.number == number }), header.server == number
    else { return }
    if header.operation == .probeAck {
      probed(index, message)
      return
    }
    guard header.epoch == configuration.epoch,
      header.incarnation == servers[index].incarnation, servers[index].incarnation != 0
    else { return }
    servers[index].lastHeard = now
    switch header.operation {
    case .admitAck: admitted(index, header)
    case .slotsAck: slotsAcknowledged(index, header)
    case .floorAck: floorAcknowledged(number, header)
    case .fenceAck: fenceAcknowledged(number, message)
    case .syncAck: syncAcknowledged(number, header)
    case .learnAck: learnAcknowledged(number, message)
    case .slotsMoveAck: moveAcknowledged(number, message)
    default: break
    }
  }

  private mutating func graceElapsed(_ token: UInt64) {
    for action in graceActions.removeValue(forKey: token) ?? [] {
      switch action {
      case .freePlace(let index): placement.giveBack(index)
      case .freeBase(let hash, let index): entries.releaseBase(hash, index)
      case .freeTable(let table): targets.free(table)
      case .recover(let attempt): recoveryGraceElapsed(attempt)
      case .join(let attempt): join(attempt: attempt)
      case .adopted: isAdopting = false
      case .forget(let server): forgetDrained(server)
      }
    }
    beginWhatWaits()
  }

  // MARK: Effects

  mutating func publish(_ change: DirectoryChange) { effects.append(.publish(change)) }
  mutating func notice(_ notice: ControllerNotice) { effects.append(.notice(notice)) }

  /// The next generation, published.
  mutating func raiseGeneration() -> UInt64 {
    generation += 1
    publish(.setGeneration(generation))
    return generation
  }

  /// Does these things once every packet that is being handled now has been.
  mutating func afterGrace(_ actions: [GraceAction]) {
    guard !actions.isEmpty else { return }
    let token = newToken()
    graceActions[token] = actions
    effects.append(.awaitGrace(token: token))
  }

  mutating func newToken() -> UInt64 {
    lastToken += 1
    return lastToken
  }

  mutating func newSequence() -> UInt64 {
    lastSequence += 1
    return lastSequence
  }

  /// A message of ours: to this server in its present incarnation.
  func header(_ operation: Operation, to number: UInt8, generation: UInt64) -> Header {
    var header = Header(operation)
    header.server = number
    header.epoch = configuration.epoch
    header.incarnation = servers.first { $0.number == number }?.incarnation ?? 0
    header.generation = generation
    return header
  }

  mutating func send(_ message: Message) {
    effects.append(.send(message, to: message.header.server))
  }

  /// The numbers of the living servers, ascending.
  var living: [UInt8] { servers.filter { $0.phase == .alive }.map(\.number) }
}

/// What waits for a grace period.
enum GraceAction: Sendable {
  case freePlace(UInt32)
  case freeBase(keyHash: UInt64, index: UInt32)
  case freeTable(UInt8)
  case recover(attempt: UInt64)
  case join(attempt: UInt64)
  case adopted
  case forget(UInt8)
}

func bit(_ server: UInt8) -> UInt32 { 1 << UInt32(server) }
