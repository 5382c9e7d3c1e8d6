internal import Directory
internal import Wire

/// The directory begins a new epoch: nothing is left of what it knew, and the servers have what
/// there is (docs/protocol.md §10; `models/reboot.pml`). Until it is over the rack does not serve, so
/// every step can be repeated, in this epoch or by the directory of a yet newer one.
struct Reboot: Sendable {
  enum Stage: Sendable {
    /// The servers are admitted to the new epoch: from then on they refuse what is older.
    case admitting
    /// They are asked what they have from before.
    case learning
    /// The home servers get what is newer elsewhere.
    case restoring
    /// All are told their slots.
    case assigning
  }

  var stage = Stage.admitting
  /// When it goes on without the servers that have not answered.
  var deadline: UInt64
  /// Those that take part, ascending; fixed when `admitting` is over.
  var servers: [UInt8] = []
  var learned: [UInt8: LearnedServer] = [:]
  /// Keys that may have been hot and wait for their turn, last first.
  var waiting: [BatchItem] = []
  /// There was an earlier epoch that served.
  var hasPast = false
  /// Slots had backups: what was acknowledged was on two servers.
  var hadTwoCopies = false
  var takeOver = TakeOver()
}

/// What a server has told of the time before.
struct LearnedServer: Sendable {
  /// Of the LEARN that is awaited; 0: nothing more is.
  var sequence: UInt64 = 0
  var nextSend: UInt64 = 0
  /// Items that it has told.
  var cursor: UInt64 = 0
  var slotsGeneration: UInt64 = 0
  var lossGeneration: UInt64 = 0
  var runs: [SlotRun] = []
  var keys: [LearnBody.Key] = []
}

extension ControllerCore {
  /// A probe's answer of a server that does not take part yet.
  mutating func probedBeforeServing(_ index: Int, _ header: Header, _ body: ProbeBody) {
    let record = servers[index]
    // Whose data it has: its own, or those of an earlier start of it.
    let owner = body.recovered != 0 ? body.recovered : header.incarnation
    let isAdmittedByUs = record.admittedIncarnation == owner
    guard header.epoch < configuration.epoch || isAdmittedByUs else {
      complainOfNewerEpoch(index, header)
      return
    }
    if reboot.stage != .admitting {
      // Too late: it is dealt with once the rack serves. But if it took part, and was started again,
      // it has forgotten what it has told.
      guard reboot.servers.contains(record.number), record.incarnation != header.incarnation
      else { return }
      beginReboot(deadline: now + configuration.times.serverTimeout)
    }
    let member = RackMember(server: record.number, incarnation: owner)
    guard header.epoch == 0 || members.isEmpty || members.contains(member) || isAdmittedByUs
    else {
      if body.recovered != 0 {
        servers[index].formerEpoch = 0
        beginAdmission(index, header, body)
      } else {
        renew(index, header)
      }
      return
    }
    if record.incarnation != header.incarnation { servers[index].formerEpoch = header.epoch }
    beginAdmission(index, header, body, predecessor: body.recovered)
  }

  /// Begins, or begins again because a server that took part was lost: what it has told may have
  /// been known to it alone.
  mutating func beginReboot(deadline: UInt64) {
    if batch != nil || alive != 0 {
      batch = nil
      alive = 0
      publish(.setAlive(0))
    }
    reboot = Reboot(deadline: deadline)
    for index in servers.indices where servers[index].isTakingPart {
      servers[index].phase = .admitted
      servers[index].slotsTask = nil
    }
  }

  /// Repeats what is unanswered, and goes on to the next stage when it can.
  mutating func driveReboot() {
    guard !serving else { return }
    if servers.contains(where: { reboot.servers.contains($0.number) && !$0.isTakingPart }) {
      beginReboot(deadline: now + configuration.times.serverTimeout)
    }
    switch reboot.stage {
    case .admitting: considerLearning()
    case .learning:
      for number in reboot.servers {
        guard let learned = reboot.learned[number], learned.sequence != 0,
          now >= learned.nextSend
        else { continue }
        sendLearn(number)
      }
    case .restoring: break  // `driveBatch` repeats.
    case .assigning:
      if servers.allSatisfy({ !reboot.servers.contains($0.number) || $0.phase == .ready }) {
        serve()
      }
    }
  }

  // MARK: Learning

  /// Nothing is asked before all are admitted: who is not may yet serve what an earlier directory
  /// has stamped.
  private mutating func considerLearning() {
    let admitted = servers.filter { $0.phase == .admitted }.map(\.number)
    guard
      admitted.count == servers.count(where: { $0.phase != .drained })
        || (now >= reboot.deadline && !admitted.isEmpty
          && !servers.contains { $0.phase == .admitting })
    else { return }
    reboot.servers = admitted
    reboot.stage = .learning
    for record in servers where record.phase == .admitted {
      reboot.learned[record.number] = LearnedServer()
      // One that was never part of a rack has nothing to tell.
      if record.formerEpoch != 0 { sendLearn(record.number) }
    }
    learnedAll()
  }

