import Wire

/// A server that follows the message rules of docs/protocol.md §6, as small as can be.
struct FakeServer {
  struct Stored {
    var version: UInt64
    var value: [UInt8]?
    var generation: UInt64
  }
  struct Result: Equatable {
    var version: UInt64
    var status: Status
    var keyHash: UInt64
  }

  let number: UInt8
  var incarnation: UInt64
  var conditions: ProbeBody.Conditions = []
  /// The incarnation whose state it waits to be admitted with; 0: none.
  private(set) var recovered: UInt64 = 0
  var epoch: UInt16 = 0
  var floor: UInt64 = 0
  var stored: [UInt64: Stored] = [:]
  var fences: [UInt64: (generation: UInt64, key: [UInt8])] = [:]
  var countsFrom: [UInt64: UInt64] = [:]
  var former: [UInt64: (countsFrom: UInt64, key: [UInt8])] = [:]
  var slotsGeneration: UInt64 = 0
  /// Items in a page of what it has from an earlier epoch.
  var itemsPerPage = 2
  var results: [UInt64: [UInt64: Result]] = [:]
  var marks: [UInt64: UInt64] = [:]
  var slots: [SlotRun] = []
  var keyLoss: [UInt64: UInt64] = [:]
  var lostKeys: Set<UInt64> = []
  var floorParts: [UInt64: [UInt16: [UInt64]]] = [:]
  var slotParts: [UInt64: [UInt16: SlotsBody]] = [:]
  /// What an answer to FENCE holds at most, to have parts without many sessions.
  var entriesPerPart = 2
  /// Seen operations, for tests that count messages.
  var seen: [Operation: Int] = [:]
  /// Slots that leave, with the messages that are not acknowledged; and slots that come.
  var leaving: (move: UInt64, sent: UInt64, waiting: [UInt64: Message], isFenced: Bool)?
  var arriving: (move: UInt64, peer: UInt8)?
  var slotFences: [Int: UInt64] = [:]
  var newestMove: UInt64 = 0
  /// The latest write that took effect here for the first time.
  var lastExecution: (client: UInt64, sequence: UInt64, version: UInt64)?

  init(number: UInt8, incarnation: UInt64) {
    self.number = number
    self.incarnation = incarnation
  }

  /// It starts again with its state, as a durable server does.
  mutating func restart(incarnation: UInt64) {
    if recovered == 0 { recovered = self.incarnation }
    self.incarnation = incarnation
  }

  func slotRun(of hash: UInt64) -> SlotRun? {
    let slot = KeyHash.slot(hash)
    return slots.first { slot >= Int($0.first) && slot < Int($0.first) + Int($0.count) }
  }

  mutating func receive(_ message: Message) -> [Message] {
    let header = message.header
    seen[header.operation, default: 0] += 1
    if header.operation == .probe { return [answer(message, .probeAck, .ok, probe: true)] }
    guard header.server == number, header.incarnation == incarnation else { return [] }
    if header.operation == .admit {
      guard header.epoch >= epoch else { return [] }
      if recovered != 0, header.version != recovered {
        self = FakeServer(number: number, incarnation: incarnation)
        conditions = .durable
      }
      recovered = 0
      if header.epoch > epoch { beginEpoch() }
      epoch = header.epoch
      floor = max(floor, header.generation)
      return [answer(message, .admitAck, .ok)]
    }
    if header.operation == .renew, header.epoch >= epoch {
      self = FakeServer(number: number, incarnation: incarnation + 1_000_000)
      return []
    }
    guard header.epoch == epoch, recovered == 0 else { return [] }
    switch header.operation {
    case .fence: return fence(message)
    case .learn: return [learn(message)]
    case .sync: return sync(message)
    case .floor: return raiseFloor(message)
    case .slotsSet: return setSlots(message)
    case .copyOrder: return copyOrder(message)
    case .copy: return copy(message)
    case .slotsMove: return move(message)
    case .slotCopy: return slotCopy(message)
    case .slotCopyAck:
      leaving?.waiting[header.sequence] = nil
      return []
    case .get: return [read(message)]
    case .set, .delete: return write(message)
    default: return []
    }
  }

