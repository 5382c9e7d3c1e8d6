internal import ClientCore
internal import ControllerCore
internal import Directory
internal import Linearizability
internal import ServerCore
internal import Wire

/// A rack under one seed: clients, servers and the controller as their cores, the directory as the
/// host build of the data plane's text, and a network between them that is as bad as the scenario
/// says. Real datagrams go through it.
///
/// It runs in stages: the rack starts, then requests and transitions meet a bad network, then the
/// network is good and everything has to finish, then what was held back arrives, then everybody
/// reads every key once more. Not thread-safe; one world for each seed.
final class RackWorld {
  enum Stage: Int { case starting, faulty, calming, draining, finalReads, done }

  let scenario: RackScenario
  let faults: SimulationFaults
  var scheduler = Scheduler<RackEvent>()
  var network: SimulatedNetwork<RackEndpoint>
  var trace: SimulationTrace
  var random: SimulationRandom
  var stage = Stage.starting
  var result: SimulationResult
  var failure: SimulationFailure?

  var memory: DirectoryMemory
  var servers: [SimulatedServer] = []
  var clients: [SimulatedClient] = []
  var controller: SimulatedController
  var watch: RackWatch
  var host = SimulatedHost()
  var processors: SimulatedProcessors
  var history = History()
  /// Submissions that are still to come.
  var operationsLeft: Int
  var outstanding = 0
  var valuesMade = 0
  /// What goes wrong around the rack.
  var world: WorldFaults
  /// Things that were asked of the controller.
  var commandsGiven = 0
  /// Of what concerns servers that are drained and added.
  var moving: SimulationRandom
  /// With two copies: everything was on two servers at the controller's last event.
  var wasOnTwo = false
  /// The same, of the directory before this one.
  var wasOnTwoBeforeReboot = false
  /// A server was declared lost when not everything was on two: values may be gone.
  var isLossExcused = false
  /// Transitions whose end has disturbed the network.
  var disturbances = 0
  private var stageStart: UInt64 = 0
  /// Of recorded operations: virtual time, but no two moments are the same.
  private var historyTime: Int64 = 0

  /// A network that does no wrong lets everything finish within so much virtual time.
  private static let calmLimit: UInt64 = 1_000_000_000

  init(_ scenario: RackScenario, faults: SimulationFaults, detail: SimulationTrace.Detail) {
    self.scenario = scenario
    self.faults = faults
    random = SimulationRandom(seed: scenario.seed, stream: 2)
    network = SimulatedNetwork(
      scenario.conditions, random: SimulationRandom(seed: scenario.seed, stream: 3))
    trace = SimulationTrace(detail)
    result = SimulationResult(seed: scenario.seed)
    result.servers = scenario.servers
    memory = DirectoryMemory(
      buckets: scenario.buckets, randomSeed: UInt32(truncatingIfNeeded: random.next()))
    memory.faults = faults.directory
    watch = RackWatch(places: memory.capacity)
    processors = SimulatedProcessors(random: SimulationRandom(seed: scenario.seed, stream: 4))
    moving = SimulationRandom(seed: scenario.seed, stream: 7)
    operationsLeft = scenario.operations
    world = WorldFaults(scenario)
    controller = SimulatedController(scenario, faults: faults, capacity: memory.capacity)
    for number in 0..<scenario.servers {
      servers.append(
        SimulatedServer(
          number: number, incarnation: random.next() | 1, scenario, faults: faults,
          disk: scenario.isDurable ? SimulatedRowStore() : nil))
    }
    for number in 0..<scenario.clients {
      clients.append(SimulatedClient(number: number, scenario, &random))
    }
  }

  /// Simulates until everything has finished, or something has gone wrong.
  func run() -> SimulationResult {
    start()
    while failure == nil, stage != .done, let event = scheduler.next() {
      handle(event)
      advanceStage()
    }
    if failure == nil { checkHistory() }
    if !controller.isDown { result.coverage.add(controller.core.state.totals) }
    result.coverage.finish(unknown: result.unknown)
    result.failure = failure
    result.traceHash = trace.hash
    result.events = trace.count
    result.duration = scheduler.now
    result.trace = trace.lines
    return result
  }

  private func start() {
    if scenario.requestsAreDirect {
      for client in clients.indices {
        network.setConditions(
          LinkConditions(delay: 0...0), of: .init(from: .client(client), to: .directory))
      }
    }
    give(.start(now: controller.clock.reading(at: 0)))
    scheduler.schedule(.tick, after: Self.tickInterval)
  }

