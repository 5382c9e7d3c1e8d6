internal import Linearizability
internal import Paxos
internal import StoreState

enum StoreEndpoint: Hashable, Sendable {
  case node(Int)
  case client(Int)
}

/// What happens in a simulated store.
enum StoreWorldEvent {
  case message(Message, from: Int, to: Int)
  /// A sync has ended. `boot`: of the replica's start that asked for it.
  case synced(node: Int, boot: Int, position: UInt64)
  case tick(node: Int, boot: Int)
  case request(client: Int, number: Int, node: Int)
  case reply(client: Int, number: Int, Outcome)
  /// A client begins its next operation.
  case next(client: Int)
  case clientTimeout(client: Int, number: Int, attempt: Int)
  case worldFault
  case start(node: Int)
  /// A partition ends.
  case mend(number: Int)
  /// A snapshot of a replica begins; a part of it is taken.
  case snapshot
  case snapshotPart(node: Int, boot: Int, number: UInt64)
}

/// A Paxos store under one seed: its replicas are the production cores, with disks, clocks and a
/// network that are as bad as the scenario says. First everything goes wrong; then everything is
/// good, all requests have to end, all replicas have to agree, and every client reads once more.
///
/// Faults are in StoreWorldFaults.swift, clients in StoreWorldClients.swift. Not thread-safe.
final class StoreWorld {
  enum Stage: Int { case faulty, calm, converging, finalReads, done }

  struct Node {
    /// Nil: it is down.
    var replica: Replica?
    var disk = SimulatedDisk()
    var clock: SimulatedClock
    var boot = 0
    var pausedUntil: UInt64 = 0
    var isSyncing = false
    var tickAt: UInt64?
    /// The snapshots of it that are being taken, by number, and what has to come in them yet.
    var snapshots: [UInt64: [ObjectID: SnapshotMark]] = [:]
    /// Requests that it works on.
    var requests: [RequestID: (client: Int, number: Int)] = [:]
  }

  let scenario: StoreScenario
  let faults: Set<StoreFault>
  let cell: Cell
  var scheduler = Scheduler<StoreWorldEvent>()
  var network: SimulatedNetwork<StoreEndpoint>
  var random: SimulationRandom
  var snapshotRandom: SimulationRandom
  var trace: SimulationTrace
  var result: StoreResult
  var failure: StoreFailure?
  var stage = Stage.faulty
  var stageStart: UInt64 = 0
  var nodes: [Node] = []
  var clients: [SimulatedStoreClient] = []
  var watch: StoreWatch
  var history = History()
  var operationsLeft: Int
  var busyClients = 0
  var requestsMade: UInt64 = 0
  var boots: UInt64 = 0
  /// Links that carry nothing: from, to.
  var isCut: [[Bool]]
  var partitions = 0
  private var historyTime: Int64 = 0

  /// A stage with faults ends after so much virtual time, whatever is still to be done.
  private static let faultyLimit: UInt64 = 20_000_000_000
  private static let calmLimit: UInt64 = 30_000_000_000

  init(_ scenario: StoreScenario, faults: [StoreFault], detail: SimulationTrace.Detail) {
    self.scenario = scenario
    self.faults = Set(faults)
    random = SimulationRandom(seed: scenario.seed, stream: 102)
    snapshotRandom = SimulationRandom(seed: scenario.seed, stream: 105)
    network = SimulatedNetwork(
      scenario.conditions, random: SimulationRandom(seed: scenario.seed, stream: 103))
    trace = SimulationTrace(detail)
    result = StoreResult(seed: scenario.seed)
    operationsLeft = scenario.operations
    let members = scenario.zones.enumerated().map {
      Member(NodeID(UInt16($0.offset)), zone: $0.element)
    }
    do { cell = try Cell(members, scenario.quorums) } catch { fatalError("scenario: \(error)") }
    isCut = Array(repeating: Array(repeating: false, count: members.count), count: members.count)
    watch = StoreWatch(
      nodes: members.count,
      GroupLimits(sessions: scenario.sessionsMax, events: scenario.eventsMax))
    for _ in members { nodes.append(Node(clock: randomClock())) }
    for number in 0..<scenario.clients {
      clients.append(
        SimulatedStoreClient(
          number: number, node: random.integer(in: 0...members.count - 1), clock: randomClock()))
    }
  }

