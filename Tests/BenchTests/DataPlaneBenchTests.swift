import Glibc
import Testing
import Wire

@testable import Bench

@Suite(.enabled(if: geteuid() == 0, "needs root: XDP programs, network namespaces"), .serialized)
struct DataPlaneBenchTests {
  /// Each case's packets are counted by the data plane as what the case is for, or it throws.
  @Test(arguments: [1, 64, 4_096])
  func everyCaseMeasuresWhatItIsNamedFor(keys: Int) throws {
    let costs = try DataPlaneBench(packetsPerRound: 1_000, rounds: 1).run(keys: keys)
    #expect(costs.keys == keys)
    #expect(
      costs.cases.map(\.name) == [
        "empty", "parse_swap", "pass_through", "cold_read", "hot_read", "cold_write", "hot_write",
        "read_reply", "write_reply", "copy_ack",
      ])
    #expect(costs.cases.allSatisfy { $0.nanosecondsPerPacket > 0 })
  }

  @Test func liveFramesArriveThroughTheDataPlaneAndTheBareRedirect() throws {
    let rates = try LiveBench(packetsPerRound: 10_000, rounds: 1, keys: 64).run()
    #expect(rates.rack > 0 && rates.bare > 0)
    #expect(rates.arrivedShare > 0 && rates.arrivedShare <= 1)
    #expect(rates.ratio == rates.rack / rates.bare)
  }

  @Test func aPacketThatTheDataPlaneTakesForAnotherIsNotMeasured() throws {
    let wrong = DataPlaneCase("cold_read", isHot: true) { _ in BenchFrame.request(.get) }
    #expect(throws: DataPlaneBenchError.self) {
      try OwnNamespace.run { _ = try DataPlaneRig(keys: 64).run(wrong, packets: 1_000) }
    }
  }
}

@Suite struct DataPlaneCostTests {
  @Test func theLeastOfAllRoundsCountsAndIsComparedWithBothBaselines() {
    var times = DataPlaneCase.all.indices.map { [Double($0) + 42, Double($0) + 40, 99] }
    times[1] = [50, 45, 45]
    let costs = DataPlaneBench.costs(times, keys: 8)
    #expect(costs.cases[0].nanosecondsPerPacket == 40)
    #expect(costs.cases[0].medianNanoseconds == 42)
    #expect(costs.cases[4].nanosecondsPerPacket == 44)
    #expect(costs.cases[4].overParseSwap == -1)
    #expect(costs.cases[4].overEmpty == 4)
  }
}
