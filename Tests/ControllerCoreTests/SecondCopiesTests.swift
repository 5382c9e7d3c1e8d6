import Directory
import Testing
import Wire

@testable import ControllerCore

/// Racks in which every slot has a backup.
@Suite struct SecondCopiesTests {
  private func rack(servers: Int = 3) -> TestRack {
    let rack = TestRack(servers: servers) { $0.copies = 2 }
    rack.serve()
    return rack
  }

  @Test func aNewRackHasABackupForEverySlot() {
    let rack = rack(servers: 4)
    let slots = rack.memory.contents().slots
    #expect(slots.allSatisfy { $0.home != $0.reader && $0.reader < 4 && !$0.moving })
    // The others share what one of them would leave behind.
    for home in UInt8(0)..<4 {
      let readers = Dictionary(grouping: slots.filter { $0.home == home }, by: \.reader)
      #expect(readers.count == 3 && readers.values.allSatisfy { abs($0.count - 4096 / 3) < 3 })
    }
    #expect(rack.run { rack.core.isOnTwo })
  }

  @Test func aLostServersSlotsGoOnAtTheirBackups() {
    let rack = rack()
    let before = rack.memory.contents().slots
    rack.silent = [1]
    #expect(rack.run { rack.core.state.totals.serversLost == 1 && rack.core.recovery == nil })
    let after = rack.memory.contents().slots
    for (was, now) in zip(before, after) {
      #expect(now.home == (was.home == 1 ? was.reader : was.home))
      #expect(now.reader == (was.home == 1 || was.reader == 1 ? now.home : was.reader))
      #expect(now.lossGeneration == 0 && !now.moving)
    }
    #expect(!rack.core.isOnTwo)
    // What is lost now has no other holder, but for slots that have a backup still.
    rack.silent = [1, 2]
    #expect(rack.run { rack.core.state.totals.serversLost == 2 && rack.core.recovery == nil })
    for (was, now) in zip(after, rack.memory.contents().slots) {
      #expect(now.home == 0)
      #expect((now.lossGeneration > 0) == (was.home == 2 && was.reader == 2))
    }
  }

