import Directory
import Testing
import Wire

@testable import ControllerCore

@Suite("The directory's host reboots") struct RebootTests {
  /// A hot key of which only `holder` has the newest value, and the sequence of the next write.
  private func writeAway(
    _ rack: TestRack, _ key: UInt64, from holder: UInt8, value: [UInt8], first: UInt64 = 1
  ) -> UInt64 {
    rack.promote(key)
    if let entry = rack.core.entries[key]?.index { rack.memory.apply(.setCopies(entry: entry, 0)) }
    var sequence = first
    while true {
      let reply = rack.perform(.set, key, sequence: sequence, value: value)
      #expect(reply?.header.status == .ok)
      sequence += 1
      if reply?.header.server == holder { return sequence }
    }
  }

  @Test("What was hot is brought home, the slots stay where they are, and versions go on rising")
  func newestValueComesHome() {
    let rack = TestRack()
    rack.serve()
    let keys = (0..<9).map { hash(homeOf: $0 % 3, of: 3, number: UInt64($0) + 1) }
    var next: UInt64 = 1
    for (number, key) in keys.enumerated() {
      next = writeAway(
        rack, key, from: UInt8((number + 1) % 3), value: [UInt8(number)], first: next)
    }
    let cold = hash(homeOf: 1, of: 3, number: 77)
    #expect(rack.perform(.set, cold, sequence: next, value: [77])?.header.status == .ok)
    let slots = rack.core.state.servers.map(\.slots)
    rack.reboot()
    #expect(rack.request(.get, cold, sequence: 1) == .answer(.busy))
    rack.run { rack.core.serving }
    rack.settle()
    #expect(rack.core.state.takeOver?.keysRestored == 9)
    #expect(rack.core.state.takeOver?.keysLost == 0 && rack.core.state.takeOver?.missing == [])
    #expect(rack.core.state.keys.isEmpty && rack.core.state.servers.map(\.slots) == slots)
    for (number, key) in (keys + [cold]).enumerated() {
      let reply = rack.perform(.get, key, client: 10, sequence: UInt64(number) + 1)
      #expect(reply?.value == [number < 9 ? UInt8(number) : 77])
    }
    let written = rack.perform(.set, keys[0], sequence: next + 1, value: [5])
    #expect(Version.epoch(of: written?.header.version ?? 0) == 2)
    #expect(rack.servers.values.allSatisfy { $0.former.isEmpty })
  }

  @Test("A write that was executed away from home is not executed again when it is retried")
  func sessionsComeHome() {
    let rack = TestRack()
    rack.serve()
    let key = hash(homeOf: 0, of: 3)
    rack.promote(key)
    let first = rack.memory.generation
    var sequence: UInt64 = 0
    repeat {
      sequence += 1
    } while rack.request(.set, key, sequence: sequence, value: [1])
      != .steer(server: 2)
    rack.run(milliseconds: 10)
    let version = rack.servers[2]?.results[9]?[sequence]?.version
    #expect(version != nil)
    rack.reboot()
    rack.run { rack.core.serving }
    // Its client has heard of the new epoch since.
    rack.request(.set, key, sequence: sequence, first: first, value: [1])
    rack.run(milliseconds: 5)
    #expect(rack.replies.last?.header.status == .ok)
    #expect(rack.replies.last?.header.version == version)
    #expect(rack.replies.last?.header.server == 0)
  }

  @Test("What a server alone may have held that does not answer is lost, and said to be")
  func missingServer() {
    let rack = TestRack()
    rack.serve()
    let (hot, cold) = (hash(homeOf: 0, of: 3), hash(homeOf: 0, of: 3, number: 2))
    let gone = hash(homeOf: 2, of: 3)
    #expect(rack.perform(.set, cold, sequence: 1, value: [1])?.header.status == .ok)
    #expect(rack.perform(.set, gone, sequence: 2, value: [2])?.header.status == .ok)
    let next = writeAway(rack, hot, from: 2, value: [3], first: 3)
    let before = rack.memory.generation
    rack.silent = [2]
    rack.reboot()
    rack.run(for: 12_000) { rack.core.serving }
    rack.settle()
    #expect(rack.core.state.takeOver?.missing == [2])
    #expect(rack.core.state.takeOver?.keysLost == 1)
    #expect(rack.core.state.takeOver?.slotsLost ?? 0 > 5000)
    #expect(rack.perform(.get, cold, client: 10, sequence: 1)?.value == [1])
    #expect(rack.perform(.get, gone, client: 10, sequence: 2)?.header.status == .lost)
    #expect(rack.perform(.get, hot, client: 10, sequence: 3)?.header.status == .lost)
    // What was first sent before may have been executed there.
    rack.request(.set, hot, client: 12, sequence: 1, first: before, value: [4])
    rack.run(milliseconds: 20)
    #expect(rack.replies.last?.header.status == .ambiguous)
    #expect(rack.perform(.set, hot, sequence: next, value: [5])?.header.status == .ok)
    #expect(rack.perform(.get, hot, client: 10, sequence: 4)?.value == [5])
    // It comes back with all that it has, and has to drop it.
    rack.silent = []
    rack.run { rack.core.state.servers[2].phase == .alive }
    #expect(rack.core.state.totals.serversRenewed == 1 && rack.servers[2]?.stored.isEmpty == true)
    #expect(rack.perform(.get, gone, client: 10, sequence: 5)?.header.status == .lost)
  }

