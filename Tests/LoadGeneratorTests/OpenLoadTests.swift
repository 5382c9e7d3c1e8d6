import CAllocations
import LoadGenerator
import ScriptedRack
import Sockets
import Synchronization
import Testing
import Wire
import Workload

/// Short, and patient with a machine that does something else.
private func configuration(_ rack: Endpoint) -> LoadConfiguration {
  var load = LoadConfiguration(rack: rack, keyCount: 1_000, alpha: 1.2)
  load.rate = 3_000
  load.warmUp = 50_000_000
  load.duration = 400_000_000
  load.mix = OperationMix(readShare: 0.6, deleteShare: 0.1)
  load.timeout = 20_000_000_000
  load.limit = 20_000_000_000
  return load
}

private func run(_ load: LoadConfiguration) async throws -> LoadReport {
  try await onThread { try OpenLoad(load).run() }
}

private func ended(_ report: LoadReport) -> UInt64 {
  report.completed + report.busy + report.timedOut + report.failed + report.notSent
}

@Suite struct OpenLoadTests {
  @Test("every operation is answered once and counted once")
  func counts() async throws {
    try await ScriptedRack.running { rack in
      let report = try await run(configuration(rack.endpoint))
      // 1,200, with a deviation of 35.
      #expect((1_000...1_400).contains(report.offered))
      #expect(report.completed == report.offered && ended(report) == report.offered)
      #expect(report.servers.map(\.completed).reduce(0, +) == report.completed)
      #expect(Set(report.servers.map(\.server)).isSubset(of: 0..<4))
      #expect(report.beyondLimit == 0)
      let p50 = try #require(report.p50Microseconds)
      let p99 = try #require(report.p99Microseconds)
      #expect(p50 > 0 && p50 <= p99 && p99 <= report.largestMicroseconds)
    }
  }

  @Test("requests are as the protocol wants them, with keys of the key space and the rack's hash")
  func requests() async throws {
    try await ScriptedRack.running { rack in
      var load = configuration(rack.endpoint)
      load.hashSeed = 9
      load.fill = 50
      load.valueLengths = .fixed(20)
      _ = try await run(load)
      let received = rack.received
      #expect(received.first?.header.operation == .hello)
      var ids = Set<[UInt64]>()
      for message in received where message.header.operation != .hello {
        let header = message.header
        #expect(load.keys.rank(ofKey: message.key) != nil)
        #expect(header.keyHash == KeyHash.of(message.key, seed: 9))
        #expect(message.value.count == (header.operation == .set ? 20 : 0))
        #expect(header.sequence >= 1 && header.sequence - header.acknowledged <= 63)
        #expect(header.knownGeneration == 3 && header.firstGeneration == 3)
        #expect(header.flags == [] && header.server == WireLimits.noServer)
        #expect(ids.insert([header.client, header.sequence]).inserted)
      }
      let firstKeys = received.filter { $0.header.operation == .set }.prefix(50).map(\.key)
      #expect(Set(firstKeys) == Set((0..<50).map { load.keys.key(ofRank: $0) }))
    }
  }

