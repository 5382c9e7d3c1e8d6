import Configuration
import Controller
import ControllerCore
import DataPlane
import Foundation
import Glibc
import Sockets
import Testing
import Wire

@testable import Testbed

/// Who speaks to a running rack without being of it. Real namespaces and programs, as `TestbedTests`.
@Suite(
  .serialized, .enabled(if: geteuid() == 0, "XDP programs and network namespaces need root"))
struct StrangersTests {
  private static func name(_ letter: String) -> String { "y\(letter)\(getpid() % 100_000)" }

  private func using(_ name: String, _ body: () throws -> Void) throws {
    defer { if Testbed.names().contains(name) { try? Testbed.down(name: name) } }
    try body()
    if Testbed.names().contains(name) { try Testbed.down(name: name) }
    #expect(!PinDirectory.exists(rack: name))
  }

  /// A client's command, and what it prints.
  private func client(_ bed: Testbed, _ number: Int = 0, _ arguments: [String]) throws -> String {
    try run(
      ["nsenter", "--net=/run/netns/\(bed.layout.clients[number].namespace)", "--"]
        + [TestbedTests.hotrack, arguments[0], "--rack", "\(bed.layout.rackAddress)"]
        + arguments.dropFirst())
  }

  private func counter(_ bed: Testbed, _ name: String) throws -> UInt64 {
    try bed.ask(.counters).counters?[name] ?? 0
  }

  /// Waits until a counter has reached `count`; says what it is.
  private func counter(_ bed: Testbed, _ name: String, reaches count: UInt64) throws -> UInt64 {
    for _ in 0..<500 where try counter(bed, name) < count { usleep(10_000) }
    return try counter(bed, name)
  }

