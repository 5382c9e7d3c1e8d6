internal import BinaryCoding
internal import Dispatch
internal import Logging
internal import NIOCore
internal import Paxos
internal import StoreFrames
internal import StoreProtocol
internal import StoreState

/// The clients of a node.
extension StoreNode {
  func acceptClient(_ channel: any Channel) throws {
    connectionsMade += 1
    let connection = ClientConnection(channel, number: connectionsMade)
    connections[connection.number] = connection
    let cutter = FrameCutter(frameMax: StoreProtocolLimits.requestMax) {
      [unowned self, unowned connection] bytes in
      if connection.hasGreeted {
        take(try StoreRequest(decoding: bytes), from: connection)
      } else {
        try greet(connection, bytes)
      }
    } atEnd: { [unowned self] error in
      if let error { log.info("a client's connection is given up: \(error)") }
      forget(connection)
    }
    try channel.pipeline.syncOperations.addHandler(cutter)
  }

  private func greet(_ connection: ClientConnection, _ bytes: UnsafeRawBufferPointer) throws {
    let greeting = try StoreGreeting(decoding: bytes)
    guard greeting.version == StoreProtocolLimits.version,
      greeting.cell == 0 || greeting.cell == options.cell
    else { throw MalformedBytes(expected: "a client of this cell") }
    connection.hasGreeted = true
    connection.put(StoreGreeting(cell: options.cell, node: UInt64(options.node.rawValue)))
    connection.flush()
  }

  private func forget(_ connection: ClientConnection) {
    connections[connection.number] = nil
    for group in connection.watchedGroups {
      watches[group]?.removeAll { $0.connection === connection }
      if watches[group]?.isEmpty == true { watches[group] = nil }
    }
    for number in connection.snapshots { replica.endSnapshot(number) }
    snapshotsTaken -= connection.snapshots.count
    connection.snapshots = []
  }

  private func take(_ request: StoreRequest, from connection: ClientConnection) {
    switch request.body {
    case .propose(let group, let command):
      let refusal = refusal(of: command)
      if let refusal { return answer(request.number, .refused(refusal), connection) }
      guard isConnectedToQuorum else {
        return answer(request.number, .outcome(.unavailable), connection)
      }
      guard let id = register(request.number, group, connection) else { return }
      step { $0.propose(id, ObjectID(group), command, now: $1) }
    case .read(let group, let query, let mode):
      if mode == .linearizable, !isConnectedToQuorum {
        return answer(request.number, .outcome(.unavailable), connection)
      }
      guard let id = register(request.number, group, connection) else { return }
      step { $0.read(id, ObjectID(group), query, mode, now: $1) }
    case .watch(let group, let range, let after):
      beginWatch(request.number, ObjectID(group), range, after, connection)
    case .cancel(let watch):
      for group in connection.watchedGroups {
        watches[group]?.removeAll { $0.connection === connection && $0.request == watch }
        if watches[group]?.isEmpty == true { watches[group] = nil }
      }
    case .status: answer(request.number, .status(status), connection)
    case .groups(let after, let limit):
      let names = replica.objectIDs.map(\.name).filter { $0 > after || after.isEmpty }.sorted()
      answer(
        request.number, .groups(Array(names.prefix(Int(min(limit, 100_000))))), connection)
    case .image(let group):
      answer(request.number, .image(replica.image(of: ObjectID(group))), connection)
    case .snapshot(let number): sendSnapshot(number, request.number, connection)
    }
  }

  private func refusal(of command: Command) -> StoreReply.Refusal? {
    // What makes room is taken even then.
    if isSpaceLow, case .transaction = command.action { return .noSpace }
    guard case .transaction(let transaction) = command.action else { return nil }
    let operations = transaction.success.count + transaction.failure.count
    guard operations + transaction.guards.count <= StoreProtocolLimits.operationsMax else {
      return .tooLarge
    }
    for case .put(let key, _, _) in transaction.success + transaction.failure
    where key.count > StoreProtocolLimits.keyMax { return .tooLarge }
    return nil
  }

  private func register(
    _ number: UInt64, _ group: String, _ connection: ClientConnection
  ) -> RequestID? {
    guard requests.count < options.requestsMax else {
      answer(number, .refused(.overloaded), connection)
      return nil
    }
    requestsMade += 1
    let id = RequestID(requestsMade)
    requests[id] = (connection.number, number, ObjectID(group))
    return id
  }

  func reply(_ request: RequestID, _ outcome: Outcome) {
    guard let origin = requests.removeValue(forKey: request),
      let connection = connections[origin.connection]
    else { return }
    answer(origin.request, .outcome(outcome), connection)
  }