  @Test("busy and lost operations are counted, beyond the limit, and not tried again")
  func refusals() async throws {
    let script: ScriptedRack.Script = { header, _ in
      if header.operation == .hello { return .serve }
      return switch header.sequence % 10 {
      case 3: .refuse(.busy)
      case 5: .loseRequest
      case 6: .refuse(.ambiguous)
      case 7: .serveAndReplyTwice
      default: .serve
      }
    }
    try await ScriptedRack.running(script) { rack in
      var load = configuration(rack.endpoint)
      load.timeout = 2_000_000_000
      load.limit = load.timeout
      let report = try await run(load)
      #expect(report.busy > 0 && report.failed > 0 && report.completed > 0)
      #expect(report.timedOut > 0 && ended(report) == report.offered)
      #expect(report.beyondLimit >= report.busy + report.failed + report.timedOut)
      #expect(report.p99Microseconds == nil)
      #expect(report.servers.map(\.busy).reduce(0, +) == report.busy)
      let requests = rack.received.filter { $0.header.operation != .hello }
      #expect(
        Set(requests.map { [$0.header.client, $0.header.sequence] }).count == requests.count)
    }
  }

  @Test("what a transition refuses is tried again under the same id, and completes")
  func transitions() async throws {
    let script: ScriptedRack.Script = { header, attempt in
      header.operation == .set && attempt <= 2 ? .refuse(.frozen) : .serve
    }
    try await ScriptedRack.running(script) { rack in
      let report = try await run(configuration(rack.endpoint))
      #expect(report.completed == report.offered && report.busy == 0)
      #expect(report.attemptsAgain > 0 && report.attemptsAgain % 2 == 0)
    }
  }

  @Test("values are written before the load though servers are busy and datagrams get lost")
  func fill() async throws {
    let script: ScriptedRack.Script = { header, attempt in
      guard header.operation == .set, attempt == 1 else { return .serve }
      return switch header.sequence % 4 {
      case 1: .refuse(.busy)
      case 2: .loseRequest
      default: .serve
      }
    }
    try await ScriptedRack.running(script) { rack in
      var load = configuration(rack.endpoint)
      load.mix = .readsOnly
      load.fill = load.keys.count
      load.timeout = 200_000_000
      load.limit = load.timeout
      _ = try await run(load)
      let requests = rack.received.filter { $0.header.operation != .hello }
      let firstRead = try #require(requests.firstIndex { $0.header.operation == .get })
      #expect(Set(requests[..<firstRead].map(\.key)).count == 1_000)
      #expect(requests[firstRead...].allSatisfy { $0.header.operation == .get })
    }
  }

  @Test("the record has every measured request, with its server and its key")
  func record() async throws {
    try await ScriptedRack.running { rack in
      var load = configuration(rack.endpoint)
      let record = LoadRecord(capacity: 10)
      load.record = record
      let report = try await run(load)
      #expect(UInt64(record.requests.count) == report.offered)
      for server in report.servers {
        #expect(
          UInt64(record.requests.count { Int($0.server) == server.server }) == server.completed)
      }
      #expect(record.requests.allSatisfy { $0.answered >= $0.sent })
      let hottest = load.keys.number(ofRank: 0)
      // A quarter.
      #expect(record.requests.count { Int($0.key) == hottest } > record.requests.count / 8)
    }
  }

  @Test("progress tells of everything once")
  func progress() async throws {
    try await ScriptedRack.running { rack in
      var load = configuration(rack.endpoint)
      load.warmUp = 0
      load.progressInterval = 50_000_000
      let told = Mutex<[LoadProgress]>([])
      let settled = load
      let report = try await onThread {
        try OpenLoad(settled).run { progress in told.withLock { $0.append(progress) } }
      }
      let all = told.withLock { $0 }
      #expect(all.count > 1)
      #expect(all.map(\.offered).reduce(0, +) == report.offered)
      #expect(all.map(\.completed).reduce(0, +) == report.completed)
      #expect(all.flatMap(\.completedByServer).reduce(0, +) == report.completed)
    }
  }

  @Test("a stop ends the load early, with what was measured")
  func stop() async throws {
    try await ScriptedRack.running { rack in
      var load = configuration(rack.endpoint)
      load.warmUp = 0
      load.duration = 3_600_000_000_000
      load.progressInterval = 50_000_000
      let stop = LoadStop()
      let settled = load
      let report = try await onThread {
        try OpenLoad(settled, stop: stop).run { if $0.elapsed > 0.2 { stop.stop() } }
      }
      #expect(report.duration < 3_600 && report.completed > 0)
      #expect(ended(report) == report.offered)
    }
  }

  /// The keys asked for, in the order in which they arrived at the rack; one operation at a time, so
  /// that it is the order of sending.
  private func keysAsked(_ rack: ScriptedRack) -> [[UInt8]] {
    rack.received.filter { $0.header.operation == .get }.map(\.key)
  }

  @Test("popularity changes between the operations that the schedule says, and it is told")
  func scheduledChange() async throws {
    try await ScriptedRack.running { rack in
      var load = configuration(rack.endpoint)
      load.mix = .readsOnly
      load.warmUp = 0
      load.changes = PopularitySchedule([.hotIn(100), .hotOut(100)], every: 100_000_000)
      let report = try await run(load)
      // At 0.1, 0.2 and 0.3 of 0.4 seconds.
      #expect(report.changes.map(\.change) == ["hot-in 100", "hot-out 100", "hot-in 100"])
      for (index, change) in report.changes.enumerated() {
        #expect(change.firstDue - change.start >= UInt64(index + 1) * 100_000_000)
        #expect(change.firstSent >= change.firstDue)
      }
      // What a seed asks for does not depend on the clock, nor on what the rack does.
      var seeds = RandomSource(seed: load.seed)
      var stream = OperationStream(
        popularity: load.popularity, keys: load.keys, mix: load.mix,
        valueLengths: load.valueLengths, seed: seeds.next())
      var arrivals = PoissonArrivals(rate: load.rate, seed: seeds.next())
      var changes = try #require(load.changes).makeIterator()
      var expected: [[UInt8]] = []
      while case let time = arrivals.next(), time < load.duration {
        while let change = changes.next(upTo: time) { stream.change(change) }
        expected.append(stream.keys.key(ofNumber: stream.next().key))
      }
      #expect(keysAsked(rack) == expected)
    }
  }

  @Test("a change is made when a thread asks for it")
  func requestedChange() async throws {
    try await ScriptedRack.running { rack in
      var load = configuration(rack.endpoint)
      load.mix = .readsOnly
      load.warmUp = 0
      load.progressInterval = 100_000_000
      let (settled, changes) = (load, LoadChanges())
      let report = try await onThread {
        try OpenLoad(settled, changes: changes).run { _ in
          if changes.all.isEmpty { changes.request(.hotIn(100)) }
        }
      }
      #expect(report.changes == changes.all)
      #expect(report.changes.first?.change == "hot-in 100")
      var after = load.keys
      after.change(.hotIn(100))
      let asked = keysAsked(rack)
      // Zipf 1.2 of 1,000 keys: the hottest has 23 % of the load, and nearly none at rank 100.
      func share(of key: [UInt8], in keys: ArraySlice<[UInt8]>) -> Double {
        Double(keys.count { $0 == key }) / Double(keys.count)
      }
      #expect(share(of: load.keys.key(ofRank: 0), in: asked.prefix(200)) > 0.1)
      #expect(share(of: after.key(ofRank: 0), in: asked.suffix(200)) > 0.1)
      #expect(share(of: load.keys.key(ofRank: 0), in: asked.suffix(200)) < 0.05)
    }
  }

  @Test("a running load allocates nothing per operation")
  func allocations() async throws {
    try await ScriptedRack.running { rack in
      var load = configuration(rack.endpoint)
      load.rate = 5_000
      load.warmUp = 0
      load.duration = 600_000_000
      load.progressInterval = 50_000_000
      let marks = Mutex<[(offered: UInt64, allocations: UInt64)]>([])
      let settled = load
      _ = try await onThread {
        try OpenLoad(settled).run { progress in
          marks.withLock { $0.append((progress.offered, callocations_count())) }
        }
      }
      // After two snapshots all that grows with the operations under way has grown.
      let steady = marks.withLock { $0.dropFirst(1) }
      let first = try #require(steady.first)
      let last = try #require(steady.last)
      let operations = steady.dropFirst().map(\.offered).reduce(0, +)
      #expect(operations > 1_000)
      // Each snapshot takes a handful of its own.
      #expect((last.allocations - first.allocations) * 10 < operations)
    }
  }

  @Test("another hash seed than the rack's is told")
  func otherSeed() async throws {
    let script: ScriptedRack.Script = { header, _ in
      header.operation == .hello ? .serve : .refuse(.wrongHash)
    }
    try await ScriptedRack.running(script) { rack in
      _ = await #expect(throws: LoadError.otherSeed(0)) {
        try await run(configuration(rack.endpoint))
      }
    }
  }

  @Test("a rack that does not answer is told, and one whose port is closed")
  func silence() async throws {
    try await ScriptedRack.running({ _, _ in .loseRequest }) { rack in
      var load = configuration(rack.endpoint)
      load.greetingTime = 200_000_000
      await #expect(throws: LoadError.noAnswer(rack.endpoint, seconds: 0.2)) {
        try await run(load)
      }
    }
    let closed = try UDPSocket(bind: Endpoint(.loopback, port: 0)).local
    var load = configuration(closed)
    load.greetingTime = 200_000_000
    await #expect(throws: LoadError.socket(.refused(closed))) { try await run(load) }
  }
}