  private mutating func sendLearn(_ number: UInt8) {
    var header = header(.learn, to: number, generation: generation)
    header.sequence = newSequence()
    header.version = reboot.learned[number]?.cursor ?? 0
    reboot.learned[number]?.sequence = header.sequence
    reboot.learned[number]?.nextSend = now + configuration.times.resend
    send(Message(header))
  }

  mutating func learnAcknowledged(_ number: UInt8, _ message: Message) {
    let header = message.header
    guard reboot.stage == .learning, header.status == .ok,
      var learned = reboot.learned[number], learned.sequence == header.sequence,
      let body = try? LearnBody(decoding: message.value)
    else { return }
    learned.slotsGeneration = body.slotsGeneration
    learned.lossGeneration = body.lossGeneration
    learned.runs += body.runs
    learned.keys += body.keys
    // A page that leads nowhere would be asked for again and again.
    let isLast = body.isEmpty || header.version <= learned.cursor
    learned.cursor = header.version
    learned.sequence = 0
    reboot.learned[number] = learned
    if isLast { learnedAll() } else { sendLearn(number) }
  }

  /// When all have told what they have, it is known who is home of which slot, and what is to be
  /// brought home.
  private mutating func learnedAll() {
    guard reboot.learned.values.allSatisfy({ $0.sequence == 0 }) else { return }
    let learned = reboot.servers.map { ($0, reboot.learned[$0] ?? LearnedServer()) }
    reboot.hasPast = !members.isEmpty || learned.contains { $0.1.slotsGeneration != 0 }
    guard reboot.hasPast else {
      slots.divide(between: reboot.servers)
      if configuration.copies > 1 { slots.divideBackups(between: reboot.servers) }
      assignSlots()
      return
    }
    slots.inherit(learned.map { ($0.0, $0.1.slotsGeneration, $0.1.runs) })
    // Whatever was sent first in an earlier epoch is older than this.
    let loss = Generation.first(ofEpoch: configuration.epoch)
    if configuration.copies < 2 { _ = slots.dropBackups() }
    reboot.hadTwoCopies = learned.contains { _, server in
      server.runs.contains { $0.role == .backup || $0.backup != nil }
    }
    let orphaned = slots.markLost(generation: loss)
    let staying = servers.filter { reboot.servers.contains($0.number) && !$0.isDraining }
    slots.settle(on: staying.isEmpty ? reboot.servers : staying.map(\.number))
    _ = slots.arrive()
    reboot.takeOver.servers = learned.count { $0.1.slotsGeneration != 0 }
    reboot.takeOver.slotsLost = orphaned.reduce(0) { $0 + Int($1.count) }
    reboot.takeOver.missing = missingMembers(learned)
    lossGeneration = learned.reduce(0) { max($0, $1.1.lossGeneration) }
    if mayMissValues || !orphaned.isEmpty { lossGeneration = loss }
    unsafeLoss = lossGeneration
    for (number, server) in learned where !faults.contains(.rebootForgets) {
      for key in server.keys where slots.home(ofHash: key.hash) == number {
        reboot.waiting.append(
          BatchItem(
            kind: .demote, reason: .reboot, keyHash: key.hash, key: key.key, home: number,
            second: second(of: key.hash, among: reboot.servers), nextSend: 0))
      }
    }
    reboot.waiting.reverse()
    beginRestoring()
  }

  /// Whether a key's newest value may have been with nobody but those who are missing: two servers
  /// have it, if two copies were made, and the second has all that the first has answered for.
  private var mayMissValues: Bool {
    reboot.takeOver.missing.count >= (reboot.hadTwoCopies ? 2 : 1)
  }

  /// Who had a say in the rack, and has not told what it knows.
  private func missingMembers(_ learned: [(UInt8, LearnedServer)]) -> [UInt8] {
    guard members.isEmpty else {
      let present = Set(
        servers.filter { reboot.servers.contains($0.number) }.map {
          RackMember(server: $0.number, incarnation: $0.owner)
        })
      // A server that was returning is known by both of its starts.
      let known = Set(members.filter { present.contains($0) }.map(\.server))
      return Set(members.map(\.server)).subtracting(known).sorted()
    }
    // Nobody knows who had: anyone who is missing, or has been started anew since.
    let present = learned.filter { $0.1.slotsGeneration != 0 }.map(\.0)
    return servers.map(\.number).filter { !present.contains($0) }
  }

  // MARK: Restoring