  @Test(
    "What a server cannot read, and may have held alone, is lost: no older value takes its place")
  func damagedHolder() {
    let rack = TestRack()
    for number in rack.servers.keys { rack.servers[number]?.conditions = .durable }
    rack.serve()
    let (damaged, whole) = (hash(homeOf: 0, of: 3), hash(homeOf: 1, of: 3))
    var next: UInt64 = 1
    for key in [damaged, whole] {
      #expect(rack.perform(.set, key, sequence: next, value: [1])?.header.status == .ok)
      next = writeAway(rack, key, from: 2, value: [2], first: next + 1)
    }
    rack.checksReplicaSets = false
    rack.servers[2]?.stored[damaged] = nil
    rack.servers[2]?.conditions = [.durable, .damaged]
    rack.reboot()
    rack.restartServer(2)
    rack.run { rack.core.serving }
    rack.settle()
    #expect(rack.core.state.takeOver?.missing == [] && rack.core.state.takeOver?.keysLost == 1)
    #expect(rack.perform(.get, damaged, client: 10, sequence: 1)?.header.status == .lost)
    #expect(rack.perform(.get, whole, client: 10, sequence: 2)?.value == [2])
    // FLOOR has told it that this has been dealt with.
    #expect(rack.run { rack.servers[2]?.conditions == .durable })
  }

  @Test("A key whose only holder has died is lost, at whatever moment of that the host reboots")
  func onlyHolderDiesBeforeTheReboot() {
    let key = hash(homeOf: 0, of: 3)
    func rack() -> TestRack {
      let rack = TestRack { $0.times.start = 500_000_000 }
      rack.serve()
      #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
      _ = writeAway(rack, key, from: 2, value: [2], first: 2)
      rack.silent = [2]
      // Almost long enough for it to be declared lost.
      rack.run(milliseconds: 1900)
      return rack
    }
    let whole = rack()
    let before = whole.effectsDone
    whole.run { whole.core.state.totals.keysLost == 1 && whole.core.isQuiet }
    let steps = whole.effectsDone - before
    #expect(steps > 30 && steps < 500)
    for step in 0..<steps {
      let rack = rack()
      rack.effectsLeft = step
      rack.run(milliseconds: 300)
      rack.effectsLeft = nil
      rack.reboot()
      #expect(rack.run { rack.core.serving && rack.core.isQuiet })
      // The home server has an older value.
      let read = rack.perform(.get, key, client: 10, sequence: 1)
      #expect(read?.header.status == .lost, "step \(step)")
    }
  }

  @Test("A value that was left over from an earlier hot time does not come back")
  func leftover() {
    let rack = TestRack()
    rack.serve()
    let key = hash(homeOf: 0, of: 3)
    _ = writeAway(rack, key, from: 2, value: [1])
    rack.demote(key)
    // Deleted since, and the tombstone is forgotten; the FLOOR has not reached server 2.
    rack.servers[0]?.stored[key] = nil
    rack.servers[0]?.fences = [:]
    rack.reboot()
    rack.run { rack.core.serving }
    rack.settle()
    // FLOOR follows.
    rack.run(milliseconds: 100)
    #expect(rack.servers[2]?.stored[key] == nil)
    #expect(rack.perform(.get, key, client: 10, sequence: 1)?.header.status == .notFound)
    // The same, made hot again since.
    rack.servers[2]?.stored[key] = .init(
      version: Version.first(ofEpoch: 2), value: [9], generation: Generation.first(ofEpoch: 2))
    rack.promote(key)
    rack.reboot()
    rack.run { rack.core.serving }
    #expect(rack.perform(.get, key, client: 10, sequence: 2)?.header.status == .notFound)
  }

  @Test("Whenever the host reboots again, or a server starts again, nothing falls back")
  func again() {
    for step in 0..<40 {
      for server in [nil, 0, 1, 2] as [UInt8?] {
        let rack = TestRack {
          $0.times.serverTimeout = 200_000_000
          $0.times.start = 400_000_000
          $0.policy.batchKeys = 2
        }
        rack.serve()
        let keys = (0..<5).map { hash(homeOf: $0 % 3, of: 3, number: UInt64($0) + 1) }
        var next: UInt64 = 1
        for (number, key) in keys.enumerated() {
          next = writeAway(
            rack, key, from: UInt8((number + 1) % 3), value: [UInt8(number)], first: next)
        }
        rack.reboot()
        rack.run(milliseconds: step)
        if let server { rack.startServer(server) } else { rack.reboot() }
        rack.run(for: 3000) { rack.core.serving }
        rack.settle()
        for (number, key) in keys.enumerated() {
          let reply = rack.perform(.get, key, client: 10, sequence: UInt64(number) + 1)
          let isRight =
            reply?.value == [UInt8(number)] || (server != nil && reply?.header.status == .lost)
          #expect(isRight, "step \(step), server \(String(describing: server)): key \(number)")
        }
        #expect(rack.core.state.servers.allSatisfy { $0.phase == .alive })
      }
    }
  }

