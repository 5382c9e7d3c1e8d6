import Configuration
import Sockets
import Testing

private let good = """
  [rack]
  name = "lab"
  address = "10.18.0.1"
  port = 18516
  control_port = 18517
  hash_seed = 7

  [directory]
  interfaces = ["s0", "s1", "c0"]
  buckets = 1024
  window = 4096
  state_file = "/run/lab/state"
  socket = "/run/lab/socket"

  [policy]
  promotion = false
  promote_share = 0.5
  demote_share = 0.25

  [[server]]
  number = 0
  address = "10.18.1.0"
  port = 18516
  interface = "s0"
  mac = "02:00:00:00:01:00"

  [[server]]
  number = 1
  address = "10.18.1.1"
  port = 18516
  interface = "s1"
  mac = "02:00:00:00:01:01"

  """

@Suite struct RackFileTests {
  @Test func `A good file is read`() throws {
    let rack = try RackFile(text: good, file: "rack.toml")
    #expect(rack.name == "lab")
    #expect(rack.address.description == "10.18.0.1")
    #expect(rack.hashSeed == 7)
    #expect(rack.interfaces == ["s0", "s1", "c0"])
    #expect(rack.buckets == 1024)
    #expect(rack.window == 4096)
    #expect(rack.socket == "/run/lab/socket")
    #expect(rack.policy.promotion == false)
    #expect(rack.policy.demoteShare == 0.25)
    #expect(rack.policy.hotKeysMax == nil)
    #expect(rack.servers.map(\.number) == [0, 1])
    #expect(rack.servers[1].mac?.bytes == [2, 0, 0, 0, 1, 1])
    #expect(rack.servers[1].interface == "s1")
  }

