import Directory
import Testing
import Wire

@testable import ControllerCore

/// A controller dies, and another one goes on with the directory that it has left.
@Suite struct AdoptionTests {
  /// Something that a controller does in many steps. `prepare` has been done by one that lives.
  struct Work: Sendable, CustomTestStringConvertible {
    let testDescription: String
    var prepare: @Sendable (TestRack) -> Void = { _ in }
    let begin: @Sendable (TestRack) -> Void
  }

  private static let key = hash(homeOf: 1, of: 3)
  private static let other = hash(homeOf: 2, of: 3, number: 2)

  private static let works = [
    Work(testDescription: "promote") { rack in
      rack.handle(.command(.promote(keyHash: key, key: testKey(key))))
    },
    Work(testDescription: "promote two") { rack in
      rack.handle(.command(.promote(keyHash: key, key: testKey(key))))
      rack.handle(.command(.promote(keyHash: other, key: testKey(other))))
    },
    Work(testDescription: "demote", prepare: { $0.promote(key) }) { rack in
      rack.handle(.command(.demote(keyHash: key)))
    },
    Work(testDescription: "retarget", prepare: { $0.promote(key) }) { rack in
      rack.handle(.command(.retarget(keyHash: key)))
    },
    Work(testDescription: "floor", prepare: { $0.promote(key) }) { rack in
      rack.handle(.command(.floor))
    },
    Work(testDescription: "lose a server", prepare: { silence(2, $0) }) { _ in },
    Work(testDescription: "lose the home server", prepare: { silence(1, $0) }) { _ in },
    Work(testDescription: "drain a server", prepare: { $0.promote(key) }) { rack in
      rack.handle(.command(.drain(1)))
    },
    Work(testDescription: "add a server", prepare: { drain(2, $0) }) { rack in
      rack.handle(.command(.add(2)))
    },
    Work(
      testDescription: "lose a server while slots move",
      prepare: {
        silence(0, $0)
        $0.handle(.command(.drain(1)))
      }
    ) { _ in },
    Work(testDescription: "lose a server that comes back", prepare: { $0.promote(key) }) { rack in
      rack.startServer(2)
    },
  ]

  /// Almost long enough for it to be declared lost.
  private static func silence(_ server: UInt8, _ rack: TestRack) {
    rack.promote(key)
    rack.run(milliseconds: 100)
    rack.silent = [server]
    rack.run(milliseconds: 1850)
  }

  private static func drain(_ server: UInt8, _ rack: TestRack) {
    rack.handle(.command(.drain(server)))
    rack.run { rack.core.state.servers[Int(server)].phase == .drained && rack.core.isQuiet }
  }

  private func rack(_ work: Work) -> TestRack {
    let rack = TestRack {
      $0.policy.movedSlotsMax = 8192
      $0.policy.rebalances = true
    }
    rack.serve()
    #expect(rack.perform(.set, Self.key, sequence: 1, value: [1])?.header.status == .ok)
    #expect(rack.perform(.set, Self.other, sequence: 2, value: [2])?.header.status == .ok)
    work.prepare(rack)
    rack.run(milliseconds: 100)
    return rack
  }

  /// Lets the controller do it to the end, or until it dies.
  private func run(_ work: Work, on rack: TestRack) {
    work.begin(rack)
    rack.run(milliseconds: 250)
    rack.run { rack.effectsLeft == 0 || rack.core.isQuiet }
  }

  @Test("A controller that dies at any step is replaced without harm", arguments: works)
  func everyStep(_ work: Work) {
    let whole = rack(work)
    let before = whole.effectsDone
    run(work, on: whole)
    let steps = whole.effectsDone - before
    #expect(steps > 10 && steps < 1000)
    for step in 0..<steps {
      let rack = rack(work)
      rack.effectsLeft = step
      run(work, on: rack)
      // A write that nobody knows the outcome of is asked for again all the time.
      let first = rack.memory.generation
      rack.request(.set, Self.key, client: 77, sequence: 1, first: first, value: [7])
      rack.run(milliseconds: 30)
      rack.replaceController()
      rack.run(milliseconds: 5)
      rack.request(.set, Self.key, client: 77, sequence: 1, first: first, value: [7])
      check(rack, step)
    }
  }

  /// Everything works, and nothing is left half done.
  private func check(_ rack: TestRack, _ step: Int) {
    // Until a server that is silent, or was replaced, has been found out.
    rack.run(milliseconds: rack.silent.isEmpty ? 300 : 2300)
    #expect(rack.run { rack.core.isQuiet && rack.queue.isEmpty }, "step \(step) does not settle")
    #expect(rack.memory.contents().entries.allSatisfy { $0.mode == .hot }, "step \(step)")
    let contents = rack.memory.contents()
    #expect(contents.losing == 0 && contents.moving == 0)
    #expect(!contents.slots.contains { $0.moving })
    for key in [Self.key, Self.other] {
      let homes = rack.servers.values.filter { server in
        contents.alive & bit(server.number) != 0 && server.slotRun(of: key) != nil
      }
      #expect(homes.map { Int($0.number) } == [rack.memory.home(ofSlot: KeyHash.slot(key))])
    }
    for (index, key) in [Self.key, Self.other].enumerated() {
      let sequence = UInt64(10 + index)
      let version = rack.perform(.set, key, client: 8, sequence: sequence, value: [9])?
        .header.version
      let read = rack.perform(.get, key, client: 10, sequence: sequence)
      #expect(read?.value == [9] && read?.header.version == version, "step \(step)")
    }
    #expect(rack.core.state.totals.adoptions == 1)
  }

