/// What a simulation of the store asserts.
public enum StoreCheck: String, Sendable, CaseIterable {
  case oneValuePerEntry = "one value per entry"
  case oneValuePerBallot = "one value per ballot"
  case ballotsFall = "ballots fall on a disk"
  case state = "states after one entry differ"
  case exactlyOnce = "exactly once"
  case wrongAnswer = "an answer the log does not explain"
  case order = "real-time order"
  case snapshot = "a snapshot is of one moment"
  case lease = "a lease ended while its holder counted on it"
  case linearizability
  case liveness
}

/// What went wrong, and when.
public struct StoreFailure: Error, Sendable, Equatable {
  public var check: StoreCheck
  public var description: String
  /// Virtual time, nanoseconds.
  public var time: UInt64
}

/// Counts of one seed, or of many.
public struct StoreTotals: Sendable, Equatable {
  public var operations = 0
  /// Operations whose outcome their client does not know.
  public var unknown = 0
  public var events = 0
  public var worldFaults = 0
  public var crashes = 0
  /// Disks that were wiped or damaged.
  public var disksLost = 0
  public var fastRounds = 0
  public var slowRounds = 0
  public var quorumReads = 0
  public var roundReads = 0
  public var localReads = 0
  public var snapshots = 0
  /// Snapshots of whole replicas that were taken to their end.
  public var wholeSnapshots = 0
  public var recovered = 0
  public var sessionsLost = 0
  public var retries = 0
  public var leasesExpired = 0
  public var compactionsSeen = 0

  public init() {}

  /// Names with their numbers, always in the same order.
  public var counts: [(name: String, count: Int)] {
    [
      ("operations", operations), ("unknown", unknown), ("events", events),
      ("world faults", worldFaults), ("crashes", crashes), ("disks lost", disksLost),
      ("entries chosen without phase 1", fastRounds), ("entries chosen with phase 1", slowRounds),
      ("reads by quorum", quorumReads), ("reads by a round", roundReads),
      ("reads from one replica", localReads), ("snapshots installed", snapshots),
      ("snapshots of whole replicas", wholeSnapshots), ("objects recovered", recovered),
      ("sessions lost", sessionsLost),
      ("requests sent again", retries), ("leases expired", leasesExpired),
      ("compactions seen by watchers", compactionsSeen),
    ]
  }

  /// What a seed is judged by: how much was asked, and how much went wrong.
  public var perSeed: [(name: String, count: Int)] {
    [
      ("operations", operations), ("crashes", crashes), ("disks lost", disksLost),
      ("other faults", max(0, worldFaults - crashes)),
      ("snapshots of whole replicas", wholeSnapshots),
    ]
  }

  mutating func add(_ other: StoreTotals) {
    operations += other.operations
    unknown += other.unknown
    events += other.events
    worldFaults += other.worldFaults
    crashes += other.crashes
    disksLost += other.disksLost
    fastRounds += other.fastRounds
    slowRounds += other.slowRounds
    quorumReads += other.quorumReads
    roundReads += other.roundReads
    localReads += other.localReads
    snapshots += other.snapshots
    wholeSnapshots += other.wholeSnapshots
    recovered += other.recovered
    sessionsLost += other.sessionsLost
    retries += other.retries
    leasesExpired += other.leasesExpired
    compactionsSeen += other.compactionsSeen
  }
}

/// What one seed showed.
public struct StoreResult: SeedResult {
  public var seed: UInt64
  public var failure: StoreFailure?
  public var totals = StoreTotals()
  public var traceHash: UInt64 = 0
  /// Virtual time that passed, nanoseconds.
  public var duration: UInt64 = 0
  public var trace: [String] = []

  public init(seed: UInt64) { self.seed = seed }
}
