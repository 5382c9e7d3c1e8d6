internal import Linearizability
internal import Paxos
internal import StoreState

/// The clients of a simulated store: what they ask for, and what they may be told.
extension StoreWorld {
  static let leaseTime: UInt64 = 150_000_000

  func scheduleNext(_ client: Int) {
    scheduler.schedule(.next(client: client), after: random.duration(in: scenario.think))
  }

  func next(_ client: Int) {
    guard clients[client].pending == nil else { return }
    if stage == .finalReads {
      guard let object = clients[client].finalReads.popLast() else { return }
      begin(client, object, .query(.range(.all, limit: nil), .linearizable))
      return
    }
    guard operationsLeft > 0 else { return }
    let object = random.element(of: Array(objectIDs.prefix(objectsInUse)))
    let request = nextRequest(client, object)
    if case .command(_, isStamped: true) = request, clients[client].sessions[object] == nil {
      begin(client, object, .command(.openSession, isStamped: false))
      return
    }
    operationsLeft -= 1
    result.totals.operations += 1
    begin(client, object, request)
  }

  private var objectsInUse: Int {
    guard scenario.isGrowing else { return scenario.objects }
    let done = scenario.operations - operationsLeft
    return min(scenario.objects, 1 + done * scenario.objects / max(1, scenario.operations))
  }

  private func begin(_ client: Int, _ object: ObjectID, _ request: StoreRequest) {
    clients[client].requests += 1
    var stamp: SessionStamp?
    if case .command(_, isStamped: true) = request, let session = clients[client].sessions[object] {
      let sequence = (clients[client].sequences[object] ?? 0) + 1
      clients[client].sequences[object] = sequence
      stamp = SessionStamp(session: session, sequence: sequence, finished: sequence)
    }
    clients[client].pending = SimulatedStoreClient.Pending(
      number: clients[client].requests, object: object, request: request, stamp: stamp,
      invoked: historyMoment(), invokedAt: scheduler.now,
      sentAt: clients[client].clock.reading(at: scheduler.now),
      toldEntry: watch.reference(object).toldEntry)
    busyClients += 1
    if !random.chance(scenario.stickiness) {
      clients[client].node = random.integer(in: 0...nodes.count - 1)
    }
    attempt(client)
  }

  /// A request that has no session is sent once: a second time could do it twice.
  private func mayRepeat(_ pending: SimulatedStoreClient.Pending) -> Bool {
    switch pending.request {
    case .query, .command(.openSession, _), .command(_, isStamped: true): true
    case .command: false
    }
  }

  private func attempt(_ client: Int) {
    guard var pending = clients[client].pending else { return }
    pending.attempts += 1
    clients[client].pending = pending
    if pending.attempts > 1 { result.totals.retries += 1 }
    let node = clients[client].node
    let event = StoreWorldEvent.request(client: client, number: pending.number, node: node)
    let deliveries = network.deliveries(from: .client(client), to: .node(node))
    if let delay = deliveries.first { scheduler.schedule(event, after: delay) }
    if let delay = deliveries.second, mayRepeat(pending) {
      scheduler.schedule(event, after: delay)
    }
    scheduler.schedule(
      .clientTimeout(client: client, number: pending.number, attempt: pending.attempts),
      after: scenario.clientTimeout << UInt64(min(pending.attempts - 1, 3)))
  }

  func arrive(_ client: Int, _ number: Int, at node: Int) {
    guard let pending = clients[client].pending, pending.number == number else { return }
    requestsMade += 1
    let request = RequestID(requestsMade)
    nodes[node].requests[request] = (client, number)
    record(
      10, UInt64(client), UInt64(number),
      text: "client \(client) -> node \(node): #\(number) \(text(pending))")
    step(node) { replica, now in
      switch pending.request {
      case .command(let action, _):
        let stamp = faults.contains(.noSessions) ? nil : pending.stamp
        return replica.propose(
          request, pending.object, Command(action, stamp: stamp), now: now)
      case .query(let query, let mode):
        return replica.read(request, pending.object, query, mode, now: now)
      }
    }
  }

  func sendReply(_ outcome: Outcome, to origin: (client: Int, number: Int), from node: Int) {
    let deliveries = network.deliveries(from: .node(node), to: .client(origin.client))
    if let delay = deliveries.first {
      scheduler.schedule(
        .reply(client: origin.client, number: origin.number, outcome), after: delay)
    }
  }

  func timedOut(_ client: Int, _ number: Int, attempt: Int) {
    guard let pending = clients[client].pending, pending.number == number,
      pending.attempts == attempt
    else { return }
    tryAgain(client)
  }