  @Test func whatIsHotStaysHotWithoutATransition() throws {
    let rack = TestRack()
    rack.serve()
    #expect(rack.perform(.set, Self.key, sequence: 1, value: [1])?.header.status == .ok)
    rack.promote(Self.key)
    rack.run(milliseconds: 100)
    let before = rack.memory.contents()
    rack.effectsLeft = 0
    rack.run(milliseconds: 100)
    #expect(rack.perform(.set, Self.key, sequence: 2, value: [2])?.header.status == .ok)
    rack.published = []
    rack.replaceController()
    rack.settle()
    rack.run(milliseconds: 100)
    let after = rack.memory.contents()
    #expect(after.generation == before.generation + 1)
    #expect(after.entries.map(\.note) == before.entries.map(\.note))
    #expect(after.slots == before.slots && after.alive == before.alive)
    #expect(after.adoptions == 1)
    let state = rack.core.state
    #expect(state.totals.retargets == 0 && state.totals.resumed == 0)
    #expect(state.keys.map(\.key) == [testKey(Self.key)])
    #expect(state.servers.map(\.phase) == [.alive, .alive, .alive])
    #expect(state.servers.map(\.incarnation) == before.servers.prefix(3).map(\.incarnation))
    #expect(state.servers.map(\.slots).reduce(0, +) == WireLimits.slots)
    #expect(rack.notices.contains(.adopted(keys: 1, unfinished: 0)))
    #expect(
      !rack.published.contains {
        if case .begin = $0 { true } else { false }
      })
    #expect(rack.perform(.get, Self.key, client: 10, sequence: 1)?.value == [2])
    rack.demote(Self.key)
    #expect(rack.perform(.get, Self.key, client: 10, sequence: 2)?.value == [2])
  }

  @Test func aServerThatIsReplacedWhileNobodyLooksIsLost() {
    let rack = TestRack()
    rack.serve()
    rack.promote(Self.key)
    rack.run(milliseconds: 100)
    rack.effectsLeft = 0
    rack.startServer(0)
    rack.run(milliseconds: 50)
    rack.replaceController()
    rack.run { rack.core.state.totals.serversLost == 1 }
    rack.settle()
    #expect(rack.core.state.servers.allSatisfy { $0.phase == .alive })
    #expect(rack.core.state.servers[0].slots == 0)
    #expect(rack.perform(.set, Self.key, sequence: 3, value: [3])?.header.status == .ok)
  }

  @Test func bansAndWishesAreKept() {
    let rack = TestRack()
    rack.serve()
    rack.promote(Self.key)
    rack.promote(Self.other)
    rack.handle(.otherKeySeen(keyHash: Self.other))
    rack.settle()
    #expect(rack.mode(Self.other) == nil)
    rack.effectsLeft = 0
    rack.replaceController()
    rack.settle()
    // Promoted by command: it would not be demoted by the policy.
    #expect(rack.core.entries[Self.key]?.isPinned == true)
    rack.handle(.command(.promote(keyHash: Self.other, key: testKey(Self.other))))
    rack.settle()
    #expect(rack.mode(Self.other) == nil)
    #expect(
      rack.notices.contains(
        .givenUp(
          .promote, keyHash: Self.other, key: testKey(Self.other), reason: .banned)))
  }

  @Test func aPromotionThatWasUnderWayIsBegunAnew() {
    let rack = TestRack()
    rack.serve()
    rack.silent = [2]
    rack.handle(.command(.promote(keyHash: Self.key, key: testKey(Self.key))))
    rack.run(milliseconds: 30)
    #expect(rack.mode(Self.key) == .adding)
    rack.effectsLeft = 0
    rack.silent = []
    rack.replaceController()
    #expect(rack.core.state.totals.resumed == 1)
    rack.settle()
    #expect(rack.mode(Self.key) == .hot)
    #expect(rack.core.entries[Self.key]?.isPinned == true)
  }

  @Test func aDemotionThatWasUnderWayIsFinished() {
    let rack = TestRack()
    rack.serve()
    rack.promote(Self.key)
    rack.silent = [2]
    rack.handle(.command(.demote(keyHash: Self.key)))
    rack.run(milliseconds: 30)
    #expect(rack.mode(Self.key) == .removing)
    rack.effectsLeft = 0
    rack.silent = []
    rack.replaceController()
    rack.settle()
    #expect(rack.mode(Self.key) == nil)
  }

  @Test func aLossThatWasBeingDealtWithIsDealtWith() {
    let rack = TestRack()
    rack.serve()
    let lost = hash(homeOf: 2, of: 3)
    #expect(rack.perform(.set, lost, sequence: 1, value: [1])?.header.status == .ok)
    let first = rack.memory.generation
    rack.silent = [2]
    rack.run { rack.memory.contents().losing != 0 }
    rack.effectsLeft = 0
    rack.run(milliseconds: 10)
    rack.replaceController()
    rack.settle()
    #expect(rack.memory.contents().losing == 0)
    #expect(rack.perform(.get, lost, client: 10, sequence: 1)?.header.status == .lost)
    let from = rack.replies.count
    rack.request(.set, lost, client: 12, sequence: 1, first: first, value: [3])
    rack.run(for: 100) { rack.replies.count > from }
    #expect(rack.replies.last?.header.status == .ambiguous)
    // Once more: what was lost stays known.
    let loss = rack.memory.contents().lossGeneration
    rack.effectsLeft = 0
    rack.replaceController()
    rack.settle()
    #expect(rack.memory.contents().lossGeneration == loss)
    #expect(rack.core.state.servers[2].slots == 0)
    rack.startServer(2)
    rack.run { rack.core.state.servers[2].phase == .alive && rack.core.isQuiet }
    #expect(rack.perform(.get, lost, client: 10, sequence: 2)?.header.status == .lost)
  }

  @Test func aDrainGoesOn() {
    let rack = TestRack { $0.policy.movedSlotsMax = 1024 }
    rack.serve()
    let key = hash(homeOf: 2, of: 3)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    rack.handle(.command(.drain(2)))
    rack.run { rack.core.state.totals.slotMoves >= 2 && rack.core.move?.isFrozen == true }
    rack.effectsLeft = 0
    rack.replaceController()
    #expect(rack.core.state.servers[2].phase == .draining)
    rack.run { rack.core.state.servers[2].phase == .drained }
    rack.settle()
    #expect(rack.core.state.servers.map(\.slots) == [8192, 8192, 0])
    #expect(rack.perform(.get, key, client: 10, sequence: 1)?.value == [1])
    // And so does what it has led to.
    rack.effectsLeft = 0
    rack.replaceController()
    rack.settle()
    #expect(rack.core.state.servers[2].phase == .drained)
    rack.handle(.command(.add(2)))
    rack.run { rack.core.state.servers[2].phase == .alive }
    rack.settle()
    #expect(rack.perform(.get, key, client: 10, sequence: 2)?.value == [1])
  }

  @Test func slotsThatAreFrozenGoOnAtTheirHome() {
    for (fault, isThawed) in [(ControllerFaults.adoptionForgetsMove, false), ([], true)] {
      let rack = TestRack()
      rack.serve()
      rack.handle(.command(.drain(2)))
      rack.run { rack.core.move?.isFrozen == true }
      rack.effectsLeft = 0
      rack.replaceController(faults: fault)
      rack.handle(.command(.add(2)))
      rack.run(milliseconds: 100)
      #expect(rack.memory.contents().slots.contains { $0.moving } != isThawed)
    }
  }

  @Test func theGenerationRisesFirstOfAll() {
    for (fault, rise) in [(ControllerFaults.adoptionKeepsGeneration, UInt64(0)), ([], 1)] {
      let rack = TestRack()
      rack.serve()
      let before = rack.memory.generation
      rack.effectsLeft = 0
      rack.replaceController(faults: fault)
      #expect(rack.memory.generation == before + rise)
    }
  }

  @Test func nothingBeginsBeforePacketsUnderWayAreFinished() {
    for (fault, begins) in [(ControllerFaults.adoptionSkipsGrace, true), ([], false)] {
      let rack = TestRack()
      rack.serve()
      rack.effectsLeft = 0
      rack.replaceController(faults: fault)
      rack.handle(.command(.promote(keyHash: Self.key, key: testKey(Self.key))))
      #expect((rack.mode(Self.key) == .adding) == begins)
      rack.settle()
      #expect(rack.mode(Self.key) == .hot)
    }
  }

  @Test func tablesOfWriteTargetsThatAreInUseAreLeftAlone() {
    for (fault, expected) in [(ControllerFaults.adoptionAssumesTargets, true), ([], false)] {
      let rack = TestRack()
      rack.serve()
      rack.promote(Self.key)
      rack.run(milliseconds: 100)
      let used = rack.memory.contents().entries.map(\.targets)
      rack.effectsLeft = 0
      rack.replaceController(faults: fault)
      rack.published = []
      rack.handle(.command(.retarget(keyHash: Self.key)))
      rack.run(milliseconds: 20)
      let isOverwritten = rack.published.contains { change in
        if case .setTargets(let table, _) = change { used.contains(table) } else { false }
      }
      #expect(isOverwritten == expected)
    }
  }
}
