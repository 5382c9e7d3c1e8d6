import Configuration
import Controller
import DataPlane
import Foundation
import Testing

@testable import Testbed

/// Real namespaces and, where the executable has been built beside the tests, real racks. They need
/// root; without it they are skipped, and `dev/run-tests` says so. One after the other, since they
/// look at what is left on the host.
@Suite(.serialized, .enabled(if: geteuid() == 0, "network namespaces need root"))
struct TestbedTests {
  /// The executable that processes of a testbed run: beside the test bundle.
  static let hotrack: String = {
    var folder = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
    while folder.path != "/" {
      let candidate = folder.appending(path: "hotrack").path
      if FileManager.default.isExecutableFile(atPath: candidate), !isFolder(candidate) {
        return candidate
      }
      folder.deleteLastPathComponent()
    }
    return ""
  }()

  private static func isFolder(_ path: String) -> Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
      && isFolder.boolValue
  }

  /// A name that no other run of these tests uses at the same time.
  private static func name(_ letter: String) -> String { "t\(letter)\(getpid() % 100_000)" }

  /// What is on the host of a testbed: namespaces, files, processes.
  private static func traces(of name: String) -> [String] {
    let files = FileManager.default
    let namespaces = ((try? files.contentsOfDirectory(atPath: "/run/netns")) ?? [])
      .filter { TestbedLayout.isNamespace($0, of: name) }
    let folder = TestbedFolder.path(of: name)
    let processes = ProcessTable.processes(of: name, namespaces: namespaces)
    let pins = PinDirectory.path(rack: name)
    return namespaces + (files.fileExists(atPath: pins) ? [pins] : [])
      + (files.fileExists(atPath: folder) ? [folder] : [])
      + processes.map { "process \($0.process)" }
  }

  /// Takes the testbed down after `body`, whatever happened, and sees that nothing is left.
  private func using(_ name: String, _ body: () throws -> Void) throws {
    defer { if !Self.traces(of: name).isEmpty { try? Testbed.down(name: name) } }
    try body()
  }

  private func network(_ name: String, servers: Int = 2, clients: Int = 1) throws -> Testbed {
    try Testbed.buildNetwork(
      TestbedFile(name: name, servers: servers, clients: clients), executable: Self.hotrack)
  }

  @Test func `Nodes reach the rack's address, and down leaves nothing`() throws {
    let name = Self.name("a")
    try using(name) {
      let bed = try network(name)
      #expect(Testbed.names().contains(name))
      // Everything that a packet needs is known for good.
      for node in bed.layout.nodes {
        let route = try run([
          "ip", "-netns", node.namespace, "route", "get", "\(TestbedLayout.rackAddress)",
        ])
        #expect(route.contains("dev \(node.interface)"))
        let neighbours = try run(["ip", "-netns", node.namespace, "neighbour", "show"])
        #expect(neighbours.contains("\(node.farMAC) PERMANENT"))
        let link = try run(["ip", "-netns", node.namespace, "link", "show", node.interface])
        #expect(link.contains("xdp"), "the far end of a link needs a program: \(link)")
      }
      let neighbours = try run([
        "ip", "-netns", bed.layout.directoryNamespace, "neighbour", "show", "nud", "permanent",
      ])
      #expect(neighbours.split(separator: "\n").count == 3)
      try Testbed.down(name: name)
      #expect(Self.traces(of: name) == [])
    }
  }

  @Test func `No link is ever in the host's own namespace`() throws {
    let name = Self.name("b")
    try using(name) {
      let bed = try network(name)
      let interfaces = try FileManager.default.contentsOfDirectory(atPath: "/sys/class/net")
      for node in bed.layout.nodes {
        #expect(!interfaces.contains(node.interface))
        #expect(!interfaces.contains(node.farInterface))
      }
    }
  }

  @Test func `A testbed that exists is named, and stays`() throws {
    let name = Self.name("c")
    try using(name) {
      _ = try network(name)
      #expect(throws: TestbedError.exists(name: name)) { _ = try network(name) }
      #expect(try Testbed.existing(name).layout.nodes.count == 3)
    }
  }

  @Test func `Two testbeds stand side by side`() throws {
    let (one, other) = (Self.name("d"), Self.name("d") + "-s1")
    try using(one) {
      try using(other) {
        _ = try network(one)
        _ = try network(other)
        try Testbed.down(name: one)
        #expect(Self.traces(of: one) == [])
        #expect(Self.traces(of: other).count == 5)
      }
    }
  }

  @Test func `What was half made is removed`() throws {
    let name = Self.name("e")
    try using(name) {
      // As after a kill of `up` in its first moments: a folder, or a namespace, and nothing else.
      try TestbedFolder.create(name)
      #expect(throws: TestbedError.exists(name: name)) { _ = try network(name) }
      try Testbed.down(name: name)
      #expect(Self.traces(of: name) == [])
      try run(["ip", "netns", "add", "ht-\(name)-s1"])
      #expect(throws: TestbedError.exists(name: name)) { _ = try network(name) }
      try Testbed.down(name: name)
      #expect(Self.traces(of: name) == [])
    }
  }

  @Test func `When up fails, nothing is left`() throws {
    let name = Self.name("f")
    try using(name) {
      var file = TestbedFile(name: name, servers: 1)
      file.oneProcess = true
      // /bin/false ends at once, as a rack does that cannot run.
      let error = #expect(throws: TestbedError.self) {
        _ = try Testbed.up(file, executable: "/bin/false")
      }
      guard case .process(_, let what, _) = try #require(error) else {
        Issue.record("\(String(describing: error))")
        return
      }
      #expect(what.contains("ended with status 1"))
      #expect(Self.traces(of: name) == [])
    }
  }

  @Test func `Processes that nobody wrote down are found by their mark`() throws {
    let name = Self.name("g")
    try using(name) {
      _ = try network(name)
      let null = open("/dev/null", O_WRONLY)
      defer { close(null) }
      let marked = try ChildProcess.start(
        ["sleep", "600"], output: null, environment: ["\(ProcessTable.marker)=\(name)"])
      let inside = try ChildProcess.start(
        ["nsenter", "--net=/run/netns/ht-\(name)-c0", "--", "sleep", "600"], output: null)
      let other = try ChildProcess.start(
        ["sleep", "600"], output: null, environment: ["\(ProcessTable.marker)=\(name)x"])
      defer { other.identity.signal(SIGKILL) }
      // Until the second has entered its namespace.
      let limit = ContinuousClock.now + .seconds(10)
      while Self.traces(of: name).count < 7, ContinuousClock.now < limit { usleep(1_000) }
      try Testbed.down(name: name)
      #expect(marked.exitStatus == 128 + SIGTERM)
      #expect(inside.exitStatus == 128 + SIGTERM)
      #expect(other.exitStatus == nil)
      #expect(Self.traces(of: name) == [])
    }
  }

  @Test func `A process that ignores the question is killed`() throws {
    let null = open("/dev/null", O_WRONLY)
    defer { close(null) }
    let stubborn = try ChildProcess.start(
      ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"], output: null)
    // It has set its trap when it has a child.
    let children = "/proc/\(stubborn.identity.process)/task/\(stubborn.identity.process)/children"
    let limit = ContinuousClock.now + .seconds(10)
    while readProcFile(children)?.isEmpty ?? true, ContinuousClock.now < limit { usleep(1_000) }
    #expect(ProcessTable.end([stubborn.identity], patience: 0.1) == [])
    #expect(stubborn.exitStatus == 128 + SIGKILL)
  }

  @Test func `Another process with the same number is left alone`() throws {
    let null = open("/dev/null", O_WRONLY)
    defer { close(null) }
    let child = try ChildProcess.start(["sleep", "600"], output: null)
    var earlier = child.identity
    earlier.startTime -= 1
    #expect(!earlier.isAlive)
    earlier.signal(SIGKILL)
    #expect(child.identity.isAlive)
    #expect(ProcessTable.end([child.identity]) == [])
  }

  @Test func `A testbed that is not there is named, with those that are`() throws {
    let name = Self.name("h")
    let error = #expect(throws: TestbedError.self) { try Testbed.down(name: name) }
    #expect(try #require(error).description.contains("there is no testbed \(name)"))
    #expect(throws: TestbedError.self) { _ = try Testbed.existing(name) }
  }
}

