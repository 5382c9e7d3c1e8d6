internal import Storage
internal import Wire

// Requests of clients: docs/protocol.md §6, in the order given there.
extension ServerCore {
  mutating func serve(_ arrival: Arrival, _ output: inout some ServerOutput) {
    let header = arrival.header
    guard arrival.isWellFormedRequest else { return }
    guard epoch != 0, header.epoch == epoch || isServedFromBefore(header) else {
      refuseEpoch(arrival, &output)
      return
    }
    guard header.operation.rawValue <= Operation.delete.rawValue, header.parts == 1 else {
      refuse(arrival, .unsupported, &output)
      return
    }
    guard hasRightHash(arrival) else {
      refuse(arrival, .wrongHash, &output)
      return
    }
    let fence = fence(of: arrival)
    let isReplicated = header.flags.contains(.replicated)
    let isServed =
      isReplicated
      || slots.serves(
        KeyHash.slot(header.keyHash), header.operation, generation: header.generation)
    guard isServed else {
      refuse(arrival, .wrongServer, fence: fence.generation, &output)
      return
    }
    guard !(isReplicated && fence.isForAnotherKey) else {
      refuse(arrival, .otherKey, &output)
      return
    }
    guard header.generation >= floor || isServedFromBefore(header) else {
      refuse(arrival, .staleGeneration, fence: fence.generation, &output)
      return
    }
    if header.operation == .get {
      read(arrival, fence, &output)
    } else {
      write(arrival, fence, &output)
    }
  }

  /// Never, but with a deliberate fault: it was stamped by the directory of an earlier epoch.
  private func isServedFromBefore(_ header: Header) -> Bool {
    guard header.epoch < epoch else { return false }
    return faults.contains(.epochIgnored)
      || faults.contains(.admittedLate) && !hasSlotsOfEpoch
  }

  /// The answer carries the newer epoch, and a generation of that epoch: generations of different
  /// directories must not be compared.
  private mutating func refuseEpoch(_ arrival: Arrival, _ output: inout some ServerOutput) {
    var header = replyHeader(arrival, .staleEpoch, fence: 0)
    if epoch > header.epoch {
      header.epoch = epoch
      header.generation = floor
    }
    totals.refused += 1
    send(header, &output)
  }

  // MARK: Reads

  private mutating func read(
    _ arrival: Arrival, _ fence: FenceReading, _ output: inout some ServerOutput
  ) {
    let keyHash = arrival.header.keyHash
    guard !isFromBefore(fence, arrival.header) else {
      refuse(arrival, .staleGeneration, fence: fence.generation, &output)
      return
    }
    let record = engine.find(arrival.key, keyHash: keyHash)
    guard record != nil || !mayHaveDropped(arrival.header) else {
      refuse(arrival, .staleGeneration, fence: fence.generation, &output)
      return
    }
    guard record?.version ?? 0 >= arrival.header.version else {
      refuse(arrival, .behind, fence: fence.generation, &output)
      return
    }
    guard !isLost(record, keyHash) else {
      refuse(arrival, .lost, fence: fence.generation, &output)
      return
    }
    guard !mustWait(arrival, record, &output) else {
      refuse(arrival, .busy, fence: fence.generation, &output)
      return
    }
    totals.reads += 1
    let isValue = record?.kind == .value
    var header = replyHeader(arrival, isValue ? .ok : .notFound, fence: fence.generation)
    header.version = record?.version ?? 0
    if record?.kind == .tombstone { header.flags.insert(.tombstone) }
    send(header, value: record?.value ?? .init(start: nil, count: 0), &output)
  }

  /// The key has been through a transition since the read was steered: what was written here then,
  /// nobody else may have.
  private func isFromBefore(_ fence: FenceReading, _ header: Header) -> Bool {
    guard fence.isForThisKey, slots.isPaired(KeyHash.slot(header.keyHash)),
      !faults.contains(.unconfirmedShown)
    else { return false }
    return header.flags.contains(.replicated)
      ? header.version < fence.coldVersion : header.generation < fence.generation
  }

  /// The newest value died with its holder, and nothing has been written or copied since.
  func isLost(_ record: StoredRecord?, _ keyHash: UInt64) -> Bool {
    guard let record else { return slots.lossGeneration(KeyHash.slot(keyHash)) > 0 }
    return record.kind == .lost
  }

