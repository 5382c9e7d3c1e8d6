import Directory
import Testing
import Wire

@testable import ControllerCore

@Suite struct SlotMoveTests {
  private func rack(
    servers: Int = 3, seed: UInt64 = 1, rebalances: Bool = false, drained: Set<UInt8> = []
  ) -> TestRack {
    let rack = TestRack(servers: servers, seed: seed) {
      $0.policy.rebalances = rebalances
      $0.policy.movedSlotsMax = 2048
      $0.drained = drained
    }
    rack.serve()
    return rack
  }

  private func drain(_ rack: TestRack, _ server: UInt8) {
    rack.handle(.command(.drain(server)))
    rack.run { rack.core.state.servers[Int(server)].phase == .drained }
    #expect(rack.core.state.servers[Int(server)].phase == .drained)
    rack.settle()
  }

  @Test func aDrainedServerHasNothingAndMayStop() {
    let rack = rack()
    let keys = (0..<3).map { hash(homeOf: $0, of: 3) }
    for (index, key) in keys.enumerated() {
      #expect(
        rack.perform(.set, key, sequence: UInt64(index) + 1, value: [UInt8(index)])?.header.status
          == .ok)
    }
    rack.promote(keys[0])
    rack.run(milliseconds: 100)
    drain(rack, 2)
    let state = rack.core.state
    #expect(state.servers.map(\.slots) == [8192, 8192, 0])
    #expect(state.totals.drains == 1 && state.totals.slotsMoved == 5461)
    #expect(rack.reading(keys[0])?.replicaSet == 0b11)
    #expect(rack.servers[2]?.slots.isEmpty == true)
    // It may be stopped: nobody misses it, and no slot has a loss.
    rack.silent = [2]
    rack.run(milliseconds: 5000)
    #expect(rack.core.state.totals.serversLost == 0 && rack.core.isQuiet)
    for (index, key) in keys.enumerated() {
      #expect(
        rack.perform(.get, key, client: 10, sequence: UInt64(index) + 1)?.value == [UInt8(index)])
      #expect(
        rack.perform(.set, key, sequence: UInt64(index) + 10, value: [9])?.header.status == .ok)
    }
  }

  @Test func slotsMoveInTheOrderThatTheProtocolAsksFor() {
    let rack = rack()
    let from = rack.published.count
    drain(rack, 2)
    var frozen: Set<UInt16> = []
    var generation: UInt64 = 0
    var atFreeze: UInt64 = 0
    for change in rack.published[from...] {
      switch change {
      case .setGeneration(let next): generation = next
      case .setSlots(let first, _, let home, _, true):
        #expect(home == 2)
        frozen.insert(first)
        atFreeze = generation
      case .setSlots(let first, _, let home, _, false):
        let wasFrozen = frozen.remove(first) != nil
        #expect(home != 2 && wasFrozen)
        #expect(generation >= atFreeze + 2, "one for the fence, one for those who know of it")
      default: break
      }
    }
    #expect(frozen.isEmpty)
    // The fence is ordered under a generation that was published after the slots were frozen.
    let steps = rack.sent.map(\.0).filter { $0.header.operation == .slotsMove }.compactMap {
      try? MoveBody(decoding: $0.value)
    }
    #expect(Set(steps.map(\.step)) == [.receive, .send, .fence, .take, .assign, .leave])
  }

  @Test func aDrainedServerComesBackAsItIsAndGetsItsShare() {
    let rack = rack(rebalances: true)
    let key = hash(homeOf: 2, of: 3)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    drain(rack, 2)
    rack.run(milliseconds: 1000)
    #expect(rack.core.state.servers[2].slots == 0, "it stays drained")
    rack.handle(.command(.add(2)))
    rack.run { rack.core.state.servers[2].slots > 0 }
    rack.settle()
    let shares = rack.core.state.servers.map(\.slots)
    #expect(shares.allSatisfy { (5461...5462).contains($0) } && shares.reduce(0, +) == 16384)
    #expect(rack.perform(.get, key, client: 10, sequence: 1)?.value == [1])
  }

  @Test func aServerThatReturnsGetsItsShareBack() {
    let rack = rack(rebalances: true)
    rack.startServer(1)
    rack.run { rack.core.state.totals.serversLost == 1 }
    rack.run { rack.core.state.servers[1].slots > 5000 }
    rack.settle()
    let shares = rack.core.state.servers.map(\.slots)
    #expect(shares.allSatisfy { (5461...5462).contains($0) })
  }

  @Test func aServerThatTheRackFileCallsDrainedIsNotWaitedFor() {
    let rack = TestRack {
      $0.policy.rebalances = true
      $0.drained = [1]
    }
    rack.silent = [1]
    rack.serve()
    #expect(rack.core.state.servers.map(\.phase) == [.alive, .drained, .alive])
    #expect(!rack.notices.contains { if case .serving([1]) = $0 { true } else { false } })
    rack.settle()
    #expect(rack.core.state.servers.map(\.slots) == [8192, 0, 8192])
    rack.startServer(1)
    rack.run(milliseconds: 500)
    #expect(rack.core.state.servers[1].phase == .drained)
    rack.handle(.command(.add(1)))
    rack.run { rack.core.state.servers[1].slots > 5000 }
    rack.settle()
    #expect(rack.core.state.servers[1].phase == .alive)
  }

  @Test func aDrainGoesOnInTheNextEpoch() {
    let rack = rack()
    let key = hash(homeOf: 2, of: 3)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    rack.handle(.command(.drain(2)))
    rack.run { rack.core.state.totals.slotMoves >= 1 }
    #expect(rack.core.state.servers[2].slots > 0)
    rack.reboot()
    rack.run { rack.core.serving }
    #expect(rack.core.state.takeOver?.missing == [] && rack.core.state.takeOver?.slotsLost == 0)
    rack.run { rack.core.state.servers[2].phase == .drained }
    rack.settle()
    #expect(rack.core.state.servers.map(\.slots) == [8192, 8192, 0])
    #expect(rack.perform(.get, key, client: 10, sequence: 1)?.value == [1])
    // Nobody waits for it when it has nothing any more, until it is added.
    rack.silent = [2]
    let before = rack.now
    rack.reboot()
    rack.run { rack.core.serving }
    #expect(rack.core.serving && rack.now - before < 1_000_000_000)
    #expect(rack.core.state.servers[2].phase == .drained)
    #expect(rack.core.state.takeOver?.missing == [])
    rack.silent = []
    rack.handle(.command(.add(2)))
    rack.run { rack.core.state.servers[2].phase == .alive }
    rack.settle()
    #expect(rack.perform(.get, key, client: 10, sequence: 2)?.value == [1])
    rack.reboot()
    rack.run { rack.core.serving }
    #expect(rack.core.state.servers[2].phase == .alive)
  }

  @Test func aCommandIsStrongerThanTheRackFile() {
    let rack = TestRack { $0.drained = [1] }
    rack.serve()
    #expect(rack.core.state.servers[1].phase == .drained)
    rack.handle(.command(.add(1)))
    rack.run { rack.core.state.servers[1].phase == .alive }
    #expect(rack.core.serviceOrders == [ServiceOrder(server: 1, isDrained: false)])
    rack.reboot()
    rack.run { rack.core.serving }
    #expect(rack.core.state.servers[1].phase == .alive)
  }

  @Test func theLastServerIsNotDrained() {
    let rack = rack(servers: 2)
    drain(rack, 0)
    #expect(!rack.core.mayDrain(1))
    rack.handle(.command(.drain(1)))
    rack.run(milliseconds: 200)
    #expect(rack.core.state.servers[1].phase == .alive)
    #expect(rack.core.state.servers[1].slots == 16384)
  }

  @Test func aChangeOfMindStopsADrain() {
    let rack = rack()
    rack.handle(.command(.drain(2)))
    rack.run { rack.core.state.totals.slotMoves >= 1 }
    rack.handle(.command(.add(2)))
    rack.settle()
    #expect(rack.core.state.servers[2].phase == .alive)
    #expect(rack.core.state.servers[2].slots > 0)
    #expect(rack.core.state.totals.drains == 0)
  }

  @Test func writesGoOnWhileEverythingIsLost() {
    for seed in UInt64(1)...6 {
      let rack = rack(seed: seed)
      rack.network = .init(loss: 0.1, duplication: 0.1, delay: 5)
      let keys = (0..<3).map { hash(homeOf: $0, of: 3) }
      rack.handle(.command(.drain(UInt8(seed % 3))))
      var sequence: UInt64 = 1
      var newest: [UInt64: [UInt8]] = [:]
      while rack.core.state.totals.drains == 0, sequence < 200 {
        for key in keys {
          let value = [UInt8(truncatingIfNeeded: sequence)]
          #expect(rack.perform(.set, key, sequence: sequence, value: value)?.header.status == .ok)
          newest[key] = value
          sequence += 1
        }
      }
      rack.network = .init()
      rack.settle()
      #expect(rack.core.state.totals.drains == 1)
      for key in keys {
        #expect(rack.perform(.get, key, client: 11, sequence: sequence)?.value == newest[key])
        sequence += 1
      }
    }
  }

  @Test(arguments: [UInt8(0), 1, 2])
  func aLossInTheMiddleOfAMoveLeavesNothingFrozen(_ lost: UInt8) {
    for wait in 0..<30 {
      let rack = TestRack { $0.policy.movedSlotsMax = 2048 }
      rack.serve()
      let keys = (0..<3).map { hash(homeOf: $0, of: 3) }
      for (index, key) in keys.enumerated() {
        _ = rack.perform(.set, key, sequence: UInt64(index) + 1, value: [UInt8(index)])
      }
      rack.handle(.command(.drain(2)))
      rack.run(milliseconds: wait)
      rack.silent = [lost]
      rack.run { rack.core.state.totals.serversLost == 1 || rack.core.state.totals.drains == 1 }
      rack.run(milliseconds: 3000)
      #expect(rack.core.move == nil && rack.core.recovery == nil)
      for (index, key) in keys.enumerated() {
        let reply = rack.perform(.get, key, client: 10, sequence: UInt64(index) + 1)
        #expect(reply?.value == [UInt8(index)] || reply?.header.status == .lost)
        #expect(
          rack.perform(.set, key, sequence: UInt64(index) + 10, value: [9])?.header.status == .ok)
      }
    }
  }

  @Test func aMoveThatStandsStillGivesTheSlotsBack() {
    let rack = rack()
    let key = hash(homeOf: 2, of: 3, number: 1)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    rack.handle(.command(.drain(2)))
    rack.run { rack.core.move?.isFrozen == true }
    rack.silent = [2]
    rack.run(milliseconds: 450)
    #expect(rack.core.state.totals.slotMovesGivenUp == 1 && rack.core.move?.isFrozen == false)
    rack.silent = []
    #expect(rack.perform(.set, key, sequence: 2, value: [2])?.header.status == .ok)
    rack.settle()
    #expect(rack.core.state.totals.drains == 1)
    #expect(rack.perform(.get, key, client: 10, sequence: 1)?.value == [2])
  }

  @Test func hotKeysStayHotWhileTheirSlotsMove() {
    let rack = rack()
    let key = hash(homeOf: 2, of: 3)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    rack.promote(key)
    rack.run(milliseconds: 100)
    let demotions = rack.core.state.totals.demotions
    drain(rack, 2)
    #expect(rack.mode(key) == .hot && rack.core.state.totals.demotions == demotions)
    #expect(rack.core.state.keys.first?.home != 2)
    #expect(rack.perform(.set, key, sequence: 2, value: [2])?.header.status == .ok)
    rack.silent = [2]
    rack.demote(key)
    #expect(rack.perform(.get, key, client: 10, sequence: 1)?.value == [2])
  }
}

