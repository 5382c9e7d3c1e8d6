import ServerCore
import Storage
import Testing
import Wire

/// A server that starts again with its rows.
@Suite struct DurabilityTests {
  /// A start of the server in which `rows` are all that is left.
  private func restarted(
    _ rows: MemoryRows, incarnation: UInt64 = 4_712, damaged: [Int] = []
  ) throws -> Harness {
    var harness = Harness(slots: false)
    harness.incarnation = incarnation
    harness.core = ServerCore(
      ServerConfiguration(
        number: 2, incarnation: incarnation, hashSeed: Harness.seed, sessionsMax: 64),
      journal: StateJournal(rows))
    for (key, value) in rows.rows {
      try key.withUnsafeBytes { key in
        try value.withUnsafeBytes { value in
          harness.core.restore(try #require(StateRow(key: key, value: value)))
        }
      }
    }
    harness.core.finishRestoring(damaged: damaged)
    harness.attempt = 1_000
    harness.version = Version.first(ofEpoch: 1) + 1_000
    return harness
  }

  /// As the controller believes the state of `predecessor`; 0: of nobody.
  private func admit(
    _ harness: inout Harness, predecessor: UInt64, generation: UInt64 = 50
  ) -> [Message] {
    harness.control(.admit, generation: generation) { $0.version = predecessor }
  }

  private func probe(_ harness: inout Harness) throws -> (header: Header, body: ProbeBody) {
    let answer = try #require(
      harness.control(.probe, generation: 0) { $0.incarnation = 0 }.first)
    return (answer.header, try ProbeBody(decoding: answer.value))
  }

  @Test func nothingIsServedBeforeTheControllerBelievesIt() throws {
    let rows = MemoryRows()
    var before = Harness(rows: rows)
    #expect(before.status(of: before.request(.set, "key", value: "value")) == .ok)

    var after = try restarted(rows)
    let offered = try probe(&after)
    #expect(offered.header.epoch == 1 && offered.header.generation == 10)
    #expect(offered.body.recovered == Harness.incarnation)
    #expect(offered.body.conditions == [.durable] && offered.body.keys == 1)
    #expect(after.status(of: after.request(.get, "key", generation: 60)) == .staleEpoch)

    #expect(admit(&after, predecessor: Harness.incarnation).first?.header.operation == .admitAck)
    let reply = after.reply(to: after.request(.get, "key", generation: 60))
    #expect(reply.header.status == .ok && reply.value == Array("value".utf8))
    let admitted = try probe(&after)
    #expect(admitted.header.epoch == 1 && admitted.body.recovered == 0)
    // The floor is that of the admission.
    #expect(after.status(of: after.request(.get, "key", generation: 49)) == .staleGeneration)
  }

  @Test func aResultIsSentAgainAndNotExecutedAgain() throws {
    let rows = MemoryRows()
    var before = Harness(rows: rows)
    let write = before.request(.set, "key", value: "first", sequence: 5, acknowledged: 3)
    let first = before.reply(to: write).header.version
    let delete = before.request(.delete, "gone", sequence: 6, acknowledged: 3)
    #expect(before.status(of: delete) == .ok)

    var after = try restarted(rows)
    _ = admit(&after, predecessor: Harness.incarnation)
    let retry = after.request(
      .set, "key", value: "first", sequence: 5, acknowledged: 3, generation: 60)
    let reply = after.reply(to: retry)
    #expect(reply.header.status == .ok && reply.header.version == first)
    #expect(!reply.header.flags.contains(.notHolder))
    #expect(after.reply(to: after.request(.get, "gone", generation: 60)).header.status == .notFound)
    #expect(after.core.stored(Array("gone".utf8))?.kind == .tombstone)
    // What is below the mark of a later write was finished before that was sent.
    let later = after.request(.set, "key", value: "second", sequence: 7, generation: 60)
    #expect(after.status(of: later) == .ok)
    after = try restarted(rows, incarnation: 4_713)
    _ = admit(&after, predecessor: 4_712)
    let late = after.request(
      .set, "key", value: "first", sequence: 5, acknowledged: 3, generation: 60)
    #expect(after.status(of: late) == .finished)
  }

