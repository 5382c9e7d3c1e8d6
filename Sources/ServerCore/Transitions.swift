internal import Storage
internal import Wire

// Messages of the controller: docs/protocol.md §6 and §8.
extension ServerCore {
  /// A message from the directory's address.
  mutating func obey(_ arrival: Arrival, _ output: inout some ServerOutput) {
    let header = arrival.header
    switch header.operation {
    case .probe: answerProbe(arrival, &output)
    case .admit: admit(arrival, &output)
    case .renew: renew(arrival)
    default:
      guard header.epoch == epoch, epoch != 0 else { return }
      switch header.operation {
      case .fence: obeyFence(arrival, &output)
      case .sync: obeySync(arrival, &output)
      case .floor: obeyFloor(arrival, &output)
      case .slotsSet: obeySlots(arrival, &output)
      case .copyOrder: obeyCopyOrder(arrival, &output)
      case .learn: answerLearn(arrival, &output)
      case .slotsMove: obeyMove(arrival, &output)
      default: break
      }
    }
  }

  /// The answer to a controller's message: its own `sequence`, `part` and `parts`, and its key.
  func answer(
    _ arrival: Arrival, _ operation: Operation, _ status: Status = .ok
  ) -> Header {
    var header = arrival.header.reply(status)
    header.operation = operation
    header.server = configuration.number
    header.incarnation = incarnation
    header.part = arrival.header.part
    header.parts = arrival.header.parts
    header.load = arrival.load
    return header
  }

  private mutating func answerProbe(_ arrival: Arrival, _ output: inout some ServerOutput) {
    releaseSome()
    var header = answer(arrival, .probeAck)
    header.epoch = recovered?.epoch ?? epoch
    header.generation = recovered?.floor ?? floor
    var body = totals
    body.keys = UInt64(engine.valueCount)
    body.recovered = recovered?.incarnation ?? 0
    if journal != nil { body.conditions.insert(.durable) }
    if case .writable = storage {} else { body.conditions.insert(.full) }
    if !damagedSlots.isEmpty { body.conditions.insert(.damaged) }
    body.encoded().withUnsafeBytes { send(header, value: $0, &output) }
  }

  // MARK: FENCE

  private mutating func obeyFence(_ arrival: Arrival, _ output: inout some ServerOutput) {
    let header = arrival.header
    guard !arrival.key.isEmpty, header.generation > floor else { return }
    guard hasRightHash(arrival) else {
      send(answer(arrival, .fenceAck, .wrongHash), key: arrival.key, &output)
      return
    }
    if let fence = fences[header.keyHash] {
      guard fence.isFor(arrival.key) else {
        send(answer(arrival, .fenceAck, .otherKey), key: arrival.key, &output)
        return
      }
      guard header.generation >= fence.generation else { return }
      var raised = fence
      raised.generation = header.generation
      setFence(header.keyHash, raised)
    } else {
      setFence(
        header.keyHash,
        KeyFence(
          key: Array(arrival.key), generation: header.generation,
          countsFrom: former.countsFrom(header.keyHash) ?? header.generation))
    }
    acknowledgeFence(arrival, &output)
  }

  private func acknowledgeFence(_ arrival: Arrival, _ output: inout some ServerOutput) {
    let keyHash = arrival.header.keyHash
    let record = engine.find(arrival.key, keyHash: keyHash)
    let status: Status =
      isLost(record, keyHash) ? .lost : record?.kind == .value ? .ok : .notFound
    var header = answer(arrival, .fenceAck, status)
    header.version = record?.version ?? 0
    if record?.kind == .tombstone { header.flags.insert(.tombstone) }
    if mayMiss(record, keyHash) { header.flags.insert(.lost) }
    let entries = sessions.entries(ofKeyHash: keyHash)
    let capacity = FenceAckBody.capacity(keyLength: arrival.key.count)
    let parts = max(1, (entries.count + capacity - 1) / capacity)
    // More than can be numbered: no answer, and the key is not promoted.
    guard parts <= Int(UInt16.max) else { return }
    header.parts = UInt16(parts)
    for part in 0..<parts {
      header.part = UInt16(part)
      let slice = entries[part * capacity..<min(entries.count, (part + 1) * capacity)]
      let body = FenceAckBody(
        evictedBirth: sessions.evictedBirth, storedGeneration: record?.generation ?? 0,
        countsFrom: fences[keyHash]?.countsFrom ?? 0, entries: Array(slice))
      body.encoded().withUnsafeBytes { send(header, key: arrival.key, value: $0, &output) }
    }
  }

  // MARK: SYNC