  private func answer(
    _ message: Message, _ operation: Operation, _ status: Status, value: [UInt8] = [],
    part: UInt16? = nil, parts: UInt16? = nil, version: UInt64 = 0, probe: Bool = false
  ) -> Message {
    var header = message.header
    header.operation = operation
    header.status = status
    header.flags = operation.isRequest ? [.reply] : []
    header.server = number
    header.incarnation = incarnation
    header.epoch = epoch
    header.version = version
    header.copyTargets = 0
    var body = ProbeBody()
    (body.recovered, body.conditions) = (recovered, conditions)
    header.generation = max(header.generation, fences[header.keyHash]?.generation ?? 0)
    header.part = part ?? header.part
    header.parts = parts ?? header.parts
    return Message(
      header, key: operation == .fenceAck ? message.key : [],
      value: probe ? body.encoded() : value)
  }

  private mutating func beginEpoch() {
    if slotsGeneration >> 48 == UInt64(epoch), epoch != 0 {
      former = fences.filter { slotRun(of: $0.key) != nil }.mapValues { ($0.generation, $0.key) }
      for hash in former.keys { former[hash]?.countsFrom = countsFrom[hash] ?? 0 }
    }
    fences = [:]
    countsFrom = [:]
    slotParts = [:]
    floorParts = [:]
  }

  private func learn(_ message: Message) -> Message {
    let keys = former.sorted { $0.key < $1.key }.map {
      LearnBody.Key(hash: $0.key, key: $0.value.key)
    }
    var body = LearnBody(
      slotsGeneration: slotsGeneration, lossGeneration: slots.map(\.lossGeneration).max() ?? 0)
    let first = Int(message.header.version)
    let last = min(slots.count + keys.count, first + itemsPerPage)
    for item in first..<max(first, last) {
      if item < slots.count {
        body.runs.append(slots[item])
      } else {
        body.keys.append(keys[item - slots.count])
      }
    }
    return answer(
      message, .learnAck, .ok, value: body.encoded(), version: UInt64(max(first, last)))
  }

  private mutating func fence(_ message: Message) -> [Message] {
    let header = message.header
    if let fence = fences[header.keyHash], fence.key != message.key {
      return [answer(message, .fenceAck, .otherKey)]
    }
    guard header.generation > floor,
      header.generation >= fences[header.keyHash]?.generation ?? 0
    else { return [] }
    if fences[header.keyHash] == nil {
      countsFrom[header.keyHash] = former[header.keyHash]?.countsFrom ?? header.generation
    }
    fences[header.keyHash] = (header.generation, message.key)
    var entries: [SessionEntry] = []
    for (client, list) in results.sorted(by: { $0.key < $1.key }) {
      for (sequence, result) in list.sorted(by: { $0.key < $1.key })
      where sequence >= marks[client] ?? 0 && result.keyHash == header.keyHash {
        entries.append(
          SessionEntry(
            client: client, sequence: sequence, version: result.version, operation: .set,
            status: result.status))
      }
    }
    let held = stored[header.keyHash]
    let count = max(1, (entries.count + entriesPerPart - 1) / entriesPerPart)
    return (0..<count).map { part in
      let slice = entries.dropFirst(part * entriesPerPart).prefix(entriesPerPart)
      var result = answer(
        message, .fenceAck,
        lostKeys.contains(header.keyHash) ? .lost : held?.value == nil ? .notFound : .ok,
        value: FenceAckBody(
          storedGeneration: held?.generation ?? 0, countsFrom: countsFrom[header.keyHash] ?? 0,
          entries: Array(slice)
        ).encoded(), part: UInt16(part),
        parts: UInt16(count), version: held?.version ?? 0)
      if held != nil, held?.value == nil { result.header.flags.insert(.tombstone) }
      if held == nil, conditions.contains(.damaged) { result.header.flags.insert(.lost) }
      return result
    }
  }