  private func tryAgain(_ client: Int) {
    guard let pending = clients[client].pending else { return }
    guard mayRepeat(pending) else {
      finish(client, unknown: true)
      return
    }
    clients[client].node = random.integer(in: 0...nodes.count - 1)
    self.attempt(client)
  }

  func answered(_ client: Int, _ number: Int, _ outcome: Outcome) {
    guard let pending = clients[client].pending, pending.number == number else { return }
    record(
      11, UInt64(client), UInt64(number),
      text: "client \(client) #\(number) is told \(text(outcome))")
    switch outcome {
    case .unknown: if !mayRepeat(pending) { finish(client, unknown: true) }
    case .unavailable:
      // Without effect: it is certain, and for a request that is sent once it is the end.
      if !mayRepeat(pending) { finish(client, unknown: false) }
    case .answer(let answer, let entry):
      watch.withReference(pending.object) { [now = scheduler.now] in $0.tell(entry, at: now) }
      take(answer, client, pending)
      finish(client, unknown: false)
    case .response(let response, let entry):
      watch.withReference(pending.object) { [now = scheduler.now] in $0.tell(entry, at: now) }
      let isUnknown = take(response, client, pending)
      finish(client, unknown: isUnknown)
    }
  }

  private func finish(_ client: Int, unknown: Bool) {
    guard let pending = clients[client].pending else { return }
    if unknown {
      result.totals.unknown += 1
      recordUnknown(client, pending)
    }
    clients[client].pending = nil
    busyClients -= 1
    if stage == .finalReads { next(client) } else { scheduleNext(client) }
  }

  private func take(
    _ answer: Answer, _ client: Int, _ pending: SimulatedStoreClient.Pending
  ) {
    switch answer {
    case .range(let pairs, _, _):
      guard case .query(.range(.all, nil), .linearizable) = pending.request else { return }
      recordReads(pairs, client, pending)
    case .events(_, let revision): clients[client].watched[pending.object] = revision
    case .failed(.compacted(let revision)):
      result.totals.compactionsSeen += 1
      clients[client].watched[pending.object] = revision
    case .lease, .failed: break
    }
  }

  /// Returns whether the outcome is unknown all the same.
  private func take(
    _ response: Response, _ client: Int, _ pending: SimulatedStoreClient.Pending
  ) -> Bool {
    let object = pending.object
    guard case .command(let action, _) = pending.request else { return false }
    switch response {
    case .session(let id):
      clients[client].sessions[object] = id
      clients[client].sequences[object] = 0
    case .lease(let id):
      clients[client].leases[object] = (id, pending.sentAt + Self.leaseTime)
    case .failed(.sessionLost):
      result.totals.sessionsLost += 1
      clients[client].sessions[object] = nil
      return true
    case .failed(.leaseNotFound):
      clients[client].leases[object] = nil
    case .failed, .done:
      if case .keepAlive(let id) = action, clients[client].leases[object]?.id == id {
        clients[client].leases[object]?.until = pending.sentAt + Self.leaseTime
      }
    case .transaction(let succeeded, let results, _):
      recordTransaction(action, succeeded, results, client, pending)
    }
    return false
  }

  // MARK: Requests

  private func key() -> Bytes { Array("k\(random.integer(in: 0...scenario.keys - 1))".utf8) }

  private func nextRequest(_ client: Int, _ object: ObjectID) -> StoreRequest {
    if random.chance(scenario.readShare) { return nextQuery(client, object) }
    // Every value is written once, so that a second effect shows.
    let value = Array("\(client).\(clients[client].requests + 1)".utf8)
    let key = self.key()
    switch random.integer(in: 0...19) {
    case 0...7: return .command(.transaction(.put(key, value)), isStamped: true)
    case 8...9: return .command(.transaction(.put(key, value)), isStamped: false)
    case 10...11: return .command(.transaction(.delete(key)), isStamped: true)
    case 12...14:
      let newest = watch.reference(object).states
      guard
        case .range(let pairs, _, _) = newest[newest.count - 1].answer(
          .range(KeyRange(key), limit: nil))
      else { return .query(.range(.all, limit: nil), .linearizable) }
      let expected = random.chance(0.8) ? pairs.first?.value : Array("no value".utf8)
      return .command(
        .transaction(.compareAndSwap(key, expected: expected, value: value)), isStamped: true)
    case 15...16:
      // All keys of the group, or none.
      let keys = (0..<scenario.keys).map { Array("k\($0)".utf8) }
      return .command(
        .transaction(
          Transaction(
            guards: [Guard(key, random.chance(0.5) ? .equal : .notEqual, .version(0))],
            success: keys.map { .put(key: $0, value: value, lease: nil) },
            failure: [.range(.all, limit: nil)])), isStamped: true)
    case 17:
      return .command(
        .compact(revision: watch.reference(object).states.last?.revision ?? 0), isStamped: false)
    default: return nextLeaseRequest(client, object, key, value)
    }
  }

