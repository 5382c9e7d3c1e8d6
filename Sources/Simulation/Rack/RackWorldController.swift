internal import ControllerCore
internal import Directory
internal import Wire

/// The controller of a simulated rack, and what waits for it.
struct SimulatedController {
  var core: ControllerCore
  /// Effects that are still to be carried out, oldest first.
  var effects: [ControllerEffect] = []
  var nextEffect = 0
  /// A change of the directory that it is in the middle of.
  var changing: (change: DirectoryChange, stores: SteppedChange)?
  /// Events that came while effects were carried out; nil: a tick.
  var inbox: [ControllerEvent?] = []
  let clock: SimulatedClock
  /// It has died, and nobody has taken its place.
  private(set) var isDown = false
  /// Effects after which it dies; nil: it lives on.
  var effectsLeft: Int?

  init(
    _ scenario: RackScenario, faults: SimulationFaults, capacity: Int, epoch: UInt16 = 1,
    members: [RackMember] = [], serviceOrders: [ServiceOrder] = []
  ) {
    var places: [UInt8: ServerPlace] = [:]
    for server in 0..<UInt8(scenario.servers) {
      places[server] = ServerPlace(
        incarnation: 0, interface: UInt32(server) + 1, port: WireLimits.port,
        mac: [2, 0, 0, 0, 0, server],
        address: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, server + 1])
    }
    var configuration = ControllerConfiguration(
      epoch: epoch, servers: places, window: scenario.window, capacity: capacity,
      seed: scenario.seed)
    configuration.copies = scenario.copies
    configuration.policy.automatic = scenario.isAutomatic
    configuration.policy.minimumStay = 2_000_000
    configuration.policy.interval = 2_000_000
    configuration.policy.promoteShare = 0.3
    configuration.policy.demoteShare = 0.2
    configuration.policy.movesPerSecond = 1_000
    configuration.times.resend = max(
      1_000_000, 4 * scenario.conditions.delay.upperBound, 20 * scenario.effectDelay.upperBound)
    configuration.times.transition = 40_000_000
    configuration.times.again = 2_000_000
    configuration.times.probe = min(10_000_000, scenario.serverTimeout / 10)
    configuration.times.serverTimeout = scenario.serverTimeout
    configuration.times.serverReturn = scenario.returnTimeout
    configuration.times.floor = 0
    configuration.times.floorDelay = scenario.floorDelay
    configuration.times.copyOrder = 1_000_000
    // Longer than servers are away; those that are not heard of until then are lost.
    configuration.times.start = 150_000_000
    configuration.members = members
    configuration.serviceOrders = serviceOrders
    configuration.times.slotFreeze = 40_000_000
    configuration.times.rebalance = scenario.rebalance
    configuration.policy.rebalances = scenario.rebalances
    configuration.policy.movedSlotsMax = scenario.movedSlots
    configuration.policy.movedKeysPerSecond = 1_000_000
    configuration.policy.slow.roundTrip = 5_000_000
    configuration.policy.slow.after = 20_000_000
    configuration.policy.slow.recovery = 50_000_000
    core = ControllerCore(configuration)
    core.faults = faults.controller
    clock = SimulatedClock(offset: 7_000_000_000, driftPPM: Int64(scenario.driftMax / 5))
  }

  var isBusy: Bool { changing != nil || nextEffect < effects.count }

  /// Everything that it was about to do is left undone.
  mutating func die() {
    isDown = true
    effectsLeft = nil
    (effects, nextEffect, inbox) = ([], 0, [])
    changing = nil
  }
}

extension RackWorld {
  static let tickInterval: UInt64 = 1_000_000

  var isControllerQuiet: Bool {
    !controller.isDown && controller.core.isQuiet && !controller.isBusy && controller.inbox.isEmpty
  }

  /// Gives the controller an event, once it has done what it was about.
  func give(_ event: ControllerEvent) {
    guard !host.isDown, !controller.isDown else { return }
    controller.inbox.append(event)
    serveController()
  }

  func tick() {
    scheduler.schedule(.tick, after: Self.tickInterval)
    guard !host.isDown, !controller.isDown else { return }
    controller.inbox.append(nil)
    serveController()
  }

  private func serveController() {
    while !controller.isBusy, !controller.inbox.isEmpty,
      world.controllerPaused <= scheduler.now
    {
      let event = controller.inbox.removeFirst() ?? tickEvent()
      noteCopies()
      controller.effects = controller.core.handle(event)
      // On the disk before it is true.
      host.members = controller.core.members
      host.serviceOrders = controller.core.serviceOrders
      controller.nextEffect = 0
      if controller.isBusy {
        scheduler.schedule(.effect, after: effectDelay() / 4)
      }
    }
  }

  private func tickEvent() -> ControllerEvent {
    let now = controller.clock.reading(at: scheduler.now)
    let entries = controller.core.entriesInUse.map { entry in
      var reading = memory.reading(ofEntry: entry)
      (reading.reads, reading.writes) = watch.counts(of: entry)
      return reading
    }
    return .tick(now: now, entries: entries, nextVersion: memory.nextVersion)
  }

  /// One effect at a time, so that packets pass between any two.
  func carryOutEffect() {
    // Those of a controller that has died, or whose host went down, are gone.
    guard controller.isBusy else { return }
    if controller.changing != nil {
      goOnChanging(mayStop: processors.random.chance(0.3))
    } else {
      let effect = controller.effects[controller.nextEffect]
      controller.nextEffect += 1
      carryOut(effect)
    }
    guard !diesNow() else { return }
    guard controller.changing == nil else {
      scheduler.schedule(.effect, after: processors.random.duration(in: scenario.pause))
      return
    }
    if controller.isBusy {
      scheduler.schedule(.effect, after: effectDelay())
    } else {
      serveController()
    }
  }

