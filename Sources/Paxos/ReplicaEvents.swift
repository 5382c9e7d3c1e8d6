public import StoreState

/// Names a request between a replica and whoever runs it.
public struct RequestID: Hashable, Sendable {
  public var rawValue: UInt64
  public init(_ number: UInt64) { rawValue = number }
}

/// How fresh the answer to a read has to be.
public enum ReadMode: Sendable, Hashable {
  /// Everything that was answered before the read began.
  case linearizable
  /// Everything that was answered longer ago than so many nanoseconds.
  case boundedStale(UInt64)
  /// Whatever this replica has; etcd's word.
  case serializable
}

/// How a request ended.
public enum Outcome: Sendable, Equatable {
  /// The command was applied in this entry.
  case response(Response, entry: UInt64)
  /// A read of the state after this entry.
  case answer(Answer, entry: UInt64)
  /// It may have been applied, or may yet be, or never.
  case unknown
  /// It was not applied, and never will be from this attempt. A read could not be answered.
  case unavailable
}

/// What a replica wants done.
public enum ReplicaEffect: Sendable, Equatable {
  /// Write this record after those before it; `synced(through:)` tells when it is durable.
  case append(LogRecord, position: UInt64)
  case send(Message, to: NodeID)
  case reply(RequestID, Outcome)
  /// The state of an object has moved on by one entry. For watchers, lease clocks and tests.
  case learned(ObjectID, entry: UInt64, Value)
  /// The state of an object was replaced by a snapshot, as of this entry.
  case installed(ObjectID, entry: UInt64)
  /// This replica and another have different states after the same entry: one of them is damaged.
  case diverged(ObjectID, entry: UInt64, NodeID)
}

/// Counts since the start.
public struct ReplicaCounts: Sendable, Equatable {
  /// Entries that this replica's own rounds have chosen, without and with phase 1.
  public var fastRounds = 0
  public var slowRounds = 0
  /// Phase 1 that were begun.
  public var phase1 = 0
  /// Reads answered after asking a quorum; after a round of their own; from this replica alone.
  public var quorumReads = 0
  public var roundReads = 0
  public var localReads = 0
  public var snapshotsInstalled = 0
  public var refusals = 0
  /// Objects whose loss was made good.
  public var recovered = 0
  /// States that were compared with another replica's after the same entry, and were equal; the
  /// others are told as `.diverged`.
  public var compared = 0
}

/// What the parts of a replica share: who it is, what time it is, and where effects go.
struct ReplicaContext: Sendable {
  let configuration: ReplicaConfiguration
  let myself: Proposer
  let place: Int
  /// See `Message.life`.
  let life: UInt64
  /// The latest life of each member that this replica has heard from; what is of an earlier one is
  /// not taken.
  var lives: [UInt64]
  var now: UInt64 = 0
  var effects: [ReplicaEffect] = []
  var counts = ReplicaCounts()
  /// Messages to itself, in order.
  var local: [Message] = []
  private var random: SplitMix
  private var numbers: UInt64 = 0
  private(set) var position: UInt64 = 0
  private var durable: UInt64 = 0
  private var held: [Held] = []
  private var heldHead = 0

  /// Waits for all records up to its position.
  private struct Held: Sendable {
    var position: UInt64
    var message: Message
    var to: NodeID
  }

  init(
    _ configuration: ReplicaConfiguration, incarnation: UInt64, place: Int, randomSeed: UInt64,
    life: UInt64
  ) {
    self.configuration = configuration
    myself = Proposer(node: configuration.node, incarnation: incarnation)
    self.place = place
    self.life = life
    lives = Array(repeating: 0, count: configuration.cell.members.count)
    random = SplitMix(state: randomSeed)
  }

  var cell: Cell { configuration.cell }
  var faults: PaxosFaults { configuration.faults }

  mutating func append(_ record: LogRecord) {
    position += 1
    effects.append(.append(record, position: position))
  }

  /// Sends at once: for what rests on nothing that could be lost.
  mutating func send(_ message: Message, to node: NodeID) {
    if node == myself.node {
      local.append(message)
    } else {
      var message = message
      message.life = life
      effects.append(.send(message, to: node))
    }
  }

  mutating func broadcast(_ message: Message) {
    for member in cell.members { send(message, to: member.node) }
  }

  /// Sends when all that was appended so far is durable: for everything that tells of votes.
  mutating func answer(_ message: Message, to node: NodeID) {
    if position <= durable || faults.contains(.answerBeforeSync) {
      send(message, to: node)
    } else {
      held.append(Held(position: position, message: message, to: node))
    }
  }

  var awaitedPosition: UInt64? { heldHead < held.count ? held.last?.position : nil }

  mutating func synced(through position: UInt64) {
    durable = max(durable, position)
    while heldHead < held.count, held[heldHead].position <= durable {
      send(held[heldHead].message, to: held[heldHead].to)
      heldHead += 1
    }
    if heldHead == held.count {
      held.removeAll(keepingCapacity: true)
      heldHead = 0
    }
  }

  mutating func reply(_ request: RequestID, _ outcome: Outcome) {
    effects.append(.reply(request, outcome))
  }

  mutating func nextValueID() -> ValueID {
    numbers += 1
    return ValueID(proposer: myself, number: numbers)
  }

  mutating func nextAttempt() -> Attempt {
    numbers += 1
    return Attempt(proposer: myself, number: numbers)
  }

  /// A time to wait after so many failures in a row.
  mutating func backoff(failures: Int) -> UInt64 {
    let longest = min(
      configuration.backoff << UInt64(min(failures, 16)), configuration.backoffMax)
    return longest / 2 + random.next() % (longest / 2 + 1)
  }
}

/// Steele, Lea and Flood: Fast splittable pseudorandom number generators (OOPSLA 2014).
struct SplitMix: Sendable {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
