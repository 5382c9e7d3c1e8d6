public import Directory
public import Wire

/// What happens to a controller.
public enum ControllerEvent: Sendable {
  /// Once, first: begins the epoch, sets up an empty directory and looks for the servers.
  case start(now: UInt64)
  /// Once, instead of `start`: goes on with a directory that another controller has left behind, of
  /// the same epoch, that is serving; with what it contains at this moment.
  case adopt(now: UInt64, DirectoryContents)
  /// About every 10 ms. `now`: nanoseconds of a monotonic clock; `entries`: what the directory says
  /// *now* of `ControllerCore.entriesInUse`, with exact counts; `nextVersion`: the rack's counter.
  case tick(now: UInt64, entries: [EntryReading], nextVersion: UInt64)
  /// The data plane saw a request of a client; it stands for `weight` requests.
  case sample(keyHash: UInt64, key: [UInt8], operation: Operation, weight: UInt32)
  /// Every sample that waited was told: about every millisecond while there are many. `now` as in
  /// `tick`.
  case drained(now: UInt64)
  /// An answer of a server; the caller has checked that it came from this server's address.
  case received(Message, server: UInt8)
  /// Every program that ran when the effect `awaitGrace` was applied has finished.
  case graceElapsed(token: UInt64)
  /// The answer to `reserveVersions`.
  case versionsReserved(token: UInt64, first: UInt64)
  /// A server answered `other key` to a steered request: two keys share this hash.
  case otherKeySeen(keyHash: UInt64)
  /// Asked for by a person, a scenario or a test.
  case command(ControllerCommand)
  /// The rack changes, or, if `ControllerCore.refusals` has anything to say of it, does not.
  case reconfigure(RackChange)
  /// Frames for this server leave by this interface, to this MAC address (6 bytes), from now on.
  case relocate(server: UInt8, interface: UInt32, mac: [UInt8])
}

/// What a person, a scenario or a test may ask of a controller.
public enum ControllerCommand: Sendable, Equatable {
  /// Makes a key hot, and keeps it so until it is demoted by command.
  case promote(keyHash: UInt64, key: [UInt8])
  /// Gives a key back to its home server; the policy leaves it there for the minimum stay.
  case demote(keyHash: UInt64)
  /// Gives every key back.
  case demoteAll
  /// Changes a hot key's write targets to what they are: the whole transition, for tests.
  case retarget(keyHash: UInt64)
  /// Raises the floor of all servers as soon as no transition runs.
  case floor
  /// Whether the policy promotes and demotes by itself.
  case setAutomatic(Bool)
  /// Takes a server out of service: its slots move to others, and no hot key needs it any more.
  case drain(UInt8)
  /// Takes a server into service: one that was drained, or is being drained.
  case add(UInt8)
}

/// What a controller wants done. Effects are carried out strictly in the order given.
public enum ControllerEffect: Sendable, Equatable {
  /// Change the directory's memory.
  case publish(DirectoryChange)
  /// Send this message from the rack's control address to the server's address and port.
  case send(Message, to: UInt8)
  /// Answer with `graceElapsed` once every program that now runs in the data plane has finished.
  case awaitGrace(token: UInt64)
  /// Take versions from the rack's counter and answer with `versionsReserved`.
  case reserveVersions(count: Int, token: UInt64)
  /// Something worth telling people.
  case notice(ControllerNotice)
}

/// Why the directory's memory of a key changed, or did not.
public enum TransitionReason: String, Sendable, Codable {
  /// Its rate makes it worth while, or no longer does.
  case policy
  case command
  /// A server was lost or came back.
  case serversChanged = "servers changed"
  /// Its version window would soon end.
  case window
  /// Another key has the same hash.
  case collision
  /// A server did not answer in time.
  case timeout
  /// Its newest value died with a server.
  case valueLost = "value lost"
  /// The directory has no free place for this hash.
  case directoryFull = "directory full"
  /// Banned after a collision.
  case banned
  /// The directory has begun a new epoch.
  case reboot
  /// The controller that had begun it is gone.
  case controllerChanged = "controller changed"
}

/// Kinds of transition.
public enum TransitionKind: String, Sendable, Codable {
  case promote
  case demote
  /// New write targets, or a fresh version, for a key that stays hot.
  case retarget
}

