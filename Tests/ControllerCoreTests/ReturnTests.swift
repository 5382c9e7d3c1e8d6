import Directory
import Testing
import Wire

@testable import ControllerCore

/// Durable servers that are silent for a while, or restart with their state.
@Suite struct ReturnTests {
  private func durableRack(
    _ configure: (inout ControllerConfiguration) -> Void = { _ in }
  ) -> TestRack {
    let rack = TestRack(configure: configure)
    for number in rack.servers.keys { rack.servers[number]?.conditions = .durable }
    rack.serve()
    return rack
  }

  private func phases(_ rack: TestRack) -> [ServerState.Phase] {
    rack.core.state.servers.map(\.phase)
  }

  @Test func aQuickRestartLosesNothing() {
    let rack = durableRack()
    let (cold, hot) = (hash(homeOf: 1, of: 3), hash(homeOf: 1, of: 3, number: 2))
    #expect(rack.perform(.set, cold, sequence: 1, value: [1])?.header.status == .ok)
    #expect(rack.perform(.set, hot, sequence: 2, value: [2])?.header.status == .ok)
    rack.promote(hot)
    rack.run(milliseconds: 100)
    let generation = rack.memory.generation
    rack.silent = [1]
    // Its answer to this is lost with its process.
    rack.request(.set, cold, client: 11, sequence: 1, first: generation, value: [3])
    rack.run(milliseconds: 5)
    rack.restartServer(1)
    #expect(rack.run { rack.core.state.totals.serversReturned == 1 })
    rack.settle()
    #expect(rack.core.state.totals.serversLost == 0)
    #expect(rack.core.state.servers.allSatisfy { $0.phase == .alive && $0.slots > 5000 })
    // No loss is remembered: a write from before is executed, not ambiguous.
    let from = rack.replies.count
    rack.request(.set, cold, client: 11, sequence: 1, first: generation, value: [3])
    rack.run(for: 100) { rack.replies.count > from }
    #expect(rack.replies.last?.header.status == .ok)
    #expect(rack.perform(.get, cold, client: 10, sequence: 1)?.value == [3])
    // The hot key is as it was: its set and its targets are the same servers.
    #expect(rack.mode(hot) == .hot && rack.reading(hot)?.replicaSet == 0b111)
    #expect(rack.core.state.totals.retargets == 0)
    for sequence in UInt64(10)..<40 {
      #expect(rack.perform(.set, hot, sequence: sequence, value: [4])?.header.status == .ok)
    }
    rack.demote(hot)
    #expect(rack.perform(.get, hot, client: 10, sequence: 2)?.value == [4])
  }

  @Test func aResultIsRememberedOverARestart() {
    let rack = durableRack()
    let key = hash(homeOf: 1, of: 3)
    let first = rack.perform(.set, key, sequence: 1, value: [1])
    rack.restartServer(1)
    #expect(rack.run { rack.core.state.totals.serversReturned == 1 })
    rack.settle()
    // The same again: the rack asserts that it does not take effect twice.
    let again = rack.perform(.set, key, sequence: 1, value: [1])
    #expect(again?.header.version == first?.header.version)
  }

  @Test func aSilentServerIsWaitedForAndComesBackWithItsSlots() {
    let rack = durableRack()
    let (cold, hot) = (hash(homeOf: 2, of: 3), hash(homeOf: 0, of: 3))
    #expect(rack.perform(.set, cold, sequence: 1, value: [1])?.header.status == .ok)
    #expect(rack.perform(.set, hot, sequence: 2, value: [2])?.header.status == .ok)
    rack.promote(hot)
    rack.run(milliseconds: 100)
    rack.silent = [2]
    #expect(rack.run { phases(rack)[2] == .away })
    // Its slots answer `busy`, reads of hot keys go on, and no transition begins.
    #expect(rack.request(.get, cold, client: 10, sequence: 1) == .answer(.busy))
    for sequence in UInt64(2)..<12 {
      #expect(rack.perform(.get, hot, client: 10, sequence: sequence)?.value == [2])
    }
    rack.handle(.command(.promote(keyHash: cold, key: testKey(cold))))
    rack.run(milliseconds: 3000)
    #expect(rack.mode(cold) == nil && rack.core.state.totals.serversLost == 0)
    rack.silent = []
    #expect(rack.run { phases(rack)[2] == .alive })
    rack.settle()
    #expect(rack.mode(cold) == .hot)
    #expect(rack.perform(.get, cold, client: 10, sequence: 20)?.value == [1])
    #expect(rack.core.state.servers[2].slots > 5000)
  }

