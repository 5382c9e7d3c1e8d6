internal import ServerCore
internal import Storage
internal import Wire

/// One server of a simulated rack: the core, and what it wants sent.
final class SimulatedServer {
  let number: Int
  /// Which start of the process it is.
  let start: UInt64
  /// It has died and not been started again.
  var isDown = false
  /// How long it takes for each datagram, in nanoseconds; 0: no time.
  var service: UInt64 = 0
  /// When it has served what waits there, and how much that is.
  var busyUntil: UInt64 = 0
  var queued = 0
  /// What survives it; nil: nothing does.
  let disk: SimulatedRowStore?
  /// Answers that wait until what they tell of is on the disk.
  var unsynced: [[UInt8]] = []
  var isSyncing = false
  /// The last sync found no room: what was changed since the one before is not durable.
  private var isStalled = false
  private let journal: StateJournal?
  private var core: ServerCore
  private var output = CollectedOutput()

  /// `disk`: of a durable server, with what its earlier start has left; `damaged`: slots whose values
  /// it cannot read there.
  init(
    number: Int, incarnation: UInt64, _ scenario: RackScenario, faults: SimulationFaults,
    disk: SimulatedRowStore?, damaged: [Int] = []
  ) {
    self.number = number
    start = incarnation
    self.disk = disk
    let configuration = ServerConfiguration(
      number: UInt8(number), incarnation: incarnation,
      hashSeed: SimulatedKeys.hashSeed, sessionsMax: scenario.sessionsMax, expectedKeys: 16)
    if let disk {
      let journal = StateJournal(disk)
      self.journal = journal
      core = ServerCore(configuration, journal: journal)
      disk.restore(&core, damaged: damaged)
      journal.settled()
      core.storage = disk.room == .plenty ? .writable : .readOnly
    } else {
      journal = nil
      core = ServerCore(configuration)
    }
    core.faults = faults.server
  }

  /// A new one with every start, also when it has to begin anew while it runs.
  var incarnation: UInt64 { core.incarnation }

  /// Takes a datagram; returns the datagrams that it answers with, all of which pass the directory.
  func receive(_ datagram: [UInt8], fromController: Bool, isBusy: Bool) -> [[UInt8]] {
    let load = UInt16(min(queued, 1000))
    output.datagrams.removeAll(keepingCapacity: true)
    datagram.withUnsafeBytes { bytes in
      if isBusy {
        core.refuseBusy(bytes, load: load, lateness: 0, output: &output)
      } else {
        core.receive(
          bytes, fromDirectory: fromController, load: load, lateness: 0, output: &output)
      }
    }
    return output.datagrams
  }

  /// Answers that it gives now have to wait for a sync.
  var mustSync: Bool { !isStalled && (isSyncing || disk?.isDirty == true) }

  /// What it has changed is made durable. False: there is no room, and nobody may hear of it.
  func sync() -> Bool {
    guard let disk, let journal else { return true }
    guard disk.room != .none || !disk.isDirty else {
      isStalled = true
      core.storage = .stalled(Set(journal.unsettled))
      return false
    }
    disk.sync()
    journal.settled()
    return true
  }

  /// Its disk has less room from now on; false: it has none. A server notices that there is little
  /// before, that there is none when it writes.
  func fillDisk(leaving room: SimulatedRowStore.Room) -> Bool {
    guard let disk, !isDown else { return false }
    disk.room = room
    if room == .little, !isStalled { core.storage = .readOnly }
    return true
  }

  /// There is room again.
  func freeDisk() {
    guard let disk else { return }
    disk.room = .plenty
    guard !isDown else { return }
    if isStalled { _ = sync() }
    isStalled = false
    core.storage = .writable
  }

  func isHome(of slot: Int) -> Bool { core.isHome(ofSlot: slot) }
  func isBackup(of slot: Int) -> Bool { core.isBackup(ofSlot: slot) }

  /// The version that it stores of a key; 0: none.
  func storedVersion(of key: SimulatedKeys.Key) -> UInt64 {
    core.stored(key.bytes)?.version ?? 0
  }

  /// The value that it stores of a key; nil: none. No two writes have the same.
  func storedValue(of key: SimulatedKeys.Key) -> [UInt8]? {
    core.stored(key.bytes).flatMap { $0.kind == .value ? $0.value : nil }
  }

  /// It has a value, and that is older than this version.
  func hasOldValue(of key: SimulatedKeys.Key, than version: UInt64) -> Bool {
    guard let stored = core.stored(key.bytes) else { return false }
    return stored.kind == .value && stored.version < version
  }
}

private struct CollectedOutput: ServerOutput {
  var datagrams: [[UInt8]] = []

  mutating func send(
    _ header: Header, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer,
    to: ServerDestination
  ) {
    datagrams.append(Message(header, key: Array(key), value: Array(value)).encoded())
  }
}

extension RackWorld {
  /// Datagrams that wait at a slow server, at most.
  private static let queueMax = 48

