public import Directory
internal import Wire

/// What a controller is told at its start. Times are in nanoseconds.
public struct ControllerConfiguration: Sendable {
  /// Of this incarnation of the directory; never used before.
  public var epoch: UInt16
  /// The first version that a write gets.
  public var firstVersion: UInt64
  /// The servers of the rack by number (0...31); their `incarnation` is not used.
  public var servers: [UInt8: ServerPlace]
  /// Servers that the rack file calls drained: they take no part until they are added.
  public var drained: Set<UInt8> = []
  /// What commands have said since (`ControllerCore.serviceOrders` as last recorded).
  public var serviceOrders: [ServiceOrder] = []
  /// Servers that an acknowledged write is on: 1 or 2.
  public var copies = 1
  /// Versions that a state word can count: 16...2^30; small ones are for tests.
  public var window: UInt32
  /// Places in the directory: a power of two, four times its buckets.
  public var capacity: Int
  /// Of the jitter of the policy's intervals.
  public var seed: UInt64
  public var policy = PolicyConfiguration()
  public var times = ControllerTimes()
  /// Whose data counted in the epochs before (`ControllerCore.members` as last recorded); empty: not
  /// known, or there was none.
  public var members: [RackMember] = []

  /// A configuration with the usual policy and times.
  public init(
    epoch: UInt16, servers: [UInt8: ServerPlace], window: UInt32 = 1 << 30, capacity: Int = 16384,
    seed: UInt64 = 1
  ) {
    precondition(!servers.isEmpty && servers.keys.allSatisfy { $0 < WireLimits.serversMax })
    precondition(window >= 16 && window <= 1 << 30)
    self.epoch = epoch
    self.firstVersion = Version.first(ofEpoch: epoch)
    self.servers = servers
    self.window = window
    self.capacity = capacity
    self.seed = seed
  }
}

/// A server in the start of it whose data counts.
public struct RackMember: Sendable, Hashable {
  public var server: UInt8
  /// 0: it was lost, and whatever comes back in its place has nothing that counts.
  public var incarnation: UInt64

  public init(server: UInt8, incarnation: UInt64) {
    self.server = server
    self.incarnation = incarnation
  }
}

/// The last command about a server's service, whatever the rack file says of it.
public struct ServiceOrder: Sendable, Hashable {
  public var server: UInt8
  public var isDrained: Bool

  public init(server: UInt8, isDrained: Bool) {
    self.server = server
    self.isDrained = isDrained
  }
}

/// How long a controller waits for what. Nanoseconds.
public struct ControllerTimes: Sendable, Equatable {
  /// Until an unanswered message is sent again.
  public var resend: UInt64 = 20_000_000
  /// Until a transition is given up, counted from its first message.
  public var transition: UInt64 = 400_000_000
  /// Until a transition that has to be done is tried again after it was given up.
  public var again: UInt64 = 200_000_000
  /// Between two probes of a server.
  public var probe: UInt64 = 100_000_000
  /// Until a server that does not answer counts as lost; one whose state outlives its process, as
  /// away.
  public var serverTimeout: UInt64 = 2_000_000_000
  /// Until a server that is away counts as lost, counted from its last answer.
  public var serverReturn: UInt64 = 30_000_000_000
  /// Until the rack serves without the servers that have not answered yet: what they alone hold of
  /// an earlier epoch is lost then.
  public var start: UInt64 = 10_000_000_000
  /// Between two floors; 0: only by command.
  public var floor: UInt64 = 5_000_000_000
  /// From a floor's generation until the servers are told of it: longer than requests wait there.
  public var floorDelay: UInt64 = 500_000_000
  /// Until the slots of a move that stand still are given back to their old home.
  public var slotFreeze: UInt64 = 400_000_000
  /// From a server's coming, or from a move that was given up, until slots are divided anew.
  public var rebalance: UInt64 = 2_000_000_000
  /// Between two copy orders for one key.
  public var copyOrder: UInt64 = 20_000_000
  /// How long a key hash with a collision is not promoted again.
  public var ban: UInt64 = 600_000_000_000

  public init() {}
}

/// Which keys become hot, and how many servers hold them. A share is relative to what one server
/// would carry if all requests were spread evenly ("the fair share").
public struct PolicyConfiguration: Sendable, Equatable {
  /// Whether the policy promotes and demotes by itself.
  public var automatic = true
  /// Keys that are hot at the same time, at most.
  public var hotKeysMax = 512
  /// A key with this share or more is promoted...
  public var promoteShare = 0.01
  /// ...and a hot key with this share or less is demoted.
  public var demoteShare = 0.003
  /// A key with this share or more of the last 100 ms is promoted at once.
  public var urgentShare = 0.015
  /// Keys with fewer requests per second are not promoted whatever their share.
  public var minimumRate = 20.0
  /// A key stays hot at least so long, and after a demotion cold. Nanoseconds.
  public var minimumStay: UInt64 = 3_000_000_000
  /// Between two rounds of decisions, before jitter of up to a half. Nanoseconds.
  public var interval: UInt64 = 20_000_000
  /// Promotions and demotions by policy: on average per second, and at once.
  public var movesPerSecond = 100.0
  public var movesBurst = 128.0
  /// Copies of each newest version, beside the server that has it, at most.
  public var copiesMax = 31
  /// How reads of hot keys are spread over the servers that hold them.
  public var readChoice = ReadChoice.load
  /// Keys that share one batch of transitions, at most; of them, keys that only leave to make room.
  public var batchKeys = 32
  public var batchDemotions = 8
  /// Whether slots move to servers that have fewer than their share, such as those that came back.
  public var rebalances = true
  /// Keys that move from server to server per second, at most: it costs them time.
  public var movedKeysPerSecond = 50_000.0
  /// Keys that one move is to have, and slots at most. Their writes wait while the last of them go.
  public var movedKeys = 20_000
  public var movedSlotsMax = 256
  /// When load moves away from a server that is slow.
  public var slow = SlowPolicy()
  /// Samples per second that the data plane is asked for, at most.
  public var samplesPerSecond = 100_000.0
  /// Keys whose rate is estimated at the same time: bounds the memory.
  public var watchedKeys = 2048
  /// Bans of key hashes in force at the same time, at most.
  public var bansMax = 64

