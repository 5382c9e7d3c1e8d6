import ServerCore
import Storage
import Testing
import Wire

@Suite struct TransitionTests {
  @Test func aFenceReportsVersionAndUnfinishedWritesAndRefusesOlderOnes() throws {
    var server = Harness()
    let write = server.request(.set, "a", value: "v", sequence: 4)
    _ = server.reply(to: write)
    let answer = try #require(server.fence("a", 12).first)
    #expect(answer.header.operation == .fenceAck && answer.header.status == .ok)
    #expect(answer.header.version == write.header.version && answer.key == Array("a".utf8))
    #expect(answer.header.sequence == server.attempt && answer.header.generation == 12)
    let entries = try FenceAckBody(decoding: answer.value).entries
    #expect(entries.map(\.sequence) == [4] && entries[0].version == write.header.version)
    // Stamped before the fence; stamped after it by a client that has not heard of it; above it.
    let one = server.request(.set, "a", sequence: 5, generation: 11)
    let reply = server.reply(to: one).header
    #expect(reply.status == .staleGeneration && reply.generation == 12)
    #expect(
      server.status(of: server.request(.set, "a", sequence: 5, generation: 13, known: 12))
        == .staleGeneration)
    #expect(
      server.status(of: server.request(.set, "a", sequence: 5, generation: 13, known: 13)) == .ok)
    #expect(server.status(of: server.request(.set, "b", sequence: 6, generation: 11)) == .ok)
  }

  @Test func everyReplyCarriesTheKeysFence() {
    var server = Harness()
    let write = server.request(.set, "a", value: "v")
    _ = server.reply(to: write)
    server.fence("a", 12)
    #expect(server.reply(to: server.request(.get, "a")).header.generation == 12)
    let again = server.reply(to: write).header
    #expect(again.status == .ok && again.generation == 12)
    #expect(server.reply(to: server.request(.get, "a", version: 1 << 60)).header.generation == 12)
    #expect(server.reply(to: server.request(.get, "b")).header.generation == 10)
    let copied = server.copy("a", "w", version: write.header.version + 1, generation: 14)
    #expect(copied.map(\.destination) == [.directory])
    #expect(copied[0].message.header.operation == .copyAck)
    #expect(copied[0].message.header.generation == 14)
    #expect(copied[0].message.header.flags == [])
  }

  @Test func olderAndRepeatedFencesAreHarmless() {
    var server = Harness()
    #expect(server.fence("a", 12).count == 1)
    #expect(server.fence("a", 12).count == 1)
    #expect(server.fence("a", 11).isEmpty)
    #expect(server.fence("a", 10).isEmpty, "not above the floor")
    #expect(server.fence("a", 13).first?.header.status == .notFound)
    #expect(
      server.status(of: server.request(.set, "a", generation: 12)) == .staleGeneration)
  }

  @Test func manySessionEntriesComeInParts() throws {
    var server = Harness()
    for number in UInt64(1)...100 {
      _ = server.reply(to: server.request(.set, "a", client: number << 22))
    }
    let answers = server.fence("a", 12)
    let bodies = try answers.map { try FenceAckBody(decoding: $0.value) }
    #expect(answers.count == 2 && answers.map(\.header.part) == [0, 1])
    #expect(answers.allSatisfy { $0.header.parts == 2 })
    #expect(bodies.flatMap(\.entries).count == 64, "64 sessions are remembered")
    #expect(bodies.allSatisfy { $0.evictedBirth == 36 })
  }

  @Test func twoKeysOfOneHashAreToldApart() {
    var server = Harness()
    let (hot, other) = Harness.keysOfOneHash
    #expect(hot != other && Harness.hash(hot) == Harness.hash(other))
    _ = server.reply(to: server.request(.set, other, value: "other", sequence: 1))
    server.fence(hot, 12)
    // Steered as if it were the hot key.
    #expect(server.status(of: server.request(.get, other, generation: 13, hot: true)) == .otherKey)
    #expect(
      server.status(of: server.request(.set, other, sequence: 2, generation: 13, hot: true))
        == .otherKey)
    #expect(server.fence(other, 13).first?.header.status == .otherKey)
    #expect(server.copy(other, "v", version: 1 << 60, generation: 13).isEmpty)
    #expect(server.sync(other, 12, SyncBody(entries: [])).isEmpty)
    // Steered to its home it is served, and the fence is not its own.
    #expect(server.reply(to: server.request(.get, other)).value == Array("other".utf8))
    #expect(server.status(of: server.request(.set, other, sequence: 2, generation: 11)) == .ok)
    #expect(
      server.status(of: server.request(.set, hot, sequence: 3, generation: 13, hot: true)) == .ok)
    #expect(server.reply(to: server.request(.get, hot)).header.status == .ok)
    // While the hash has an entry, the floor leaves it known which key it stands for.
    server.floor(20, named: [hot])
    #expect(server.status(of: server.request(.get, other, generation: 20, hot: true)) == .otherKey)
    server.floor(21)
    #expect(server.fence(other, 22).first?.header.status == .ok)
  }

  @Test func aSyncedResultIsSentAgainWithoutClaimingTheValue() {
    var server = Harness()
    server.fence("a", 12)
    let entry = SessionEntry(
      client: 7 << 22, sequence: 1, version: 900, operation: .delete, status: .ok)
    let answers = server.sync("a", 12, SyncBody(entries: [entry]))
    #expect(answers.map(\.header.status) == [.ok])
    let reply = server.reply(to: server.request(.delete, "a", generation: 13)).header
    #expect(reply.status == .ok && reply.version == 900)
    #expect(reply.flags == [.reply, .notHolder, .tombstone])
    server.copy("a", nil, version: 900, generation: 13)
    #expect(
      server.reply(to: server.request(.delete, "a", generation: 13)).header.flags
        == [.reply, .tombstone])
  }

  @Test func aSyncedResultIsAmbiguousOnceItsValueMayBeLost() {
    var server = Harness()
    server.fence("a", 12)
    let entry = SessionEntry(
      client: 7 << 22, sequence: 1, version: 900, operation: .set, status: .ok)
    _ = server.sync("a", 12, SyncBody(entries: [entry]))
    // The server that had the value is lost; the next transition tells of it.
    server.fence("a", 15)
    _ = server.sync("a", 15, SyncBody(lossGeneration: 14, entries: []))
    #expect(
      server.status(of: server.request(.set, "a", generation: 16, known: 16, first: 11))
        == .ambiguous)
  }

  @Test func syncIsOnlyForThePresentFence() {
    var server = Harness()
    #expect(server.sync("a", 12, SyncBody(entries: [])).isEmpty)
    server.fence("a", 12)
    #expect(server.sync("a", 11, SyncBody(entries: [])).isEmpty)
    #expect(server.sync("a", 13, SyncBody(entries: [])).isEmpty)
    #expect(server.control(.sync, "a", generation: 12, value: [1, 2, 3]).isEmpty)
    #expect(server.sync("a", 12, SyncBody(entries: [])).count == 1)
  }

  @Test func aServerThatIsBehindMergesTheResultsAndSaysSo() {
    var server = Harness()
    server.fence("a", 12)
    let entry = SessionEntry(
      client: 7 << 22, sequence: 1, version: 900, operation: .set, status: .ok)
    let body = SyncBody(freshVersion: 2_000, entries: [entry])
    #expect(server.sync("a", 12, body, version: 900).map(\.header.status) == [.behind])
    #expect(server.storedVersion("a") == nil)
    #expect(server.reply(to: server.request(.set, "a", generation: 13)).header.version == 900)
    server.copy("a", "v", version: 900, generation: 12)
    let answers = server.sync("a", 12, body, version: 900)
    #expect(answers.map(\.header.status) == [.ok] && answers[0].header.version == 2_000)
    #expect(server.storedVersion("a") == 2_000)
    #expect(server.core.stored(Array("a".utf8))?.value == Array("v".utf8))
  }

  @Test func aFreshVersionMakesAnAbsenceATombstoneAndNeverLowersAVersion() {
    var server = Harness()
    server.fence("a", 12)
    server.sync("a", 12, SyncBody(freshVersion: 50, entries: []))
    let reply = server.reply(to: server.request(.get, "a")).header
    #expect(reply.status == .notFound && reply.version == 50)
    server.sync("a", 12, SyncBody(freshVersion: 40, entries: []))
    #expect(server.storedVersion("a") == 50)
  }

  /// With two copies the second server may have a value left over, of a key that was deleted since.
  @Test func whatIsLeftOverOfAnAbsentKeyDoesNotComeBack() {
    var server = Harness()
    server.copy("a", "v", version: 30, generation: 11)
    server.fence("a", 12)
    server.control(
      .sync, "a", generation: 12, value: SyncBody(freshVersion: 50, entries: []).encoded()
    ) { $0.flags.insert(.tombstone) }
    let reply = server.reply(to: server.request(.get, "a")).header
    #expect(reply.status == .notFound && reply.version == 50)
    #expect(server.core.stored(Array("a".utf8))?.value.isEmpty == true)
  }

  @Test func aLostKeyReadsLostUntilItIsWrittenOrCopied() {
    var server = Harness()
    for (key, revive) in [("a", true), ("b", false)] {
      let client: UInt64 = revive ? 7 << 22 : 8 << 22
      _ = server.reply(to: server.request(.set, key, value: "old", client: client))
      server.fence(key, 12)
      server.sync(key, 12, SyncBody(lossGeneration: 12, entries: []), lost: true)
      #expect(server.status(of: server.request(.get, key)) == .lost)
      #expect(server.fence(key, 12).first?.header.status == .lost)
      #expect(
        server.status(
          of: server.request(
            .set, key, client: client, sequence: 2, generation: 13, first: 11)) == .ambiguous)
      if revive {
        #expect(
          server.status(
            of: server.request(
              .set, key, client: client, sequence: 2, generation: 13, first: 12)) == .ok)
      } else {
        server.copy(key, "new", version: 1 << 60, generation: 13)
      }
      #expect(server.status(of: server.request(.get, key)) == .ok)
      // A late duplicate of the SYNC does not lose the new value.
      server.sync(key, 12, SyncBody(lossGeneration: 12, entries: []), lost: true)
      #expect(server.status(of: server.request(.get, key)) == .ok)
    }
  }

  @Test func whatAnotherServerEvictedIsNotExecutedAnew() {
    var server = Harness()
    // The client is known here, too.
    _ = server.reply(to: server.request(.set, "b", client: 7 << 22, sequence: 1))
    server.fence("a", 12)
    server.sync("a", 12, SyncBody(evictedBirth: 7, entries: []))
    let old = server.request(
      .set, "a", client: 7 << 22, sequence: 2, generation: 13, known: 13, first: 11)
    #expect(server.reply(to: old).header.status == .sessionLost)
    #expect(server.reply(to: old).header.version == 7)
    #expect(server.status(of: server.request(.set, "b", client: 7 << 22, sequence: 3)) == .ok)
    // First sent when every server had been fenced: it cannot have been executed before.
    #expect(
      server.status(
        of: server.request(
          .set, "a", client: 7 << 22, sequence: 4, generation: 13, known: 13, first: 12)) == .ok)
    // The memory of it outlives the fence.
    server.floor(20)
    let later = server.request(
      .set, "a", client: 7 << 22, sequence: 5, generation: 20, known: 20, first: 11)
    #expect(server.status(of: later) == .sessionLost)
  }

  @Test func copiesAreTakenOnlyUnderFenceFloorAndVersion() {
    var server = Harness()
    _ = server.reply(to: server.request(.set, "a", value: "v", version: 100))
    server.fence("a", 12)
    #expect(server.copy("a", "w", version: 101, generation: 11).isEmpty)
    #expect(server.copy("a", "w", version: 99, generation: 12).isEmpty)
    #expect(server.copy("a", "v", version: 100, generation: 12).count == 1)
    #expect(server.copy("a", "w", version: 101, generation: 12).count == 1)
    #expect(server.copy("b", "w", version: 101, generation: 9).isEmpty, "below the floor")
    #expect(server.core.stored(Array("a".utf8))?.value == Array("w".utf8))
    var wrong = server.header(.copy, generation: 12, version: 200)
    wrong.keyHash = Harness.hash("a") + 1
    #expect(server.receive(Message(wrong, key: Array("a".utf8))).isEmpty)
  }

  @Test func writesAndOrdersSendCopies() {
    var server = Harness()
    let write = server.request(.set, "a", value: "v", hot: true, copyTargets: 0b1_0110)
    let copies = server.receive(write).filter { $0.destination == .directory }.map(\.message)
    #expect(copies.map(\.header.copyTargets) == [0b10, 0b1_0000], "not to itself")
    #expect(copies.allSatisfy { $0.header.version == write.header.version })
    #expect(copies.allSatisfy { $0.value == Array("v".utf8) && $0.header.generation == 10 })
    #expect(copies.allSatisfy { $0.header.incarnation == Harness.incarnation })
    server.fence("a", 12)
    func order(_ key: String, _ generation: UInt64) -> [Message] {
      server.control(.copyOrder, key, generation: generation) { $0.copyTargets = 0b11 }
    }
    #expect(order("a", 13).map(\.header.generation) == [13, 13], "the order's, not the value's")
    #expect(order("a", 11).isEmpty)
    #expect(order("absent", 13).isEmpty)
    _ = server.reply(to: server.request(.delete, "a", sequence: 2, generation: 13))
    let tombstones = order("a", 13)
    #expect(tombstones.allSatisfy { $0.header.flags == [.tombstone] && $0.value.isEmpty })
  }
}

