internal import Directory
internal import Wire

/// What the controller knows of one server.
struct ServerRecord: Sendable {
  enum Phase: Sendable {
    /// Not heard of, or not yet accepted.
    case unknown
    /// ADMIT is on its way.
    case admitting
    /// Before the rack serves: what it has from an earlier epoch is being learned.
    case admitted
    /// Its first SLOTS_SET is on its way.
    case assigning
    /// Has all it needs; not yet part of the rack.
    case ready
    /// The directory knows its incarnation, and a grace period runs until it counts as alive.
    case joining
    case alive
    /// Part of the rack, but it does not answer or has restarted with its state (Returning.swift).
    case away
    case lost
    /// It takes no part, on purpose, whether it answers or not.
    case drained
  }

  let number: UInt8
  var place: ServerPlace
  var phase = Phase.unknown
  /// 0: never heard of.
  var incarnation: UInt64 = 0
  /// The last one that ADMIT was sent to.
  var admittedIncarnation: UInt64 = 0
  /// The epoch that it was admitted to when it was first heard of in this incarnation; 0: none.
  var formerEpoch: UInt16 = 0
  var lastHeard: UInt64 = 0
  var nextProbe: UInt64 = 0
  /// Answers to earlier probes say what is not true any more.
  var probesFrom: UInt64 = 0
  /// When ADMIT is sent again.
  var nextSend: UInt64 = 0
  var slotsTask: Delivery?
  /// How many copies of hot keys' writes it was told to see to.
  var copiesTold = 0
  var load: UInt16 = 0
  var totals = ProbeBody()
  /// It is to take up what its earlier incarnation was, and is part of the rack meanwhile.
  var isReturning = false
  /// That incarnation.
  var predecessor: UInt64 = 0
  /// Some of the records that it returns with are damaged.
  var isDamaged = false
  /// It is written down that its state outlives its process.
  var isNotedAsDurable = false
  /// It is to take no part: its slots go to others, and then it does.
  var isDraining = false
  /// Since when nothing depends on the draining server.
  var freeSince: UInt64?
  /// In which it was part of the rack until it was drained; it may come back as it is.
  var leftIncarnation: UInt64 = 0
  /// The oldest probe that is not answered.
  var probeSent: (sequence: UInt64, time: UInt64)?
  /// Smoothed, of probes. Nanoseconds; requests.
  var roundTrip: UInt64 = 0
  var smoothLoad = 0.0
  var slow = SlowWatch()
  /// The epoch or incarnation that a notice has been given of.
  var complainedOf: UInt64 = 0

  init(number: UInt8, place: ServerPlace) {
    self.number = number
    self.place = place
  }

  /// Its part in the beginning of an epoch goes on.
  var isTakingPart: Bool { phase == .admitted || phase == .assigning || phase == .ready }
}

/// A message in parts on its way to one server: each part is sent until it is acknowledged.
struct Delivery: Sendable {
  let sequence: UInt64
  let messages: [Message]
  private(set) var missing: [Bool]
  var nextSend: UInt64

  /// Numbers the parts.
  init(sequence: UInt64, header: Header, key: [UInt8] = [], values: [[UInt8]], nextSend: UInt64) {
    self.sequence = sequence
    self.nextSend = nextSend
    missing = values.map { _ in true }
    messages = values.enumerated().map { part, value in
      var header = header
      header.sequence = sequence
      header.part = UInt16(part)
      header.parts = UInt16(values.count)
      return Message(header, key: key, value: value)
    }
  }

  var isComplete: Bool { !missing.contains(true) }
  var outstanding: [Message] { zip(messages, missing).filter(\.1).map(\.0) }

  mutating func acknowledge(_ header: Header) {
    guard header.sequence == sequence, Int(header.part) < missing.count else { return }
    missing[Int(header.part)] = false
  }
}

extension ControllerCore {
  mutating func probe(_ index: Int) {
    var header = Header(.probe)
    header.server = servers[index].number
    header.epoch = configuration.epoch
    header.generation = generation
    header.sequence = newSequence()
    // Without an incarnation: whoever is there now is to answer.
    send(Message(header))
    if servers[index].probeSent == nil {
      servers[index].probeSent = (header.sequence, now)
    }
    servers[index].nextProbe = now + configuration.times.probe
  }

  /// Probes, repeats what is unanswered, and declares lost who has been silent too long.
  mutating func watchServers(elapsed: UInt64) {
    if elapsed > 3 * configuration.times.probe {
      // It was we who stood still; the servers' answers are still in the socket.
      for index in servers.indices { servers[index].lastHeard += elapsed }
    }
    var silent: [UInt8] = []
    for index in servers.indices {
      if now >= servers[index].nextProbe { probe(index) }
      repeatToServer(index)
      let isSilent = now > servers[index].lastHeard + configuration.times.serverTimeout
      switch servers[index].phase {
      case .alive where isSilent && servers[index].isDurable: goAway(index)
      case .alive where isSilent: silent.append(servers[index].number)
      case .away where isOverdue(index): silent.append(servers[index].number)
      case .admitting where isSilent, .admitted where isSilent, .assigning where isSilent,
        .ready where isSilent, .joining where isSilent:
        servers[index].phase = serving && servers[index].isReturning ? .away : .unknown
        servers[index].slotsTask = nil
      default: break
      }
    }
    if !silent.isEmpty { lose(silent) }
  }

