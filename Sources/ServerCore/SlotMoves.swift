internal import Storage
internal import Wire

// Slots that move from one server to another: docs/protocol.md §8. The controller orders every step,
// and a server does a bounded part of the work for each order; it has no clock.

extension ServerCore {
  // MARK: Orders

  mutating func obeyMove(_ arrival: Arrival, _ output: inout some ServerOutput) {
    let header = arrival.header
    guard header.generation >= floor, let body = try? MoveBody(decoding: Array(arrival.value)),
      body.move != 0, body.move <= header.generation, body.peer != configuration.number
    else { return }
    var state = MoveAckBody(move: body.move)
    switch body.step {
    case .receive:
      guard receiveSlots(body, header) else { return }
      state.isScanned = arriving?.isCleared ?? false
    case .send, .fence:
      guard sendSlots(body, header, &output), let leaving else { return }
      state.sent = leaving.sent
      state.isScanned = leaving.isScanned
      state.waiting = UInt32(clamping: leaving.waiting)
      (state.evictedBirth, state.lossGeneration) = leaving.unseen
      if leaving.isFenced { state.losses = losses(of: leaving, body.runs) }
    case .take: takeSlots(body, header)
    case .leave: leaveSlots(body)
    case .assign: assignSlots(body, header)
    case .cancel: cancelMove(body)
    }
    state.encoded().withUnsafeBytes { send(answer(arrival, .slotsMoveAck), value: $0, &output) }
  }

  /// A new move takes the place of what is left of earlier ones. False: this one is over.
  private mutating func beginMove(_ move: UInt64) -> Bool {
    guard move > newestMove else { return false }
    newestMove = move
    if leaving != nil || arriving != nil { release = .due }
    (leaving, arriving) = (nil, nil)
    if release == .underWay { release = .due }
    engine.beginScan()
    return true
  }

  // MARK: The new home

  private mutating func receiveSlots(_ body: MoveBody, _ header: Header) -> Bool {
    if beginMove(body.move) {
      arriving = ArrivingSlots(
        move: body.move, peer: body.peer, slots: SlotSet(body.runs), generation: body.move,
        named: Set(body.keyHashes), isCleared: faults.contains(.slotLeftoversKept))
      // Who may have been sent for what is dropped is refused from now on, as with a floor.
      for slot in SlotSet(body.runs).numbers where !slots.keeps(slot) {
        clearedSlots[slot] = body.move
      }
    }
    guard let arriving, arriving.move == body.move else { return false }
    if !arriving.isCleared { clearSome(arriving) }
    return true
  }

  /// Drops leftovers of the coming slots: only copies kept on purpose are data, as those of a backup
  /// are that becomes home. What is hot stays, and copies of what has become so since the order was
  /// made are of newer generations.
  private mutating func clearSome(_ arriving: ArrivingSlots) {
    var found: [(keyHash: UInt64, key: [UInt8])] = []
    let isOver = engine.scan(effort: LeavingSlots.effort) { record in
      let slot = KeyHash.slot(record.keyHash)
      if arriving.slots.contains(slot), !slots.keeps(slot),
        record.generation < arriving.generation, !arriving.named.contains(record.keyHash)
      {
        found.append((record.keyHash, Array(record.key)))
      }
      return true
    }
    for item in found {
      item.key.withUnsafeBytes { engine.remove($0, keyHash: item.keyHash) }
    }
    self.arriving?.isCleared = isOver
  }

  /// What the old home has of a coming slot.
  mutating func storeSlotCopy(_ arrival: Arrival, _ output: inout some ServerOutput) {
    let header = arrival.header
    guard !isReadOnly, let arriving, arriving.isCleared, header.client == arriving.move,
      header.epoch == epoch,
      header.generation >= floor, header.parts == 1, header.status == .ok,
      arriving.slots.contains(KeyHash.slot(header.keyHash))
    else { return }
    let isTaken =
      arrival.key.isEmpty ? takeSessions(arrival) : takeRecord(arrival)
    guard isTaken else { return }
    var acknowledgement = Header(.slotCopyAck)
    acknowledgement.server = configuration.number
    acknowledgement.incarnation = incarnation
    acknowledgement.epoch = epoch
    acknowledgement.generation = header.generation
    acknowledgement.keyHash = header.keyHash
    acknowledgement.client = header.client
    acknowledgement.sequence = header.sequence
    acknowledgement.copyTargets = 1 << UInt32(arriving.peer)
    send(acknowledgement, to: .directory, &output)
  }

  private mutating func takeSessions(_ arrival: Arrival) -> Bool {
    guard let body = try? SlotSessionsBody(decoding: Array(arrival.value)) else { return false }
    for entry in body.entries { sessions.merge(entry, keyHash: arrival.header.keyHash) }
    return true
  }