  @Test("A server that the rack had gone on without before does not count, whatever it claims")
  func staleServer() {
    let rack = TestRack()
    rack.serve()
    let key = hash(homeOf: 2, of: 3)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    rack.silent = [2]
    rack.run { rack.core.state.servers[2].phase == .lost }
    rack.settle()
    rack.tick()
    #expect(rack.core.members.map(\.server) == [0, 1])
    #expect(rack.perform(.set, key, sequence: 2, value: [2])?.header.status == .ok)
    rack.silent = []
    rack.reboot()
    rack.run { rack.core.serving }
    rack.settle()
    #expect(rack.core.state.totals.serversRenewed == 1)
    #expect(rack.core.state.takeOver?.missing == [])
    #expect(rack.perform(.get, key, client: 10, sequence: 1)?.value == [2])
  }

  @Test("Without a record of the members all servers of the rack have to tell what they know")
  func withoutRecord() {
    for isSilent in [false, true] {
      let rack = TestRack()
      rack.serve()
      let key = hash(homeOf: 0, of: 3)
      _ = writeAway(rack, key, from: 2, value: [1])
      if isSilent { rack.silent = [1] }
      rack.reboot(members: [])
      rack.run(for: 12_000) { rack.core.serving }
      rack.settle()
      #expect(rack.core.state.takeOver?.missing == (isSilent ? [1] : []))
      let reply = rack.perform(.get, key, client: 10, sequence: 1)
      #expect(isSilent ? reply?.header.status == .lost : reply?.value == [1])
    }
  }

  @Test("A rack whose servers all have started again has lost everything; a new one has not")
  func allStartedAgain() {
    let rack = TestRack()
    rack.serve()
    #expect(rack.core.state.takeOver == nil)
    let key = hash(homeOf: 0, of: 3)
    #expect(rack.perform(.get, key, client: 10, sequence: 1)?.header.status == .notFound)
    for number in UInt8(0)..<3 { rack.startServer(number) }
    rack.reboot()
    rack.run { rack.core.serving }
    #expect(rack.core.state.takeOver?.slotsLost == 16_384)
    #expect(rack.perform(.get, key, client: 10, sequence: 2)?.header.status == .lost)
  }

  @Test("A server that knows an epoch that is not older is not touched, and said so once")
  func newerEpoch() {
    for epoch in [UInt16(1), 77] {
      let rack = TestRack()
      rack.servers[1]?.epoch = epoch
      rack.handle(.start(now: rack.now))
      rack.run(milliseconds: 1000)
      #expect(!rack.core.state.serving && rack.core.state.servers[1].phase == .unknown)
      #expect(rack.notices.filter { $0 == .serverOfNewerEpoch(1, epoch: epoch) }.count == 1)
      #expect(rack.servers[1]?.seen[.admit] == nil && rack.servers[1]?.seen[.renew] == nil)
    }
  }

  @Test("A server that was declared lost and is heard again begins anew by itself")
  func declaredLost() {
    let rack = TestRack()
    rack.serve()
    let key = hash(homeOf: 2, of: 3)
    rack.promote(key)
    let incarnation = rack.servers[2]?.incarnation
    rack.silent = [2]
    rack.run { rack.core.state.servers[2].phase == .lost }
    rack.settle()
    rack.silent = []
    rack.run { rack.core.state.servers[2].phase == .alive }
    rack.settle()
    #expect(rack.servers[2]?.incarnation != incarnation)
    #expect(rack.core.state.totals.serversRenewed == 1)
    #expect(rack.core.members.count == 3)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
  }

  /// What the unit tests of the protocol's models leave out one at a time.
  @Test(
    "A take-over that leaves a rule out goes wrong",
    arguments: [
      ControllerFaults.rebootForgets, .homeLeftBehind, .rebootBelievesTheRest,
    ])
  func faults(_ fault: ControllerFaults) {
    let rack = TestRack()
    rack.serve()
    let key = hash(homeOf: 0, of: 3)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    _ = writeAway(rack, key, from: 2, value: [2], first: 2)
    rack.core.faults = fault
    if fault == .rebootBelievesTheRest { rack.silent = [2] }
    rack.reboot()
    rack.run(for: 12_000) { rack.core.serving }
    rack.settle()
    #expect(rack.perform(.get, key, client: 10, sequence: 1)?.value == [1])
  }
}
