import Configuration
import Foundation
import Testing

@testable import Testbed

/// Real faults of real racks. They need root, and the executable that has been built beside them.
@Suite(.serialized, .enabled(if: geteuid() == 0, "faults are injected into real racks: needs root"))
struct FaultInjectionTests {
  private func using(_ letter: String, _ body: (inout Testbed) throws -> Void) throws {
    let name = "x\(letter)\(getpid() % 100_000)"
    defer { if Testbed.names().contains(name) { try? Testbed.down(name: name) } }
    var bed = try Testbed.up(
      TestbedFile(name: name, servers: 2, clients: 1), executable: TestbedTests.hotrack)
    try body(&bed)
    try Testbed.down(name: name)
    #expect(!FileManager.default.fileExists(atPath: TestbedFolder.path(of: name)))
  }

  /// Writes and reads some keys, so that frames go both ways on every link.
  private func talk(_ bed: Testbed) throws {
    for number in 0..<8 {
      for words in [["set", "key-\(number)", "value"], ["get", "key-\(number)"]] {
        try run(
          ["nsenter", "--net=/run/netns/\(bed.layout.clients[0].namespace)", "--"]
            + [TestbedTests.hotrack, words[0], "--rack", "\(TestbedLayout.rackAddress)"]
            + words.dropFirst())
      }
    }
  }

  private func link(_ change: (inout LinkFault) -> Void) -> Fault {
    var fault = LinkFault()
    change(&fault)
    return Fault(.link(fault), of: .nodes)
  }

  @Test func `Frames are doubled, delayed and lost, and the rack serves all the same`() throws {
    try using("a") { bed in
      let running = try bed.begin(
        link {
          ($0.loss, $0.duplicate, $0.reorder) = (0.05, 1, 0.2)
          ($0.delay, $0.jitter) = (0.5, 1)
        })
      #expect(try bed.broken().count == bed.layout.nodes.count)
      let status = bed.status()
      #expect(!status.healthy)
      #expect(status.text.contains("server-0: link: 5 % lost, 100 % doubled, 0.5 to 1.5 ms late"))
      #expect(status.processes.contains { $0.role == "relay s0" && $0.alive })
      try talk(bed)
      for direction in [LinkFault.Direction.to, .from] {
        let counts = try #require(try bed.linkCounts(.client(0), direction))
        #expect(counts.seen >= 16)
        #expect(counts.duplicated + counts.lost == counts.seen)
        #expect(counts.delayed == 2 * counts.duplicated)
      }
      try bed.end(running)
      try expectWhole(bed)
      try talk(bed)
    }
  }

  @Test func `A duplicate without a delay arrives at the other end`() throws {
    try using("b") { bed in
      let running = try bed.begin(link { $0.duplicate = 1 })
      try talk(bed)
      // The directory has had each of the client's requests twice, and both are answered.
      let asked = try #require(try bed.linkCounts(.client(0), .from))
      let answered = try #require(try bed.linkCounts(.client(0), .to))
      #expect(asked.duplicated == asked.seen)
      #expect(answered.seen >= 2 * asked.seen)
      try bed.end(running)
      try expectWhole(bed)
    }
  }

  @Test func `A partition may be of one direction, and ends with heal`() throws {
    try using("c") { bed in
      _ = try bed.begin(Fault(.link(LinkFault(cut: .to)), of: .server(1)))
      _ = try bed.begin(Fault(.link(LinkFault(cut: .from)), of: .client(0)))
      #expect(
        try bed.broken() == [
          Testbed.Broken(target: "server-1", fault: "link: all frames lost, towards it"),
          Testbed.Broken(target: "client-0", fault: "link: all frames lost, from it"),
        ])
      #expect(throws: TestbedError.self) { try talk(bed) }
      #expect(try #require(try bed.linkCounts(.client(0), .from)).lost > 0)
      #expect(try #require(try bed.linkCounts(.client(0), .to)).lost == 0)
      #expect(try bed.heal().count == 2)
      try expectWhole(bed)
    }
  }

  /// Nothing of a fault is left on any link.
  private func expectWhole(_ bed: Testbed) throws {
    #expect(try bed.broken() == [])
    for node in bed.layout.nodes {
      let links = try run(["ip", "-netns", node.namespace, "link", "show"])
      #expect(!links.contains("clsact"), "\(links)")
      #expect(!links.contains(TestbedLayout.relayInterface(of: node)), "\(links)")
    }
    #expect(!bed.state.members.contains { $0.role.hasPrefix("relay") })
  }

  @Test func `Processes are killed, stopped, and started again`() throws {
    try using("d") { bed in
      func member(_ role: String) throws -> TestbedState.Member {
        try #require(bed.state.members.first { $0.role == role })
      }
      let killed = try bed.begin(Fault(.kill, of: .server(0)))
      let paused = try bed.begin(Fault(.pause, of: .server(1)))
      let first = try member("server 0")
      // A stopped process is seen as such once it has been scheduled.
      let limit = ContinuousClock.now + .seconds(5)
      while try bed.broken().count < 2, ContinuousClock.now < limit { usleep(1_000) }
      #expect(
        try bed.broken() == [
          Testbed.Broken(target: "server-0", fault: "does not run"),
          Testbed.Broken(target: "server-1", fault: "stopped"),
        ])
      try bed.end(killed)
      try bed.end(paused)
      #expect(try bed.broken() == [])
      #expect(try member("server 0").identity != first.identity)
      #expect(try member("server 0").arguments == first.arguments)
      let before = try member("server 1")
      _ = try bed.begin(Fault(.restart, of: .server(1)))
      #expect(!before.identity.isAlive)
      #expect(try member("server 1").identity.isAlive)
      #expect(throws: TestbedError.self) { _ = try bed.begin(Fault(.kill, of: .server(2))) }
      _ = try bed.begin(Fault(.pause, of: .controller))
      // Down comes soon although a process is stopped.
    }
  }

  @Test func `A scenario with faults is recorded, told, and found linearizable`() throws {
    let name = "xe\(getpid() % 100_000)"
    let text = """
      [testbed]
      name = "\(name)"
      servers = 2
      clients = 2
      [policy]
      promotion = false
      [scenario]
      operations = 3000
      duration_s = 8
      rate = 800
      processes = 2
      bound_processes = 1
      clients = 8
      keys = 4
      transitions_every_ms = 100
      [[fault]]
      at_s = 1
      for_s = 1
      kind = "link"
      target = "nodes"
      loss = 0.03
      duplicate = 0.1
      delay_ms = 0.2
      jitter_ms = 1
      [[fault]]
      at_s = 2.5
      for_s = 0.3
      kind = "pause"
      target = "server-1"
      """
    defer { if Testbed.names().contains(name) { try? Testbed.down(name: name) } }
    let file = try TestbedFile(text: text, file: "test")
    let bed = try Testbed.up(file, executable: TestbedTests.hotrack)
    let interruption = Interruption()
    defer { interruption.cancel() }
    var run = try ScenarioRun(file, path: "test", on: bed, interruption: interruption)
    let report = try run.run(history: "\(bed.folder)/history.jsonl")
    #expect(report.isGood, "\(report.text)")
    #expect(report.faults.map(\.kind) == ["link", "pause"])
    #expect((report.faults[0].frames?.duplicated ?? 0) > 0)
    #expect(report.faults[0].end.map { $0 >= 2 } == true)
    #expect(report.faults.allSatisfy { ($0.withoutService?.worstKey ?? 0) > 0 })
    try Testbed.down(name: name)
  }
}