@Suite struct ForgettingTests {
  /// A server that is home of no slot.
  private func replica() -> Harness { Harness(slots: false) }

  @Test func floorDropsCopiesTombstonesAndFencesThatNothingNeeds() {
    var server = replica()
    for key in ["cold", "named", "fenced"] { server.copy(key, "v", version: 5, generation: 12) }
    server.copy("new", "v", version: 5, generation: 21)
    server.fence("cold", 11)
    server.fence("named", 11)
    server.fence("fenced", 25)
    let answers = server.floor(20, named: ["named"])
    #expect(answers.map(\.header.operation) == [.floorAck] && server.core.floor == 20)
    #expect(server.storedVersion("cold") == nil)
    #expect(server.storedVersion("named") == 5)
    #expect(server.storedVersion("fenced") == 5, "it is hot again, or is becoming so")
    #expect(server.storedVersion("new") == 5)
    #expect(
      server.status(of: server.request(.get, "named", generation: 19, hot: true))
        == .staleGeneration)
    // Nothing below the floor comes back.
    #expect(server.copy("cold", "v", version: 5, generation: 19).isEmpty)
  }

  @Test func aHomeServerKeepsItsValuesAndDropsItsTombstones() {
    var server = Harness()
    _ = server.reply(to: server.request(.set, "a", value: "v", sequence: 1))
    _ = server.reply(to: server.request(.set, "b", value: "v", sequence: 2))
    _ = server.reply(to: server.request(.delete, "b", sequence: 3))
    server.floor(20)
    #expect(server.storedVersion("a") != nil && server.storedVersion("b") == nil)
  }

  @Test func lateAndIncompleteFloorsForgetNothing() {
    var server = replica()
    server.copy("a", "v", version: 5, generation: 12)
    server.floor(15, named: ["a"])
    server.floor(20, named: ["a"])
    #expect(server.floor(15).count == 1, "it is answered")
    #expect(server.storedVersion("a") == 5)
    server.control(.floor, generation: 30) { $0.parts = 2 }
    #expect(server.storedVersion("a") == 5 && server.core.floor == 20)
    // The other part, of another attempt: not the same list.
    server.control(.floor, generation: 30) {
      $0.parts = 2
      $0.part = 1
    }
    #expect(server.core.floor == 20)
    let both = server.attempt
    server.control(.floor, generation: 30) {
      $0.parts = 2
      $0.sequence = both
    }
    #expect(server.core.floor == 30 && server.storedVersion("a") == nil)
  }

  @Test func theFloorForgetsAFenceButNotALoss() {
    var server = Harness()
    server.fence("a", 12)
    server.sync("a", 12, SyncBody(lossGeneration: 12, entries: []))
    server.floor(20)
    #expect(
      server.status(of: server.request(.set, "a", generation: 20, first: 11)) == .ambiguous)
    #expect(server.status(of: server.request(.set, "a", generation: 20, first: 20)) == .ok)
  }
}