  private func answer(
    _ number: UInt64, _ body: StoreReply.Body, _ connection: ClientConnection
  ) {
    if connection.put(StoreReply(number: number, body)) { dirtyConnections.append(connection) }
    scheduleFlush()
  }

  // MARK: Snapshots

  /// Objects in one part of a snapshot, at most.
  private static let rowsMax = 256

  /// Begins a snapshot, or goes on with one, and sends the next part. It is put into bytes on another
  /// thread: however large an object is, the loop goes on.
  private func sendSnapshot(_ number: UInt64?, _ request: UInt64, _ connection: ClientConnection) {
    let snapshot: UInt64
    if let number {
      snapshot = number
    } else {
      guard snapshotsTaken < StoreProtocolLimits.snapshotsMax else {
        return answer(request, .refused(.noSnapshot), connection)
      }
      snapshot = replica.beginSnapshot()
      snapshotsTaken += 1
      connection.snapshots.append(snapshot)
    }
    guard connection.snapshots.contains(snapshot),
      let rows = replica.nextRows(ofSnapshot: snapshot, rowsMax: Self.rowsMax)
    else { return answer(request, .refused(.noSnapshot), connection) }
    if rows.isEmpty {
      replica.endSnapshot(snapshot)
      connection.snapshots.removeAll { $0 == snapshot }
      snapshotsTaken -= 1
    }
    let reply = StoreReply(number: request, .snapshot(snapshot, rows))
    let place = connection.number
    snapshotQueue.async { [self] in
      let bytes = reply.encoded
      eventLoop.execute { [self] in
        guard let connection = connections[place] else { return }
        if connection.put(encoded: bytes) { dirtyConnections.append(connection) }
        scheduleFlush()
      }
    }
  }

  // MARK: Watches

  private func beginWatch(
    _ number: UInt64, _ group: ObjectID, _ range: KeyRange, _ after: UInt64?,
    _ connection: ClientConnection
  ) {
    let revision = after ?? replica.state(of: group)?.revision ?? 0
    watches[group, default: []].append(
      Watch(connection: connection, request: number, range: range, revision: revision))
    connection.watchedGroups.insert(group)
    answer(number, .watching(after: revision), connection)
    changedGroups.insert(group)
  }

  /// Tells those who watch what has happened in groups that have changed.
  func tellWatchers() {
    for group in changedGroups.sorted(by: { $0.name < $1.name }) {
      guard let state = replica.state(of: group), var list = watches[group] else { continue }
      for index in list.indices.reversed() where list[index].revision < state.revision {
        switch state.answer(.events(list[index].range, after: list[index].revision)) {
        case .events(let events, let revision):
          list[index].revision = revision
          guard !events.isEmpty else { continue }
          answer(list[index].request, .events(events, revision: revision), list[index].connection)
        case .failed(let error):
          answer(list[index].request, .watchEnded(error), list[index].connection)
          list.remove(at: index)
        default: break
        }
      }
      watches[group] = list.isEmpty ? nil : list
    }
    changedGroups = []
  }

  // MARK: Status

  private var status: NodeStatus {
    let counts = replica.counts
    let figures: [(String, UInt64)] = [
      ("groups", UInt64(replica.objectCount)),
      ("requests_waiting", UInt64(requests.count)),
      ("connections", UInt64(connections.count)),
      ("fast_rounds", UInt64(counts.fastRounds)),
      ("slow_rounds", UInt64(counts.slowRounds)),
      ("phase1_rounds", UInt64(counts.phase1)),
      ("quorum_reads", UInt64(counts.quorumReads)),
      ("round_reads", UInt64(counts.roundReads)),
      ("local_reads", UInt64(counts.localReads)),
      ("refusals", UInt64(counts.refusals)),
      ("snapshots_installed", UInt64(counts.snapshotsInstalled)),
      ("groups_recovered", UInt64(counts.recovered)),
      ("states_compared", UInt64(counts.compared)),
      ("states_diverged", UInt64(diverged.count)),
      ("messages_sent", messagesSent),
      ("records", replica.position),
      ("syncs", syncTimes.count),
      ("sync_us_p50", syncTimes.microseconds(atPercentile: 50)),
      ("sync_us_p99", syncTimes.microseconds(atPercentile: 99)),
      ("segments", segments.upperBound - segments.lowerBound + 1),
      ("groups_stored", storedObjects),
      ("scrub_passes", scrub.passes),
      ("segments_scrubbed", scrub.segments),
      ("rows_scrubbed", scrub.rows),
    ]
    return NodeStatus(
      cell: options.cell, node: UInt64(options.node.rawValue), incarnation: identity.incarnation,
      isRecovering: replica.hasLostVotes, isSpaceLow: isSpaceLow, diverged: diverged,
      damaged: scrub.damage, peers: peers, figures: figures.map { .init($0.0, $0.1) })
  }
}
