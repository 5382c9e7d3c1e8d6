public import Wire

/// What a server is told at its start.
public struct ServerConfiguration: Sendable {
  /// Its number in the rack, 0...31.
  public var number: UInt8
  /// Drawn at random at every start, so that nothing meant for an earlier start is taken for it.
  public var incarnation: UInt64
  /// Random bits, for the incarnations that it takes when it has to begin anew while it runs.
  public var renewalSeed: UInt64
  /// The rack's seed of the key hash.
  public var hashSeed: UInt64
  /// Clients whose sessions are remembered; 1...16,777,216.
  public var sessionsMax: Int
  /// Keys for which there is room before the table grows for the first time.
  public var expectedKeys: Int

  public init(
    number: UInt8, incarnation: UInt64, hashSeed: UInt64, sessionsMax: Int = 65_536,
    expectedKeys: Int = 1024, renewalSeed: UInt64 = 0
  ) {
    precondition(Int(number) < WireLimits.serversMax, "a rack has at most 32 servers")
    self.number = number
    self.incarnation = incarnation
    self.hashSeed = hashSeed
    self.sessionsMax = sessionsMax
    self.expectedKeys = expectedKeys
    self.renewalSeed = renewalSeed
  }
}

/// Where a server's datagram goes.
public enum ServerDestination: Sendable, Equatable {
  /// The source of the datagram that is answered.
  case sender
  /// The rack's address: what servers say to each other, and replies that go by way of the rack.
  case directory
  /// Who sent the request to the server that handed it on.
  case origin(RequestOrigin)
}

/// Takes what a server sends.
public protocol ServerOutput {
  /// Sends header, key and value; the header's lengths are those of `key` and `value`, which are
  /// valid only during the call.
  mutating func send(
    _ header: Header, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer,
    to destination: ServerDestination)
}

/// How a datagram is served by a server of emulated capacity.
public enum ServiceClass: Sendable, Equatable {
  /// Without waiting: fences, syncs, probes and all that is malformed.
  case atOnce
  /// A client's request: it waits its turn and takes one service time.
  case request
  /// A copy to store: it takes one service time too, but comes before requests, so that a hot key
  /// is soon spread again; there is no answer if there is no room for it.
  case copy
}

/// The first and only execution of a write at a server.
public struct Execution: Sendable, Hashable {
  public var client: UInt64
  public var sequence: UInt64
  public var keyHash: UInt64
  public var version: UInt64
  /// False: a greater version was stored already, so nothing changed.
  public var wasApplied: Bool
}

/// Deliberate faults of a server, for tests of the tests.
public struct ServerFaults: OptionSet, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// A re-sent result counts its server among the holders though it stores less.
  public static let replayedResultIsHolder = ServerFaults(rawValue: 1 << 0)
  /// A reply's generation is its request's, whatever the key's fence.
  public static let replyGenerationFromRequest = ServerFaults(rawValue: 1 << 1)
  /// No sessions: a retry is executed again.
  public static let noSession = ServerFaults(rawValue: 1 << 2)
  /// The last write to arrive is kept, not the one with the highest version.
  public static let lastArrivalKept = ServerFaults(rawValue: 1 << 3)
  /// Writes and copies from before the key's fence are taken.
  public static let fenceIgnored = ServerFaults(rawValue: 1 << 4)
  /// Unseen writes are taken whatever generation their sender knew.
  public static let knownGenerationIgnored = ServerFaults(rawValue: 1 << 5)
  /// An ordered copy carries the generation of the value's write, not the order's.
  public static let copyCarriesOldGeneration = ServerFaults(rawValue: 1 << 6)
  /// FLOOR makes the server forget without raising its floor.
  public static let floorNotRaised = ServerFaults(rawValue: 1 << 7)
  /// A FLOOR that is not the newest, or older than the key's fence, makes the server forget.
  public static let lateFloorObeyed = ServerFaults(rawValue: 1 << 8)
  /// Datagrams for another incarnation of the server are taken.
  public static let incarnationIgnored = ServerFaults(rawValue: 1 << 9)
  /// Only replies to writes carry the key's fence; those to reads carry their request's generation.
  public static let fenceInWriteRepliesOnly = ServerFaults(rawValue: 1 << 10)
  /// A re-sent result has the version of the retry, not that of the first time.
  public static let replayRestamped = ServerFaults(rawValue: 1 << 11)
  /// Unseen writes from before a loss are taken.
  public static let lossIgnored = ServerFaults(rawValue: 1 << 12)
  /// Unseen writes of clients whose session was evicted are taken.
  public static let evictionIgnored = ServerFaults(rawValue: 1 << 13)
  /// A slot that is given after a loss keeps what is left over there.
  public static let leftoversKept = ServerFaults(rawValue: 1 << 14)
  /// A write is answered before a second server has it.
  public static let mirrorNotAwaited = ServerFaults(rawValue: 1 << 15)
  /// Reads are shown what perhaps no other server has.
  public static let unconfirmedShown = ServerFaults(rawValue: 1 << 16)
  /// The second server of a write does not remember its result.
  public static let mirrorForgetsSession = ServerFaults(rawValue: 1 << 17)
  /// What an earlier epoch's directory has stamped is served after the admission to a new one.
  public static let epochIgnored = ServerFaults(rawValue: 1 << 20)
  /// The same, until the new epoch's directory has given out the slots.
  public static let admittedLate = ServerFaults(rawValue: 1 << 21)
  /// The old home of a slot does not refuse writes from before the move.
  public static let slotFenceIgnored = ServerFaults(rawValue: 1 << 24)
  /// Tombstones stay behind when a slot moves.
  public static let slotTombstonesStay = ServerFaults(rawValue: 1 << 25)
  /// Session entries stay behind when a slot moves.
  public static let slotSessionsStay = ServerFaults(rawValue: 1 << 26)
  /// What is written while a slot is being copied is not copied again.
  public static let slotChangesMissed = ServerFaults(rawValue: 1 << 27)
  /// The old home of a slot goes on as if the slot was its own.
  public static let oldHomeAnswers = ServerFaults(rawValue: 1 << 28)
  /// What is left over of an earlier time is not dropped when a slot comes.
  public static let slotLeftoversKept = ServerFaults(rawValue: 1 << 29)
}
