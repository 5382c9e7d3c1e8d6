import ClientCore
import Testing
import Wire

@Suite struct HostileInputTests {
  /// A client with a read and a write out, and what it sent.
  private func makeClient() throws -> (core: ClientCore, sent: [Message]) {
    var core = ClientCore(
      ClientConfiguration(client: ClientIdentity.make(birth: 1_000, random: 5)), randomSeed: 9)
    var sent: [Message] = []
    func take(_ effects: [ClientEffect]) throws {
      for case .send(let bytes) in effects { sent.append(try Message(datagram: bytes)) }
    }
    try take(core.submit(.get(key: [1]), token: 1, now: 0))
    try take(core.receive(reply(to: sent[0], generation: 7)))
    sent = []
    try take(core.submit(.get(key: [1]), token: 2, now: 0))
    try take(core.submit(.set(key: [2], value: [3]), token: 3, now: 0))
    return (core, sent)
  }

  private func reply(to message: Message, generation: UInt64) -> [UInt8] {
    var header = message.header.reply(.ok)
    header.epoch = 1
    header.generation = generation
    header.version = 5
    return Message(header, value: [1, 2, 3]).encoded()
  }

  @Test func noDatagramCrashesIt() throws {
    var (core, sent) = try makeClient()
    let corpus = sent.map { reply(to: $0, generation: 8) }
    var random = Seeded(state: 1)
    for now in UInt64(0)..<200_000 {
      _ = core.receive(random.mutated(corpus), now: now)
      if core.unfinished < 2 { (core, sent) = try makeClient() }
    }
  }

  @Test func whatIsNotForThisClientChangesNothing() throws {
    var (core, sent) = try makeClient()
    let corpus = sent.map { reply(to: $0, generation: 1 << 60) }
    let deadline = core.nextDeadline
    var random = Seeded(state: 2)
    for _ in 0..<200_000 {
      var bytes = random.mutated(corpus)
      // Whatever else it says, it is never addressed to this client.
      if bytes.count >= 64 { bytes.replaceSubrange(56..<64, with: random.bytes(8)) }
      #expect(core.receive(bytes, now: 1).isEmpty)
    }
    #expect(core.unfinished == 2 && core.nextDeadline == deadline)
    // Nothing was learnt: neither a generation nor that the rack is alive.
    let effects = core.submit(.get(key: [4]), token: 4, now: 2)
    guard case .send(let bytes)? = effects.first else { throw WireError.wrongMagic }
    #expect(try Message(datagram: bytes).header.knownGeneration == 7)
    #expect(
      core.receive(reply(to: sent[0], generation: 7), now: 3)
        == [.complete(token: 2, .value([1, 2, 3], version: 5))])
  }
}

extension ClientCore {
  fileprivate mutating func receive(_ bytes: [UInt8], now: UInt64 = 0) -> [ClientEffect] {
    bytes.withUnsafeBytes { receive($0, now: now) }
  }
}

/// Seeded random numbers (SplitMix64).
private struct Seeded: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }

  mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(next() & 0xff) } }

  /// One of the corpus with some bytes changed and perhaps its end cut off, or pure noise.
  mutating func mutated(_ corpus: [[UInt8]]) -> [UInt8] {
    if next() % 16 == 0 { return bytes(Int(next() % 300)) }
    var bytes = corpus[Int(next() % UInt64(corpus.count))]
    for _ in 0..<next() % 6 { bytes[Int(next() % UInt64(bytes.count))] = UInt8(next() & 0xff) }
    if next() % 8 == 0 { bytes.removeLast(Int(next() % UInt64(bytes.count))) }
    return bytes
  }
}
