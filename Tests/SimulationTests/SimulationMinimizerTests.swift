import Simulation
import Testing

@Suite struct SimulationMinimizerTests {
  @Test("A failing seed becomes smaller, and still fails in the same way, replayed from its limits")
  func minimizing() throws {
    var simulation = RackSimulation()
    simulation.faults = [.errorsMove]
    let found = try #require(simulation.seedsUntilFailure(limit: 50))
    let seed = found.result.seed
    var minimizer = try #require(SimulationMinimizer(seed: seed, of: simulation, runsMax: 400))
    var told = 0
    minimizer.minimize { _ in told += 1 }
    #expect(told == minimizer.runs && minimizer.runs <= 400)
    let (before, after) = (
      simulation.scenario(seed: seed), minimizer.simulation.scenario(seed: seed)
    )
    #expect(after.operations < before.operations / 2)
    #expect(after.clients <= before.clients && after.servers <= before.servers)
    #expect(after.worldFaults.count <= before.worldFaults.count)
    #expect(!minimizer.simulation.limits.without.isEmpty)

    simulation.limits = minimizer.simulation.limits
    let again = simulation.run(seed: seed)
    #expect(again.failure?.check == found.result.failure?.check)
    #expect(again.failure == minimizer.result.failure)
    #expect(again.traceHash == minimizer.result.traceHash)
  }

  @Test("What does not fail cannot be minimized")
  func noFailure() {
    #expect(SimulationMinimizer(seed: 1, of: RackSimulation()) == nil)
  }

  @Test("Limits make a scenario smaller, never larger", arguments: 1...20 as ClosedRange<UInt64>)
  func limits(_ seed: UInt64) {
    var simulation = RackSimulation()
    let whole = simulation.scenario(seed: seed)
    simulation.limits.operations = 10_000
    simulation.limits.servers = 32
    #expect(simulation.scenario(seed: seed) == whole)
    simulation.limits.operations = 40
    simulation.limits.servers = 2
    simulation.limits.clients = 1
    simulation.limits.commands = 0
    simulation.limits.worldFaults = [1]
    simulation.limits.without = ScenarioPart.allCases
    let small = simulation.scenario(seed: seed)
    #expect(small.operations == 40 && small.servers == 2 && small.clients == 1)
    #expect(small.worldFaults == whole.worldFaults.filter { $0.number == 1 })
    #expect(small.conditions.isQuiet && small.pausing == 0 && !small.isAutomatic)
    let result = simulation.run(seed: seed)
    #expect(result.failure == nil)
    #expect(result.transitions == 0)
  }
}
