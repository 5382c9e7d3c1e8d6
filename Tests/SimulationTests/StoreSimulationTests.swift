import Simulation
import Testing

@Suite struct StoreSimulationTests {
  @Test func aCorrectStoreIsClean() async {
    let summary = await StoreSimulation().run(seeds: 1...200, jobs: 2)
    #expect(summary.failures == 0, "seeds \(summary.failed)")
    // What the simulation claims to cover has to happen.
    for (name, count) in summary.totals.counts { #expect(count >= 20, "\(name): \(count)") }
    #expect(summary.totals.worldFaults >= summary.seeds)
  }

  @Test func equalSeedsGiveEqualTraces() {
    var simulation = StoreSimulation()
    for seed in 1...10 as ClosedRange<UInt64> {
      simulation.detail = .none
      let quiet = simulation.run(seed: seed)
      simulation.detail = .all
      let loud = simulation.run(seed: seed)
      #expect(quiet.traceHash == loud.traceHash && quiet.totals == loud.totals)
      #expect(loud.trace.count == loud.totals.events)
    }
    #expect(simulation.run(seed: 1).traceHash != simulation.run(seed: 2).traceHash)
  }

  /// No seed in thousands has met these; Tests/PaxosTests plays them, `models/check` finds the first.
  static let directed: Set<StoreFault> = [.voteAtFloor, .livesIgnored]

  @Test(
    "A broken store is found out", arguments: StoreFault.allCases.filter { !directed.contains($0) })
  func mutationIsFound(_ fault: StoreFault) throws {
    var simulation = StoreSimulation()
    simulation.faults = [fault]
    let found = try #require(
      simulation.seedsUntilFailure(limit: 4_000), "\(fault.rawValue) was not noticed")
    let reason = found.result.failure?.check.rawValue ?? "nothing"
    print("\(fault.rawValue): found by '\(reason)' after \(found.seeds) seeds")
  }
}