  private mutating func sync(_ message: Message) -> [Message] {
    let header = message.header
    let hash = header.keyHash
    guard fences[hash]?.generation == header.generation,
      let body = try? SyncBody(decoding: message.value)
    else { return [] }
    for entry in body.entries where entry.sequence >= marks[entry.client] ?? 0 {
      results[entry.client, default: [:]][entry.sequence] = Result(
        version: entry.version, status: entry.status, keyHash: hash)
    }
    keyLoss[hash] = max(keyLoss[hash] ?? 0, body.lossGeneration)
    if header.version > stored[hash]?.version ?? 0 {
      return [answer(message, .syncAck, .behind)]
    }
    if header.flags.contains(.lost) {
      stored[hash] = nil
      lostKeys.insert(hash)
    }
    if body.freshVersion > stored[hash]?.version ?? 0 {
      stored[hash] = Stored(
        version: body.freshVersion, value: stored[hash]?.value, generation: header.generation)
    }
    if slotRun(of: hash) != nil {
      countsFrom[hash] = header.generation
      former[hash] = nil
    }
    return [answer(message, .syncAck, .ok, version: stored[hash]?.version ?? 0)]
  }

  private mutating func raiseFloor(_ message: Message) -> [Message] {
    let header = message.header
    guard header.generation >= floor, let body = try? FloorBody(decoding: message.value) else {
      return [answer(message, .floorAck, .ok)]
    }
    floorParts[header.sequence, default: [:]][header.part] = body.keyHashes
    let parts = floorParts[header.sequence] ?? [:]
    if parts.count == Int(header.parts) {
      let named = Set(parts.values.flatMap { $0 })
      floor = header.generation
      conditions.remove(.damaged)
      fences = fences.filter { $0.value.generation >= floor }
      for (hash, held) in stored
      where !named.contains(hash) && fences[hash] == nil && held.generation < floor {
        let isHome = slotRun(of: hash) != nil
        if !isHome || held.value == nil { stored[hash] = nil }
      }
    }
    return [answer(message, .floorAck, .ok)]
  }

  private mutating func setSlots(_ message: Message) -> [Message] {
    let header = message.header
    guard let body = try? SlotsBody(decoding: message.value) else { return [] }
    slotParts[header.sequence, default: [:]][header.part] = body
    let parts = slotParts[header.sequence] ?? [:]
    if parts.count == Int(header.parts) {
      let before = self
      (leaving, arriving) = (nil, nil)
      let ordered = parts.sorted { $0.key < $1.key }.map(\.value)
      slots = ordered.flatMap(\.runs)
      slotsGeneration = header.generation
      former = [:]
      let named = Set(ordered.flatMap(\.keyHashes))
      for hash in stored.keys where before.slotRun(of: hash) == nil && !named.contains(hash) {
        if (slotRun(of: hash)?.lossGeneration ?? 0) > 0 { stored[hash] = nil }
      }
    }
    return [answer(message, .slotsAck, .ok)]
  }

  /// Everything at once, and all that is not acknowledged again with every order.
  private mutating func move(_ message: Message) -> [Message] {
    guard let body = try? MoveBody(decoding: message.value) else { return [] }
    let numbers = body.runs.flatMap { Int($0.first)..<Int($0.first) + Int($0.count) }
    let moving = Set(numbers)
    var state = MoveAckBody(move: body.move)
    var copies: [Message] = []
    switch body.step {
    case .receive:
      guard body.move > newestMove || arriving?.move == body.move else { return [] }
      newestMove = body.move
      arriving = (body.move, body.peer)
      for hash in stored.keys
      where moving.contains(KeyHash.slot(hash)) && !body.keyHashes.contains(hash) {
        if stored[hash]?.generation ?? 0 < body.move { stored[hash] = nil }
      }
      state.isScanned = true
    case .send, .fence:
      guard body.move > newestMove || leaving?.move == body.move else { return [] }
      newestMove = body.move
      if leaving?.move != body.move { leaving = (body.move, 0, [:], false) }
      if body.step == .fence {
        for slot in numbers { slotFences[slot] = message.header.generation }
      }
      queueCopies(body, message.header, moving)
      copies = leaving?.waiting.sorted { $0.key < $1.key }.map(\.value) ?? []
      state.isScanned = true
      state.sent = leaving?.sent ?? 0
      state.waiting = UInt32(leaving?.waiting.count ?? 0)
    case .take where arriving?.move == body.move:
      slots += body.runs
      for slot in numbers { slotFences[slot] = message.header.generation }
      arriving = nil
    case .leave where leaving?.move == body.move:
      takeAway(moving)
      leaving = nil
    case .cancel where leaving?.move == body.move: leaving = nil
    case .cancel where arriving?.move == body.move: arriving = nil
    case .assign where leaving?.move == body.move:
      takeAway(moving)
      slots += body.runs.filter { $0.role != .leaving }
      leaving = nil
    case .assign where body.move > newestMove:
      newestMove = body.move
      takeAway(moving)
    case .take, .leave, .cancel, .assign: break
    }
    return [answer(message, .slotsMoveAck, .ok, value: state.encoded())] + copies
  }