  @Test func aHotKeysValueIsOnTwoServersWhenItBecomesHot() throws {
    let rack = rack()
    let key = Array("a key".utf8)
    let hash = KeyHash.of(key, seed: 0)
    rack.handle(.command(.promote(keyHash: hash, key: key)))
    #expect(rack.run { rack.core.entries[hash]?.mode == .hot })
    let slot = rack.memory.contents().slots[KeyHash.slot(hash)]
    let made = try #require(
      rack.published.compactMap { change -> UInt32? in
        if case .makeHot(_, _, let set, _, _, _, _) = change { set } else { nil }
      }.last)
    #expect(made == 1 << UInt32(slot.home) | 1 << UInt32(slot.reader))
  }

  private func isOnTwo(_ rack: TestRack) -> Bool { rack.run { rack.core.isOnTwo } }

  @Test func slotsWithoutABackupGetOneWhileTheyAreUsed() {
    let rack = rack()
    #expect(isOnTwo(rack))
    rack.silent = [1]
    #expect(rack.run { rack.core.state.totals.serversLost == 1 })
    #expect(isOnTwo(rack))
    rack.settle()
    let slots = rack.memory.contents().slots
    #expect(slots.allSatisfy { $0.home != $0.reader && $0.home != 1 && $0.reader != 1 })
    #expect(rack.notices.contains(.onTwoServers(false)) && rack.notices.last != nil)
    #expect(rack.core.state.totals.keysLost == 0)
    // Then another one may be lost, and nothing is.
    rack.silent = [1, 2]
    #expect(rack.run { rack.core.state.totals.serversLost == 2 && rack.core.recovery == nil })
    #expect(rack.memory.contents().slots.allSatisfy { $0.home == 0 && $0.lossGeneration == 0 })
  }

  @Test func theHomeKnowsItsBackupBeforeTheSlotIsThawed() {
    let rack = rack(servers: 2)
    rack.silent = [1]
    #expect(rack.run { rack.core.state.totals.serversLost == 1 && rack.core.recovery == nil })
    var assigned: [[SlotRun]] = []
    var frozen: Set<UInt16> = []
    rack.betweenEffects = { [unowned rack] in
      switch rack.published.last {
      case .setSlots(let first, _, 0, _, true)?: frozen.insert(first)
      case .setSlots(let first, _, 0, 1?, false)? where frozen.remove(first) != nil:
        // Acknowledged: the fake server has the run.
        let runs = rack.servers[0]?.slots ?? []
        #expect(runs.contains { $0.backup == 1 && $0.slots.contains(Int(first)) })
        assigned.append(runs)
      default: break
      }
    }
    rack.startServer(1)
    #expect(isOnTwo(rack))
    #expect(!assigned.isEmpty)
  }

  @Test func aDrainedServerIsNobodysBackup() {
    let rack = rack()
    #expect(isOnTwo(rack))
    rack.handle(.command(.drain(2)))
    #expect(rack.run(for: 20_000) { rack.core.state.servers[2].phase == .drained })
    #expect(rack.memory.contents().slots.allSatisfy { $0.home != 2 && $0.reader != 2 })
    #expect(isOnTwo(rack))
    // The last one goes on alone.
    rack.handle(.command(.drain(1)))
    #expect(rack.run(for: 20_000) { rack.core.state.servers[1].phase == .drained })
    #expect(rack.memory.contents().slots.allSatisfy { $0.home == 0 && $0.reader == 0 })
    #expect(!rack.core.isOnTwo && rack.core.state.totals.serversLost == 0)
  }

  @Test func homesAndBackupsAreEvenAgainAfterAReturn() {
    for count in [2, 3] {
      let rack = TestRack(servers: count) {
        $0.copies = 2
        $0.policy.rebalances = true
        $0.policy.movedSlotsMax = 2048
      }
      rack.serve()
      #expect(isOnTwo(rack))
      rack.startServer(1)
      #expect(rack.run { rack.core.state.totals.serversLost == 1 })
      #expect(rack.run(for: 20_000) { rack.core.isQuiet && rack.core.isOnTwo })
      let share = 16_384 / count
      for server in rack.core.state.servers {
        #expect(abs(server.slots - share) <= 1, "homes of \(server.number)")
        #expect(abs(server.backups - share) <= share / 20 + 1, "backups of \(server.number)")
      }
      #expect(rack.memory.contents().slots.allSatisfy { $0.home != $0.reader })
    }
  }

  @Test func whoIsToKeepOneCopyTakesTheBackupsAway() {
    let rack = rack()
    #expect(isOnTwo(rack))
    rack.replaceController(copies: 1)
    #expect(rack.run { rack.core.recovery == nil && !rack.core.isAdopting })
    rack.settle()
    #expect(rack.memory.contents().slots.allSatisfy { $0.home == $0.reader && !$0.moving })
    // And back again.
    rack.replaceController(copies: 2)
    #expect(isOnTwo(rack))
  }

  @Test func aDurableServerIsNotAdmitted() {
    let rack = TestRack(servers: 3) {
      $0.copies = 2
      $0.times.start = 300_000_000
    }
    rack.servers[2]?.conditions = [.durable]
    rack.serve()
    #expect(rack.run { rack.notices.contains(.durableRefused(2)) && rack.core.isOnTwo })
    rack.run(milliseconds: 1000)
    #expect(rack.notices.count { $0 == .durableRefused(2) } == 1)
    #expect(rack.core.state.servers[2].phase == .unknown)
  }

  @Test func whoTakesOverFindsHomeAndBackup() {
    var slot = rack().memory.contents().slots[0]
    (slot.home, slot.reader, slot.moving) = (1, 2, true)
    let both = SlotTable(Array(repeating: slot, count: 16_384), living: 0b110)
    #expect(both.home(ofHash: 1) == 1 && both.backup(ofHash: 1) == 2)
    let one = SlotTable(Array(repeating: slot, count: 16_384), living: 0b100)
    #expect(one.home(ofHash: 1) == 2 && one.backup(ofHash: 1) == nil)
    let none = SlotTable(Array(repeating: slot, count: 16_384), living: 0b001)
    #expect(none.home(ofHash: 1) == WireLimits.noServer)
  }
}
