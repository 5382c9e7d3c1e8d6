/// What an entry of the directory is going through.
public enum EntryMode: UInt32, Sendable {
  /// Being promoted: reads at home, writes frozen.
  case adding = 1
  /// Replicated: reads by the replica set, writes by the request's hash.
  case hot = 2
  /// Being demoted, or its write targets change: reads by the replica set, writes frozen.
  case removing = 3
}

/// Where a server is and which of its starts this is.
public struct ServerPlace: Sendable, Equatable {
  public var incarnation: UInt64
  /// Index of the directory host's interface that leads to it.
  public var interface: UInt32
  /// Its UDP port.
  public var port: UInt16
  /// Its MAC address, 6 bytes.
  public var mac: [UInt8]
  /// Its address: 16 bytes, IPv4 as IPv4-mapped IPv6 (RFC 4291 §2.5.5.2).
  public var address: [UInt8]

  public init(
    incarnation: UInt64, interface: UInt32, port: UInt16, mac: [UInt8], address: [UInt8]
  ) {
    precondition(mac.count == 6 && address.count == 16)
    self.incarnation = incarnation
    self.interface = interface
    self.port = port
    self.mac = mac
    self.address = address
  }
}

/// How the reads of a hot key are spread over the servers that hold it.
public enum ReadChoice: UInt32, Sendable {
  /// The less loaded of two random ones.
  case load = 0
  /// Each in turn, whatever its load: for comparison.
  case roundRobin = 1
}

/// One change of the directory's memory. Each is safe at any moment while packets are handled;
/// their order is the controller's responsibility (docs/protocol.md, "Transitions").
public enum DirectoryChange: Sendable, Equatable {
  /// Once, before the directory serves: epoch, servers (highest number + 1), first version and the
  /// size of the version window (at most 2^30).
  case begin(epoch: UInt16, serverCount: UInt32, nextVersion: UInt64, window: UInt32)
  case setServing(Bool)
  case setGeneration(UInt64)
  /// Bit per living server.
  case setAlive(UInt32)
  /// Bit per server that gets no copies of hot keys, though it lives.
  case setSpared(UInt32)
  /// Bit per server that is drained or being drained: for the controller's successor alone.
  case setDrained(UInt32)
  case setServer(UInt8, ServerPlace)
  /// The interface and the MAC address (6 bytes) by which frames reach a server. One that leaves
  /// meanwhile may be lost, as on a network.
  case relocate(UInt8, interface: UInt32, mac: [UInt8])
  /// `reader` serves cold reads; nil: the home does.
  case setSlots(first: UInt16, count: UInt16, home: UInt8, reader: UInt8? = nil, moving: Bool)
  /// A table of 256 write targets. No entry may be using it.
  case setTargets(table: UInt8, servers: [UInt8])
  /// `home`, here and below: its home server, for those who watch; the memory does not keep it.
  case insert(entry: UInt32, keyHash: UInt64, home: UInt8)
  case makeHot(
    entry: UInt32, completed: UInt64, replicaSet: UInt32, since: UInt64, home: UInt8,
    copies: UInt8, targets: UInt8)
  case setMode(entry: UInt32, EntryMode)
  /// To how many servers each write of the key is copied.
  case setCopies(entry: UInt32, UInt8)
  case remove(entry: UInt32)
  case forgetServer(entry: UInt32, server: UInt8)
  case rebase(entry: UInt32)
  /// One of so many requests is sampled; 0: none.
  case setSampleInterval(UInt32)
  case setReadChoice(ReadChoice)
  case decayLoads
  /// Servers that the memory knows: highest number + 1. Never less than before.
  case setServerCount(UInt32)
  // What a controller writes down for its successor; no packet looks at it.
  /// Before the entry is inserted, with its key; later with the same key.
  case noteEntry(entry: UInt32, EntryNote)
  /// The generation of the newest loss of a server.
  case noteLoss(generation: UInt64)
  /// Since when what slots held is lost.
  case noteSlotLoss(first: UInt16, count: UInt16, generation: UInt64)
  /// Bit per server whose loss is being dealt with.
  case noteLosing(UInt32)
  /// Bit per server that is waited for.
  case noteAway(UInt32)
  /// Bit per server whose state outlives its process.
  case noteDurable(UInt32)
  /// Bit per server that slots move from or to, before it is told so until it knows the end of it.
  case noteMoving(UInt32)
  /// Controllers that have taken the directory over from another one.
  case noteAdoptions(UInt64)
  /// A ban in one of `DirectoryContents.bansMax` places; a key hash of 0: none.
  case noteBan(place: Int, Ban)
}

/// What a controller writes down of an entry.
public struct EntryNote: Sendable, Equatable {
  /// 1 to 250 bytes.
  public var key: [UInt8]
  /// Promoted by command.
  public var isPinned: Bool
  /// The transition that is under way demotes it.
  public var isLeaving: Bool
  /// The newest loss of a server that the servers have heard of by the entry's SYNC.
  public var lossGeneration: UInt64

  public init(
    key: [UInt8], isPinned: Bool = false, isLeaving: Bool = false, lossGeneration: UInt64 = 0
  ) {
    self.key = key
    self.isPinned = isPinned
    self.isLeaving = isLeaving
    self.lossGeneration = lossGeneration
  }
}

/// A key hash that is not promoted for a while.
public struct Ban: Sendable, Equatable {
  /// 0: no ban.
  public var keyHash: UInt64
  /// Nanoseconds of the host's monotonic clock.
  public var until: UInt64

  public init(keyHash: UInt64, until: UInt64) {
    self.keyHash = keyHash
    self.until = until
  }
}

/// What the directory's memory says of one entry at one moment.
public struct EntryReading: Sendable, Equatable {
  public var entry: UInt32
  public var keyHash: UInt64
  public var completed: UInt64
  /// Bit per server that holds the completed version.
  public var replicaSet: UInt32
  /// Completed version minus the start of the entry's version window.
  public var windowOffset: UInt32
  /// Requests since the directory began (exact).
  public var reads: UInt64
  public var writes: UInt64

  public init(
    entry: UInt32, keyHash: UInt64, completed: UInt64, replicaSet: UInt32, windowOffset: UInt32,
    reads: UInt64 = 0, writes: UInt64 = 0
  ) {
    self.entry = entry
    self.keyHash = keyHash
    self.completed = completed
    self.replicaSet = replicaSet
    self.windowOffset = windowOffset
    self.reads = reads
    self.writes = writes
  }
}