  // MARK: Writes

  private mutating func write(
    _ arrival: Arrival, _ fence: FenceReading, _ output: inout some ServerOutput
  ) {
    let header = arrival.header
    let finding =
      faults.contains(.noSession)
      ? .unseen
      : sessions.look(
        client: header.client, sequence: header.sequence, acknowledged: header.acknowledged,
        keyHash: header.keyHash)
    switch finding {
    case .seen(let entry): resend(entry, arrival, fence, &output)
    case .seenForAnotherKey: refuse(arrival, .malformed, fence: fence.generation, &output)
    case .finished: refuse(arrival, .finished, fence: fence.generation, &output)
    case .lost where !faults.contains(.evictionIgnored):
      refuseLostSession(arrival, fence, &output)
    case .lost, .unseen:
      switch objection(to: header, fence) {
      case .sessionLost?: refuseLostSession(arrival, fence, &output)
      case let status?: refuse(arrival, status, fence: fence.generation, &output)
      case nil where isReadOnly:
        refuse(arrival, .busy, fence: fence.generation, &output)
      case nil:
        execute(arrival, fence, &output)
      }
    }
  }

  /// The answer says how young the client's next id has to be.
  private mutating func refuseLostSession(
    _ arrival: Arrival, _ fence: FenceReading, _ output: inout some ServerOutput
  ) {
    var header = replyHeader(arrival, .sessionLost, fence: fence.generation)
    header.version = max(
      sessions.evictedBirth, fence.evictedBirth, forgotten.evictedBirth,
      slotFence(of: header)?.evictedBirth ?? 0)
    totals.refused += 1
    send(header, &output)
  }

  /// The result again, with the version of the first time; unless the value may be lost with the
  /// only server that had it, which SYNC may have told the result of.
  private mutating func resend(
    _ entry: SessionEntry, _ arrival: Arrival, _ fence: FenceReading,
    _ output: inout some ServerOutput
  ) {
    var header = replyHeader(arrival, entry.status, fence: fence.generation)
    header.version =
      faults.contains(.replayRestamped) ? arrival.header.version : entry.version
    if entry.operation == .delete { header.flags.insert(.tombstone) }
    let isReplicated = arrival.header.flags.contains(.replicated)
    // After a SYNC a server can know a result without having the value.
    let record = engine.find(arrival.key, keyHash: header.keyHash)
    let holds = record.map { $0.version >= entry.version && $0.kind != .lost } ?? false
    guard holds || header.firstGeneration >= lossGeneration(header.keyHash, fence) else {
      refuse(arrival, .ambiguous, fence: fence.generation, &output)
      return
    }
    guard holds || !mayHaveGone(header, record) else {
      refuse(arrival, .ambiguous, fence: fence.generation, &output)
      return
    }
    guard !(isReplicated && isFromBefore(fence, arrival.header)) else {
      // It says where the write was to be handed on to when the key was hot; it was executed since.
      refuse(arrival, .staleGeneration, fence: fence.generation, &output)
      return
    }
    // What is not here was brought to home and backup by a transition, or deleted and forgotten.
    if holds || !isReplicated, handOn(arrival, version: entry.version, &output) { return }
    if !holds && !faults.contains(.replayedResultIsHolder) { header.flags.insert(.notHolder) }
    send(header, &output)
  }

  /// With two copies: the result of a cold key's write is known here, and what it wrote is not. If it
  /// was not deleted since, the server that executed it was lost before another one had it.
  private func mayHaveGone(_ header: Header, _ record: StoredRecord?) -> Bool {
    rackCopies > 1 && !header.flags.contains(.replicated)
      && (record != nil || header.firstGeneration < slotsGeneration)
  }

