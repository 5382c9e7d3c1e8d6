internal import Storage
internal import Wire

/// Own keys that may have been hot in the epoch before, whose newest value another server may have:
/// the home server keeps them until the new epoch's directory has seen to them.
struct FormerKeys {
  struct Former {
    let hash: UInt64
    let key: [UInt8]
    let countsFrom: UInt64
    /// Its newest value is here now.
    var isSettled = false
  }

  /// Ascending by hash; what is settled keeps its place, so that pages stay the same.
  private(set) var keys: [Former] = []

  init() {}

  init(_ fences: [(hash: UInt64, fence: KeyFence)]) {
    keys = fences.map { Former(hash: $0.hash, key: $0.fence.key, countsFrom: $0.fence.countsFrom) }
      .sorted { $0.hash < $1.hash }
  }

  func countsFrom(_ hash: UInt64) -> UInt64? {
    index(of: hash).map { keys[$0].countsFrom }
  }

  mutating func settle(_ hash: UInt64) {
    if let index = index(of: hash) { keys[index].isSettled = true }
  }

  private func index(of hash: UInt64) -> Int? {
    var (low, high) = (0, keys.count)
    while low < high {
      let middle = (low + high) / 2
      if keys[middle].hash < hash { low = middle + 1 } else { high = middle }
    }
    return low < keys.count && keys[low].hash == hash ? low : nil
  }
}

// A directory that begins a new epoch, or a rack that has gone on without this server:
// docs/protocol.md §6 and §10.
extension ServerCore {
  /// A new epoch: whatever an earlier directory has stamped is refused from now on. What is stored
  /// stays, and so does what the server knows of the time before.
  mutating func admit(_ arrival: Arrival, _ output: inout some ServerOutput) {
    let header = arrival.header
    guard header.epoch != 0, header.epoch >= epoch else { return }
    if let state = recovered {
      // The version says whose state the controller believes.
      if header.version == state.incarnation, header.epoch >= state.epoch {
        takeUp(state, header)
      } else {
        forgetEverything()
      }
    }
    if header.epoch > epoch {
      // An epoch that has not given out slots has not begun to serve: nothing became hot in it.
      if hasSlotsOfEpoch {
        former = FormerKeys(
          fences.filter { slots.keeps(KeyHash.slot($0.key)) }.map { ($0.key, $0.value) })
      }
      for fence in fences.values { forgotten.add(fence) }
      // What is written down stays until there are slots of this epoch.
      if journal != nil { formerRows += fences.keys }
      for fence in slotFences.values { forgotten.add(fence) }
      forgetMoves()
      fences.removeAll()
      unconfirmed.removeAll()
      epoch = header.epoch
      hasSlotsOfEpoch = false
      floor = header.generation
      floorParts = PartAssembly()
      slotsParts = PartAssembly()
    } else {
      floor = max(floor, header.generation)
      recordServer()
    }
    send(answer(arrival, .admitAck), &output)
  }

  /// One page of what the directory of a new epoch has to know; the header's version says how many
  /// items it knows already.
  func answerLearn(_ arrival: Arrival, _ output: inout some ServerOutput) {
    let runs = slots.runs
    var body = LearnBody(
      slotsGeneration: slotsGeneration,
      lossGeneration: max(forgotten.lossGeneration, slots.newestLoss))
    let count = runs.count + former.keys.count
    var next = Int(clamping: arrival.header.version)
    loop: while next < count {
      if next < runs.count {
        guard body.add(runs[next]) else { break loop }
      } else {
        let former = former.keys[next - runs.count]
        if !former.isSettled {
          guard body.add(LearnBody.Key(hash: former.hash, key: former.key)) else { break loop }
        }
      }
      next += 1
    }
    var header = answer(arrival, .learnAck)
    header.version = UInt64(next)
    body.encoded().withUnsafeBytes { send(header, value: $0, &output) }
  }

  /// The rack has gone on without this server, and what it holds may be outdated: it begins anew,
  /// as if it had been started again.
  mutating func renew(_ arrival: Arrival) {
    // Not by order of a directory that has been replaced itself.
    guard epoch != 0, arrival.header.epoch >= epoch else { return }
    incarnation = renewedIncarnation()
    epoch = 0
    floor = 0
    fences.removeAll()
    forgotten = ForgottenFences()
    former = FormerKeys()
    slots = OwnedSlots(count: WireLimits.slots)
    copies = 1
    rackCopies = 1
    unconfirmed.removeAll()
    unsettledDeletes.removeAll()
    slotsGeneration = 0
    hasSlotsOfEpoch = false
    forgetMoves()
    floorParts = PartAssembly()
    slotsParts = PartAssembly()
    if journal != nil {
      forgetEverything()
    } else {
      sessions = SessionTable(sessionsMax: configuration.sessionsMax)
      engine.review { _ in .remove }
    }
    totals = ProbeBody()
  }

  /// One step of splitmix64 over seed and present incarnation (Steele, Lea and Flood, OOPSLA 2014).
  private func renewedIncarnation() -> UInt64 {
    var mixed = (incarnation ^ configuration.renewalSeed) &+ 0x9e37_79b9_7f4a_7c15
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    mixed ^= mixed >> 31
    // Zero would mean none; the same one would be taken for the time before.
    return mixed == 0 || mixed == incarnation ? incarnation &+ 1 | 1 : mixed
  }
}