/// Whole racks. (`swift build` makes the executable with the tests.)
@Suite(
  .serialized, .enabled(if: geteuid() == 0, "XDP programs and network namespaces need root"))
struct RackTestbedTests {
  private static func name(_ letter: String) -> String { "r\(letter)\(getpid() % 100_000)" }

  private func using(_ name: String, _ body: () throws -> Void) throws {
    defer { if Testbed.names().contains(name) { try? Testbed.down(name: name) } }
    try body()
    if Testbed.names().contains(name) { try Testbed.down(name: name) }
    #expect(!Testbed.names().contains(name))
    #expect(ProcessTable.processes(of: name, namespaces: []).isEmpty)
  }

  private func rack(_ name: String, oneProcess: Bool = false) throws -> Testbed {
    var file = TestbedFile(name: name, servers: 2, clients: 1)
    file.oneProcess = oneProcess
    if oneProcess { file.capacity = 1000 }
    return try Testbed.up(file, executable: TestbedTests.hotrack)
  }

  /// Runs a hotrack command in the client's namespace.
  private func client(_ bed: Testbed, _ arguments: [String]) throws -> String {
    try run(
      ["nsenter", "--net=/run/netns/\(bed.layout.clients[0].namespace)", "--"]
        + [TestbedTests.hotrack] + arguments)
  }

