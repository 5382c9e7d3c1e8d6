import LoadGenerator
import Testing
import Workload

@testable import Bench

@Suite struct FlappingTests {
  @Test func theTwoHotSetsTakeTurnsInStepWithTheClock() {
    let plan = FlappingPlan()
    #expect(FlappingPlan.Clock.interval.seconds == 0.02)
    let phase = plan.phase(.stay, 0.5)
    #expect(phase == 1.5)
    let load = plan.load(phase: phase, fill: true, namespace: nil)
    #expect(load.changes?.interval == 1_500_000_000)
    var space = load.keys
    let cold = space.number(ofRank: 0)
    for change in load.changes?.cycle ?? [] {
      space.change(change)
      #expect((space.number(ofRank: 0) == cold) == (change == .hotOut(2_000)))
    }
    #expect(space.number(ofRank: 0) == cold)
    #expect(load.fill >= 2_000 + 100)
    #expect(plan.duration(12) == 48)
  }
}
