import StoreState
import Testing

@testable import Paxos

@Suite struct ReplicaTests {
  private let object = ScriptedCell.object

  private func kinds(_ cell: ScriptedCell) -> [String] {
    cell.sent.map { ScriptedCell.kind($0.message) }
  }

  @Test func aFirstWriteTakesTwoRoundsAndTheNextOne() throws {
    let cell = try ScriptedCell(3)
    let first = cell.put(0, "a", "1")
    #expect(kinds(cell) == ["prepare", "prepare"])
    cell.run()
    #expect(cell.outcomes[first] != nil)
    let second = cell.put(0, "a", "2")
    #expect(kinds(cell) == ["accept", "accept"], "the proposer that entry 1 names skips phase 1")
    cell.run()
    #expect(cell.outcomes[second] != nil)
    #expect(cell.replicas[0].counts.fastRounds == 1)
    #expect(cell.replicas[0].counts.slowRounds == 1)
    for node in 0..<3 { #expect(cell.replicas[node].chosen(of: object) == 2) }
  }

  @Test func anotherProposerRunsPhase1AndTakesTheRight() throws {
    let cell = try ScriptedCell(3)
    _ = cell.put(0, "a", "1")
    cell.run()
    _ = cell.put(1, "a", "2")
    #expect(kinds(cell) == ["prepare", "prepare"])
    cell.run()
    _ = cell.put(1, "a", "3")
    #expect(kinds(cell) == ["accept", "accept"])
    cell.run()
    _ = cell.put(0, "a", "4")
    #expect(kinds(cell) == ["prepare", "prepare"])
  }

  @Test func aRestartedProposerHasLostTheRight() throws {
    let cell = try ScriptedCell(3)
    _ = cell.put(0, "a", "1")
    cell.run()
    try cell.restart(0)
    #expect(cell.replicas[0].chosen(of: object) == 1)
    _ = cell.put(0, "a", "2")
    #expect(kinds(cell) == ["prepare", "prepare"])
  }

  @Test func nothingThatTellsOfAVoteLeavesBeforeItIsDurable() throws {
    let cell = try ScriptedCell(3)
    cell.syncsAtOnce = []
    let put = cell.put(0, "a", "1")
    cell.run()
    #expect(cell.sent.isEmpty && cell.learned.isEmpty, "all wait for their disks")
    cell.sync(1)
    #expect(kinds(cell) == ["promise"])
    cell.run()
    cell.sync(0)
    cell.run()
    // Phase 2 is under way; nobody has synced a vote.
    #expect(cell.outcomes[put] == nil)
    cell.sync(1)
    cell.run()
    #expect(cell.outcomes[put] == nil, "one vote of three")
    cell.sync(0)
    #expect(cell.outcomes[put] != nil)
  }

  @Test func aPhase1AdoptsTheVoteOfTheHighestBallot() throws {
    let cell = try ScriptedCell(5)
    // Node 0 gets one vote, for its first ballot, at node 1, and is not heard of again.
    _ = cell.put(0, "a", "lost?")
    for to in 1...2 { cell.deliver { $0.to == to } }
    while cell.deliver({ ScriptedCell.kind($0.message) == "promise" }) {}
    cell.deliver { $0.to == 1 && ScriptedCell.kind($0.message) == "accept" }
    cell.lose()
    let second = cell.put(2, "a", "second")
    cell.run([1, 2, 3])
    #expect(cell.outcomes[second] != nil)
    #expect(cell.learned[2]?[1]?.id.proposer.node == NodeID(0), "entry 1 is node 0's value")
    #expect(cell.learned[2]?[2]?.id.proposer.node == NodeID(2))
  }

  @Test func anAcceptorThatIsAheadSaysWhatWasChosenInsteadOfPromising() throws {
    let cell = try ScriptedCell(3)
    _ = cell.put(0, "a", "1")
    cell.run([0, 1])
    cell.lose()
    let late = cell.put(2, "a", "2")
    #expect(cell.deliver { $0.to == 1 })
    #expect(kinds(cell).contains("entries"))
    cell.run([1, 2])
    #expect(cell.outcomes[late] != nil)
    #expect(cell.learned[2]?[1]?.commands == cell.learned[0]?[1]?.commands)
  }

  @Test func whoLagsFarGetsASnapshotWithSessions() throws {
    let cell = try ScriptedCell(3) { $0.suffixMax = 2 }
    let open = cell.change(0, .openSession)
    cell.run([0, 1])
    guard case .response(.session(let session), _) = cell.outcomes[open] else { return }
    let stamp = SessionStamp(session: session, sequence: 1, finished: 1)
    let first = cell.put(0, "a", "1", stamp: stamp)
    for number in 2...5 {
      _ = cell.put(0, "a", "\(number)")
      cell.run([0, 1])
    }
    cell.lose()
    let overtaken = cell.put(2, "a", "1", stamp: stamp)
    cell.run([1, 2])
    #expect(cell.replicas[2].counts.snapshotsInstalled == 1)
    #expect(cell.outcomes[overtaken] == .unknown)
    let again = cell.put(2, "a", "1", stamp: stamp)
    cell.run([1, 2])
    guard case .response(let once, _) = cell.outcomes[first],
      case .response(let twice, _) = cell.outcomes[again]
    else {
      Issue.record("no answer")
      return
    }
    #expect(once == twice)
    #expect(
      cell.replicas[2].state(of: object)?.digest == cell.replicas[1].state(of: object)?.digest)
  }

