internal import ControllerCore
internal import Wire

/// What happened in simulated racks that has to happen now and then, or the simulation proves
/// little: each is a number of times.
public struct SimulationCoverage: Sendable, Equatable {
  /// Answers of servers and directory by status, indexed by its code.
  private var statuses = [Int](repeating: 0, count: 32)
  var notHolders = 0
  var tombstones = 0
  var storedCopies = 0
  var hotReadsAway = 0
  var pauses = 0
  /// Events of controllers that saw everything on two servers.
  var momentsOnTwo = 0
  var mirrors = 0
  /// By kind, in their order.
  private var worldFaults = [Int](repeating: 0, count: WorldFault.Kind.allCases.count)
  private var losses = 0
  private var promotions = 0
  private var demotions = 0
  private var retargets = 0
  private var rebases = 0
  private var freshVersions = 0
  private var copyOrders = 0
  private var slotMoves = 0
  private var slotMovesGivenUp = 0
  private var slotMessages: UInt64 = 0
  private var drains = 0
  private var unknown = 0
  /// Take-overs in which all servers had a part, and the keys brought home in them.
  private(set) var wholeTakeOvers = 0
  private(set) var keysBroughtHome = 0
  /// Take-overs without servers whose data counted.
  private(set) var poorTakeOvers = 0
  private var adoptions = 0
  private var resumed = 0
  private var away = 0
  private var returned = 0
  var damagedDisks = 0
  var splitChanges = 0

  public init() {}

  /// What happens only where directories are taken over.
  public var takeOvers: [(name: String, count: Int)] {
    [
      ("take-overs of all servers", wholeTakeOvers), ("keys brought home", keysBroughtHome),
      ("take-overs with servers missing", poorTakeOvers),
    ]
  }

  /// Reads that met a server with less than they demanded: none, in a correct rack.
  public var behind: Int { statuses[Int(Status.behind.rawValue)] }

  /// Names with their numbers, always in the same order.
  public var counts: [(name: String, count: Int)] {
    let asked: [Status] = [.frozen, .staleGeneration, .busy, .sessionLost, .finished]
    return asked.map { ("status \($0)", statuses[Int($0.rawValue)]) } + [
      ("replayed results of servers that hold less", notHolders),
      ("tombstones shown", tombstones), ("copies stored", storedCopies),
      ("hot reads away from home", hotReadsAway),
      ("packets that stopped in the middle of a decision", pauses), ("promotions", promotions),
      ("demotions", demotions), ("changes of write targets", retargets), ("rebases", rebases),
      ("fresh versions", freshVersions), ("copy orders", copyOrders),
      ("servers lost", losses), ("writes mirrored", mirrors),
      ("moments with everything on two servers", momentsOnTwo), ("outcomes unknown", unknown),
      ("directories taken over", adoptions), ("transitions found under way", resumed),
      ("servers waited for", away), ("servers back with their state", returned),
      ("damaged disks", damagedDisks),
      ("changes of the directory stopped between two stores", splitChanges),
      ("moves of slots", slotMoves), ("moves of slots given up", slotMovesGivenUp),
      ("messages of moving slots", Int(slotMessages)), ("servers drained", drains),
    ]
      + zip(WorldFault.Kind.allCases, worldFaults).map { ("world fault \($0.rawValue)", $1) }
  }

  public mutating func add(_ other: SimulationCoverage) {
    for index in statuses.indices { statuses[index] += other.statuses[index] }
    for index in worldFaults.indices { worldFaults[index] += other.worldFaults[index] }
    losses += other.losses
    notHolders += other.notHolders
    tombstones += other.tombstones
    storedCopies += other.storedCopies
    hotReadsAway += other.hotReadsAway
    pauses += other.pauses
    mirrors += other.mirrors
    momentsOnTwo += other.momentsOnTwo
    promotions += other.promotions
    demotions += other.demotions
    retargets += other.retargets
    rebases += other.rebases
    freshVersions += other.freshVersions
    copyOrders += other.copyOrders
    slotMoves += other.slotMoves
    slotMovesGivenUp += other.slotMovesGivenUp
    slotMessages += other.slotMessages
    drains += other.drains
    unknown += other.unknown
    wholeTakeOvers += other.wholeTakeOvers
    keysBroughtHome += other.keysBroughtHome
    poorTakeOvers += other.poorTakeOvers
    adoptions += other.adoptions
    resumed += other.resumed
    away += other.away
    returned += other.returned
    damagedDisks += other.damagedDisks
    splitChanges += other.splitChanges
  }

  mutating func count(_ kind: WorldFault.Kind) {
    if let index = WorldFault.Kind.allCases.firstIndex(of: kind) { worldFaults[index] += 1 }
  }

  /// Counts what a server or the directory answered.
  mutating func count(_ header: Header) {
    if header.operation == .copyAck { storedCopies += 1 }
    if header.operation == .mirror { mirrors += 1 }
    guard header.flags.contains(.reply), header.operation.isRequest else { return }
    statuses[Int(header.status.rawValue)] += 1
    if header.flags.contains(.notHolder) { notHolders += 1 }
    if header.flags.contains(.tombstone) { tombstones += 1 }
  }

  mutating func count(_ takeOver: TakeOver) {
    if takeOver.missing.isEmpty { wholeTakeOvers += 1 } else { poorTakeOvers += 1 }
    keysBroughtHome += takeOver.keysRestored
  }

  /// Takes over what a controller has counted, at its end.
  mutating func add(_ totals: ControllerTotals) {
    promotions += totals.promotions
    demotions += totals.demotions
    retargets += totals.retargets
    rebases += totals.rebases
    freshVersions += totals.freshVersions
    copyOrders += totals.copyOrders
    losses += totals.serversLost
    adoptions += totals.adoptions > 0 ? 1 : 0
    resumed += totals.resumed
    away += totals.serversAway
    returned += totals.serversReturned
    slotMoves += totals.slotMoves
    slotMovesGivenUp += totals.slotMovesGivenUp
    slotMessages += totals.slotMessages
    drains += totals.drains
  }

  mutating func finish(unknown: Int) { self.unknown = unknown }
}
