import Directory
import Testing
import Wire

@testable import ControllerCore

@Suite("A rack that changes while it runs")
struct ReconfigurationTests {
  private func rack(servers: Int = 3) -> TestRack {
    let rack = TestRack(servers: servers) {
      $0.policy.rebalances = true
      $0.policy.movedSlotsMax = 2048
    }
    rack.serve()
    return rack
  }

  private func place(_ number: UInt8, port: UInt16 = WireLimits.port) -> ServerPlace {
    ServerPlace(
      incarnation: 0, interface: 10 + UInt32(number), port: port,
      mac: [2, 0, 0, 0, 0, number], address: Array(repeating: number, count: 16))
  }

  /// The rack as it is.
  private func change(_ rack: TestRack) -> RackChange {
    RackChange(
      servers: rack.core.configuration.servers, policy: rack.core.configuration.policy,
      times: rack.core.configuration.times)
  }

  private func phase(_ rack: TestRack, _ number: UInt8) -> ServerState.Phase? {
    rack.core.state.servers.first { $0.number == number }?.phase
  }

  private func expectKept(_ rack: TestRack, _ keys: [UInt64], client: UInt64) {
    for (index, key) in keys.enumerated() {
      let reply = rack.perform(.get, key, client: client, sequence: UInt64(index) + 1)
      #expect(reply?.value == [UInt8(index)])
    }
  }

  @Test func aNewServerJoinsAndGetsItsShare() {
    let rack = rack()
    let keys = (0..<3).map { hash(homeOf: $0, of: 3) }
    for (index, key) in keys.enumerated() {
      _ = rack.perform(.set, key, sequence: UInt64(index) + 1, value: [UInt8(index)])
    }
    rack.promote(keys[0])
    rack.startServer(5)
    var change = change(rack)
    change.servers[5] = place(5)
    #expect(rack.core.refusals(of: change).isEmpty)
    rack.handle(.reconfigure(change))
    #expect(rack.notices.contains(.serverEnrolled(5)))
    rack.run { rack.core.state.servers.last?.slots == WireLimits.slots / 4 }
    let state = rack.core.state
    #expect(state.servers.map(\.number) == [0, 1, 2, 5])
    #expect(state.servers.map(\.slots) == [4096, 4096, 4096, 4096])
    #expect(state.totals.serversLost == 0)
    rack.settle()
    expectKept(rack, keys, client: 10)
    // It counts in the directory: a later controller finds it there.
    rack.replaceController()
    rack.settle()
    #expect(phase(rack, 5) == .alive)
  }

  @Test func aNewServerMayBeginDrained() {
    let rack = rack()
    rack.startServer(3)
    var change = change(rack)
    change.servers[3] = place(3)
    change.drained = [3]
    rack.handle(.reconfigure(change))
    rack.run(milliseconds: 500)
    #expect(phase(rack, 3) == .drained)
    #expect(rack.core.state.servers[3].slots == 0)
    rack.handle(.command(.add(3)))
    rack.run { rack.core.state.servers[3].slots == 4096 }
    #expect(phase(rack, 3) == .alive)
  }

  @Test func aServerGoesOnlyWhenNothingDependsOnIt() {
    let rack = rack()
    let keys = (0..<3).map { hash(homeOf: $0, of: 3) }
    for (index, key) in keys.enumerated() {
      _ = rack.perform(.set, key, sequence: UInt64(index) + 1, value: [UInt8(index)])
    }
    rack.promote(keys[2])
    var without = change(rack)
    without.servers[2] = nil
    #expect(rack.core.refusals(of: without) == [.serverNeeded(2, slots: 5461)])
    // Refused as a whole: not even the policy changes.
    without.policy.hotKeysMax = 7
    let before = rack.published.count
    rack.handle(.reconfigure(without))
    #expect(rack.core.configuration.policy.hotKeysMax == 512)
    #expect(rack.published.count == before && phase(rack, 2) == .alive)

    var drained = change(rack)
    drained.drained = [2]
    rack.handle(.reconfigure(drained))
    // It is needed until it has given everything away.
    var answers: [Bool] = []
    rack.run {
      answers.append(rack.core.refusals(of: without).isEmpty)
      return self.phase(rack, 2) == .drained
    }
    #expect(answers.dropLast().allSatisfy { !$0 })
    rack.run { rack.core.refusals(of: without).isEmpty }
    rack.handle(.reconfigure(without))
    #expect(rack.core.state.servers.map(\.number) == [0, 1])
    #expect(rack.core.serviceOrders.isEmpty)
    #expect(rack.core.configuration.policy.hotKeysMax == 7)
    #expect(rack.memory.contents().servers[2].port == 0)
    rack.silent = [2]
    rack.run(milliseconds: 5000)
    #expect(rack.core.state.totals.serversLost == 0)
    expectKept(rack, keys, client: 10)
    // The next controller, and the next epoch, know nothing of it.
    rack.replaceController()
    rack.settle()
    #expect(rack.core.members.allSatisfy { $0.server != 2 })
  }