/// What a controller tells people, logs and tests.
public enum ControllerNotice: Sendable, Equatable {
  /// The rack takes requests; `absent` servers did not answer in time.
  case serving(absent: [UInt8])
  /// The rack goes on under this controller: with so many hot keys, of which so many were in the
  /// middle of a transition.
  case adopted(keys: Int, unfinished: Int)
  case serverAdmitted(UInt8, incarnation: UInt64)
  case serverLost(UInt8, incarnation: UInt64)
  /// A server knows a newer epoch than this one; before the rack serves, it never will.
  case serverOfNewerEpoch(UInt8, epoch: UInt16)
  /// A server answers that the rack has gone on without: it is told to begin anew, with nothing.
  case serverRenewed(UInt8, epoch: UInt16)
  /// The servers of earlier epochs were taken over: of so many slots, and of so many keys that may
  /// have been hot, what the missing servers alone held is lost.
  case takenOver(TakeOver)
  /// A durable server does not answer, or has restarted: its place is kept for it for a while.
  case serverAway(UInt8)
  /// It is part of the rack again, with everything that it had.
  case serverBack(UInt8, restarted: Bool)
  /// A durable server returned with state that the rack has done without: it begins empty.
  case serverStateRefused(UInt8)
  /// Records of a returned server are damaged: those without another holder are lost.
  case serverDamaged(UInt8)
  /// The storage of a server is full, or is not any more.
  case serverFull(UInt8, Bool)
  /// Slots have a backup again, or another one; with so many messages.
  case backupFilled(home: UInt8, backup: UInt8, slots: Int, messages: UInt64)
  /// With two copies: whether all that was answered is on two servers.
  case onTwoServers(Bool)
  /// A durable server wants to be part of a rack that keeps two copies.
  case durableRefused(UInt8)
  /// The slots of lost servers have new homes; what they held is lost.
  case slotsMoved(from: [UInt8], lost: Int, lossGeneration: UInt64)
  case finished(TransitionKind, keyHash: UInt64, key: [UInt8], reason: TransitionReason)
  case givenUp(TransitionKind, keyHash: UInt64, key: [UInt8], reason: TransitionReason)
  case keyLost(keyHash: UInt64, key: [UInt8])
  case banned(keyHash: UInt64, until: UInt64)
  /// A collision that is not banned any more, because there were too many.
  case banRefused(keyHash: UInt64)
  case floorRaised(generation: UInt64)
  /// So many slots have another home now; it has got so many messages.
  case slotMoveFinished(from: UInt8, to: UInt8, slots: Int, messages: UInt64)
  case slotMoveGivenUp(from: UInt8, to: UInt8, slots: Int)
  case drainBegun(UInt8)
  /// Nothing depends on the server any more: it may be stopped.
  case drained(UInt8)
  /// The drained server takes part again, or is to as soon as it answers.
  case serverAdded(UInt8)
  /// The rack has a new server; it takes part as soon as it answers, unless it is to be drained.
  case serverEnrolled(UInt8)
  /// A server on which nothing depended is not of the rack any more.
  case serverForgotten(UInt8)
  /// Milliseconds of a probe, waiting requests, and the part of its share of slots that it keeps.
  case serverSlow(UInt8, roundTrip: Int, load: Int, weight: Double)
  case serverRecovered(UInt8, weight: Double)
}

/// What became of a rack's data when a new epoch's directory took over its servers.
public struct TakeOver: Sendable, Equatable, Codable {
  /// Servers that took part with what they had.
  public var servers = 0
  /// Servers, as recorded, that did not answer in the incarnation whose data counted.
  public var missing: [UInt8] = []
  /// Keys that may have been hot, whose home servers have been brought up to date.
  public var keysRestored = 0
  /// Such keys of which a missing server may have had the newest value.
  public var keysLost = 0
  /// Slots whose home server was missing.
  public var slotsLost = 0
  /// From the start of the controller to the rack's taking requests. Nanoseconds.
  public var duration: UInt64 = 0

  public init() {}
}

extension TakeOver: CustomStringConvertible {
  public var description: String {
    var text =
      "took over \(servers) servers of an earlier epoch in \(duration / 1_000_000) ms: "
      + "\(keysRestored) keys that may have been hot brought home"
    if !missing.isEmpty {
      text +=
        "; lost with server \(missing.map(String.init).joined(separator: ", ")): "
        + "\(keysLost) such keys and what was in \(slotsLost) slots"
    }
    return text
  }
}