  @Test(
    arguments: [(DirectoryMode.switch, PlaneChoice.xdp), (.switch, .tc), (.oneArm, .xdp)])
  func `Who has a server's place but not the rack's key is not heard`(
    mode: DirectoryMode, plane: PlaneChoice
  ) throws {
    let name = Self.name(plane == .tc ? "a" : mode == .switch ? "b" : "c")
    try using(name) {
      var file = TestbedFile(name: name, servers: 2, clients: 1)
      (file.isTagged, file.mode, file.plane) = (true, mode, plane)
      var bed = try Testbed.up(file, executable: TestbedTests.hotrack)
      let path = "\(bed.folder)/rack.key"
      let bytes = try RackKeyFile.read(path)
      #expect(bytes.count == 16)
      for number in 0..<8 { _ = try client(bed, 0, ["set", "key-\(number)", "hello"]) }
      #expect(try client(bed, 0, ["get", "key-3"]).contains("hello"))
      #expect(try counter(bed, "drop_rack_tag") == 0)
      let node = try #require(bed.layout.servers.last)
      let before = try #require(try bed.ask(.servers).servers?.last)

      // Everything of the server's is a stranger's now: address, MAC, port, interface.
      _ = try bed.begin(Fault(.kill, of: .server(1)))
      let place = Endpoint(node.address, port: WireLimits.port)
      // A killed process may hold its socket for a while.
      var opened: UDPSocket?
      for _ in 0..<500 where opened == nil {
        opened = try? UDPSocket(bind: place, in: NetworkNamespace(node.namespace))
        if opened == nil { usleep(10_000) }
      }
      let socket = try #require(opened)
      var header = Header(.copyAck)
      header.server = 1
      header.epoch = 1
      header.keyHash = 5
      header.version = Version.first(ofEpoch: 1)
      header.incarnation = try #require(UInt64(before.incarnation, radix: 16))
      let plain = Message(header, key: [1]).encoded()
      func say(_ bytes: [UInt8]) throws {
        let rack = Endpoint(bed.layout.rackAddress, port: WireLimits.port)
        try bytes.withUnsafeBytes { _ = try socket.send($0, to: rack) }
      }
      try say(plain)
      #expect(try counter(bed, "drop_rack_tag", reaches: 1) == 1)
      var wrong = plain
      wrong[112] = 1
      try say(wrong)
      #expect(try counter(bed, "drop_rack_tag", reaches: 2) == 2)
      var other = plain
      try #require(RackKeys(bytes.reversed())).sign(&other, .fromServer)
      try say(other)
      #expect(try counter(bed, "drop_rack_tag", reaches: 3) == 3)
      let acknowledged = try counter(bed, "copy_ack")
      var right = plain
      try #require(RackKeys(bytes)).sign(&right, .fromServer)
      try say(right)
      // It is late only if the server counts as lost already.
      for _ in 0..<500 {
        let heard = try counter(bed, "copy_ack") + counter(bed, "drop_not_a_living_server")
        if heard > acknowledged { break }
        usleep(10_000)
      }
      #expect(
        try counter(bed, "copy_ack") + counter(bed, "drop_not_a_living_server") > acknowledged)
      #expect(try counter(bed, "drop_rack_tag") == 3)
    }
  }

  @Test func `A server takes nothing from who has the directory's address but not the key`() throws
  {
    let name = Self.name("d")
    try using(name) {
      var file = TestbedFile(name: name, servers: 2, clients: 1)
      file.isTagged = true
      let bed = try Testbed.up(file, executable: TestbedTests.hotrack)
      let server = try #require(try bed.ask(.servers).servers?.first)
      let node = bed.layout.servers[0]
      let socket = try UDPSocket(
        bind: Endpoint(bed.layout.rackAddress, port: 0),
        in: NetworkNamespace(bed.layout.directoryNamespace))
      // It would drop all that it has.
      var header = Header(.renew)
      header.server = 0
      header.epoch = 1
      header.generation = .max
      header.incarnation = try #require(UInt64(server.incarnation, radix: 16))
      let bytes = Message(header).encoded()
      try bytes.withUnsafeBytes {
        _ = try socket.send($0, to: Endpoint(node.address, port: WireLimits.port))
      }
      var after = server
      for _ in 0..<500 where after.wrongTags != 1 {
        usleep(10_000)
        after = try #require(try bed.ask(.servers).servers?.first)
      }
      #expect(after.wrongTags == 1 && after.incarnation == server.incarnation)
      #expect(after.phase == .alive)
    }
  }

  @Test(arguments: [PlaneChoice.xdp, .tc])
  func `A client that floods the rack is held back, and nobody else`(plane: PlaneChoice) throws {
    let name = Self.name(plane == .tc ? "f" : "g")
    try using(name) {
      var file = TestbedFile(name: name, servers: 2, clients: 2)
      file.plane = plane
      file.limits.requestsPerSecond = 20
      file.limits.burst = 100
      let bed = try Testbed.up(file, executable: TestbedTests.hotrack)
      let rack = Endpoint(bed.layout.rackAddress, port: WireLimits.port)
      let node = bed.layout.clients[0]
      let socket = try UDPSocket(
        bind: Endpoint(node.address, port: 0), in: NetworkNamespace(node.namespace))
      var header = Header(.hello)
      header.client = 5
      header.sequence = 1
      header.acknowledged = 1
      let hello = Message(header).encoded()
      for _ in 0..<3_000 {
        _ = try hello.withUnsafeBytes { try socket.send($0, to: rack) }
      }
      #expect(try counter(bed, "drop_rate_limit", reaches: 2_000) >= 2_000)
      #expect(try counter(bed, "hello") >= 100)
      // The other one has all that it is allowed, whatever the first one does meanwhile.
      _ = try client(bed, 1, ["set", "greeting", "hello"])
      for _ in 0..<20 {
        for _ in 0..<50 { _ = try hello.withUnsafeBytes { try socket.send($0, to: rack) } }
        #expect(try client(bed, 1, ["get", "greeting"]).contains("hello"))
      }
      let status = try #require(try bed.ask(.status).status)
      #expect(status.limitPerSecond == 20 && status.limitBurst == 100)
      #expect(ControlTables.status(status).contains("20/s of one client address, 100 at once"))
      var told: [String] = []
      for _ in 0..<1_000 where told.isEmpty {
        told = try bed.ask(.events).events?.map(\.text).filter { $0.contains("rate limit") } ?? []
        if told.isEmpty { usleep(10_000) }
      }
      #expect(told.first?.contains("beyond the rate limit: \(node.address) (") == true, "\(told)")
      #expect(told.first?.contains("\(bed.layout.clients[1].address)") == false)
    }
  }

  @Test func `A key changes while the rack serves`() throws {
    let name = Self.name("e")
    try using(name) {
      var file = TestbedFile(name: name, servers: 2, clients: 1)
      file.isTagged = true
      var bed = try Testbed.up(file, executable: TestbedTests.hotrack)
      _ = try client(bed, 0, ["set", "greeting", "hello"])
      let path = "\(bed.folder)/rack.key"
      let old = try RackKeyFile.read(path)
      let new = Array(old.reversed())
      let incarnations = try bed.ask(.servers).servers?.map(\.incarnation)
      for (step, key) in [old + new, new + old, new].enumerated() {
        let handle = try FileHandle(forWritingTo: URL(filePath: path))
        try handle.truncate(atOffset: 0)
        try handle.write(contentsOf: key)
        try handle.close()
        for process in bed.state.members where process.role.hasPrefix("server") {
          process.identity.signal(SIGHUP)
        }
        // A reload says that it takes a new controller.
        let refused = try ControlClient(socket: bed.controlSocket)
          .exchange(ControlRequest(.reload))
        #expect(refused.reload?.problems.map(\.path) == ["rack.rack_key_file"], "step \(step)")
        _ = try bed.changeController(.upgrade)
        #expect(try client(bed, 0, ["get", "greeting"]).contains("hello"))
      }
      #expect(try bed.ask(.servers).servers?.map(\.incarnation) == incarnations)
      #expect(try counter(bed, "drop_rack_tag") == 0)
    }
  }
}
