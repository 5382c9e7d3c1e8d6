import Directory
import Testing
import Wire

@testable import ControllerCore

/// Of the epoch that test racks begin with.
let firstGeneration = Generation.first(ofEpoch: 1)

/// splitmix64: the same seed gives the same run.
struct Random: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var x = state
    x = (x ^ (x >> 30)) &* 0xbf58_476d_1ce4_e5b9
    x = (x ^ (x >> 27)) &* 0x94d0_49bb_1331_11eb
    return x ^ (x >> 31)
  }
}

/// A controller, the host build of its directory, and servers, joined by a network that may lose,
/// duplicate and delay. Time runs in steps of a millisecond.
final class TestRack {
  struct Faults {
    var loss = 0.0
    var duplication = 0.0
    /// Steps that a datagram may take at most; 1: they arrive in order.
    var delay = 1
  }
  enum Destination {
    case server(UInt8)
    case controller(from: UInt8)
    case directory(from: UInt8)
    case client
  }

  var core: ControllerCore
  var memory: DirectoryMemory
  private var configuration: ControllerConfiguration
  var servers: [UInt8: FakeServer] = [:]
  /// Servers that neither receive nor send.
  var silent: Set<UInt8> = []
  /// Servers whose answers come so many steps late.
  var late: [UInt8: Int] = [:]
  var network = Faults()
  var random: Random
  var step = 0
  var now: UInt64 = 1_000_000_000
  var queue: [(due: Int, Destination, Message)] = []
  var notices: [ControllerNotice] = []
  var published: [DirectoryChange] = []
  var sent: [(Message, UInt8)] = []
  var replies: [Message] = []
  var reads: [UInt32: UInt64] = [:]
  var writes: [UInt32: UInt64] = [:]
  var graces: [(due: Int, UInt64)] = []
  private var executed: [[UInt64]: UInt64] = [:]
  /// Off only where a deliberate fault breaks it.
  var checksReplicaSets = true
  /// Called after each effect; tests let packets pass there.
  var betweenEffects: (() -> Void)?
  private var nextIncarnation: UInt64 = 1000
  /// What the controller still does before it dies; nil: it lives on.
  var effectsLeft: Int?
  /// What it has done.
  private(set) var effectsDone = 0

  init(
    servers count: Int = 3, window: UInt32 = 1 << 30, firstVersion: UInt64? = nil, seed: UInt64 = 1,
    configure: (inout ControllerConfiguration) -> Void = { _ in }
  ) {
    var places: [UInt8: ServerPlace] = [:]
    for number in 0..<UInt8(count) {
      places[number] = ServerPlace(
        incarnation: 0, interface: 10 + UInt32(number), port: WireLimits.port,
        mac: [2, 0, 0, 0, 0, number], address: Array(repeating: number, count: 16))
    }
    var configuration = ControllerConfiguration(
      epoch: 1, servers: places, window: window, capacity: 64, seed: seed)
    configuration.policy.automatic = false
    configuration.policy.rebalances = false
    configuration.times.rebalance = 50_000_000
    configuration.times.floor = 0
    configuration.times.floorDelay = 0
    configuration.firstVersion = firstVersion ?? configuration.firstVersion
    configure(&configuration)
    self.configuration = configuration
    core = ControllerCore(configuration)
    memory = DirectoryMemory(buckets: configuration.capacity / 4)
    random = Random(state: seed)
    for number in 0..<UInt8(count) { startServer(number) }
  }

  func startServer(_ number: UInt8) {
    nextIncarnation += 1
    servers[number] = FakeServer(number: number, incarnation: nextIncarnation)
    silent.remove(number)
  }

  /// It is there again, with its state, and has forgotten nothing.
  func restartServer(_ number: UInt8) {
    nextIncarnation += 1
    servers[number]?.restart(incarnation: nextIncarnation)
    silent.remove(number)
  }

  /// Starts the controller and waits until it serves.
  func serve() {
    handle(.start(now: now))
    run { self.core.serving }
    #expect(core.state.serving)
  }

  /// The directory's host loses what it had in memory, and begins the next epoch with what it had
  /// recorded.
  func reboot(members: [RackMember]? = nil) {
    configuration.epoch += 1
    configuration.firstVersion = Version.first(ofEpoch: configuration.epoch)
    configuration.members = members ?? core.members
    configuration.serviceOrders = core.serviceOrders
    let faults = core.faults
    core = ControllerCore(configuration)
    core.faults = faults
    memory = DirectoryMemory(buckets: configuration.capacity / 4)
    (reads, writes, graces) = ([:], [:], [])
    handle(.start(now: now))
  }