  private mutating func takeRecord(_ arrival: Arrival) -> Bool {
    let header = arrival.header
    let isLost = header.flags.contains(.lost)
    let isTombstone = header.flags.contains(.tombstone)
    let fence = fence(of: arrival)
    guard hasRightHash(arrival), header.version != 0 || isLost, !(isLost && isTombstone),
      !(isLost || isTombstone) || arrival.value.isEmpty,
      // As with copies: the key has been in a transition since.
      header.generation >= fence.generation
    else { return false }
    let kind: StoredRecord.Kind = isLost ? .lost : isTombstone ? .tombstone : .value
    if let record = engine.find(arrival.key, keyHash: header.keyHash) {
      // Of the same version the old home knows better what it is.
      guard
        header.version > record.version || header.version == record.version && kind != record.kind
      else { return true }
    }
    noteArrived(arrival, fence, isTombstone: isTombstone)
    engine.store(
      arrival.key, keyHash: header.keyHash, value: arrival.value,
      RecordAttributes(
        version: header.version, generation: header.generation, kind: kind,
        isForgettable: kind == .tombstone && !isUnsettled(header.keyHash)))
    if header.firstGeneration != 0, !isLost {
      sessions.merge(
        SessionEntry(
          client: header.firstGeneration, sequence: header.knownGeneration,
          version: header.version, operation: isTombstone ? .delete : .set, status: .ok),
        keyHash: header.keyHash)
    }
    return true
  }

  /// It is home or backup of the slots, as their runs say. What was stamped before their fence is
  /// refused for good.
  private mutating func takeSlots(_ body: MoveBody, _ header: Header) {
    guard let arriving, arriving.move == body.move else { return }
    for run in body.runs {
      for slot in run.slots {
        slots.give(slot, run, generation: header.generation)
        slotFences[slot] = SlotFence(
          generation: header.generation, evictedBirth: body.evictedBirth,
          lossGeneration: body.lossGeneration)
      }
    }
    sessions.raiseEvictedBirth(to: body.evictedBirth)
    settleUnconfirmed(in: arriving.slots, header.generation)
    // A directory that begins a new epoch believes whoever got a slot last.
    slotsGeneration = max(slotsGeneration, header.generation)
    self.arriving = nil
    takenMove = body.move
    recordSlots()
    recordSlotFences()
    recordServer()
  }

  // MARK: The old home

  private mutating func sendSlots(
    _ body: MoveBody, _ header: Header, _ output: inout some ServerOutput
  ) -> Bool {
    if body.move > newestMove {
      let slots = SlotSet(body.runs)
      guard slots.numbers.allSatisfy({ self.slots.contains($0) }) else { return false }
      _ = beginMove(body.move)
      leaving = LeavingSlots(
        move: body.move, peer: body.peer, slots: slots, generation: header.generation)
    }
    guard let generation = leaving?.generation, leaving?.move == body.move else { return false }
    leaving?.generation = max(generation, header.generation)
    if body.step == .fence { fenceSlots(header.generation) }
    resend(upTo: body.resendTo, order: header.sequence, &output)
    sendSome(Int(body.credit), order: header.sequence, &output)
    return true
  }

  /// From now on no write of these slots is executed that was stamped before; what there is then of
  /// sessions is all that there will be.
  private mutating func fenceSlots(_ generation: UInt64) {
    guard let leaving, !leaving.isFenced else { return }
    self.leaving?.isFenced = true
    let unseen = unseenBefore(leaving.slots)
    self.leaving?.unseen = unseen
    for slot in leaving.slots.numbers {
      if !faults.contains(.slotFenceIgnored) {
        let before = slotFences[slot]
        slotFences[slot] = SlotFence(
          generation: generation, evictedBirth: before?.evictedBirth ?? 0,
          lossGeneration: before?.lossGeneration ?? 0)
      }
      guard !faults.contains(.slotSessionsStay) else { continue }
      for (keyHash, entries) in sessions.entries(inSlot: slot) {
        for first in stride(from: 0, to: entries.count, by: SlotSessionsBody.capacity) {
          let part = entries[first..<min(first + SlotSessionsBody.capacity, entries.count)]
          self.leaving?.sessions.append((keyHash, Array(part)))
        }
      }
    }
    recordSlotFences()
  }