  @Test func commandsOvertakenByASnapshotAreUnknown() throws {
    let cell = try ScriptedCell(3) { $0.suffixMax = 0 }
    let lost = cell.put(2, "a", "x")
    cell.lose()
    for number in 1...2 {
      _ = cell.put(0, "a", "\(number)")
      cell.run([0, 1])
    }
    cell.advance(2, by: 30_000_000)
    cell.run([1, 2])
    #expect(cell.outcomes[lost] != nil)
    if case .response = cell.outcomes[lost] { return }
    #expect(cell.outcomes[lost] == .unknown)
  }

  @Test func commandsOfOneMomentShareAnEntry() throws {
    let cell = try ScriptedCell(3)
    let first = cell.put(0, "a", "1")
    let others = (2...9).map { cell.put(0, "k\($0)", "x") }
    cell.run()
    #expect(cell.replicas[0].chosen(of: object) == 2)
    for request in [first] + others { #expect(cell.outcomes[request] != nil) }
  }

  @Test func duelsEnd() throws {
    let cell = try ScriptedCell(3)
    let puts = (0..<3).map { cell.put($0, "a", "\($0)") }
    for _ in 0..<200 {
      cell.run()
      for node in 0..<3 { cell.advance(node, by: 1_000_000) }
    }
    for put in puts { #expect(cell.outcomes[put] != nil) }
  }

  /// One refuses, one is silent: the ballot could still succeed, but need not.
  @Test func aRefusedBallotDoesNotWaitForTheSilentForEver() throws {
    let cell = try ScriptedCell(3)
    _ = cell.put(1, "a", "x")
    cell.lose()
    let put = cell.put(0, "a", "1")
    for _ in 0..<10 {
      cell.run([0, 1])
      cell.lose()
      cell.advance(0, by: 30_000_000)
    }
    #expect(cell.outcomes[put] != nil)
  }

  @Test func aRequestIsGivenUpInTheEnd() throws {
    let cell = try ScriptedCell(3)
    let put = cell.put(0, "a", "1")
    cell.lose()
    let get = cell.get(0)
    cell.lose()
    cell.advance(0, by: 3_000_000_000)
    #expect(cell.outcomes[put] == .unknown)
    #expect(cell.outcomes[get] == .unavailable)
  }

  @Test func strangersAreNotHeard() throws {
    let cell = try ScriptedCell(3)
    let proposer = Proposer(node: NodeID(9), incarnation: 1)
    let ballot = Ballot(round: 9, zone: 0, proposer: proposer)
    let effects = cell.replicas[0].receive(
      Message(object, .prepare(entry: 1, ballot, previous: nil)), from: NodeID(9), now: 1)
    #expect(effects.isEmpty)
    #expect(throws: CellError.unknownMember(NodeID(9))) {
      try Replica(
        ReplicaConfiguration(cell: cell.cell, node: NodeID(9)), incarnation: 1, randomSeed: 1)
    }
  }

  // MARK: Reads

  @Test func aReadIsAnsweredByAQuorumWithoutARound() throws {
    let cell = try ScriptedCell(3)
    _ = cell.put(0, "a", "1")
    cell.run()
    let read = cell.get(2)
    #expect(kinds(cell) == ["query", "query"])
    cell.run()
    #expect(cell.values(read) == ["1"])
    #expect(cell.replicas[2].counts.phase1 == 0)
  }

  @Test func aReaderThatIsBehindCatchesUpFirst() throws {
    let cell = try ScriptedCell(3)
    _ = cell.put(0, "a", "1")
    cell.run([0, 1])
    cell.lose()
    #expect(cell.values(cell.get(2, .serializable)) == [])
    let read = cell.get(2)
    cell.run([1, 2])
    #expect(cell.values(read) == ["1"])
  }

  @Test func votesOfAQuorumCountAsChosen() throws {
    let cell = try ScriptedCell(3)
    _ = cell.put(0, "a", "1")
    cell.run()
    let second = cell.put(0, "a", "2")
    cell.deliver { $0.to == 1 }
    cell.lose()
    // Nodes 0 and 1 have voted; node 0 has not heard of node 1's vote.
    #expect(cell.outcomes[second] == nil)
    let read = cell.get(1)
    cell.run([0, 1])
    #expect(cell.values(read) == ["2"])
  }

  @Test func oneVoteThatMayHaveChosenMakesTheReadRunARound() throws {
    let cell = try ScriptedCell(3)
    _ = cell.put(0, "a", "1")
    cell.run()
    _ = cell.put(0, "a", "2")
    cell.lose()
    cell.deliver { _ in true }
    // Node 0 has voted. Asking 0 and 2 only, node 1 may have voted as well.
    let read = cell.get(2)
    cell.run([0, 2])
    #expect(cell.values(read) == nil)
    cell.advance(2, by: 6_000_000)
    cell.run([0, 2])
    #expect(cell.values(read) == ["2"])
    #expect(cell.replicas[2].counts.roundReads == 1)
  }

  @Test func oneVoteOfThreeAnswersIsNotChosen() throws {
    let cell = try ScriptedCell(3)
    _ = cell.put(0, "a", "1")
    cell.run()
    _ = cell.put(0, "a", "2")
    cell.lose()
    let read = cell.get(2)
    // All three answer, node 0 first.
    cell.run()
    #expect(cell.values(read) == ["1"], "two of three had not voted: nothing was chosen by then")
  }

  @Test func answersToAnEarlierReadCountForNothing() throws {
    let cell = try ScriptedCell(3)
    _ = cell.put(0, "a", "1")
    cell.run()
    let old = cell.get(2)
    while cell.deliver({ ScriptedCell.kind($0.message) == "query" }) {}
    let statuses = cell.sent
    cell.run()
    #expect(cell.values(old) == ["1"])
    _ = cell.put(0, "a", "2")
    cell.run([0, 1])
    cell.lose()
    let read = cell.get(2)
    cell.lose()
    cell.sent = statuses
    cell.run()
    #expect(cell.values(read) == nil)
  }

  @Test func boundedStaleReadsAskNobodyWhileTheyMay() throws {
    let cell = try ScriptedCell(3)
    _ = cell.put(0, "a", "1")
    cell.run()
    _ = cell.get(2)
    cell.run()
    #expect(cell.values(cell.get(2, .boundedStale(1_000_000))) == ["1"])
    cell.now += 2_000_000
    let read = cell.get(2, .boundedStale(1_000_000))
    #expect(cell.values(read) == nil)
    cell.run()
    #expect(cell.values(read) == ["1"])
  }

  // MARK: Lost disks

  @Test func aReplicaThatLostItsDiskAsksAndWaitsForAnEntryOfTheOthers() throws {
    let cell = try ScriptedCell(3)
    _ = cell.put(0, "a", "1")
    cell.run()
    try cell.restart(2, losingDisk: true)
    #expect(!cell.replicas[2].isVoting(on: object))
    _ = cell.put(0, "a", "2")
    cell.deliver { $0.to == 2 }
    cell.lose { $0.to == 1 }
    // It is asked for its vote on entry 2, and asks the others instead of answering.
    #expect(Set(kinds(cell)) == ["query", "fetch"])
    cell.advance(2, by: 30_000_000)
    cell.run()
    #expect(cell.replicas[2].counts.recovered == 1)
    for node in 0..<3 { cell.advance(node, by: 30_000_000) }
    cell.run()
    #expect(cell.replicas[2].isVoting(on: object))
    #expect(cell.replicas[2].chosen(of: object) == cell.replicas[0].chosen(of: object))
  }

  /// The case that makes m + 1 dangerous: the vote that was lost was cast in round 0, for a
  /// proposer that then is the one who is not heard.
  @Test("A forgotten vote without phase 1 is not cast again", arguments: [false, true])
  func forgottenFastVote(isBroken: Bool) throws {
    let cell = try ScriptedCell(5) { if isBroken { $0.faults = .voteAtFloor } }
    _ = cell.put(0, "a", "1")
    cell.run()
    // Node 0 proposes for entry 2 in round 0; node 2 votes, and its answer stays on the way.
    _ = cell.put(0, "a", "fast")
    let late = cell.sent.filter { $0.to == 1 }
    cell.deliver { $0.to == 2 }
    let vote = cell.sent.filter { ScriptedCell.kind($0.message) == "accepted" }
    cell.lose()
    try cell.restart(2, losingDisk: true)
    // Nodes 1, 3 and 4 know nothing of entry 2, so m is 1. Then node 3 proposes, and node 1 does not
    // hear of it.
    _ = cell.get(2)
    for round in 0..<20 {
      if round == 5 { _ = cell.put(3, "a", "other") }
      while cell.deliver({ sent in
        let isQuestion = ["query", "status"].contains(ScriptedCell.kind(sent.message))
        let ends: Set = [sent.from, sent.to]
        return !ends.contains(0) && (isQuestion || !ends.contains(1))
      }) {}
      cell.lose()
      for node in 2...4 { cell.advance(node, by: 25_000_000) }
    }
    cell.lose()
    cell.sent = late + vote
    cell.run([0, 1, 2])
    let first = cell.learned[0]?[2]?.id
    let second = cell.learned[3]?[2]?.id
    #expect(first != nil)
    let isTwice = first != nil && second != nil && first != second
    #expect(isTwice == isBroken)
  }

  /// Lets time pass, and everything that follows from it happen.
  private func settle(_ cell: ScriptedCell, _ nodes: Set<Int> = [0, 1, 2]) {
    for _ in 0..<20 {
      for node in nodes.sorted() { cell.advance(node, by: 60_000_000) }
      cell.run(nodes)
      cell.lose()
    }
  }

  /// One disk after the other is lost: who has made good what it lost votes on what is new, and
  /// counts for the next one.
  @Test func aReplicaThatHasHealedIsLikeAnyOther() throws {
    let cell = try ScriptedCell(3)
    _ = cell.put(0, "a", "1")
    cell.run()
    for node in [2, 1] {
      try cell.restart(node, losingDisk: true)
      #expect(cell.replicas[node].hasLostVotes)
      // Not without all of the others.
      settle(cell, [0, 3 - node])
      settle(cell, [1, 2])
      #expect(cell.replicas[node].hasLostVotes)
      settle(cell)
      #expect(!cell.replicas[node].hasLostVotes)
      #expect(cell.replicas[node].isVoting(on: object))
      #expect(cell.replicas[node].isVoting(on: ObjectID("not yet there")))
    }
    // The two that had lost their disks are a quorum for something new.
    cell.step(1) {
      $0.propose(
        RequestID(1_000), ObjectID("new"),
        Command(.transaction(.put([1], [1]))), now: $1)
    }
    cell.run([1, 2])
    guard case .response(_, entry: 1)? = cell.outcomes[1_000] else {
      Issue.record("\(String(describing: cell.outcomes[1_000]))")
      return
    }
  }

  /// Also when there are too many names for one message.
  @Test func allNamesAreAskedFor() throws {
    let cell = try ScriptedCell(3)
    for number in 0..<600 as Range<UInt64> {
      cell.step(0) {
        $0.propose(
          RequestID(10_000 + number), ObjectID("\(number)"),
          Command(.transaction(.put([1], [1]))), now: $1)
      }
    }
    cell.run()
    try cell.restart(2, losingDisk: true)
    settle(cell)
    #expect(!cell.replicas[2].hasLostVotes)
    #expect(cell.replicas[2].objectCount == 600)
    for number in 0..<600 { #expect(cell.replicas[2].isVoting(on: ObjectID("\(number)"))) }
  }

  /// Names that were sent before the others renounced may leave some out.
  @Test func namesOfAnEarlierStartDoNotCount() throws {
    let cell = try ScriptedCell(3)
    _ = cell.put(0, "a", "1")
    cell.run()
    try cell.restart(2, losingDisk: true)
    var late: [ScriptedCell.Sent] = []
    for _ in 0..<3 {
      cell.advance(2, by: 120_000_000)
      while cell.deliver({ ScriptedCell.kind($0.message).hasPrefix("re") || $0.from == 2 }) {}
      late += cell.sent.filter { ScriptedCell.kind($0.message) == "names" }
      cell.lose()
    }
    #expect(!late.isEmpty)
    try cell.restart(2, losingDisk: true)
    for _ in 0..<2 {
      cell.advance(2, by: 120_000_000)
      while cell.deliver({ ScriptedCell.kind($0.message).hasPrefix("renounce") }) {}
      cell.lose()
    }
    cell.sent = late
    cell.run()
    cell.advance(2, by: 120_000_000)
    cell.lose()
    cell.advance(2, by: 120_000_000)
    #expect(cell.replicas[2].hasLostVotes)
  }

  @Test("Votes of an earlier life do not count", arguments: [false, true])
  func votesOfAnEarlierLife(isBroken: Bool) throws {
    let cell = try ScriptedCell(5) { if isBroken { $0.faults = .livesIgnored } }
    // Node 0 wants the first entry: 2 promises and its answer stays on the way, the others hear
    // nothing.
    _ = cell.put(0, "a", "first")
    cell.deliver { $0.to == 2 }
    let promise = cell.sent.filter { ScriptedCell.kind($0.message) == "promise" }
    #expect(promise.count == 1)
    cell.lose()
    try cell.restart(2, losingDisk: true)
    cell.step(2) { $0.advance(to: $1) }
    cell.deliver { $0.to == 0 && ScriptedCell.kind($0.message) == "renounce" }
    cell.lose()
    // The promise arrives after all.
    cell.sent = promise
    cell.run()
    // One of the others more would have been a quorum with it.
    cell.advance(0, by: 25_000_000)
    cell.deliver { $0.to == 3 && ScriptedCell.kind($0.message) == "prepare" }
    cell.lose { ScriptedCell.kind($0.message) != "promise" }
    cell.run()
    #expect(
      cell.logs[0].contains { if case .accepted = $0.body { true } else { false } } == isBroken)
  }

  @Test("A snapshot of a replica is of one moment", arguments: [false, true])
  func aSnapshotIsOfOneMoment(isBroken: Bool) throws {
    let cell = try ScriptedCell(1) { if isBroken { $0.faults = .snapshotInMotion } }
    func put(_ object: String, _ value: UInt8) {
      cell.step(0) {
        $0.propose(
          RequestID(UInt64(value)), ObjectID(object),
          Command(.transaction(.put([1], [value]))), now: $1)
      }
      cell.run()
    }
    for (number, object) in ["a", "b", "c"].enumerated() { put(object, UInt8(1 + number)) }
    let number = cell.replicas[0].beginSnapshot()
    let other = cell.replicas[0].beginSnapshot()
    #expect(number != other)
    func next(_ number: UInt64, _ rowsMax: Int = 1) -> [String]? {
      let rows = cell.replicas[0].nextRows(ofSnapshot: number, rowsMax: rowsMax)
      return rows?.map { row in
        guard case .range(let pairs, _, _) = row.snapshot.state.answer(.range(.all, limit: nil))
        else { return "" }
        return "\(row.id) \(pairs.map(\.value))"
      }
    }
    #expect(next(number) == ["a [[1]]"])
    // Changes before and after its place, twice, and of something new.
    for (number, object) in ["a", "b", "c", "c", "d"].enumerated() {
      put(object, UInt8(11 + number))
    }
    #expect(next(number) == [isBroken ? "b [[12]]" : "b [[2]]"])
    #expect(next(number) == [isBroken ? "c [[14]]" : "c [[3]]"])
    #expect(next(number) == [])
    cell.replicas[0].endSnapshot(number)
    #expect(next(number) == nil)
    #expect(next(other) == [isBroken ? "a [[11]]" : "a [[1]]"])
    cell.replicas[0].endSnapshot(other)
    // What begins now has it all.
    let last = cell.replicas[0].beginSnapshot()
    #expect(next(last, 100)?.count == 4)
  }

  @Test func aReplicaInDoubtDoesNotCountInAnothersRecovery() throws {
    let cell = try ScriptedCell(3)
    _ = cell.put(0, "a", "1")
    cell.run()
    try cell.restart(1, losingDisk: true)
    try cell.restart(2, losingDisk: true)
    for _ in 0..<5 {
      for node in 0..<3 { cell.advance(node, by: 200_000_000) }
      cell.run()
    }
    #expect(!cell.replicas[1].isVoting(on: object) && !cell.replicas[2].isVoting(on: object))
  }

  // MARK: Leases, restarts, comparison

  @Test func aLeaseRunsOutByAProposal() throws {
    let cell = try ScriptedCell(3)
    let grant = cell.change(0, .grantLease(timeToLive: 100_000_000))
    cell.run()
    guard case .response(.lease(let lease), _) = cell.outcomes[grant] else {
      Issue.record("no lease")
      return
    }
    cell.advance(0, by: 90_000_000)
    cell.run()
    _ = cell.change(0, .keepAlive(lease: lease))
    cell.run()
    cell.advance(0, by: 90_000_000)
    cell.run()
    #expect(cell.replicas[1].state(of: object)?.leases.count == 1, "it was renewed")
    cell.advance(0, by: 20_000_000)
    cell.run()
    #expect(cell.replicas[1].state(of: object)?.leases.isEmpty == true)
  }

  @Test func aLogGivesBackWhatWasThere() throws {
    let cell = try ScriptedCell(3)
    for number in 1...5 {
      _ = cell.put(number % 3, "a", "\(number)")
      for _ in 0..<10 {
        cell.run()
        for node in 0..<3 { cell.advance(node, by: 1_000_000) }
      }
    }
    for node in 0..<3 {
      let image = cell.replicas[node].image(of: object)
      try cell.restart(node)
      #expect(cell.replicas[node].image(of: object) == image)
      // Records that an image contains already change nothing.
      var durable = DurableState()
      durable.images = image.map { [(object, $0)] } ?? []
      durable.records = cell.logs[node]
      let again = try Replica(
        ReplicaConfiguration(cell: cell.cell, node: NodeID(UInt16(node))), incarnation: 99,
        randomSeed: 1, from: durable)
      #expect(again.image(of: object) == image)
    }
  }

  @Test func statesAreCompared() throws {
    let cell = try ScriptedCell(3)
    _ = cell.put(0, "a", "1")
    cell.run()
    var durable = DurableState()
    var image = try #require(cell.replicas[2].image(of: object))
    _ = image.snapshot.state.apply(Command(.transaction(.put([1], [2]))), entry: 9)
    durable.images = [(object, image)]
    cell.replicas[2] = try Replica(
      ReplicaConfiguration(cell: cell.cell, node: NodeID(2)), incarnation: 99, randomSeed: 1,
      from: durable, now: cell.now)
    cell.advance(0, by: 200_000_000)
    cell.run()
    #expect(cell.diverged == [2])
  }
}
