import Simulation
import Testing

@Suite struct WorldFaultTests {
  /// What seeds with one kind of world fault do, all of which are right.
  private func totals(
    _ kinds: Set<WorldFault.Kind>, seeds: ClosedRange<UInt64> = 1...60
  ) async -> SimulationTotals {
    var simulation = RackSimulation()
    simulation.worldFaults = kinds
    var failures: [String] = []
    let totals = await simulation.run(seeds: seeds, jobs: 2) { result in
      if let failure = result.failure {
        failures.append("seed \(result.seed): \(failure.check.rawValue): \(failure.description)")
      }
      return true
    }
    #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
    return totals
  }

  @Test("Each kind by itself does its harm, and nothing that clients could see")
  func kinds() async {
    let none = await totals([])
    #expect(none.worldFaults == 0 && none.crashes == 0)
    for kind in WorldFault.Kind.allCases {
      // Only durable servers' disks can be full, and few racks have such servers.
      let isRare = kind == .fullDisk
      let some = isRare ? await totals([kind], seeds: 1...300) : await totals([kind])
      #expect(some.worldFaults > 10, "\(kind)")
      #expect((some.crashes > 0) == (kind == .crash))
      let without = isRare ? await totals([], seeds: 1...300) : none
      #expect(some.events != without.events, "\(kind) changes nothing")
    }
  }

  @Test("A seed draws the same faults every time, and seeds differ")
  func plans() {
    let simulation = RackSimulation()
    let plans = (1...40).map { simulation.scenario(seed: $0).worldFaults }
    #expect(plans == (1...40).map { simulation.scenario(seed: $0).worldFaults })
    #expect(plans.contains { $0.isEmpty })
    #expect(Set(plans.map { "\($0)" }).count > 20)
    for plan in plans {
      #expect(plan.map(\.number) == Array(plan.indices))
      #expect(plan.map(\.after) == plan.map(\.after).sorted())
    }
    #expect(Set(plans.joined().map(\.kind)) == Set(WorldFault.Kind.allCases))
  }

  @Test("A trace says what begins and what ends")
  func traces() {
    var simulation = RackSimulation()
    simulation.detail = .all
    let seed = (1...40).first { simulation.scenario(seed: $0).worldFaults.count > 2 } ?? 1
    let lines = simulation.run(seed: seed).trace
    #expect(lines.contains { $0.contains("world fault 0: ") })
    #expect(lines.contains { $0.contains("world fault 0 ends") })
  }
}