  private func randomClock() -> SimulatedClock {
    let drift = Int(scenario.driftPPM)
    return SimulatedClock(
      offset: random.duration(in: 0...3_600_000_000_000),
      driftPPM: Int64(random.integer(in: -drift...drift)))
  }

  /// Simulates until everything has finished, or something has gone wrong.
  func run() -> StoreResult {
    for node in nodes.indices { start(node) }
    for client in clients.indices { scheduleNext(client) }
    if !scenario.weights.isEmpty {
      scheduler.schedule(.worldFault, after: random.duration(in: scenario.faultInterval))
    }
    scheduleSnapshot()
    while failure == nil, stage != .done, let event = scheduler.next() {
      handle(event)
      advanceStage()
    }
    if failure == nil { checkHistory() }
    for node in nodes.indices { collect(node) }
    result.failure = failure
    result.traceHash = trace.hash
    result.totals.events = trace.count
    result.duration = scheduler.now
    result.trace = trace.lines
    return result
  }

  func fail(_ check: StoreCheck, _ description: String) {
    guard failure == nil else { return }
    failure = StoreFailure(check: check, description: description, time: scheduler.now)
    record(99, text: "FAILED \(check.rawValue): \(description)")
  }

  func record(
    _ code: UInt64, _ first: UInt64 = 0, _ second: UInt64 = 0, text: @autoclosure () -> String
  ) {
    trace.record(at: scheduler.now, code: code, values: first, second, text: text())
  }

  /// The next moment for the history: no two are the same.
  func historyMoment() -> Int64 {
    historyTime = max(historyTime + 1, Int64(scheduler.now))
    return historyTime
  }

  private func handle(_ event: StoreWorldEvent) {
    switch event {
    case .message(let message, let from, let to):
      guard isUp(to, event) else { return }
      record(
        2, UInt64(from), UInt64(to), text: "node \(from) -> node \(to): \(StoreText.of(message))")
      step(to) { $0.receive(message, from: NodeID(UInt16(from)), now: $1) }
    case .synced(let node, let boot, let position):
      // The disk does its work while the process stands still.
      guard nodes[node].boot == boot, nodes[node].replica != nil else { return }
      guard isUp(node, event) else { return }
      record(3, UInt64(node), position, text: "node \(node): synced through \(position)")
      nodes[node].isSyncing = false
      nodes[node].disk.sync(through: position)
      if let replica = nodes[node].replica, !replica.hasLostVotes, position == replica.position {
        nodes[node].disk.heal()
      }
      step(node) { $0.synced(through: position, now: $1) }
    case .tick(let node, let boot):
      guard nodes[node].boot == boot, isUp(node, event) else { return }
      nodes[node].tickAt = nil
      step(node) { $0.advance(to: $1) }
    case .request(let client, let number, let node):
      guard isUp(node, event) else { return }
      arrive(client, number, at: node)
    case .reply(let client, let number, let outcome): answered(client, number, outcome)
    case .next(let client): next(client)
    case .clientTimeout(let client, let number, let attempt):
      timedOut(client, number, attempt: attempt)
    case .worldFault: worldFault()
    case .start(let node): if nodes[node].replica == nil { start(node) }
    case .mend(let number): if number == partitions { mend() }
    case .snapshot: beginSnapshot()
    case .snapshotPart(let node, let boot, let number):
      guard nodes[node].boot == boot, isUp(node, event) else { return }
      takeSnapshotPart(node, number)
    }
  }

  /// Whether a node takes an event now; one that is paused takes it later.
  private func isUp(_ node: Int, _ event: StoreWorldEvent) -> Bool {
    guard nodes[node].replica != nil else { return false }
    guard nodes[node].pausedUntil <= scheduler.now else {
      scheduler.schedule(event, at: nodes[node].pausedUntil)
      return false
    }
    return true
  }

  // MARK: Replicas

  /// Lets a replica take an event, and carries out what it wants done.
  func step(_ node: Int, _ event: (inout Replica, UInt64) -> [ReplicaEffect]) {
    guard var replica = nodes[node].replica else { return }
    nodes[node].replica = nil
    let effects = event(&replica, nodes[node].clock.reading(at: scheduler.now))
    nodes[node].replica = replica
    for effect in effects { carryOut(effect, of: node) }
    beginSync(node)
    scheduleTick(node)
  }

