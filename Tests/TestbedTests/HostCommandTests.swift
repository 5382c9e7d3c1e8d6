import Configuration
import Controller
import ControllerCore
import Foundation
import Sockets
import Testing

@testable import Testbed

/// Commands that look at the host of a rack.
@Suite(
  .serialized, .enabled(if: geteuid() == 0, "XDP programs and network namespaces need root"))
struct HostCommandTests {
  private static func name(_ letter: String) -> String { "h\(letter)\(getpid() % 100_000)" }

  private func using(_ name: String, _ body: () throws -> Void) throws {
    defer { if Testbed.names().contains(name) { try? Testbed.down(name: name) } }
    try body()
  }

  /// What a command prints, and how it ends.
  private func hotrack(
    _ bed: Testbed, _ arguments: [String], namespace: String? = nil
  ) throws -> (code: Int32, object: [String: Any]) {
    let path = NSTemporaryDirectory() + "\(bed.name)-output"
    defer { unlink(path) }
    let output = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    defer { close(output) }
    let child = try ChildProcess.start(
      [
        "nsenter", "--net=/run/netns/\(namespace ?? bed.layout.directoryNamespace)", "--",
        TestbedTests.hotrack,
      ] + arguments + ["--json"], output: output)
    let code = try #require(child.wait(seconds: 60))
    let data = try Data(contentsOf: URL(filePath: path))
    let object = try JSONSerialization.jsonObject(with: data) as? [String: Any]
    return (code, try #require(object, "\(String(decoding: data, as: UTF8.self))"))
  }

  @Test(arguments: [DirectoryMode.switch, .oneArm])
  func `explain says what the running program does`(mode: DirectoryMode) throws {
    let name = Self.name(mode == .switch ? "a" : "b")
    try using(name) {
      var file = TestbedFile(name: name, servers: 2, clients: 1)
      file.mode = mode
      let bed = try Testbed.up(file, executable: TestbedTests.hotrack)
      func explain(_ arguments: String...) throws -> (code: Int32, object: [String: Any]) {
        try hotrack(bed, ["explain", "greeting", "--socket", bed.controlSocket] + arguments)
      }
      let cold = try explain()
      #expect(cold.code == 0 && cold.object["verdict"] as? String == "steered")
      #expect(cold.object["replicated"] as? Bool == false && cold.object["entry"] == nil)
      let home = try #require(cold.object["server"] as? Int)
      #expect(cold.object["address"] as? String == "\(bed.layout.servers[home].address):18516")
      _ = try bed.ask(.promote, key: "greeting")
      let limit = ContinuousClock.now + .seconds(10)
      while try bed.ask(.keys).keys?.first?.mode != .hot, ContinuousClock.now < limit {
        usleep(5_000)
      }
      let hot = try explain()
      #expect(hot.object["replicated"] as? Bool == true)
      let entry = try #require(hot.object["entry"] as? [String: Any])
      #expect(entry["home"] as? Int == home)
      let reader = try #require(hot.object["server"] as? Int)
      #expect((entry["replicas"] as? [Int])?.contains(reader) == true)
      let write = try explain("--write")
      #expect(write.object["operation"] as? String == "write")
      #expect(write.object["replicated"] as? Bool == true)
      #expect(write.object["version"] as? Int ?? 0 > hot.object["version"] as? Int ?? .max)
      // It was counted, as it says, and nobody got anything.
      let counters = try #require(try bed.ask(.counters).counters)
      #expect(counters["cold_read"] == 1 && counters["hot_read"] == 1 && counters["hot_write"] == 1)
      #expect(counters["read_reply"] == 0 && counters["write_reply"] == 0)
      // Without its server the request goes nowhere.
      for member in bed.state.members where member.role.hasPrefix("server") {
        member.identity.signal(SIGKILL)
      }
      let end = ContinuousClock.now + .seconds(15)
      while try bed.ask(.status).status?.serversAlive != 0, ContinuousClock.now < end {
        usleep(20_000)
      }
      let dead = try explain()
      #expect(dead.code == 1 && dead.object["verdict"] as? String == "answered")
      #expect(dead.object["status"] as? String == "busy")
    }
  }

  private struct Seen {
    var code: Int32
    var findings: [[String: Any]]

    /// The verdict of one check.
    func verdict(_ check: String, _ subject: String? = nil) -> String? {
      finding(check, subject)?["verdict"] as? String
    }
    func text(_ check: String, _ subject: String? = nil) -> String {
      "\(finding(check, subject)?["text"] ?? "")"
    }
    private func finding(_ check: String, _ subject: String?) -> [String: Any]? {
      findings.first {
        $0["check"] as? String == check && (subject == nil || $0["subject"] as? String == subject)
      }
    }
    var bad: Set<String> {
      Set(findings.filter { $0["verdict"] as? String == "bad" }.map { "\($0["check"] ?? "")" })
    }
  }

  private func doctor(_ bed: Testbed, _ arguments: [String]) throws -> Seen {
    let (code, object) = try hotrack(bed, ["doctor"] + arguments)
    return Seen(code: code, findings: object["findings"] as? [[String: Any]] ?? [])
  }

  private func ip(_ namespace: String, _ arguments: String...) throws {
    _ = try run(["ip", "-netns", namespace] + arguments)
  }

  @Test func `doctor finds nothing wrong with a running rack`() throws {
    let name = Self.name("c")
    try using(name) {
      let bed = try Testbed.up(
        TestbedFile(name: name, servers: 2, clients: 1), executable: TestbedTests.hotrack)
      let seen = try doctor(bed, ["--config", "\(bed.folder)/rack.toml"])
      #expect(seen.code == 0 && seen.bad.isEmpty, "\(seen.findings)")
      let port = bed.layout.servers[0].farInterface
      #expect(seen.verdict("peer", port) == "ok" && seen.verdict("driver_mode", port) == "ok")
      #expect(seen.text("xdp_program", port).contains("rack \(name), in native mode"))
      #expect(seen.text("control_port").contains("in use by this rack's controller"))
      #expect(seen.verdict("neighbour", "server 1") == "ok")
    }
  }

  @Test func `doctor finds each defect`() throws {
    let name = Self.name("d")
    try using(name) {
      let bed = try Testbed.buildNetwork(
        TestbedFile(name: name, servers: 2, clients: 1), executable: TestbedTests.hotrack)
      let directory = bed.layout.directoryNamespace
      let (first, second) = (bed.layout.servers[0], bed.layout.servers[1])
      var file = bed.layout.rackFile(
        of: TestbedFile(name: name, servers: 2, clients: 1), folder: bed.folder)
      file.plane = .xdp
      let path = "\(bed.folder)/rack.toml"
      func look() throws -> Seen {
        try TestbedFolder.write(file.text, to: path)
        return try doctor(bed, ["--config", path])
      }
      #expect(try look().bad.isEmpty)

      // The other end of a veth without a program, and without GRO.
      try ip(first.namespace, "link", "set", first.interface, "xdp", "off")
      #expect(try look().bad == ["peer"])
      #expect(try look().verdict("peer", first.farInterface) == "bad")
      file.plane = .auto
      #expect(try look().verdict("peer", first.farInterface) == "warning")
      file.plane = .xdp
      try NamespaceSettings.attachPassProgram(
        namespace: first.namespace, interface: first.interface)
      #expect(try look().bad.isEmpty)

      // An interface that is down, one that nothing is at the other end of, one that is not there.
      try ip(directory, "link", "set", first.farInterface, "down")
      #expect(try look().text("interface", first.farInterface) == "it is down")
      try ip(directory, "link", "set", first.farInterface, "up")
      try ip(first.namespace, "link", "set", first.interface, "down")
      #expect(try look().text("interface", first.farInterface).hasPrefix("it has no carrier"))
      try ip(first.namespace, "link", "set", first.interface, "up")
      #expect(try doctor(bed, ["ht-none"]).bad == ["interface"])
      // What going down has taken away.
      let address = "\(first.address)/32"
      try ip(directory, "route", "replace", address, "dev", first.farInterface)

      // Somebody else's program; a bridge.
      try NamespaceSettings.attachPassProgram(
        namespace: directory, interface: second.farInterface)
      let foreign = try look()
      #expect(foreign.verdict("xdp_program", second.farInterface) == "bad" && foreign.code == 1)
      try ip(directory, "link", "set", second.farInterface, "xdp", "off")
      try ip(directory, "link", "add", "hb0", "type", "bridge")
      #expect(try doctor(bed, ["hb0"]).verdict("driver_mode", "hb0") == "bad")

      // A small MTU.
      try ip(directory, "link", "set", second.farInterface, "mtu", "1280")
      #expect(try look().verdict("mtu", second.farInterface) == "warning")
      try ip(directory, "link", "set", second.farInterface, "mtu", "1500")

      // A neighbour with another MAC address than the file's; one that nobody knows; no route; a route
      // by another interface.
      file.servers[0].mac = MACAddress(value: 0x02_00_00_00_00_99)
      #expect(try look().verdict("neighbour", "server 0") == "bad")
      file.servers[0].mac = nil
      #expect(try look().verdict("neighbour", "server 0") == "ok")
      file.servers[1].address = try #require(IPAddress("10.18.1.77"))
      let unknown = try look()
      #expect(unknown.verdict("route", "server 1") == "bad")
      try ip(directory, "route", "add", "10.18.1.77/32", "dev", second.farInterface)
      #expect(try look().bad == ["neighbour"])
      try ip(directory, "route", "replace", "10.18.1.77/32", "dev", first.farInterface)
      #expect(try look().text("route", "server 1").contains("by \(first.farInterface)"))
      file.servers[1].address = second.address

      // Strict filtering of sources.
      _ = try run([
        "nsenter", "--net=/run/netns/\(directory)", "--", "sh", "-c",
        "echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter",
      ])
      #expect(
        try doctor(bed, [first.farInterface]).verdict("rp_filter", first.farInterface) == "warning")

      // The rack's address is not there; a file that cannot be written.
      try ip(directory, "address", "delete", "\(TestbedLayout.rackAddress)/32", "dev", "lo")
      file.stateFile = "/dev/null/none/rack.state"
      let last = try look()
      #expect(last.bad.isSuperset(of: ["rack_address", "state_file"]))

      // As nobody in particular.
      let (code, object) = try hotrackAsNobody(bed)
      let rights = Seen(code: code, findings: object["findings"] as? [[String: Any]] ?? [])
      #expect(rights.verdict("capabilities") == "bad" && code == 1)
    }
  }

  /// The host's checks without any capability.
  private func hotrackAsNobody(_ bed: Testbed) throws -> (code: Int32, object: [String: Any]) {
    let path = NSTemporaryDirectory() + "\(bed.name)-nobody"
    defer { unlink(path) }
    let output = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    defer { close(output) }
    let child = try ChildProcess.start(
      [
        "setpriv", "--bounding-set=-all", "--inh-caps=-all", TestbedTests.hotrack, "doctor",
        "--json",
      ],
      output: output)
    let code = try #require(child.wait(seconds: 60))
    let data = try Data(contentsOf: URL(filePath: path))
    return (code, try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any]))
  }
}
