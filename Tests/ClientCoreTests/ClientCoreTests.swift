import ClientCore
import Testing
import Wire

private let millisecond: UInt64 = 1_000_000

/// A client with what it sent and how its requests ended.
private struct Harness {
  var core: ClientCore
  var sent: [Message] = []
  var ended: [UInt64: ClientOutcome] = [:]
  var now: UInt64 = 1_000 * millisecond

  init(deadline: UInt64 = 500 * millisecond) {
    core = ClientCore(
      ClientConfiguration(
        client: ClientIdentity.make(birth: 1_000, random: 5), deadline: deadline), randomSeed: 9)
  }

  mutating func take(_ effects: [ClientEffect]) {
    for effect in effects {
      switch effect {
      case .send(let bytes):
        if let message = try? Message(datagram: bytes) { sent.append(message) }
      case .complete(let token, let outcome):
        #expect(ended[token] == nil, "a request ends once")
        ended[token] = outcome
      }
    }
  }

  mutating func submit(_ request: ClientRequest, token: UInt64) {
    take(core.submit(request, token: token, now: now))
  }

  mutating func answer(
    _ message: Message, _ status: Status, version: UInt64 = 0, generation: UInt64 = 3,
    epoch: UInt16 = 1, value: [UInt8] = []
  ) {
    var header = message.header.reply(status)
    header.version = version
    header.generation = generation
    header.epoch = epoch
    let bytes = Message(header, value: value).encoded()
    take(bytes.withUnsafeBytes { core.receive($0, now: now) })
  }

  /// Advances to the next deadline.
  mutating func wait() {
    guard let next = core.nextDeadline else { return }
    now = max(now, next)
    take(core.advance(to: now))
  }

  /// Answers the HELLO that comes before the first write.
  mutating func greet(generation: UInt64 = 3) {
    submit(.get(key: [1]), token: 1_000_000)
    answer(sent.removeLast(), .notFound, generation: generation)
    ended[1_000_000] = nil
  }
}

@Suite struct ClientCoreTests {
  @Test func aWriteAfterSilenceIsPrecededByHello() {
    var harness = Harness()
    harness.submit(.set(key: [1], value: [2]), token: 1)
    #expect(harness.sent.map(\.header.operation) == [.hello])
    harness.answer(harness.sent[0], .ok, generation: 8)
    #expect(harness.sent.count == 2)
    let write = harness.sent[1].header
    #expect(write.operation == .set)
    #expect(write.firstGeneration == 8 && write.knownGeneration == 8)
    harness.answer(harness.sent[1], .ok, version: 77)
    #expect(harness.ended[1] == .written(version: 77))
  }

  @Test func helloIsRepeatedAndAWriteThatWasNeverSentFails() {
    var harness = Harness()
    harness.submit(.set(key: [1], value: [2]), token: 1)
    while harness.ended[1] == nil { harness.wait() }
    #expect(harness.sent.count > 2)
    #expect(harness.sent.allSatisfy { $0.header.operation == .hello })
    #expect(harness.ended[1] == .failed(.timedOut))
    #expect(harness.core.nextDeadline == nil)
  }

  @Test func aRetryKeepsItsIdAndFirstGenerationAndTellsTheKnownOne() {
    var harness = Harness()
    harness.greet(generation: 3)
    harness.submit(.set(key: [1], value: [2]), token: 1)
    harness.submit(.get(key: [2]), token: 2)
    harness.answer(harness.sent[1], .ok, generation: 9)
    harness.wait()
    let (first, retry) = (harness.sent[0].header, harness.sent[2].header)
    #expect(retry.sequence == first.sequence && retry.client == first.client)
    #expect(retry.flags.contains(.retry) && !first.flags.contains(.retry))
    #expect(retry.firstGeneration == 3 && retry.knownGeneration == 9)
  }

  @Test func staleGenerationIsAskedAgainAtOnceWithTheNewOne() {
    var harness = Harness()
    harness.greet(generation: 3)
    harness.submit(.set(key: [1], value: [2]), token: 1)
    harness.answer(harness.sent[0], .staleGeneration, generation: 5)
    #expect(harness.sent.count == 2)
    #expect(harness.sent[1].header.knownGeneration == 5)
    // Told again what it already knows, it waits instead of looping.
    harness.answer(harness.sent[1], .staleGeneration, generation: 5)
    #expect(harness.sent.count == 2)
    harness.wait()
    #expect(harness.sent.count == 3)
  }

  @Test(arguments: [Status.frozen, .busy, .behind, .wrongServer, .otherKey, .staleEpoch])
  func aRefusalIsRetriedWithGrowingPatience(_ status: Status) {
    var harness = Harness(deadline: 60_000 * millisecond)
    harness.greet()
    harness.submit(.set(key: [1], value: [2]), token: 1)
    var waits: [UInt64] = []
    for _ in 0..<8 {
      let sentAt = harness.now
      harness.answer(harness.sent[harness.sent.count - 1], status)
      harness.wait()
      waits.append(harness.now - sentAt)
    }
    #expect(harness.sent.count == 9)
    #expect(Set(harness.sent.map(\.header.sequence)).count == 1)
    #expect(waits[7] > waits[0] * 8)
    #expect(harness.ended.isEmpty)
  }

