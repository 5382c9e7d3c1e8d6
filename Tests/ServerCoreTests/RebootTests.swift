import ServerCore
import Storage
import Testing
import Wire

@Suite("A directory of a new epoch takes over a server") struct RebootTests {
  private let second = Generation.first(ofEpoch: 2)

  private func admit(_ server: inout Harness, epoch: UInt16 = 2) {
    let answers = server.control(.admit, generation: Generation.first(ofEpoch: epoch)) {
      $0.epoch = epoch
    }
    #expect(answers.count == 1)
  }

  /// All pages, and how many there were.
  private func learn(
    _ server: inout Harness, epoch: UInt16 = 2
  ) throws -> (pages: Int, body: LearnBody) {
    var all = LearnBody()
    var (cursor, pages) = (UInt64(0), 0)
    while pages < 1000 {
      let answer = try #require(
        server.control(.learn, generation: Generation.first(ofEpoch: epoch)) {
          $0.epoch = epoch
          $0.version = cursor
        }.first)
      #expect(answer.header.operation == .learnAck && answer.header.sequence == server.attempt)
      let body = try LearnBody(decoding: answer.value)
      (all.slotsGeneration, all.lossGeneration) = (body.slotsGeneration, body.lossGeneration)
      if body.isEmpty { break }
      pages += 1
      all.runs += body.runs
      all.keys += body.keys
      #expect(answer.header.version > cursor)
      cursor = answer.header.version
    }
    return (pages, all)
  }

  private func inEpoch(_ message: Message, _ epoch: UInt16) -> Message {
    var message = message
    message.header.epoch = epoch
    return message
  }

  @Test func whatIsStoredStaysAndWhatWasStampedBeforeIsRefused() {
    var server = Harness()
    let write = server.request(.set, "a", value: "v", sequence: 1)
    _ = server.reply(to: write)
    admit(&server)
    #expect(server.storedVersion("a") == write.header.version)
    let late = server.reply(to: server.request(.set, "a", value: "w", sequence: 2)).header
    #expect(late.status == .staleEpoch && late.epoch == 2 && late.generation == second)
    #expect(server.status(of: server.request(.get, "a")) == .staleEpoch)
    #expect(server.copy("a", "x", version: .max, generation: .max).isEmpty)
    // Of the new epoch, by a client that has not heard of it when it sent this.
    let known = server.request(
      .set, "a", value: "w", sequence: 2, acknowledged: 1, generation: second, known: 11)
    #expect(server.status(of: inEpoch(known, 2)) == .staleGeneration)
    let again = server.request(.set, "a", value: "v", sequence: 1, generation: second, known: 11)
    let reply = server.reply(to: inEpoch(again, 2)).header
    #expect(reply.status == .ok && reply.version == write.header.version, "sessions stay")
  }

  @Test func itTellsItsSlotsAndItsKeysThatMayHaveBeenHot() throws {
    var server = Harness(slots: false)
    server.setSlots(
      [SlotRun(first: 0, count: 8000, lossGeneration: 9), SlotRun(first: 9000, count: 1)],
      generation: 11)
    let keys = (0..<300).map { "key \($0)" }
    let own = keys.filter { KeyHash.slot(Harness.hash($0)) < 8000 }
    for key in keys { server.fence(key, 12) }
    admit(&server)
    let (pages, body) = try learn(&server)
    #expect(pages > 1 && body.slotsGeneration == 11 && body.lossGeneration == 9)
    #expect(
      body.runs == [
        SlotRun(first: 0, count: 8000, lossGeneration: 9), SlotRun(first: 9000, count: 1),
      ])
    #expect(body.keys.map(\.hash) == own.map(Harness.hash).sorted())
    #expect(body.keys.allSatisfy { KeyHash.of($0.key, seed: Harness.seed) == $0.hash })
    // Nothing of it changes before the new directory has given out slots, for a yet newer one.
    admit(&server, epoch: 3)
    #expect(try learn(&server, epoch: 3).body == body)
    server.control(
      .slotsSet, generation: Generation.first(ofEpoch: 3),
      value: SlotsBody(runs: [SlotRun(first: 0, count: 1)], keyHashes: []).encoded()
    ) { $0.epoch = 3 }
    let after = try learn(&server, epoch: 3).body
    #expect(after.keys.isEmpty && after.runs == [SlotRun(first: 0, count: 1, lossGeneration: 9)])
  }

  @Test func aServerThatWasNeverPartOfARackHasNothingToTell() throws {
    var server = Harness(slots: false)
    admit(&server)
    #expect(try learn(&server).body == LearnBody())
  }

  @Test func askingBeyondTheEndGivesNothing() throws {
    var server = Harness()
    admit(&server)
    for cursor in [UInt64(2), 1 << 40, .max] {
      let answer = try #require(
        server.control(.learn, generation: second) {
          $0.epoch = 2
          $0.version = cursor
        }.first)
      #expect(try LearnBody(decoding: answer.value).isEmpty)
    }
  }

  /// Everything that others have stored since the key was last settled counts, and nothing older.
  @Test func theHomeServerSaysSinceWhenOthersMayHaveNewerValues() throws {
    var server = Harness()
    func fenceBody(_ generation: UInt64, epoch: UInt16 = 1) throws -> FenceAckBody {
      let answer = server.control(.fence, "a", generation: generation) { $0.epoch = epoch }
      return try FenceAckBody(decoding: try #require(answer.first).value)
    }
    #expect(try fenceBody(12) == FenceAckBody(countsFrom: 12, entries: []))
    _ = server.reply(to: server.request(.set, "a", generation: 13, hot: true))
    // A fence whose transition is given up; then one that is not.
    let second = try fenceBody(14)
    #expect(second.countsFrom == 12 && second.storedGeneration == 13)
    server.sync("a", 14, SyncBody(entries: []), version: 1 << 60)
    #expect(try fenceBody(14).countsFrom == 12, "behind")
    server.sync("a", 14, SyncBody(entries: []))
    #expect(try fenceBody(16).countsFrom == 14)
    admit(&server)
    #expect(try learn(&server).body.keys.count == 1)
    let generation = self.second + 1
    let restoring = try fenceBody(generation, epoch: 2)
    #expect(restoring.countsFrom == 14 && restoring.storedGeneration == 13)
    server.control(
      .sync, "a", generation: generation, value: SyncBody(entries: []).encoded()
    ) { $0.epoch = 2 }
    #expect(try learn(&server).body.keys.isEmpty, "it is home")
    #expect(try fenceBody(generation + 1, epoch: 2).countsFrom == generation)
  }

  /// If the directory is lost again before the backup is brought up to date too, the next one has to
  /// know: the backup answers the reads.
  @Test func aHomeWithABackupTellsOfItsKeysUntilBothHaveThem() throws {
    var server = Harness(slots: false)
    let run = SlotRun(first: 0, count: 16_384, role: .home, backup: 1)
    server.control(
      .slotsSet, generation: 10,
      value: SlotsBody(runs: [run], keyHashes: [], copies: 2).encoded())
    server.fence("a", 12)
    server.receive(server.request(.set, "a", generation: 13, hot: true))
    admit(&server)
    for (epoch, generation) in [(UInt16(2), second + 1), (3, Generation.first(ofEpoch: 3) + 1)] {
      if epoch == 3 { admit(&server, epoch: epoch) }
      #expect(try learn(&server, epoch: epoch).body.keys.map(\.hash) == [Harness.hash("a")])
      server.control(.fence, "a", generation: generation) { $0.epoch = epoch }
      let answer = try #require(
        server.control(
          .sync, "a", generation: generation, value: SyncBody(entries: []).encoded()
        ) { $0.epoch = epoch }.first)
      #expect(answer.header.operation == .syncAck && answer.header.status == .ok)
    }
    server.control(
      .slotsSet, generation: Generation.first(ofEpoch: 3) + 2,
      value: SlotsBody(runs: [run], keyHashes: [], copies: 2).encoded()
    ) { $0.epoch = 3 }
    #expect(try learn(&server, epoch: 3).body.keys.isEmpty)
  }

  @Test func aSlotThatWasLostMakesOlderValuesOfOthersLeftOver() throws {
    var server = Harness(slots: false)
    server.fence("a", 12)
    server.setSlots([SlotRun(first: 0, count: 16_384, lossGeneration: 20)], generation: 20)
    let answer = try #require(server.fence("a", 21).first)
    #expect(try FenceAckBody(decoding: answer.value).countsFrom == 20)
  }

  /// Until a transition brings it here, a hot key's newest value may be anywhere, whenever stored.
  @Test func ofAHotKeyInALostSlotEverythingCounts() throws {
    var server = Harness(slots: false)
    server.fence("a", 12)
    server.setSlots(
      [SlotRun(first: 0, count: 16_384, lossGeneration: 20)], named: ["a"], generation: 20)
    let answer = try #require(server.fence("a", 21).first)
    #expect(try FenceAckBody(decoding: answer.value).countsFrom == 0)
    server.sync("a", 21, SyncBody(entries: []))
    let settled = try #require(server.fence("a", 22).first)
    #expect(try FenceAckBody(decoding: settled.value).countsFrom == 21)
  }

  @Test func whatWasLostStaysAmbiguousInTheNextEpoch() {
    var server = Harness()
    server.fence("a", 12)
    server.sync("a", 12, SyncBody(lossGeneration: 12, entries: []))
    admit(&server)
    let first = server.request(.set, "a", sequence: 3, generation: second, first: 11)
    #expect(server.status(of: inEpoch(first, 2)) == .ambiguous)
    let later = server.request(.set, "a", sequence: 4, generation: second)
    #expect(server.status(of: inEpoch(later, 2)) == .ok)
  }

  @Test func aServerThatTheRackHasGoneOnWithoutBeginsAnew() {
    var server = Harness()
    let write = server.request(.set, "a", value: "v")
    _ = server.reply(to: write)
    server.fence("a", 12)
    // Not by an older directory, not by anyone else, not if it is meant for an earlier start.
    server.control(.admit, generation: second) { $0.epoch = 2 }
    server.control(.renew, generation: 99) { $0.epoch = 1 }
    var order = server.header(.renew, generation: second)
    order.epoch = 2
    server.receive(Message(order))
    server.control(.renew, generation: second) {
      $0.epoch = 2
      $0.incarnation += 1
    }
    #expect(server.core.incarnation == Harness.incarnation && server.storedVersion("a") != nil)
    server.control(.renew, generation: second) { $0.epoch = 2 }
    let renewed = server.core.incarnation
    #expect(renewed != Harness.incarnation && renewed != 0 && server.core.epoch == 0)
    #expect(server.storedVersion("a") == nil)
    #expect(server.receive(inEpoch(write, 2)).isEmpty, "what was meant for it before")
    // It can be admitted as any other that was started again; and once is enough.
    server.control(.renew, generation: second) {
      $0.epoch = 2
      $0.incarnation = renewed
    }
    #expect(server.core.incarnation == renewed)
    server.control(.admit, generation: second) {
      $0.epoch = 2
      $0.incarnation = renewed
    }
    #expect(server.core.epoch == 2)
    var again = inEpoch(server.request(.set, "a", value: "v", generation: second, hot: true), 2)
    again.header.incarnation = renewed
    #expect(server.status(of: again) == .ok, "its sessions are gone")
  }
}
