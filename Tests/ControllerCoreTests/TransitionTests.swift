import ControllerCore
import Directory
import Testing
import Wire

@Suite struct TransitionTests {
  @Test func allServersAreAdmittedAndGivenTheirSlotsBeforeTheRackServes() {
    let rack = TestRack(servers: 5)
    rack.serve()
    #expect(rack.core.state.servers.allSatisfy { $0.phase == .alive })
    #expect(rack.core.state.servers.map(\.slots).reduce(0, +) == WireLimits.slots)
    for (number, server) in rack.servers {
      #expect(server.epoch == 1 && server.floor == firstGeneration)
      #expect(
        server.slots.count == 1 && server.slotRun(of: hash(homeOf: Int(number), of: 5)) != nil)
    }
    #expect(rack.notices.last == .serving(absent: []))
  }

  @Test func aRackServesWithoutAnAbsentServerAfterAWhileAndTakesItInLater() {
    let rack = TestRack(servers: 3)
    rack.silent = [2]
    rack.handle(.start(now: rack.now))
    rack.run(milliseconds: 9000)
    #expect(!rack.core.state.serving)
    rack.run { rack.core.state.serving }
    #expect(rack.notices.contains(.serving(absent: [2])))
    #expect(rack.core.state.servers[2].slots == 0 && rack.core.state.servers[0].slots == 8192)
    rack.promote(hash(homeOf: 0, of: 2))
    rack.silent = []
    rack.run { rack.core.state.servers[2].phase == .alive && rack.core.isQuiet }
    // The hot key's targets have changed, by a transition.
    #expect(rack.core.state.totals.retargets == 1)
    #expect(rack.core.isQuiet)
  }

  @Test func promotionPublishesTheEntryThenTheGenerationThenFences() throws {
    let rack = TestRack()
    rack.serve()
    let key = hash(homeOf: 1, of: 3)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    rack.published = []
    rack.sent = []
    let effects = rack.core.handle(.command(.promote(keyHash: key, key: testKey(key))))
    guard case .publish(.noteEntry(let noted, let note)) = effects[0],
      case .publish(.insert(let entry, key, 1)) = effects[1],
      case .publish(.setGeneration(firstGeneration + 1)) = effects[2],
      noted == entry, note.key == testKey(key)
    else {
      Issue.record("unexpected order: \(effects.prefix(3))")
      return
    }
    let fenced = effects.dropFirst(2).compactMap { effect -> UInt8? in
      guard case .send(let message, let server) = effect, message.header.operation == .fence,
        message.header.generation == firstGeneration + 1, message.key == testKey(key)
      else { return nil }
      return server
    }
    #expect(fenced == [0, 1, 2])
    #expect(effects.count == 6 && entry < 64)
  }

  @Test func aPromotedKeyIsReadEverywhereAndWrittenEverywhereAndComesHomeAgain() {
    let rack = TestRack()
    rack.serve()
    let key = hash(homeOf: 1, of: 3)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    rack.promote(key)
    rack.run(milliseconds: 100)
    #expect(rack.reading(key)?.replicaSet == 0b111)
    var version: UInt64 = 0
    for sequence in UInt64(2)..<40 {
      let reply = rack.perform(.set, key, sequence: sequence, value: [UInt8(sequence)])
      #expect(reply?.header.status == .ok && reply?.header.version ?? 0 > version)
      version = reply?.header.version ?? 0
      let read = rack.perform(.get, key, client: 10, sequence: sequence)
      #expect(read?.value == [UInt8(sequence)])
    }
    #expect(rack.servers.values.allSatisfy { $0.seen[.set] ?? 0 > 2 })
    rack.demote(key)
    #expect(rack.servers[1]?.stored[key]?.version == version)
    #expect(rack.perform(.get, key, client: 10, sequence: 50)?.value == [39])
    #expect(rack.memory.generation == firstGeneration + 4)
  }

  @Test func aWriteOfBeforeTheTransitionIsRefusedAndItsRetryExecutedOnce() {
    let rack = TestRack()
    rack.serve()
    let key = hash(homeOf: 1, of: 3)
    rack.network.delay = 1
    // Stamped before the promotion, on its way when FENCE overtakes it.
    rack.request(.set, key, sequence: 1, value: [1])
    var delayed = rack.queue.removeLast()
    rack.promote(key)
    delayed.due = rack.step
    rack.queue.append(delayed)
    rack.run(milliseconds: 5)
    #expect(rack.replies.last?.header.status == .staleGeneration)
    #expect(rack.replies.last?.header.generation ?? 0 >= 2)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
  }

  @Test func aLateDuplicateOfAFinishedWriteIsNotExecutedAgainByAServerThatNeverSawIt() {
    let rack = TestRack()
    rack.serve()
    let key = hash(homeOf: 1, of: 3)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    #expect(rack.perform(.set, key, sequence: 2, value: [2])?.header.status == .ok)
    let known = rack.memory.generation
    rack.promote(key)
    // Its client has finished sequence 1; the duplicate's sender knew the generation of then.
    for sequence in UInt64(1)...1 {
      let from = rack.replies.count
      rack.request(.set, key, sequence: sequence, known: known, value: [1])
      rack.run(for: 50) { rack.replies.count > from }
      #expect(rack.replies.last.map { $0.header.status != .ok || $0.header.version == 0 } ?? true)
    }
    #expect(rack.perform(.get, key, client: 10, sequence: 1)?.value == [2])
  }

  @Test func sessionEntriesTravelInPartsToEveryServer() {
    let rack = TestRack()
    rack.serve()
    let key = hash(homeOf: 2, of: 3)
    for client in UInt64(20)..<110 {
      rack.request(.set, key, client: client, sequence: 1, acknowledged: 1, value: [7])
    }
    rack.run(milliseconds: 5)
    rack.promote(key)
    for server in rack.servers.values {
      #expect((UInt64(20)..<110).allSatisfy { server.results[$0]?[1] != nil })
    }
    // More than fit one SYNC.
    #expect(rack.sent.contains { $0.0.header.operation == .sync && $0.0.header.parts > 1 })
    // A retry is answered from the session, wherever it goes.
    let reply = rack.perform(.set, key, client: 33, sequence: 1, value: [7])
    #expect(reply?.header.version == rack.servers[2]?.results[33]?[1]?.version)
  }

  @Test(arguments: UInt64(1)...12)
  func transitionsSurviveLossDuplicationAndReordering(seed: UInt64) {
    let rack = TestRack(servers: 4, seed: seed)
    rack.serve()
    rack.network = .init(loss: 0.15, duplication: 0.15, delay: 8)
    let keys = (0..<4).map { hash(homeOf: $0, of: 4, number: UInt64($0) + 1) }
    var last: [UInt64: UInt8] = [:]
    var sequence: UInt64 = 0
    for round in 0..<12 {
      let key = keys[round % 4]
      switch round % 3 {
      case 0: rack.handle(.command(.promote(keyHash: key, key: testKey(key))))
      case 1: rack.handle(.command(.retarget(keyHash: keys[(round + 3) % 4])))
      default: rack.handle(.command(.demote(keyHash: keys[(round + 2) % 4])))
      }
      if round % 4 == 3 { rack.handle(.command(.floor)) }
      for key in keys {
        sequence += 1
        let value = UInt8(truncatingIfNeeded: sequence)
        let reply = rack.perform(.set, key, sequence: sequence, value: [value])
        #expect(reply?.header.status == .ok)
        last[key] = value
        let read = rack.perform(.get, key, client: 10, sequence: sequence)
        #expect(read?.value == last[key].map { [$0] })
      }
    }
    rack.settle()
    #expect(rack.core.state.totals.promotions > 0 && rack.core.state.totals.demotions > 0)
  }

  @Test func aPromotionIsGivenUpWhenAServerDoesNotAnswerAndTheKeyStaysUsable() {
    let rack = TestRack()
    rack.serve()
    let key = hash(homeOf: 1, of: 3)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    rack.silent = [2]
    rack.handle(.command(.promote(keyHash: key, key: testKey(key))))
    #expect(rack.mode(key) == .adding)
    #expect(rack.request(.set, key, sequence: 2) == .answer(.frozen))
    rack.run { rack.mode(key) == nil }
    #expect(
      rack.notices.contains(
        .givenUp(.promote, keyHash: key, key: testKey(key), reason: .timeout)))
    rack.silent = []
    #expect(rack.perform(.set, key, sequence: 3, value: [3])?.header.status == .ok)
    #expect(rack.core.state.servers.allSatisfy { $0.phase == .alive })
  }

  @Test func aDemotionThatIsGivenUpLeavesTheKeyHotAndIsTriedAgain() {
    let rack = TestRack()
    rack.serve()
    let key = hash(homeOf: 1, of: 3)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    rack.promote(key)
    rack.silent = [2]
    rack.handle(.command(.demote(keyHash: key)))
    rack.run { rack.core.state.totals.givenUp == 1 }
    #expect(rack.mode(key) == .hot)
    rack.silent = []
    #expect(rack.perform(.set, key, sequence: 2, value: [2])?.header.status == .ok)
    rack.settle()
    #expect(rack.mode(key) == nil)
    #expect(rack.perform(.get, key, client: 10, sequence: 1)?.value == [2])
  }

  @Test func twoKeysOfOneHashAreNeverHotAndTheHashIsBanned() {
    let rack = TestRack()
    rack.serve()
    let key = hash(homeOf: 1, of: 3)
    rack.promote(key)
    rack.handle(.otherKeySeen(keyHash: key))
    rack.settle()
    #expect(rack.mode(key) == nil && rack.core.state.totals.bans == 1)
    rack.handle(.command(.promote(keyHash: key, key: Array("another".utf8))))
    rack.settle()
    #expect(rack.mode(key) == nil)
    #expect(
      rack.notices.last
        == .givenUp(.promote, keyHash: key, key: Array("another".utf8), reason: .banned))
    // The fences of the first key are still there: FENCE of another is answered `other key`.
    let rack2 = TestRack()
    rack2.serve()
    rack2.servers[0]?.fences[key] = (1, [0])
    rack2.handle(.command(.promote(keyHash: key, key: testKey(key))))
    rack2.settle()
    #expect(rack2.mode(key) == nil && rack2.core.state.totals.bans == 1)
  }

  @Test func whatWasDeletedDoesNotComeBackFromACopyThatWasNotForgottenYet() {
    let rack = TestRack()
    rack.serve()
    let key = hash(homeOf: 1, of: 3)
    // Server 2 has an old copy; the home server has forgotten the tombstone.
    rack.servers[2]?.stored[key] = .init(
      version: Version.first(ofEpoch: 1), value: [9], generation: 1)
    rack.promote(key)
    #expect(rack.perform(.get, key, client: 10, sequence: 1)?.header.status == .notFound)
  }

  @Test func aFullDirectoryIsSaidSoAndDoesNoHarm() {
    let rack = TestRack(servers: 2)
    rack.serve()
    // Five keys whose two buckets are the same one; a bucket has four places.
    for number in UInt64(1)...5 {
      let key = number << 50 | 3 << 32 | 3
      rack.handle(.command(.promote(keyHash: key, key: testKey(key))))
    }
    rack.settle()
    #expect(rack.core.state.keys.count == 4)
    #expect(
      rack.notices.contains {
        if case .givenUp(_, _, _, .directoryFull) = $0 { true } else { false }
      })
  }
}
