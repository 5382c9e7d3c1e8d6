internal import Storage
internal import Wire

// Two copies of every write (docs/protocol.md §11): the server that executes a write hands it on to
// a second one, which answers the client. What only one server has is shown to nobody.

/// Who sent a request, as its server's shell knows them. It travels in MIRROR, so that another
/// server can answer; a core does not look into it.
public struct RequestOrigin: Sendable, Equatable {
  public var high: UInt64
  public var low: UInt64
  public var port: UInt16

  public init(high: UInt64 = 0, low: UInt64 = 0, port: UInt16 = 0) {
    (self.high, self.low, self.port) = (high, low, port)
  }
}

/// A write of a hot key that this server was the first to execute: nobody has told it yet that
/// another server has it too.
struct Unconfirmed {
  /// The write, as it was handed on.
  var header: Header
  /// Reads that had to wait for it.
  var reads = 0
  /// Once the key is cold, after this generation, its backup has it too; 0: not yet.
  var settled: UInt64 = 0

  var version: UInt64 { header.version }
}

extension ServerCore {
  /// Whether a write has to be on a second server before it is answered, and who that is: for a hot
  /// key the directory chooses among all others (its copies come first).
  private func mirrorTargets(_ header: Header) -> UInt32? {
    guard !faults.contains(.mirrorNotAwaited) else { return nil }
    if header.flags.contains(.replicated) { return copies > 1 ? header.copyTargets : nil }
    return slots.backup(KeyHash.slot(header.keyHash)).map { 1 << UInt32($0) }
  }

  /// Hands a write on that was executed here, now or earlier, under this version. False: it is to be
  /// answered here.
  ///
  /// A cold key may have been written again since. Then the backup must not store this version: the
  /// newer one may have been a delete that it has forgotten. So it is sent the newer one too, and
  /// answers for this one if it has that. Or it was deleted, and that is forgotten: then the backup
  /// has to know the result all the same, or it would execute the write once this server is lost.
  mutating func handOn(
    _ arrival: Arrival, version: UInt64, _ output: inout some ServerOutput
  ) -> Bool {
    guard let targets = mirrorTargets(arrival.header) else { return false }
    let keyHash = arrival.header.keyHash
    var isSuperseded = false
    var isForgotten = false
    var header = arrival.header
    if !header.flags.contains(.replicated) {
      if let record = engine.find(arrival.key, keyHash: keyHash) {
        isSuperseded = record.version > version
        if isSuperseded {
          mirror(arrival.key, keyHash, record, to: targets, header.generation, &output)
        } else {
          // That of all that it overwrites.
          header.generation = max(header.generation, record.generation)
        }
      } else {
        isForgotten = true
      }
    }
    header.operation = .mirror
    header.server = configuration.number
    header.incarnation = incarnation
    header.status = .ok
    header.flags = header.flags.intersection(.replicated)
    if arrival.header.operation == .delete { header.flags.insert(.tombstone) }
    if isSuperseded { header.flags.insert(.notHolder) }
    if isForgotten { header.flags.formUnion([.notHolder, .lost]) }
    header.load = UInt16(configuration.number)
    header.version = version
    header.copyTargets = targets
    if header.returnPort != 0 {
      // In one-arm mode the directory has written down who the client is.
      header.flags.insert(.viaRack)
    } else {
      header.returnAddress = (arrival.origin.high, arrival.origin.low)
      header.returnPort = arrival.origin.port
    }
    send(header, key: arrival.key, value: arrival.value, to: .directory, &output)
    return true
  }

  /// The newest version of a key is here, and perhaps nowhere else.
  mutating func noteUnconfirmed(_ header: Header, _ fence: FenceReading) {
    guard header.flags.contains(.replicated) else {
      if fence.isForThisKey { fences[header.keyHash]?.coldVersion = header.version }
      return
    }
    guard copies > 1 else { return }
    var header = header
    // Nobody waits for what is handed on again without a client.
    header.returnPath = 0
    unconfirmed[header.keyHash] = Unconfirmed(header: header)
  }

