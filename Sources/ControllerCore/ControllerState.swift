/// What a controller knows, for screens and tests: one moment, in plain values.
public struct ControllerState: Sendable, Equatable, Codable {
  public var epoch: UInt16
  public var generation: UInt64
  /// The rack takes requests.
  public var serving: Bool
  /// How this epoch's directory took over the servers of an earlier one; nil: there was none.
  public var takeOver: TakeOver?
  /// The policy promotes and demotes by itself.
  public var automatic: Bool
  /// Requests per second of all keys, estimated.
  public var rate: Double
  /// One of so many requests is sampled.
  public var sampleInterval: UInt32
  /// Keys whose transition is under way.
  public var inTransition: Int
  /// Servers that an acknowledged write is on, as configured: 1 or 2.
  public var copies: Int
  /// With two copies: all that was acknowledged is on two servers now.
  public var isOnTwo: Bool
  /// Slots are being moved away from lost servers.
  public var movingSlots: Bool
  /// Slots that are on their way from one living server to another; nil: none are.
  public var slotMove: SlotMoveState?
  public var servers: [ServerState]
  /// Hottest first.
  public var keys: [KeyState]
  public var totals: ControllerTotals
}

/// One server, as its controller sees it.
public struct ServerState: Sendable, Equatable, Codable {
  /// What a server is to the rack.
  public enum Phase: String, Sendable, Codable {
    /// It has not answered yet.
    case unknown
    /// It answered, and is being admitted and given its slots.
    case admitting
    case alive
    /// It does not answer or is restarting; its place is kept for it.
    case away
    case lost
    /// It lives, and its slots are on their way to others.
    case draining
    /// It takes no part, on purpose.
    case drained
  }
  /// Where a server keeps its keys.
  public enum Storage: String, Sendable, Codable {
    /// They end with its process.
    case memory
    case durable
    /// Durable, but there is no room left: it takes no writes.
    case full
  }
  public var number: UInt8
  public var phase: Phase
  public var incarnation: UInt64
  /// Slots that it is home of, and that it is to be home of.
  public var slots: Int
  public var slotsGoal: Int
  /// Slots that it is backup of.
  public var backups: Int
  /// The part of a full share of slots that it is to have: 0...1; below 1 it is slow.
  public var weight: Double
  /// Of the latest probes. Nanoseconds.
  public var roundTrip: UInt64
  /// Requests that waited there at the last probe.
  public var load: UInt16
  /// Totals since its start, from the last probe.
  public var keys: UInt64
  public var reads: UInt64
  public var writes: UInt64
  public var copies: UInt64
  public var refused: UInt64
  public var wrongTags: UInt64
  public var storage: Storage
}

/// A move of slots that is under way.
public struct SlotMoveState: Sendable, Equatable, Codable {
  public var from: UInt8
  public var to: UInt8
  public var slots: Int
  /// Messages that the old home has sent so far.
  public var messages: UInt64
}

/// One key with a directory entry.
public struct KeyState: Sendable, Equatable, Codable {
  public enum Mode: String, Sendable, Codable {
    case adding
    case hot
    case removing
  }
  public var keyHash: UInt64
  public var key: [UInt8]
  public var mode: Mode
  public var entry: UInt32
  public var home: UInt8
  /// Numbers of the servers that hold the newest completed version.
  public var replicas: [UInt8]
  public var version: UInt64
  /// Servers that are to hold it.
  public var degree: Int
  /// Servers that each write is copied to.
  public var copies: UInt8
  /// Requests per second, and the part of them that are reads (0...1).
  public var rate: Double
  public var readShare: Double
  /// Of the rack's requests (0...1).
  public var share: Double
}

/// What a controller has done since its start.
public struct ControllerTotals: Sendable, Equatable, Codable {
  public var promotions = 0
  public var demotions = 0
  public var retargets = 0
  public var givenUp = 0
  public var rebases = 0
  public var freshVersions = 0
  public var copyOrders = 0
  public var floors = 0
  public var serversLost = 0
  /// Servers whose data the rack had gone on without, told to begin anew.
  public var serversRenewed = 0
  public var serversAway = 0
  public var serversReturned = 0
  public var keysLost = 0
  public var bans = 0
  /// How often the directory has been taken over by another controller, in its whole time.
  public var adoptions = 0
  /// Transitions that another controller had begun, and this one finished or gave up.
  public var resumed = 0
  public var slotMoves = 0
  public var slotMovesGivenUp = 0
  public var slotsMoved = 0
  /// Moves that gave slots a backup, or another one.
  public var backupMoves = 0
  /// Messages (one for each key, and for each key's sessions) that moving slots took.
  public var slotMessages: UInt64 = 0
  public var drains = 0
  /// How often a server was found slow.
  public var slowServers = 0
  /// Servers that came back with records that they could not read.
  public var serversDamaged = 0
  /// How often a server had no room left on its disk.
  public var fullDisks = 0

  public init() {}
}
