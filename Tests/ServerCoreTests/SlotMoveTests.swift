import ServerCore
import Storage
import Testing
import Wire

/// Two servers, 2 (the harness) and 1, and what passes between them during a move.
private struct Pair {
  var old = Harness()
  var new: Harness
  var order: UInt64 = 100
  /// What the old home sent and the new one has not seen yet.
  var copies: [Message] = []
  static let run = SlotRun(first: 0, count: 16_384)

  init(sessionsMax: Int = 64) {
    old = Harness(sessionsMax: sessionsMax)
    new = Harness(slots: false, sessionsMax: sessionsMax)
  }

  /// Sends an order to one of the two; what it sends to its peer is kept.
  @discardableResult
  mutating func step(
    _ step: MoveStep, move: UInt64 = 20, generation: UInt64, credit: UInt16 = 64,
    resendTo: UInt64 = 0, named: [String] = [], progress: MoveAckBody? = nil,
    runs: [SlotRun] = [run]
  ) throws -> MoveAckBody? {
    order += 1
    var body = MoveBody(step, move: move, peer: 1, runs: runs)
    body.credit = credit
    body.resendTo = resendTo
    body.keyHashes = named.map(Harness.hash)
    body.evictedBirth = progress?.evictedBirth ?? 0
    body.lossGeneration = progress?.lossGeneration ?? 0
    var answers: [Message] = []
    let order = order
    func obey(_ server: inout Harness) -> [Message] {
      server.control(.slotsMove, generation: generation, value: body.encoded()) {
        $0.sequence = order
      }
    }
    switch step {
    case .receive, .take: answers = obey(&new)
    default: answers = obey(&old)
    }
    copies += answers.filter { $0.header.operation == .slotCopy }
    return try answers.first { $0.header.operation == .slotsMoveAck }.map {
      try MoveAckBody(decoding: $0.value)
    }
  }

  /// Lets everything sent arrive, and the acknowledgements too. Returns how many were taken.
  @discardableResult
  mutating func exchange() -> Int {
    var taken = 0
    for copy in copies {
      #expect(copy.header.copyTargets == 1 << 1)
      for answer in new.receive(copy) {
        #expect(answer.destination == .directory && answer.message.header.operation == .slotCopyAck)
        old.receive(answer.message)
        taken += 1
      }
    }
    copies = []
    return taken
  }

  mutating func clear() throws {
    while try step(.receive, generation: 20)?.isScanned == false {}
  }

  /// The whole move, with nothing in between.
  mutating func move() throws {
    try clear()
    var state = try step(.send, generation: 20)
    while state?.isScanned == false || state?.waiting ?? 0 > 0 {
      exchange()
      state = try step(.send, generation: 20)
    }
    try finish()
  }

  mutating func finish() throws {
    var state = try step(.fence, generation: 21)
    while state?.waiting ?? 0 > 0 {
      exchange()
      state = try step(.fence, generation: 21)
    }
    try step(.take, generation: 21, progress: state)
    try step(.leave, generation: 22)
  }
}

@Suite struct SlotMoveTests {
  @Test func valuesTombstonesAndSessionsMove() throws {
    var pair = Pair()
    let write = pair.old.request(.set, "a", value: "1", sequence: 1)
    _ = pair.old.reply(to: write)
    let delete = pair.old.request(.delete, "b", sequence: 2, acknowledged: 1)
    _ = pair.old.reply(to: delete)
    try pair.move()
    #expect(pair.old.status(of: pair.old.request(.get, "a", generation: 22)) == .wrongServer)
    let read = pair.new.reply(to: pair.new.request(.get, "a", generation: 22))
    #expect(read.value == Array("1".utf8) && read.header.version == write.header.version)
    #expect(pair.new.core.stored(Array("b".utf8))?.kind == .tombstone)
    // A retry that is stamped anew finds its result; it is not executed again.
    let again = pair.new.request(.set, "a", value: "1", sequence: 1, generation: 22, known: 22)
    let reply = pair.new.reply(to: again).header
    #expect(reply.status == .ok && reply.version == write.header.version)
    #expect(pair.new.executions.isEmpty)
  }

