import ControllerCore
import Directory
import Testing
import Wire

@Suite struct LossTests {
  @Test func aSilentServerIsTakenOutAndItsSlotsMove() {
    let rack = TestRack()
    rack.serve()
    let (lost, kept) = (hash(homeOf: 2, of: 3), hash(homeOf: 0, of: 3))
    #expect(rack.perform(.set, lost, sequence: 1, value: [1])?.header.status == .ok)
    #expect(rack.perform(.set, kept, sequence: 2, value: [2])?.header.status == .ok)
    let before = rack.memory.generation
    rack.silent = [2]
    rack.run { rack.core.state.servers[2].phase == .lost }
    rack.settle()
    #expect(rack.core.state.servers[2].slots == 0)
    #expect(rack.core.state.servers[0].slots + rack.core.state.servers[1].slots == 16384)
    // What it held is lost, and said to be; a write of before is ambiguous, a new one is not.
    #expect(rack.perform(.get, lost, client: 10, sequence: 1)?.header.status == .lost)
    let from = rack.replies.count
    rack.request(.set, lost, client: 12, sequence: 1, first: before, value: [3])
    rack.run(for: 100) { rack.replies.count > from }
    #expect(rack.replies.last?.header.status == .ambiguous)
    #expect(rack.perform(.set, lost, sequence: 3, value: [3])?.header.status == .ok)
    #expect(rack.perform(.get, lost, client: 10, sequence: 2)?.value == [3])
    #expect(rack.perform(.get, kept, client: 10, sequence: 3)?.value == [2])
  }

  @Test func aHotKeySurvivesTheLossOfItsHomeServer() {
    let rack = TestRack()
    rack.serve()
    let key = hash(homeOf: 2, of: 3)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    rack.promote(key)
    rack.run(milliseconds: 100)
    #expect(rack.reading(key)?.replicaSet == 0b111)
    rack.silent = [2]
    rack.run { rack.core.state.servers[2].phase == .lost }
    rack.settle()
    #expect(rack.mode(key) == .hot)
    #expect(rack.perform(.get, key, client: 10, sequence: 1)?.value == [1])
    #expect(rack.perform(.set, key, sequence: 2, value: [2])?.header.status == .ok)
    rack.demote(key)
    #expect(rack.perform(.get, key, client: 10, sequence: 2)?.value == [2])
  }

  @Test func aHotKeyWhoseOnlyHolderDiedIsLostUntilItIsWritten() {
    let rack = TestRack()
    rack.serve()
    let key = hash(homeOf: 2, of: 3)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    rack.promote(key)
    rack.run(milliseconds: 100)
    // A write that no copy follows: only its target has it.
    if let entry = rack.core.state.keys.first?.entry {
      rack.memory.apply(.setCopies(entry: entry, 0))
    }
    var sequence: UInt64 = 2
    var holder: UInt8?
    while holder != 2 {
      let reply = rack.perform(.set, key, sequence: sequence, value: [2])
      #expect(reply?.header.status == .ok)
      holder = reply?.header.server
      sequence += 1
      if holder == 2 { rack.silent = [2] }
      rack.run(milliseconds: 1)
    }
    rack.run { rack.core.state.servers[2].phase == .lost }
    rack.settle()
    #expect(rack.core.state.totals.keysLost == 1 && rack.mode(key) == nil)
    #expect(rack.perform(.get, key, client: 10, sequence: 1)?.header.status == .lost)
    // It cannot be made hot: an old copy would pass for its value.
    rack.handle(.command(.promote(keyHash: key, key: testKey(key))))
    rack.settle()
    #expect(rack.mode(key) == nil)
    #expect(rack.perform(.set, key, sequence: sequence, value: [5])?.header.status == .ok)
    rack.promote(key)
    #expect(rack.perform(.get, key, client: 10, sequence: 2)?.value == [5])
  }

