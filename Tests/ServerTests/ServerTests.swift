import HotrackClient
import Logging
import Server
import Sockets
import Testing
import Wire

@Suite struct ServerTests {
  @Test func aClientReadsAndWritesThroughADirectoryAndRealServers() async throws {
    let rack = try UserSpaceRack()
    let client = try HotrackClient(rack: "\(rack.address)")
    defer { client.close() }
    for number in 0..<100 {
      _ = try await client.set("key \(number)", "value \(number)")
    }
    for number in 0..<100 {
      let value = try await client.get("key \(number)")
      #expect(value?.string == "value \(number)")
    }
    _ = try await client.delete("key 7")
    #expect(try await client.get("key 7") == nil)
    #expect(try await client.get("never") == nil)
    rack.servers.stop()
    let totals = try rack.servers.waitForEnd()
    #expect(totals.allSatisfy { $0.writes > 0 && $0.refused == 0 })
    #expect(totals.reduce(0) { $0 + $1.writes } == 101)
  }

  @Test func lostRequestsAreAskedAgainAndTakeEffectOnce() async throws {
    let rack = try UserSpaceRack()
    let client = try HotrackClient(rack: "\(rack.address)")
    defer { client.close() }
    _ = try await client.set("a", "0")
    for round in 1...10 {
      rack.lose(2)
      _ = try await client.set("a", "\(round)")
      rack.lose(1)
      #expect(try await client.get("a")?.string == "\(round)")
    }
    rack.servers.stop()
    let totals = try rack.servers.waitForEnd()
    #expect(totals.reduce(0) { $0 + $1.writes } == 11)
  }

  @Test func manyRequestsAtOnceAreAllAnswered() async throws {
    let rack = try UserSpaceRack()
    let client = try HotrackClient(rack: "\(rack.address)")
    defer { client.close() }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<1_000 {
        group.addTask { _ = try await client.set("key \(number % 50)", "\(number)") }
      }
      try await group.waitForAll()
    }
    for number in 0..<50 {
      let value = try await client.get("key \(number)")
      #expect(Int(value?.string ?? "").map { $0 % 50 } == number)
    }
  }

  @Test func anEmulatedServerServesInTurnAndRefusesWhatFindsNoRoom() async throws {
    let rack = try UserSpaceRack(servers: 1, capacity: 2_000, queueMax: 4)
    let client = try HotrackClient(rack: "\(rack.address)")
    defer { client.close() }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<64 {
        group.addTask { _ = try await client.set("key \(number)", "v") }
      }
      try await group.waitForAll()
    }
    rack.servers.stop()
    let totals = try rack.servers.waitForEnd()
    #expect(totals.map(\.writes) == [64])
    #expect(totals[0].refusedBusy > 0)
  }

  @Test func aPortInUseAndAForeignAddressAreSaid() throws {
    let taken = try UDPSocket(bind: Endpoint(.loopback, port: 0))
    let logger = Logger(label: "test")
    #expect(throws: ServerError.socket(.portInUse(taken.local))) {
      try RunningServers(
        [ServerOptions(number: 0, listen: taken.local, directory: taken.local)], logger: logger)
    }
    // TEST-NET-1 (RFC 5737) is nobody's.
    let foreign = try Endpoint(parsing: "192.0.2.1", defaultPort: WireLimits.port)
    #expect(throws: ServerError.socket(.addressNotAvailable(foreign))) {
      try RunningServers(
        [ServerOptions(number: 0, listen: foreign, directory: taken.local)], logger: logger)
    }
  }
}