  /// Runs until the condition holds, for at most so many milliseconds.
  @discardableResult
  func run(for steps: Int = 5000, until condition: () -> Bool) -> Bool {
    for _ in 0..<steps {
      if condition() { return true }
      advance()
    }
    return condition()
  }

  func run(milliseconds: Int) { run(for: milliseconds) { false } }

  /// Everything asked for is done.
  @discardableResult
  func settle(file: String = #fileID, line: Int = #line) -> Bool {
    let quiet = run { self.core.isQuiet && self.queue.isEmpty }
    #expect(quiet, "not quiet at \(file):\(line)")
    return quiet
  }

  func advance() {
    step += 1
    now += 1_000_000
    let due = queue.filter { $0.due <= step }
    queue.removeAll { $0.due <= step }
    for (_, destination, message) in due { deliver(message, to: destination) }
    let elapsed = graces.filter { $0.due <= step }
    graces.removeAll { $0.due <= step }
    for (_, token) in elapsed { handle(.graceElapsed(token: token)) }
    if step % 10 == 0 { tick() }
  }

  func tick() {
    let readings = core.entriesInUse.map { index in
      var reading = memory.reading(ofEntry: index)
      reading.reads = reads[index] ?? 0
      reading.writes = writes[index] ?? 0
      return reading
    }
    handle(.tick(now: now, entries: readings, nextVersion: memory.nextVersion))
  }

  /// Another controller takes over what the one before has left.
  func replaceController(faults: ControllerFaults = [], copies: Int? = nil) {
    if let copies { configuration.copies = copies }
    effectsLeft = nil
    graces = []
    configuration.servers = core.configuration.servers
    configuration.members = core.members
    configuration.serviceOrders = core.serviceOrders
    core = ControllerCore(configuration)
    core.faults = faults
    handle(.adopt(now: now, memory.contents()))
  }

  func handle(_ event: ControllerEvent) {
    guard effectsLeft != 0 else { return }
    for effect in core.handle(event) {
      guard effectsLeft != 0 else { return }
      if let left = effectsLeft { effectsLeft = left - 1 }
      effectsDone += 1
      switch effect {
      case .publish(let change):
        memory.apply(change)
        published.append(change)
      case .send(let message, let server):
        sent.append((message, server))
        post(message, to: .server(server))
      case .awaitGrace(let token): graces.append((step + 3, token))
      case .reserveVersions(let count, let token):
        let first = memory.reserveVersions(count)
        handle(.versionsReserved(token: token, first: first))
      case .notice(let notice): notices.append(notice)
      }
      betweenEffects?()
      checkReplicaSets()
    }
  }

  func post(_ message: Message, to destination: Destination, after late: Int = 0) {
    var copies = 1
    if Double.random(in: 0..<1, using: &random) < network.duplication { copies += 1 }
    for _ in 0..<copies where Double.random(in: 0..<1, using: &random) >= network.loss {
      let delay = network.delay == 1 ? 1 : Int.random(in: 1...network.delay, using: &random)
      queue.append((step + delay + late, destination, message))
    }
  }

  private func deliver(_ message: Message, to destination: Destination) {
    switch destination {
    case .server(let number):
      guard !silent.contains(number), let answers = servers[number]?.receive(message) else {
        return
      }
      checkExecution(number)
      for answer in answers {
        let isControl =
          [
            .fenceAck, .syncAck, .floorAck, .slotsAck, .probeAck, .admitAck, .learnAck,
            .slotsMoveAck,
          ]
          .contains(answer.header.operation)
        post(
          answer, to: isControl ? .controller(from: number) : .directory(from: number),
          after: late[number] ?? 0)
      }
    case .controller(let number):
      guard !silent.contains(number) else { return }
      handle(.received(message, server: number))
    case .directory(let number):
      var bytes = message.encoded()
      let verdict = bytes.withUnsafeMutableBytes {
        memory.handle($0, from: .server(number)).verdict
      }
      guard let passed = try? Message(datagram: bytes) else { return }
      if case .steer(let server) = verdict { post(passed, to: .server(server)) }
      if verdict == .forward { post(passed, to: .client) }
      checkReplicaSets()
    case .client:
      replies.append(message)
    }
  }