  /// Why a write that was never seen here must not be executed.
  private func objection(to header: Header, _ fence: FenceReading) -> Status? {
    if isBefore(fence, header) { return .staleGeneration }
    // It may have been executed where its session was evicted before that server was fenced.
    let birth = SessionTable.birth(ofClient: header.client)
    if faults.contains(.evictionIgnored) { return lossObjection(to: header, fence) }
    if birth <= fence.evictedBirth && header.firstGeneration < fence.evictedGeneration
      || birth <= forgotten.evictedBirth && header.firstGeneration < forgotten.evictedGeneration
    {
      return .sessionLost
    }
    if let status = slotFence(of: header)?.objection(
      to: header, isKnownCompared: !faults.contains(.knownGenerationIgnored))
    {
      return status
    }
    return lossObjection(to: header, fence)
  }

  /// A server that was lost may have executed it.
  private func lossObjection(to header: Header, _ fence: FenceReading) -> Status? {
    header.firstGeneration < lossGeneration(header.keyHash, fence)
      && !faults.contains(.lossIgnored) ? .ambiguous : nil
  }

  /// Of the newest loss of a server that may have taken something of this key with it; 0: none.
  private func lossGeneration(_ keyHash: UInt64, _ fence: FenceReading) -> UInt64 {
    max(
      slots.lossGeneration(KeyHash.slot(keyHash)), fence.lossGeneration, forgotten.lossGeneration)
  }

  /// It was stamped before the fence; or it may be a late duplicate of a finished write that was
  /// stamped anew, since its sender knew no generation above the fence.
  private func isBefore(_ fence: FenceReading, _ header: Header) -> Bool {
    let isKnownCompared = !faults.contains(.knownGenerationIgnored)
    if isServedFromBefore(header) { return false }
    if isKnownCompared && header.knownGeneration < floor { return true }
    guard fence.isForThisKey, !faults.contains(.fenceIgnored) else { return false }
    return header.generation < fence.generation
      || isKnownCompared && header.knownGeneration <= fence.generation
  }

  private mutating func execute(
    _ arrival: Arrival, _ fence: FenceReading, _ output: inout some ServerOutput
  ) {
    let header = arrival.header
    let isDelete = header.operation == .delete
    let record = engine.find(arrival.key, keyHash: header.keyHash)
    // A smaller version is acknowledged, not applied: it is already overwritten.
    let isApplied = header.version > record?.version ?? 0 || faults.contains(.lastArrivalKept)
    var generation = header.generation
    if !header.flags.contains(.replicated), slots.backup(KeyHash.slot(header.keyHash)) != nil {
      // A MIRROR of what this overwrites may be late: a tombstone has to be remembered for longer.
      generation = max(generation, record?.generation ?? 0)
    }
    if isApplied {
      if isDelete, !header.flags.contains(.replicated) { noteDelete(arrival.key, header.keyHash) }
      engine.store(
        arrival.key, keyHash: header.keyHash, value: arrival.value,
        attributes(
          header.keyHash, version: header.version, generation: generation,
          kind: isDelete ? .tombstone : .value))
      noteChange(arrival.key, header.keyHash)
    }
    if !faults.contains(.noSession) {
      sessions.record(
        client: header.client, sequence: header.sequence, acknowledged: header.acknowledged,
        keyHash: header.keyHash, version: header.version, operation: header.operation, status: .ok)
    }
    totals.writes += 1
    onExecution?(
      Execution(
        client: header.client, sequence: header.sequence, keyHash: header.keyHash,
        version: header.version, wasApplied: isApplied))
    if isApplied { noteUnconfirmed(header, fence) }
    if handOn(arrival, version: header.version, &output) { return }
    if isApplied {
      sendCopies(
        arrival.key, arrival.value, keyHash: header.keyHash, version: header.version,
        generation: header.generation, isTombstone: isDelete, to: header.copyTargets, &output)
    }
    var reply = replyHeader(arrival, .ok, fence: fence.generation)
    if isDelete { reply.flags.insert(.tombstone) }
    send(reply, &output)
  }

  /// What a stored version is recorded with.
  func attributes(
    _ keyHash: UInt64, version: UInt64, generation: UInt64, kind: StoredRecord.Kind
  ) -> RecordAttributes {
    RecordAttributes(
      version: version, generation: generation, kind: kind,
      isForgettable: isForgettable(keyHash, kind))
  }

  func isForgettable(_ keyHash: UInt64, _ kind: StoredRecord.Kind) -> Bool {
    slots.isForgettable(keyHash, kind) && !(kind == .tombstone && isUnsettled(keyHash))
  }
}
