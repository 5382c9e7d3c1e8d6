import ArgumentParser
import Controller

/// `hotrack status`: a rack as a whole.
struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show a rack's state: epoch, servers, transitions, what became of its packets.",
    discussion: ControlOptions.exitCodes)

  @OptionGroup var control: ControlOptions

  @OptionGroup var watch: WatchOptions

  @Flag(help: "Print one JSON object; with --watch one a line.")
  var json = false

  func run() throws {
    try control.reporting("status") {
      let client = try control.client()
      try watch.run(json: json) { _ in
        guard let status = try client.ask(ControlRequest(.status)).status else { return "" }
        return try json ? textOfJSON(status) : ControlTables.status(status)
      }
    }
  }
}

/// `hotrack keys`: the hot keys.
struct KeysCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys",
    abstract: "List the hot keys: their rates, and the servers that hold them.",
    discussion: """
      SHARE is of the rack's requests, READS of the key's; COPIES: servers that each write is \
      copied to; VERSION is epoch:counter.

      \(ControlOptions.exitCodes)
      """)

  @OptionGroup var control: ControlOptions

  @Option(help: "So many at most, the hottest.")
  var limit = 1000

  @OptionGroup var watch: WatchOptions

  @Flag(help: "Print one JSON array; with --watch one a line.")
  var json = false

  func run() throws {
    try control.reporting("keys") {
      let client = try control.client()
      try watch.run(json: json) { _ in
        let keys = try client.ask(ControlRequest(.keys, limit: limit)).keys ?? []
        return try json ? textOfJSON(keys) : ControlTables.keys(keys)
      }
    }
  }
}

/// `hotrack control`: what a person or a scenario may ask of a controller.
struct ControlCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "control",
    abstract: "Ask a controller to promote or demote keys, raise the floor, and the like.",
    discussion: """
      promote KEY, demote KEY, retarget KEY (the transition that changes write targets), \
      demote-all, floor, automatic on|off (whether keys are chosen by rate), events (what has \
      happened). A transition is begun, not waited for.

      \(ControlOptions.exitCodes)
      """)

  enum Action: String, ExpressibleByArgument, CaseIterable {
    case promote, demote, retarget, floor, automatic, events
    case demoteAll = "demote-all"
  }

  @Argument(help: "What to do.")
  var action: Action

  @Argument(help: "The key; with automatic: on or off.")
  var operand: String?

  @Flag(help: "The key is given as hexadecimal digits.")
  var hex = false

  @Flag(help: "Print the answer as JSON.")
  var json = false

  @OptionGroup var control: ControlOptions

  func validate() throws {
    _ = try request()
  }

  func run() throws {
    let answer = try control.ask("control", request())
    let events = answer.events ?? []
    if json {
      if action == .events { try printJSON(events) } else { try printJSON(answer) }
    } else {
      for event in events { print("\(event.number)  \(event.text)") }
    }
  }

  private func request() throws -> ControlRequest {
    switch action {
    case .promote: return try request(.promote)
    case .demote: return try request(.demote)
    case .retarget: return try request(.retarget)
    case .automatic:
      guard operand == "on" || operand == "off" else {
        throw ValidationError("automatic: say on or off")
      }
      return ControlRequest(.automatic, on: operand == "on")
    case .demoteAll: return try alone(.demoteAll)
    case .floor: return try alone(.floor)
    case .events: return try alone(.events)
    }
  }

  private func request(_ command: ControlRequest.Command) throws -> ControlRequest {
    guard let operand else { throw ValidationError("\(action.rawValue): name a key") }
    return hex ? ControlRequest(command, keyHex: operand) : ControlRequest(command, key: operand)
  }

  private func alone(_ command: ControlRequest.Command) throws -> ControlRequest {
    guard operand == nil else {
      throw ValidationError("\(action.rawValue) takes nothing more than options")
    }
    return ControlRequest(command)
  }
}
