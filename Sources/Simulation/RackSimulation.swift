/// Simulates racks, one for each seed. Equal seeds and options give equal results, to the bit.
public struct RackSimulation: SeededSimulation {
  public typealias Totals = SimulationTotals

  /// Parts of the protocol that are broken on purpose.
  public var faults: [SimulationFault] = []
  public var detail = SimulationTrace.Detail.none
  /// Whether reads carry the version that they demand; without it nothing covers for a wrong
  /// steering, so mutations show sooner and the proof leans on less.
  public var demandsVersions: Demand = .bySeed

  /// Servers that an acknowledged write has to be on, 1 or 2; nil: as the seed says.
  public var copies: Int?

  /// See `RackScenario.requestsAreDirect`.
  public var requestsAreDirect = false

  /// Only what clients were told is checked, not the state of directory and servers.
  public var looksFromOutside = false
  /// What may go wrong in the world, where a seed says so.
  public var worldFaults = Set(WorldFault.Kind.allCases)
  /// What every seed's scenario is cut down to.
  public var limits = ScenarioLimits()

  /// When reads demand a version.
  public enum Demand: String, Sendable, CaseIterable {
    case always, never
    case bySeed = "by-seed"
  }

  public init() {}

  /// Simulates one seed.
  public func run(seed: UInt64) -> SimulationResult { run(scenario(seed: seed)) }

  /// What a seed simulates.
  public func scenario(seed: UInt64) -> RackScenario {
    var scenario = RackScenario(seed: seed)
    switch demandsVersions {
    case .always: scenario.demandsVersions = true
    case .never: scenario.demandsVersions = false
    case .bySeed: break
    }
    if let copies { scenario.copies = copies }
    // A read's demand is how a server knows what another one has.
    if scenario.copies > 1 {
      if demandsVersions == .never { scenario.copies = 1 } else { scenario.demandsVersions = true }
    }
    // Durable servers take no part in racks with two copies.
    if scenario.copies > 1 { scenario.isDurable = false }
    scenario.worldFaults.removeAll { !worldFaults.contains($0.kind) }
    // Only who dies can tell whether its state outlives it.
    if worldFaults.isDisjoint(with: [.crash, .fullDisk]) { scenario.isDurable = false }
    scenario.looksFromOutside = looksFromOutside
    scenario.requestsAreDirect = requestsAreDirect
    // A request that stops for long in the directory is as late as a late duplicate.
    if requestsAreDirect { scenario.pause = 1_000...20_000 }
    limits.apply(to: &scenario)
    return scenario
  }

  /// Simulates a scenario.
  public func run(_ scenario: RackScenario) -> SimulationResult {
    RackWorld(scenario, faults: SimulationFaults(faults), detail: detail).run()
  }
}

/// Sums over seeds.
public struct SimulationTotals: SeedTotals, Equatable {
  public var seeds = 0
  public var operations = 0
  public var servers = 0
  public var transitions = 0
  public var floors = 0
  public var worldFaults = 0
  public var crashes = 0
  public var reboots = 0
  public var controllerCrashes = 0
  public var unknown = 0
  public var events = 0
  public var coverage = SimulationCoverage()
  /// The failed seeds with the least number, a few of them, in order.
  public var failed: [UInt64] = []
  public var failures = 0
  public static let failedMax = 20

  public init() {}

  public mutating func add(_ result: SimulationResult) {
    seeds += 1
    operations += result.operations
    servers += result.servers
    transitions += result.transitions
    floors += result.floors
    worldFaults += result.worldFaults
    crashes += result.crashes
    reboots += result.reboots
    controllerCrashes += result.controllerCrashes
    unknown += result.unknown
    events += result.events
    coverage.add(result.coverage)
    guard result.failure != nil else { return }
    failures += 1
    let place = failed.firstIndex { $0 > result.seed } ?? failed.count
    failed.insert(result.seed, at: place)
    if failed.count > Self.failedMax { failed.removeLast() }
  }
}