  @Test func aPlaceInTheRackCanBeTakenByAnotherServer() {
    let rack = rack()
    var moved = change(rack)
    moved.servers[1] = place(1, port: 999)
    #expect(rack.core.refusals(of: moved) == [.serverNeeded(1, slots: 5461)])
    rack.handle(.command(.drain(1)))
    rack.run { rack.core.refusals(of: moved).isEmpty }
    rack.startServer(1)
    rack.handle(.reconfigure(moved))
    rack.run { self.phase(rack, 1) == .alive && rack.core.state.servers[1].slots > 5000 }
    #expect(rack.memory.contents().servers[1].port == 999)
    #expect(phase(rack, 1) == .alive)
    rack.settle()
  }

  @Test func aLostServerMayGo() {
    let rack = rack()
    rack.silent = [0]
    rack.run { self.phase(rack, 0) == .lost && rack.core.isQuiet }
    var without = change(rack)
    without.servers[0] = nil
    rack.run { rack.core.refusals(of: without).isEmpty }
    rack.handle(.reconfigure(without))
    #expect(rack.core.state.servers.map(\.number) == [1, 2])
    let key = hash(homeOf: 0, of: 3)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
  }

  @Test func somebodyHasToServe() {
    let rack = rack()
    var all = change(rack)
    all.drained = [0, 1, 2]
    #expect(rack.core.refusals(of: all) == [.noServerLeft])
    all.servers[3] = place(3)
    #expect(rack.core.refusals(of: all) == [])
    // One leaves and one comes at the same time.
    rack.startServer(3)
    rack.handle(.reconfigure(all))
    rack.run { (0..<3).allSatisfy { self.phase(rack, $0) == .drained } }
    #expect(rack.core.state.servers.map(\.slots) == [0, 0, 0, WireLimits.slots])
    // And back in one step.
    var back = change(rack)
    back.added = [0, 1]
    back.drained = [3]
    #expect(rack.core.refusals(of: back) == [])
    rack.handle(.reconfigure(back))
    rack.run { self.phase(rack, 3) == .drained }
    #expect(rack.core.state.servers.map(\.slots) == [8192, 8192, 0, 0])
  }

  @Test func nothingChangesBeforeTheRackServes() {
    let rack = TestRack()
    rack.handle(.start(now: rack.now))
    #expect(rack.core.refusals(of: change(rack)) == [.notReady])
  }

  @Test func aServersWayChangesInTheDirectory() {
    let rack = rack()
    let incarnation = rack.memory.contents().servers[1].incarnation
    rack.handle(.relocate(server: 1, interface: 77, mac: [2, 9, 9, 9, 9, 9]))
    let place = rack.memory.contents().servers[1]
    #expect(place.interface == 77 && place.mac == [2, 9, 9, 9, 9, 9])
    #expect(place.incarnation == incarnation && place.port == WireLimits.port)
    let before = rack.published.count
    rack.handle(.relocate(server: 1, interface: 77, mac: [2, 9, 9, 9, 9, 9]))
    #expect(rack.published.count == before, "nothing has changed")
    rack.handle(.relocate(server: 30, interface: 1, mac: [2, 0, 0, 0, 0, 0]))
    #expect(rack.published.count == before, "there is no such server")
    // It stays when the server joins once more.
    rack.startServer(1)
    rack.run { rack.core.state.totals.serversLost == 1 && self.phase(rack, 1) == .alive }
    #expect(rack.memory.contents().servers[1].mac == [2, 9, 9, 9, 9, 9])
  }

  @Test func thePolicyHoldsFromThenOn() {
    let rack = TestRack {
      $0.policy.automatic = true
      $0.policy.minimumStay = 0
    }
    rack.serve()
    for number in 0..<6 {
      rack.handle(
        .command(
          .promote(keyHash: hash(homeOf: number % 3, of: 3, number: UInt64(number) + 1), key: [1])))
    }
    rack.settle()
    var change = change(rack)
    change.policy.readChoice = .roundRobin
    change.policy.automatic = false
    rack.handle(.reconfigure(change))
    #expect(rack.published.contains(.setReadChoice(.roundRobin)))
    #expect(!rack.core.state.automatic)
    // What was said by command holds until the file says something new.
    rack.handle(.command(.setAutomatic(true)))
    change.policy.copiesMax = 1
    rack.handle(.reconfigure(change))
    #expect(rack.core.state.automatic)
  }

  @Test func fewerHotKeysThanThereAre() {
    let rack = TestRack {
      $0.policy.automatic = true
      $0.policy.minimumStay = 0
      $0.policy.demoteShare = 0
      $0.policy.minimumRate = 1
    }
    rack.serve()
    let keys = (0..<6).map { hash(homeOf: $0 % 3, of: 3, number: UInt64($0) + 1) }
    rack.run(for: 2000) {
      for key in keys {
        rack.handle(.sample(keyHash: key, key: testKey(key), operation: .get, weight: 1))
      }
      return rack.core.entries.count == 6 && rack.core.isQuiet
    }
    #expect(rack.core.entries.count == 6)
    var change = change(rack)
    change.policy.hotKeysMax = 2
    rack.handle(.reconfigure(change))
    rack.run(for: 2000) { rack.core.entries.count == 2 }
    #expect(rack.core.entries.count == 2)
  }
}
