internal import Directory
internal import Wire

/// A promotion that waits, by policy or command.
struct TransitionRequest: Sendable {
  var keyHash: UInt64
  var key: [UInt8]
  var reason: TransitionReason
  /// From the policy: how many holders to begin with.
  var degree: Int
  var copies: UInt8
  /// When it was asked for.
  var time: UInt64
}

/// What one server answered to FENCE.
struct FenceAnswer: Sendable {
  var version: UInt64
  var isTombstone: Bool
  var isLost: Bool
  /// It may have had a record that it cannot read.
  var mayMiss: Bool
  var evictedBirth: UInt64
  var storedGeneration: UInt64
  var countsFrom: UInt64
  var entries: [SessionEntry]
}

/// Transitions of several keys under one fence generation.
struct Batch: Sendable {
  let fence: UInt64
  let deadline: UInt64
  /// Who is fenced: the servers that lived when the batch began.
  let servers: [UInt8]
  /// Answers to earlier messages than this are not this batch's.
  let firstSequence: UInt64
  /// It brings home what was hot before a reboot: there are no entries, and it is not given up.
  let isTakeOver: Bool
  var items: [BatchItem]
}

/// One key's transition in a batch.
struct BatchItem: Sendable {
  enum Stage: Sendable, Equatable {
    case fencing
    /// All have answered; a new reading of the entry is needed.
    case reading
    case reserving(token: UInt64)
    case syncing
    case synced
    case failed(TransitionReason)
  }
  let kind: TransitionKind
  let reason: TransitionReason
  let keyHash: UInt64
  let key: [UInt8]
  let home: UInt8
  /// With two copies: who has to have the newest value too.
  let second: UInt8?
  /// When it was asked for; nil: it followed from something else.
  var asked: UInt64?
  var stage = Stage.fencing
  /// When FENCE is sent again to those who have not answered.
  var nextSend: UInt64
  var answers: [UInt8: FenceAnswer] = [:]
  /// Parts of answers: server, then attempt.
  var parts: [UInt8: [UInt64: [UInt16: FenceAckBody]]] = [:]
  /// The newest version, and who holds it.
  var base: UInt64 = 0
  var holders: [UInt8] = []
  var freshVersion: UInt64 = 0
  /// No living server has the newest value.
  var isLost = false
  var deliveries: [UInt8: Delivery] = [:]

  /// Bit per server that has the newest value at the end.
  var keepers: UInt32 { bit(home) | (second.map(bit) ?? 0) }

  var isDone: Bool {
    switch stage {
    case .synced, .failed: true
    default: false
    }
  }
}

extension ControllerCore {
  // MARK: Beginning

  /// Begins a batch with the transitions that wait: what must be first, then what is wished.
  mutating func beginBatch() {
    if targets.servers(in: targets.current) != receiverMask, !faults.contains(.plainTargetChange) {
      makeTargets()
    }
    var items: [BatchItem] = []
    func room() -> Bool { items.count < configuration.policy.batchKeys }
    var leaving: [BatchItem] = []
    for entry in entries.inOrder where room() {
      // No batch runs: what is *removing* was left so by another controller.
      let isDue = entry.mode == .removing || isOutdated(entry)
      let kind = entry.want ?? (isDue ? .retarget : nil)
      guard let kind, now >= entry.retryAt, entry.basesCooling == 0 else { continue }
      let reason = entry.want == nil ? .serversChanged : entry.wantReason
      let item = item(kind, entry.keyHash, entry.key, reason)
      if kind == .demote, reason == .policy, !isOutdated(entry) {
        leaving.append(item)
      } else {
        items.append(item)
      }
    }
    var inserted: [UInt64: TransitionRequest] = [:]
    while !requests.isEmpty, room() {
      let request = requests.removeFirst()
      guard entries[request.keyHash] == nil, inserted[request.keyHash] == nil else { continue }
      inserted[request.keyHash] = request
      items.append(item(.promote, request.keyHash, request.key, request.reason))
      items[items.count - 1].asked = request.time
    }
    // Keys that only grow cold: after those that overload a server, and few at a time, since the
    // next such key waits for the end of the batch.
    let leavingMax = min(
      configuration.policy.batchDemotions, configuration.policy.batchKeys - items.count)
    items += leaving.prefix(leavingMax)
    guard !items.isEmpty else { return }
    items = freeze(items, inserted)
    guard !items.isEmpty else { return }
    fence(items)
  }