extension ControllerNotice: CustomStringConvertible {
  public var description: String {
    switch self {
    case .serving(let absent) where absent.isEmpty: "serving with all servers"
    case .serving(let absent):
      "serving without servers \(absent.map(String.init).joined(separator: ", ")): "
        + "they did not answer in time"
    case .adopted(let keys, let unfinished):
      "took over a running directory: \(keys) hot keys, \(unfinished) transitions to finish"
    case .serverAdmitted(let server, _): "server \(server) admitted"
    case .serverLost(let server, _): "server \(server) lost: it stopped answering or restarted"
    case .serverOfNewerEpoch(let server, let epoch):
      "server \(server) knows epoch \(epoch), which is not older than this directory's: another "
        + "directory has taken over the rack, or the state file is not the one it had"
    case .serverRenewed(let server, let epoch):
      "server \(server) answers with data of epoch \(epoch) that the rack has gone on without: it "
        + "begins anew, empty"
    case .takenOver(let takeOver): takeOver.description
    case .serverAway(let server):
      "server \(server) away: its slots wait for it; requests for them are answered busy"
    case .serverBack(let server, let restarted):
      restarted
        ? "server \(server) back after a restart, with its data"
        : "server \(server) back: it answers again"
    case .serverStateRefused(let server):
      "server \(server) returned after it was declared lost: it begins empty "
        + "(it has set what it had aside in its data directory)"
    case .serverDamaged(let server):
      "server \(server) returned with damaged records: keys without another copy are lost"
    case .serverFull(let server, let isFull):
      isFull
        ? "server \(server) has no room left on its disk: it takes no writes until there is some"
        : "server \(server) has room on its disk again"
    case .backupFilled(let home, let backup, let slots, let messages):
      "server \(backup) is backup of \(slots) slots of server \(home), with \(messages) messages"
    case .onTwoServers(let isSo):
      isSo
        ? "everything is on two servers"
        : "not everything is on two servers: what one has alone would be lost with it"
    case .durableRefused(let server):
      "server \(server) keeps its state on a disk, and a rack with two copies takes no such servers: "
        + "start it without a data directory, or set copies = 1"
    case .slotsMoved(let from, let lost, _):
      "the slots of server \(from.map(String.init).joined(separator: ", ")) went to the others; "
        + (lost == 0 ? "nothing is lost" : "what \(lost) of them held is lost")
    case .finished(let kind, _, let key, let reason):
      "\(kind.rawValue) \(printable(key)): \(reason.rawValue)"
    case .givenUp(let kind, _, let key, let reason):
      "\(kind.rawValue) \(printable(key)) given up: \(reason.rawValue)"
    case .keyLost(_, let key): "\(printable(key)) lost: no living server has its newest value"
    case .banned(let keyHash, _):
      "key hash \(hexadecimal(keyHash)) banned for a while: two keys share it"
    case .banRefused(let keyHash):
      "key hash \(hexadecimal(keyHash)) not banned: too many collisions"
    case .slotMoveFinished(let from, let to, let slots, let messages):
      "\(slots) slots moved from server \(from) to server \(to) with \(messages) messages"
    case .slotMoveGivenUp(let from, let to, let slots):
      "the move of \(slots) slots from server \(from) to server \(to) was given up: it is tried again"
    case .drainBegun(let server): "server \(server) is being drained"
    case .drained(let server): "server \(server) is drained: it may be stopped"
    case .serverAdded(let server): "server \(server) is to take part again"
    case .serverEnrolled(let server): "server \(server) is new in the rack"
    case .serverForgotten(let server): "server \(server) is not of the rack any more"
    case .serverSlow(let server, let roundTrip, let load, let weight):
      "server \(server) is slow (probe \(roundTrip) ms, \(load) requests wait): "
        + "it keeps \(Int(weight * 1000) / 10)% of its share of slots, and takes no hot writes"
    case .serverRecovered(let server, let weight):
      "server \(server) is faster again: it is to have \(Int(weight * 1000) / 10)% of its share"
    case .floorRaised(let generation):
      "floor raised to generation \(Generation.count(of: generation))"
    }
  }
}

/// A key as people read it: printable ASCII as it is, everything else as `\xNN`.
public func printable(_ key: [UInt8]) -> String {
  var text = ""
  for byte in key {
    switch byte {
    case UInt8(ascii: "\\"): text += "\\\\"
    case 0x20..<0x7f: text.unicodeScalars.append(Unicode.Scalar(byte))
    default: text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
  }
  return text
}

/// A key hash as people read it: 16 hexadecimal digits.
public func hexadecimal(_ hash: UInt64) -> String {
  let digits = String(hash, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}
