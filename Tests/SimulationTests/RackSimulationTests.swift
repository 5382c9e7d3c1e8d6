import Simulation
import Testing

@Suite struct RackSimulationTests {
  @Test("Racks do right under many seeds, and are big enough for that to mean something")
  func seeds() async {
    var failures: [String] = []
    let totals = await RackSimulation().run(seeds: 1...200, jobs: 2) { result in
      if let failure = result.failure {
        failures.append("seed \(result.seed): \(failure.check.rawValue): \(failure.description)")
      }
      return true
    }
    #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
    #expect(totals.seeds == 200)
    #expect(totals.servers >= 3 * totals.seeds)
    #expect(totals.operations >= 500 * totals.seeds)
    #expect(totals.transitions >= 2 * totals.seeds)
    #expect(totals.coverage.behind == 0, "no read met a server with less than it demanded")
    for (name, count) in totals.coverage.counts {
      #expect(count >= 10, "\(name) hardly ever happened")
    }
  }

  @Test("Racks whose servers die and come back do right too, as far as anybody can know")
  func crashes() async {
    var simulation = RackSimulation()
    simulation.worldFaults = [.crash]
    var failures: [String] = []
    let totals = await simulation.run(seeds: 1...120, jobs: 2) { result in
      if let failure = result.failure {
        failures.append("seed \(result.seed): \(failure.check.rawValue): \(failure.description)")
      }
      return true
    }
    #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
    #expect(totals.crashes > 30)
  }

  @Test("The same seed does the same to the bit, whatever is kept of its trace; others differ")
  func determinism() {
    var simulation = RackSimulation()
    let results = (40...46).map { simulation.run(seed: $0) }
    simulation.detail = .tail(10)
    let again = (40...46).map { simulation.run(seed: $0) }
    #expect(results.map(\.traceHash) == again.map(\.traceHash))
    #expect(results.map(\.events) == again.map(\.events))
    #expect(again.allSatisfy { $0.trace.count == 10 })
    #expect(Set(results.map(\.traceHash)).count == results.count)
  }

  @Test("A failure is the same when its seed is run again, and its trace ends with it")
  func replay() throws {
    var simulation = RackSimulation()
    simulation.faults = [.errorsMove]
    let found = try #require(simulation.seedsUntilFailure(limit: 50))
    simulation.detail = .tail(20)
    let again = simulation.run(seed: found.result.seed)
    #expect(again.failure == found.result.failure)
    #expect(again.traceHash == found.result.traceHash)
    #expect(again.trace.last?.contains("FAILED") == true)
  }

  @Test("Several jobs add up to what one does")
  func jobs() async {
    let simulation = RackSimulation()
    let one = await simulation.run(seeds: 60...69, jobs: 1)
    let three = await simulation.run(seeds: 60...69, jobs: 3)
    #expect(one == three)
  }

  @Test("Stopping early simulates no more than what was under way")
  func stopping() async {
    let totals = await RackSimulation().run(seeds: 1...1_000_000, jobs: 1) { _ in false }
    #expect(totals.seeds <= 4)
  }
}
