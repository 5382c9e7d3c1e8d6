/// Simulates Paxos stores, one for each seed. Equal seeds and options give equal results, to the
/// bit.
public struct StoreSimulation: Sendable {
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

  /// Simulates seeds in order until one fails, at most `limit`. Returns how many it took, and the
  /// failure; nil: none failed.
  public func seedsUntilFailure(
    from first: UInt64 = 1, limit: Int
  ) -> (seeds: Int, result: StoreResult)? {
    for count in 0..<limit {
      let result = run(seed: first + UInt64(count))
      if result.failure != nil { return (count + 1, result) }
    }
    return nil
  }

  /// Simulates many seeds, `jobs` at a time. `progress` gets each result as it comes, in no
  /// particular order, one at a time; it returns false to stop.
  public func run(
    seeds: ClosedRange<UInt64>, jobs: Int, progress: (StoreResult) -> Bool = { _ in true }
  ) async -> StoreSummary {
    let batch: UInt64 = 4
    return await withTaskGroup(of: [StoreResult].self) { group in
      var next = seeds.lowerBound
      var left = seeds.upperBound - seeds.lowerBound + 1
      var summary = StoreSummary()
      func addBatch() {
        guard left > 0 else { return }
        let (first, count) = (next, min(batch, left))
        next += count
        left -= count
        group.addTask { (first..<first + count).map { self.run(seed: $0) } }
      }
      for _ in 0..<max(1, jobs) { addBatch() }
      while let results = await group.next() {
        for result in results {
          summary.add(result)
          if !progress(result) { left = 0 }
        }
        addBatch()
      }
      return summary
    }
  }
}

/// Sums over seeds.
public struct StoreSummary: Sendable, Equatable {
  public var seeds = 0
  public var totals = StoreTotals()
  public var failures = 0
  /// The failed seeds with the least number, a few of them, in order.
  public var failed: [UInt64] = []

  public init() {}

  mutating func add(_ result: StoreResult) {
    seeds += 1
    totals.add(result.totals)
    guard result.failure != nil else { return }
    failures += 1
    failed = Array((failed + [result.seed]).sorted().prefix(20))
  }
}
