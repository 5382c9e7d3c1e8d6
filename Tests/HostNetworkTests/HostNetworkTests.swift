import Foundation
import Sockets
import Testing

@testable import HostNetwork

/// What the kernel says of namespaces that are made here.
@Suite(.serialized, .enabled(if: geteuid() == 0, "network namespaces need root"))
struct HostNetworkTests {
  /// Two namespaces and a link between them, with an address at each end, IPv4 and IPv6.
  private final class Pair {
    let a = "hna\(getpid() % 100_000)"
    let b = "hnb\(getpid() % 100_000)"

    init() throws {
      for name in [a, b] { try ip("netns", "add", name) }
      try ip("link", "add", "hn0", "netns", a, "type", "veth", "peer", "name", "hn1", "netns", b)
      for (name, link, last) in [(a, "hn0", 1), (b, "hn1", 2)] {
        try ip("-n", name, "address", "add", "10.77.0.\(last)/24", "dev", link)
        try ip("-n", name, "address", "add", "fd77::\(last)/64", "dev", link, "nodad")
        try ip("-n", name, "link", "set", link, "up")
      }
    }

    deinit { for name in [a, b] { try? ip("netns", "delete", name) } }

    func ip(_ arguments: String...) throws {
      let process = Process()
      process.executableURL = URL(filePath: "/usr/bin/env")
      process.arguments = ["ip"] + arguments
      try process.run()
      process.waitUntilExit()
      #expect(process.terminationStatus == 0, "ip \(arguments)")
    }

    func inside<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
      try NetworkNamespace(a).perform { () throws(SocketError) in Result { try body() } }.get()
    }
  }

  /// Waits for what the kernel does by itself. The limit is for a test that fails.
  private static func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
    for _ in 0..<5_000 {
      if try condition() { return true }
      usleep(2_000)
    }
    return false
  }

  @Test(arguments: [[10, 77, 0, 2], [0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]])
  func neighboursAreResolvedAndFollowed(address: [UInt8]) throws {
    let pair = try Pair()
    let index = try pair.inside { try HostNetwork().link(named: "hn0")?.index ?? 0 }
    #expect(index != 0)
    let changes = try pair.inside { Box(try NetworkChanges()) }
    try pair.inside { try HostNetwork().resolve(address, interface: index) }
    func find() throws -> Neighbour? {
      try pair.inside { try HostNetwork().neighbours() }
        .first { $0.address == address && $0.interface == index }
    }
    #expect(try Self.eventually { try find()?.isValid == true })
    let first = try #require(try find()?.mac)
    // Its MAC address changes, and the kernel is told to ask everybody.
    try pair.ip("-n", pair.b, "link", "set", "hn1", "address", "02:00:00:00:77:01")
    #expect(try find()?.mac == first)
    try pair.inside { try HostNetwork().resolveAnew(address, interface: index) }
    let second: [UInt8] = [2, 0, 0, 0, 0x77, 1]
    #expect(try Self.eventually { try find()?.mac == second })
    // All of that was told.
    var told: [[UInt8]] = []
    #expect(
      Self.eventually {
        for case .neighbour(let neighbour) in changes.value.take()
        where neighbour.address == address && neighbour.isValid {
          if let mac = neighbour.mac, told.last != mac { told.append(mac) }
        }
        return told == [first, second]
      })
  }

  @Test func routesSayWhoIsNext() throws {
    let pair = try Pair()
    try pair.ip("-n", pair.a, "route", "add", "10.78.0.0/16", "via", "10.77.0.2")
    let changes = try pair.inside { Box(try NetworkChanges()) }
    let routes = try pair.inside {
      let network = try HostNetwork()
      return [
        try network.route(to: [10, 77, 0, 2]), try network.route(to: [10, 78, 1, 1]),
        try network.route(to: [10, 77, 0, 1]), try network.route(to: [203, 0, 113, 1]),
      ]
    }
    #expect(routes[0]?.gateway == nil && routes[0]?.interface ?? 0 > 0)
    #expect(routes[1]?.gateway == [10, 77, 0, 2])
    #expect(routes[2]?.isLocal == true)
    #expect(routes[3] == nil)
    try pair.ip("-n", pair.a, "route", "delete", "10.78.0.0/16")
    #expect(Self.eventually { changes.value.take().contains(.routes) })
  }

  @Test func interfacesAreDescribed() throws {
    let pair = try Pair()
    try pair.ip("-n", pair.a, "link", "set", "hn0", "mtu", "1400")
    let (link, all, none) = try pair.inside {
      let network = try HostNetwork()
      return (
        try network.link(named: "hn0"), try network.links(), try network.link(named: "hn-none")
      )
    }
    #expect(link?.mtu == 1400 && link?.kind == "veth" && link?.isUp == true)
    #expect(link?.linkNamespace != nil && link?.xdp == nil && link?.hasCarrier == true)
    #expect(all.map(\.name).sorted() == ["hn0", "lo"] && none == nil)
  }

  /// For what one thread at a time uses.
  private struct Box<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
  }
}