  private func carryOut(_ effect: ReplicaEffect, of node: Int) {
    switch effect {
    case .append(let entry, let position):
      nodes[node].disk.append(entry, position: position)
      if let (check, problem) = watch.write(entry, by: node) { fail(check, problem) }
    case .send(let message, let to): send(message, from: node, to: Int(to.rawValue))
    case .reply(let request, let outcome):
      guard let origin = nodes[node].requests.removeValue(forKey: request) else { return }
      check(outcome, of: origin, at: node)
      sendReply(outcome, to: origin, from: node)
    case .learned(let object, let entry, let value): learned(object, entry, value, by: node)
    case .installed(let object, let entry):
      record(6, UInt64(node), entry, text: "node \(node): installed \(object) \(entry)")
      checkState(object, at: node)
    case .diverged(let object, let entry, let other):
      fail(.state, "node \(node) and node \(other.rawValue) differ: \(object) entry \(entry)")
    }
  }

  private func learned(_ object: ObjectID, _ entry: UInt64, _ value: Value, by node: Int) {
    record(
      4, UInt64(node), entry,
      text: "node \(node): \(object) entry \(entry) is \(StoreText.of(value))")
    let newest = watch.reference(object).newest
    if entry == newest + 1 {
      let change = watch.withReference(object) { $0.append(value) }
      if let problem = change.problem { fail(.exactlyOnce, problem) }
      for lease in change.endedLeases { checkEnd(of: lease, object) }
      for key in change.endedKeys { recordEnd(of: key, object) }
    } else {
      let first = entry <= newest ? watch.reference(object).values[Int(entry)] : nil
      if first != value.id {
        let text = first.map(StoreText.of) ?? "nothing"
        fail(
          .oneValuePerEntry,
          "\(object) entry \(entry): \(text), then \(StoreText.of(value.id))")
      }
    }
    checkState(object, at: node)
    if random.chance(scenario.storing) { store(object, at: node) }
  }

  /// A replica's state has to be that of everybody else after the same entry.
  private func checkState(_ object: ObjectID, at node: Int) {
    guard let replica = nodes[node].replica, let state = replica.state(of: object) else { return }
    let chosen = replica.chosen(of: object)
    let reference = watch.reference(object)
    guard chosen <= reference.newest else { return }
    if state.digest != reference.digests[Int(chosen)] {
      fail(.state, "node \(node), \(object): not what others have after entry \(chosen)")
    }
  }

  func store(_ object: ObjectID, at node: Int) {
    guard let replica = nodes[node].replica, let image = replica.image(of: object) else { return }
    let isApart = faults.contains(.appliedApart) && random.chance(0.5)
    nodes[node].disk.store(object, image, position: replica.position, isApart: isApart)
  }

  func send(_ message: Message, from: Int, to: Int) {
    guard !isCut[from][to] else { return }
    let deliveries = network.deliveries(from: .node(from), to: .node(to))
    for delay in [deliveries.first, deliveries.second] {
      if let delay { scheduler.schedule(.message(message, from: from, to: to), after: delay) }
    }
  }

  private func beginSync(_ node: Int) {
    guard let replica = nodes[node].replica, !nodes[node].isSyncing,
      replica.position > nodes[node].disk.syncedPosition
    else { return }
    nodes[node].isSyncing = true
    let delay = stage == .faulty ? random.duration(in: scenario.syncDelay) : 100_000
    scheduler.schedule(
      .synced(node: node, boot: nodes[node].boot, position: replica.position), after: delay)
  }

  private func scheduleTick(_ node: Int) {
    guard let deadline = nodes[node].replica?.nextDeadline else { return }
    let time = max(scheduler.now, nodes[node].clock.time(ofReading: deadline))
    if let tickAt = nodes[node].tickAt, tickAt <= time { return }
    nodes[node].tickAt = time
    scheduler.schedule(.tick(node: node, boot: nodes[node].boot), at: time)
  }