  private mutating func beginRestoring() {
    reboot.stage = .restoring
    // Copies from server to server have to get through.
    for index in servers.indices where reboot.servers.contains(servers[index].number) {
      publish(.setServer(servers[index].number, present(index)))
      alive |= bit(servers[index].number)
    }
    publish(.setAlive(alive))
    restoreNext()
  }

  private mutating func restoreNext() {
    let count = min(configuration.policy.batchKeys, reboot.waiting.count)
    guard count > 0 else {
      // Clients that know the fences' generation only would be refused.
      _ = raiseGeneration()
      assignSlots()
      return
    }
    let items = Array(reboot.waiting.suffix(count).reversed())
    reboot.waiting.removeLast(count)
    begin(
      Batch(
        fence: raiseGeneration(), deadline: .max, servers: reboot.servers,
        firstSequence: newSequence(), isTakeOver: true, items: items))
  }

  /// Who has the newest value of a key that may have been hot: its home server, or one that has
  /// stored a newer one since all servers last agreed on the key.
  func formerBase(of item: BatchItem, servers: [UInt8]) -> BatchItem {
    var item = item
    let home = item.answers[item.home]
    let counting = servers.filter { server in
      guard let answer = item.answers[server], server != item.home else { return true }
      return !answer.isLost && answer.storedGeneration >= home?.countsFrom ?? 0
    }
    item.base = counting.compactMap { item.answers[$0]?.version }.max() ?? 0
    item.holders = counting.filter { item.answers[$0]?.version == item.base }
    let isNewerElsewhere = item.base > home?.version ?? 0
    item.isLost =
      home?.isLost == true && !isNewerElsewhere
      || item.answers.values.contains(where: \.mayMiss)
      || mayMissValues && !faults.contains(.rebootBelievesTheRest)
    if faults.contains(.homeLeftBehind) { item.base = 0 }
    return item
  }

  mutating func broughtHome(_ items: [BatchItem]) {
    for item in items {
      if item.isLost {
        reboot.takeOver.keysLost += 1
        totals.keysLost += 1
        lostKeys.insert(item.keyHash)
        notice(.keyLost(keyHash: item.keyHash, key: item.key))
      } else {
        reboot.takeOver.keysRestored += 1
      }
    }
    restoreNext()
  }

  // MARK: Serving

  /// The slots come last: servers forget what they had to tell when they get them.
  private mutating func assignSlots() {
    reboot.stage = .assigning
    for index in servers.indices where reboot.servers.contains(servers[index].number) {
      servers[index].phase = .assigning
      sendSlots(index)
    }
  }

  private mutating func serve() {
    for row in slots.rows {
      publish(row, moving: false)
    }
    serving = true
    for index in servers.indices where servers[index].phase == .ready { enter(index) }
    members = livingMembers
    publish(.setAlive(alive))
    publishSpared()
    makeTargets()
    publish(.setServing(true))
    if reboot.hasPast {
      reboot.takeOver.duration = now - startedAt
      takeOver = reboot.takeOver
      notice(.takenOver(reboot.takeOver))
      // What is left over at the servers is forgotten soon.
      floorWanted = true
    }
    notice(
      .serving(
        absent: servers.filter { $0.phase != .alive && $0.phase != .drained }.map(\.number)))
  }

  // MARK: Members

  /// The living servers, and those that are waited for, as the next epoch's directory is to know them.
  var livingMembers: [RackMember] {
    servers.flatMap { server -> [RackMember] in
      guard server.phase == .alive || server.phase == .away || server.isReturning else { return [] }
      let starts =
        server.owner == server.incarnation
        ? [server.incarnation] : [server.owner, server.incarnation]
      return starts.map { RackMember(server: server.number, incarnation: $0) }
    }
  }

  /// A lost server is a member until what it alone held is known to be lost.
  mutating func settleMembers() {
    let isUnsettled = entries.inOrder.contains {
      $0.mode != .adding && $0.lossGeneration < lossGeneration
    }
    guard serving, recovery == nil, !isUnsettled else { return }
    members = livingMembers
  }

  /// A server has data that the rack has gone on without: it drops them and begins anew.
  mutating func renew(_ index: Int, _ header: Header) {
    var order = Header(.renew)
    order.server = servers[index].number
    order.epoch = configuration.epoch
    order.incarnation = header.incarnation
    order.generation = generation
    order.sequence = newSequence()
    send(Message(order))
    guard servers[index].complainedOf != header.incarnation else { return }
    servers[index].complainedOf = header.incarnation
    totals.serversRenewed += 1
    notice(.serverRenewed(servers[index].number, epoch: header.epoch))
  }

  mutating func complainOfNewerEpoch(_ index: Int, _ header: Header) {
    guard servers[index].complainedOf != header.incarnation else { return }
    servers[index].complainedOf = header.incarnation
    notice(.serverOfNewerEpoch(servers[index].number, epoch: header.epoch))
  }
}
