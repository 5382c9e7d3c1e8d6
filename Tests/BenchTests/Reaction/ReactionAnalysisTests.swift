import LoadGenerator
import Testing
import Workload

@testable import Bench

@Suite struct ReactionAnalysisTests {
  /// A request each microsecond; of each, the server.
  private func requests(_ servers: [UInt8]) -> [LoadRecord.Request] {
    servers.enumerated().map { index, server in
      LoadRecord.Request(
        sent: UInt64(index) * 1_000, answered: UInt64(index) * 1_000 + 500, key: 7, server: server)
    }
  }

  private func inTurn(_ count: Int) -> [UInt8] { (0..<count).map { UInt8($0 % 4) } }

  @Test func anEvenLoadHasNoReaction() {
    let analysis = ReactionAnalysis(
      requests: requests(inTurn(1_000)), begins: [200_000, 600_000], servers: 4, window: 100)
    #expect(analysis.changes.map(\.reaction) == [0, 0])
    #expect(analysis.changes.map(\.largestShare) == [1, 1])
    #expect(analysis.changes.map(\.end) == [600_000, 999_000])
    #expect(analysis.changes.allSatisfy { $0.spans.isEmpty && !$0.isOpen })
  }

  @Test func theReactionLastsToTheEndOfTheLastWindowInWhichAServerGotTooMuch() {
    var servers = inTurn(1_000)
    // After the change 40 in a row go to one server: with 15 of the other 60 it has 55 of 100.
    for index in 200..<240 { servers[index] = 2 }
    let analysis = ReactionAnalysis(
      requests: requests(servers), begins: [200_000], servers: 4, window: 100)
    let change = analysis.changes[0]
    #expect(change.largestShare == 55.0 / 25)
    // The limit is 37.5 of 100. The last window with 38 has 18 of the 40, and 20 of the other 82.
    let last = (299..<1_000).last { end in
      servers[(end - 99)...end].count { $0 == 2 } > 37
    }
    #expect(change.reaction == UInt64((last ?? 0) - 200) * 1_000)
    #expect(change.spans.count == 1 && change.spans[0].server == 2)
    #expect(change.spans[0].end == change.reaction && !change.isOpen)
  }

  @Test func aLaterUnevennessBeforeTheNextChangeCountsAndOneAfterItDoesNot() {
    var servers = inTurn(2_000)
    for index in 700..<740 { servers[index] = 1 }
    let analysis = ReactionAnalysis(
      requests: requests(servers), begins: [200_000, 1_200_000], servers: 4, window: 100)
    #expect(analysis.changes[0].reaction > 500_000)
    #expect(analysis.changes[1].reaction == 0)
  }

  @Test func whatNobodyAnsweredCountsForEveryServer() {
    var servers = inTurn(1_000)
    for index in 200..<220 { servers[index] = LoadRecord.Request.noServer }
    let analysis = ReactionAnalysis(
      requests: requests(servers), begins: [200_000], servers: 4, window: 100)
    #expect(analysis.changes[0].largestShare == 40.0 / 25)
    #expect(analysis.changes[0].spans.first?.server == nil)
  }

  @Test func aLoadThatIsStillUnevenAtTheEndIsSaid() {
    let analysis = ReactionAnalysis(
      requests: requests(inTurn(500) + Array(repeating: 3, count: 500)), begins: [500_000],
      servers: 4, window: 100)
    #expect(analysis.changes[0].isOpen && analysis.changes[0].reaction == 499_000)
  }

  @Test func anIntervalWithoutRequestsIsNotTakenForAnEvenOne() {
    let analysis = ReactionAnalysis(
      requests: requests(inTurn(500)), begins: [300_000, 600_000, 900_000], servers: 4,
      window: 100)
    #expect(analysis.changes.map(\.isOpen) == [false, true, true])
    #expect(analysis.changes[1].reaction == 300_000)
  }

  @Test func requestsAreTakenInTheOrderOfSendingHoweverTheyEnded() {
    let even = requests(inTurn(1_000))
    let analysis = ReactionAnalysis(
      requests: even.sorted { ($0.server, $0.sent) < ($1.server, $1.sent) }, begins: [200_000],
      servers: 4, window: 100)
    #expect(analysis.changes[0].reaction == 0)
  }

  @Test func aKeyIsSpreadWithTheFirstAnswerOfAnotherServerThanItsHome() {
    var all = requests(Array(repeating: 0, count: 1_000))
    all[300].server = 2
    all[310].server = 3
    all[305].key = 8
    all[305].server = 1
    let analysis = ReactionAnalysis(requests: all, begins: [200_000, 600_000], servers: 4)
    let (first, second) = (analysis.changes[0], analysis.changes[1])
    #expect(analysis.spread(of: 7, home: 0, in: first) == 300_000)
    #expect(analysis.spread(of: 8, home: 0, in: first) == 305_000)
    #expect(analysis.spread(of: 7, home: 0, in: second) == nil)
  }
}

@Suite struct ReactionPlanTests {
  @Test func eachChangeMakesKeysHotThatWereColdAndHaveAValue() {
    let plan = ReactionPlan()
    let load = plan.load(namespace: nil, record: LoadRecord(capacity: 1))
    let filling = plan.filling(namespace: nil)
    let filled = Set((0..<filling.fill).map { filling.keys.number(ofRank: $0) })
    var space = load.keys
    var seen: Set<Int> = []
    for change in 0...plan.changes {
      let hot = (0..<plan.hotIn).map { space.number(ofRank: $0) }
      #expect(seen.isDisjoint(with: hot) && filled.isSuperset(of: hot))
      #expect(hot == (0..<plan.hotIn).map { plan.space(afterChanges: change).number(ofRank: $0) })
      seen.formUnion(hot)
      space.change(.hotIn(plan.hotIn))
    }
    var times = load.changes?.makeIterator()
    #expect(times?.nextTime == 6_000_000_000)
    #expect(times?.next(upTo: 6_000_000_000) == .hotIn(100))
    #expect(times?.nextTime == 8_000_000_000)
  }
}