  /// The new home may have executed writes before it was lost, with the directory or without.
  @Test func whoHasBeenToldToLeaveClaimsNothingAndShowsNothingOld() throws {
    let leaving = [SlotRun(first: 0, count: 16_384, role: .leaving)]
    for isLost in [true, false] {
      var pair = Pair()
      _ = pair.old.reply(to: pair.old.request(.set, "a", value: "1", sequence: 1))
      try pair.step(.send, generation: 20)
      try pair.step(.fence, generation: 21)
      try pair.step(.assign, generation: 21, runs: leaving)
      #expect(pair.old.status(of: pair.old.request(.get, "a", generation: 21)) == .wrongServer)
      let learned = try #require(pair.old.control(.learn, generation: 21).first)
      #expect(try LearnBody(decoding: learned.value).runs.isEmpty)
      // The slots come back: as they were, or after a loss.
      pair.old.setSlots(
        [SlotRun(first: 0, count: 16_384, lossGeneration: isLost ? 23 : 0)], generation: 23)
      #expect(
        pair.old.status(of: pair.old.request(.get, "a", generation: 24)) == (isLost ? .lost : .ok))
    }
  }

  @Test func whatChangesMeanwhileMovesToo() throws {
    var pair = Pair()
    for number in 0..<200 {
      _ = pair.old.reply(
        to: pair.old.request(.set, "key\(number)", value: "old", sequence: UInt64(number) + 1))
    }
    try pair.clear()
    try pair.step(.send, generation: 20, credit: 10)
    #expect(pair.copies.count == 10)
    pair.exchange()
    // Some that were sent already, and some that were not; and new ones.
    for number in stride(from: 0, to: 220, by: 3) {
      _ = pair.old.reply(
        to: pair.old.request(
          number % 2 == 0 ? .set : .delete, "key\(number)", value: number % 2 == 0 ? "new" : "",
          sequence: 300 + UInt64(number)))
    }
    var state = try pair.step(.send, generation: 20)
    while state?.isScanned == false || state?.waiting ?? 0 > 0 {
      pair.exchange()
      state = try pair.step(.send, generation: 20)
    }
    try pair.finish()
    for number in 0..<220 {
      let key = Array("key\(number)".utf8)
      let (old, new) = (pair.old.core.stored(key), pair.new.core.stored(key))
      #expect(old?.version == new?.version && old?.kind == new?.kind && old?.value == new?.value)
    }
  }

  @Test func theFenceRefusesWhatWasStampedBeforeAtBothHomes() throws {
    var pair = Pair()
    try pair.clear()
    try pair.step(.send, generation: 20)
    let late = pair.old.request(.set, "a", value: "late", sequence: 1, generation: 20)
    var state = try pair.step(.fence, generation: 21)
    #expect(pair.old.status(of: late) == .staleGeneration)
    #expect(pair.old.storedVersion("a") == nil)
    pair.exchange()
    state = try pair.step(.fence, generation: 21)
    try pair.step(.take, generation: 21, progress: state)
    #expect(pair.new.status(of: late) == .staleGeneration)
    // Stamped after it by a client that has not heard of it: it may be a late duplicate.
    let unaware = pair.new.request(.set, "a", sequence: 1, generation: 22, known: 21)
    #expect(pair.new.status(of: unaware) == .staleGeneration)
    let aware = pair.new.request(.set, "a", sequence: 1, generation: 22, known: 22)
    #expect(pair.new.status(of: aware) == .ok)
  }

  @Test func anEvictedSessionIsRememberedAtTheNewHome() throws {
    var pair = Pair(sessionsMax: 2)
    for client in UInt64(1)...4 {
      _ = pair.old.reply(to: pair.old.request(.set, "a", client: client << 22, sequence: 1))
    }
    try pair.move()
    // The first client's write was executed, and is forgotten: it must not be executed again.
    let retry = pair.new.request(
      .set, "a", client: 1 << 22, sequence: 1, generation: 22, known: 22, first: 10)
    #expect(pair.new.status(of: retry) == .sessionLost)
    let other = pair.new.request(
      .set, "a", client: 9 << 22, sequence: 1, generation: 22, known: 22, first: 22)
    #expect(pair.new.status(of: other) == .ok)
  }

  @Test(arguments: [ServerFaults(), .slotLeftoversKept])
  func leftoversOfTheNewHomeAreDroppedUnlessTheyAreHot(_ fault: ServerFaults) throws {
    var pair = Pair()
    pair.new.core.faults = fault
    for (key, version) in [("gone", UInt64(7)), ("hot", 8), ("given up", 9), ("second", 10)] {
      pair.new.copy(key, "left over", version: version, generation: 12)
    }
    // Transitions since the order was made: one that came to nothing, and one that relies on it.
    pair.new.fence("given up", 25)
    pair.new.fence("second", 25)
    pair.new.sync("second", 25, SyncBody(entries: []), version: 10)
    while try pair.step(.receive, generation: 20, named: ["hot"])?.isScanned == false {}
    #expect(pair.new.storedVersion("gone") == (fault.isEmpty ? nil : 7))
    #expect(pair.new.storedVersion("hot") == 8)
    #expect(pair.new.storedVersion("given up") == (fault.isEmpty ? nil : 9))
    #expect(pair.new.storedVersion("second") == 10, "it has just been counted on")
  }

  @Test func aReadThatWasSentForALeftoverIsNotAnsweredWithoutIt() throws {
    var pair = Pair()
    pair.new.copy("gone", "left over", version: 7, generation: 12)
    let early = pair.new.request(.get, "gone", generation: 19, hot: true)
    #expect(pair.new.status(of: early) == .ok)
    try pair.clear()
    #expect(pair.new.status(of: early) == .staleGeneration)
    let late = pair.new.request(.get, "gone", generation: 20, hot: true)
    #expect(pair.new.status(of: late) == .notFound)
    // A floor says the same of all keys.
    pair.new.floor(21)
    #expect(pair.new.status(of: late) == .staleGeneration)
  }

  @Test func nothingIsForgottenOfSlotsThatMove() throws {
    var pair = Pair()
    _ = pair.old.reply(to: pair.old.request(.set, "a", value: "1", sequence: 1))
    _ = pair.old.reply(to: pair.old.request(.delete, "a", sequence: 2, acknowledged: 1))
    try pair.clear()
    try pair.step(.send, generation: 20)
    pair.exchange()
    pair.old.floor(30)
    pair.new.floor(30)
    #expect(pair.old.core.stored(Array("a".utf8))?.kind == .tombstone)
    #expect(pair.new.core.stored(Array("a".utf8))?.kind == .tombstone)
    var state = try pair.step(.fence, generation: 31)
    while state?.waiting ?? 0 > 0 {
      pair.exchange()
      state = try pair.step(.fence, generation: 31)
    }
    try pair.step(.take, generation: 31, progress: state)
    try pair.step(.leave, generation: 32)
    pair.new.floor(40)
    #expect(pair.new.storedVersion("a") == nil, "a tombstone of its own is forgotten as any other")
  }

  @Test func whatHasLeftIsForgottenAndWhatHasComeIsNot() throws {
    var pair = Pair()
    _ = pair.old.reply(to: pair.old.request(.set, "a", value: "1", sequence: 1))
    try pair.move()
    for _ in 0..<4 { pair.old.control(.probe, generation: 22) }
    for generation in [UInt64(30), 40] {
      pair.old.floor(generation)
      pair.new.floor(generation)
    }
    #expect(pair.old.storedVersion("a") == nil)
    #expect(pair.new.storedVersion("a") != nil)
  }

  @Test func lostCopiesAreSentAgainWhenTheControllerSaysSo() throws {
    var pair = Pair()
    for number in 0..<10 {
      _ = pair.old.reply(to: pair.old.request(.set, "key\(number)", sequence: UInt64(number) + 1))
    }
    try pair.clear()
    var state = try pair.step(.send, generation: 20)
    while state?.isScanned == false { state = try pair.step(.send, generation: 20) }
    #expect(pair.copies.count == 10)
    pair.copies = []
    #expect(try pair.step(.send, generation: 20)?.waiting == 10)
    #expect(pair.copies.isEmpty, "it is not said that they were lost")
    try pair.step(.send, generation: 20, resendTo: pair.order)
    #expect(pair.copies.count == 10)
    let twice = pair.copies
    #expect(pair.exchange() == 10)
    pair.copies = twice
    pair.exchange()
    state = try pair.step(.send, generation: 20)
    #expect(state?.waiting == 0 && state?.sent == 10)
  }

  @Test func noMoreIsUnderWayThanTheNewHomeTakes() throws {
    var pair = Pair()
    for number in 0..<300 {
      _ = pair.old.reply(to: pair.old.request(.set, "key\(number)", sequence: UInt64(number) + 1))
    }
    try pair.clear()
    for _ in 0..<5 { try pair.step(.send, generation: 20, credit: 1000) }
    #expect(pair.copies.count == 64)
    pair.exchange()
    try pair.step(.send, generation: 20, credit: 0)
    #expect(pair.copies.isEmpty)
  }

  @Test func aCancelledMoveLeavesEverythingAsItWas() throws {
    var pair = Pair()
    _ = pair.old.reply(to: pair.old.request(.set, "a", value: "1", sequence: 1))
    try pair.clear()
    try pair.step(.send, generation: 20)
    pair.exchange()
    var state = try pair.step(.fence, generation: 21)
    while state?.waiting ?? 0 > 0 {
      pair.exchange()
      state = try pair.step(.fence, generation: 21)
    }
    try pair.step(.take, generation: 21, progress: state)
    // The new home believes that the slots are its own; nobody else does.
    try pair.step(.cancel, generation: 22)
    let body = MoveBody(.cancel, move: 20, peer: 1, runs: [Pair.run])
    pair.new.control(.slotsMove, generation: 22, value: body.encoded())
    #expect(
      pair.new.status(of: pair.new.request(.get, "a", generation: 22)) == .wrongServer)
    #expect(
      pair.old.status(
        of: pair.old.request(.set, "a", sequence: 2, acknowledged: 2, generation: 22, known: 22))
        == .ok)
    // Orders of the move that come late begin nothing.
    #expect(try pair.step(.send, generation: 22) == nil)
    #expect(try pair.step(.receive, generation: 22) == nil)
  }

  @Test func lateOrdersDoNoHarmOnceAMoveIsOver() throws {
    var pair = Pair()
    _ = pair.old.reply(to: pair.old.request(.set, "a", value: "1", sequence: 1))
    try pair.move()
    #expect(try pair.step(.receive, generation: 22) == nil)
    try pair.step(.take, generation: 21)
    try pair.step(.leave, generation: 22)
    #expect(pair.new.storedVersion("a") != nil)
    // The slots come back to the old home; the first move's LEAVE must not take them away.
    pair.old.setSlots([Pair.run], generation: 23)
    try pair.step(.leave, generation: 22)
    #expect(pair.old.status(of: pair.old.request(.get, "a", generation: 23)) == .ok)
  }

  @Test func lostKeysAndLossesMoveToo() throws {
    var pair = Pair()
    pair.old.setSlots([SlotRun(first: 0, count: 16_384, lossGeneration: 11)], generation: 11)
    pair.old.fence("a", 12)
    pair.old.sync("a", 12, SyncBody(entries: []), lost: true)
    let run = SlotRun(first: 0, count: 16_384, lossGeneration: 11)
    while try pair.step(.receive, generation: 20, runs: [run])?.isScanned == false {}
    var state = try pair.step(.fence, generation: 21, runs: [run])
    while state?.waiting ?? 0 > 0 || state?.isScanned == false {
      pair.exchange()
      state = try pair.step(.fence, generation: 21, runs: [run])
    }
    try pair.step(.take, generation: 21, progress: state, runs: [run])
    for key in ["a", "never seen"] {
      #expect(pair.new.status(of: pair.new.request(.get, key, generation: 22)) == .lost)
    }
    let old = pair.new.request(.set, "b", sequence: 1, generation: 22, known: 22, first: 10)
    #expect(pair.new.status(of: old) == .ambiguous)
  }

  @Test func hostileOrdersAndCopiesChangeNothing() throws {
    var pair = Pair()
    _ = pair.old.reply(to: pair.old.request(.set, "a", value: "1", sequence: 1))
    let good = MoveBody(.send, move: 20, peer: 1, runs: [Pair.run]).encoded()
    for length in 0..<good.count {
      #expect(
        pair.old.control(.slotsMove, generation: 20, value: Array(good[..<length])).isEmpty)
    }
    // Not its own slots, itself as the peer, a move of the future, from somebody else.
    var bare = Harness(slots: false)
    #expect(bare.control(.slotsMove, generation: 20, value: good).isEmpty)
    let own = MoveBody(.send, move: 20, peer: 2, runs: [Pair.run]).encoded()
    #expect(pair.old.control(.slotsMove, generation: 20, value: own).isEmpty)
    #expect(pair.old.control(.slotsMove, generation: 19, value: good).isEmpty)
    var header = pair.old.header(.slotsMove, generation: 20)
    header.sequence = 1
    #expect(pair.old.receive(Message(header, value: good)).isEmpty)
    // Copies outside of a move, of another one, for another slot, or contradicting themselves.
    var copy = pair.new.header(.slotCopy, generation: 20, version: 9)
    copy.keyHash = Harness.hash("x")
    copy.client = 20
    #expect(pair.new.receive(Message(copy, key: Array("x".utf8), value: [1])).isEmpty)
    try pair.clear()
    let changes: [(inout Header) -> Void] = [
      { $0.client = 21 }, { $0.keyHash += 1 }, { $0.epoch = 2 }, { $0.version = 0 },
      { $0.flags = [.tombstone] }, { $0.flags = [.tombstone, .lost] }, { $0.generation = 3 },
      { $0.incarnation += 1 },
    ]
    for change in changes {
      var header = copy
      change(&header)
      #expect(pair.new.receive(Message(header, key: Array("x".utf8), value: [1])).isEmpty)
    }
    #expect(pair.new.storedVersion("x") == nil)
    #expect(pair.new.receive(Message(copy, key: Array("x".utf8), value: [1])).count == 1)
  }
}