  private mutating func obeySync(_ arrival: Arrival, _ output: inout some ServerOutput) {
    let header = arrival.header
    guard hasRightHash(arrival), header.generation >= floor,
      let fence = fences[header.keyHash], fence.isFor(arrival.key),
      fence.generation == header.generation,
      let body = try? SyncBody(decoding: Array(arrival.value))
    else { return }
    merge(body, header)
    let record = engine.find(arrival.key, keyHash: header.keyHash)
    let stored = record?.kind == .lost ? 0 : record?.version ?? 0
    if header.version != 0 && stored < header.version {
      var reply = answer(arrival, .syncAck, .behind)
      reply.version = stored
      send(reply, key: arrival.key, &output)
      return
    }
    let before = record?.version ?? 0
    settle(arrival, record, freshVersion: body.freshVersion)
    if body.freshVersion > before {
      noteFresh(header.keyHash, body.freshVersion, header.generation)
    }
    settleUnconfirmed(header.keyHash, header.version, header.generation)
    let slot = KeyHash.slot(header.keyHash)
    if header.version != 0 && !slots.contains(slot) { countAnew(arrival) }
    if slots.contains(slot) || slots.keeps(slot) && header.version != 0 {
      // Whatever was newer is here now.
      if var fence = fences[header.keyHash] {
        fence.countsFrom = header.generation
        setFence(header.keyHash, fence)
      }
      // With a backup, only when that has it too: SLOTS_SET says so.
      if slots.backup(slot) == nil { former.settle(header.keyHash) }
    }
    var reply = answer(arrival, .syncAck)
    reply.version = engine.find(arrival.key, keyHash: header.keyHash)?.version ?? 0
    send(reply, key: arrival.key, &output)
  }

  /// The second server's value is counted on from now on: as if it had been copied under the fence.
  private mutating func countAnew(_ arrival: Arrival) {
    let header = arrival.header
    guard let record = engine.find(arrival.key, keyHash: header.keyHash), record.kind != .lost,
      record.generation < header.generation
    else { return }
    engine.update(
      arrival.key, keyHash: header.keyHash,
      attributes(
        header.keyHash, version: record.version, generation: header.generation, kind: record.kind))
  }

  private mutating func merge(_ body: SyncBody, _ header: Header) {
    for entry in body.entries { sessions.merge(entry, keyHash: header.keyHash) }
    sessions.raiseEvictedBirth(to: body.evictedBirth)
    guard var fence = fences[header.keyHash] else { return }
    fence.lossGeneration = max(fence.lossGeneration, body.lossGeneration)
    if body.evictedBirth > 0 {
      fence.evictedBirth = max(fence.evictedBirth, body.evictedBirth)
      fence.evictedGeneration = header.generation
    }
    setFence(header.keyHash, fence)
  }

  /// LOST and the fresh version.
  private mutating func settle(_ arrival: Arrival, _ record: StoredRecord?, freshVersion: UInt64) {
    let header = arrival.header
    // A late duplicate must not touch what was stored after the transition.
    if let record, record.generation > header.generation { return }
    let isLost = header.flags.contains(.lost) || isLost(record, header.keyHash)
    let version = max(record?.version ?? 0, freshVersion)
    guard header.flags.contains(.lost) || version > record?.version ?? 0 else { return }
    // The home server has nothing: a value is a leftover of an earlier hot time.
    let isAbsent = header.flags.contains(.tombstone)
    let kind = isLost ? StoredRecord.Kind.lost : isAbsent ? .tombstone : record?.kind ?? .tombstone
    let attributes = attributes(
      header.keyHash, version: version, generation: header.generation, kind: kind)
    if record == nil {
      engine.store(
        arrival.key, keyHash: header.keyHash, value: .init(start: nil, count: 0), attributes)
    } else {
      engine.update(arrival.key, keyHash: header.keyHash, attributes)
    }
    noteChange(arrival.key, header.keyHash)
  }

  // MARK: FLOOR

  private mutating func obeyFloor(_ arrival: Arrival, _ output: inout some ServerOutput) {
    let header = arrival.header
    guard let body = try? FloorBody(decoding: Array(arrival.value)) else { return }
    let isLate = header.generation < floor && !faults.contains(.lateFloorObeyed)
    if !isLate {
      let attempt = PartAssembly<FloorBody>.Attempt(
        generation: header.generation, sequence: header.sequence)
      if case .complete(let bodies) = floorParts.add(
        body, part: header.part, parts: header.parts, attempt: attempt)
      {
        forget(below: header.generation, named: Set(bodies.flatMap(\.keyHashes)))
        if !unsettledDeletes.isEmpty { settleDeletes(header.generation, &output) }
      }
    }
    send(answer(arrival, .floorAck), &output)
  }