@Suite struct SlotTests {
  @Test func slotsWithALossReadLostAndAnswerOldWritesAmbiguous() {
    var server = Harness(slots: false)
    server.copy("left over", "v", version: 5, generation: 12)
    server.copy("hot", "v", version: 5, generation: 12)
    server.setSlots(
      [SlotRun(first: 0, count: 16_384, lossGeneration: 15)], named: ["hot"], generation: 15)
    #expect(server.status(of: server.request(.get, "left over", generation: 15)) == .lost)
    #expect(server.status(of: server.request(.get, "hot", generation: 15)) == .ok)
    #expect(server.fence("never", 16).first?.header.status == .lost)
    #expect(
      server.status(of: server.request(.set, "b", generation: 15, first: 14)) == .ambiguous)
    #expect(server.status(of: server.request(.set, "b", generation: 15, first: 15)) == .ok)
    #expect(server.status(of: server.request(.get, "b", generation: 15)) == .ok)
    // A delete is remembered: without it, the key would read lost again.
    #expect(
      server.status(of: server.request(.delete, "b", sequence: 2, generation: 15)) == .ok)
    server.floor(20)
    #expect(server.status(of: server.request(.get, "b", generation: 20)) == .notFound)
    // An absence with a fresh version is still a loss.
    server.fence("c", 21)
    server.sync("c", 21, SyncBody(freshVersion: 99, entries: []))
    #expect(server.status(of: server.request(.get, "c", generation: 21)) == .lost)
  }

  @Test func aCopyFromBeforeALossDoesNotComeBack() {
    var server = Harness(slots: false)
    server.setSlots([SlotRun(first: 0, count: 16_384, lossGeneration: 15)], generation: 15)
    #expect(server.copy("a", "old", version: 100, generation: 14).isEmpty)
    #expect(server.storedVersion("a") == nil)
    #expect(server.copy("a", "new", version: 101, generation: 15).count == 1)
    #expect(server.storedVersion("a") == 101)
  }

  @Test func repeatedAndLateSlotMessagesDropNothing() {
    var server = Harness(slots: false)
    let all = [SlotRun(first: 0, count: 16_384, lossGeneration: 15)]
    server.setSlots(all, generation: 15)
    _ = server.reply(to: server.request(.set, "a", value: "v", generation: 15))
    server.setSlots(all, generation: 15)
    #expect(server.storedVersion("a") != nil)
    let taken = server.attempt
    server.setSlots([], generation: 16)
    #expect(server.status(of: server.request(.get, "a", generation: 16)) == .wrongServer)
    let late = server.control(
      .slotsSet, generation: 15, value: SlotsBody(runs: all, keyHashes: []).encoded()
    ) { $0.sequence = taken }
    #expect(late.isEmpty)
    #expect(server.status(of: server.request(.get, "a", generation: 16)) == .wrongServer)
    #expect(server.storedVersion("a") != nil)
    server.floor(20)
    #expect(server.storedVersion("a") == nil, "another server is home of it")
  }

  @Test func partsOfSlotsCountOnlyTogether() {
    var server = Harness(slots: false)
    let runs = (0..<200).map { SlotRun(first: UInt16($0 * 2), count: 1) }
    let parts = SlotsBody.parts(runs: runs, keyHashes: [])
    #expect(parts.count > 1)
    let key = (0...).lazy.map { "k\($0)" }.first { KeyHash.slot(Harness.hash($0)) == 2 } ?? ""
    let sequence = server.attempt + 1
    for (index, body) in parts.enumerated() {
      #expect(server.status(of: server.request(.get, key, generation: 15)) == .wrongServer)
      let answers = server.control(.slotsSet, generation: 15, value: body.encoded()) {
        $0.part = UInt16(index)
        $0.parts = UInt16(parts.count)
        $0.sequence = sequence
      }
      #expect(answers.map(\.header.part) == [UInt16(index)])
    }
    #expect(server.status(of: server.request(.get, key, generation: 15)) == .notFound)
  }

  @Test func admissionRaisesTheFloorAndANewEpochBeginsAnew() {
    var server = Harness()
    _ = server.reply(to: server.request(.set, "a", value: "v"))
    server.fence("a", 30)
    server.control(.admit, generation: 20)
    server.control(.admit, generation: 15)
    #expect(server.core.floor == 20)
    let answers = server.control(.admit, generation: 3) { $0.epoch = 2 }
    #expect(answers.first?.header.operation == .admitAck)
    #expect(server.core.epoch == 2 && server.core.floor == 3)
    server.control(.admit, generation: 90)
    #expect(server.core.epoch == 2, "the old directory is over")
    var read = server.request(.get, "a", generation: 3, hot: true)
    read.header.epoch = 2
    let reply = server.reply(to: read).header
    #expect(reply.status == .ok && reply.generation == 3, "fences of the old epoch are gone")
  }

  @Test func probesCountWhatWasDone() throws {
    var server = Harness()
    _ = server.reply(to: server.request(.set, "a", value: "v"))
    _ = server.reply(to: server.request(.get, "a"))
    server.copy("b", "v", version: 5, generation: 12)
    let answer = try #require(server.control(.probe, generation: 0) { $0.incarnation = 1 }.first)
    #expect(answer.header.epoch == 1 && answer.header.load == 3)
    let body = try ProbeBody(decoding: answer.value)
    #expect(body.keys == 2 && body.reads == 1 && body.writes == 1 && body.copiesStored == 1)
  }
}