  private mutating func repeatToServer(_ index: Int) {
    if servers[index].phase == .admitting, now >= servers[index].nextSend { admit(index) }
    if let task = servers[index].slotsTask, now >= task.nextSend {
      for message in task.outstanding { send(message) }
      servers[index].slotsTask?.nextSend = now + configuration.times.resend
    }
  }

  mutating func probed(_ index: Int, _ message: Message) {
    let header = message.header
    guard header.incarnation != 0,
      header.sequence > servers[index].probesFrom
    else { return }
    let isSame = header.incarnation == servers[index].incarnation
    let phase = servers[index].phase
    let body = (try? ProbeBody(decoding: message.value)) ?? ProbeBody()
    guard configuration.copies < 2 || !body.conditions.contains(.durable) else {
      refuseDurable(index, header)
      return
    }
    if isSame && phase != .unknown && phase != .lost {
      servers[index].lastHeard = now
      servers[index].load = header.load
      note(index, body)
      measure(index, header)
      if phase == .away { comeBack(index, body) }
      return
    }
    if phase == .drained {
      // Who it is will be asked again when it is to take part.
      servers[index].lastHeard = now
      return
    }
    guard serving else {
      probedBeforeServing(index, header, body)
      return
    }
    if believes(index, header, body) {
      resume(index, header, body)
      return
    }
    guard header.epoch <= configuration.epoch else {
      complainOfNewerEpoch(index, header)
      return
    }
    // Who has only recovered its data is told by ADMIT that they do not count.
    let hasLeft = header.incarnation == servers[index].leftIncarnation && phase == .unknown
    guard header.epoch == 0 || body.recovered != 0 || hasLeft else {
      renew(index, header)
      return
    }
    if phase == .alive, faults.contains(.returningServerBelieved) {
      believe(index, header.incarnation)
      return
    }
    if phase == .alive || phase == .away || servers[index].isReturning {
      lose([servers[index].number])
    }
    beginAdmission(index, header, body)
  }

  /// Admits a server that has started; with the state of `predecessor`, if that is not 0.
  mutating func beginAdmission(
    _ index: Int, _ header: Header, _ body: ProbeBody, predecessor: UInt64 = 0
  ) {
    servers[index].isReturning = predecessor != 0
    servers[index].predecessor = predecessor
    if body.recovered != predecessor { notice(.serverStateRefused(servers[index].number)) }
    servers[index].phase = .admitting
    servers[index].incarnation = header.incarnation
    servers[index].admittedIncarnation = header.incarnation
    servers[index].lastHeard = now
    servers[index].slotsTask = nil
    note(index, body)
    servers[index].slow = SlowWatch()
    (servers[index].roundTrip, servers[index].smoothLoad) = (0, 0)
    admit(index)
  }

  /// With the fault `returningServerBelieved` only.
  private mutating func believe(_ index: Int, _ incarnation: UInt64) {
    servers[index].incarnation = incarnation
    servers[index].lastHeard = now
    publish(.setServer(servers[index].number, present(index)))
    admit(index)
    sendSlots(index)
  }

  /// Of an eighth each, so that one late answer proves nothing.
  private mutating func measure(_ index: Int, _ header: Header) {
    servers[index].smoothLoad += (Double(header.load) - servers[index].smoothLoad) / 8
    guard let sent = servers[index].probeSent, header.sequence >= sent.sequence else { return }
    servers[index].probeSent = nil
    let (old, new) = (servers[index].roundTrip, now > sent.time ? now - sent.time : 0)
    servers[index].roundTrip = old - old / 8 + new / 8
  }

  /// Servers that a probe has waited for so long without an answer, ascending. Nanoseconds.
  public func silentServers(for time: UInt64) -> [UInt8] {
    servers.filter { $0.probeSent.map { now > $0.time + time } ?? false }.map(\.number)
  }

  mutating func admit(_ index: Int) {
    var header = header(.admit, to: servers[index].number, generation: generation)
    header.sequence = newSequence()
    // Whose state it is to take up.
    header.version = servers[index].isReturning ? servers[index].predecessor : 0
    send(Message(header))
    servers[index].nextSend = now + configuration.times.resend
  }

