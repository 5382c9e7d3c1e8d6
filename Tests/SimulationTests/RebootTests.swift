import Simulation
import Testing

@Suite("The directory's host loses its memory") struct RebootTests {
  @Test("Racks do right, and lose nothing that servers still have", arguments: [false, true])
  func seeds(withEverything: Bool) async {
    var simulation = RackSimulation()
    if !withEverything { simulation.worldFaults = [.reboot] }
    var failures: [String] = []
    let totals = await simulation.run(seeds: 1...200, jobs: 2) { result in
      if let failure = result.failure {
        failures.append("seed \(result.seed): \(failure.check.rawValue): \(failure.description)")
      }
      return true
    }
    #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
    #expect(totals.reboots > 100)
    #expect(totals.coverage.behind == 0, "no read met a server with less than it demanded")
    for (name, count) in totals.coverage.takeOvers
    where withEverything || !name.contains("missing") {
      #expect(count >= (name.contains("missing") ? 1 : 10), "\(name) hardly ever happened")
    }
  }
}
