import Configuration
import Controller
import ControllerCore
import DataPlane
import Foundation
import Glibc
import Testing

@testable import Testbed

/// Racks on TC ingress, and data planes that only count.
@Suite(
  .serialized, .enabled(if: geteuid() == 0, "XDP programs and network namespaces need root"))
struct PlaneTests {
  private static func name(_ letter: String) -> String { "z\(letter)\(getpid() % 100_000)" }

  private func using(_ name: String, _ body: () throws -> Void) throws {
    defer { if Testbed.names().contains(name) { try? Testbed.down(name: name) } }
    try body()
    if Testbed.names().contains(name) { try Testbed.down(name: name) }
    #expect(!PinDirectory.exists(rack: name))
  }

  private func inside(_ bed: Testbed, _ namespace: String, _ arguments: [String]) throws -> String {
    try run(["nsenter", "--net=/run/netns/\(namespace)", "--"] + arguments)
  }

  @Test(arguments: [DirectoryMode.switch, .oneArm])
  func `A rack on TC serves, is taken over and goes away`(mode: DirectoryMode) throws {
    let name = Self.name(mode == .switch ? "a" : "b")
    try using(name) {
      var file = TestbedFile(name: name, servers: 2, clients: 1)
      file.plane = .tc
      file.mode = mode
      var bed = try Testbed.up(file, executable: TestbedTests.hotrack)
      let (rack, client) = ("\(TestbedLayout.rackAddress)", bed.layout.clients[0].namespace)
      let hotrack = TestbedTests.hotrack
      _ = try inside(bed, client, [hotrack, "set", "--rack", rack, "greeting", "hello"])
      let before = try #require(try bed.ask(.status).status)
      #expect(before.plane == "tc" && Set(before.interfaces.values) == ["tc"])
      _ = try bed.changeController(.crash)
      #expect(try bed.ask(.status).status?.epoch == before.epoch)
      #expect(
        try inside(bed, client, [hotrack, "get", "--rack", rack, "greeting"]).contains("hello"))
      #expect(try bed.ask(.status).status?.counters["cold_read"] ?? 0 >= 1)
    }
  }

  @Test(
    arguments: [DirectoryMode.switch, .oneArm], [PlaneChoice.xdp, .tc])
  func `A rack on IPv6 serves`(mode: DirectoryMode, plane: PlaneChoice) throws {
    let name = Self.name(mode == .switch ? "d" : "e")
    try using(name) {
      var file = TestbedFile(name: name, servers: 2, clients: 1)
      (file.plane, file.mode, file.isIPv6) = (plane, mode, true)
      let bed = try Testbed.up(file, executable: TestbedTests.hotrack)
      let (rack, client) = ("\(bed.layout.rackAddress)", bed.layout.clients[0].namespace)
      let hotrack = TestbedTests.hotrack
      for number in 0..<8 {
        _ = try inside(bed, client, [hotrack, "set", "--rack", rack, "key-\(number)", "hello"])
        #expect(
          try inside(bed, client, [hotrack, "get", "--rack", rack, "key-\(number)"])
            .contains("hello"))
      }
      let status = try #require(try bed.ask(.status).status)
      #expect(status.plane == plane.rawValue && status.address == "[fd18::a12:1]:18516")
      #expect(status.counters["cold_read"] ?? 0 >= 8)
    }
  }

  @Test func `A dry run counts, and leaves nothing behind`() throws {
    let name = Self.name("c")
    try using(name) {
      let file = TestbedFile(name: name, servers: 2, clients: 1)
      var bed = try Testbed.buildNetwork(file, executable: TestbedTests.hotrack)
      let hotrack = TestbedTests.hotrack
      let rackFile = "\(bed.folder)/dry.toml"
      try TestbedFolder.write(
        bed.layout.rackFile(of: file, folder: bed.folder).text, to: rackFile)
      let child = try bed.start(
        role: "dry run", namespace: bed.layout.directoryNamespace,
        [hotrack, "attach"] + bed.layout.directoryInterfaces
          + ["--config", rackFile, "--dry-run"])
      try bed.wait(for: "its socket", seconds: 20, while: [("dry run", child)], nil) {
        (try? bed.ask(.status)) != nil
      }
      let client = bed.layout.clients[0].namespace
      for number in 0..<20 {
        // Nobody answers, as if there were no directory.
        #expect(throws: (any Error).self) {
          try inside(
            bed, client,
            [
              hotrack, "get", "--rack", "\(TestbedLayout.rackAddress)", "--timeout", "0.05",
              "key-\(number)",
            ])
        }
      }
      let status = try #require(try bed.ask(.status).status)
      #expect(status.dryRun == true && !status.serving && status.plane == "xdp")
      #expect(status.counters["cold_read"] ?? 0 >= 20)
      let servers = try #require(try bed.ask(.servers).servers)
      #expect(servers.allSatisfy { $0.phase == .unknown && $0.reads > 0 })
      #expect(!PinDirectory.exists(rack: name))
      #expect(!FileManager.default.fileExists(atPath: "\(bed.folder)/directory.state"))
      let namespace = bed.layout.directoryNamespace
      #expect(try inside(bed, namespace, ["ip", "link"]).contains("prog/xdp"))
      child.identity.signal(SIGTERM)
      #expect(ProcessTable.end([child.identity]) == [])
      // The kernel frees a link some time after the last descriptor of it is gone.
      var isLeft = true
      for _ in 0..<200 where isLeft {
        isLeft = try inside(bed, namespace, ["ip", "link"]).contains("prog/xdp")
        if isLeft { usleep(20_000) }
      }
      #expect(!isLeft)
    }
  }
}
