internal import Directory
internal import KeyTemperature
internal import Wire

/// What the controller knows of one directory entry.
struct Entry: Sendable {
  let keyHash: UInt64
  let key: [UInt8]
  let index: UInt32
  var mode = EntryMode.adding
  var home: UInt8
  /// With two copies: the other server that its last transition brought its value to.
  var second: UInt8?
  /// With two copies: all its writes since then were handed on to another server.
  var isOnTwo = false
  /// Its table of write targets, once it is hot.
  var targets: UInt8?
  /// Servers that are to hold the key, and that each write is copied to.
  var degree = 1
  var copies: UInt8 = 0
  /// The newest loss of a server that its servers have heard of by SYNC.
  var lossGeneration: UInt64 = 0
  /// Promoted by command: the policy leaves it alone.
  var isPinned: Bool
  /// The transition that is under way demotes it.
  var isLeaving = false
  var hotSince: UInt64 = 0
  /// A transition that is to come, and not before when.
  var want: TransitionKind?
  var wantReason = TransitionReason.policy
  var retryAt: UInt64 = 0
  /// Base versions that packets under way may still use, beside the present one.
  var basesCooling = 0

  var reading: EntryReading?
  var reads = DecayingCounter(timeConstant: PolicyState.slowTime)
  var writes = DecayingCounter(timeConstant: PolicyState.slowTime)
  /// Requests of about the last half second.
  var recent = DecayingCounter(timeConstant: 0.5)
  /// What is left in the policy's total of the requests before this entry's were counted.
  var totalBefore = DecayingCounter(timeConstant: PolicyState.slowTime)
  var nextDegree: UInt64 = 0
  var nextCopyOrder: UInt64 = 0
  var copyPause: UInt64 = 0
  var copyOrders = 0

  var rate: Double { reads.rate + writes.rate }
  var readShare: Double { rate > 0 ? reads.rate / rate : 0 }
}

/// The entries by key hash; `inOrder` is their order in the directory, the same in every run.
struct EntryTable: Sendable {
  private var byHash: [UInt64: Entry] = [:]
  private var order: [UInt64] = []

  var isEmpty: Bool { order.isEmpty }
  var count: Int { order.count }
  var hashes: [UInt64] { order }
  var inOrder: [Entry] { order.compactMap { byHash[$0] } }

  func contains(_ hash: UInt64) -> Bool { byHash.index(forKey: hash) != nil }

  subscript(_ hash: UInt64) -> Entry? {
    get { byHash[hash] }
    set {
      if byHash[hash] == nil, newValue != nil {
        let place = order.firstIndex { $0 > hash } ?? order.count
        order.insert(hash, at: place)
      } else if newValue == nil, byHash[hash] != nil {
        order.removeAll { $0 == hash }
      }
      byHash[hash] = newValue
    }
  }

  /// Changes an entry where it is.
  mutating func update(_ hash: UInt64, _ change: (inout Entry) -> Void) {
    guard var entry = byHash[hash] else { return }
    change(&entry)
    byHash[hash] = entry
  }

  mutating func releaseBase(_ hash: UInt64, _ index: UInt32) {
    update(hash) { entry in
      if entry.index == index, entry.basesCooling > 0 { entry.basesCooling -= 1 }
    }
  }
}

extension ControllerCore {
  /// Takes in what the directory says of the entries, and keeps their windows and copies in order.
  mutating func readEntries(_ readings: [EntryReading], elapsed: UInt64) {
    let seconds = Double(elapsed) / 1e9
    for reading in readings {
      guard let before = entries[reading.keyHash], before.index == reading.entry else { continue }
      var new = (reads: UInt64(0), writes: UInt64(0))
      // The first reading is the baseline: the place may have been another key's.
      if let last = before.reading, reading.reads >= last.reads, reading.writes >= last.writes {
        new = (reading.reads - last.reads, reading.writes - last.writes)
      }
      policy.count(Double(new.reads + new.writes))
      entries.update(reading.keyHash) { entry in
        if before.reading == nil {
          entry.totalBefore.add(policy.total.value)
        } else {
          entry.reads.advance(by: seconds)
          entry.writes.advance(by: seconds)
          entry.recent.advance(by: seconds)
          entry.totalBefore.advance(by: seconds)
        }
        entry.reads.add(Double(new.reads))
        entry.writes.add(Double(new.writes))
        entry.recent.add(Double(new.reads + new.writes))
        entry.reading = reading
      }
      keepWindow(reading)
      fillReplicaSet(reading, previous: before.reading)
    }
  }

