import ServerCore
import Storage
import Testing
import Wire

/// Keeps what a server sends.
struct Outbox: ServerOutput {
  var sent: [(message: Message, destination: ServerDestination)] = []

  mutating func send(
    _ header: Header, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer,
    to destination: ServerDestination
  ) {
    sent.append((Message(header, key: Array(key), value: Array(value)), destination))
  }
}

/// Server 2 of a rack, admitted to epoch 1, and what the directory and the controller would send it.
struct Harness {
  static let incarnation: UInt64 = 4_711
  /// Of this start.
  var incarnation = Self.incarnation
  /// The first word of XXH3's secret (xxhash.h, XXH3_kSecret) plus the seed is "aaaaaaaa": a key of
  /// 17 to 32 bytes that begins so multiplies the next eight bytes by zero, whatever they are.
  static let seed: UInt64 = 0x6161_6161_6161_6161 &- 0xbe4b_a423_396c_feb8
  static let keysOfOneHash = (
    "aaaaaaaa" + "ein Key." + "0123456789abcdef", "aaaaaaaa" + "another." + "0123456789abcdef"
  )

  var core: ServerCore
  var executions: [Execution] = []
  /// Sequence number of the controller's attempts.
  var attempt: UInt64 = 0
  /// Counter of versions.
  var version = Version.first(ofEpoch: 1)

  /// `slots`: all slots are its own.
  init(slots: Bool = true, sessionsMax: Int = 64, rows: MemoryRows? = nil) {
    let configuration = ServerConfiguration(
      number: 2, incarnation: Self.incarnation, hashSeed: Self.seed, sessionsMax: sessionsMax)
    core =
      rows.map { ServerCore(configuration, journal: StateJournal($0)) }
      ?? ServerCore(configuration)
    control(.admit, generation: 10)
    if slots { setSlots([SlotRun(first: 0, count: 16_384)], generation: 10) }
  }

  static func hash(_ key: String) -> UInt64 { KeyHash.of(Array(key.utf8), seed: seed) }

  /// Gives the server a datagram; returns its answers to the sender and what it sends otherwise.
  @discardableResult
  mutating func receive(
    _ message: Message, fromDirectory: Bool = false
  ) -> [(message: Message, destination: ServerDestination)] {
    receive(message.encoded(), fromDirectory: fromDirectory)
  }

  @discardableResult
  mutating func receive(
    _ bytes: [UInt8], fromDirectory: Bool = false
  ) -> [(message: Message, destination: ServerDestination)] {
    var output = Outbox()
    bytes.withUnsafeBytes {
      core.receive($0, fromDirectory: fromDirectory, load: 3, lateness: 0, output: &output)
    }
    return output.sent
  }

  /// A header stamped for this server.
  func header(_ operation: Operation, generation: UInt64, version: UInt64 = 0) -> Header {
    var header = Header(operation)
    header.server = 2
    header.incarnation = incarnation
    header.epoch = 1
    header.generation = generation
    header.version = version
    return header
  }

  /// A request as the directory passes it on. A write takes the next version unless one is given.
  mutating func request(
    _ operation: Operation, _ key: String, value: String = "", client: UInt64 = 7 << 22,
    sequence: UInt64 = 1, acknowledged: UInt64? = nil, generation: UInt64 = 10,
    known: UInt64? = nil, first: UInt64? = nil, version: UInt64? = nil, hot: Bool = false,
    copyTargets: UInt32 = 0
  ) -> Message {
    var header = header(operation, generation: generation)
    if operation == .get {
      header.version = version ?? 0
    } else {
      self.version += version == nil ? 1 : 0
      header.version = version ?? self.version
    }
    header.keyHash = Self.hash(key)
    header.client = client
    header.sequence = sequence
    header.acknowledged = acknowledged ?? sequence
    header.knownGeneration = known ?? generation
    header.firstGeneration = first ?? header.knownGeneration
    header.copyTargets = copyTargets
    header.returnPath = 0x1234
    if hot { header.flags.insert(.replicated) }
    return Message(header, key: Array(key.utf8), value: Array(value.utf8))
  }

  /// The reply to a request, which must be the only one.
  mutating func reply(to message: Message) -> Message {
    let replies = receive(message).filter { $0.destination == .sender }
    #expect(replies.count == 1)
    return replies.first?.message ?? Message(Header(.hello))
  }

  mutating func status(of message: Message) -> Status { reply(to: message).header.status }

  /// Sends a message of the controller; returns the answers.
  @discardableResult
  mutating func control(
    _ operation: Operation, _ key: String? = nil, generation: UInt64, value: [UInt8] = [],
    _ change: (inout Header) -> Void = { _ in }
  ) -> [Message] {
    attempt += 1
    var header = header(operation, generation: generation)
    header.sequence = attempt
    if let key { header.keyHash = Self.hash(key) }
    change(&header)
    let message = Message(header, key: key.map { Array($0.utf8) } ?? [], value: value)
    return receive(message, fromDirectory: true).map(\.message)
  }

  @discardableResult
  mutating func setSlots(
    _ runs: [SlotRun], named: [String] = [], generation: UInt64
  ) -> [Message] {
    control(
      .slotsSet, generation: generation,
      value: SlotsBody(runs: runs, keyHashes: named.map(Self.hash)).encoded())
  }

  @discardableResult
  mutating func fence(_ key: String, _ generation: UInt64) -> [Message] {
    control(.fence, key, generation: generation)
  }

  @discardableResult
  mutating func sync(
    _ key: String, _ generation: UInt64, _ body: SyncBody, version: UInt64 = 0, lost: Bool = false
  ) -> [Message] {
    control(.sync, key, generation: generation, value: body.encoded()) {
      $0.version = version
      if lost { $0.flags.insert(.lost) }
    }
  }

  @discardableResult
  mutating func floor(_ generation: UInt64, named: [String] = []) -> [Message] {
    control(
      .floor, generation: generation,
      value: FloorBody(keyHashes: named.map(Self.hash)).encoded())
  }

  /// A COPY from server 1.
  @discardableResult
  mutating func copy(
    _ key: String, _ value: String?, version: UInt64, generation: UInt64
  ) -> [(message: Message, destination: ServerDestination)] {
    var header = header(.copy, generation: generation, version: version)
    header.keyHash = Self.hash(key)
    header.copyTargets = 0b100
    if value == nil { header.flags.insert(.tombstone) }
    return receive(Message(header, key: Array(key.utf8), value: Array((value ?? "").utf8)))
  }

  func storedVersion(_ key: String) -> UInt64? { core.stored(Array(key.utf8))?.version }
}

/// Rows in memory: what a disk would have, if every change were durable at once.
final class MemoryRows: RowStore {
  var rows: [[UInt8]: [UInt8]] = [:]

  func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    rows[Array(key)] = Array(value)
  }

  func remove(_ key: UnsafeRawBufferPointer) { rows[Array(key)] = nil }

  func removeRange(_ first: UnsafeRawBufferPointer, _ end: UnsafeRawBufferPointer) {
    rows = rows.filter {
      $0.key.lexicographicallyPrecedes(Array(first))
        || !$0.key.lexicographicallyPrecedes(Array(end))
    }
  }
}

/// Seeded random numbers (SplitMix64).
struct Seeded: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }
}
