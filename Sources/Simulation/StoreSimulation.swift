/// Simulates Paxos stores, one for each seed. Equal seeds and options give equal results, to the
/// bit.
public struct StoreSimulation: SeededSimulation {
  public typealias Totals = StoreSummary

  /// Parts of the store that are broken on purpose.
  public var faults: [StoreFault] = []
  public var detail = SimulationTrace.Detail.none

  public init() {}

  /// Simulates one seed.
  public func run(seed: UInt64) -> StoreResult { run(StoreScenario(seed: seed)) }

  /// Simulates a scenario.
  public func run(_ scenario: StoreScenario) -> StoreResult {
    StoreWorld(scenario, faults: faults, detail: detail).run()
  }
}

/// Sums over seeds.
public struct StoreSummary: SeedTotals, Equatable {
  public var seeds = 0
  public var totals = StoreTotals()
  public var failures = 0
  /// The failed seeds with the least number, a few of them, in order.
  public var failed: [UInt64] = []

  public init() {}

  public mutating func add(_ result: StoreResult) {
    seeds += 1
    totals.add(result.totals)
    guard result.failure != nil else { return }
    failures += 1
    failed = Array((failed + [result.seed]).sorted().prefix(20))
  }
}
