internal import ControllerCore
internal import DataPlane
internal import Directory
internal import Glibc
internal import Sockets
internal import Wire

extension ControllerLoop {
  /// What the control socket answers.
  func answer(_ request: ControlRequest) -> ControlAnswer {
    var answer = ControlAnswer.done
    do throws(ControlProblem) {
      switch request.command {
      case .status: answer.status = status()
      case .keys: answer.keys = core.state.keys.prefix(try limit(request)).map(key)
      case .servers: answer.servers = servers()
      case .counters: answer.counters = counters()
      case .events:
        let since = request.since ?? 0
        answer.events = events.events.filter { $0.number > since }.suffix(try limit(request))
      case .promotions:
        let since = request.since ?? 0
        answer.promotions = promotions.promotions.filter { $0.number > since }
          .suffix(try limit(request))
      case .promote:
        let key = try request.keyBytes()
        try order(.promote(keyHash: hash(key), key: key))
      case .demote: try order(.demote(keyHash: hash(try request.keyBytes())))
      case .retarget: try order(.retarget(keyHash: hash(try request.keyBytes())))
      case .moves:
        let since = request.since ?? 0
        answer.moves = moves.moves.filter { $0.number > since }.suffix(try limit(request))
      case .demoteAll: try order(.demoteAll)
      case .drain:
        let number = try server(request)
        guard core.mayDrain(number) else {
          throw ControlProblem(
            "server \(number) is the last one that could serve: add another one first")
        }
        try order(.drain(number))
      case .add: try order(.add(try server(request)))
      case .floor: try order(.floor)
      case .reload: return reloadAnswer()
      case .automatic:
        guard let on = request.on else { throw ControlProblem("automatic needs on") }
        try order(.setAutomatic(on))
      }
    } catch {
      return .refused(error.text)
    }
    return answer
  }

  private func limit(_ request: ControlRequest) throws(ControlProblem) -> Int {
    let limit = request.limit ?? 1000
    guard limit >= 0 else { throw ControlProblem("limit is less than 0") }
    return limit
  }

  private func server(_ request: ControlRequest) throws(ControlProblem) -> UInt8 {
    guard let server = request.server else {
      throw ControlProblem("\(request.command.rawValue) needs server")
    }
    guard let number = options.servers.map(\.number).first(where: { Int($0) == server }) else {
      let numbers = options.servers.map { String($0.number) }.joined(separator: ", ")
      throw ControlProblem("there is no server \(server) in the rack file; there are \(numbers)")
    }
    return number
  }

  private func hash(_ key: [UInt8]) -> UInt64 { KeyHash.of(key, seed: options.hashSeed) }

  private func order(_ command: ControllerCommand) throws(ControlProblem) {
    do {
      try handle(.command(command))
    } catch {
      throw ControlProblem("\(error)")
    }
  }

  private func counters() -> [String: UInt64] {
    var counters = Dictionary(plane.packetCounts().map { ($0.name, $0.packets) }) { first, _ in
      first
    }
    // Those that came past the data plane, by an interface that it is not attached to.
    if wrongTags > 0 { counters["\(DirectoryCounter.rackTag)", default: 0] += wrongTags }
    return counters
  }

  private func status() -> ControlStatus {
    let state = core.state
    var status = ControlStatus(
      rack: options.name, address: options.rack.description, process: getpid(),
      uptimeSeconds: Double(MonotonicClock.now - startedAt) / 1e9, epoch: state.epoch,
      generation: state.generation, serving: state.serving, automatic: state.automatic,
      quiet: core.isQuiet, rate: state.rate, sampleInterval: state.sampleInterval,
      hotKeys: state.keys.count, inTransition: state.inTransition, movingSlots: state.movingSlots,
      takeOver: state.takeOver,
      slotMove: state.slotMove,
      slotsToMove: state.servers.reduce(0) { $0 + max(0, $1.slots - $1.slotsGoal) },
      slotsFrozenMaxUs: moves.frozenMax / 1000,
      serversAlive: state.servers.count { $0.phase == .alive || $0.phase == .draining },
      servers: state.servers.count,
      plane: plane.kind.rawValue, dryRun: options.isDryRun ? true : nil,
      interfaces: Dictionary(
        plane.attachModes().map { ($0.interface, $0.mode?.rawValue ?? "detached") },
        uniquingKeysWith: { first, _ in first }),
      totals: state.totals, counters: counters(), packetsByProcessor: plane.packetsByProcessor(),
      onTwoServers: state.copies > 1 ? state.isOnTwo : nil)
    status.hashSeed = options.hashSeed
    status.limitPerSecond = options.limit?.requestsPerSecond
    status.limitBurst = options.limit?.burst
    return status
  }

  /// With what the directory says of it at this moment.
  private func key(_ state: KeyState) -> ControlKey {
    var state = state
    let reading = plane.memory.reading(ofEntry: state.entry)
    if state.mode != .adding && reading.keyHash == state.keyHash {
      state.version = reading.completed
      state.replicas = (0..<UInt8(WireLimits.serversMax)).filter {
        reading.replicaSet >> UInt32($0) & 1 == 1
      }
    }
    return ControlKey(state)
  }

  private func servers() -> [ControlServer] {
    let counts = plane.steeredCounts()
    let endpoints = options.servers
    let state = core.state
    return state.servers.map { server in
      let number = Int(server.number)
      return ControlServer(
        number: server.number,
        address: endpoints.first { $0.number == server.number }?.endpoint.description ?? "",
        phase: server.phase, incarnation: hexadecimal(server.incarnation), load: server.load,
        assumedLoad: plane.memory.load(ofServer: number), slots: server.slots,
        slotsGoal: server.slotsGoal, weight: server.weight, probeUs: server.roundTrip / 1000,
        keys: server.keys,
        readRate: rates.rate(4 * number), writeRate: rates.rate(4 * number + 1),
        copyRate: rates.rate(4 * number + 2), replyRate: rates.rate(4 * number + 3),
        reads: counts[4 * number], writes: counts[4 * number + 1],
        copies: counts[4 * number + 2], replies: counts[4 * number + 3], refused: server.refused,
        storage: server.storage, wrongTags: options.keys == nil ? nil : server.wrongTags,
        backups: state.copies > 1 ? server.backups : nil)
    }
  }
}
