public import Configuration
internal import LoadGenerator
internal import Testbed
public import Workload

/// How a rack deals with hot keys.
public enum RackPolicy: String, Sendable, CaseIterable, Codable {
  /// Plain hashing: every key stays at its home server.
  case home
  /// The directory as it is.
  case replicated
  /// The directory, but reads of a hot key are spread in turn, whatever the servers' load is.
  case roundRobin = "round-robin"
  /// The directory, but of no version a copy is made.
  case noCopies = "no-copies"
  /// The directory as it is, on a host beside clients and servers.
  case oneArm = "one-arm"
  /// The directory as it is, and every acknowledged write is on two servers.
  case twoCopies = "two-copies"

  /// What the controller is told.
  var settings: PolicySettings {
    var settings = PolicySettings()
    switch self {
    case .home: settings.promotion = false
    case .replicated, .oneArm, .twoCopies: break
    case .roundRobin: settings.choice = .roundRobin
    case .noCopies: settings.copiesMax = 0
    }
    return settings
  }
}

/// What load to find the limit of, on which rack. Times are in seconds.
public struct RackPlan: Sendable {
  /// Servers of the rack, 1 ... 32.
  public var servers = 32
  /// Operations per second that each server emulates.
  public var capacity = 1_000
  /// Different keys.
  public var keys = 1_000_000
  /// Whether the directory host is between clients and servers or beside them.
  public var mode = DirectoryMode.switch
  /// Servers that an acknowledged write is on: 1 or 2.
  public var copies = 1
  /// Skew of their popularity, after Zipf; 0: uniform.
  public var alpha = 1.2
  /// What is done to keys.
  public var mix = OperationMix.readsOnly
  /// Bytes of a key; as few more as the largest number needs.
  public var keyLength = 9
  /// Bytes of values.
  public var valueLengths = ValueLengths.fixed(64)
  /// Of the published workload that the above is taken from, with what is otherwise than there;
  /// nil: it is taken from none.
  public var profile: WorkloadProfile?
  public var policies: [RackPolicy] = [.home, .replicated]

  /// The p99 latency must not be above it. Microseconds.
  public var p99Limit = 50_000.0
  /// Of all operations, so many may be beyond the limit: answered later, refused as busy, lost,
  /// failed.
  public var beyondLimitMax = 0.001
  /// Operations that are answered, but late, count as beyond the limit; otherwise p99 alone bounds
  /// them.
  public var countsLate = true

  /// Measured at the load that is reported.
  public var seconds = 20.0
  /// The same load before.
  public var warmUp = 5.0
  /// Measured at loads on the way there.
  public var probeSeconds = 4.0
  /// The same load before.
  public var probeWarmUp = 3.0
  /// The search ends when the load found and one that is too much differ by this share.
  public var resolution = 0.01

  /// Of this many most popular keys a value is written first.
  public var fill = 20_000
  /// Of arrivals, keys and kinds: the same for all policies.
  public var seed: UInt64 = 1
  /// Of the key hash: it decides which server is home of which key.
  public var hashSeed: UInt64 = 7

  public init() {}

  /// Takes over what is known of a published workload. Its skew only if it has one; its keys are as
  /// popular wherever they lie (`KeySpace.Order.scattered`).
  public mutating func use(_ profile: WorkloadProfile) {
    if let alpha = profile.alpha { self.alpha = alpha }
    mix = profile.mix
    keyLength = profile.keyLength
    valueLengths = profile.valueLengths
    self.profile = profile
  }

  static let keySeed: UInt64 = 1

  /// What all servers can do together, in operations per second.
  public var summedCapacity: Double { Double(servers * capacity) }

  public var popularity: ZipfDistribution { ZipfDistribution(count: keys, alpha: alpha) }

  private var keySpace: KeySpace {
    KeySpace(count: keys, digits: keyLength - 1, seed: Self.keySeed)
  }

  func placement() -> HomePlacement {
    HomePlacement(
      popularity: popularity, keys: keySpace, hashSeed: hashSeed, servers: servers)
  }

  /// The rack to build for a policy.
  func testbed(_ policy: RackPolicy, name: String) -> TestbedFile {
    var file = TestbedFile(name: name, servers: servers, clients: 1)
    file.capacity = capacity
    file.mode = policy == .oneArm ? .oneArm : mode
    file.copies = policy == .twoCopies ? 2 : copies
    // A process for each server would cost a small machine three times as much.
    file.oneProcess = true
    file.hashSeed = hashSeed
    file.policy = policy.settings
    return file
  }

  /// The load, at a rate; from the client's namespace.
  func load(_ rate: Double, on bed: Testbed, warmUp: Double, seconds: Double) -> LoadConfiguration {
    var load = LoadConfiguration(
      rack: TestbedLayout.rackEndpoint, keyCount: keys, alpha: alpha, keySeed: Self.keySeed)
    load.namespace = bed.clientNamespace
    load.hashSeed = hashSeed
    load.rate = rate
    load.warmUp = UInt64(warmUp * 1e9)
    load.duration = UInt64(seconds * 1e9)
    load.keys = keySpace
    load.mix = mix
    load.valueLengths = valueLengths
    load.seed = seed
    load.limit = UInt64(p99Limit * 1e3)
    load.progressInterval = 250_000_000
    // A machine that adds half of a tight limit by itself spoils it just as much.
    load.latenessMax = min(load.latenessMax, load.limit / 2)
    return load
  }

  /// Whether a rack that has shown this carries the load.
  func holds(_ report: LoadReport) -> Bool {
    guard let p99 = report.p99Microseconds, p99 <= p99Limit else { return false }
    let bad = countsLate ? report.beyondLimitShare : report.unansweredShare
    // The second demand is for a rack that answers later and later.
    return bad <= beyondLimitMax
      && Double(report.completed) >= 0.995 * Double(report.offered)
  }
}

extension LoadReport {
  /// Refused, lost, failed or not sent, of all operations.
  var unansweredShare: Double {
    let count = busy + timedOut + failed + notSent
    return offered > 0 ? Double(count) / Double(offered) : 0
  }
}