  private func item(
    _ kind: TransitionKind, _ hash: UInt64, _ key: [UInt8], _ reason: TransitionReason
  ) -> BatchItem {
    BatchItem(
      kind: kind, reason: reason, keyHash: hash, key: key, home: slots.home(ofHash: hash),
      second: second(of: hash), nextSend: now + configuration.times.resend)
  }

  /// Step 1: writes of these keys are answered `frozen`. Returns the items that found a place.
  private mutating func freeze(
    _ items: [BatchItem], _ inserted: [UInt64: TransitionRequest]
  ) -> [BatchItem] {
    if faults.contains(.generationBeforeEntry) { _ = raiseGeneration() }
    return items.filter { item in
      guard item.kind == .promote else {
        entries.update(item.keyHash) {
          $0.mode = .removing
          $0.want = nil
          $0.isLeaving = item.kind == .demote
        }
        noteEntry(item.keyHash)
        if let entry = entries[item.keyHash] {
          publish(.setMode(entry: entry.index, .removing))
        }
        return true
      }
      guard let index = placement.take(item.keyHash) else {
        notice(
          .givenUp(.promote, keyHash: item.keyHash, key: item.key, reason: .directoryFull))
        policy.wasDemoted(item.keyHash, now: now)
        return false
      }
      var entry = Entry(
        keyHash: item.keyHash, key: item.key, index: index, home: item.home,
        isPinned: item.reason == .command)
      entry.degree = inserted[item.keyHash]?.degree ?? 1
      entry.copies = inserted[item.keyHash]?.copies ?? 0
      entries[item.keyHash] = entry
      noteEntry(item.keyHash)
      publish(.insert(entry: index, keyHash: item.keyHash, home: item.home))
      return true
    }
  }

  /// Steps 2 and 3: the generation, then FENCE to every living server.
  private mutating func fence(_ items: [BatchItem]) {
    let fence =
      faults.contains(.generationBeforeEntry) ? generation : raiseGeneration()
    begin(
      Batch(
        fence: fence, deadline: now + configuration.times.transition + slowAllowance,
        servers: living,
        firstSequence: newSequence(), isTakeOver: false, items: items))
  }

  mutating func begin(_ batch: Batch) {
    self.batch = batch
    for index in batch.items.indices { sendFences(index) }
  }

  /// A slow server holds up every transition, and is not to make it fail.
  var slowAllowance: UInt64 {
    let slowest = servers.filter { $0.phase == .alive }.map(\.roundTrip).max() ?? 0
    return min(8 * slowest, configuration.times.serverTimeout)
  }

  private mutating func sendFences(_ index: Int) {
    guard let batch else { return }
    let item = batch.items[index]
    for server in fenced(item, in: batch) where item.answers[server] == nil {
      var header = header(.fence, to: server, generation: batch.fence)
      header.keyHash = item.keyHash
      header.sequence = newSequence()
      send(Message(header, key: item.key))
    }
    self.batch?.items[index].nextSend = now + configuration.times.resend
  }

  private func fenced(_ item: BatchItem, in batch: Batch) -> [UInt8] {
    faults.contains(.onlyHomeFenced) && !batch.isTakeOver ? [item.home] : batch.servers
  }

  // MARK: Answers

  mutating func fenceAcknowledged(_ server: UInt8, _ message: Message) {
    let header = message.header
    guard let batch, header.sequence > batch.firstSequence, batch.servers.contains(server),
      let index = batch.items.firstIndex(where: { $0.keyHash == header.keyHash }),
      batch.items[index].stage == .fencing, batch.items[index].answers[server] == nil
    else { return }
    switch header.status {
    case .otherKey:
      self.batch?.items[index].stage = .failed(.collision)
      ban(header.keyHash)
      finishBatchIfDone()
    case .ok, .notFound, .lost:
      guard let body = try? FenceAckBody(decoding: message.value) else { return }
      takePart(index, server, header, body)
    default:
      break
    }
  }