  /// What moves here may be what its old home has told nobody of: if the key was hot a moment ago, a
  /// late read of that time must not be shown it.
  mutating func noteArrived(_ arrival: Arrival, _ fence: FenceReading, isTombstone: Bool) {
    let keyHash = arrival.header.keyHash
    // What a backup is told of by its home both have.
    guard copies > 1, !slots.keeps(KeyHash.slot(keyHash)) else { return }
    if isTombstone { unsettledDeletes[keyHash] = Array(arrival.key) }
    guard fence.isForThisKey else { return }
    var header = Header(.mirror)
    header.epoch = epoch
    header.keyHash = keyHash
    header.generation = arrival.header.generation
    header.version = arrival.header.version
    unconfirmed[keyHash] = Unconfirmed(header: header)
  }

  /// From this generation on the server answers for the slots with another one, which has all that is
  /// stored here.
  mutating func settleUnconfirmed(in slots: SlotSet, _ generation: UInt64) {
    for (keyHash, pending) in unconfirmed where slots.contains(KeyHash.slot(keyHash)) {
      unconfirmed[keyHash]?.settled = max(pending.settled, generation)
    }
  }

  /// A transition gives what is stored another version: until it ends, this server may be the only
  /// one that shows it.
  mutating func noteFresh(_ keyHash: UInt64, _ version: UInt64, _ generation: UInt64) {
    guard copies > 1 else { return }
    var header = Header(.mirror)
    header.epoch = epoch
    header.keyHash = keyHash
    header.generation = generation
    header.version = version
    unconfirmed[keyHash] = Unconfirmed(header: header, settled: generation)
  }

  /// Another server has what is stored here.
  mutating func confirm(_ keyHash: UInt64) {
    if !unconfirmed.isEmpty { unconfirmed[keyHash] = nil }
  }

  /// Whether nobody but this server may have what it stores of a hot key.
  func isUnconfirmed(_ keyHash: UInt64, _ version: UInt64) -> Bool {
    !unconfirmed.isEmpty && unconfirmed[keyHash]?.version == version
  }

  /// Whether a read has to wait: what is stored might be lost with this server. A version that the
  /// directory demands was answered for by another one; a key that is cold again has been through a
  /// transition.
  mutating func mustWait(
    _ arrival: Arrival, _ record: StoredRecord?, _ output: inout some ServerOutput
  ) -> Bool {
    let header = arrival.header
    guard !unconfirmed.isEmpty, let pending = unconfirmed[header.keyHash] else { return false }
    guard let record, record.version == pending.version,
      header.version < pending.version, !faults.contains(.unconfirmedShown)
    else {
      unconfirmed[header.keyHash] = nil
      return false
    }
    guard header.flags.contains(.replicated) else {
      return pending.settled == 0 || header.generation <= pending.settled
    }
    unconfirmed[header.keyHash]?.reads += 1
    // Its MIRROR may be lost and its client gone: now and then it is sent again.
    let reads = pending.reads + 1
    if reads >= 4 && reads & (reads - 1) == 0 {
      sendAgain(pending.header, record, arrival, &output)
    }
    return true
  }

  /// At the end of a transition in this generation, home and backup have this version.
  mutating func settleUnconfirmed(_ keyHash: UInt64, _ version: UInt64, _ generation: UInt64) {
    guard !unconfirmed.isEmpty, let pending = unconfirmed[keyHash], pending.version <= version
    else { return }
    unconfirmed[keyHash]?.settled = max(pending.settled, generation)
  }

  private func sendAgain(
    _ write: Header, _ record: StoredRecord, _ read: Arrival, _ output: inout some ServerOutput
  ) {
    var header = write
    header.operation = .mirror
    header.server = configuration.number
    header.incarnation = incarnation
    header.status = .ok
    header.flags = [.replicated]
    if record.kind == .tombstone { header.flags.insert(.tombstone) }
    header.load = UInt16(configuration.number)
    // The key is as hot as the read says.
    header.generation = max(write.generation, read.header.generation)
    send(header, key: read.key, value: record.value, to: .directory, &output)
  }

  // MARK: The second server

