import ArgumentParser
import Configuration
import Controller
import ControllerCore
import Directory
import Sockets
import Testing

@testable import hotrack

@Suite("hotrack controller and the commands that ask it")
struct ControllerCommandTests {
  private static let text = """
    [rack]
    name = "demo"
    address = "10.0.0.1"
    port = 1000
    control_port = 1001
    hash_seed = 5
    [directory]
    interfaces = ["rack-s0", "rack-c0"]
    buckets = 64
    window = 1024
    state_file = "/tmp/demo.state"
    socket = "/tmp/demo.socket"
    [policy]
    promotion = false
    hot_keys_max = 7
    copies_max = 5
    choice = "round-robin"
    promote_share = 0.5
    demote_share = 0.25
    urgent_share = 0.75
    minimum_rate = 3.5
    minimum_stay_ms = 11
    interval_ms = 12
    moves_per_second = 13.5
    moves_burst = 14.5
    samples_per_second = 15.5
    watched_keys = 160
    probe_ms = 17
    server_timeout_ms = 180
    start_timeout_ms = 190
    transition_timeout_ms = 200
    floor_interval_ms = 0
    [[server]]
    number = 3
    address = "10.0.0.2"
    port = 1002
    interface = "rack-s0"
    mac = "02:00:00:00:00:fe"
    """

  @Test("Everything that a rack file says reaches the controller")
  func mapping() throws {
    let options = ControllerOptions(try RackFile(text: Self.text, file: "rack.toml"))
    #expect(options.name == "demo")
    #expect(options.rack == (try Endpoint(parsing: "10.0.0.1:1000", defaultPort: 1)))
    #expect(options.controlPort == 1001)
    #expect(options.hashSeed == 5)
    #expect(options.interfaces == ["rack-s0", "rack-c0"])
    #expect(options.buckets == 64)
    #expect(options.window == 1024)
    #expect(options.stateFile == "/tmp/demo.state")
    #expect(options.socket == "/tmp/demo.socket")
    #expect(
      options.servers == [
        ControllerOptions.Server(
          number: 3, endpoint: try Endpoint(parsing: "10.0.0.2:1002", defaultPort: 1),
          interface: "rack-s0", mac: [2, 0, 0, 0, 0, 0xfe])
      ])
    let (policy, times) = (options.policy, options.times)
    #expect(!policy.automatic)
    #expect(policy.hotKeysMax == 7)
    #expect(policy.copiesMax == 5)
    #expect(policy.readChoice == .roundRobin)
    #expect(policy.promoteShare == 0.5)
    #expect(policy.demoteShare == 0.25)
    #expect(policy.urgentShare == 0.75)
    #expect(policy.minimumRate == 3.5)
    #expect(policy.minimumStay == 11_000_000)
    #expect(policy.interval == 12_000_000)
    #expect(policy.movesPerSecond == 13.5)
    #expect(policy.movesBurst == 14.5)
    #expect(policy.samplesPerSecond == 15.5)
    #expect(policy.watchedKeys == 160)
    #expect(times.probe == 17_000_000)
    #expect(times.serverTimeout == 180_000_000)
    #expect(times.start == 190_000_000)
    #expect(times.transition == 200_000_000)
    #expect(times.floor == 0)
  }

  @Test(
    "Wrong usage is told before anything is asked",
    arguments: [
      ["control", "promote"], ["control", "automatic"], ["control", "automatic", "maybe"],
      ["control", "floor", "key"], ["control", "format"], ["controller"],
      ["controller", "--config", "f", "--log-level", "loud"],
      ["status", "--socket", "/s", "--rack-name", "r"],
    ])
  func usage(arguments: [String]) {
    let error = #expect(throws: (any Error).self) { try Hotrack.parseAsRoot(arguments) }
    if let error { #expect(Hotrack.exitCode(for: error) == .validationFailure) }
  }

  @Test("Without a controller the commands end with 1")
  func nobody() throws {
    for arguments in [["status"], ["keys"], ["servers"], ["control", "floor"]] {
      var command = try Hotrack.parseAsRoot(arguments + ["--socket", "/nowhere/socket"])
      #expect(throws: ExitCode(1)) { try command.run() }
    }
  }
}
