import Foundation
import Testing
import Workload

@testable import Bench
@testable import LoadGenerator

@Suite struct RackResultTests {
  private static func probe(_ rate: Double, servers: [Double], valid: Bool = true) -> RackProbe {
    let report = LoadReport(
      duration: 20, offeredPerSecond: rate, completedPerSecond: rate, offered: UInt64(rate * 20),
      completed: UInt64(rate * 20), busy: 0, timedOut: 0, failed: 0, notSent: 0, attemptsAgain: 0,
      limitMicroseconds: 50_000, beyondLimit: 3, beyondLimitShare: 0.001, p50Microseconds: 1_100,
      p99Microseconds: 12_345, p999Microseconds: 20_000, largestMicroseconds: 30_000, servers: [],
      sendLagP99Microseconds: 250, serverLatenessP99Microseconds: 100, isValid: valid)
    return RackProbe(
      offered: rate, report: report, serverRates: servers, copyRate: 12, hotKeys: 99, moves: 1,
      processors: nil)
  }

  private static func result() -> RackResult {
    var plan = RackPlan()
    (plan.servers, plan.keys) = (2, 1_000)
    let placement = plan.placement()
    let home = RackPolicyResult(
      .home, plan, probe(500, servers: [100, 400]), ProbeLog(), ideal: placement.idealHomeShare,
      seconds: 60)
    let replicated = RackPolicyResult(
      .replicated, plan, probe(2_010, servers: [1_000, 1_000]), ProbeLog(), ideal: 1, seconds: 60)
    return RackResult(plan, placement: placement, results: [home, replicated])
  }

  @Test func scriptsFindTheirFields() throws {
    let data = try JSONEncoder().encode(Self.result())
    let json = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    #expect(json["ideal_home_share"] is Double)
    #expect(json["emulated"] as? Bool == true)
    let results = try #require(json["results"] as? [[String: Any]])
    #expect(results.compactMap { $0["policy"] as? String } == ["home", "replicated"])
    for field in ["ops_per_second", "share_of_capacity", "p99_us", "copies_per_second"] {
      #expect(results.allSatisfy { $0[field] is Double }, "\(field)")
    }
    #expect(results[0]["server_ops_per_second"] as? [Double] == [100, 400])
    // A field without a value is there all the same.
    #expect(results[0]["processors"] is NSNull)
    #expect(json["profile"] is NSNull)
  }

  @Test func aProfileIsSaidWithItsSourceAndMapping() throws {
    var plan = RackPlan()
    (plan.servers, plan.keys) = (2, 1_000)
    plan.use(try #require(TwitterCluster.all.first { $0.name == "cluster12" }?.profile))
    let result = RackResult(plan, placement: plan.placement(), results: [])
    let data = try JSONEncoder().encode(result)
    let json = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    #expect(json["profile"] as? String == "cluster12")
    #expect((json["source"] as? String)?.contains("Twitter") == true)
    #expect((json["mapping"] as? [String])?.isEmpty == false)
  }

  @Test func aPolicyWithoutAResultDoesNotHideTheOthers() throws {
    var plan = RackPlan()
    (plan.servers, plan.keys) = (2, 1_000)
    let failure = RackBenchError(policy: "round-robin", tried: "1 ops/s", wasDisturbed: true)
    let result = RackResult(
      plan, placement: plan.placement(), results: Self.result().results, failures: [failure])
    #expect(result.text.contains("round-robin: no load stays within the limits."))
    #expect(result.results.count == 2)
    #expect(failure.description.contains("this machine was busy"))
  }

  @Test func ratiosAreOverPlainHashing() {
    let results = Self.result().results
    #expect(results[0].ratioToHome == 1)
    #expect(results[1].ratioToHome == 4.02)
    #expect(results[1].ratioToReplicated == 1)
    #expect(results[0].busiestToMean == 1.6)
  }

  @Test func noRackCarriesMoreThanItsServersCan() {
    let result = Self.result().results[1]
    #expect(result.operationsPerSecond == 2_010)
    #expect(result.shareOfCapacity == 1)
  }

  @Test func theTextSaysThatTheCapacityIsEmulated() {
    let text = Self.result().text
    #expect(text.contains("emulated capacity, 1,000 ops/s each, 2,000 together"))
    #expect(text.contains("12.3 ms"))
  }
}

@Suite struct RackPlanTests {
  private func report(p99: Double?, busy: UInt64 = 0, late: UInt64 = 0) -> LoadReport {
    LoadReport(
      duration: 1, offeredPerSecond: 10_000, completedPerSecond: 10_000 - Double(busy),
      offered: 10_000, completed: 10_000 - busy, busy: busy, timedOut: 0, failed: 0, notSent: 0,
      attemptsAgain: 0, limitMicroseconds: 50_000, beyondLimit: busy + late,
      beyondLimitShare: Double(busy + late) / 10_000, p50Microseconds: 1_000,
      p99Microseconds: p99, p999Microseconds: nil, largestMicroseconds: 0, servers: [],
      sendLagP99Microseconds: 0, serverLatenessP99Microseconds: 0, isValid: true)
  }

  @Test func aLoadHoldsWithinBothLimits() {
    var plan = RackPlan()
    #expect(plan.holds(report(p99: 50_000)))
    #expect(!plan.holds(report(p99: 50_001)))
    #expect(!plan.holds(report(p99: nil)))
    #expect(plan.holds(report(p99: 40_000, busy: 10)))
    #expect(!plan.holds(report(p99: 40_000, busy: 11)))
    #expect(plan.holds(report(p99: 40_000, busy: 4, late: 6)))
    #expect(!plan.holds(report(p99: 40_000, busy: 4, late: 7)))
    plan.countsLate = false
    #expect(plan.holds(report(p99: 40_000, late: 99)))
  }

  @Test func theIdealDependsOnThePolicy() throws {
    var plan = RackPlan()
    plan.keys = 100_000
    let placement = plan.placement()
    func ideal(_ policy: RackPolicy, reads: Double) -> Double? {
      plan.mix = OperationMix(readShare: reads)
      return RackBench.ideal(policy, plan, placement, hot: 256)
    }
    let home = try #require(ideal(.home, reads: 1))
    #expect(home > 0.1 && home < 0.17)
    #expect(ideal(.home, reads: 0) == home)
    #expect(ideal(.replicated, reads: 1) == 1)
    let writes = try #require(ideal(.replicated, reads: 0))
    #expect(writes < 1 && writes > 0.85)
    #expect(ideal(.roundRobin, reads: 1) == writes)
    #expect(ideal(.noCopies, reads: 1) == nil)
  }
}