  @Test func whoStaysAwayTooLongIsLostAndReturnsEmpty() {
    let rack = durableRack { $0.times.serverReturn = 4_000_000_000 }
    let key = hash(homeOf: 2, of: 3)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    rack.silent = [2]
    #expect(rack.run(for: 3000) { phases(rack)[2] == .away })
    #expect(rack.run { phases(rack)[2] == .lost })
    rack.settle()
    #expect(rack.perform(.get, key, client: 10, sequence: 1)?.header.status == .lost)
    #expect(rack.perform(.set, key, sequence: 2, value: [2])?.header.status == .ok)
    // What it has may be older than what has been acknowledged since.
    rack.restartServer(2)
    #expect(rack.run { phases(rack)[2] == .alive })
    #expect(rack.notices.contains(.serverStateRefused(2)))
    rack.settle()
    #expect(rack.servers[2]?.stored.isEmpty == true && rack.core.state.servers[2].slots == 0)
    #expect(rack.perform(.get, key, client: 10, sequence: 2)?.value == [2])
  }

  @Test func aWholeRackThatRestartsLosesNothingHoweverLongItTakes() {
    let rack = durableRack { $0.times.serverReturn = 3_000_000_000 }
    let keys = (0..<3).map { hash(homeOf: $0, of: 3) }
    for (index, key) in keys.enumerated() {
      #expect(
        rack.perform(.set, key, sequence: UInt64(index) + 1, value: [UInt8(index)])?.header.status
          == .ok)
    }
    rack.promote(keys[0])
    rack.run(milliseconds: 100)
    rack.silent = [0, 1, 2]
    rack.run(milliseconds: 20_000)
    #expect(phases(rack) == [.away, .away, .away])
    rack.restartServer(1)
    #expect(rack.run { phases(rack)[1] == .alive })
    // The others have their time from now on.
    rack.run(milliseconds: 2_000)
    #expect(phases(rack)[0] == .away)
    rack.restartServer(0)
    rack.run(milliseconds: 500)
    rack.restartServer(2)
    #expect(rack.run { phases(rack) == [.alive, .alive, .alive] })
    rack.settle()
    #expect(rack.core.state.totals.serversLost == 0 && rack.core.state.totals.keysLost == 0)
    for (index, key) in keys.enumerated() {
      #expect(
        rack.perform(.get, key, client: 10, sequence: UInt64(index) + 1)?.value == [UInt8(index)])
    }
  }

  @Test func aRestartInTheMiddleOfARestartIsBelievedToo() {
    let rack = durableRack()
    let key = hash(homeOf: 1, of: 3)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    for steps in 0..<25 {
      rack.restartServer(1)
      rack.run(milliseconds: steps * 7 % 130)
    }
    #expect(rack.run { phases(rack)[1] == .alive })
    rack.settle()
    #expect(rack.core.state.totals.serversLost == 0)
    #expect(rack.perform(.get, key, client: 10, sequence: 1)?.value == [1])
  }

  @Test func allServersAndTheDirectoryHostMayRestart() {
    let rack = durableRack()
    let keys = (0..<3).map { hash(homeOf: $0, of: 3) }
    for (index, key) in keys.enumerated() {
      #expect(
        rack.perform(.set, key, sequence: UInt64(index) + 1, value: [UInt8(index)])?.header.status
          == .ok)
    }
    rack.promote(keys[0])
    rack.run(milliseconds: 100)
    rack.reboot()
    for number in [0, 1, 2] as [UInt8] { rack.restartServer(number) }
    #expect(rack.run { rack.core.serving })
    rack.settle()
    #expect(rack.core.state.takeOver?.missing == [])
    #expect(rack.core.state.takeOver?.keysLost == 0)
    for (index, key) in keys.enumerated() {
      #expect(
        rack.perform(.get, key, client: 10, sequence: UInt64(index) + 1)?.value == [UInt8(index)])
    }
  }

  /// Servers 1 and 2 have a value each, of which the second one's is hot; then server 2 restarts.
  /// Returns the keys.
  private func beginReturn(_ rack: TestRack) -> [UInt64] {
    let keys = [hash(homeOf: 1, of: 3), hash(homeOf: 2, of: 3), hash(homeOf: 2, of: 3, number: 2)]
    for (index, key) in keys.enumerated() {
      #expect(
        rack.perform(.set, key, sequence: UInt64(index) + 1, value: [UInt8(index)])?.header.status
          == .ok)
    }
    rack.promote(keys[1])
    rack.run(milliseconds: 100)
    return keys
  }

  @Test func aServerComesBackToAnotherControllerAtAnyStep() {
    let whole = durableRack()
    _ = beginReturn(whole)
    let before = whole.effectsDone
    whole.restartServer(2)
    #expect(whole.run { whole.core.state.totals.serversReturned == 1 && whole.core.isQuiet })
    let steps = whole.effectsDone - before
    #expect(steps > 10 && steps < 500)
    for step in 0..<steps {
      let rack = durableRack()
      let keys = beginReturn(rack)
      rack.effectsLeft = step
      rack.restartServer(2)
      rack.run(milliseconds: 300)
      // Now and then it restarts once more while nobody looks.
      if step % 3 == 0 { rack.restartServer(2) }
      rack.replaceController()
      rack.run(milliseconds: 200)
      #expect(
        rack.run { phases(rack) == [.alive, .alive, .alive] && rack.core.isQuiet }, "\(step)")
      #expect(rack.core.state.totals.serversLost == 0)
      #expect(rack.memory.contents().away == 0 && rack.memory.contents().durable == 0b111)
      for (index, key) in keys.enumerated() {
        let read = rack.perform(.get, key, client: 10, sequence: UInt64(index) + 1)
        #expect(read?.value == [UInt8(index)], "step \(step), key \(index)")
      }
    }
  }

  @Test func whoIsAwayIsNotForgottenByTheNextController() {
    for (fault, value) in [(ControllerFaults.adoptionForgetsAway, [] as [UInt8]), ([], [2])] {
      let rack = durableRack()
      let keys = beginReturn(rack)
      rack.silent = [2]
      #expect(rack.run { rack.memory.contents().away == 0b100 })
      rack.effectsLeft = 0
      rack.checksReplicaSets = false
      rack.replaceController(faults: fault)
      rack.run(milliseconds: 3000)
      rack.restartServer(2)
      #expect(rack.run { phases(rack) == [.alive, .alive, .alive] && rack.core.isQuiet })
      #expect(rack.perform(.get, keys[2], client: 10, sequence: 1)?.value == value)
    }
  }

  @Test func anAdoptedServerThatDiesIsWaitedForAtOnce() {
    let rack = durableRack()
    _ = beginReturn(rack)
    rack.effectsLeft = 0
    rack.silent = [2]
    rack.replaceController()
    #expect(rack.run { phases(rack)[2] == .away })
    #expect(rack.core.state.totals.serversLost == 0)
  }

  @Test func aServerThatReturnsEmptyIsLostAtOnce() {
    let rack = durableRack()
    let key = hash(homeOf: 1, of: 3)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    rack.startServer(1)
    #expect(rack.run(for: 1000) { rack.core.state.totals.serversLost == 1 })
    rack.settle()
    #expect(rack.perform(.get, key, client: 10, sequence: 1)?.header.status == .lost)
  }

  @Test func aDamagedHotKeyIsRepairedFromACopy() {
    let rack = durableRack()
    let (copied, alone) = (hash(homeOf: 1, of: 3), hash(homeOf: 1, of: 3, number: 2))
    for (index, key) in [copied, alone].enumerated() {
      #expect(
        rack.perform(.set, key, sequence: UInt64(index) + 1, value: [7])?.header.status == .ok)
      rack.promote(key)
      rack.run(milliseconds: 100)
      #expect(rack.reading(key)?.replicaSet == 0b111)
    }
    // Of one key, every other server has lost its copy.
    for number in [0, 2] as [UInt8] { rack.servers[number]?.stored[alone] = nil }
    rack.checksReplicaSets = false
    for key in [copied, alone] {
      rack.servers[1]?.stored[key] = nil
      rack.servers[1]?.lostKeys.insert(key)
    }
    rack.servers[1]?.conditions = [.durable, .damaged]
    rack.restartServer(1)
    #expect(rack.run { rack.core.state.totals.serversReturned == 1 })
    #expect(rack.notices.contains(.serverDamaged(1)))
    rack.settle()
    #expect(rack.servers[1]?.stored[copied]?.value == [7])
    #expect(rack.mode(copied) == .hot)
    #expect(rack.perform(.get, copied, client: 10, sequence: 1)?.value == [7])
    #expect(rack.mode(alone) == nil && rack.core.state.totals.keysLost == 1)
    #expect(rack.perform(.get, alone, client: 10, sequence: 2)?.header.status == .lost)
  }

  @Test func aFullDiskIsTold() {
    let rack = durableRack()
    rack.servers[0]?.conditions = [.durable, .full]
    #expect(rack.run { rack.notices.contains(.serverFull(0, true)) })
    #expect(rack.core.state.servers.map(\.storage) == [.full, .durable, .durable])
    rack.servers[0]?.conditions = .durable
    #expect(rack.run { rack.notices.contains(.serverFull(0, false)) })
  }
}