  /// What the new home has to know of writes that this server would not recognize any more: for all
  /// keys alike, since it is rare.
  private func unseenBefore(_ leaving: SlotSet) -> (evictedBirth: UInt64, lossGeneration: UInt64) {
    var evictedBirth = max(sessions.evictedBirth, forgotten.evictedBirth)
    var loss = forgotten.lossGeneration
    for fence in fences.values {
      evictedBirth = max(evictedBirth, fence.evictedBirth)
      loss = max(loss, fence.lossGeneration)
    }
    for slot in leaving.numbers {
      guard let fence = slotFences[slot] else { continue }
      evictedBirth = max(evictedBirth, fence.evictedBirth)
      loss = max(loss, fence.lossGeneration)
    }
    return (evictedBirth, loss)
  }

  /// The slots of which the disk has lost values, in rows; where these are too many, all slots of the
  /// order with the newest loss.
  private func losses(of leaving: LeavingSlots, _ runs: [SlotRun]) -> [SlotRun] {
    let all = slots.runs.filter { $0.lossGeneration > 0 }
    var lost: [SlotRun] = []
    for run in runs {
      for loss in all {
        let first = max(loss.first, run.first)
        let end = min(Int(loss.first) + Int(loss.count), Int(run.first) + Int(run.count))
        guard end > Int(first) else { continue }
        lost.append(
          SlotRun(
            first: first, count: UInt16(end - Int(first)), lossGeneration: loss.lossGeneration))
      }
    }
    guard lost.count > MoveAckBody.lossesMax else { return lost }
    let newest = lost.map(\.lossGeneration).max() ?? 0
    return runs.map { SlotRun(first: $0.first, count: $0.count, lossGeneration: newest) }
  }

  private mutating func resend(
    upTo last: UInt64, order: UInt64, _ output: inout some ServerOutput
  ) {
    for index in leaving?.outstanding.indices ?? 0..<0 {
      guard let item = leaving?.outstanding[index], item.order <= last else { continue }
      leaving?.outstanding[index].order = order
      send(item, &output)
    }
  }

  /// Sends what this order allows: what is stored, then what has changed meanwhile, then sessions.
  private mutating func sendSome(
    _ credit: Int, order: UInt64, _ output: inout some ServerOutput
  ) {
    guard var leaving else { return }
    self.leaving = nil
    let before = leaving.outstanding.count
    var room = min(credit, LeavingSlots.outstandingMax - leaving.outstanding.count)
    func add(_ keyHash: UInt64, _ key: [UInt8], _ sessions: [SessionEntry] = []) {
      leaving.sent += 1
      room -= 1
      leaving.outstanding.append(
        LeavingSlots.Item(
          number: leaving.sent, keyHash: keyHash, key: key, sessions: sessions, order: order))
    }
    if !leaving.isScanned, room > 0 {
      var found: [(keyHash: UInt64, key: [UInt8])] = []
      leaving.isScanned = engine.scan(effort: LeavingSlots.effort) { record in
        guard leaving.slots.contains(KeyHash.slot(record.keyHash)),
          !(record.kind == .tombstone && faults.contains(.slotTombstonesStay))
        else { return true }
        found.append((record.keyHash, Array(record.key)))
        return found.count < room
      }
      for (keyHash, key) in found { add(keyHash, key) }
    }
    while leaving.isScanned, room > 0, let (keyHash, key) = leaving.takeChanged() {
      if !staysBehind(key, keyHash) { add(keyHash, key) }
    }
    while leaving.isScanned, room > 0, let (keyHash, entries) = leaving.sessions.popLast() {
      add(keyHash, [], entries)
    }
    self.leaving = leaving
    for item in leaving.outstanding[before...] { send(item, &output) }
  }

  /// With the fault `slotTombstonesStay` only.
  private func staysBehind(_ key: [UInt8], _ keyHash: UInt64) -> Bool {
    faults.contains(.slotTombstonesStay)
      && key.withUnsafeBytes { engine.find($0, keyHash: keyHash)?.kind == .tombstone }
  }

  /// Sends a key as it is stored now.
  private func send(_ item: LeavingSlots.Item, _ output: inout some ServerOutput) {
    guard let leaving else { return }
    var header = Header(.slotCopy)
    header.server = configuration.number
    header.incarnation = incarnation
    header.epoch = epoch
    header.keyHash = item.keyHash
    header.generation = leaving.generation
    header.client = leaving.move
    header.sequence = item.number
    header.copyTargets = 1 << UInt32(leaving.peer)
    guard !item.key.isEmpty else {
      SlotSessionsBody(entries: item.sessions).encoded().withUnsafeBytes {
        send(header, value: $0, to: .directory, &output)
      }
      return
    }
    item.key.withUnsafeBytes { key in
      // Nothing in these slots is removed while they leave.
      guard let record = engine.find(key, keyHash: item.keyHash) else { return }
      header.version = record.version
      if record.kind == .tombstone { header.flags.insert(.tombstone) }
      if record.kind == .lost { header.flags.insert(.lost) }
      if rackCopies > 1,
        let entry = sessions.entries(ofKeyHash: item.keyHash).first(where: {
          $0.version == record.version
        })
      {
        // A backup shows what it has: who asks again for the result must find it there too, even if
        // the move comes to nothing.
        (header.firstGeneration, header.knownGeneration) = (entry.client, entry.sequence)
      }
      send(header, key: key, value: record.value, to: .directory, &output)
    }
  }

