import Configuration
import Foundation
import Testing

private let good = """
  [testbed]
  name = "lab"
  servers = 4
  clients = 2

  [scenario]
  operations = 1000
  duration_s = 60
  keys = 8
  clients = 16
  processes = 3
  bound_processes = 2

  [[fault]]
  at_s = 20
  for_s = 10
  kind = "link"
  target = "server-2"
  direction = "to"
  loss = 0.05
  duplicate = 0.01
  delay_ms = 2
  jitter_ms = 1
  reorder = 0.1

  [[fault]]
  at_s = 5
  kind = "restart"
  target = "controller"
  """

@Suite struct FaultTests {
  @Test func `Faults are read, in the order of their times`() throws {
    let bed = try TestbedFile(text: good, file: "lab.toml")
    #expect(bed.scenario?.duration == 60)
    #expect(bed.scenario?.boundProcesses == 2)
    var link = LinkFault()
    link.direction = .to
    (link.loss, link.duplicate, link.reorder) = (0.05, 0.01, 0.1)
    (link.delay, link.jitter) = (2, 1)
    #expect(
      bed.faults == [
        Fault(.restart, of: .controller, begin: 5),
        Fault(.link(link), of: .server(2), begin: 20, duration: 10),
      ])
    #expect(
      bed.faults[1].description
        == "link server-2: 5 % lost, 1 % doubled, 2 to 3 ms late, 10 % overtake, towards it")
  }

  @Test(arguments: [
    ("\"link\"", "\"lnk\"", "fault[0].kind: found \"lnk\", expected one of \"link\", \""),
    ("\"server-2\"", "\"server-4\"", "fault[0].target: found \"server-4\", expected another"),
    ("\"server-2\"", "\"server-02\"", "fault[0].target: found \"server-02\", expected server-0 to"),
    ("\"server-2\"", "\"controller\"", "fault[0].target: found \"controller\", expected another"),
    ("\"controller\"", "\"clients\"", "fault[1].target: found \"clients\", expected another"),
    ("at_s = 20", "", "fault[0].at_s: is missing, expected a number from 0 to 3600"),
    ("for_s = 10", "for_s = 40", "fault[0].for_s: found 40, expected that the fault is over"),
    ("loss = 0.05", "loss = 1.5", "fault[0].loss: found 1.5, expected a number from 0 to 1"),
    ("loss = 0.05", "lost = 0.05", "fault[0].lost: unknown key; did you mean `loss`?"),
    ("= \"to\"", "= \"up\"", "fault[0].direction: found \"up\", expected \"both\", \"to\""),
    ("delay_ms = 2\njitter_ms = 1\n", "", "fault[0].reorder: found 0.1, expected reorder needs a"),
    ("clients = 16", "clients = 4", "scenario.clients: found 4, expected with bound_processes at"),
    ("processes = 3", "processes = 1", "scenario.bound_processes: found 2, expected at most 1"),
  ])
  func `One wrong value is named with its place`(
    from: String, to: String, message: String
  ) throws {
    var text = good
    text.replaceSubrange(try #require(good.firstRange(of: from)), with: to)
    let error = #expect(throws: ConfigurationError.self) {
      try TestbedFile(text: text, file: "bad.toml")
    }
    try expectOneProblem(try #require(error), in: text, says: message)
  }

  @Test func `Faults need a scenario`() throws {
    let text = """
      [testbed]
      name = "a"
      servers = 1
      [[fault]]
      at_s = 1
      kind = "kill"
      target = "server-0"
      """
    let error = #expect(throws: ConfigurationError.self) {
      try TestbedFile(text: text, file: "a.toml")
    }
    #expect(try #require(error).description.contains("a [scenario] that fault[0] is to disturb"))
  }

  @Test(
    arguments: [
      ("", "corrupt", "fault: found corrupt, expected servers with data"),
      ("engine = \"rocksdb\"", "full-disk", "fault: found full-disk, expected servers with small"),
      (
        "engine = \"rocksdb\"\ndisk_mb = 7", "corrupt",
        "testbed.disk_mb: found 7, expected an integer"
      ),
      (
        "copies = 2\nengine = \"rocksdb\"", "kill", "testbed.copies: found 2, expected 1, if engine"
      ),
      ("copies = 2", "kill", nil),
      ("disk_mb = 64", "kill", "testbed.disk_mb: found 64, expected nothing, unless engine"),
      ("engine = \"rocksdb\"\ndisk_mb = 64", "full-disk", nil),
      ("engine = \"rocksdb\"", "corrupt", nil),
    ] as [(String, String, String?)])
  func `Disks break only where there are any`(
    _ lines: String, _ kind: String, _ message: String?
  ) throws {
    let text = """
      [testbed]
      name = "a"
      servers = 2
      \(lines)
      [scenario]
      operations = 10
      keys = 1
      duration_s = 9
      [[fault]]
      at_s = 1
      for_s = 2
      kind = "\(kind)"
      target = "server-1"
      """
    guard let message else {
      let bed = try TestbedFile(text: text, file: "a.toml")
      #expect(bed.faults.map(\.description) == ["\(kind) server-1"])
      return
    }
    let error = #expect(throws: ConfigurationError.self) {
      try TestbedFile(text: text, file: "a.toml")
    }
    #expect(try #require(error).description.contains(message))
  }

  @Test func `Targets are written as they are read`() {
    for text in ["server-0", "server-31", "client-7", "controller", "directory", "nodes"] {
      #expect(Fault.Target(text)?.description == text)
    }
    for text in ["", "server-", "server-x", "server-007", "s1", "Server-1", "servers-1"] {
      #expect(Fault.Target(text) == nil, "\(text)")
    }
  }

  /// Of those that come with hotrack: they last a minute and more, and each breaks something.
  @Test func `The scenarios with faults are good, and many`() throws {
    // This file is Tests/ConfigurationTests/FaultTests.swift.
    let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let folder = root + "/testbed/faults"
    let names = try FileManager.default.contentsOfDirectory(atPath: folder)
    let beds = try names.map { try TestbedFile(file: "\(folder)/\($0)") }
    #expect(beds.count >= 15)
    #expect(Set(beds.map(\.name)).count == beds.count)
    for bed in beds {
      #expect((bed.scenario?.duration ?? 0) >= 60)
      #expect(!bed.faults.isEmpty)
      // Keys become hot, by force or by the policy.
      let isForced = (bed.scenario?.transitionsEveryMilliseconds ?? 0) > 0
      #expect(isForced || bed.policy.promotion != false)
    }
    #expect(!(try TestbedFile(file: root + "/testbed/faults-short.toml").faults.isEmpty))
  }
}