@Suite struct SlotPlanTests {
  private func members(_ rows: [(Int, Double)]) -> [SlotPlan.Member] {
    rows.enumerated().map {
      SlotPlan.Member(number: UInt8($0.offset), slots: $0.element.0, weight: $0.element.1)
    }
  }

  @Test func sharesFollowTheWeightsAndAddUp() {
    let plan = SlotPlan(members([(5461, 1), (5461, 1), (5462, 1)]))
    #expect(plan.goals == [5461, 5461, 5462] && !plan.isUneven)
    #expect(SlotPlan(members([(16384, 1), (0, 1), (0, 0)])).goals == [8192, 8192, 0])
    #expect(SlotPlan(members([(16384, 1), (0, 0.5), (0, 0.5)])).goals == [8192, 4096, 4096])
    #expect(SlotPlan(members([(16384, 0)])).goals == nil)
    for count in 1...32 {
      let rows = (0..<count).map { _ in (16384 / count, 1.0) }
      let goals = SlotPlan(members(rows)).goals ?? []
      #expect(goals.reduce(0, +) == 16384 / count * count)
    }
  }

  @Test func whoIsToHaveNoneGivesFirst() {
    let plan = SlotPlan(members([(9000, 1), (100, 0), (7284, 1), (0, 1)]))
    #expect(plan.next { _ in 64 } == SlotPlan.Move(from: 1, to: 3, slots: 64))
    #expect(plan.next { _ in 10_000 }?.slots == 100)
  }

