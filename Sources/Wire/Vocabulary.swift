internal import CHotrack

/// What a datagram asks for or answers; a reply carries its request's operation and `.reply`.
/// (`enum hotrack_operation` in `bpf/wire.h`)
public enum Operation: UInt8, Sendable, CaseIterable {
  case get = 1
  case set = 2
  case delete = 3
  /// 4 to 7 are reserved for later; they are answered `unsupported`.
  case cas = 4
  case incr = 5
  case append = 6
  case touch = 7
  /// Answered by the directory itself: its epoch and generation.
  case hello = 8

  case copy = 16
  case copyAck = 17
  case copyOrder = 18
  case slotCopy = 19
  case slotCopyAck = 20
  case mirror = 21
  case mirrorAck = 22

  case fence = 24
  case fenceAck = 25
  case sync = 26
  case syncAck = 27
  case floor = 28
  case floorAck = 29
  case slotsSet = 30
  case slotsAck = 31

  case probe = 32
  case probeAck = 33
  case admit = 34
  case admitAck = 35
  case slotsMove = 36
  case slotsMoveAck = 37
  case learn = 38
  case learnAck = 39
  case renew = 40

  /// A client may ask for it.
  public var isRequest: Bool { rawValue <= Operation.hello.rawValue }
  /// It changes a key and so is given a version.
  public var isWrite: Bool { isRequest && self != .get && self != .hello }
}

/// The outcome of one attempt at a request; it says nothing of other attempts.
/// (`enum hotrack_status` in `bpf/wire.h`)
public enum Status: UInt8, Sendable, CaseIterable {
  case ok = 0
  case notFound = 1
  case tooLarge = 2
  case malformed = 3
  case unsupported = 4
  case wrongHash = 5
  case wrongServer = 6
  case otherKey = 7
  case frozen = 8
  case behind = 9
  case staleGeneration = 10
  case staleEpoch = 11
  case busy = 12
  case finished = 13
  case sessionLost = 14
  case ambiguous = 15
  case lost = 16
}

/// The flags of a datagram (`HOTRACK_FLAG_…` in `bpf/wire.h`).
public struct Flags: OptionSet, Sendable, Hashable {
  public let rawValue: UInt16
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// It answers a request.
  public static let reply = Flags(rawValue: UInt16(HOTRACK_FLAG_REPLY))
  /// It was steered by a directory entry.
  public static let replicated = Flags(rawValue: UInt16(HOTRACK_FLAG_REPLICATED))
  /// It comes down the chain and keeps the head's version.
  public static let forwarded = Flags(rawValue: UInt16(HOTRACK_FLAG_FORWARDED))
  /// Its server stores less than the version it carries.
  public static let notHolder = Flags(rawValue: UInt16(HOTRACK_FLAG_NOT_HOLDER))
  /// This version of the key is a delete.
  public static let tombstone = Flags(rawValue: UInt16(HOTRACK_FLAG_TOMBSTONE))
  /// Not the first attempt; for the reader of a capture.
  public static let retry = Flags(rawValue: UInt16(HOTRACK_FLAG_RETRY))
  /// In SYNC and SLOT_COPY: no living server has the newest value.
  public static let lost = Flags(rawValue: UInt16(HOTRACK_FLAG_LOST))
  /// In MIRROR: the answer goes to the rack, which knows the client by the return address.
  public static let viaRack = Flags(rawValue: UInt16(HOTRACK_FLAG_VIA_RACK))
}

/// Sizes and numbers of the wire format.
public enum WireLimits {
  public static let magic = UInt16(HOTRACK_MAGIC)
  public static let protocolVersion = UInt8(HOTRACK_PROTOCOL)
  /// The UDP port of racks and servers unless told otherwise.
  public static let port = UInt16(HOTRACK_PORT)
  /// The UDP port of a rack's controller on the directory host.
  public static let controlPort = UInt16(HOTRACK_CONTROL_PORT)
  public static let headerLength = Int(HOTRACK_HEADER_LENGTH)
  /// Where in a header its operation stands.
  public static let operationOffset = 3
  /// Where the length of its key stands, two bytes; the value's length follows it.
  public static let keyLengthOffset = 108
  public static let keyLengthMax = Int(HOTRACK_KEY_LENGTH_MAX)
  /// Key and value of one datagram together, in bytes.
  public static let bodyLengthMax = Int(HOTRACK_BODY_LENGTH_MAX)
  public static let datagramLengthMax = headerLength + bodyLengthMax
  public static let serversMax = Int(HOTRACK_SERVERS_MAX)
  public static let slots = Int(HOTRACK_SLOTS)
  /// Sequence numbers that a client may have unfinished at a time.
  public static let outstandingMax = Int(HOTRACK_OUTSTANDING_MAX)
  /// The server field of a datagram that was not steered yet.
  public static let noServer = UInt8(HOTRACK_NO_SERVER)
}

/// A generation: the epoch in the high 16 bits, so that no generation of an earlier epoch is as new;
/// below it the count of the directory's transitions.
public enum Generation {
  private static let epochShift: UInt64 = 48

  /// The generation that an epoch begins with.
  public static func first(ofEpoch epoch: UInt16) -> UInt64 { UInt64(epoch) << epochShift | 1 }
  /// Without the epoch, as people see it.
  public static func count(of generation: UInt64) -> UInt64 {
    generation & (1 << epochShift - 1)
  }
}

/// A version: the epoch in the high 16 bits, a counter in the low 48. Orders all writes of a key.
public enum Version {
  /// The first version of an epoch.
  public static func first(ofEpoch epoch: UInt16) -> UInt64 {
    UInt64(epoch) << UInt64(HOTRACK_VERSION_EPOCH_SHIFT) | 1
  }
  public static func epoch(of version: UInt64) -> UInt16 {
    UInt16(version >> UInt64(HOTRACK_VERSION_EPOCH_SHIFT))
  }
}