  private func handle(_ event: RackEvent) {
    let pause = world.active.isEmpty ? 0 : world.pause(of: event)
    guard pause <= scheduler.now else {
      scheduler.schedule(event, at: pause)
      return
    }
    switch event {
    case .arrive(let to, let datagram, let from): arrive(datagram, at: to, from: from)
    case .serve(let server, let datagram, let fromController):
      serve(server, datagram, fromController: fromController)
    case .submit(let client): submit(client)
    case .clientTimer(let client): clientTimer(client)
    case .effect: carryOutEffect()
    case .tick: tick()
    case .graceElapsed(let token, let packets): graceElapsed(token, packets: packets)
    case .resume(let packet): resume(packet)
    case .command: command()
    case .changeServers: changeServers()
    case .settle(let disturbance): settle(disturbance)
    case .begin(let number): begin(worldFault: number)
    case .end(let number): end(worldFault: number)
    case .restart(let server): restart(server)
    case .synced(let server, let start): synced(server, start)
    case .drained: if stage == .draining { enter(.finalReads) }
    }
  }

  private func arrive(_ datagram: [UInt8], at to: RackEndpoint, from: RackEndpoint) {
    record(datagram, from, to)
    switch to {
    case .directory: arriveAtDirectory(datagram, from: from)
    case .server(let number):
      arriveAtServer(number, datagram, fromController: from == .controller)
    case .client(let number): arriveAtClient(number, datagram)
    case .controller: break  // it hears through the directory's host only
    }
  }

  /// Sends a datagram over a link: it arrives once, twice or never.
  func send(_ datagram: [UInt8], from: RackEndpoint, to: RackEndpoint) {
    // No link leads to a server that there is not, which a faulty controller may name.
    if case .server(let number) = to, number >= servers.count { return }
    let deliveries = network.deliveries(from: from, to: to, at: scheduler.now)
    if let delay = deliveries.first {
      scheduler.schedule(.arrive(to, datagram, from: from), after: delay)
    }
    if let delay = deliveries.second {
      scheduler.schedule(.arrive(to, datagram, from: from), after: delay)
    }
  }

  func fail(_ check: SimulationCheck, _ description: String) {
    guard failure == nil, check.isSeenByClients || !scenario.looksFromOutside else { return }
    failure = SimulationFailure(check: check, description: description, time: scheduler.now)
    trace.record(at: scheduler.now, code: 99, text: "FAILED \(check.rawValue): \(description)")
  }

  /// The next moment for the history: no two are the same.
  func historyMoment() -> Int64 {
    historyTime = max(historyTime + 1, Int64(scheduler.now))
    return historyTime
  }

  // MARK: Stages

  func enter(_ next: Stage) {
    stage = next
    stageStart = scheduler.now
    trace.record(at: scheduler.now, code: 1, values: UInt64(next.rawValue), text: "stage \(next)")
    switch next {
    case .starting, .done: break
    case .faulty:
      for client in clients.indices {
        for _ in 0..<scenario.outstanding { schedule(submitOf: client) }
      }
    case .calming:
      network.calm(delay: 10_000...50_000)
      endWorldFaults()
      for server in servers.indices where servers[server].isDown { restart(server) }
    case .draining:
      scheduler.schedule(.drained, after: scenario.conditions.hold.upperBound + 1_000_000)
    case .finalReads:
      for client in clients.indices { readEverything(client) }
    }
  }

  private func advanceStage() {
    switch stage {
    case .faulty:
      // The bad network stays while the last requests of all clients are under way.
      let isLate = scheduler.now > stageStart + scenario.faultyLimit
      if isLate || (operationsLeft == 0 && outstanding <= scenario.clients) { enter(.calming) }
    case .calming:
      if outstanding == 0 && isControllerQuiet { enter(.draining) } else { checkLiveness() }
    case .draining: break
    case .finalReads:
      // A server that was slow may get slots again meanwhile.
      if outstanding == 0 && isControllerQuiet {
        checkSlots()
        enter(.done)
      } else {
        checkLiveness()
      }
    case .starting: checkLiveness()
    case .done: break
    }
  }

  private func checkLiveness() {
    guard scheduler.now > stageStart + Self.calmLimit else { return }
    let transitions = isControllerQuiet ? "no transition" : "a transition"
    fail(
      .liveness,
      "\(outstanding) requests and \(transitions) still under way after "
        + "\(Self.calmLimit / 1_000_000) ms in stage \(stage)")
  }

  private func checkHistory() {
    if let problem = VersionConsistency.problem(in: history) {
      fail(.versionOrder, problem)
      return
    }
    let report = LinearizabilityChecker(stepLimit: 2_000_000).check(history)
    switch report.verdict {
    case .linearizable: break
    case .undecided(let key): fail(.linearizability, "undecided for \(key)")
    case .notLinearizable(let violation):
      let lines = violation.operations.prefix(12).map { "\n    " + history.description(of: $0) }
      fail(.linearizability, "no order explains these of \(violation.key):" + lines.joined())
    }
  }

  private func record(_ datagram: [UInt8], _ from: RackEndpoint, _ to: RackEndpoint) {
    let (first, second) = datagram.withUnsafeBytes { bytes in
      (
        bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)
          ^ bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self),
        bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self)
          ^ bytes.loadUnaligned(fromByteOffset: 64, as: UInt64.self)
      )
    }
    trace.record(
      at: scheduler.now, code: 2, values: first, second,
      text: DatagramText.of(datagram, from: from, to: to))
  }
}