  @Test func aLittleUnevennessIsLeftAlone() {
    #expect(!SlotPlan(members([(5600, 1), (5392, 1), (5392, 1)])).isUneven)
    #expect(SlotPlan(members([(6000, 1), (5192, 1), (5192, 1)])).isUneven)
    #expect(SlotPlan(members([(1, 0), (8191, 1), (8192, 1)])).isUneven)
  }

  @Test func movesEnd() {
    var rows: [(Int, Double)] = [(16384, 0), (0, 1), (0, 0.5), (0, 1), (0, 0.125)]
    var moves = 0
    while let move = SlotPlan(members(rows)).next(slotsMax: { _ in 100 }) {
      rows[Int(move.from)].0 -= move.slots
      rows[Int(move.to)].0 += move.slots
      moves += 1
      #expect(moves < 1000)
    }
    #expect(rows.map(\.0) == SlotPlan(members(rows)).goals ?? [])
    #expect(rows[0].0 == 0)
  }
}

@Suite struct SlowServerTests {
  private let policy: SlowPolicy = {
    var policy = SlowPolicy()
    policy.roundTrip = 100
    policy.after = 20
    policy.recovery = 100
    return policy
  }()
  private let usual = SlowWatch.Measure(roundTrip: 1, load: 2)

  /// Gives the same measure every 5 units of time; returns when something changed, and to what.
  private func run(
    _ watch: inout SlowWatch, _ measure: SlowWatch.Measure, from start: UInt64, to end: UInt64,
    usual: SlowWatch.Measure? = nil, maySlow: Bool = true
  ) -> [(time: UInt64, weight: Double)] {
    var changes: [(UInt64, Double)] = []
    for now in stride(from: start, through: end, by: 5) {
      if watch.take(
        measure, usual: usual ?? self.usual, maySlow: maySlow, now: now, policy) != nil
      {
        changes.append((now, watch.weight))
      }
    }
    return changes
  }