  func start(_ node: Int) {
    boots += 1
    nodes[node].boot += 1
    nodes[node].isSyncing = false
    nodes[node].tickAt = nil
    nodes[node].requests = [:]
    nodes[node].snapshots = [:]
    nodes[node].pausedUntil = 0
    watch.restart(node)
    var configuration = ReplicaConfiguration(cell: cell, node: NodeID(UInt16(node)))
    configuration.limits = GroupLimits(
      sessions: scenario.sessionsMax, events: scenario.eventsMax)
    configuration.patience = scenario.patience
    configuration.readPatience = scenario.readPatience
    configuration.suffixMax = scenario.suffixMax
    for fault in faults { configuration.faults.formUnion(fault.ofReplica) }
    let durable = nodes[node].disk.start(
      incarnation: boots, sessionsInMemory: faults.contains(.sessionsInMemory))
    do {
      nodes[node].replica = try Replica(
        configuration, incarnation: boots, randomSeed: random.next(), from: durable,
        now: nodes[node].clock.reading(at: scheduler.now))
    } catch {
      fatalError("node \(node): \(error)")
    }
    record(5, UInt64(node), boots, text: "node \(node) starts, incarnation \(boots)")
    for object in objectIDs { checkState(object, at: node) }
    scheduleTick(node)
  }

  /// Adds what a replica has counted to the totals, before it goes.
  func collect(_ node: Int) {
    guard let counts = nodes[node].replica?.counts else { return }
    result.totals.fastRounds += counts.fastRounds
    result.totals.slowRounds += counts.slowRounds
    result.totals.quorumReads += counts.quorumReads
    result.totals.roundReads += counts.roundReads
    result.totals.localReads += counts.localReads
    result.totals.snapshots += counts.snapshotsInstalled
    result.totals.recovered += counts.recovered
  }

  var objectIDs: [ObjectID] { (0..<scenario.objects).map { ObjectID("g\($0)") } }

  // MARK: Stages

  private func enter(_ next: Stage) {
    stage = next
    stageStart = scheduler.now
    record(1, UInt64(next.rawValue), text: "stage \(next)")
    switch next {
    case .faulty, .done, .converging: break
    case .calm:
      network.calm(delay: 100_000...500_000)
      mend()
      for node in nodes.indices {
        if nodes[node].replica == nil { start(node) }
        nodes[node].pausedUntil = 0
      }
    case .finalReads:
      for client in clients.indices { clients[client].finalReads = objectIDs }
      for client in clients.indices where clients[client].pending == nil { self.next(client) }
    }
  }

  private func advanceStage() {
    let isLate = scheduler.now > stageStart + Self.calmLimit
    switch stage {
    case .faulty:
      if operationsLeft == 0 || scheduler.now > Self.faultyLimit { enter(.calm) }
    case .calm:
      if operationsLeft == 0 && busyClients == 0 {
        enter(.converging)
      } else if isLate {
        fail(.liveness, "\(busyClients) requests do not end though nothing goes wrong")
      }
    case .converging:
      if let apart = notConverged() {
        if isLate { fail(.liveness, apart) }
      } else {
        enter(.finalReads)
      }
    case .finalReads:
      if busyClients == 0 && clients.allSatisfy(\.finalReads.isEmpty) {
        enter(.done)
      } else if isLate {
        fail(.liveness, "the last reads do not end")
      }
    case .done: break
    }
  }

  /// Where a replica is not yet where all others are; nil: nowhere.
  private func notConverged() -> String? {
    for object in objectIDs {
      let newest = watch.reference(object).newest
      guard newest > 0 else { continue }
      for (number, node) in nodes.enumerated() {
        let chosen = node.replica?.chosen(of: object) ?? 0
        if chosen < newest {
          return "node \(number) stays at \(object) entry \(chosen) of \(newest)"
        }
        if node.replica?.isVoting(on: object) == false {
          return "node \(number) does not get to vote on \(object)"
        }
      }
    }
    for (number, node) in nodes.enumerated() where node.replica?.hasLostVotes == true {
      return "node \(number) does not make good what it lost"
    }
    return nil
  }

  private func checkHistory() {
    let report = LinearizabilityChecker(stepLimit: 500_000).check(history)
    switch report.verdict {
    case .linearizable, .undecided: break
    case .notLinearizable(let violation):
      let lines = violation.operations.prefix(12).map { "\n    " + history.description(of: $0) }
      fail(.linearizability, "no order explains these of \(violation.key):" + lines.joined())
    }
  }
}
