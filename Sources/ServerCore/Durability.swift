public import Storage
internal import Wire

// A server whose state outlives its process: docs/protocol.md §6, "Durable servers".
extension ServerCore {
  /// Takes in one row of what an earlier start of this server has written down; before the first
  /// datagram, in any order, and then `finishRestoring`.
  public mutating func restore(_ row: StateRow) {
    switch row {
    case .value(let key, let keyHash, let value, let attributes):
      durable?.restore(key, keyHash: keyHash, value: value, attributes)
    case .session(let entry, let mark, let keyHash):
      sessions.restore(entry, mark: mark, keyHash: keyHash)
    case .evicted(let birth): sessions.restore(evictedBirth: birth)
    case .damaged(let slots): damagedSlots = slots
    case .fence(let keyHash, let row): fences[keyHash] = KeyFence(row)
    case .server(let row):
      forgotten = ForgottenFences(row)
      slotsGeneration = row.slotsGeneration
      hasSlotsOfEpoch = true
      recovered = row
    case .slots(let runs):
      for run in runs { slots.give(run) }
    case .slotFences(let rows):
      for row in rows {
        for slot in Int(row.first)..<Int(row.first) + Int(row.count) {
          slotFences[slot] = SlotFence(
            generation: row.generation, evictedBirth: row.evictedBirth,
            lossGeneration: row.lossGeneration)
        }
      }
    }
  }

  /// All rows are there, except values of the slots `damaged`: what these hold no record of is lost.
  ///
  /// The state is only offered to the controller (PROBE_ACK), which may take it or not (ADMIT).
  public mutating func finishRestoring(damaged: [Int] = []) {
    if recovered?.epoch == 0 || recovered?.incarnation == 0 { recovered = nil }
    for slot in damaged { slots.damage(slot) }
    damagedSlots = recovered == nil ? [] : Set(damagedSlots + damaged).sorted()
    let slots = slots
    engine.review { record in
      .keep(isForgettable: slots.isForgettable(record.keyHash, record.kind))
    }
  }

  /// Writes everything down anew, into rows that are empty.
  public func recordEverything() {
    durable?.recordEverything()
    sessions.recordEverything()
    for (keyHash, fence) in fences { journal?.fence(keyHash, fence.row) }
    recordSlots()
    recordSlotFences()
    journal?.damaged(damagedSlots)
    if let recovered {
      journal?.server(recovered)
    } else {
      recordServer()
    }
  }

  /// Forgets what the controller does not believe.
  mutating func forgetEverything() {
    onForgetting?()
    recovered = nil
    damagedSlots = []
    journal?.removeEverything()
    makeTables()
    fences.removeAll()
    forgetMoves()
    forgotten = ForgottenFences()
    slots = OwnedSlots(count: WireLimits.slots)
    slotsGeneration = 0
    hasSlotsOfEpoch = false
    formerRows = []
  }

  /// Goes on with what an earlier start has left.
  mutating func takeUp(_ state: ServerRow, _ admission: Header) {
    recovered = nil
    epoch = state.epoch
    floor = state.floor
    slots.dateDamage(admission.generation)
    // In a new epoch they are written down with the slots of that.
    if admission.epoch == state.epoch { recordSlots() }
  }

  /// It has its slots of an epoch: from now on that is what it offers after a restart.
  mutating func settleEpoch() {
    for keyHash in formerRows where fences[keyHash] == nil { journal?.fence(keyHash, nil) }
    formerRows = []
    recordSlotFences()
    recordServer()
  }

  /// Not before it has slots of its epoch: until then it offers what it had in the one before, as if
  /// it had not been admitted to this one.
  func recordServer() {
    guard let journal, hasSlotsOfEpoch else { return }
    var row = ServerRow()
    row.epoch = epoch
    row.incarnation = incarnation
    row.slotsGeneration = slotsGeneration
    row.floor = floor
    row.forgottenLoss = forgotten.lossGeneration
    row.forgottenBirth = forgotten.evictedBirth
    row.forgottenGeneration = forgotten.evictedGeneration
    journal.server(row)
  }

  /// Every key that might have been hot has been through a transition since it was known what is
  /// missing here.
  mutating func settleDamage() {
    guard !damagedSlots.isEmpty else { return }
    damagedSlots = []
    journal?.damaged([])
  }

  /// Whether this server may have had a record of the key that it cannot read.
  func mayMiss(_ record: StoredRecord?, _ keyHash: UInt64) -> Bool {
    record == nil && damagedSlots.contains(KeyHash.slot(keyHash))
  }

  func recordSlots() { journal?.slots(slots.runs(withLeaving: true)) }

  /// Not before it has slots of its epoch, as with `recordServer`.
  func recordSlotFences() {
    guard let journal, hasSlotsOfEpoch else { return }
    var rows: [SlotFenceRow] = []
    for (slot, fence) in slotFences.sorted(by: { $0.key < $1.key }) {
      let row = SlotFenceRow(
        first: UInt16(slot), count: 1, generation: fence.generation,
        evictedBirth: fence.evictedBirth, lossGeneration: fence.lossGeneration)
      if let last = rows.last, last.continues(with: row) {
        rows[rows.count - 1].count += 1
      } else {
        rows.append(row)
      }
    }
    journal.slotFences(rows)
  }

  /// Changes a fence, or takes it away.
  mutating func setFence(_ keyHash: UInt64, _ fence: KeyFence?) {
    fences[keyHash] = fence
    journal?.fence(keyHash, fence?.row)
  }
}

/// What a server may do with its storage.
public enum StorageCondition: Sendable, Equatable {
  case writable
  /// There is little room left: no write and no copy is taken, everything else goes on.
  case readOnly
  /// What was changed last is not durable, and nobody may hear of it: only reads of other keys than
  /// these (by hash) are served.
  case stalled(Set<UInt64>)
}

extension ServerCore {
  /// No write and no copy is taken.
  var isReadOnly: Bool { if case .readOnly = storage { true } else { false } }

  /// Whether the storage's condition forbids to serve this, and answers `busy` if so.
  mutating func refuseForStorage(
    _ arrival: Arrival, _ output: inout some ServerOutput
  ) -> Bool {
    guard case .stalled(let unsettled) = storage else { return false }
    let header = arrival.header
    switch header.operation {
    case .probe: return false
    case .get where !unsettled.contains(header.keyHash): return false
    default: break
    }
    // What is not a request is a lost datagram: whoever sent it sends it again.
    if arrival.isWellFormedRequest, header.epoch == epoch, epoch != 0 {
      refuse(arrival, .busy, fence: fence(of: arrival).generation, &output)
    }
    return true
  }
}

extension KeyFence {
  init(_ row: FenceRow) {
    self.init(
      key: row.key, generation: row.generation, countsFrom: row.countsFrom,
      lossGeneration: row.lossGeneration, evictedBirth: row.evictedBirth,
      evictedGeneration: row.evictedGeneration)
  }

  var row: FenceRow {
    FenceRow(
      key: key, generation: generation, lossGeneration: lossGeneration,
      evictedBirth: evictedBirth, evictedGeneration: evictedGeneration, countsFrom: countsFrom)
  }
}

extension ForgottenFences {
  init(_ row: ServerRow) {
    lossGeneration = row.forgottenLoss
    evictedBirth = row.forgottenBirth
    evictedGeneration = row.forgottenGeneration
  }
}