  @Test func aSlowServerLosesItsShareByHalvesAndGetsItBack() {
    var watch = SlowWatch()
    let slow = SlowWatch.Measure(roundTrip: 500, load: 0)
    #expect(run(&watch, slow, from: 1000, to: 1015).isEmpty, "a moment proves nothing")
    let falls = run(&watch, slow, from: 1020, to: 1200)
    #expect(falls.map(\.weight) == [0.5, 0.25, 0.125, 0])
    #expect(falls.map(\.time) == [1020, 1040, 1060, 1080])
    let rises = run(&watch, SlowWatch.Measure(roundTrip: 10, load: 1), from: 2000, to: 3000)
    #expect(rises.map(\.weight) == [0.125, 0.25, 0.5, 1])
    #expect(rises.first?.time == 2100)
  }

  @Test func inBetweenNothingChanges() {
    var watch = SlowWatch()
    _ = run(&watch, SlowWatch.Measure(roundTrip: 500, load: 0), from: 0, to: 25)
    let before = watch.weight
    #expect(before == 0.5)
    // Below the limit, but not below half of it.
    #expect(run(&watch, SlowWatch.Measure(roundTrip: 70, load: 0), from: 30, to: 2000).isEmpty)
  }

  @Test func aBusyRackHasNoSlowServer() {
    var watch = SlowWatch()
    let busy = SlowWatch.Measure(roundTrip: 300, load: 180)
    #expect(
      run(
        &watch, busy, from: 0, to: 1000, usual: SlowWatch.Measure(roundTrip: 200, load: 150)
      ).isEmpty)
    #expect(run(&watch, busy, from: 2000, to: 3000, maySlow: false).isEmpty)
    #expect(!run(&watch, busy, from: 4000, to: 5000).isEmpty)
  }

  @Test func whoRelapsesWaitsLonger() {
    var watch = SlowWatch()
    let (slow, good) = (
      SlowWatch.Measure(roundTrip: 500, load: 0), SlowWatch.Measure(roundTrip: 1, load: 0)
    )
    var now: UInt64 = 1000
    var waits: [UInt64] = []
    for _ in 0..<7 {
      // Slow again as soon as it has been given more.
      #expect(run(&watch, slow, from: now, to: now + 20).count == 1)
      let start = now + 25
      now = start
      while watch.take(good, usual: usual, maySlow: true, now: now, policy) == nil { now += 5 }
      waits.append(now - start)
      now += 5
    }
    #expect(waits == [100, 200, 400, 800, 1600, 1600, 1600])
  }

  @Test func loadMovesAwayFromASlowServerAndComesBack() {
    let rack = TestRack(servers: 4) {
      $0.policy.automatic = true
      $0.policy.rebalances = true
      $0.policy.slow.after = 500_000_000
      $0.policy.slow.recovery = 1_000_000_000
    }
    rack.serve()
    rack.late = [3: 150]
    rack.run(for: 20_000) { rack.core.state.servers[3].slots == 0 }
    #expect(rack.core.state.servers[3].slots == 0 && rack.core.state.servers[3].weight == 0)
    #expect(rack.core.state.servers[3].phase == .alive)
    #expect(rack.core.state.totals.serversLost == 0)
    let key = hash(homeOf: 0, of: 4)
    rack.promote(key)
    let from = rack.published.count
    rack.run(milliseconds: 500)
    #expect(rack.reading(key).map { $0.replicaSet & 0b1000 } == 0, "it gets no copies")
    #expect(rack.published[from...].allSatisfy { if case .setAlive = $0 { false } else { true } })
    rack.late = [:]
    rack.run(for: 20_000) { rack.core.state.servers[3].slots >= 4095 }
    #expect(rack.core.state.servers[3].slots >= 4095 && rack.core.state.servers[3].weight == 1)
  }
}