  private mutating func takePart(
    _ index: Int, _ server: UInt8, _ header: Header, _ body: FenceAckBody
  ) {
    guard var item = batch?.items[index] else { return }
    item.parts[server, default: [:]][header.sequence, default: [:]][header.part] = body
    let parts = item.parts[server]?[header.sequence] ?? [:]
    if parts.count == Int(header.parts) {
      let bodies = parts.sorted { $0.key < $1.key }.map(\.value)
      item.parts[server] = nil
      item.answers[server] = FenceAnswer(
        version: header.version, isTombstone: header.flags.contains(.tombstone),
        isLost: header.status == .lost, mayMiss: header.flags.contains(.lost),
        evictedBirth: bodies.map(\.evictedBirth).max() ?? 0,
        storedGeneration: bodies.first?.storedGeneration ?? 0,
        countsFrom: bodies.first?.countsFrom ?? 0,
        entries: bodies.flatMap(\.entries))
    }
    batch?.items[index] = item
    fencedByAll(index)
  }

  /// Step 4: when all have answered, the newest version is known.
  private mutating func fencedByAll(_ index: Int) {
    guard let batch else { return }
    let item = batch.items[index]
    guard item.stage == .fencing,
      fenced(item, in: batch).allSatisfy({ item.answers[$0] != nil })
    else { return }
    if batch.isTakeOver {
      let restored = formerBase(of: item, servers: batch.servers)
      self.batch?.items[index] = restored
      synchronize(index)
      return
    }
    if item.kind != .promote, (entries[item.keyHash]?.lossGeneration ?? 0) < lossGeneration {
      // A lost server may have completed more than we have read: read it again, now that it
      // cannot grow any more.
      self.batch?.items[index].stage = .reading
      return
    }
    determineBase(index, completed: 0)
  }

  /// `completed`: what the directory has completed; more than any server has means it is lost.
  private mutating func determineBase(_ index: Int, completed: UInt64) {
    guard var item = batch?.items[index] else { return }
    if item.kind == .promote {
      // A cold key's newest value is at home. A greater version elsewhere is a leftover of a hot
      // time, of a value that was deleted, or lost, since.
      let home = item.answers[item.home]
      item.base = home?.version ?? 0
      let wasLost = slots.loss(ofHash: item.keyHash) != 0 || lostKeys.contains(item.keyHash)
      if home?.isLost == true || (item.base == 0 && wasLost), !faults.contains(.lostKeyPromoted) {
        item.stage = .failed(.valueLost)
        batch?.items[index] = item
        finishBatchIfDone()
        return
      }
      item.holders = [item.home]
    } else {
      item.base = item.answers.values.map(\.version).max() ?? 0
      item.holders = batch?.servers.filter { item.answers[$0]?.version == item.base } ?? []
      item.isLost = item.base < completed
    }
    batch?.items[index] = item
    let isOld = nextVersion > item.base && nextVersion - item.base >= halfWindow / 2
    if item.base == 0, item.kind == .promote, faults.contains(.absenceIsOldest) {
      batch?.items[index].freshVersion = configuration.firstVersion
      synchronize(index)
      return
    }
    // An absence (version 0) is always old. Its fresh version is above every leftover: once the key
    // is hot, the greatest version wins.
    guard isOld, item.kind != .demote, !item.isLost else {
      synchronize(index)
      return
    }
    let token = newToken()
    batch?.items[index].stage = .reserving(token: token)
    effects.append(.reserveVersions(count: 1, token: token))
  }

  mutating func versionsReserved(_ token: UInt64, _ first: UInt64) {
    guard let index = batch?.items.firstIndex(where: { $0.stage == .reserving(token: token) })
    else { return }
    batch?.items[index].freshVersion = first
    totals.freshVersions += 1
    synchronize(index)
  }