  /// Refuses everything below the generation first; only then drops what it is not needed for.
  private mutating func forget(below generation: UInt64, named: Set<UInt64>) {
    if !faults.contains(.floorNotRaised) { floor = max(floor, generation) }
    let isObeyedBlindly = faults.contains(.lateFloorObeyed)
    // The fence of a named hash stays: it says which key the hash stands for.
    for (keyHash, fence) in fences where fence.generation < generation {
      guard !named.contains(keyHash) else { continue }
      forgotten.add(fence)
      setFence(keyHash, nil)
      confirm(keyHash)
    }
    for (slot, fence) in slotFences where fence.generation < generation {
      forgotten.add(fence)
      slotFences[slot] = nil
    }
    clearedSlots = clearedSlots.filter { $0.value >= generation }
    settleDamage()
    recordServer()
    recordSlotFences()
    let (fences, slots, leaving, arriving) = (fences, slots, leaving, arriving)
    let unsettled = unsettledDeletes
    engine.forget { record in
      // It may have come to be data since it was stored, and what moves is kept as it is.
      let slot = KeyHash.slot(record.keyHash)
      guard slots.isForgettable(record.keyHash, record.kind), unsettled[record.keyHash] == nil,
        leaving?.slots.contains(slot) != true, arriving?.slots.contains(slot) != true
      else { return false }
      guard !named.contains(record.keyHash) else { return false }
      guard !isObeyedBlindly else { return !slots.contains(KeyHash.slot(record.keyHash)) }
      // A fence that is left is newer: the key is replicated again, or is becoming so.
      return fences[record.keyHash] == nil && record.generation < generation
    }
  }

  // MARK: SLOTS_SET

  private mutating func obeySlots(_ arrival: Arrival, _ output: inout some ServerOutput) {
    let header = arrival.header
    guard let body = try? SlotsBody(decoding: Array(arrival.value)) else { return }
    let attempt = PartAssembly<SlotsBody>.Attempt(
      generation: header.generation, sequence: header.sequence)
    switch slotsParts.add(body, part: header.part, parts: header.parts, attempt: attempt) {
    case .outdated: return
    case .nothingNew: break
    case .complete(let bodies):
      setSlots(
        bodies.flatMap(\.runs), named: Set(bodies.flatMap(\.keyHashes)),
        generation: header.generation)
      copies = bodies.map { Int($0.copies) }.max() ?? 1
      rackCopies = bodies.reduce(rackCopies) { max($0, Int($1.rackCopies), Int($1.copies)) }
      if copies < 2 { unconfirmed.removeAll() }
      slotsGeneration = header.generation
      hasSlotsOfEpoch = true
      // The directory has brought home whatever was hot before.
      former = FormerKeys()
      recordSlots()
      settleEpoch()
    }
    send(answer(arrival, .slotsAck), &output)
  }

  private mutating func setSlots(
    _ runs: [SlotRun], named: Set<UInt64>, generation: UInt64
  ) {
    // Whatever was on its way: this is how it is.
    (leaving, arriving, takenMove, release) = (nil, nil, 0, .none)
    var isGiven = Array(repeating: false, count: WireLimits.slots)
    var isEmptied = Array(repeating: false, count: WireLimits.slots)
    for run in runs {
      for slot in run.slots {
        isGiven[slot] = true
        // What is left over there from another time is not what was lost.
        let isLeftOver =
          !slots.keeps(slot)
          || slots.isLeaving(slot) && run.lossGeneration > slots.lossGeneration(slot)
        if isLeftOver && run.lossGeneration > 0 && !faults.contains(.leftoversKept) {
          isEmptied[slot] = true
        }
        slots.give(slot, run, generation: generation)
      }
    }
    for (keyHash, fence) in fences where isEmptied[KeyHash.slot(keyHash)] {
      let loss = slots.lossGeneration(KeyHash.slot(keyHash))
      // A hot key's newest value may be anywhere until a transition has brought it here.
      var raised = fence
      raised.countsFrom = named.contains(keyHash) ? 0 : max(fence.countsFrom, loss)
      setFence(keyHash, raised)
    }
    for slot in isGiven.indices where !isGiven[slot] { slots.take(slot) }
    let unsettled = unsettledDeletes
    engine.review { record in
      if isEmptied[KeyHash.slot(record.keyHash)] && !named.contains(record.keyHash) {
        return .remove
      }
      return .keep(
        isForgettable: slots.isForgettable(record.keyHash, record.kind)
          && unsettled[record.keyHash] == nil)
    }
  }
}