  /// Moves the window of a key up while it is written; has a key that is not written given a fresh
  /// version before the rack's counter leaves its window.
  private mutating func keepWindow(_ reading: EntryReading) {
    guard let entry = entries[reading.keyHash], entry.mode == .hot else { return }
    if nextVersion > reading.completed, nextVersion - reading.completed >= halfWindow,
      entry.want == nil
    {
      want(.retarget, reading.keyHash, .window)
    } else if UInt64(reading.windowOffset) >= halfWindow, entry.basesCooling == 0 {
      publish(.rebase(entry: entry.index))
      totals.rebases += 1
      coolBase(reading.keyHash)
    }
  }

  var halfWindow: UInt64 { UInt64(configuration.window) / 2 }

  /// The base version that the entry has just left may be in use by a packet.
  mutating func coolBase(_ hash: UInt64) {
    guard let entry = entries[hash] else { return }
    entries.update(hash) { $0.basesCooling += 1 }
    afterGrace([.freeBase(keyHash: hash, index: entry.index)])
  }

  /// Orders copies where fewer servers than wanted hold the newest version, and no copies are on
  /// their way: the version is that of the reading before.
  private mutating func fillReplicaSet(_ reading: EntryReading, previous: EntryReading?) {
    guard let entry = entries[reading.keyHash], entry.mode == .hot, entry.want == nil,
      now >= entry.nextCopyOrder, recovery == nil
    else { return }
    let set = reading.replicaSet & alive
    let grew = previous.map { $0.completed != reading.completed || $0.replicaSet != set } ?? true
    guard previous?.completed == reading.completed || entry.copies == 0 else { return }
    // A set that does not grow although copies were ordered is asked for less and less often.
    let pause =
      grew || entry.copyPause == 0
      ? configuration.times.copyOrder
      : min(2 * entry.copyPause, 50 * configuration.times.copyOrder)
    guard set != 0, set.nonzeroBitCount < entry.degree, receiverMask & ~set != 0 else { return }
    entries.update(reading.keyHash) {
      $0.copyPause = pause
      $0.nextCopyOrder = now + pause
    }
    orderCopies(reading.keyHash, from: set)
  }

  /// Has one of the holders `set` send copies to as many living servers as the degree asks for.
  mutating func orderCopies(_ hash: UInt64, from set: UInt32) {
    guard let entry = entries[hash] else { return }
    let holders = living.filter { set & bit($0) != 0 }
    let others = receivers.filter { set & bit($0) == 0 }
    let missing = min(entry.degree - holders.count, others.count)
    guard missing > 0, !holders.isEmpty else { return }
    // Different keys begin at different servers, and so do the orders of one key.
    let start = Int(truncatingIfNeeded: hash >> 16 & 0xffff) + entry.copyOrders
    var message = Message(
      header(.copyOrder, to: holders[start % holders.count], generation: generation),
      key: entry.key)
    message.header.keyHash = hash
    message.header.sequence = newSequence()
    for offset in 0..<missing {
      message.header.copyTargets |= bit(others[(start + offset) % others.count])
    }
    send(message)
    entries.update(hash) { $0.copyOrders += 1 }
    totals.copyOrders += 1
  }

  /// Writes an entry down as it is now.
  mutating func noteEntry(_ hash: UInt64) {
    guard let entry = entries[hash] else { return }
    let note = EntryNote(
      key: entry.key, isPinned: entry.isPinned, isLeaving: entry.isLeaving,
      lossGeneration: entry.lossGeneration)
    publish(.noteEntry(entry: entry.index, note))
  }

  /// Marks a hot key for a transition; demotion is stronger than a change of targets.
  mutating func want(_ kind: TransitionKind, _ hash: UInt64, _ reason: TransitionReason) {
    entries.update(hash) { entry in
      guard entry.want != .demote else { return }
      entry.want = kind
      entry.wantReason = reason
    }
  }

  /// Its write targets are not the living servers, or it has not heard of the newest loss.
  func isOutdated(_ entry: Entry) -> Bool {
    guard entry.mode == .hot, !faults.contains(.plainTargetChange) else { return false }
    return entry.lossGeneration < lossGeneration || entry.second != second(of: entry.keyHash)
      || !entry.isOnTwo && areServersTold
      || entry.targets.map { targets.servers(in: $0) } != receiverMask
  }
}