  /// SYNC: the sessions to all, the value to the home server.
  private mutating func synchronize(_ index: Int) {
    guard let batch else { return }
    var item = batch.items[index]
    let answers = batch.servers.compactMap { item.answers[$0] }
    let isSilent = batch.isTakeOver && faults.contains(.rebootWithoutSessions)
    let sessions =
      isSilent || faults.contains(.noSessionSync) ? [] : union(answers.flatMap(\.entries))
    let evictedBirth = answers.map(\.evictedBirth).max() ?? 0
    var receivers = batch.servers
    if (item.kind == .demote && !item.isLost) || faults.contains(.onlyHomeFenced) {
      receivers = [item.home] + (item.second.map { [$0] } ?? [])
    }
    for server in receivers {
      let isHome = item.keepers & bit(server) != 0
      var header = header(.sync, to: server, generation: batch.fence)
      header.keyHash = item.keyHash
      header.version = isHome && !item.isLost ? item.base : 0
      header.flags = item.isLost ? [.lost] : []
      // What the second one may have left over must not come back under the fresh version.
      if isHome && item.base == 0 && item.freshVersion != 0 { header.flags.insert(.tombstone) }
      let capacity = SyncBody.capacity(keyLength: item.key.count)
      var bodies: [[UInt8]] = []
      for start in stride(from: 0, to: max(1, sessions.count), by: capacity) {
        bodies.append(
          SyncBody(
            freshVersion: isHome ? item.freshVersion : 0, lossGeneration: unsafeLoss,
            evictedBirth: evictedBirth,
            entries: Array(sessions[start..<min(start + capacity, sessions.count)])
          ).encoded())
      }
      let delivery = Delivery(
        sequence: newSequence(), header: header, key: item.key, values: bodies,
        nextSend: now + configuration.times.resend)
      for message in delivery.messages { send(message) }
      item.deliveries[server] = delivery
    }
    item.stage = faults.contains(.hotBeforeSync) ? .synced : .syncing
    self.batch?.items[index] = item
    finishBatchIfDone()
  }

  /// Each result once, in the same order in every run. Of two of one request the later one counts: the
  /// server that had the earlier one was lost, and nobody has been told (docs/protocol.md §11).
  private func union(_ entries: [SessionEntry]) -> [SessionEntry] {
    let sorted = entries.sorted {
      ($0.client, $0.sequence, $1.version) < ($1.client, $1.sequence, $0.version)
    }
    var result: [SessionEntry] = []
    for entry in sorted
    where result.last.map({ ($0.client, $0.sequence) != (entry.client, entry.sequence) }) ?? true {
      result.append(entry)
    }
    return result
  }

  mutating func syncAcknowledged(_ server: UInt8, _ header: Header) {
    guard let index = batch?.items.firstIndex(where: { $0.keyHash == header.keyHash }),
      var item = batch?.items[index], item.stage == .syncing,
      item.deliveries[server]?.sequence == header.sequence
    else { return }
    switch header.status {
    case .ok, .notFound: item.deliveries[server]?.acknowledge(header)
    case .behind:
      bring(item, to: server)
      return
    default: return
    }
    if item.deliveries.values.allSatisfy(\.isComplete) { item.stage = .synced }
    batch?.items[index] = item
    finishBatchIfDone()
  }

  /// The server that is to keep the value lacks it: a holder sends it; SYNC is sent again meanwhile.
  private mutating func bring(_ item: BatchItem, to server: UInt8) {
    guard let batch, let holder = item.holders.first(where: { $0 != server }) else { return }
    var header = header(.copyOrder, to: holder, generation: batch.fence)
    header.keyHash = item.keyHash
    header.sequence = newSequence()
    header.copyTargets = bit(server)
    send(Message(header, key: item.key))
    totals.copyOrders += 1
  }

  // MARK: Time

  /// Repeats what is unanswered; gives up what takes too long.
  mutating func driveBatch() {
    guard let batch else { return }
    for index in batch.items.indices {
      let item = batch.items[index]
      switch item.stage {
      case .synced, .failed: continue
      case _ where now >= batch.deadline && !batch.isTakeOver:
        self.batch?.items[index].stage = .failed(.timeout)
      case .fencing:
        if now >= item.nextSend { sendFences(index) }
      case .reading:
        determineBase(index, completed: entries[item.keyHash]?.reading?.completed ?? 0)
        // That may have ended the batch.
        if self.batch?.fence != batch.fence { return }
      case .reserving: break
      case .syncing: repeatSync(index)
      }
    }
    finishBatchIfDone()
  }

  private mutating func repeatSync(_ index: Int) {
    guard let item = batch?.items[index] else { return }
    for server in item.deliveries.keys.sorted() {
      guard let delivery = item.deliveries[server], now >= delivery.nextSend else { continue }
      for message in delivery.outstanding { send(message) }
      batch?.items[index].deliveries[server]?.nextSend = now + configuration.times.resend
    }
  }

  // MARK: Ending