  private func nextLeaseRequest(
    _ client: Int, _ object: ObjectID, _ key: Bytes, _ value: Bytes
  ) -> StoreRequest {
    guard let lease = clients[client].leases[object] else {
      return .command(.grantLease(timeToLive: Self.leaseTime), isStamped: true)
    }
    switch random.integer(in: 0...9) {
    case 0:
      clients[client].leases[object] = nil
      return .command(.revoke(lease: lease.id), isStamped: true)
    case 1...3:
      return .command(.transaction(.put(key, value, lease: lease.id)), isStamped: true)
    default: return .command(.keepAlive(lease: lease.id), isStamped: true)
    }
  }

  private func nextQuery(_ client: Int, _ object: ObjectID) -> StoreRequest {
    switch random.integer(in: 0...9) {
    case 0: return .query(.range(.all, limit: 1), .serializable)
    case 1:
      return .query(
        .range(KeyRange(prefix: Array("k".utf8)), limit: nil), .boundedStale(50_000_000))
    case 2:
      return .query(.events(.all, after: clients[client].watched[object] ?? 0), .linearizable)
    default: return .query(.range(.all, limit: nil), .linearizable)
    }
  }

  // MARK: Checks

  /// Compares what a replica answers with what the log says, and with what anybody was told before.
  func check(_ outcome: Outcome, of origin: (client: Int, number: Int), at node: Int) {
    guard let pending = clients[origin.client].pending, pending.number == origin.number else {
      return
    }
    let reference = watch.reference(pending.object)
    switch (outcome, pending.request) {
    case (.answer(let answer, let entry), .query(let query, let mode)):
      guard entry <= reference.newest,
        answer == reference.states[Int(entry)].answer(query)
      else {
        fail(
          .wrongAnswer, "node \(node): \(text(pending)) as of entry \(entry): \(text(outcome))")
        return
      }
      let least: UInt64
      switch mode {
      case .serializable: least = 0
      case .linearizable: least = pending.toldEntry
      case .boundedStale(let age):
        // The replica's clock may be slow.
        let before = age + age / 100
        least = reference.toldEntry(
          by: pending.invokedAt > before ? pending.invokedAt - before : 0)
      }
      if entry < least {
        fail(
          .order,
          "node \(node): \(text(pending)) sees entry \(entry), but somebody was told of entry "
            + "\(least) before")
      }
    case (.response(let response, let entry), .command):
      checkResponse(response, entry, pending, reference, at: node)
    default: break
    }
  }

  private func checkResponse(
    _ response: Response, _ entry: UInt64, _ pending: SimulatedStoreClient.Pending,
    _ reference: ObjectReference, at node: Int
  ) {
    guard entry <= reference.newest, reference.responses[Int(entry)].contains(response) else {
      fail(
        .wrongAnswer,
        "node \(node): \(text(pending)) is told \(text(.response(response, entry: entry)))")
      return
    }
    if entry <= pending.toldEntry {
      fail(.order, "\(text(pending)) is answered from entry \(entry), from before it began")
    }
    guard let stamp = pending.stamp, let first = reference.first(stamp) else { return }
    if first.entry <= pending.toldEntry {
      fail(.order, "\(text(pending)) took effect in entry \(first.entry), before it began")
    }
    if response != first.response, response != .failed(.sessionLost) {
      fail(.exactlyOnce, "\(text(pending)) has two results: in entries \(first.entry), \(entry)")
    }
  }

  /// A lease is gone: no holder may still count on it.
  func checkEnd(of lease: UInt64, _ object: ObjectID) {
    result.totals.leasesExpired += 1
    for client in clients {
      guard let held = client.leases[object], held.id == lease else { continue }
      let reading = client.clock.reading(at: scheduler.now)
      if reading < held.until {
        fail(
          .lease,
          "client \(client.number) counts on lease \(lease) of \(object) for another "
            + "\((held.until - reading) / 1000) us")
      }
    }
  }

  // MARK: History