  public init() {}
}

/// When a server counts as slow, and when no more. What it is compared with is the median of the
/// other living servers, so that a rack that is busy everywhere has no slow server.
public struct SlowPolicy: Sendable, Equatable {
  /// Off, and with `PolicyConfiguration.automatic` off, no server counts as slow.
  public var isOn = true
  /// Round trip of a probe from which a server is slow, in nanoseconds; and how many times that of
  /// the others it has to be.
  public var roundTrip: UInt64 = 100_000_000
  /// Waiting requests from which a server is slow; and how many times those of the others.
  public var load = 100.0
  public var ratio = 4.0
  /// So long without a break until it counts, and until its share is halved again.
  public var after: UInt64 = 2_000_000_000
  /// So long below half of the limits until its share doubles; twice as long after each relapse, up
  /// to 16 times.
  public var recovery: UInt64 = 10_000_000_000

  public init() {}
}

/// Deliberate faults of the controller, for tests of the tests.
public struct ControllerFaults: OptionSet, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The new generation is published before the frozen entry.
  public static let generationBeforeEntry = ControllerFaults(rawValue: 1)
  /// Only the home server is fenced.
  public static let onlyHomeFenced = ControllerFaults(rawValue: 2)
  /// SYNC carries no session entries.
  public static let noSessionSync = ControllerFaults(rawValue: 4)
  /// Write targets are changed by a plain store, without a transition.
  public static let plainTargetChange = ControllerFaults(rawValue: 8)
  /// The generation does not rise a second time when a transition ends.
  public static let noSecondGeneration = ControllerFaults(rawValue: 16)
  /// The entry becomes hot before the servers have acknowledged SYNC.
  public static let hotBeforeSync = ControllerFaults(rawValue: 32)
  /// A returned server counts as alive without a grace period.
  public static let joinsAtOnce = ControllerFaults(rawValue: 64)
  /// A server that has started again is believed to hold what it held before.
  public static let returningServerBelieved = ControllerFaults(rawValue: 128)
  /// An absent key is promoted with the epoch's first version, not with a fresh one.
  public static let absenceIsOldest = ControllerFaults(rawValue: 256)
  /// A key whose value was lost is promoted as if it had none.
  public static let lostKeyPromoted = ControllerFaults(rawValue: 512)
  /// A transition brings the newest value to the home server only, whatever the number of copies.
  public static let syncToHomeOnly = ControllerFaults(rawValue: 1 << 10)
  /// A new backup is believed to have everything before anything was sent to it.
  public static let backupBelievedEmpty = ControllerFaults(rawValue: 1 << 11)
  /// Slots have a new backup, and their home is not told.
  public static let homeAnswersAlone = ControllerFaults(rawValue: 1 << 12)
  /// After a reboot the keys that were hot are forgotten.
  public static let rebootForgets = ControllerFaults(rawValue: 1 << 16)
  /// After a reboot the home servers are not brought up to date.
  public static let homeLeftBehind = ControllerFaults(rawValue: 1 << 17)
  /// After a reboot the home servers are not told of the session entries of others.
  public static let rebootWithoutSessions = ControllerFaults(rawValue: 1 << 18)
  /// After a reboot what a missing server alone may have held does not count as lost.
  public static let rebootBelievesTheRest = ControllerFaults(rawValue: 1 << 19)
  /// Adoption does not raise the generation.
  public static let adoptionKeepsGeneration = ControllerFaults(rawValue: 1 << 24)
  /// Adoption does not look at entries that are in the middle of a transition.
  public static let adoptionForgetsUnfinished = ControllerFaults(rawValue: 1 << 25)
  /// Adoption does not look which tables of write targets are in use.
  public static let adoptionAssumesTargets = ControllerFaults(rawValue: 1 << 26)
  /// Adoption uses at once what the other controller has freed.
  public static let adoptionSkipsGrace = ControllerFaults(rawValue: 1 << 28)
  /// Adoption does not go on with the recovery from lost servers, and knows of no loss.
  public static let adoptionForgetsLoss = ControllerFaults(rawValue: 1 << 29)
  /// Adoption does not go on waiting for servers that are away.
  public static let adoptionForgetsAway = ControllerFaults(rawValue: 1 << 30)
  /// Adoption leaves slots that were being moved as they are.
  public static let adoptionForgetsMove = ControllerFaults(rawValue: 1 << 31)
  /// Writes of slots that move are not frozen.
  public static let slotsNotFrozen = ControllerFaults(rawValue: 1 << 27)
}
