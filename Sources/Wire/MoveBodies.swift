// The messages that move slots from one server to another (docs/protocol.md §8).

/// What a SLOTS_MOVE asks for (`enum hotrack_move_step` in `bpf/wire.h`).
public enum MoveStep: UInt8, Sendable, CaseIterable {
  /// New home: drop what is left over of these slots, then take what the old home sends.
  case receive = 1
  /// Old home: send on.
  case send = 2
  /// Old home: refuse writes of before this generation; send what is left, and the sessions.
  case fence = 3
  /// New home: the slots are yours.
  case take = 4
  /// Old home, or old backup: they are yours no more.
  case leave = 5
  /// Both: as if nothing had been.
  case cancel = 6
  /// Old home, and a backup that is replaced: what you are to these slots from now on.
  case assign = 7
}

/// The value of a SLOTS_MOVE: one step of the move of some slots.
public struct MoveBody: Sendable, Equatable {
  public var step: MoveStep
  /// The other server of the move.
  public var peer: UInt8
  /// So many messages may be sent by this order.
  public var credit: UInt16 = 0
  /// The number of the move: the generation that it began with.
  public var move: UInt64
  /// What was last sent by an order with at most this sequence number is sent again.
  public var resendTo: UInt64 = 0
  /// With `take`: the newest birth of a client whose session the old home has evicted.
  public var evictedBirth: UInt64 = 0
  /// With `take`: unseen writes that were first sent below it are ambiguous; 0: none is.
  public var lossGeneration: UInt64 = 0
  public var runs: [SlotRun]
  /// With `receive`: hashes in these slots that have a directory entry.
  public var keyHashes: [UInt64] = []

  static let prefixLength = 40
  /// Runs that one order may have, beside no hashes.
  public static let runsMax = (WireLimits.bodyLengthMax - prefixLength) / SlotRun.length

  public init(_ step: MoveStep, move: UInt64, peer: UInt8, runs: [SlotRun]) {
    self.step = step
    self.move = move
    self.peer = peer
    self.runs = runs
  }

  /// A move has to fit one datagram: whether so many runs and hashes do.
  public static func fits(runs: Int, keyHashes: Int) -> Bool {
    prefixLength + runs * SlotRun.length + keyHashes * 8 <= WireLimits.bodyLengthMax
  }

  public init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = BodyReader(bytes)
    guard let step = MoveStep(rawValue: try reader.uint8()) else { throw .unknownCode }
    self.step = step
    peer = try reader.uint8()
    guard peer < WireLimits.serversMax else { throw .unknownCode }
    let (runCount, hashCount) = (Int(try reader.uint16()), Int(try reader.uint16()))
    credit = try reader.uint16()
    move = try reader.uint64()
    resendTo = try reader.uint64()
    evictedBirth = try reader.uint64()
    lossGeneration = try reader.uint64()
    guard reader.remaining == runCount * SlotRun.length + hashCount * 8 else {
      throw .contradictoryLengths
    }
    runs = []
    for _ in 0..<runCount { runs.append(try SlotRun(from: &reader)) }
    for _ in 0..<hashCount { keyHashes.append(try reader.uint64()) }
  }

  public func encoded() -> [UInt8] {
    var bytes: [UInt8] = [step.rawValue, peer]
    bytes.append(UInt16(runs.count))
    bytes.append(UInt16(keyHashes.count))
    bytes.append(credit)
    for field in [move, resendTo, evictedBirth, lossGeneration] { bytes.append(field) }
    for run in runs { run.encode(to: &bytes) }
    for hash in keyHashes { bytes.append(hash) }
    return bytes
  }
}

/// The value of a SLOTS_MOVE_ACK: how far a server is.
public struct MoveAckBody: Sendable, Equatable {
  public var move: UInt64
  /// Messages that the new home has acknowledged.
  public var sent: UInt64 = 0
  /// The newest birth of a client whose session was evicted here; 0: none.
  public var evictedBirth: UInt64 = 0
  /// Of the newest loss that this server has forgotten the keys of; 0: none.
  public var lossGeneration: UInt64 = 0
  /// Messages that wait, or that are not acknowledged yet.
  public var waiting: UInt32 = 0
  /// Everything that is stored has been looked at.
  public var isScanned = false
  /// Slots of which values were lost at this server, and when; known once it is fenced.
  public var losses: [SlotRun] = []

  static let prefixLength = 40
  /// Runs of lost slots in one answer.
  public static let lossesMax = (WireLimits.bodyLengthMax - prefixLength) / SlotRun.length

  public init(move: UInt64) { self.move = move }

  public init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = BodyReader(bytes)
    move = try reader.uint64()
    sent = try reader.uint64()
    evictedBirth = try reader.uint64()
    lossGeneration = try reader.uint64()
    waiting = try reader.uint32()
    isScanned = try reader.uint8() == 1
    try reader.skip(3)
    guard reader.remaining % SlotRun.length == 0 else { throw .contradictoryLengths }
    while reader.remaining > 0 { losses.append(try SlotRun(from: &reader)) }
  }

  public func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    for field in [move, sent, evictedBirth, lossGeneration] { bytes.append(field) }
    bytes.append(waiting)
    bytes.append(contentsOf: [isScanned ? 1 : 0, 0, 0, 0])
    for run in losses { run.encode(to: &bytes) }
    return bytes
  }
}

/// The value of a SLOT_COPY without a key: unfinished session entries of one key hash.
public struct SlotSessionsBody: Sendable, Equatable {
  public var entries: [SessionEntry]

  public init(entries: [SessionEntry]) { self.entries = entries }

  /// How many fit in one message.
  public static let capacity = SessionEntry.capacity(keyLength: 0)

  public init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = BodyReader(bytes)
    entries = try SessionEntry.decode(&reader)
  }

  public func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    SessionEntry.encode(entries, to: &bytes)
    return bytes
  }
}