  @Test func whatIsNotBelievedIsForgotten() throws {
    let rows = MemoryRows()
    var before = Harness(rows: rows)
    #expect(before.status(of: before.request(.set, "key", value: "value")) == .ok)
    before.fence("hot", 20)

    var after = try restarted(rows)
    var told = 0
    after.core.onForgetting = { told += 1 }
    _ = admit(&after, predecessor: 0)
    #expect(told == 1)
    after.setSlots([SlotRun(first: 0, count: 16_384)], generation: 50)
    #expect(after.storedVersion("key") == nil)
    #expect(after.status(of: after.request(.get, "key", generation: 60)) == .notFound)
    // Nor does the next start know of it.
    var next = try restarted(rows, incarnation: 4_713)
    #expect(try probe(&next).body.keys == 0)
    #expect(try probe(&next).body.recovered == 4_712)
    // A state that another incarnation has left is not believed either.
    #expect(after.status(of: after.request(.set, "key", value: "new", generation: 60)) == .ok)
    next = try restarted(rows, incarnation: 4_713)
    _ = admit(&next, predecessor: Harness.incarnation)
    #expect(next.storedVersion("key") == nil)
  }

  @Test func fencesFloorSlotsAndLossesAreKept() throws {
    let rows = MemoryRows()
    var before = Harness(rows: rows)
    let slot = KeyHash.slot(Harness.hash("lost"))
    before.setSlots(
      [SlotRun(first: UInt16(slot), count: 1, lossGeneration: 12)], generation: 13)
    before.fence("hot", 20)
    before.sync(
      "hot", 20, SyncBody(freshVersion: 0, lossGeneration: 12, evictedBirth: 3, entries: []))
    before.floor(15)

    var after = try restarted(rows)
    _ = admit(&after, predecessor: Harness.incarnation, generation: 16)
    #expect(after.core.floor == 16)
    #expect(after.status(of: after.request(.get, "lost", generation: 60)) == .lost)
    #expect(after.status(of: after.request(.get, "hot", generation: 60)) == .wrongServer)
    var sequence: UInt64 = 0
    func write(known: UInt64, first: UInt64, client: UInt64 = 7 << 22) -> Message {
      sequence += 1
      return after.request(
        .set, "hot", value: "v", client: client, sequence: sequence, generation: 60, known: known,
        first: first, hot: true)
    }
    #expect(after.status(of: write(known: 20, first: 20)) == .staleGeneration)
    #expect(after.status(of: write(known: 60, first: 11)) == .ambiguous)
    #expect(after.status(of: write(known: 60, first: 19, client: 3 << 22)) == .sessionLost)
    #expect(after.status(of: write(known: 60, first: 60)) == .ok)
    // A restart after the restart knows the same.
    after = try restarted(rows, incarnation: 4_713)
    _ = admit(&after, predecessor: 4_712, generation: 16)
    #expect(after.status(of: write(known: 20, first: 20)) == .staleGeneration)
  }

  @Test func aForgottenFenceIsNotRememberedByTheNextStart() throws {
    let rows = MemoryRows()
    var before = Harness(rows: rows)
    before.fence("hot", 20)
    before.copy("hot", "v", version: 5, generation: 20)
    before.setSlots([], generation: 21)
    before.floor(30)
    #expect(before.storedVersion("hot") == nil)
    var after = try restarted(rows)
    _ = admit(&after, predecessor: Harness.incarnation)
    #expect(try probe(&after).body.keys == 0)
    #expect(after.fence("other", 61).count == 1)
    #expect(rows.rows.keys.filter { $0.first == StateRow.Kind.fence.rawValue }.count == 1)
  }

