import CAllocations
import ServerCore
import Testing
import Wire

/// Counts, without keeping anything.
private struct Counter: ServerOutput {
  var sent = 0

  mutating func send(
    _ header: Header, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer,
    to destination: ServerDestination
  ) { sent += 1 }
}

/// All that can be seen of a server's state.
private struct Snapshot: Equatable {
  var stored: [String: UInt64] = [:]
  var floor: UInt64
  var epoch: UInt16
  var totals: ProbeBody
  var fences: [[Status]]

  init(_ server: inout Harness, keys: [String]) {
    (floor, epoch, totals) = (server.core.floor, server.core.epoch, server.core.totals)
    for key in keys { stored[key] = server.storedVersion(key) }
    fences = keys.map { server.fence($0, 12).map(\.header.status) }
  }
}

@Suite struct HostileInputTests {
  static let keys = ["a", "b", "c"]

  /// One good datagram of every kind.
  private func corpus(_ server: inout Harness) -> [[UInt8]] {
    var messages = [
      server.request(.set, "a", value: "value", hot: true, copyTargets: 3),
      server.request(.get, "b"), server.request(.delete, "c", sequence: 3),
    ]
    for operation: Operation in [
      .copy, .copyOrder, .fence, .sync, .floor, .slotsSet, .probe, .admit, .learn, .renew,
    ] {
      var header = server.header(operation, generation: 12, version: 77)
      header.keyHash = Harness.hash("a")
      header.copyTargets = 3
      let value: [UInt8] =
        switch operation {
        case .sync: SyncBody(freshVersion: 9, evictedBirth: 3, entries: []).encoded()
        case .floor: FloorBody(keyHashes: [1, 2]).encoded()
        case .slotsSet: SlotsBody(runs: [SlotRun(first: 0, count: 9)], keyHashes: [4]).encoded()
        case .copy: [1, 2, 3]
        default: []
        }
      messages.append(Message(header, key: Array("a".utf8), value: value))
    }
    return messages.map { $0.encoded() }
  }

  @Test func noDatagramCrashesAServerWhereverItComesFrom() {
    var server = Harness()
    let corpus = corpus(&server)
    var random = Seeded(state: 1)
    for round in 0..<200_000 {
      var bytes = corpus[Int(random.next() % UInt64(corpus.count))]
      for _ in 0..<random.next() % 6 {
        let place = Int(random.next() % UInt64(bytes.count))
        bytes[place] = random.next() % 2 == 0 ? UInt8(random.next() & 0xff) : bytes[place] ^ 1
      }
      if random.next() % 8 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count))) }
      if random.next() % 16 == 0 {
        bytes = (0..<random.next() % 300).map { _ in UInt8(random.next() & 0xff) }
      }
      var output = Counter()
      bytes.withUnsafeBytes { bytes in
        server.core.receive(
          bytes, fromDirectory: round % 2 == 0, load: 0, lateness: 0, output: &output)
        server.core.refuseBusy(bytes, load: 1, output: &output)
        _ = ServerCore.service(of: bytes)
      }
    }
  }

  @Test func whatIsNotAddressedToTheServerChangesNothing() {
    var server = Harness()
    for (number, key) in Self.keys.enumerated() {
      _ = server.reply(
        to: server.request(.set, key, value: "v", client: 9 << 22, sequence: UInt64(number + 1)))
    }
    let corpus = corpus(&server)
    let before = Snapshot(&server, keys: Self.keys)
    var random = Seeded(state: 2)
    var output = Counter()
    for _ in 0..<200_000 {
      var bytes = corpus[Int(random.next() % UInt64(corpus.count))]
      // Any bytes changed, but the incarnation is never right, as for whoever cannot see it.
      for _ in 0..<random.next() % 6 {
        bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(random.next() & 0xff)
      }
      for place in 32..<40 { bytes[place] = UInt8(random.next() & 0xff) }
      if random.next() % 8 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count))) }
      bytes.withUnsafeBytes {
        server.core.receive($0, fromDirectory: false, load: 0, lateness: 0, output: &output)
        server.core.refuseBusy($0, load: 1, output: &output)
      }
    }
    #expect(output.sent == 0, "and nobody is answered")
    #expect(Snapshot(&server, keys: Self.keys) == before)
  }

  @Test func servingARequestAllocatesNothing() {
    var server = Harness()
    server.fence("key 7", 11)
    struct Attempt {
      var bytes: [UInt8]
    }
    func round(_ number: UInt64) -> [Attempt] {
      (UInt64(0)..<50).flatMap { index -> [Attempt] in
        let key = "key \(index)"
        let value = String(repeating: "v", count: number % 2 == 0 ? 30 : 300)
        let write = server.request(
          index % 10 == 9 ? .delete : .set, key, value: index % 10 == 9 ? "" : value,
          client: (index + 1) << 22, sequence: number, generation: 12, hot: true, copyTargets: 3)
        let read = server.request(.get, key, generation: 12, hot: index % 2 == 0)
        var copy = server.header(.copy, generation: 12, version: server.version)
        copy.keyHash = Harness.hash("copy \(index)")
        let copied = Message(copy, key: Array("copy \(index)".utf8), value: Array(value.utf8))
        return [write, read, write, copied].map { Attempt(bytes: $0.encoded()) }
      }
    }
    func serve(_ attempts: [Attempt], _ output: inout Counter) -> UInt64 {
      var taken: UInt64 = 0
      for attempt in attempts {
        attempt.bytes.withUnsafeBytes {
          let before = callocations_count()
          server.core.receive($0, fromDirectory: false, load: 1, lateness: 0, output: &output)
          taken += callocations_count() - before
        }
      }
      return taken
    }
    var output = Counter()
    for number in UInt64(1)...4 { _ = serve(round(number), &output) }
    output.sent = 0
    var taken: UInt64 = 0
    for number in UInt64(5)...54 { taken += serve(round(number), &output) }
    #expect(taken == 0)
    // Of each: a reply and two copies to a write, the reply to its repetition, read and copy.
    #expect(output.sent == 50 * 50 * 6)
  }
}