  /// A client's request, as its library would send it. Returns whether the directory steered it.
  @discardableResult
  func request(
    _ operation: Wire.Operation, _ hash: UInt64, client: UInt64 = 9, sequence: UInt64,
    acknowledged: UInt64? = nil, first: UInt64? = nil, known: UInt64? = nil, value: [UInt8] = []
  ) -> Verdict {
    var header = Header(operation)
    header.keyHash = hash
    header.client = client
    header.sequence = sequence
    header.acknowledged = acknowledged ?? sequence
    header.firstGeneration = first ?? memory.generation
    header.knownGeneration = known ?? memory.generation
    var bytes = Message(header, key: testKey(hash), value: value).encoded()
    let decision = bytes.withUnsafeMutableBytes { memory.handle($0, from: .client) }
    let (verdict, entry) = (decision.verdict, decision.entry)
    if let entry {
      if operation == .get { reads[entry, default: 0] += 1 } else { writes[entry, default: 0] += 1 }
    }
    if case .steer(let server) = verdict, let stamped = try? Message(datagram: bytes) {
      post(stamped, to: .server(server))
    }
    return verdict
  }

  /// A request by a perfect client: tries until an answer other than a refusal comes.
  func perform(
    _ operation: Wire.Operation, _ hash: UInt64, client: UInt64 = 9, sequence: UInt64,
    value: [UInt8] = []
  ) -> Message? {
    let first = memory.generation
    for _ in 0..<200 {
      let from = replies.count
      request(
        operation, hash, client: client, sequence: sequence, first: first, value: value)
      run(for: 20) { self.replies.count > from }
      let final: [Status] = [.ok, .notFound, .ambiguous, .lost, .finished]
      if let reply = replies[from...].last(where: {
        $0.header.client == client && $0.header.sequence == sequence
          && final.contains($0.header.status)
      }) {
        return reply
      }
    }
    return nil
  }

  /// A write takes effect under at most one version, whatever was lost or sent twice.
  private func checkExecution(_ number: UInt8) {
    guard let execution = servers[number]?.lastExecution else { return }
    servers[number]?.lastExecution = nil
    let request = [execution.client, execution.sequence]
    if let version = executed[request], version != execution.version {
      Issue.record("\(request) took effect under \(version) and \(execution.version)")
    }
    executed[request] = execution.version
  }

  /// Every living server of a replica set stores at least the completed version.
  func checkReplicaSets() {
    guard checksReplicaSets else { return }
    for key in core.entries.inOrder where key.mode != .adding {
      let reading = memory.reading(ofEntry: key.index)
      guard reading.keyHash == key.keyHash else { continue }
      for record in core.servers where record.phase == .alive {
        guard reading.replicaSet & bit(record.number) != 0, !silent.contains(record.number),
          let server = servers[record.number], server.incarnation == record.incarnation
        else { continue }
        let version = server.stored[key.keyHash]?.version ?? 0
        if version < reading.completed {
          Issue.record("server \(record.number) stores \(version) < \(reading.completed)")
        }
      }
    }
  }

  func mode(_ hash: UInt64) -> KeyState.Mode? {
    switch core.entries[hash]?.mode {
    case .adding: .adding
    case .hot: .hot
    case .removing: .removing
    case nil: nil
    }
  }

  func reading(_ hash: UInt64) -> EntryReading? {
    core.entries[hash].map { memory.reading(ofEntry: $0.index) }
  }

  func promote(_ hash: UInt64) {
    handle(.command(.promote(keyHash: hash, key: testKey(hash))))
    run { self.core.isQuiet }
    #expect(mode(hash) == .hot)
  }

  func demote(_ hash: UInt64) {
    handle(.command(.demote(keyHash: hash)))
    run { self.core.isQuiet }
    #expect(mode(hash) == nil)
  }
}

/// A key for a hash: the fakes do not compute hashes.
func testKey(_ hash: UInt64) -> [UInt8] { Array("key-\(hash)".utf8) }

/// A hash whose home is this server, of `count` that divide the slots.
func hash(homeOf server: Int, of count: Int, number: UInt64 = 1) -> UInt64 {
  let slot = (server * WireLimits.slots + WireLimits.slots / 2) / count
  return UInt64(slot) << 50 | number << 32 | number
}
