import Configuration
import Controller
import ControllerCore
import DataPlane
import Foundation
import Testing

@testable import Testbed

/// Racks whose controllers are replaced.
@Suite(
  .serialized, .enabled(if: geteuid() == 0, "XDP programs and network namespaces need root"))
struct ControllerChangeTests {
  private static func name(_ letter: String) -> String { "y\(letter)\(getpid() % 100_000)" }

  private func using(_ name: String, _ body: () throws -> Void) throws {
    defer { if Testbed.names().contains(name) { try? Testbed.down(name: name) } }
    try body()
    if Testbed.names().contains(name) { try Testbed.down(name: name) }
    #expect(!PinDirectory.exists(rack: name))
  }

  private func client(_ bed: Testbed, _ arguments: [String]) throws -> String {
    try run(
      ["nsenter", "--net=/run/netns/\(bed.layout.clients[0].namespace)", "--"]
        + [TestbedTests.hotrack] + arguments)
  }

  @Test func `A rack serves without a controller, and the next one goes on with it`() throws {
    let name = Self.name("a")
    try using(name) {
      var bed = try Testbed.up(
        TestbedFile(name: name, servers: 2, clients: 1), executable: TestbedTests.hotrack)
      let rack = "\(TestbedLayout.rackAddress)"
      _ = try client(bed, ["set", "--rack", rack, "greeting", "hello"])
      _ = try bed.ask(.promote, key: "greeting")
      let limit = ContinuousClock.now + .seconds(10)
      while try bed.ask(.keys).keys?.first?.mode != .hot, ContinuousClock.now < limit {
        usleep(5_000)
      }
      let before = try #require(try bed.ask(.status).status)
      for (number, change) in ControllerChange.allCases.enumerated() {
        let old = try #require(bed.controllerProcess)
        old.signal(SIGKILL)
        #expect(ProcessTable.end([old]) == [])
        // Nobody is there.
        #expect(throws: ControlClientError.self) { try bed.ask(.status) }
        #expect(try client(bed, ["get", "--rack", rack, "greeting"]).contains("hello"))
        _ = try bed.changeController(change)
        let after = try #require(try bed.ask(.status).status)
        #expect(after.epoch == before.epoch && after.generation > before.generation)
        #expect(after.serving && after.serversAlive == 2 && after.hotKeys == 1)
        #expect(after.totals.adoptions == number + 1)
        #expect(after.counters["cold_write"] ?? 0 >= before.counters["cold_write"] ?? 1)
        #expect(try bed.ask(.keys).keys?.first?.key == "greeting")
        #expect(try client(bed, ["get", "--rack", rack, "greeting"]).contains("hello"))
      }
    }
  }

  @Test func `A second controller of a rack is refused`() throws {
    let name = Self.name("b")
    try using(name) {
      let bed = try Testbed.up(
        TestbedFile(name: name, servers: 1, clients: 1), executable: TestbedTests.hotrack)
      let error = #expect(throws: TestbedError.self) {
        _ = try run([
          "nsenter", "--net=/run/netns/\(bed.layout.directoryNamespace)", "--",
          TestbedTests.hotrack, "controller", "--config", "\(bed.folder)/rack.toml",
          "--state", "\(bed.folder)/other.state", "--socket", "\(bed.folder)/other.socket",
        ])
      }
      let process = try #require(bed.controllerProcess?.process)
      #expect(try #require(error).description.contains("another controller (process \(process))"))
      #expect(throws: TestbedError.self) { _ = try run([TestbedTests.hotrack, "detach", name]) }
      #expect(bed.status().healthy)
    }
  }

  @Test func `Without a controller, detach takes the data plane away`() throws {
    let name = Self.name("c")
    try using(name) {
      let bed = try Testbed.up(
        TestbedFile(name: name, servers: 1, clients: 1), executable: TestbedTests.hotrack)
      let controller = try #require(bed.controllerProcess)
      controller.signal(SIGTERM)
      #expect(ProcessTable.end([controller], patience: 10) == [])
      let links = ["ip", "-netns", bed.layout.directoryNamespace, "link", "show"]
      #expect(try run(links).contains("prog/xdp"))
      _ = try run([TestbedTests.hotrack, "detach", name])
      #expect(try !run(links).contains("prog/xdp"))
    }
  }

  /// The whole measurement, small: it fails if a packet or an outcome is lost, or the history is
  /// not linearizable. Once more if it does, since it runs beside all other tests, and a process that
  /// gets no processor for long enough loses what comes meanwhile; what it printed is shown.
  @Test func `No packet is lost while controllers come, go and reload under load`() throws {
    let path = NSTemporaryDirectory() + "hotrack-restart-\(getpid())"
    defer { unlink(path) }
    var report = ""
    for _ in 1...2 {
      let output = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
      defer { close(output) }
      let bench = try ChildProcess.start(
        [
          TestbedTests.hotrack, "bench", "restart", "--rate", "2000", "--seconds", "6",
          "--changes", "4", "--reloads", "6", "--servers", "3",
        ], output: output)
      if bench.wait(seconds: 180) == 0 { return }
      report = try String(contentsOfFile: path, encoding: .utf8)
      print(report)
    }
    Issue.record("it failed twice:\n\(report)")
  }
}