  @Test func aServerThatRestartsIsLostAndComesBackEmptyWithoutSlots() {
    let rack = TestRack()
    rack.serve()
    let keys = (0..<3).map { hash(homeOf: $0, of: 3, number: UInt64($0) + 1) }
    for (index, key) in keys.enumerated() {
      #expect(
        rack.perform(.set, key, sequence: UInt64(index) + 1, value: [UInt8(index)])?.header.status
          == .ok)
      rack.promote(key)
    }
    rack.run(milliseconds: 100)
    rack.startServer(1)
    rack.run { rack.core.state.totals.serversLost == 1 }
    rack.settle()
    #expect(rack.core.state.servers.allSatisfy { $0.phase == .alive })
    #expect(rack.core.state.servers[1].slots == 0)
    #expect(rack.servers[1]?.floor ?? 0 > 1)
    for (index, key) in keys.enumerated() {
      #expect(
        rack.perform(.get, key, client: 10, sequence: UInt64(index) + 1)?.value == [UInt8(index)])
    }
    // It takes hot writes again.
    let before = rack.servers[1]?.seen[.set] ?? 0
    for sequence in UInt64(10)..<30 {
      #expect(rack.perform(.set, keys[0], sequence: sequence, value: [9])?.header.status == .ok)
    }
    #expect(rack.servers[1]?.seen[.set] ?? 0 > before)
  }

  @Test func aRetryOfWhatALostServerExecutedIsAmbiguousAlsoWhenTheServerIsBack() {
    let rack = TestRack()
    rack.serve()
    let key = hash(homeOf: 0, of: 3)
    rack.promote(key)
    rack.run(milliseconds: 100)
    // A request that server 2 executes, and whose reply its client never sees.
    let first = rack.memory.generation
    var sequence: UInt64 = 0
    repeat {
      sequence += 1
    } while rack.request(.set, key, sequence: sequence, value: [1])
      != .steer(server: 2)
    rack.run(milliseconds: 10)
    #expect(rack.servers[2]?.results[9]?[sequence] != nil)
    rack.startServer(2)
    // Its client asks again at every moment, between any two steps of the controller.
    rack.betweenEffects = { [unowned rack] in
      rack.request(.set, key, sequence: sequence, first: first, value: [1])
    }
    var statuses: Set<Status> = []
    for _ in 0..<200 {
      let from = rack.replies.count
      rack.request(.set, key, sequence: sequence, first: first, value: [1])
      rack.run(milliseconds: 5)
      statuses.formUnion(rack.replies[from...].map(\.header.status))
    }
    #expect(rack.core.isQuiet && rack.core.state.servers.allSatisfy { $0.phase == .alive })
    #expect(statuses.contains(.ambiguous) && !statuses.contains(.ok))
  }

  @Test func aServerLostInTheMiddleOfTransitionsDoesNotStopThem() {
    for step in 0..<12 {
      let rack = TestRack(servers: 4)
      rack.serve()
      let (first, second) = (hash(homeOf: 0, of: 4), hash(homeOf: 1, of: 4, number: 2))
      #expect(rack.perform(.set, first, sequence: 1, value: [1])?.header.status == .ok)
      #expect(rack.perform(.set, second, sequence: 2, value: [2])?.header.status == .ok)
      rack.promote(first)
      rack.run(milliseconds: 60)
      rack.handle(.command(.demote(keyHash: first)))
      rack.handle(.command(.promote(keyHash: second, key: testKey(second))))
      rack.run(milliseconds: step)
      rack.startServer(3)
      rack.run { rack.core.state.totals.serversLost == 1 }
      rack.settle()
      #expect(rack.mode(first) == nil && rack.mode(second) == .hot)
      #expect(rack.perform(.get, first, client: 10, sequence: 1)?.value == [1])
      #expect(rack.perform(.get, second, client: 10, sequence: 2)?.value == [2])
      #expect(rack.perform(.set, first, sequence: 3, value: [3])?.header.status == .ok)
      #expect(rack.perform(.set, second, sequence: 4, value: [4])?.header.status == .ok)
    }
  }

  @Test func allServersMayBeLostAndComeBackEmpty() {
    let rack = TestRack(servers: 2)
    rack.serve()
    let key = hash(homeOf: 1, of: 2)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    rack.promote(key)
    rack.silent = [0, 1]
    rack.run { rack.core.state.servers.allSatisfy { $0.phase == .lost } }
    rack.startServer(0)
    rack.run { rack.core.state.servers[0].phase == .alive && !rack.core.state.movingSlots }
    rack.run(milliseconds: 500)
    #expect(rack.core.state.servers[0].slots == 16384)
    #expect(rack.perform(.get, key, client: 10, sequence: 1)?.header.status == .lost)
    #expect(rack.perform(.set, key, sequence: 2, value: [2])?.header.status == .ok)
    #expect(rack.perform(.get, key, client: 10, sequence: 2)?.value == [2])
  }

  @Test func floorsLetTheServersForgetAndRefuseWhatIsOlder() {
    let rack = TestRack()
    rack.serve()
    let (key, other) = (hash(homeOf: 1, of: 3), hash(homeOf: 0, of: 3))
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    rack.promote(key)
    rack.promote(other)
    rack.run(milliseconds: 100)
    rack.demote(key)
    #expect(rack.servers[2]?.stored[key] != nil)
    rack.network = .init(loss: 0.4, duplication: 0.2, delay: 5)
    rack.handle(.command(.floor))
    rack.run { rack.servers.values.allSatisfy { $0.floor == rack.memory.generation } }
    rack.network = .init()
    rack.settle()
    #expect(rack.servers[2]?.stored[key] == nil && rack.servers[1]?.stored[key] != nil)
    #expect(rack.servers.values.allSatisfy { $0.fences.isEmpty })
    #expect(rack.perform(.get, key, client: 10, sequence: 1)?.value == [1])
  }

  /// One client at a time, so that what a read may return is known: the last value written, or one
  /// whose outcome was never told. A value may be lost, and said to be; it may not fall back.
  @Test(arguments: UInt64(1)...40)
  func whateverIsLostNoValueFallsBackAndNoWriteTakesEffectTwice(seed: UInt64) {
    let rack = TestRack(servers: 4, seed: seed) {
      $0.times.serverTimeout = 300_000_000
      $0.times.transition = 150_000_000
    }
    rack.serve()
    rack.network = .init(
      loss: seed % 2 == 0 ? 0.1 : 0, duplication: seed % 2 == 0 ? 0.1 : 0,
      delay: seed % 3 == 0 ? 6 : 1)
    let keys = (0..<4).map { hash(homeOf: $0, of: 4, number: UInt64($0) + 1) }
    var possible: [UInt64: Set<[UInt8]>] = [:]
    var (answered, lost) = (0, 0)
    for sequence in UInt64(1)...80 {
      let key = keys.randomElement(using: &rack.random) ?? keys[0]
      switch Int.random(in: 0..<16, using: &rack.random) {
      case 0, 1, 2: rack.handle(.command(.promote(keyHash: key, key: testKey(key))))
      case 3, 4: rack.handle(.command(.demote(keyHash: key)))
      case 5: rack.handle(.command(.retarget(keyHash: key)))
      case 6: rack.handle(.command(.floor))
      case 7: rack.startServer(UInt8.random(in: 0..<4, using: &rack.random))
      default: break
      }
      rack.run(milliseconds: Int.random(in: 0...30, using: &rack.random))
      let value = [UInt8(sequence)]
      let written = rack.perform(.set, key, sequence: sequence, value: value)
      if written?.header.status == .ok {
        possible[key] = [value]
        answered += 1
      } else {
        possible[key, default: [[]]].insert(value)
      }
      rack.run(milliseconds: Int.random(in: 0...30, using: &rack.random))
      let other = keys.randomElement(using: &rack.random) ?? keys[0]
      guard let read = rack.perform(.get, other, client: 10, sequence: sequence) else { continue }
      if read.header.status == .lost {
        lost += 1
      } else {
        #expect(possible[other, default: [[]]].contains(read.value), "seed \(seed)")
        possible[other] = [read.value]
      }
    }
    #expect(answered > 30, "seed \(seed): \(answered) writes answered, \(lost) reads lost")
  }
}
