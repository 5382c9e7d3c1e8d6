internal import ClientCore
internal import Linearizability
internal import Wire

/// One client of a simulated rack: the core, its clock, and what it has under way.
final class SimulatedClient {
  struct Pending {
    var kind: HistoryOperation.Kind
    var key: SimulatedKeys.Key
    var value: String?
    var invoked: Int64
  }

  let number: Int
  var core: ClientCore
  let clock: SimulatedClock
  var pending: [UInt64: Pending] = [:]
  var nextToken: UInt64 = 1
  /// The timer that is set, in virtual time.
  var timer: UInt64?

  init(number: Int, _ scenario: RackScenario, _ random: inout SimulationRandom) {
    self.number = number
    let birth = 1_000 + random.duration(in: 0...50)
    var configuration = ClientConfiguration(
      client: ClientIdentity.make(birth: birth, random: random.next()),
      hashSeed: SimulatedKeys.hashSeed, timeoutInitial: 2_000_000, timeoutMax: 20_000_000,
      deadline: 60_000_000_000, silenceMax: 50_000_000)
    if let patience = scenario.patience { configuration.deadline = patience }
    core = ClientCore(configuration, randomSeed: random.next())
    clock = SimulatedClock(
      offset: 1_000_000_000_000 + random.duration(in: 0...5_000_000_000),
      driftPPM: Int64(random.integer(in: -scenario.driftMax...scenario.driftMax)))
  }
}

extension RackWorld {
  func schedule(submitOf client: Int) {
    guard operationsLeft > 0 else { return }
    operationsLeft -= 1
    outstanding += 1
    scheduler.schedule(.submit(client: client), after: random.duration(in: scenario.think))
  }

  func submit(_ client: Int) {
    let key = SimulatedKeys.all[random.integer(in: 0...scenario.keys - 1)]
    if random.chance(scenario.readShare) {
      submit(.get, key, client)
    } else {
      submit(random.chance(scenario.deleteShare) ? .delete : .set, key, client)
    }
  }

  /// The last look: whatever was lost on the way is missed here.
  func readEverything(_ client: Int) {
    for key in SimulatedKeys.all[..<scenario.keys] {
      outstanding += 1
      submit(.get, key, client)
    }
  }

  private func submit(
    _ kind: HistoryOperation.Kind, _ key: SimulatedKeys.Key, _ client: Int
  ) {
    let token = clients[client].nextToken
    clients[client].nextToken += 1
    valuesMade += 1
    let value = kind == .set ? "\(valuesMade)" : nil
    clients[client].pending[token] = SimulatedClient.Pending(
      kind: kind, key: key, value: value, invoked: historyMoment())
    let request: ClientRequest =
      switch kind {
      case .get: .get(key: key.bytes)
      case .set: .set(key: key.bytes, value: Array((value ?? "").utf8))
      case .delete: .delete(key: key.bytes)
      }
    let now = clients[client].clock.reading(at: scheduler.now)
    carryOut(clients[client].core.submit(request, token: token, now: now), client)
  }

  func arriveAtClient(_ client: Int, _ datagram: [UInt8]) {
    let now = clients[client].clock.reading(at: scheduler.now)
    let effects = datagram.withUnsafeBytes { clients[client].core.receive($0, now: now) }
    carryOut(effects, client)
  }

  func clientTimer(_ client: Int) {
    guard let timer = clients[client].timer, timer <= scheduler.now else { return }
    clients[client].timer = nil
    let now = clients[client].clock.reading(at: scheduler.now)
    carryOut(clients[client].core.advance(to: now), client)
  }

  private func carryOut(_ effects: [ClientEffect], _ client: Int) {
    for effect in effects {
      switch effect {
      case .send(let datagram): send(datagram, from: .client(client), to: .directory)
      case .complete(let token, let outcome): complete(token, outcome, client)
      }
    }
    setTimer(client)
  }

  private func setTimer(_ client: Int) {
    guard let deadline = clients[client].core.nextDeadline else { return }
    let time = max(scheduler.now, clients[client].clock.time(ofReading: deadline))
    if let timer = clients[client].timer, timer <= time { return }
    clients[client].timer = time
    scheduler.schedule(.clientTimer(client: client), at: time)
  }

  private func complete(_ token: UInt64, _ outcome: ClientOutcome, _ client: Int) {
    guard let pending = clients[client].pending.removeValue(forKey: token) else {
      fail(.liveness, "client \(client) finished request \(token) twice")
      return
    }
    outstanding -= 1
    result.operations += 1
    record(pending, outcome, client, token)
    scheduleWorldFaults()
    if stage == .faulty, scenario.serverChanges > 0, moving.chance(scenario.serverChanges) {
      scheduler.schedule(
        .changeServers, after: moving.duration(in: scenario.serverChangeDelay))
    }
    if stage == .faulty, random.chance(scenario.commands) {
      scheduler.schedule(.command, after: random.duration(in: scenario.commandDelay))
    }
    schedule(submitOf: client)
  }

  private func record(
    _ pending: SimulatedClient.Pending, _ outcome: ClientOutcome, _ client: Int, _ token: UInt64
  ) {
    var value = pending.value
    var version: UInt64 = 0
    var verdict = HistoryOperation.Outcome.ok
    switch outcome {
    case .value(let bytes, version: let stored):
      value = String(decoding: bytes, as: UTF8.self)
      version = stored
    case .notFound(let stored):
      verdict = .notFound
      version = stored
    case .written(let stored): version = stored
    case .failed: verdict = .failed
    case .unknown:
      verdict = .unknown
      result.unknown += 1
    }
    let returned = historyMoment()
    do {
      try history.append(
        client: UInt64(client), sequence: token, kind: pending.kind, key: pending.key.name,
        value: value, version: version, invoked: pending.invoked, returned: returned,
        outcome: verdict)
    } catch {
      fail(.linearizability, "a client's outcome makes no sense: \(error)")
    }
    trace.record(
      at: scheduler.now, code: 5, values: UInt64(client), version,
      text: "client \(client) is told: "
        + (history.operations.last.map(history.description(of:)) ?? ""))
  }
}
