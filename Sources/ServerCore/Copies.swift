internal import Storage
internal import Wire

// Copies between servers: docs/protocol.md §6.
extension ServerCore {
  /// Sends a COPY through the directory to each of `targets` but this server.
  func sendCopies(
    _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, keyHash: UInt64,
    version: UInt64, generation: UInt64, isTombstone: Bool, to targets: UInt32,
    _ output: inout some ServerOutput
  ) {
    var left = targets & ~(1 << UInt32(configuration.number))
    guard left != 0 else { return }
    var header = Header(.copy)
    header.server = configuration.number
    header.incarnation = incarnation
    header.epoch = epoch
    header.keyHash = keyHash
    header.version = version
    header.generation = generation
    if isTombstone { header.flags.insert(.tombstone) }
    while left != 0 {
      header.copyTargets = left & (~left &+ 1)
      left &= left - 1
      send(header, key: key, value: value, to: .directory, &output)
    }
  }

  /// Stores a copy that is not outdated and tells the directory.
  mutating func storeCopy(_ arrival: Arrival, _ output: inout some ServerOutput) {
    let header = arrival.header
    guard !isReadOnly, header.epoch == epoch, epoch != 0, header.version != 0,
      header.status == .ok,
      header.parts == 1, !arrival.key.isEmpty, hasRightHash(arrival)
    else { return }
    let isTombstone = header.flags.contains(.tombstone)
    guard !(isTombstone && !arrival.value.isEmpty) else { return }
    let fence = fence(of: arrival)
    guard !fence.isForAnotherKey, header.generation >= floor,
      header.generation >= fence.generation || faults.contains(.fenceIgnored),
      // A copy from before a loss may be older than what was lost.
      header.generation >= slots.lossGeneration(KeyHash.slot(header.keyHash))
    else { return }
    let kind = isTombstone ? StoredRecord.Kind.tombstone : .value
    let record = engine.find(arrival.key, keyHash: header.keyHash)
    if let record, record.version >= header.version, !faults.contains(.lastArrivalKept) {
      guard record.version == header.version else { return }
      // The same version: it counts as stored under the newer generation, and is what it says.
      guard record.kind == .lost || record.kind == kind else { return }
    }
    let generation = max(header.generation, record?.generation ?? 0)
    engine.store(
      arrival.key, keyHash: header.keyHash, value: arrival.value,
      attributes(header.keyHash, version: header.version, generation: generation, kind: kind))
    noteChange(arrival.key, header.keyHash)
    // Whoever sent it has it.
    confirm(header.keyHash)
    totals.copiesStored += 1
    var acknowledgement = header.reply(.ok)
    acknowledgement.operation = .copyAck
    acknowledgement.flags = isTombstone ? .tombstone : Flags()
    acknowledgement.server = configuration.number
    acknowledgement.incarnation = incarnation
    acknowledgement.load = arrival.load
    acknowledgement.lateness = arrival.lateness
    acknowledgement.generation = replyGeneration(arrival, fence: fence.generation)
    send(acknowledgement, to: .directory, &output)
  }

  /// Sends what is stored to the copy targets, under the order's generation.
  func obeyCopyOrder(_ arrival: Arrival, _ output: inout some ServerOutput) {
    let header = arrival.header
    guard hasRightHash(arrival) else { return }
    let fence = fence(of: arrival)
    guard !fence.isForAnotherKey, header.generation >= floor,
      header.generation >= fence.generation,
      let record = engine.find(arrival.key, keyHash: header.keyHash), record.kind != .lost,
      // What may be nowhere else is for a transition only, which sees to the sessions too.
      header.generation == fence.generation || !isUnconfirmed(header.keyHash, record.version)
    else { return }
    sendCopies(
      arrival.key, record.value, keyHash: header.keyHash, version: record.version,
      generation: faults.contains(.copyCarriesOldGeneration)
        ? record.generation : header.generation,
      isTombstone: record.kind == .tombstone, to: header.copyTargets, &output)
  }
}