  private func effectDelay() -> UInt64 {
    random.duration(in: stage.rawValue > Stage.faulty.rawValue ? 0...5_000 : scenario.effectDelay)
  }

  /// Makes a change of the directory; in some seeds store by store, with packets in between.
  private func publish(_ change: DirectoryChange) {
    disturb(change)
    guard stage == .faulty, scenario.storesApart > 0,
      processors.random.chance(scenario.storesApart),
      let stores = SteppedChange(change, of: memory)
    else {
      trace.record(at: scheduler.now, code: 3, text: "directory: \(change)")
      watch.before(change)
      memory.apply(change)
      checkAllEntries()
      return
    }
    // Once the first store is made it is another key's time.
    if case .remove = change { watch.before(change) }
    controller.changing = (change, stores)
    goOnChanging(mayStop: true)
  }

  private func goOnChanging(mayStop: Bool) {
    guard let (change, stores) = controller.changing else { return }
    let steps = mayStop ? processors.random.integer(in: 2...max(2, stores.countMax)) : 0
    guard stores.advance(steps: steps) else {
      trace.record(
        at: scheduler.now, code: 14, values: UInt64(steps),
        text: "directory: in the middle of \(change), before store \(steps) from there")
      result.coverage.splitChanges += 1
      checkAllEntries()
      return
    }
    trace.record(at: scheduler.now, code: 3, text: "directory: \(change)")
    if case .remove = change {} else { watch.before(change) }
    controller.changing = nil
    checkAllEntries()
  }

  private func carryOut(_ effect: ControllerEffect) {
    switch effect {
    case .publish(let change): publish(change)
    case .send(let message, let server):
      send(message.encoded(), from: .controller, to: .server(Int(server)))
    case .awaitGrace(let token):
      let delay = random.duration(in: scenario.graceDelay)
      scheduler.schedule(
        .graceElapsed(token: token, packets: processors.packetsBegun),
        after: faults.isGraceSkipped ? 0 : delay)
    case .reserveVersions(let count, let token):
      let first = memory.reserveVersions(count)
      controller.inbox.append(.versionsReserved(token: token, first: first))
    case .notice(let notice): take(notice)
    }
  }

  /// A grace period ends when every packet that had come before it has been handled.
  func graceElapsed(_ token: UInt64, packets: Int) {
    guard packets >= host.packetsBefore else { return }
    guard faults.isGraceSkipped || !processors.underWay.keys.contains(where: { $0 <= packets })
    else {
      scheduler.schedule(.graceElapsed(token: token, packets: packets), after: 10_000)
      return
    }
    give(.graceElapsed(token: token))
  }

  /// Makes the network worse when it matters most.
  private func disturb(_ change: DirectoryChange) {
    guard stage == .faulty else { return }
    switch change {
    case .insert, .setMode(_, .removing):
      network.conditions = scenario.conditions
      network.conditions.holding += scenario.transitionHolding
    case .makeHot, .remove:
      network.conditions = scenario.conditions
      network.conditions.loss += scenario.transitionLoss
      disturbances += 1
      scheduler.schedule(.settle(disturbance: disturbances), after: 3_000_000)
    default: break
    }
  }

  /// Ends what the last transition has disturbed.
  func settle(_ disturbance: Int) {
    guard stage == .faulty, disturbance == disturbances else { return }
    network.conditions = scenario.conditions
  }

  private func take(_ notice: ControllerNotice) {
    trace.record(at: scheduler.now, code: 4, text: "controller: \(notice)")
    switch notice {
    case .serving: if stage == .starting { enter(.faulty) }
    case .finished: result.transitions += 1
    case .floorRaised: result.floors += 1
    case .serverLost: noteLoss()
    case .takenOver(let takeOver):
      noteTakeOver(takeOver)
      check(takeOver)
    case .slotMoveFinished: result.slotMoves += 1
    default: break
    }
  }

  // MARK: Commands

  func command() {
    guard stage == .faulty, commandsGiven < scenario.commandsMax else { return }
    commandsGiven += 1
    let key = SimulatedKeys.all[random.integer(in: 0...scenario.keys - 1)]
    let die = random.integer(in: 0...9)
    if die < scenario.floors {
      give(.command(.floor))
    } else if die < scenario.floors + scenario.flaps {
      flap(key)
    } else {
      switch random.integer(in: 0...5) {
      case 0...2: give(.command(.promote(keyHash: key.hash, key: key.bytes)))
      case 3: give(.command(.demote(keyHash: key.hash)))
      case 4: give(.command(.retarget(keyHash: key.hash)))
      default: give(.command(.demoteAll))
      }
    }
  }

  /// A server is taken out of service, or into it; or it thinks better of it.
  func changeServers() {
    guard stage == .faulty else { return }
    let server = UInt8(moving.integer(in: 0...scenario.servers - 1))
    let isOut = controller.core.state.servers.contains {
      $0.number == server && ($0.phase == .draining || $0.phase == .drained)
    }
    if isOut {
      give(.command(.add(server)))
    } else if controller.core.mayDrain(server) {
      give(.command(.drain(server)))
    }
  }

  /// Several changes of one key right after each other: late datagrams then meet a later time, or
  /// another key in the place of this one.
  private func flap(_ key: SimulatedKeys.Key) {
    give(.command(.promote(keyHash: key.hash, key: key.bytes)))
    give(.command(.demote(keyHash: key.hash)))
    if scenario.floors > 0 { give(.command(.floor)) }
    let next =
      scenario.pausing > 0 && processors.random.chance(0.3)
      ? SimulatedKeys.all[processors.random.integer(in: 0...scenario.keys - 1)] : key
    give(.command(.promote(keyHash: next.hash, key: next.bytes)))
  }
}
