import Directory
import Wire

/// Keys in each state that a key can be in. The hash is chosen for its slot and its place.
struct TestKey: Sendable {
  let name: String
  let hash: UInt64
  let entry: UInt32
  var mode: EntryMode?
  var replicaSet: UInt32 = 0
  var copies: UInt8 = 0
  var targets: UInt8 = 0

  static let all = [
    cold, coldHomeDead, moving, adding, hot, removing, hotSpread, hotEmpty, hotOnlyDead,
    hotTargetsDead, hotCopies, hotMoving, hotWide,
  ]

  /// No entry; its home is server 1.
  static let cold = TestKey(home: 1, number: 0)
  static let coldHomeDead = TestKey(home: 4, number: 1)
  /// No entry; its slot is on the move.
  static let moving = TestKey(home: 6, number: 2)
  static let adding = TestKey(home: 0, number: 3, mode: .adding)
  /// Replicated at server 2 alone.
  static let hot = TestKey(home: 0, number: 4, mode: .hot, replicaSet: 0b100)
  static let removing = TestKey(home: 0, number: 5, mode: .removing, replicaSet: 0b1000)
  static let hotSpread = TestKey(home: 0, number: 6, mode: .hot, replicaSet: 0b101111)
  static let hotEmpty = TestKey(home: 0, number: 7, mode: .hot)
  static let hotOnlyDead = TestKey(home: 0, number: 8, mode: .hot, replicaSet: 0b10000)
  static let hotTargetsDead = TestKey(home: 0, number: 9, mode: .hot, replicaSet: 1, targets: 1)
  static let hotCopies = TestKey(home: 0, number: 10, mode: .hot, replicaSet: 1, copies: 3)
  /// Copied to so many that a copy goes where it is told to go.
  static let hotWide = TestKey(home: 0, number: 12, mode: .hot, replicaSet: 0b100, copies: 4)
  static let hotMoving = TestKey(home: 6, number: 11, mode: .hot, replicaSet: 0b10)

  init(
    home: UInt64, number: UInt64, mode: EntryMode? = nil, replicaSet: UInt32 = 0,
    copies: UInt8 = 0, targets: UInt8 = 0
  ) {
    name = "key-\(number)"
    hash = (home * 2_048 + number) << 50 | number
    entry = UInt32(number) * 4
    self.mode = mode
    self.replicaSet = replicaSet
    self.copies = copies
    self.targets = targets
  }

  var bytes: [UInt8] { Array(name.utf8) }

  func enter(_ memory: DirectoryMemory) {
    guard let mode else { return }
    memory.apply(.insert(entry: entry, keyHash: hash, home: 0))
    guard mode != .adding else { return }
    memory.apply(
      .makeHot(
        entry: entry, completed: Rig.completed, replicaSet: replicaSet, since: Rig.since, home: 0,
        copies: copies, targets: targets))
    memory.apply(.setMode(entry: entry, mode))
  }

  /// A client's request for the key.
  func request(
    _ operation: Wire.Operation, sequence: UInt64 = 5, value: [UInt8] = [],
    _ change: (inout Header) -> Void = { _ in }
  ) -> Message {
    var header = Header(operation)
    header.keyHash = hash
    header.client = 0x1234_5678_9abc
    header.sequence = sequence
    header.acknowledged = sequence
    header.firstGeneration = 3
    header.knownGeneration = 4
    change(&header)
    return Message(header, key: bytes, value: operation == .set && value.isEmpty ? [7] : value)
  }

  /// What a server says about the key: a reply, COPY, COPY_ACK or an answer to the controller.
  func from(
    _ server: UInt8, _ operation: Wire.Operation, _ status: Status = .ok, version: UInt64,
    value: [UInt8] = [], _ change: (inout Header) -> Void = { _ in }
  ) -> Message {
    var header = request(operation).header
    header.flags = operation.isRequest ? [.reply] : []
    header.status = status
    header.server = server
    header.incarnation = 1_000 + UInt64(server)
    header.epoch = 1
    header.generation = Rig.generation
    header.version = version
    header.load = 3
    change(&header)
    return Message(
      header, key: operation.isRequest ? [] : bytes, value: value)
  }
}
