import ArgumentParser
import Controller

/// `hotrack reload`: the rack file as it is now.
struct ReloadCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reload",
    abstract: "Have a running controller read its rack file again.",
    discussion: """
      The file that the controller was started with is checked as a whole and compared with what \
      holds. Then all of it holds, or, if anything is wrong or cannot change while the rack runs, \
      nothing of it; what stands in the way is printed, and what to do about it. No packet is lost.

      May change: everything in [policy]; servers: added, `drained`, `mac`, `interface`, and, once \
      they are drained or lost, removed or given another address; in switch mode the interfaces. \
      SIGHUP does the same; the controller's log says what came of it.

      --json prints one object: `ok`, `reload.changes[]` and `reload.problems[]` with `path` (of the \
      key) and `text`.

      Exit codes: 0 it holds, 1 refused or no controller, 64 wrong usage.
      """)

  @OptionGroup var control: ControlOptions

  @Flag(help: "Print one JSON object.")
  var json = false

  func run() throws {
    let answer = try control.reporting("reload") {
      try control.client().exchange(ControlRequest(.reload))
    }
    if json {
      try printJSON(answer)
    } else if answer.ok {
      let changes = answer.reload?.changes ?? []
      print(changes.isEmpty ? "nothing has changed" : changes.map(\.line).joined(separator: "\n"))
    } else {
      let problems = answer.reload?.problems.map(\.line) ?? [answer.error ?? "refused"]
      for problem in problems { standardError("hotrack reload: \(problem)") }
      standardError("hotrack reload: nothing was changed")
    }
    if !answer.ok { throw ExitCode(1) }
  }
}
