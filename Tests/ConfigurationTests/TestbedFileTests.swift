import Configuration
import Testing

private let good = """
  [testbed]
  name = "lab"
  servers = 4
  clients = 2
  capacity = 1500
  one_process = true
  hash_seed = 9
  buckets = 64
  window = 1024

  [policy]
  promotion = false

  [workload]
  keys = 1000
  zipf = 1.2
  rate = 9_600
  duration_s = 12

  [scenario]
  operations = 200_000
  keys = 24
  read_share = 0.5
  delete_share = 0.1
  transitions_every_ms = 200
  """

@Suite struct TestbedFileTests {
  @Test func `A good file is read`() throws {
    let bed = try TestbedFile(text: good, file: "lab.toml")
    #expect(bed.name == "lab")
    #expect(bed.servers == 4)
    #expect(bed.clients == 2)
    #expect(bed.capacity == 1500)
    #expect(bed.oneProcess)
    #expect(bed.hashSeed == 9)
    #expect(bed.buckets == 64)
    #expect(bed.window == 1024)
    #expect(bed.policy.promotion == false)
    let workload = try #require(bed.workload)
    #expect(workload.rate == 9600)
    #expect(workload.readShare == 1)
    let scenario = try #require(bed.scenario)
    #expect(scenario.operations == 200_000)
    #expect(scenario.deleteShare == 0.1)
    #expect(scenario.rate == nil)
    #expect(!scenario.pinned)
  }

  @Test func `A rack without anything to do needs three lines`() throws {
    let bed = try TestbedFile(text: "[testbed]\nname = \"a\"\nservers = 1", file: "a.toml")
    #expect(bed.clients == 1)
    #expect(bed.capacity == nil)
    #expect(!bed.oneProcess)
    #expect(bed.workload == nil)
    #expect(bed.scenario == nil)
  }

  @Test(arguments: [
    ("name = \"lab\"", "", "testbed.name: is missing, expected a name of 1 to 20"),
    ("\"lab\"", "\"la/b\"", "testbed.name: found \"la/b\", expected a name of 1 to 20"),
    ("\"lab\"", "\"-lab\"", "testbed.name: found \"-lab\", expected a name"),
    ("\"lab\"", "\"abcdefghijklmnopqrstu\"", "testbed.name: found \"abcdefghijklmnopqrstu\", ex"),
    ("servers = 4", "servers = 33", "testbed.servers: found 33, expected an integer from 1 to 32"),
    ("servers = 4", "servers = \"4\"", "testbed.servers: found \"4\", expected an integer"),
    ("servers = 4", "server = 4\nservers = 4", "testbed.server: unknown key; did you mean `serve"),
    ("clients = 2", "clients = 0", "testbed.clients: found 0, expected an integer from 1 to 16"),
    ("capacity = 1500", "capacity = 1", "testbed.capacity: found 1, expected an integer from 10"),
    ("= true", "= \"yes\"", "testbed.one_process: found \"yes\", expected true or false"),
    ("window = 1024", "window = 1025", "testbed.window: found 1025, expected a power of two"),
    ("zipf = 1.2", "zipf = 2.5", "workload.zipf: found 2.5, expected a number from 0 to 2"),
    ("rate = 9_600", "", "workload.rate: is missing, expected a number from 1 to 1000000"),
    ("keys = 24", "keys = 0", "scenario.keys: found 0, expected an integer from 1 to 100000"),
    ("= 0.1", "= 0.6", "scenario.delete_share: found 0.6, expected at most 0.5, what read_share"),
    ("keys = 24", "keys = 24\nprocesses = 99", "scenario.processes: found 99, expected an integer"),
    ("transitions_every_ms", "transition_every_ms", "scenario.transition_every_ms: unknown key; d"),
    ("[scenario]", "[senario]", "senario: unknown key; did you mean `scenario`?"),
    ("[policy]", "[polices]", "polices: unknown key; did you mean `policy`?"),
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

  @Test(arguments: ["small", "demo", "linearizability"])
  func `The files that come with hotrack are good`(name: String) throws {
    // This file is Tests/ConfigurationTests/TestbedFileTests.swift.
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let bed = try TestbedFile(file: "/\(root)/testbed/\(name).toml")
    #expect((bed.workload != nil) == (name == "demo"))
    #expect((bed.scenario != nil) == (name == "linearizability"))
    #expect(bed.scenario.map { $0.operations >= 200_000 } ?? true)
  }
}