  private mutating func queueCopies(_ body: MoveBody, _ order: Header, _ moving: Set<Int>) {
    let isFence = body.step == .fence && leaving?.isFenced == false
    for (hash, held) in stored.sorted(by: { $0.key < $1.key })
    where moving.contains(KeyHash.slot(hash)) && (isFence || leaving?.sent == 0) {
      leaving?.sent += 1
      var header = order
      header.operation = .slotCopy
      header.client = body.move
      header.sequence = leaving?.sent ?? 0
      header.keyHash = hash
      header.version = held.version
      header.flags = held.value == nil ? [.tombstone] : []
      header.copyTargets = 1 << UInt32(body.peer)
      leaving?.waiting[header.sequence] = Message(
        header, key: testKey(hash), value: held.value ?? [])
    }
    guard isFence else { return }
    leaving?.isFenced = true
    for (client, list) in results.sorted(by: { $0.key < $1.key }) {
      for (sequence, result) in list.sorted(by: { $0.key < $1.key })
      where moving.contains(KeyHash.slot(result.keyHash)) {
        leaving?.sent += 1
        var header = order
        header.operation = .slotCopy
        header.client = body.move
        header.sequence = leaving?.sent ?? 0
        header.keyHash = result.keyHash
        header.copyTargets = 1 << UInt32(body.peer)
        let entry = SessionEntry(
          client: client, sequence: sequence, version: result.version, operation: .set,
          status: result.status)
        leaving?.waiting[header.sequence] = Message(
          header, value: SlotSessionsBody(entries: [entry]).encoded())
      }
    }
  }

  private mutating func takeAway(_ moving: Set<Int>) {
    slots = slots.flatMap { run in
      (Int(run.first)..<Int(run.first) + Int(run.count)).filter { !moving.contains($0) }.map {
        SlotRun(
          first: UInt16($0), count: 1, lossGeneration: run.lossGeneration, role: run.role,
          backup: run.backup)
      }
    }
  }

  private mutating func slotCopy(_ message: Message) -> [Message] {
    let header = message.header
    guard let arriving, arriving.move == header.client else { return [] }
    if message.key.isEmpty {
      for entry in (try? SlotSessionsBody(decoding: message.value))?.entries ?? [] {
        results[entry.client, default: [:]][entry.sequence] = Result(
          version: entry.version, status: entry.status, keyHash: header.keyHash)
      }
    } else if header.version > stored[header.keyHash]?.version ?? 0 {
      stored[header.keyHash] = Stored(
        version: header.version, value: header.flags.contains(.tombstone) ? nil : message.value,
        generation: header.generation)
    }
    var answer = answer(message, .slotCopyAck, .ok)
    answer.header.copyTargets = 1 << UInt32(arriving.peer)
    return [answer]
  }

  private mutating func copyOrder(_ message: Message) -> [Message] {
    let header = message.header
    guard header.generation >= max(floor, fences[header.keyHash]?.generation ?? 0),
      let held = stored[header.keyHash]
    else { return [] }
    return copies(message, held, header.copyTargets)
  }

