import Simulation
import Testing

/// Breaks one part of the protocol at a time: what the simulator does not notice, it does not
/// prove either.
@Suite struct MutationTests {
  /// Every fault shows by itself, but for three that another rule covers, and those that take a state
  /// which few seeds come to (`ControllerCoreTests` has them, and `ServerCoreTests` the leftovers).
  static let plain = SimulationFault.allCases.filter {
    ![
      .generationBeforeEntry, .generationLate, .flaggedPasses,
      .adoptionKeepsGeneration, .adoptionSkipsGrace, .adoptionAssumesTargets,
      .adoptionForgetsAway, .restBelieved, .adoptionForgetsMove, .slotLeftoversKept,
      .slotsNotFrozen, .joinsAtOnce,
    ].contains($0)
  }

  /// They show where there are two copies of everything, the others where a server may be the only one
  /// that has something.
  static let ofTwoCopies: [SimulationFault] = [
    .mirrorNotAwaited, .unconfirmedShown, .mirrorForgetsSession, .syncToHomeOnly,
    .backupBelievedEmpty, .homeAnswersAlone,
  ]

  @Test("A broken protocol is found out within few seeds", arguments: plain)
  func mutationIsFound(_ fault: SimulationFault) throws {
    var simulation = RackSimulation()
    simulation.faults = [fault]
    simulation.copies = Self.ofTwoCopies.contains(fault) ? 2 : 1
    let found = try #require(
      simulation.seedsUntilFailure(limit: 3_000), "\(fault.rawValue) was not noticed")
    print("\(fault.rawValue): found by '\(reason(found.result))' after \(found.seeds) seeds")
  }

  /// With the demand, `replayIsHolder` and `sinceIgnored` do not show to clients in hundreds of
  /// seeds: a server that has less answers `behind`.
  @Test(
    "Without the demand for a version all is well, and what it would cover for shows to clients",
    arguments: [
      SimulationFault.readRepliesIgnored, .retryAnywhere, .errorsMove, .replayIsHolder,
      .sinceIgnored, .lateFloorObeyed,
    ])
  func demandIsNoCrutch(_ fault: SimulationFault) throws {
    var simulation = RackSimulation()
    simulation.demandsVersions = .never
    #expect(simulation.seedsUntilFailure(limit: 30) == nil)
    simulation.looksFromOutside = true
    simulation.faults = [fault]
    #expect(simulation.seedsUntilFailure(limit: 400) != nil, "\(fault)")
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
    simulation.copies = 1
    simulation.faults = [fault]
    let found = try #require(simulation.seedsUntilFailure(limit: 2_000))
    print(
      "\(fault.rawValue), as clients see it: found by '\(reason(found.result))' after "
        + "\(found.seeds) seeds")
  }

  /// A write that is stamped with the new generation and has not seen the entry does harm only
  /// where servers take it: they do not, since its sender cannot have known of that generation.
  /// With that rule off, late duplicates of finished writes do harm too, so they are kept away:
  /// then only the order of generation and entry is left to go wrong.
  /// So it is with a processor that reads the generation after the entry.
  @Test(
    "The wrong order of generation and entry is found out, once no other rule covers for it",
    arguments: [SimulationFault.generationBeforeEntry, .generationLate])
  func generationAndEntry(_ fault: SimulationFault) throws {
    var simulation = RackSimulation()
    simulation.requestsAreDirect = true
    simulation.copies = 1
    simulation.worldFaults = []
    simulation.faults = [.knownGenerationIgnored]
    #expect(simulation.seedsUntilFailure(limit: 400) == nil, "the covering rule by itself")
    simulation.faults = [fault]
    #expect(simulation.seedsUntilFailure(limit: 50) == nil, "covered")
    simulation.faults = [fault, .knownGenerationIgnored]
    let found = try #require(simulation.seedsUntilFailure(limit: 3_000))
    print(
      "\(fault.rawValue) (with known-generation-ignored and direct requests): found by "
        + "'\(reason(found.result))' after \(found.seeds) seeds")
  }

  /// What is not frozen goes on at the old home, which refuses it as soon as it is told to leave.
  @Test func slotsThatAreNotFrozenAreFoundOutIfTheOldHomeIsNotToldToLeave() throws {
    var simulation = RackSimulation()
    simulation.copies = 1
    simulation.faults = [.slotsNotFrozen]
    #expect(simulation.seedsUntilFailure(limit: 100) == nil, "covered")
    simulation.faults = [.slotsNotFrozen, .homeAnswersAlone]
    let found = try #require(simulation.seedsUntilFailure(limit: 3_000))
    print(
      "slots-not-frozen (with home-answers-alone): found by '\(reason(found.result))' after "
        + "\(found.seeds) seeds")
  }

  private func reason(_ result: SimulationResult) -> String {
    result.failure?.check.rawValue ?? "nothing"
  }
}