  func arriveAtServer(_ number: Int, _ datagram: [UInt8], fromController: Bool) {
    let server = servers[number]
    guard !server.isDown else { return }
    guard server.service > 0 || server.queued > 0 else {
      answer(number, datagram, fromController: fromController)
      return
    }
    // It takes its time, and serves in order.
    guard server.queued < Self.queueMax else {
      if !fromController { answer(number, datagram, fromController: false, isFull: true) }
      return
    }
    server.queued += 1
    server.busyUntil = max(server.busyUntil, scheduler.now) + server.service
    scheduler.schedule(
      .serve(number, datagram, fromController: fromController), at: server.busyUntil)
  }

  /// A slow server comes to a datagram that has waited; a server that has started again since has
  /// not got it.
  func serve(_ number: Int, _ datagram: [UInt8], fromController: Bool) {
    guard servers[number].queued > 0 else { return }
    servers[number].queued -= 1
    answer(number, datagram, fromController: fromController)
  }

  private func answer(
    _ number: Int, _ datagram: [UInt8], fromController: Bool, isFull: Bool = false
  ) {
    let isRequest = !fromController && datagram[3] <= Operation.hello.rawValue
    let isBusy = isRequest && stage == .faulty && random.chance(scenario.busy)
    let answers = servers[number].receive(
      datagram, fromController: fromController, isBusy: isBusy || isFull)
    if let disk = servers[number].disk {
      disk.endDatagram()
      settle(answers, of: servers[number])
    } else {
      sendAnswers(answers, of: number)
    }
    checkEntries(after: datagram)
  }

  private func sendAnswers(_ answers: [[UInt8]], of number: Int) {
    for answer in answers {
      checkAnswer(answer, of: number)
      send(answer, from: .server(number), to: .directory)
    }
  }

  /// Answers leave when what they tell of is on the disk. All that arrives until then shares one sync.
  private func settle(_ answers: [[UInt8]], of server: SimulatedServer) {
    guard server.mustSync else {
      sendAnswers(answers, of: server.number)
      return
    }
    if faults.answersUnsynced {
      sendAnswers(answers, of: server.number)
    } else {
      server.unsynced += answers
    }
    guard !server.isSyncing else { return }
    server.isSyncing = true
    scheduler.schedule(
      .synced(server: server.number, start: server.start),
      after: random.duration(in: scenario.sync))
  }

  /// A sync is over; not that of an earlier start.
  func synced(_ number: Int, _ start: UInt64) {
    let server = servers[number]
    guard server.start == start, !server.isDown else { return }
    server.isSyncing = false
    let answers = server.unsynced
    server.unsynced.removeAll()
    if server.sync() || faults.stallUnnoticed { sendAnswers(answers, of: number) }
  }

  /// A server dies with all that it has in memory; at least one is left, unless they have disks.
  /// Returns whether it did.
  func crash(_ server: Int) -> Bool {
    guard !servers[server].isDown,
      scenario.isDurable || servers.count(where: { !$0.isDown }) > 1
    else { return false }
    servers[server].isDown = true
    result.crashes += 1
    return true
  }

  /// Replaces a server by one that knows what its disk has, or nothing.
  func restart(_ server: Int) {
    let incarnation = random.next() | 1
    world.serversPaused[server] = 0
    let disk = servers[server].disk
    let damaged = disk.map { readAgain($0, of: server) } ?? []
    servers[server] = SimulatedServer(
      number: server, incarnation: incarnation, scenario, faults: faults, disk: disk,
      damaged: damaged)
    trace.record(
      at: scheduler.now, code: 7, values: UInt64(server), incarnation,
      text: "server \(server) starts again")
  }

  /// What a disk has after a crash. Returns the slots whose values cannot be read.
  private func readAgain(_ disk: SimulatedRowStore, of server: Int) -> [Int] {
    disk.crash(&random)
    guard stage == .faulty, scenario.damage > 0, random.chance(scenario.damage) else { return [] }
    result.coverage.damagedDisks += 1
    guard random.chance(0.7) else {
      disk.wipe()
      trace.record(
        at: scheduler.now, code: 12, values: UInt64(server),
        text: "the disk of server \(server) cannot be read")
      return []
    }
    let slots = disk.damageValues(0.5, &random)
    trace.record(
      at: scheduler.now, code: 13, values: UInt64(server), UInt64(slots.count),
      text: "values of \(slots.count) slots of server \(server) cannot be read")
    return faults.damageUnnoticed ? [] : slots
  }

  /// A write takes effect under one version at most, however often it is sent.
  private func checkAnswer(_ datagram: [UInt8], of server: Int) {
    guard let header = Self.header(of: datagram) else { return }
    if header.flags.contains(.tombstone) { watch.noteTombstone(header.keyHash, header.version) }
    if header.flags.contains(.reply) { checkCopies(header, from: server) }
    guard header.operation.isWrite, header.flags.contains(.reply), header.status == .ok else {
      return
    }
    let request = RackWatch.Request(client: header.client, sequence: header.sequence)
    if let first = watch.effect(request, header.version) {
      fail(
        .atMostOnce,
        "request \(header.sequence) of client \(header.client) took effect under versions "
          + "\(first) and \(header.version)")
    }
  }
}
