import ArgumentParser
import Configuration

/// `hotrack attach`: a controller on the interfaces that the command line names.
struct AttachCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "attach",
    abstract: "Attach a rack to interfaces of this host, and run its controller.",
    discussion: """
      With one interface, in one-arm mode: clients and servers are both behind it, servers answer to \
      the rack's address (which this host must have), and every packet of the rack leaves by the \
      interface that it came in by. With several, in switch mode: this host is between them. Either \
      way all other packets go to the kernel untouched.

      Otherwise it is `hotrack controller`: it runs until SIGTERM or SIGINT, and the data plane goes \
      on without it until `hotrack detach`. Where an interface's driver cannot run XDP programs, it \
      says so and attaches to TC ingress (Linux 6.6), or in XDP's generic mode.

      With --dry-run packets are counted only: all go to the kernel untouched, no server is asked \
      anything, and nothing stays when it ends. `hotrack status`, `servers` and `stats` say what \
      would have become of the requests, with plain hashing: the directory has no hot keys. Replies \
      count as refused (drop_not_a_living_server), since the servers are not admitted.

      Exit codes: 0 stopped by a signal, 1 it cannot run, 64 wrong usage.
      """)

  @Argument(help: "The interfaces, instead of those of the rack file.")
  var interfaces: [String]

  @Flag(help: "Count only: every packet goes its way untouched.")
  var dryRun = false

  @OptionGroup var arguments: ControllerArguments

  func validate() throws {
    guard Set(interfaces).count == interfaces.count else {
      throw ValidationError("an interface is named twice")
    }
  }

  func run() throws {
    try arguments.run(command: "attach", isDryRun: dryRun) { file in
      file.interfaces = interfaces
      file.mode = interfaces.count == 1 ? .oneArm : .switch
      guard let only = interfaces.first, interfaces.count == 1 else { return }
      for index in file.servers.indices { file.servers[index].interface = only }
    }
  }
}