  /// Step 5: when every key of the batch is synchronized or given up, the second generation, then
  /// the entries.
  private mutating func finishBatchIfDone() {
    guard let batch, batch.items.allSatisfy(\.isDone) else { return }
    self.batch = nil
    if batch.isTakeOver {
      broughtHome(batch.items)
      return
    }
    if !faults.contains(.noSecondGeneration) { _ = raiseGeneration() }
    for item in batch.items {
      if case .failed(let reason) = item.stage {
        giveUp(item, reason)
      } else if item.kind == .demote || item.isLost {
        finishDemotion(item)
      } else {
        makeHot(item, since: batch.fence)
      }
    }
    beginWhatWaits()
  }

  private mutating func makeHot(_ item: BatchItem, since: UInt64) {
    guard let before = entries[item.keyHash] else { return }
    let table = targets.current
    targets.use(table)
    if let old = before.targets, targets.leave(old) { afterGrace([.freeTable(old)]) }
    let isOnTwo = isOnTwo(after: item)
    entries.update(item.keyHash) { entry in
      entry.mode = .hot
      entry.home = item.home
      (entry.second, entry.isOnTwo) = (item.second, isOnTwo)
      entry.targets = table
      entry.lossGeneration = lossGeneration
      if item.kind == .promote { entry.hotSince = now }
      entry.nextCopyOrder = now + configuration.times.copyOrder
      entry.copyPause = 0
      // The next reading tells what is true from now on.
      entry.reading?.completed = max(item.freshVersion, item.base)
      entry.reading?.replicaSet = item.keepers
    }
    publish(
      .makeHot(
        entry: before.index, completed: max(item.freshVersion, item.base),
        replicaSet: item.keepers, since: since, home: item.home, copies: before.copies,
        targets: table))
    // Only now: what it says has to have happened.
    noteEntry(item.keyHash)
    coolBase(item.keyHash)
    if item.kind == .promote {
      lostKeys.remove(item.keyHash)
      totals.promotions += 1
    } else {
      totals.retargets += 1
    }
    notice(.finished(item.kind, keyHash: item.keyHash, key: item.key, reason: item.reason))
    orderCopies(item.keyHash, from: item.keepers)
  }

  private mutating func finishDemotion(_ item: BatchItem) {
    removeEntry(item.keyHash)
    if item.isLost {
      lostKeys.insert(item.keyHash)
      totals.keysLost += 1
      notice(.keyLost(keyHash: item.keyHash, key: item.key))
    }
    totals.demotions += 1
    notice(.finished(.demote, keyHash: item.keyHash, key: item.key, reason: item.reason))
  }

  /// Takes the entry out; its place and its table are free after a grace period.
  mutating func removeEntry(_ hash: UInt64) {
    guard let entry = entries[hash] else { return }
    publish(.remove(entry: entry.index))
    var actions: [GraceAction] = [.freePlace(entry.index)]
    if let table = entry.targets, targets.leave(table) { actions.append(.freeTable(table)) }
    entries[hash] = nil
    policy.wasDemoted(hash, now: now)
    afterGrace(actions)
  }

  /// As if nothing had been: a promotion's entry goes, another key is hot as before. The fences
  /// that servers have put up let everything pass that knows the second generation.
  private mutating func giveUp(_ item: BatchItem, _ reason: TransitionReason) {
    totals.givenUp += 1
    notice(.givenUp(item.kind, keyHash: item.keyHash, key: item.key, reason: reason))
    if item.kind == .promote {
      removeEntry(item.keyHash)
      return
    }
    guard let entry = entries[item.keyHash] else { return }
    entries.update(item.keyHash) { entry in
      entry.mode = .hot
      entry.retryAt = now + configuration.times.again
      if entry.want == nil {
        entry.want = item.kind
        entry.wantReason = item.reason
      }
    }
    publish(.setMode(entry: entry.index, .hot))
  }

  /// A server of the batch was lost: everything is given up, and begun anew without it.
  mutating func abortBatch() {
    guard let batch else { return }
    self.batch = nil
    _ = raiseGeneration()
    for item in batch.items {
      giveUp(item, .serversChanged)
      entries.update(item.keyHash) { $0.retryAt = now }
      if item.kind == .promote, item.reason == .command {
        requests.append(
          TransitionRequest(
            keyHash: item.keyHash, key: item.key, reason: .command, degree: 1, copies: 0,
            time: now))
      }
    }
  }
}
