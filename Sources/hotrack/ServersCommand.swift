import ArgumentParser
import Controller
import ControllerCore
import Foundation

/// `hotrack servers`: the servers, and who of them takes part.
struct ServersCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "servers",
    abstract: "List a rack's servers; take one out of service, or into it.",
    subcommands: [ServersListCommand.self, ServersDrainCommand.self, ServersAddCommand.self],
    defaultSubcommand: ServersListCommand.self)
}

/// `hotrack servers list`: the servers and their load.
struct ServersListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List a rack's servers: their state and load.",
    discussion: """
      LOAD: requests that waited at the last probe. Rates are those of the last second, counted \
      by the data plane.

      \(ControlOptions.exitCodes)
      """)

  @OptionGroup var control: ControlOptions

  @OptionGroup var watch: WatchOptions

  @Flag(help: "Print one JSON array; with --watch one a line.")
  var json = false

  func run() throws {
    try control.reporting("servers") {
      let client = try control.client()
      try watch.run(json: json) { _ in
        let servers = try client.ask(ControlRequest(.servers)).servers ?? []
        return try json ? textOfJSON(servers) : ControlTables.servers(servers)
      }
    }
  }
}

/// What the commands share that change who takes part.
struct ServerChangeOptions: ParsableArguments {
  @Argument(help: "The server's number in the rack file.")
  var server: Int

  @Flag(help: "Only begin it; `hotrack servers` shows how far it is.")
  var noWait = false

  @Option(help: ArgumentHelp("Give up waiting after this; it goes on.", valueName: "seconds"))
  var timeout = 600.0

  @Flag(help: "Print one JSON object: the server as `hotrack servers --json` shows it.")
  var json = false

  @OptionGroup var control: ControlOptions

  func validate() throws {
    guard timeout > 0 else { throw ValidationError("--timeout: say how many seconds, more than 0") }
  }

  /// Asks, and waits until `isDone`; shows slots on the way.
  func change(
    _ command: ControlRequest.Command, name: String, what: (ControlServer) -> String,
    isDone: ([ControlServer], ControlServer) -> Bool
  ) throws {
    _ = try control.ask(name, ControlRequest(command, server: server))
    let end = Date.now + timeout
    let isTerminal = isatty(2) == 1
    while true {
      let servers = try control.ask(name, ControlRequest(.servers)).servers ?? []
      guard let found = servers.first(where: { Int($0.number) == server }) else { return }
      if noWait || isDone(servers, found) {
        if isTerminal && !noWait { standardError("\r\u{1b}[K", terminator: "") }
        if json { try printJSON(found) } else { print(what(found)) }
        return
      }
      guard Date.now < end else {
        standardError(
          "hotrack \(name): not done after \(Int(timeout)) s (\(what(found))); it goes on")
        throw ExitCode(1)
      }
      if isTerminal { standardError("\r\u{1b}[K\(what(found))", terminator: "") }
      usleep(50_000)
    }
  }
}

/// `hotrack servers drain`: a server gives everything away.
struct ServersDrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drain",
    abstract: "Move everything away from a server, so that it may be stopped.",
    discussion: """
      Its slots move to the others while they are in use, and no hot key needs it any more. Then \
      it takes no part until it is added again. Waits until that is so.

      Exit codes: 0 drained, 1 refused, not done in time or no controller, 64 wrong usage.
      """)

  @OptionGroup var options: ServerChangeOptions

  func run() throws {
    try options.change(.drain, name: "servers drain") { server in
      server.phase == .drained
        ? "server \(server.number) is drained: it may be stopped"
        : "server \(server.number) has \(server.slots) slots left"
    } isDone: { _, server in
      server.phase == .drained
    }
  }
}

/// `hotrack servers add`: a server gets its share.
struct ServersAddCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add",
    abstract: "Take a server into service that was drained, or that the rack file calls drained.",
    discussion: """
      It joins as soon as it answers, and gets its share of the slots. Waits until it has them.

      Exit codes: 0 it takes part, 1 refused, not done in time or no controller, 64 wrong usage.
      """)

  @OptionGroup var options: ServerChangeOptions

  func run() throws {
    try options.change(.add, name: "servers add") { server in
      server.phase == .alive
        ? "server \(server.number) has \(server.slots) of \(server.slotsGoal) slots"
        : "server \(server.number) does not take part yet (\(server.phase.rawValue))"
    } isDone: { _, server in
      server.phase == .alive && server.slots > 0 && server.slots + 1 >= server.slotsGoal
    }
  }
}