  /// A write that another server has executed: stored, remembered, and answered.
  mutating func storeMirror(_ arrival: Arrival, _ output: inout some ServerOutput) {
    let header = arrival.header
    let isDelete = header.flags.contains(.tombstone)
    guard epoch != 0, header.epoch == epoch, header.version != 0,
      header.status == .ok, header.parts == 1, !arrival.key.isEmpty, hasRightHash(arrival),
      header.sequence &- header.acknowledged < UInt64(WireLimits.outstandingMax),
      !(isDelete && !arrival.value.isEmpty), header.generation >= floor
    else { return }
    let fence = fence(of: arrival)
    if header.flags.contains(.replicated) {
      guard !fence.isForAnotherKey else { return }
    } else {
      // What its former home has sent late must not come after what it was home of itself.
      guard slots.isBackup(KeyHash.slot(header.keyHash), since: header.generation) else { return }
    }
    var version = header.version
    var isUnseen = false
    // Without a client: nobody will ask for the result again.
    let finding =
      header.client == 0
      ? .lost
      : sessions.look(
        client: header.client, sequence: header.sequence, acknowledged: header.acknowledged,
        keyHash: header.keyHash)
    switch finding {
    case .finished, .seenForAnotherKey: return
    // What this server was told before was executed by a server that is lost.
    case .seen(let entry) where entry.version < version: isUnseen = true
    case .seen(let entry): version = entry.version
    case .unseen: isUnseen = !faults.contains(.mirrorForgetsSession)
    // Its client is told so, should it ask here: nothing is executed twice.
    case .lost: break
    }
    let isFenced = header.generation < fence.generation && !faults.contains(.fenceIgnored)
    let record = engine.find(arrival.key, keyHash: header.keyHash)
    let holds = record.map { $0.version >= version && $0.kind != .lost } ?? false
    // Deleted since, where it comes from, which both have forgotten.
    let isForgotten = header.flags.contains(.lost) && record == nil
    // Written again since, where it comes from.
    guard holds || isForgotten || !header.flags.contains(.notHolder) else { return }
    guard !isFenced || holds && !isUnseen, holds || isForgotten || version == header.version else {
      // Who asks again meets who knows.
      refuseMirror(arrival, fence.generation, &output)
      return
    }
    let isStored = !holds && !isForgotten
    if isStored {
      engine.store(
        arrival.key, keyHash: header.keyHash, value: arrival.value,
        attributes(
          header.keyHash, version: version,
          generation: max(header.generation, record?.generation ?? 0),
          kind: isDelete ? .tombstone : .value))
      noteChange(arrival.key, header.keyHash)
      confirm(header.keyHash)
      totals.copiesStored += 1
    }
    if isUnseen {
      sessions.record(
        client: header.client, sequence: header.sequence, acknowledged: header.acknowledged,
        keyHash: header.keyHash, version: version, operation: isDelete ? .delete : .set,
        status: .ok)
    }
    if isStored {
      // On two servers: from now on others may have it, and show it.
      sendCopies(
        arrival.key, arrival.value, keyHash: header.keyHash, version: version,
        generation: header.generation, isTombstone: isDelete, to: header.copyTargets, &output)
    }
    if isDelete, !header.flags.contains(.replicated) { acknowledgeDelete(arrival, &output) }
    answerMirror(arrival, .ok, version: version, fence.generation, &output)
  }

  private mutating func refuseMirror(
    _ arrival: Arrival, _ fence: UInt64, _ output: inout some ServerOutput
  ) {
    guard arrival.header.returnPath != 0 else { return }
    totals.refused += 1
    answerMirror(arrival, .staleGeneration, version: arrival.header.version, fence, &output)
  }

  /// The reply to the client; to nobody but the directory if there is none.
  private func answerMirror(
    _ arrival: Arrival, _ status: Status, version: UInt64, _ fence: UInt64,
    _ output: inout some ServerOutput
  ) {
    let isDelete = arrival.header.flags.contains(.tombstone)
    var header = replyHeader(arrival, status, fence: fence)
    header.version = version
    if isDelete && status == .ok { header.flags.insert(.tombstone) }
    // Both have forgotten it.
    if arrival.header.flags.contains(.lost) { header.flags.insert(.notHolder) }
    guard arrival.header.returnPath != 0 else {
      header.returnAddress = (0, 0)
      header.returnPort = 0
      header.operation = .copyAck
      header.flags.remove(.reply)
      send(header, to: .directory, &output)
      return
    }
    header.operation = isDelete ? .delete : .set
    guard !arrival.header.flags.contains(.viaRack) else {
      send(header, to: .directory, &output)
      return
    }
    header.returnAddress = (0, 0)
    header.returnPort = 0
    let sent = arrival.header
    send(
      header,
      to: .origin(
        RequestOrigin(
          high: sent.returnAddress.0, low: sent.returnAddress.1, port: sent.returnPort)),
      &output)
  }