  /// The new home has it.
  mutating func slotCopyAcknowledged(_ arrival: Arrival) {
    let header = arrival.header
    guard let leaving, header.client == leaving.move, header.epoch == epoch,
      let index = leaving.outstanding.firstIndex(where: { $0.number == header.sequence })
    else { return }
    self.leaving?.outstanding.remove(at: index)
  }

  /// The slots have another backup, or another home, than before, and no write of them is executed by
  /// anyone until all who have to do with them know it.
  private mutating func assignSlots(_ body: MoveBody, _ header: Header) {
    let isOldHome = leaving?.move == body.move
    // A late one must not undo what the server was told since.
    guard isOldHome || body.move > newestMove, header.generation >= slotsGeneration else { return }
    if !isOldHome { _ = beginMove(body.move) }
    leaving = nil
    for run in body.runs where !(run.role == .leaving && faults.contains(.oldHomeAnswers)) {
      for slot in run.slots where slots.keeps(slot) {
        slots.give(slot, run, generation: header.generation)
      }
    }
    settleUnconfirmed(in: SlotSet(body.runs), header.generation)
    slotsGeneration = max(slotsGeneration, header.generation)
    recordSlots()
    recordServer()
  }

  /// The directory steers nothing of these slots here any more.
  private mutating func leaveSlots(_ body: MoveBody) {
    var hasLeft = false
    for slot in SlotSet(body.runs).numbers where slots.isLeaving(slot) {
      slots.take(slot)
      hasLeft = true
    }
    if hasLeft {
      release = .due
      recordSlots()
    }
    guard let leaving, leaving.move == body.move, !faults.contains(.oldHomeAnswers) else { return }
    for slot in leaving.slots.numbers { slots.take(slot) }
    recordSlots()
    self.leaving = nil
    release = .due
  }

  // MARK: Both

  private mutating func cancelMove(_ body: MoveBody) {
    // It must not begin late.
    if body.move > newestMove { _ = beginMove(body.move) }
    if leaving?.move == body.move { leaving = nil }
    if arriving?.move == body.move {
      arriving = nil
      release = .due
    }
    if takenMove == body.move {
      for slot in SlotSet(body.runs).numbers { slots.take(slot) }
      recordSlots()
      takenMove = 0
      release = .due
    }
  }

  /// As when another directory's epoch begins.
  mutating func forgetMoves() {
    slotFences.removeAll()
    clearedSlots.removeAll()
    (leaving, arriving, newestMove, takenMove, release) = (nil, nil, 0, 0, .none)
  }

  /// Whether what a read was sent here for, when its key was hot, may have been left over since.
  func mayHaveDropped(_ header: Header) -> Bool {
    guard !clearedSlots.isEmpty, header.flags.contains(.replicated) else { return false }
    return header.generation < clearedSlots[KeyHash.slot(header.keyHash)] ?? 0
  }

  /// The fence of a request's slot; a directory entry's requests have that of their key.
  func slotFence(of header: Header) -> SlotFence? {
    guard !slotFences.isEmpty, !header.flags.contains(.replicated) else { return nil }
    return slotFences[KeyHash.slot(header.keyHash)]
  }

  /// A key is stored otherwise than before.
  mutating func noteChange(_ key: UnsafeRawBufferPointer, _ keyHash: UInt64) {
    guard leaving != nil, !faults.contains(.slotChangesMissed) else { return }
    leaving?.note(key, keyHash)
  }

  /// Makes some values of slots that have left forgettable, so that FLOOR frees their memory.
  mutating func releaseSome() {
    guard release != .none, leaving == nil, arriving == nil else { return }
    if release == .due {
      engine.beginScan()
      release = .underWay
    }
    var found: [(record: RecordAttributes, keyHash: UInt64, key: [UInt8])] = []
    let isOver = engine.scan(effort: 4 * LeavingSlots.effort) { record in
      guard !slots.keeps(KeyHash.slot(record.keyHash)) else { return true }
      found.append(
        (
          RecordAttributes(
            version: record.version, generation: record.generation, kind: record.kind,
            isForgettable: true), record.keyHash, Array(record.key)
        ))
      return found.count < LeavingSlots.effort
    }
    for (attributes, keyHash, key) in found {
      key.withUnsafeBytes { engine.update($0, keyHash: keyHash, attributes) }
    }
    if isOver { release = .none }
  }
}