  @Test(arguments: [false, true])
  func `A rack serves, and says that it is healthy`(oneProcess: Bool) throws {
    let name = Self.name(oneProcess ? "a" : "b")
    try using(name) {
      let bed = try rack(name, oneProcess: oneProcess)
      let status = bed.status()
      #expect(status.healthy, "\(status.text)")
      #expect(status.processes.count == (oneProcess ? 2 : 3))
      #expect(status.text.contains("emulated") == oneProcess)
      let rack = "\(TestbedLayout.rackAddress)"
      _ = try client(bed, ["set", "--rack", rack, "greeting", "hello"])
      #expect(try client(bed, ["get", "--rack", rack, "greeting"]).contains("hello"))
    }
  }

  @Test func `After kill -9 of every process, down leaves nothing`() throws {
    let name = Self.name("c")
    try using(name) {
      let bed = try rack(name)
      for member in bed.state.members { member.identity.signal(SIGKILL) }
      _ = ProcessTable.end(bed.state.members.map(\.identity))
      let status = bed.status()
      #expect(!status.healthy)
      #expect(status.controllerError != nil)
      #expect(status.text.contains("ENDED"))
    }
  }

  @Test func `After kill -9 of the command that runs a scenario, down leaves nothing`() throws {
    try whileRecording(Self.name("d")) { name, command in
      command.identity.signal(SIGKILL)
      #expect(command.wait(seconds: 10) == 128 + SIGKILL)
      let status = try Testbed.existing(name).status()
      #expect(status.healthy, "the rack lives on without it")
    }
  }

  @Test func `Ctrl-C takes the testbed down`() throws {
    try whileRecording(Self.name("e")) { name, command in
      command.identity.signal(SIGINT)
      #expect(command.wait(seconds: 30) == 1)
      #expect(!Testbed.names().contains(name))
    }
  }

  /// Calls `body` while `hotrack testbed run` records a scenario that would go on for minutes.
  private func whileRecording(
    _ name: String, _ body: (_ name: String, _ command: ChildProcess) throws -> Void
  ) throws {
    let file = FileManager.default.temporaryDirectory.appending(path: "\(name).toml")
    defer { try? FileManager.default.removeItem(at: file) }
    try Data(scenario(name, operations: 5_000_000).utf8).write(to: file)
    try using(name) {
      let null = open("/dev/null", O_WRONLY)
      defer { close(null) }
      let command = try ChildProcess.start(
        [TestbedTests.hotrack, "testbed", "run", file.path], output: null)
      let limit = ContinuousClock.now + .seconds(30)
      func isRecording() -> Bool {
        (try? Testbed.existing(name).state.members.contains { $0.role == "load 1" }) ?? false
      }
      while !isRecording(), ContinuousClock.now < limit { usleep(5_000) }
      try #require(isRecording())
      try body(name, command)
    }
  }

  @Test func `A scenario's history is recorded, merged and found linearizable`() throws {
    let name = Self.name("f")
    try using(name) {
      let file = try TestbedFile(text: scenario(name, operations: 6_000), file: "test")
      let bed = try Testbed.up(file, executable: TestbedTests.hotrack)
      let history = "\(bed.folder)/history.jsonl"
      let interruption = Interruption()
      defer { interruption.cancel() }
      var run = try ScenarioRun(file, path: "test", on: bed, interruption: interruption)
      let report = try run.run(history: history)
      #expect(report.isGood, "\(report.text)")
      #expect(report.operations >= 6_000)
      #expect(report.reads + report.writes + report.deletes == report.operations)
      #expect(report.promotions > 0)
      let lines = try String(contentsOfFile: history, encoding: .utf8).split(separator: "\n")
      #expect(lines.count == report.operations)
    }
  }

  private func scenario(_ name: String, operations: Int) -> String {
    """
    [testbed]
    name = "\(name)"
    servers = 2
    clients = 2
    [policy]
    promotion = false
    [scenario]
    operations = \(operations)
    rate = 3000
    processes = 2
    clients = 8
    keys = 4
    transitions_every_ms = 100
    time_limit_s = 60
    """
  }
}