  @Test func aNewEpochLearnsWhatWasRecovered() throws {
    let rows = MemoryRows()
    var before = Harness(rows: rows)
    #expect(before.status(of: before.request(.set, "key", value: "value")) == .ok)
    before.fence("hot", 20)

    func admit(_ harness: inout Harness, epoch: UInt16, predecessor: UInt64) {
      _ = harness.control(.admit, generation: Generation.first(ofEpoch: epoch)) {
        ($0.epoch, $0.version) = (epoch, predecessor)
      }
    }
    var after = try restarted(rows)
    admit(&after, epoch: 2, predecessor: Harness.incarnation)
    let learned = try #require(
      after.control(.learn, generation: Generation.first(ofEpoch: 2)) { $0.epoch = 2 }.first)
    let body = try LearnBody(decoding: learned.value)
    #expect(body.runs.map(\.count).reduce(0, +) == 16_384 && body.slotsGeneration == 10)
    #expect(body.keys.map(\.hash) == [Harness.hash("hot")])
    // Without slots of that epoch it has no say in it: the next start offers what it had before.
    after = try restarted(rows, incarnation: 4_713)
    #expect(try probe(&after).header.epoch == 1)
    #expect(try probe(&after).body.recovered == Harness.incarnation)
    admit(&after, epoch: 3, predecessor: Harness.incarnation)
    _ = after.control(
      .slotsSet, generation: Generation.first(ofEpoch: 3) + 1,
      value: SlotsBody(runs: [SlotRun(first: 0, count: 16_384)], keyHashes: []).encoded()
    ) { $0.epoch = 3 }
    #expect(after.storedVersion("key") == Version.first(ofEpoch: 1) + 1)
    after = try restarted(rows, incarnation: 4_714)
    #expect(try probe(&after).header.epoch == 3)
    #expect(try probe(&after).body.recovered == 4_713)
    #expect(rows.rows.keys.allSatisfy { $0.first != StateRow.Kind.fence.rawValue })
    #expect(after.storedVersion("key") == Version.first(ofEpoch: 1) + 1)
  }

  @Test func damagedSlotsAreLostAndNotNotFound() throws {
    let rows = MemoryRows()
    var before = Harness(rows: rows)
    let key = "key"
    let slot = KeyHash.slot(Harness.hash(key))
    #expect(before.status(of: before.request(.set, key, value: "value")) == .ok)
    rows.rows = rows.rows.filter { $0.key.first != StateRow.Kind.value.rawValue }

    var after = try restarted(rows, damaged: [slot])
    #expect(try probe(&after).body.conditions == [.durable, .damaged])
    after.core.recordEverything()
    // It is not forgotten if the server ends before anybody has heard of it.
    after = try restarted(rows, incarnation: 4_713)
    #expect(try probe(&after).body.conditions == [.durable, .damaged])
    _ = admit(&after, predecessor: Harness.incarnation)
    after.setSlots([SlotRun(first: 0, count: 16_384)], generation: 51)
    // Nor before every key that was hot has been through a transition.
    after = try restarted(rows, incarnation: 4_714)
    #expect(try probe(&after).body.conditions == [.durable, .damaged])
    _ = admit(&after, predecessor: 4_713)
    after.setSlots([SlotRun(first: 0, count: 16_384)], generation: 51)
    #expect(after.fence("another key of it", 55).first?.header.flags.contains(.lost) == false)
    #expect(after.fence(key, 55).first?.header.flags.contains(.lost) == true)
    after.floor(56, named: [key])
    #expect(try probe(&after).body.conditions == [.durable])
    #expect(after.status(of: after.request(.get, key, generation: 60)) == .lost)
    let retry = after.request(.set, key, value: "v", generation: 60, first: 49)
    #expect(after.status(of: retry) == .ambiguous)
    let fresh = after.request(.set, key, value: "new", sequence: 2, generation: 60)
    #expect(after.status(of: fresh) == .ok)
    #expect(after.status(of: after.request(.get, key, generation: 60)) == .ok)
    // Values of the slot that could be read are values.
    let other = (0...).lazy.map { "other \($0)" }.first { KeyHash.slot(Harness.hash($0)) != slot }
    #expect(
      after.status(of: after.request(.get, try #require(other), generation: 60)) == .notFound)
  }

  @Test func aFullDiskTakesNoWritesAndNoCopies() {
    let rows = MemoryRows()
    var harness = Harness(rows: rows)
    let write = harness.request(.set, "key", value: "value")
    #expect(harness.status(of: write) == .ok)
    harness.core.storage = .readOnly
    #expect(
      harness.status(of: harness.request(.set, "key", value: "2", sequence: 2, acknowledged: 1))
        == .busy)
    #expect(harness.copy("copy", "v", version: 9, generation: 20).isEmpty)
    #expect(harness.status(of: harness.request(.get, "key")) == .ok)
    // A result that is there already is no write.
    #expect(harness.status(of: write) == .ok)
    #expect(harness.fence("key", 20).count == 1)
    harness.core.storage = .writable
    let again = harness.request(.set, "key", value: "2", sequence: 2, generation: 30)
    #expect(harness.status(of: again) == .ok)
  }

  @Test func whatIsNotDurableIsNotShown() {
    let rows = MemoryRows()
    var harness = Harness(rows: rows)
    #expect(harness.status(of: harness.request(.set, "settled", value: "1")) == .ok)
    #expect(harness.status(of: harness.request(.set, "new", value: "1", sequence: 2)) == .ok)
    harness.core.storage = .stalled([Harness.hash("new")])
    #expect(harness.status(of: harness.request(.get, "settled")) == .ok)
    #expect(harness.status(of: harness.request(.get, "new")) == .busy)
    #expect(harness.status(of: harness.request(.set, "settled", value: "2", sequence: 3)) == .busy)
    #expect(harness.fence("settled", 20).isEmpty)
    #expect(harness.control(.probe, generation: 0).count == 1)
    #expect(harness.storedVersion("settled") == Version.first(ofEpoch: 1) + 1)
  }

  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func aRestartKnowsWhatTheServerKnew(seed: UInt64) throws {
    var random = Seeded(state: seed)
    let rows = MemoryRows()
    var harness = Harness(sessionsMax: 3, rows: rows)
    var incarnation = Harness.incarnation
    var generation: UInt64 = 30
    var sequence: [UInt64] = Array(repeating: 1, count: 5)
    for _ in 0..<300 {
      let key = "key \(random.next() % 12)"
      let client = Int(random.next() % 5)
      switch random.next() % 20 {
      case 0:
        generation += 2
        harness.fence(key, generation)
        harness.sync(
          key, generation,
          SyncBody(
            freshVersion: 0, lossGeneration: 0, evictedBirth: random.next() % 3,
            entries: [
              SessionEntry(
                client: (90 + random.next() % 3) << 22, sequence: 1 + random.next() % 9,
                version: 77, operation: .set, status: .ok)
            ]))
      case 1:
        generation += 1
        harness.floor(generation, named: [key])
      case 2:
        harness.setSlots(
          [SlotRun(first: UInt16(random.next() % 8000), count: 8000)], generation: generation)
      case 3:
        harness.copy(
          key, random.next() % 2 == 0 ? nil : "copy", version: harness.version + 1,
          generation: generation)
      default:
        _ = harness.receive(
          harness.request(
            random.next() % 4 == 0 ? .delete : .set, key,
            value: "", client: UInt64(100 + client) << 22, sequence: sequence[client],
            acknowledged: max(1, sequence[client] - min(sequence[client] - 1, 5)),
            generation: generation, known: generation + 1, hot: true))
        sequence[client] += 1
      }
      guard random.next() % 40 == 0 else { continue }
      var after = try restarted(rows, incarnation: incarnation + 1)
      _ = admit(&after, predecessor: incarnation, generation: generation)
      after.attempt = harness.attempt
      generation += 1
      for key in (0..<12).map({ "key \($0)" }) {
        let (old, new) = (harness.core.stored(Array(key.utf8)), after.core.stored(Array(key.utf8)))
        #expect(old?.version == new?.version && old?.kind == new?.kind && old?.value == new?.value)
        // What it knows of writes of this key, among others.
        let (known, told) = (
          try entries(harness.fence(key, generation)), try entries(after.fence(key, generation))
        )
        #expect(known.birth == told.birth)
        // The last marks are not written down without a result.
        #expect(known.entries.isSubset(of: told.entries))
      }
      #expect(harness.core.floor <= after.core.floor)
      after.version = harness.version
      harness = after
      generation += 1
      harness.setSlots([SlotRun(first: 0, count: 16_384)], generation: generation)
      incarnation += 1
    }
  }

  private func entries(
    _ answers: [Message]
  ) throws -> (birth: UInt64, entries: Set<SessionEntry>) {
    let bodies = try answers.map { try FenceAckBody(decoding: $0.value) }
    return (bodies.first?.evictedBirth ?? 0, Set(bodies.flatMap(\.entries)))
  }
}