  private func append(
    _ kind: HistoryOperation.Kind, _ key: Bytes, _ value: Bytes?, _ client: Int,
    _ pending: SimulatedStoreClient.Pending, _ outcome: HistoryOperation.Outcome
  ) {
    let text = value.map { String(decoding: $0, as: UTF8.self) }
    do {
      try history.append(
        client: UInt64(client), sequence: UInt64(pending.number), kind: kind,
        key: "\(pending.object)/\(String(decoding: key, as: UTF8.self))", value: text, version: 0,
        invoked: pending.invoked, returned: historyMoment(), outcome: outcome)
    } catch {
      fail(.wrongAnswer, "history: \(error)")
    }
  }

  /// A range over the group is a read of each of its keys.
  private func recordReads(
    _ pairs: [KeyValue], _ client: Int, _ pending: SimulatedStoreClient.Pending
  ) {
    for number in 0..<scenario.keys {
      let key = Array("k\(number)".utf8)
      let pair = pairs.first { $0.key == key }
      // Keys with a lease go by themselves; which of them may, the log says.
      append(.get, key, pair?.value, client, pending, pair == nil ? .notFound : .ok)
    }
  }

  private func recordTransaction(
    _ action: Command.Action, _ succeeded: Bool, _ results: [OperationResult], _ client: Int,
    _ pending: SimulatedStoreClient.Pending
  ) {
    guard case .transaction(let transaction) = action else { return }
    let operations = succeeded ? transaction.success : transaction.failure
    for (operation, result) in zip(operations, results) {
      switch (operation, result) {
      case (.put(let key, let value, _), _): append(.set, key, value, client, pending, .ok)
      case (.delete(let range), _): append(.delete, range.key, nil, client, pending, .ok)
      case (.range(let range, _), .range(let pairs, _)):
        if range == .all {
          recordReads(pairs, client, pending)
        } else {
          append(
            .get, range.key, pairs.first?.value, client, pending, pairs.isEmpty ? .notFound : .ok)
        }
      default: break
      }
    }
  }

  private func recordUnknown(_ client: Int, _ pending: SimulatedStoreClient.Pending) {
    guard case .command(.transaction(let transaction), _) = pending.request else { return }
    for operation in transaction.success {
      switch operation {
      case .put(let key, let value, _): append(.set, key, value, client, pending, .unknown)
      case .delete(let range): append(.delete, range.key, nil, client, pending, .unknown)
      case .range: break
      }
    }
  }

  /// A key went with its lease: of all that happens to keys, only this is no client's doing.
  func recordEnd(of key: Bytes, _ object: ObjectID) {
    let now = historyMoment()
    do {
      try history.append(
        client: UInt64(clients.count), sequence: UInt64(history.operations.count), kind: .delete,
        key: "\(object)/\(String(decoding: key, as: UTF8.self))", value: nil, version: 0,
        invoked: now, returned: now, outcome: .unknown)
    } catch {
      fail(.wrongAnswer, "history: \(error)")
    }
  }

  // MARK: Text

  private func text(_ pending: SimulatedStoreClient.Pending) -> String {
    switch pending.request {
    case .command(let action, _):
      "\(pending.object) \(StoreText.of(Command(action, stamp: pending.stamp)))"
    case .query(.events(_, let after), let mode): "\(pending.object) events after \(after) \(mode)"
    case .query(_, let mode): "\(pending.object) range \(mode)"
    }
  }

  private func text(_ outcome: Outcome) -> String {
    switch outcome {
    case .unknown: "unknown"
    case .unavailable: "unavailable"
    case .response(.failed(let error), let entry): "\(error) (entry \(entry))"
    case .response(.session(let id), let entry): "session \(id) (entry \(entry))"
    case .response(.lease(let id), let entry): "lease \(id) (entry \(entry))"
    case .response(.done, let entry): "done (entry \(entry))"
    case .response(.transaction(let succeeded, _, let revision), let entry):
      "\(succeeded ? "success" : "failure"), revision \(revision) (entry \(entry))"
    case .answer(.range(let pairs, _, _), let entry):
      pairs.map {
        "\(String(decoding: $0.key, as: UTF8.self))=\(String(decoding: $0.value, as: UTF8.self))"
      }.joined(separator: " ") + " (entry \(entry))"
    case .answer(.events(let events, let revision), let entry):
      "\(events.count) events up to \(revision) (entry \(entry))"
    case .answer(.lease(let lease), let entry): "lease \(lease.id) (entry \(entry))"
    case .answer(.failed(let error), let entry): "\(error) (entry \(entry))"
    }
  }
}
