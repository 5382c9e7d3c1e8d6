// What follows the key in the messages between the directory, its controller and the servers.

/// One result that a server keeps for a client, as it travels in FENCE_ACK and SYNC.
public struct SessionEntry: Sendable, Hashable {
  public var client: UInt64
  public var sequence: UInt64
  /// The version of the first and only execution.
  public var version: UInt64
  public var operation: Operation
  public var status: Status

  public init(
    client: UInt64, sequence: UInt64, version: UInt64, operation: Operation, status: Status
  ) {
    self.client = client
    self.sequence = sequence
    self.version = version
    self.operation = operation
    self.status = status
  }

  static let length = 32

  /// How many fit behind a key of `keyLength` bytes and `taken` more.
  public static func capacity(keyLength: Int, taken: Int = 0) -> Int {
    (WireLimits.bodyLengthMax - keyLength - taken) / length
  }

  static func encode(_ entries: some Sequence<SessionEntry>, to bytes: inout [UInt8]) {
    for entry in entries {
      bytes.append(entry.client)
      bytes.append(entry.sequence)
      bytes.append(entry.version)
      bytes.append(entry.operation.rawValue)
      bytes.append(entry.status.rawValue)
      bytes.append(contentsOf: [0, 0, 0, 0, 0, 0])
    }
  }

  static func decode(_ reader: inout BodyReader) throws(WireError) -> [SessionEntry] {
    guard reader.remaining % length == 0 else { throw .contradictoryLengths }
    var entries: [SessionEntry] = []
    while reader.remaining > 0 {
      let (client, sequence, version) = (
        try reader.uint64(), try reader.uint64(), try reader.uint64()
      )
      guard let operation = Operation(rawValue: try reader.uint8()),
        let status = Status(rawValue: try reader.uint8())
      else { throw .unknownCode }
      try reader.skip(6)
      entries.append(
        SessionEntry(
          client: client, sequence: sequence, version: version, operation: operation,
          status: status))
    }
    return entries
  }
}

/// The value of a FENCE_ACK: the unfinished session entries for the key, in numbered parts.
public struct FenceAckBody: Sendable, Equatable {
  /// The newest birth of a client whose session was evicted; 0: none ever was.
  public var evictedBirth: UInt64
  /// The generation stamped on what stored the value; 0: nothing is stored.
  public var storedGeneration: UInt64
  /// If this is the home server: values that others have stored under older generations are left
  /// over from a time before.
  public var countsFrom: UInt64
  public var entries: [SessionEntry]

  static let prefixLength = 24

  public init(
    evictedBirth: UInt64 = 0, storedGeneration: UInt64 = 0, countsFrom: UInt64 = 0,
    entries: [SessionEntry]
  ) {
    self.evictedBirth = evictedBirth
    self.storedGeneration = storedGeneration
    self.countsFrom = countsFrom
    self.entries = entries
  }

  /// How many entries fit in one part.
  public static func capacity(keyLength: Int) -> Int {
    SessionEntry.capacity(keyLength: keyLength, taken: prefixLength)
  }

  public init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = BodyReader(bytes)
    evictedBirth = try reader.uint64()
    storedGeneration = try reader.uint64()
    countsFrom = try reader.uint64()
    entries = try SessionEntry.decode(&reader)
  }

  public func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    for field in [evictedBirth, storedGeneration, countsFrom] { bytes.append(field) }
    SessionEntry.encode(entries, to: &bytes)
    return bytes
  }
}

/// The value of a SYNC.
public struct SyncBody: Sendable, Equatable {
  /// The version that the home server gives to its value; 0: it keeps its own.
  public var freshVersion: UInt64
  /// Unseen writes of this key that were first sent below it are ambiguous; 0: nothing was lost.
  public var lossGeneration: UInt64
  /// The newest birth of a client whose session any server evicted; 0: none ever was.
  public var evictedBirth: UInt64
  public var entries: [SessionEntry]

  static let prefixLength = 24

  public init(
    freshVersion: UInt64 = 0, lossGeneration: UInt64 = 0, evictedBirth: UInt64 = 0,
    entries: [SessionEntry]
  ) {
    self.freshVersion = freshVersion
    self.lossGeneration = lossGeneration
    self.evictedBirth = evictedBirth
    self.entries = entries
  }

  /// How many entries fit in one part.
  public static func capacity(keyLength: Int) -> Int {
    SessionEntry.capacity(keyLength: keyLength, taken: prefixLength)
  }