  @Test func aWriteWithoutAnAnswerIsUnknownAndAReadFails() {
    var harness = Harness()
    harness.greet()
    harness.submit(.set(key: [1], value: [2]), token: 1)
    harness.submit(.get(key: [1]), token: 2)
    while harness.ended.count < 2 { harness.wait() }
    #expect(harness.ended[1] == .unknown(.timedOut))
    #expect(harness.ended[2] == .failed(.timedOut))
  }

  @Test func evenARefusedWriteIsUnknownAtItsDeadline() {
    var harness = Harness()
    harness.greet()
    harness.submit(.delete(key: [1]), token: 1)
    while harness.ended[1] == nil {
      harness.answer(harness.sent[harness.sent.count - 1], .busy)
      harness.wait()
    }
    #expect(harness.ended[1] == .unknown(.timedOut))
  }

  @Test func atMost64AreOutstandingCountedFromTheOldest() {
    var harness = Harness()
    harness.greet()
    for token in UInt64(0)..<100 { harness.submit(.get(key: [1]), token: token) }
    #expect(harness.sent.count == 64)
    // All but the oldest end: the window does not move, since the mark does not.
    for message in Array(harness.sent[1..<64]) { harness.answer(message, .notFound) }
    #expect(harness.sent.count == 64)
    harness.answer(harness.sent[0], .notFound)
    #expect(harness.sent.count == 100)
    #expect(
      harness.sent.allSatisfy {
        $0.header.sequence - $0.header.acknowledged < UInt64(WireLimits.outstandingMax)
      })
    #expect(harness.sent[99].header.acknowledged == harness.sent[0].header.sequence + 64)
  }

  @Test func aLostSessionEndsTheWriteAsUnknownAndBeginsAYoungerOne() {
    var harness = Harness()
    harness.greet()
    let before = harness.core.client
    harness.submit(.set(key: [1], value: []), token: 1)
    harness.answer(harness.sent[0], .sessionLost, version: 123_456)
    #expect(harness.ended[1] == .unknown(.sessionLost))
    #expect(harness.core.client != before)
    #expect(ClientIdentity.birth(of: harness.core.client) > 123_456)
    harness.submit(.set(key: [1], value: []), token: 2)
    #expect(harness.sent[1].header.client == harness.core.client)
    #expect(harness.sent[1].header.sequence == 1)
  }

  @Test func whatIsTheSameEveryTimeFailsAndWhatNobodyKnowsIsUnknown() {
    for (status, outcome): (Status, ClientOutcome) in [
      (.tooLarge, .failed(.refused(.tooLarge))), (.malformed, .failed(.refused(.malformed))),
      (.unsupported, .failed(.refused(.unsupported))), (.wrongHash, .failed(.refused(.wrongHash))),
      (.ambiguous, .unknown(.ambiguous)),
    ] {
      var harness = Harness()
      harness.greet()
      harness.submit(.set(key: [1], value: []), token: 1)
      harness.answer(harness.sent[0], status)
      #expect(harness.ended[1] == outcome)
    }
    var harness = Harness()
    harness.submit(.get(key: [1]), token: 1)
    harness.answer(harness.sent[0], .lost)
    #expect(harness.ended[1] == .failed(.lost))
  }

  @Test func badKeysAndBodiesAreRefusedUnsent() {
    var harness = Harness()
    harness.submit(.get(key: []), token: 1)
    harness.submit(.get(key: Array(repeating: 1, count: 251)), token: 2)
    harness.submit(.set(key: [1], value: Array(repeating: 1, count: 1_316)), token: 3)
    #expect(harness.sent.isEmpty)
    #expect(harness.ended[1] == .failed(.keyLength(0)))
    #expect(harness.ended[2] == .failed(.keyLength(251)))
    #expect(harness.ended[3] == .failed(.tooLarge(1_317)))
  }

  @Test func duplicatesStrangersAndOlderEpochsChangeNothing() {
    var harness = Harness()
    harness.greet()
    harness.submit(.get(key: [1]), token: 1)
    let asked = harness.sent[0]
    harness.answer(asked, .ok, epoch: 0)
    #expect(harness.ended[1] == nil)
    var stranger = asked
    stranger.header.client = 99
    harness.answer(stranger, .ok)
    var otherOperation = asked
    otherOperation.header.operation = .set
    harness.answer(otherOperation, .ok)
    #expect(harness.ended[1] == nil)
    harness.answer(asked, .ok, version: 5, value: [7])
    #expect(harness.ended[1] == .value([7], version: 5))
    harness.answer(asked, .notFound)
    #expect(harness.ended[1] == .value([7], version: 5))
  }

  @Test func noDatagramCrashesIt() {
    var harness = Harness()
    harness.greet()
    harness.submit(.get(key: [1]), token: 1)
    let reply = Message(harness.sent[0].header.reply(.ok), value: [1, 2, 3]).encoded()
    var state: UInt64 = 1
    for _ in 0..<50_000 {
      var bytes = reply
      for _ in 0..<3 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        bytes[Int(state >> 33) % bytes.count] = UInt8(truncatingIfNeeded: state >> 24)
      }
      if state & 0xff == 0 { bytes.removeLast(Int(state >> 40) % bytes.count) }
      harness.take(bytes.withUnsafeBytes { harness.core.receive($0, now: harness.now) })
    }
    #expect(harness.core.unfinished <= 1)
  }
}
