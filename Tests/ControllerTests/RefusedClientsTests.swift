import Sockets
import Testing

@testable import Controller

@Suite struct RefusedClientsTests {
  private static let second: UInt64 = 1_000_000_000

  private func address(_ text: String) throws -> [UInt8] {
    try #require(IPAddress(text)).mapped
  }

  @Test func aFloodIsOneEventAndTheNextComesAMinuteLater() throws {
    var clients = RefusedClients()
    #expect(clients.take(now: 0) == nil)
    clients.add(try address("10.0.0.7"), 1, now: 10 * Self.second)
    clients.add(try address("10.0.0.9"), 5, now: 10 * Self.second)
    #expect(clients.take(now: 11 * Self.second) == nil)
    clients.add(try address("10.0.0.7"), 4_000, now: 11 * Self.second)
    #expect(
      clients.take(now: 12 * Self.second)
        == "beyond the rate limit: 10.0.0.7 (4001 requests dropped), 10.0.0.9 (5 requests dropped)")
    clients.add(try address("fd00::1"), 2, now: 13 * Self.second)
    #expect(clients.take(now: 60 * Self.second) == nil)
    #expect(
      clients.take(now: 72 * Self.second)
        == "beyond the rate limit: fd00::1 (2 requests dropped)")
    #expect(clients.take(now: 1_000 * Self.second) == nil)
  }

  @Test func manyAddressesAreFewWords() throws {
    var clients = RefusedClients()
    for number in 0..<3_000 {
      clients.add(
        IPAddress(ipv4: 0x0a00_0000 + UInt32(number)).mapped, UInt64(number < 3 ? 100 - number : 1),
        now: 0)
    }
    clients.add([1, 2, 3], 1, now: 0)
    #expect(
      clients.take(now: 2 * Self.second)
        == "beyond the rate limit: 10.0.0.0 (100 requests dropped), 10.0.0.1 (99 requests dropped), "
        + "10.0.0.2 (98 requests dropped) and others (2997)")
  }
}
