import Simulation
import Testing

/// Breaks one part of the protocol at a time: what the simulator does not notice, it does not
/// prove either.
@Suite struct MutationTests {
  /// Every fault shows by itself, but for those that another rule covers.
  static let plain = SimulationFault.allCases.filter { $0 != .generationBeforeEntry }

  @Test("A broken protocol is found out within few seeds", arguments: plain)
  func mutationIsFound(_ fault: SimulationFault) throws {
    var simulation = RackSimulation()
    simulation.faults = [fault]
    let found = try #require(
      simulation.seedsUntilFailure(limit: 400), "\(fault.rawValue) was not noticed")
    print("\(fault.rawValue): found by '\(reason(found.result))' after \(found.seeds) seeds")
  }

  @Test(
    "The demand for a version does not carry the proof: without it all is well, with it all is found",
    arguments: [
      SimulationFault.readRepliesIgnored, .retryAnywhere, .errorsMove, .replayIsHolder,
      .requestGeneration,
    ])
  func demandIsNoCrutch(_ fault: SimulationFault) throws {
    for demand in [RackSimulation.Demand.always, .never] {
      var simulation = RackSimulation()
      simulation.demandsVersions = demand
      #expect(simulation.seedsUntilFailure(limit: 30) == nil)
      simulation.faults = [fault]
      #expect(simulation.seedsUntilFailure(limit: 400) != nil, "\(fault) with demand \(demand)")
    }
  }

  /// `requestGeneration` shows to clients too, but in one of thousands of seeds.
  @Test(
    "What clients are told is enough to find a broken protocol",
    arguments: [
      SimulationFault.readRepliesIgnored, .retryAnywhere, .errorsMove, .replayIsHolder,
      .sinceIgnored, .onlyHomeFenced, .noSessionSync, .knownGenerationIgnored,
    ])
  func clientsNotice(_ fault: SimulationFault) throws {
    var simulation = RackSimulation()
    simulation.looksFromOutside = true
    simulation.faults = [fault]
    let found = try #require(simulation.seedsUntilFailure(limit: 400))
    print(
      "\(fault.rawValue), as clients see it: found by '\(reason(found.result))' after "
        + "\(found.seeds) seeds")
  }

  /// A write that is stamped with the new generation and has not seen the entry does harm only
  /// where servers take it: they do not, since its sender cannot have known of that generation.
  /// With that rule off, late duplicates of finished writes do harm too, so they are kept away:
  /// then only the order of generation and entry is left to go wrong.
  @Test("The generation before the entry is found out, once no other rule covers for it")
  func generationBeforeEntry() throws {
    var simulation = RackSimulation()
    simulation.requestsAreDirect = true
    simulation.faults = [.knownGenerationIgnored]
    #expect(simulation.seedsUntilFailure(limit: 400) == nil, "the covering rule by itself")
    simulation.faults = [.generationBeforeEntry]
    #expect(simulation.seedsUntilFailure(limit: 50) == nil, "covered")
    simulation.faults = [.generationBeforeEntry, .knownGenerationIgnored]
    let found = try #require(simulation.seedsUntilFailure(limit: 400))
    print(
      "generation-before-entry (with known-generation-ignored and direct requests): found by "
        + "'\(reason(found.result))' after \(found.seeds) seeds")
  }

  private func reason(_ result: SimulationResult) -> String {
    result.failure?.check.rawValue ?? "nothing"
  }
}
