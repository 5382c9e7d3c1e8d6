import Configuration
import Controller
import ControllerCore
import Foundation
import Testing

@testable import Testbed

/// Racks whose file gives no MAC addresses: the controller learns them from the kernel.
@Suite(
  .serialized, .enabled(if: geteuid() == 0, "XDP programs and network namespaces need root"))
struct NeighbourTests {
  private static func name(_ letter: String) -> String { "n\(letter)\(getpid() % 100_000)" }

  private func using(_ name: String, _ body: (Testbed) throws -> Void) throws {
    defer { if Testbed.names().contains(name) { try? Testbed.down(name: name) } }
    let bed = try Testbed.up(
      TestbedFile(name: name, servers: 2, clients: 1), executable: TestbedTests.hotrack)
    // As on any host: nothing is known of neighbours before it is asked for.
    for server in bed.layout.servers {
      try ip(
        bed.layout.directoryNamespace, "neighbour", "delete", "\(server.address)", "dev",
        server.farInterface)
    }
    try body(bed)
  }

  private func ip(_ namespace: String, _ arguments: String...) throws {
    _ = try run(["ip", "-netns", namespace] + arguments)
  }

  /// What a load of some seconds comes to: `during` is done in the middle of it.
  private func load(_ bed: Testbed, during: () throws -> Void) throws -> [String: Any] {
    let path = NSTemporaryDirectory() + "\(bed.name)-load"
    defer { unlink(path) }
    let output = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    defer { close(output) }
    let load = try ChildProcess.start(
      [
        "nsenter", "--net=/run/netns/\(bed.layout.clients[0].namespace)", "--",
        TestbedTests.hotrack, "load", "--rack", "\(TestbedLayout.rackAddress)", "--rate", "500",
        "--duration", "4", "--warm-up", "0", "--keys", "1000", "--limit", "5000", "--timeout",
        "5000", "--json",
      ], output: output)
    usleep(1_000_000)
    try during()
    // 3: done, on a machine too busy for its figures to count.
    let status = load.wait(seconds: 60)
    #expect(status == 0 || status == 3)
    let data = try Data(contentsOf: URL(filePath: path))
    return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
  }

  private func number(_ load: [String: Any], _ field: String) -> Int? {
    (load[field] as? NSNumber)?.intValue
  }

  @Test func `A server gets another MAC address while it is used`() throws {
    let name = Self.name("a")
    try using(name) { bed in
      var file = try bed.rackFile()
      for index in file.servers.indices { file.servers[index].mac = nil }
      let answer = try bed.reload(file)
      #expect(answer.ok, "\(answer.error ?? "")")
      let server = bed.layout.servers[0]
      let result = try load(bed) {
        try ip(server.namespace, "link", "set", server.interface, "address", "02:00:00:00:77:01")
      }
      // What was on its way to the old address is lost; this load asks for nothing twice.
      #expect(number(result, "failed") == 0)
      #expect(number(result, "completed") ?? 0 > (number(result, "offered") ?? 0) * 8 / 10)
      let events = try bed.ask(.events).events ?? []
      #expect(
        events.contains { $0.text == "server 0 is reached by MAC address 02:00:00:00:77:01 now" })
      let totals = try #require(try bed.ask(.status).status?.totals)
      #expect(totals.serversLost == 0)
      // The next controller learns it too.
      var other = bed
      _ = try other.changeController(.crash)
      let status = try #require(try bed.ask(.status).status)
      #expect(status.serversAlive == 2)
    }
  }

  @Test func `A server behind a router is reached by it`() throws {
    let name = Self.name("b")
    try using(name) { bed in
      let (router, server) = (bed.layout.servers[0], bed.layout.servers[1])
      let rack = "\(TestbedLayout.rackAddress)"
      // Server 1 has its address on a loopback interface, and a link to server 0 instead of its own.
      try ip(
        router.namespace, "link", "add", "hr0", "type", "veth", "peer", "name", "hr1", "netns",
        server.namespace)
      try ip(router.namespace, "address", "add", "10.19.0.1/30", "dev", "hr0")
      try ip(router.namespace, "link", "set", "hr0", "up")
      try ip(server.namespace, "address", "add", "10.19.0.2/30", "dev", "hr1")
      try ip(server.namespace, "link", "set", "hr1", "up")
      try ip(router.namespace, "route", "add", "\(server.address)/32", "via", "10.19.0.2")
      _ = try run([
        "nsenter", "--net=/run/netns/\(router.namespace)", "--", "sh", "-c",
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
      ])
      var file = try bed.rackFile()
      for index in file.servers.indices {
        file.servers[index].mac = nil
        file.servers[index].interface = router.farInterface
      }
      try ip(
        bed.layout.directoryNamespace, "route", "replace", "\(server.address)/32", "via",
        "\(router.address)", "dev", router.farInterface, "src", rack, "onlink")
      try ip(server.namespace, "address", "add", "\(server.address)/32", "dev", "lo")
      try ip(server.namespace, "link", "set", server.interface, "down")
      try ip(
        server.namespace, "route", "replace", "10.18.0.0/16", "via", "10.19.0.1", "src",
        "\(server.address)")
      let answer = try bed.reload(file)
      #expect(answer.ok, "\(answer.error ?? "")")
      let result = try load(bed) {}
      #expect(number(result, "failed") == 0 && number(result, "timed_out") == 0)
      let servers = try #require(try bed.ask(.servers).servers)
      #expect(servers.allSatisfy { $0.phase == .alive && $0.replies > 0 })
    }
  }
}
