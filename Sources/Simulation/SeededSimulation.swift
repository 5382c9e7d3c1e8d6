/// What is known of a seed that was simulated.
public protocol SeedResult: Sendable {
  associatedtype Failure
  /// nil: nothing went wrong.
  var failure: Failure? { get }
}

/// Sums over seeds.
public protocol SeedTotals: Sendable {
  associatedtype Result: SeedResult
  init()
  mutating func add(_ result: Result)
}

/// Something of which each seed is a run of its own. Equal seeds and options give equal results, to
/// the bit.
public protocol SeededSimulation: Sendable {
  associatedtype Totals: SeedTotals
  /// Simulates one seed.
  func run(seed: UInt64) -> Totals.Result
}

extension SeededSimulation {
  /// Simulates seeds in order until one fails, at most `limit`. Returns how many it took, and the
  /// failure; nil: none failed.
  public func seedsUntilFailure(
    from first: UInt64 = 1, limit: Int
  ) -> (seeds: Int, result: Totals.Result)? {
    for count in 0..<limit {
      let result = run(seed: first + UInt64(count))
      if result.failure != nil { return (count + 1, result) }
    }
    return nil
  }

  /// Simulates many seeds, `jobs` at a time. `progress` gets each result as it comes, in no
  /// particular order, one at a time; it returns false to stop.
  public func run(
    seeds: ClosedRange<UInt64>, jobs: Int, progress: (Totals.Result) -> Bool = { _ in true }
  ) async -> Totals {
    let batch: UInt64 = 4
    return await withTaskGroup(of: [Totals.Result].self) { group in
      var next = seeds.lowerBound
      var left = seeds.upperBound - seeds.lowerBound + 1
      var totals = Totals()
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
          totals.add(result)
          if !progress(result) { left = 0 }
        }
        addBatch()
      }
      return totals
    }
  }
}