  public init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = BodyReader(bytes)
    freshVersion = try reader.uint64()
    lossGeneration = try reader.uint64()
    evictedBirth = try reader.uint64()
    entries = try SessionEntry.decode(&reader)
  }

  public func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(freshVersion)
    bytes.append(lossGeneration)
    bytes.append(evictedBirth)
    SessionEntry.encode(entries, to: &bytes)
    return bytes
  }
}

/// The value of a FLOOR: the key hashes that had an entry in any mode when it was made.
public struct FloorBody: Sendable, Equatable {
  public var keyHashes: [UInt64]
  public init(keyHashes: [UInt64]) { self.keyHashes = keyHashes }

  /// How many fit in one part.
  public static let capacity = WireLimits.bodyLengthMax / 8

  public init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = BodyReader(bytes)
    keyHashes = []
    while reader.remaining > 0 { keyHashes.append(try reader.uint64()) }
  }

  public func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    for hash in keyHashes { bytes.append(hash) }
    return bytes
  }
}

/// What a server is to a slot (`enum hotrack_slot_role` in `bpf/wire.h`).
public enum SlotRole: UInt8, Sendable {
  /// It executes writes, and serves reads if the slot has no backup.
  case home = 0
  /// It takes what the home has executed, and serves reads.
  case backup = 1
  /// In SLOTS_MOVE's `assign` only: it was one of them, and keeps what it stores until it is told that
  /// nobody needs it any more.
  case leaving = 2
}

/// A row of slots that a server is home or backup of.
public struct SlotRun: Sendable, Equatable {
  public var first: UInt16
  public var count: UInt16
  public var role = SlotRole.home
  /// If the server is home: the number of the backup; nil: there is none.
  public var backup: UInt8?
  /// The generation in which what these slots held was lost; 0: never.
  public var lossGeneration: UInt64

  public init(
    first: UInt16, count: UInt16, lossGeneration: UInt64 = 0, role: SlotRole = .home,
    backup: UInt8? = nil
  ) {
    self.first = first
    self.count = count
    self.lossGeneration = lossGeneration
    self.role = role
    self.backup = backup
  }

  /// All slots of the other run are in this one.
  public func contains(_ other: SlotRun) -> Bool {
    first <= other.first
      && Int(other.first) + Int(other.count) <= Int(first) + Int(count)
  }
  /// The numbers of the slots.
  public var slots: Range<Int> { Int(first)..<Int(first) + Int(count) }

  static let length = 16

  init(from reader: inout BodyReader) throws(WireError) {
    (first, count) = (try reader.uint16(), try reader.uint16())
    guard let role = SlotRole(rawValue: try reader.uint8()) else { throw .unknownCode }
    self.role = role
    let backup = try reader.uint8()
    guard backup <= WireLimits.serversMax else { throw .unknownCode }
    self.backup = backup == 0 ? nil : backup - 1
    try reader.skip(2)
    lossGeneration = try reader.uint64()
    guard Int(first) + Int(count) <= WireLimits.slots else { throw .contradictoryLengths }
  }

  func encode(to bytes: inout [UInt8]) {
    bytes.append(first)
    bytes.append(count)
    bytes.append(contentsOf: [role.rawValue, backup.map { $0 + 1 } ?? 0, 0, 0])
    bytes.append(lossGeneration)
  }
}

/// The value of a SLOTS_SET: all slots that the server is home or backup of from now on, and the key
/// hashes that have a directory entry (their values are kept when a lost slot is taken over).
public struct SlotsBody: Sendable, Equatable {
  public var runs: [SlotRun]
  public var keyHashes: [UInt64]
  /// Servers that a hot key's write has to be on before it is answered: 1 or 2.
  public var copies: UInt16
  /// Servers that everything is to be on in this rack, also while there are too few: 1 or 2.
  public var rackCopies: UInt16

  public init(
    runs: [SlotRun], keyHashes: [UInt64], copies: UInt16 = 1, rackCopies: UInt16 = 1
  ) {
    self.runs = runs
    self.keyHashes = keyHashes
    self.copies = copies
    self.rackCopies = rackCopies
  }

  static let prefixLength = 8

