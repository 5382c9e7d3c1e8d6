import ControllerCore
import Directory
import Testing
import Wire

/// Each deliberate fault leaves out what it says: a mutation that changes nothing would prove
/// nothing about the simulator that is to find it.
@Suite struct FaultTests {
  func effects(of fault: ControllerFaults, _ command: (UInt64) -> ControllerCommand) -> TestRack {
    let rack = TestRack()
    rack.serve()
    rack.core.faults = fault
    let key = hash(homeOf: 1, of: 3)
    _ = rack.perform(.set, key, sequence: 1, value: [1])
    rack.published = []
    rack.sent = []
    rack.handle(.command(command(key)))
    rack.run(milliseconds: 60)
    return rack
  }

  func promotion(_ fault: ControllerFaults) -> TestRack {
    effects(of: fault) { .promote(keyHash: $0, key: testKey($0)) }
  }

  func receivers(_ rack: TestRack, of operation: Wire.Operation) -> Set<UInt8> {
    Set(rack.sent.filter { $0.0.header.operation == operation }.map(\.1))
  }

  /// A packet that was stamped before its ADMIT, and has yet to read who lives, must not be sent there.
  @Test func aServerThatReturnsBeforeTheGracePeriodIsOver() {
    for (fault, expected) in [(ControllerFaults.joinsAtOnce, true), ([], false)] {
      let rack = TestRack()
      rack.serve()
      rack.silent = [1]
      #expect(rack.run { rack.core.state.totals.serversLost == 1 })
      rack.settle()
      rack.core.faults = fault
      rack.restartServer(1)
      let from = rack.published.count
      func changes(_ matches: (DirectoryChange) -> Bool) -> Bool {
        rack.published[from...].contains(where: matches)
      }
      #expect(
        rack.run {
          changes {
            if case .setServer(1, let place) = $0 { place.incarnation != 0 } else { false }
          }
        })
      let isAtOnce = changes {
        if case .setAlive(let servers) = $0 { servers & 0b10 != 0 } else { false }
      }
      #expect(isAtOnce == expected)
    }
  }

  @Test func theGenerationBeforeTheEntry() {
    for (fault, expected) in [(ControllerFaults.generationBeforeEntry, true), ([], false)] {
      let rack = promotion(fault)
      let generation = rack.published.firstIndex(of: .setGeneration(firstGeneration + 1)) ?? .max
      let entry =
        rack.published.firstIndex { if case .insert = $0 { true } else { false } } ?? .max
      #expect(generation < .max && entry < .max && (generation < entry) == expected)
    }
  }

  @Test func onlyTheHomeServerFenced() {
    #expect(receivers(promotion(.onlyHomeFenced), of: .fence) == [1])
    #expect(receivers(promotion([]), of: .fence) == [0, 1, 2])
  }

  @Test func noSessionsInSync() throws {
    for (fault, expected) in [(ControllerFaults.noSessionSync, 0), ([], 3)] {
      let bodies = try promotion(fault).sent.filter { $0.0.header.operation == .sync }
        .map { try SyncBody(decoding: $0.0.value) }
      #expect(bodies.reduce(0) { $0 + $1.entries.count } == expected && bodies.count == 3)
    }
  }

  @Test func noSecondGeneration() {
    #expect(promotion(.noSecondGeneration).memory.generation == firstGeneration + 1)
    #expect(promotion([]).memory.generation == firstGeneration + 2)
  }

  @Test func hotBeforeSyncIsAcknowledged() {
    for (fault, expected) in [(ControllerFaults.hotBeforeSync, true), ([], false)] {
      let rack = TestRack()
      rack.serve()
      rack.core.faults = fault
      rack.checksReplicaSets = !expected
      let key = hash(homeOf: 1, of: 3)
      rack.handle(.command(.promote(keyHash: key, key: testKey(key))))
      rack.run { rack.sent.contains { $0.0.header.operation == .sync } }
      rack.silent = [0, 1, 2]
      rack.run(milliseconds: 2)
      #expect((rack.mode(key) == .hot) == expected)
    }
  }

  @Test func writeTargetsChangedByAPlainStore() {
    for (fault, expected) in [(ControllerFaults.plainTargetChange, 0), ([], 2)] {
      let rack = TestRack()
      rack.serve()
      rack.core.faults = fault
      let key = hash(homeOf: 1, of: 3)
      rack.promote(key)
      rack.run(milliseconds: 60)
      rack.published = []
      rack.startServer(2)
      rack.run { rack.core.state.totals.serversLost == 1 }
      rack.settle()
      // One transition without the lost server, one with it again.
      #expect(rack.core.state.totals.retargets == expected)
      #expect(rack.published.contains { if case .setTargets = $0 { true } else { false } })
    }
  }
}