  // MARK: Deletes

  // A home server that forgot a tombstone which its backup has not got would later seem to have less
  // than that.

  /// A cold key was deleted here.
  mutating func noteDelete(_ key: UnsafeRawBufferPointer, _ keyHash: UInt64) {
    if slots.backup(KeyHash.slot(keyHash)) != nil { unsettledDeletes[keyHash] = Array(key) }
  }

  /// Whether FLOOR has to leave a tombstone alone.
  func isUnsettled(_ keyHash: UInt64) -> Bool {
    !unsettledDeletes.isEmpty && unsettledDeletes[keyHash] != nil
  }

  private func acknowledgeDelete(_ arrival: Arrival, _ output: inout some ServerOutput) {
    guard arrival.header.load < WireLimits.serversMax else { return }
    var header = Header(.mirrorAck)
    header.server = configuration.number
    header.incarnation = incarnation
    header.epoch = epoch
    header.generation = arrival.header.generation
    header.keyHash = arrival.header.keyHash
    header.version = arrival.header.version
    header.copyTargets = 1 << UInt32(arrival.header.load)
    send(header, key: arrival.key, to: .directory, &output)
  }

  /// The backup has a tombstone.
  mutating func deleteAcknowledged(_ arrival: Arrival) {
    let header = arrival.header
    guard header.epoch == epoch, unsettledDeletes[header.keyHash] != nil,
      let record = engine.find(arrival.key, keyHash: header.keyHash),
      record.version == header.version, record.kind == .tombstone
    else { return }
    unsettledDeletes[header.keyHash] = nil
    engine.update(
      arrival.key, keyHash: header.keyHash,
      attributes(
        header.keyHash, version: record.version, generation: record.generation, kind: .tombstone))
  }

  /// With every FLOOR: what is not acknowledged yet is sent again, with the result of the write as
  /// long as its client may ask for it.
  mutating func settleDeletes(_ generation: UInt64, _ output: inout some ServerOutput) {
    for (keyHash, bytes) in unsettledDeletes.sorted(by: { $0.key < $1.key }) {
      bytes.withUnsafeBytes { key in
        let record = engine.find(key, keyHash: keyHash)
        // What is coming is not its own yet.
        guard arriving?.slots.contains(KeyHash.slot(keyHash)) != true else { return }
        guard let record, record.kind == .tombstone,
          let backup = slots.backup(KeyHash.slot(keyHash))
        else {
          unsettledDeletes[keyHash] = nil
          if let record, record.kind == .tombstone {
            engine.update(
              key, keyHash: keyHash,
              attributes(
                keyHash, version: record.version, generation: record.generation, kind: .tombstone))
          }
          return
        }
        mirror(key, keyHash, record, to: 1 << UInt32(backup), generation, &output)
      }
    }
  }

  /// Sends what is stored of a cold key to the backup, with the result of the write as long as its
  /// client may ask for it. Nobody is answered.
  private func mirror(
    _ key: UnsafeRawBufferPointer, _ keyHash: UInt64, _ record: StoredRecord, to target: UInt32,
    _ generation: UInt64, _ output: inout some ServerOutput
  ) {
    guard record.kind != .lost else { return }
    var header = Header(.mirror)
    header.server = configuration.number
    header.incarnation = incarnation
    header.epoch = epoch
    header.flags = record.kind == .tombstone ? .tombstone : []
    header.load = UInt16(configuration.number)
    header.generation = max(generation, record.generation)
    header.version = record.version
    header.keyHash = keyHash
    header.copyTargets = target
    let entries = sessions.entries(ofKeyHash: keyHash)
    if let entry = entries.first(where: { $0.version == record.version }) {
      header.client = entry.client
      header.sequence = entry.sequence
      let reach = UInt64(WireLimits.outstandingMax - 1)
      header.acknowledged = entry.sequence > reach ? entry.sequence - reach : 0
    }
    send(header, key: key, value: record.value, to: .directory, &output)
  }
}
