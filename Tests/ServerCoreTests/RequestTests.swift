import ServerCore
import Testing
import Wire

@Suite struct RequestTests {
  @Test func valuesAreWrittenReadAndDeletedWithTheirVersions() {
    var server = Harness()
    #expect(server.status(of: server.request(.get, "a")) == .notFound)
    let write = server.request(.set, "a", value: "one")
    let written = server.reply(to: write).header
    #expect(written.status == .ok && written.version == write.header.version)
    #expect(written.flags == [.reply] && written.server == 2 && written.load == 3)
    #expect(written.incarnation == Harness.incarnation && written.returnPath == 0x1234)
    let read = server.reply(to: server.request(.get, "a", version: write.header.version))
    #expect(read.header.status == .ok && read.value == Array("one".utf8) && read.key.isEmpty)
    #expect(read.header.version == write.header.version)
    let delete = server.request(.delete, "a", sequence: 2)
    let deleted = server.reply(to: delete).header
    #expect(deleted.status == .ok && deleted.flags.contains(.tombstone))
    let gone = server.reply(to: server.request(.get, "a")).header
    #expect(gone.status == .notFound && gone.version == delete.header.version)
    #expect(gone.flags.contains(.tombstone))
    #expect(server.status(of: server.request(.delete, "never", sequence: 3)) == .ok)
  }