  /// Cuts the whole into parts that fit a datagram each; at least one.
  public static func parts(
    runs: [SlotRun], keyHashes: [UInt64], copies: UInt16 = 1, rackCopies: UInt16 = 1
  ) -> [SlotsBody] {
    let room = WireLimits.bodyLengthMax - prefixLength
    var parts: [SlotsBody] = []
    var part = SlotsBody(runs: [], keyHashes: [], copies: copies, rackCopies: rackCopies)
    var used = 0
    func close(for length: Int) {
      guard used + length > room else { return }
      parts.append(part)
      part = SlotsBody(runs: [], keyHashes: [], copies: copies, rackCopies: rackCopies)
      used = 0
    }
    for run in runs {
      close(for: SlotRun.length)
      part.runs.append(run)
      used += SlotRun.length
    }
    for hash in keyHashes {
      close(for: 8)
      part.keyHashes.append(hash)
      used += 8
    }
    parts.append(part)
    return parts
  }

  public init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = BodyReader(bytes)
    let (runCount, hashCount) = (Int(try reader.uint16()), Int(try reader.uint16()))
    copies = try reader.uint16()
    rackCopies = try reader.uint16()
    guard reader.remaining == runCount * SlotRun.length + hashCount * 8 else {
      throw .contradictoryLengths
    }
    runs = []
    keyHashes = []
    for _ in 0..<runCount { runs.append(try SlotRun(from: &reader)) }
    for _ in 0..<hashCount { keyHashes.append(try reader.uint64()) }
  }

  public func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(UInt16(runs.count))
    bytes.append(UInt16(keyHashes.count))
    bytes.append(copies)
    bytes.append(rackCopies)
    for run in runs { run.encode(to: &bytes) }
    for hash in keyHashes { bytes.append(hash) }
    return bytes
  }
}

/// The value of a PROBE_ACK: totals since the server's start, and what it has to say of its storage.
public struct ProbeBody: Sendable, Equatable {
  /// What holds of a server's storage.
  public struct Conditions: OptionSet, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Its state outlives its process.
    public static let durable = Conditions(rawValue: 1)
    /// There is little or no room left: it takes no writes and no copies.
    public static let full = Conditions(rawValue: 2)
    /// Records of what it has recovered are damaged.
    public static let damaged = Conditions(rawValue: 4)
  }

  public var keys: UInt64 = 0
  public var reads: UInt64 = 0
  public var writes: UInt64 = 0
  public var copiesStored: UInt64 = 0
  /// Requests answered with anything but ok and not found.
  public var refused: UInt64 = 0
  /// The incarnation whose state the server has recovered and waits to be admitted with; the answer's
  /// epoch and generation are then that state's. 0: none, or it was admitted.
  public var recovered: UInt64 = 0
  public var conditions: Conditions = []
  /// Datagrams that it has dropped because they lacked the rack's tag.
  public var wrongTags: UInt64 = 0

  public init() {}

  public init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = BodyReader(bytes)
    keys = try reader.uint64()
    reads = try reader.uint64()
    writes = try reader.uint64()
    copiesStored = try reader.uint64()
    refused = try reader.uint64()
    recovered = try reader.uint64()
    conditions = Conditions(rawValue: try reader.uint64())
    // Only servers with a key have any to tell of.
    if reader.remaining >= 8 { wrongTags = try reader.uint64() }
  }

  public func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    for total in [keys, reads, writes, copiesStored, refused, recovered, conditions.rawValue] {
      bytes.append(total)
    }
    if wrongTags > 0 { bytes.append(wrongTags) }
    return bytes
  }
}

extension [UInt8] {
  /// Appends an integer in network byte order.
  mutating func append<Value: FixedWidthInteger>(_ value: Value) {
    Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
  }
}

/// Reads integers in network byte order; never past the end.
struct BodyReader {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var remaining: Int { bytes.count - position }

  mutating func uint8() throws(WireError) -> UInt8 { try integer() }
  mutating func uint16() throws(WireError) -> UInt16 { try integer() }
  mutating func uint32() throws(WireError) -> UInt32 { try integer() }
  mutating func uint64() throws(WireError) -> UInt64 { try integer() }

  mutating func bytes(_ count: Int) throws(WireError) -> [UInt8] {
    guard remaining >= count else { throw .truncated(length: bytes.count) }
    defer { position += count }
    return Array(bytes[position..<position + count])
  }

  mutating func skip(_ count: Int) throws(WireError) {
    guard remaining >= count else { throw .truncated(length: bytes.count) }
    position += count
  }

  private mutating func integer<Value: FixedWidthInteger>() throws(WireError) -> Value {
    let size = MemoryLayout<Value>.size
    guard remaining >= size else { throw .truncated(length: bytes.count) }
    var value: Value = 0
    for byte in bytes[position..<position + size] { value = value << 8 | Value(byte) }
    position += size
    return value
  }
}
