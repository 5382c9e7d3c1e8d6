public import Paxos

/// What one seed of the store simulates. Times in nanoseconds of virtual time.
public struct StoreScenario: Sendable {
  public var seed: UInt64
  /// Replicas, each with the number of its zone.
  public var zones: [UInt16] = [0, 0, 0]
  public var quorums = QuorumSystem.majority
  public var clients = 4
  public var objects = 2
  /// Whether objects come into being one after the other while it runs; else all at once.
  public var isGrowing = false
  /// Keys of each object.
  public var keys = 2
  /// Operations of all clients, besides the last reads.
  public var operations = 200
  /// How likely a client sends its next request to the replica that it used before.
  public var stickiness = 0.9
  public var readShare = 0.4
  public var think: ClosedRange<UInt64> = 0...20_000_000
  public var conditions = LinkConditions(delay: 100_000...2_000_000)
  public var syncDelay: ClosedRange<UInt64> = 100_000...2_000_000
  /// Between two faults of the world.
  public var faultInterval: ClosedRange<UInt64> = 20_000_000...300_000_000
  /// How often each fault is chosen, relative to the others.
  public var weights: [WorldFault: Int] = [:]
  /// A client asks another replica after this.
  public var clientTimeout: UInt64 = 60_000_000
  public var patience: UInt64 = 2_000_000_000
  public var readPatience: UInt64 = 5_000_000
  public var suffixMax = 16
  public var sessionsMax = 64
  public var eventsMax = 256
  /// Clock drift of replicas and clients, parts per million, at most.
  public var driftPPM: Int64 = 0
  /// How likely a change of an object is followed by storing it, so that its log is cut.
  public var storing = 0.1

  /// Between two snapshots of a whole replica; nil: none are taken.
  public var snapshotInterval: ClosedRange<UInt64>?

  /// What happens to replicas and links.
  public enum WorldFault: Int, Sendable, CaseIterable {
    /// A replica dies; what was not synced is lost, from some record on.
    case crash
    /// ... and its disk is replaced by an empty one.
    case wipe
    /// ... and a record of its log that was synced turns out damaged.
    case damage
    /// A replica stands still while its clock goes on.
    case pause
    /// Some replicas hear nothing of the others.
    case partition
    /// One replica is not heard.
    case mute
  }

  /// The scenario of a seed: every seed another one.
  public init(seed: UInt64) {
    self.seed = seed
    var random = SimulationRandom(seed: seed, stream: 101)
    pickCell(&random)
    clients = random.integer(in: 2...5)
    objects = random.integer(in: 1...3)
    keys = random.integer(in: 1...3)
    operations = random.integer(in: 180...220)
    stickiness = random.element(of: [0.2, 0.8, 0.97, 1])
    readShare = random.element(of: [0.2, 0.4, 0.7])
    think = 0...random.element(of: [1_000_000, 10_000_000, 60_000_000])
    conditions = LinkConditions(
      delay: 100_000...random.element(of: [300_000, 2_000_000, 10_000_000]))
    conditions.loss = random.element(of: [0, 0.02, 0.15])
    conditions.duplication = random.element(of: [0, 0.05, 0.2])
    conditions.holding = random.element(of: [0, 0.02, 0.1])
    conditions.hold = 1_000_000...random.element(of: [20_000_000, 200_000_000])
    syncDelay = 50_000...random.element(of: [200_000, 3_000_000, 20_000_000])
    faultInterval = 5_000_000...random.element(of: [60_000_000, 200_000_000, 600_000_000])
    for fault in WorldFault.allCases where random.chance(0.6) {
      weights[fault] = random.integer(in: 1...4)
    }
    clientTimeout = random.element(of: [15_000_000, 60_000_000])
    patience = random.element(of: [30_000_000, 300_000_000, 2_000_000_000])
    readPatience = random.element(of: [0, 5_000_000, 30_000_000])
    suffixMax = random.element(of: [0, 2, 16])
    if random.chance(0.25) { sessionsMax = random.integer(in: 2...4) }
    if random.chance(0.3) { eventsMax = random.integer(in: 2...12) }
    driftPPM = random.element(of: [0, 500, 2000])
    storing = random.element(of: [0, 0.05, 0.3])
    // Of its own, so that what is added here leaves the rest as it was.
    var later = SimulationRandom(seed: seed, stream: 104)
    if later.chance(0.4) {
      isGrowing = true
      objects = later.integer(in: 3...8)
    } else if later.chance(0.2) {
      // Everybody wants the same object, at replicas that die all the time.
      (objects, keys, stickiness, readShare) = (1, 1, 0.2, 0.2)
      think = 0...1_000_000
      faultInterval = 5_000_000...60_000_000
      weights = [.crash: 4, .mute: 1, .partition: 1]
    }
    if later.chance(0.5) { snapshotInterval = 20_000_000...400_000_000 }
  }

  private mutating func pickCell(_ random: inout SimulationRandom) {
    switch random.integer(in: 0...9) {
    case 0...3: zones = [0, 0, 0]
    case 4...6: zones = [0, 0, 0, 0, 0]
    case 7:
      // Phase 2 stays in one zone.
      zones = [0, 0, 0, 1, 1, 1]
      quorums = .grid(nodeFailures: 1, zoneFailures: 0)
    case 8:
      zones = [0, 0, 1, 1, 2, 2]
      quorums = .grid(nodeFailures: 0, zoneFailures: 1)
    default:
      // Two votes choose, four of five promise.
      zones = [0, 0, 0, 0, 0]
      let nodes = (0..<5).map { NodeID($0) }
      func sets(of size: Int) -> [[NodeID]] {
        (0..<32).filter { $0.nonzeroBitCount == size }.map { bits in
          nodes.filter { bits >> Int($0.rawValue) & 1 == 1 }
        }
      }
      quorums = .sets(phase1: sets(of: 4), phase2: sets(of: 2))
    }
  }
}