  @Test func aRetryGetsTheFirstResultAndTakesNoEffect() {
    var server = Harness()
    let first = server.request(.set, "a", value: "one")
    _ = server.reply(to: first)
    // The same request, stamped with another version.
    let again = server.reply(to: server.request(.set, "a", value: "one"))
    #expect(again.header.status == .ok && again.header.version == first.header.version)
    #expect(!again.header.flags.contains(.notHolder))
    #expect(server.storedVersion("a") == first.header.version)
    #expect(
      server.status(of: server.request(.set, "b", value: "one")) == .malformed,
      "one number for two keys")
    _ = server.reply(to: server.request(.set, "a", value: "two", sequence: 2))
    #expect(server.status(of: first) == .finished)
  }

  @Test func aSmallerVersionIsAcknowledgedButNotApplied() {
    var server = Harness()
    let early = server.request(.set, "a", value: "early", sequence: 1, acknowledged: 1)
    let late = server.request(
      .set, "a", value: "late", sequence: 2, acknowledged: 1, copyTargets: 1)
    _ = server.reply(to: late)
    let answers = server.receive(early)
    #expect(answers.count == 1, "what was not applied is not copied")
    #expect(answers[0].message.header.version == early.header.version)
    #expect(answers[0].message.header.status == .ok)
    #expect(server.storedVersion("a") == late.header.version)
  }

  @Test func whatIsForOtherEarsIsNotAnswered() {
    var server = Harness()
    let good = server.request(.set, "a", value: "v")
    func expectSilence(_ why: Comment, _ change: (inout Message) -> Void) {
      var message = good
      change(&message)
      #expect(server.receive(message).isEmpty, why)
    }
    expectSilence("another server") { $0.header.server = 3 }
    expectSilence("another incarnation") { $0.header.incarnation += 1 }
    expectSilence("a reply") { $0.header.flags.insert(.reply) }
    expectSilence("no client") { $0.header.client = 0 }
    expectSilence("no key") { $0.key = [] }
    expectSilence("no version") { $0.header.version = 0 }
    expectSilence("too many outstanding") { $0.header.sequence += 64 }
    expectSilence("a status") { $0.header.status = .busy }
    expectSilence("a delete with a value") { $0.header.operation = .delete }
    expectSilence("hello is the directory's to answer") { $0.header.operation = .hello }
    expectSilence("an answer of the controller's") { $0.header.operation = .probeAck }
    for operation: Operation in [.fence, .sync, .floor, .slotsSet, .admit, .probe, .copyOrder] {
      expectSilence("the controller's, from elsewhere") { $0.header.operation = operation }
    }
    #expect(server.storedVersion("a") == nil)
    #expect(server.status(of: good) == .ok)
  }

  @Test func refusalsNameTheirReasonAndChangeNothing() {
    var server = Harness()
    server.setSlots([SlotRun(first: 0, count: 8_192)], generation: 11)
    let mine = (0..<100).map { "key\($0)" }.first { KeyHash.slot(Harness.hash($0)) < 8_192 } ?? ""
    let others =
      (0..<100).map { "key\($0)" }.first { KeyHash.slot(Harness.hash($0)) >= 8_192 } ?? ""
    var message = server.request(.set, mine, value: "v")
    message.header.keyHash += 1
    #expect(server.status(of: message) == .wrongHash)
    message = server.request(.set, mine, value: "v")
    message.header.operation = .incr
    #expect(server.status(of: message) == .unsupported)
    #expect(server.status(of: server.request(.set, others, value: "v")) == .wrongServer)
    #expect(server.status(of: server.request(.get, others)) == .wrongServer)
    #expect(server.status(of: server.request(.get, mine, version: 1)) == .behind)
    #expect(server.status(of: server.request(.get, mine, generation: 9)) == .staleGeneration)
    #expect(server.status(of: server.request(.set, mine, generation: 9)) == .staleGeneration)
    // Stamped late, but sent by a client that knew too little.
    #expect(
      server.status(of: server.request(.set, mine, generation: 10, known: 9)) == .staleGeneration)
    #expect(server.storedVersion(mine) == nil && server.storedVersion(others) == nil)
    #expect(server.status(of: server.request(.set, others, value: "v", hot: true)) == .ok)
    #expect(server.core.totals.refused == 8)
  }

  @Test func repliesToOtherEpochsCarryTheNewerOne() {
    var server = Harness()
    var message = server.request(.set, "a", value: "v", generation: 500)
    message.header.epoch = 0
    var reply = server.reply(to: message).header
    #expect(reply.status == .staleEpoch && reply.epoch == 1)
    #expect(reply.generation == 10, "of this epoch: that of the old one would mislead the client")
    message.header.epoch = 2
    reply = server.reply(to: message).header
    #expect(reply.status == .staleEpoch && reply.epoch == 2 && reply.generation == 500)
    #expect(server.storedVersion("a") == nil)
  }

  @Test func aServerThatWasNotAdmittedServesNothing() {
    var fresh = ServerCore(
      ServerConfiguration(number: 2, incarnation: Harness.incarnation, hashSeed: Harness.seed))
    var server = Harness()
    swap(&fresh, &server.core)
    #expect(server.status(of: server.request(.get, "a")) == .staleEpoch)
    #expect(server.status(of: server.request(.set, "a", hot: true)) == .staleEpoch)
    #expect(server.fence("a", 20).isEmpty)
    let probe = server.control(.probe, generation: 0) { $0.incarnation = 0 }
    #expect(probe.first?.header.epoch == 0)
    #expect(probe.first?.header.incarnation == Harness.incarnation)
  }

  @Test func aFullQueueAnswersBusyAndDropsCopies() {
    var server = Harness()
    server.fence("a", 12)
    var output = Outbox()
    let write = server.request(.set, "a", value: "v", generation: 11).encoded()
    write.withUnsafeBytes { server.core.refuseBusy($0, load: 200, output: &output) }
    #expect(output.sent.map(\.message.header.status) == [.busy])
    #expect(output.sent[0].message.header.load == 200)
    #expect(output.sent[0].message.header.generation == 12)
    var copy = server.header(.copy, generation: 12, version: 5)
    copy.keyHash = Harness.hash("a")
    let bytes = Message(copy, key: Array("a".utf8)).encoded()
    bytes.withUnsafeBytes { server.core.refuseBusy($0, load: 200, output: &output) }
    #expect(output.sent.count == 1 && server.storedVersion("a") == nil)
    #expect(write.withUnsafeBytes { ServerCore.service(of: $0) } == .request)
    #expect(bytes.withUnsafeBytes { ServerCore.service(of: $0) } == .copy)
    let fence = Message(server.header(.fence, generation: 1)).encoded()
    #expect(fence.withUnsafeBytes { ServerCore.service(of: $0) } == .atOnce)
  }

  @Test func aForgottenClientIsToldHowYoungItHasToBe() {
    var server = Harness(sessionsMax: 2)
    for birth in UInt64(1)...3 {
      #expect(server.status(of: server.request(.set, "a", client: birth << 22)) == .ok)
    }
    let reply = server.reply(to: server.request(.set, "a", client: 1 << 22, sequence: 2)).header
    #expect(reply.status == .sessionLost && reply.version == 1)
    #expect(server.status(of: server.request(.get, "a", client: 1 << 22)) == .ok)
  }
}