  @Test func `A rack may have a key`() throws {
    let keyed = good.replacing("hash_seed = 7", with: "rack_key_file = \"/etc/hotrack/lab.key\"")
    let rack = try RackFile(text: keyed, file: "rack.toml")
    #expect(rack.rackKeyFile == "/etc/hotrack/lab.key")
    #expect(try RackFile(text: rack.text, file: "again.toml") == rack)
    #expect(try RackFile(text: good, file: "rack.toml").rackKeyFile == nil)
    let relative = keyed.replacing("/etc/hotrack/", with: "")
    let error = #expect(throws: ConfigurationError.self) {
      try RackFile(text: relative, file: "rack.toml")
    }
    #expect(error?.description.contains("rack.rack_key_file: found") == true)
  }

  @Test func `What clients may ask can be limited`() throws {
    let limited = good.replacing(
      "[policy]", with: "[limits]\nrequests_per_second = 200\nburst = 50\n\n[policy]")
    let rack = try RackFile(text: limited, file: "rack.toml")
    #expect(rack.limits.requestsPerSecond == 200 && rack.limits.burst == 50)
    #expect(try RackFile(text: rack.text, file: "again.toml") == rack)
    #expect(rack.settings.contains { $0.path == "limits.burst" && $0.value == "50" })
    #expect(try RackFile(text: good, file: "rack.toml").limits == LimitSettings())
    let error = #expect(throws: ConfigurationError.self) {
      try RackFile(
        text: limited.replacing("burst = 50", with: "burst = 0\nbirst = 1"), file: "rack.toml")
    }
    #expect(error?.description.contains("limits.burst: found 0") == true)
    #expect(error?.description.contains("did you mean `burst`") == true)
  }

  @Test func `Two copies need two servers`() throws {
    let two = good.replacing("hash_seed = 7", with: "copies = 2")
    let rack = try RackFile(text: two, file: "rack.toml")
    #expect(rack.copies == 2)
    #expect(try RackFile(text: rack.text, file: "again.toml") == rack)
    #expect(try RackFile(text: good, file: "rack.toml").copies == 1)
    let end = try #require(two.ranges(of: "[[server]]").last).lowerBound
    let error = #expect(throws: ConfigurationError.self) {
      try RackFile(text: String(two[..<end]), file: "one.toml")
    }
    #expect(error?.description.contains("rack.copies: found 2, expected 1, unless") == true)
  }

  @Test func `The text of a configuration reads as the same configuration`() throws {
    let rack = try RackFile(text: good, file: "rack.toml")
    #expect(try RackFile(text: rack.text, file: "again") == rack)
  }

  @Test func `What may be left out has a default`() throws {
    var text = good
    for line in [
      "port = 18516\n", "control_port = 18517\n", "hash_seed = 7\n", "buckets = 1024\n",
      "window = 4096\n", "state_file = \"/run/lab/state\"\n", "socket = \"/run/lab/socket\"\n",
      "promotion = false\n", "promote_share = 0.5\n", "demote_share = 0.25\n", "[policy]\n",
    ] {
      text = text.replacing(line, with: "")
    }
    let rack = try RackFile(text: text, file: "rack.toml")
    #expect(rack.port == 18516)
    #expect(rack.controlPort == 18517)
    #expect(rack.hashSeed == 0)
    #expect(rack.buckets == nil)
    #expect(rack.stateFile == RackFile.defaultStateFile("lab"))
    #expect(rack.socket == RackFile.defaultSocket("lab"))
    #expect(rack.policy == PolicySettings())
    #expect(rack.servers.allSatisfy { $0.port == 18516 })
  }

  /// Replaces the first `from` in the good file by `to`; the one message must be `message`.
  @Test(arguments: [
    ("name = \"lab\"", "name = \"Lab!\"", "rack.name: found \"Lab!\", expected a name of 1"),
    ("name = \"lab\"", "name = 3", "rack.name: found 3, expected a name"),
    ("name = \"lab\"", "", "rack.name: is missing, expected a name"),
    ("\"10.18.0.1\"", "\"10.18.0\"", "rack.address: found \"10.18.0\", expected the IPv4"),
    ("\"10.18.0.1\"", "\"10.18.0.256\"", "rack.address: found \"10.18.0.256\", expected"),
    ("\"10.18.0.1\"", "\"224.0.0.1\"", "rack.address: found \"224.0.0.1\", expected"),
    ("\"10.18.0.1\"", "\"010.18.0.1\"", "rack.address: found \"010.18.0.1\", expected"),
    ("\"10.18.0.1\"", "\"::1\"", "rack.address: found \"::1\", expected"),
    ("port = 18516", "port = 0", "rack.port: found 0, expected a UDP port from 1 to 65535"),
    ("port = 18516", "port = 70000", "rack.port: found 70000, expected a UDP port"),
    ("port = 18516", "port = \"18516\"", "rack.port: found \"18516\", expected a UDP port"),
    ("control_port = 18517", "control_port = 18516", "rack.control_port: found 18516, expected a"),
    ("hash_seed = 7", "hash_seed = -1", "rack.hash_seed: found -1, expected an integer from 0"),
    ("hash_seed = 7", "hash_seed = 7.5", "rack.hash_seed: found 7.5, expected an integer"),
    ("hash_seed = 7", "hash_sed = 7", "rack.hash_sed: unknown key; did you mean `hash_seed`?"),
    ("hash_seed = 7", "colour = 7", "rack.colour: unknown key; known here: address, control_port"),
    (
      "[\"s0\", \"s1\", \"c0\"]", "[]",
      "directory.interfaces: found [], expected an array of names of interfaces, at least one"
    ),
    (
      "[\"s0\", \"s1\", \"c0\"]", "[\"s0\", \"s1\", 3]",
      "directory.interfaces[2]: found 3, expected the name of a network interface"
    ),
    (
      "[\"s0\", \"s1\", \"c0\"]", "[\"s0\", \"s1\", \"a-name-much-too-long\"]",
      "directory.interfaces[2]: found \"a-name-much-too-long\", expected"
    ),
    (
      "[\"s0\", \"s1\", \"c0\"]", "[\"s0\", \"s1\", \"s0\"]",
      "directory.interfaces[2]: found \"s0\", expected each interface once"
    ),
    ("buckets = 1024", "buckets = 1000", "directory.buckets: found 1000, expected a power of two"),
    ("window = 4096", "window = 8", "directory.window: found 8, expected a power of two from 16"),
    ("\"/run/lab/state\"", "\"state\"", "directory.state_file: found \"state\", expected an abs"),
    ("\"/run/lab/socket\"", "true", "directory.socket: found true, expected an absolute path"),
    ("promotion = false", "promotion = \"no\"", "policy.promotion: found \"no\", expected true or"),
    ("promote_share = 0.5", "promote_share = -1", "policy.promote_share: found -1, expected a n"),
    (
      "demote_share = 0.25", "demote_share = 0.5",
      "policy.demote_share: found 0.5, expected less than promote_share"
    ),
    ("hash_seed = 7", "copies = 3", "rack.copies: found 3, expected an integer from 1 to 2"),
    ("number = 1", "number = 32", "server[1].number: found 32, expected an integer from 0 to 31"),
    ("number = 1", "number = 0", "server[1].number: found 0, expected a number that server[0]"),
    ("number = 1", "", "server[1].number: is missing, expected an integer from 0 to 31"),
    ("\"10.18.1.1\"", "\"10.18.1.0\"", "server[1].address: found \"10.18.1.0\", expected another"),
    ("\"10.18.1.1\"", "\"10.18.0.1\"", "server[1].address: found \"10.18.0.1\", expected another"),
    ("interface = \"s1\"", "interface = \"s9\"", "server[1].interface: found \"s9\", expected one"),
    ("\"02:00:00:00:01:01\"", "\"02-00\"", "server[1].mac: found \"02-00\", expected the Ethernet"),
    ("\"02:00:00:00:01:01\"", "\"ff:ff:ff:ff:ff:ff\"", "server[1].mac: found \"ff:ff:ff:ff:ff:ff"),
    (
      "[directory]", "[directory]\nmode = \"arm\"",
      "directory.mode: found \"arm\", expected \"switch\" or \"one-arm\""
    ),
    (
      "[directory]", "[directory]\nmode = \"one-arm\"",
      "directory.interfaces: found 3 of them, expected one: the mode is \"one-arm\""
    ),
    ("[policy]", "[polcy]", "polcy: unknown key; did you mean `policy`?"),
    ("[policy]", "[[policy]]", "policy: found [a table], expected a table, written [policy]"),
  ])
  func `One wrong value is named with its place`(
    from: String, to: String, message: String
  ) throws {
    let place = try #require(good.firstRange(of: from))
    var text = good
    text.replaceSubrange(place, with: to)
    let error = #expect(throws: ConfigurationError.self) {
      try RackFile(text: text, file: "bad.toml")
    }
    try expectOneProblem(try #require(error), in: text, says: message)
  }

  @Test(arguments: [
    ("[rack\nname = 1", 1), ("[rack]\nname = \"a\nport = 3", 2), ("a = 1\nb = 2\na = 3", 3),
    ("[rack]\nport = 99999999999999999999", 2), ("x = [1, 2", 1),
    // Headers that the parser does not survive.
    ("a = 1\n[\nb = 2", 2), ("a = 1\n [[ =", 2), ("[\u{e9}]", 1), ("[#", 1), ("[", 1),
    // Dates and times: some wrong ones do not survive either.
    ("a = '''\n[2024-01-01 ' #\n'''\nd = 1980-05-27Tq\u{e0}07:32:00Z", 4),
    ("a = 1\nt=07:32:00", 2),
    // Nor brackets that braces close.
    ("a = [1,\n}{b=2]", 2), ("a = {b=]", 1), ("a = [1,\u{a0}2]", 1),
  ])
  func `A syntax error is named with line and column`(text: String, line: Int) throws {
    let error = #expect(throws: ConfigurationError.self) {
      try RackFile(text: text, file: "bad.toml")
    }
    let problems = try #require(error).problems
    guard case .syntax(let reason) = problems[0].kind, let place = problems[0].place else {
      Issue.record("not a syntax error: \(problems)")
      return
    }
    #expect(problems.count == 1)
    #expect(place.line == line)
    #expect(place.column >= 1)
    #expect(!reason.isEmpty && !reason.contains("\n"))
    #expect(try #require(error).description.hasPrefix("bad.toml:\(line):\(place.column): "))
  }

  @Test func `In one-arm mode one interface is enough to say`() throws {
    let text = """
      [rack]
      name = "lab"
      address = "10.18.0.1"
      [directory]
      mode = "one-arm"
      interfaces = ["eth0"]
      [[server]]
      number = 0
      address = "10.18.1.0"
      """
    let rack = try RackFile(text: text, file: "rack.toml")
    #expect(rack.mode == .oneArm)
    #expect(rack.plane == .auto)
    #expect(rack.servers[0].interface == "eth0")
    #expect(rack.servers[0].mac == nil)
    #expect(try RackFile(text: rack.text, file: "rack.toml") == rack)
  }

  @Test func `All addresses are of IPv4 or all of IPv6`() throws {
    let text = good.replacing("10.18.0.1", with: "fd18::1").replacing("10.18.1.", with: "fd18::1:")
    let rack = try RackFile(text: text, file: "rack.toml")
    #expect(rack.address.description == "fd18::1")
    #expect(rack.servers[1].address.description == "fd18::1:1")
    #expect(try RackFile(text: rack.text, file: "rack.toml") == rack)
    let error = #expect(throws: ConfigurationError.self) {
      try RackFile(text: text.replacing("fd18::1:1", with: "10.18.1.1"), file: "rack.toml")
    }
    #expect(
      try #require(error).description.contains(
        "server[1].address: found \"10.18.1.1\", expected an IPv6 address, as the rack's is"))
    for wrong in ["fe80::1", "::1", "ff02::1", "::", "fd18::1%eth0"] {
      #expect(throws: ConfigurationError.self) {
        try RackFile(
          text: text.replacing("\"fd18::1\"", with: "\"\(wrong)\""), file: "rack.toml")
      }
    }
  }

  @Test(arguments: PlaneChoice.allCases)
  func `The plane is chosen by name`(plane: PlaneChoice) throws {
    let text = good.replacing(
      "[directory]\n", with: "[directory]\nplane = \"\(plane.rawValue)\"\n")
    let rack = try RackFile(text: text, file: "rack.toml")
    #expect(rack.plane == plane)
    #expect(try RackFile(text: rack.text, file: "rack.toml") == rack)
    let error = #expect(throws: ConfigurationError.self) {
      try RackFile(
        text: text.replacing("plane = \"\(plane.rawValue)\"", with: "plane = \"dpdk\""),
        file: "rack.toml")
    }
    #expect(try #require(error).description.contains("directory.plane: found \"dpdk\""))
  }

  @Test func `Strings, comments and names may look like dates`() throws {
    let text = good.replacing("\"lab\"", with: "\"lab\" # since 1980-05-27 \"")
      .replacing("/run/lab/state", with: "/run/1980-05-27T07:32:00")
    #expect(try RackFile(text: text, file: "rack.toml").name == "lab")
  }

  @Test func `All problems are listed at once`() throws {
    let text = """
      [rack]
      name = "lab"
      address = "nowhere"
      prt = 3
      [directory]
      interfaces = ["s0"]
      [[server]]
      number = 77
      address = "10.0.0.1"
      interface = "s0"
      mac = ""
      """
    let error = #expect(throws: ConfigurationError.self) {
      try RackFile(text: text, file: "bad.toml")
    }
    let lines = try #require(error).description.split(separator: "\n")
    let places = [
      "3:11: rack.address: ", "4:1: rack.prt: ", "8:10: server[0].number: ",
      "11:7: server[0].mac: ",
    ]
    #expect(lines.count == places.count)
    for (line, place) in zip(lines, places) { #expect(line.hasPrefix("bad.toml:\(place)")) }
  }

  @Test func `What a file says has no meaning for a terminal`() throws {
    let text = good.replacing("name = \"lab\"", with: "name = \"\\u001b[2J\\n\"")
    let error = #expect(throws: ConfigurationError.self) {
      try RackFile(text: text, file: "bad.toml")
    }
    #expect(try #require(error).description.contains("found \"\\u{1b}[2J\\u{a}\", expected"))
  }

  @Test func `An empty file lacks everything`() throws {
    let error = #expect(throws: ConfigurationError.self) {
      try RackFile(text: "", file: "bad.toml")
    }
    let problems = try #require(error).problems
    #expect(problems.count == 3)
    #expect(
      problems.map { if case .missing(let path, _) = $0.kind { path } else { "" } }
        == ["rack", "directory", "server"])
  }

  @Test func `A file that is not there is named`() throws {
    let error = #expect(throws: ConfigurationError.self) {
      try RackFile(file: "/nonexistent/rack.toml")
    }
    #expect(
      try #require(error).description
        == "/nonexistent/rack.toml: cannot be read: No such file or directory")
  }

  @Test func `A folder is not a file`() {
    #expect(throws: ConfigurationError.self) { try RackFile(file: "/tmp") }
  }

  @Test func everyValueHasThePathOfItsKey() throws {
    var policy = PolicySettings()
    policy.choice = .roundRobin
    let file = RackFile(
      name: "demo", address: IPAddress(ipv4: 0x0a00_0001), interfaces: ["a", "b"],
      policy: policy,
      servers: [
        .init(
          number: 7, address: IPAddress(ipv4: 0x0a00_0002), port: 1, interface: "a", mac: nil)
      ])
    let settings = Dictionary(uniqueKeysWithValues: file.settings.map { ($0.path, $0.value) })
    #expect(settings["rack.name"] == "\"demo\"" && settings["policy.choice"] == "\"round-robin\"")
    #expect(settings["directory.interfaces"] == "[\"a\", \"b\"]")
    #expect(settings["server 7.number"] == "7" && settings["server 7.port"] == "1")
    #expect(settings["server 7.mac"] == nil && settings["policy.promotion"] == nil)
  }
}