  private func copies(_ message: Message, _ held: Stored, _ targets: UInt32) -> [Message] {
    (0..<UInt8(32)).filter { targets & 1 << $0 != 0 && $0 != number }.map { target in
      var header = message.header
      header.operation = .copy
      header.flags = held.value == nil ? [.tombstone] : []
      header.server = number
      header.incarnation = incarnation
      header.copyTargets = 1 << target
      header.version = held.version
      return Message(header, key: message.key, value: held.value ?? [])
    }
  }

  private mutating func copy(_ message: Message) -> [Message] {
    let header = message.header
    guard header.generation >= max(floor, fences[header.keyHash]?.generation ?? 0),
      header.version >= stored[header.keyHash]?.version ?? 0
    else { return [] }
    stored[header.keyHash] = Stored(
      version: header.version, value: header.flags.contains(.tombstone) ? nil : message.value,
      generation: header.generation)
    lostKeys.remove(header.keyHash)
    return [answer(message, .copyAck, .ok, version: header.version)]
  }

  private func read(_ message: Message) -> Message {
    let header = message.header
    let hash = header.keyHash
    if header.generation < floor { return answer(message, .get, .staleGeneration) }
    if !header.flags.contains(.replicated), slotRun(of: hash) == nil {
      return answer(message, .get, .wrongServer)
    }
    let held = stored[hash]
    if held?.version ?? 0 < header.version { return answer(message, .get, .behind) }
    if lostKeys.contains(hash) || (held == nil && (slotRun(of: hash)?.lossGeneration ?? 0) > 0) {
      return answer(message, .get, .lost)
    }
    return answer(
      message, .get, held?.value == nil ? .notFound : .ok, value: held?.value ?? [],
      version: held?.version ?? 0)
  }

  private mutating func write(_ message: Message) -> [Message] {
    let header = message.header
    let hash = header.keyHash
    if header.generation < floor { return [answer(message, .set, .staleGeneration)] }
    if !header.flags.contains(.replicated), slotRun(of: hash) == nil {
      return [answer(message, .set, .wrongServer)]
    }
    if let result = results[header.client]?[header.sequence] {
      var reply = answer(message, .set, result.status, version: result.version)
      if stored[hash]?.version ?? 0 < result.version { reply.header.flags.insert(.notHolder) }
      return [reply]
    }
    if header.sequence < marks[header.client] ?? 0 { return [answer(message, .set, .finished)] }
    marks[header.client] = max(marks[header.client] ?? 0, header.acknowledged)
    results[header.client] = results[header.client]?.filter { $0.key >= header.acknowledged }
    if let fence = fences[hash]?.generation,
      header.generation < fence || header.knownGeneration <= fence
    {
      return [answer(message, .set, .staleGeneration)]
    }
    if !header.flags.contains(.replicated), let fence = slotFences[KeyHash.slot(hash)],
      header.generation < fence || header.knownGeneration <= fence
    {
      return [answer(message, .set, .staleGeneration)]
    }
    if header.knownGeneration < floor { return [answer(message, .set, .staleGeneration)] }
    let loss = max(keyLoss[hash] ?? 0, slotRun(of: hash)?.lossGeneration ?? 0)
    if header.firstGeneration < loss { return [answer(message, .set, .ambiguous)] }
    let isNewer = header.version > stored[hash]?.version ?? 0
    let value = header.operation == .delete ? nil : message.value
    if isNewer {
      stored[hash] = Stored(
        version: header.version, value: value, generation: header.generation)
      lostKeys.remove(hash)
    }
    results[header.client, default: [:]][header.sequence] = Result(
      version: header.version, status: .ok, keyHash: hash)
    lastExecution = (header.client, header.sequence, header.version)
    let held = Stored(version: header.version, value: value, generation: 0)
    return (isNewer ? copies(message, held, header.copyTargets) : [])
      + [answer(message, .set, .ok, version: header.version)]
  }
}