  mutating func admitted(_ index: Int, _ header: Header) {
    guard servers[index].phase == .admitting, header.status == .ok else { return }
    notice(.serverAdmitted(servers[index].number, incarnation: servers[index].incarnation))
    guard serving else {
      servers[index].phase = .admitted
      driveReboot()
      return
    }
    servers[index].phase = .assigning
    sendSlots(index)
  }

  /// Tells a server all the slots that it is home of.
  mutating func sendSlots(_ index: Int) {
    let number = servers[index].number
    let parts = SlotsBody.parts(
      runs: slots.runs(of: number), keyHashes: entries.inOrder.map(\.keyHash),
      copies: UInt16(copiesWith(number)), rackCopies: UInt16(configuration.copies))
    servers[index].copiesTold = copiesWith(number)
    if configuration.copies > 1, servers[index].copiesTold < 2 {
      for hash in entries.hashes { entries.update(hash) { $0.isOnTwo = false } }
    }
    let delivery = Delivery(
      sequence: newSequence(), header: header(.slotsSet, to: number, generation: generation),
      values: parts.map { $0.encoded() }, nextSend: now + configuration.times.resend)
    for message in delivery.messages { send(message) }
    servers[index].slotsTask = delivery
  }

  mutating func slotsAcknowledged(_ index: Int, _ header: Header) {
    guard header.status == .ok, servers[index].slotsTask != nil else { return }
    servers[index].slotsTask?.acknowledge(header)
    guard servers[index].slotsTask?.isComplete == true else { return }
    servers[index].slotsTask = nil
    if servers[index].phase == .assigning { servers[index].phase = .ready }
    if serving {
      driveRecovery()
      beginWhatWaits()
    } else {
      driveReboot()
    }
  }

  // MARK: Serving

  mutating func enter(_ index: Int) {
    publish(.setServer(servers[index].number, present(index)))
    servers[index].phase = .alive
    servers[index].isReturning = false
    servers[index].lastHeard = now
    if alive == 0 { beginReturns() }
    servers[index].probeSent = nil
    servers[index].leftIncarnation = 0
    alive |= bit(servers[index].number)
    if serving { nextMove = max(nextMove, now + configuration.times.rebalance) }
  }

  /// Servers that came back become part of the rack; the hot keys' targets follow by transitions.
  ///
  /// Not while a key's targets still name the server from before its loss: a retry of what it
  /// executed then would be executed by it again, since it has forgotten.
  mutating func joinReadyServers() {
    let isSettled = !entries.inOrder.contains(where: isOutdated)
    // One that returns has forgotten nothing: it may be named.
    let ready = servers.indices.filter {
      servers[$0].phase == .ready && (isSettled || servers[$0].isReturning)
    }
    guard !ready.isEmpty else { return }
    // Transitions since its ADMIT have not fenced it. A packet that was stamped before them, and has
    // not yet read who is alive, must not be sent there: it has been by the end of a grace period.
    for index in ready {
      publish(.setServer(servers[index].number, present(index)))
      servers[index].phase = .joining
    }
    joinAttempt += 1
    guard !faults.contains(.joinsAtOnce) else {
      join(attempt: joinAttempt)
      return
    }
    afterGrace([.join(attempt: joinAttempt)])
  }

  /// The grace period of `joinReadyServers` is over, in which no transition has begun.
  mutating func join(attempt: UInt64) {
    // Others have begun to join since: their grace period is the one that counts.
    guard attempt == joinAttempt else { return }
    // After a loss it is tried again when that is dealt with; unless no server is left to do so.
    let isLate = recovery.map { $0.stage != .alone || alive != 0 } ?? false
    for index in servers.indices where servers[index].phase == .joining {
      guard !isLate else {
        servers[index].phase = .ready
        continue
      }
      if servers[index].isReturning { finishReturn(index) }
      enter(index)
      members.append(
        RackMember(server: servers[index].number, incarnation: servers[index].incarnation))
    }
    publish(.setAlive(alive))
    noteAway()
    publishSpared()
    if faults.contains(.plainTargetChange) { makeTargets() }
  }

  /// Where a server is, in its present incarnation.
  func present(_ index: Int) -> ServerPlace {
    var place = servers[index].place
    place.incarnation = servers[index].incarnation
    return place
  }

  /// A new table of write targets for the living servers; no entry uses it yet. Without a free
  /// table the old one stays current, and this is tried again.
  mutating func makeTargets() {
    guard serving, alive != 0 else { return }
    if faults.contains(.plainTargetChange), !entries.isEmpty {
      faultyRotation += 1
      let row = TargetTables.row(receivers, rotated: Int(targets.current) + faultyRotation)
      publish(.setTargets(table: targets.current, servers: row))
      return
    }
    let retired = targets.retireUnused()
    if let made = targets.make(for: receivers) {
      publish(.setTargets(table: made.table, servers: made.servers))
    }
    afterGrace((retired + targets.retireUnused()).map { .freeTable($0) })
  }
}
