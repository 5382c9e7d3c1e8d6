internal import ControllerCore

/// What goes wrong in the world of a rack, and how it ends.
struct WorldFaults {
  /// Those that have not begun, the next one first.
  var waiting: ArraySlice<WorldFault>
  /// Those that have begun and not ended, oldest first, and when each ends.
  var active: [(fault: WorldFault, end: UInt64)] = []
  /// Until when a process stands still.
  var clientsPaused: [UInt64]
  var serversPaused: [UInt64]
  var controllerPaused: UInt64 = 0

  init(_ scenario: RackScenario) {
    waiting = scenario.worldFaults[...]
    clientsPaused = Array(repeating: 0, count: scenario.clients)
    serversPaused = Array(repeating: 0, count: scenario.servers)
  }

  /// Until when whom an event concerns stands still; at most now: he does not.
  func pause(of event: RackEvent) -> UInt64 {
    switch event {
    case .arrive(.server(let number), _, _), .serve(let number, _, _): serversPaused[number]
    case .arrive(.client(let number), _, _), .submit(let number), .clientTimer(let number):
      clientsPaused[number]
    case .effect, .tick, .graceElapsed, .command, .changeServers: controllerPaused
    default: 0
    }
  }
}

extension RackWorld {
  /// Lets those faults begin whose time it is, by the number of operations that have ended.
  func scheduleWorldFaults() {
    guard stage == .faulty else { return }
    while let fault = world.waiting.first, fault.after <= result.operations {
      world.waiting.removeFirst()
      scheduler.schedule(.begin(worldFault: fault.number), after: fault.delay)
    }
  }

  func begin(worldFault number: Int) {
    guard stage == .faulty,
      let fault = scenario.worldFaults.first(where: { $0.number == number }), exists(fault)
    else { return }
    guard !mustWait(fault) else {
      scheduler.schedule(.begin(worldFault: number), after: Self.tickInterval)
      return
    }
    let end = scheduler.now + fault.duration
    switch fault.effect {
    case .cut, .clog: break
    case .pause(let process): pause(process, until: end)
    case .slow(let server, let service): servers[server].service = service
    case .crash(let server):
      guard crash(server) else { return }
    case .reboot:
      guard loseHost() else { return }
    case .controllerCrash(let effects):
      guard crashController(afterEffects: effects) else { return }
    case .fullDisk(let server, let room):
      guard servers[server].fillDisk(leaving: room) else { return }
    }
    world.active.append((fault, end))
    applyToLinks()
    result.worldFaults += 1
    result.coverage.count(fault.kind)
    trace.record(
      at: scheduler.now, code: 8, values: UInt64(fault.number), end,
      text: "world fault \(fault.number): \(fault)")
    scheduler.schedule(.end(worldFault: fault.number), at: end)
  }

  func end(worldFault number: Int) {
    guard let index = world.active.firstIndex(where: { $0.fault.number == number }) else { return }
    switch world.active.remove(at: index).fault.effect {
    case .cut, .clog: applyToLinks()
    case .pause: break
    case .slow(let server, _): servers[server].service = 0
    case .crash(let server): if servers[server].isDown { restart(server) }
    case .reboot: startHost()
    case .controllerCrash: restartController()
    case .fullDisk(let server, _):
      let isFull = world.active.contains {
        if case .fullDisk(server, _) = $0.fault.effect { true } else { false }
      }
      if !isFull { servers[server].freeDisk() }
    }
    trace.record(
      at: scheduler.now, code: 9, values: UInt64(number), text: "world fault \(number) ends")
  }

  /// From now on the world does no harm.
  func endWorldFaults() {
    world.waiting = []
    for (fault, _) in world.active { end(worldFault: fault.number) }
    for client in clients.indices { world.clientsPaused[client] = 0 }
    for server in servers.indices { world.serversPaused[server] = 0 }
    world.controllerPaused = 0
  }

  /// Several faults may concern one link: what is left of them counts.
  private func applyToLinks() {
    var cut: [RackLink] = []
    var clogged: [RackLink: UInt64] = [:]
    for (fault, end) in world.active {
      switch fault.effect {
      case .cut(let links): cut += links
      case .clog(let links): for link in links { clogged[link] = max(clogged[link] ?? 0, end) }
      default: break
      }
    }
    network.setTroubles(cut: Set(cut), cloggedUntil: clogged)
  }

  private func pause(_ process: RackEndpoint, until end: UInt64) {
    switch process {
    case .client(let number):
      world.clientsPaused[number] = max(world.clientsPaused[number], end)
    case .server(let number):
      world.serversPaused[number] = max(world.serversPaused[number], end)
    case .controller: world.controllerPaused = max(world.controllerPaused, end)
    case .directory: break  // it is no process; its processors stop by themselves
    }
  }

  /// With two copies, a server dies when everything is on two only.
  private func mustWait(_ fault: WorldFault) -> Bool {
    guard scenario.copies > 1, case .crash = fault.effect else { return false }
    return host.isDown || controller.isDown || !controller.core.isOnTwo
      || servers.contains { watch.isMisjudged($0) }
  }

  /// A smaller rack than the one the fault was drawn for may lack whom it concerns.
  private func exists(_ fault: WorldFault) -> Bool {
    switch fault.effect {
    case .cut, .clog, .reboot: true
    case .pause(.client(let number)): number < clients.count
    case .pause(.server(let number)), .slow(let number, _), .crash(let number),
      .fullDisk(let number, _):
      number < servers.count
    case .pause, .controllerCrash: true
    }
  }
}
