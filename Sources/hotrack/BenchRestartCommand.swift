import ArgumentParser
import Bench
import Testbed

/// `hotrack bench restart`: what it costs when a controller is replaced by another one.
struct BenchRestartCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restart",
    abstract:
      "Replace a rack's controller and reload its rack file under load, count what is lost.",
    discussion: """
      Brings up a rack in network namespaces, and has clients record what they ask and are told, \
      while keys are promoted and demoted by force. In the second part the controller is killed \
      (SIGKILL) and started again, and stopped (SIGTERM) and replaced by one that puts a new \
      program on the interfaces, in turns, each time in the middle of transitions. In the third it \
      is told to reload its rack file again and again, in which policies change and a server is \
      drained, removed, and added anew. Checked: every \
      packet that was sent was seen by the XDP program, every request was answered, every answer \
      arrived, no interface and no socket dropped anything; every operation has an outcome; \
      versions are in order, and the history of each key is linearizable. Needs root.

      Exit codes: 0 all of that holds; 1 it could not run, or something does not hold.
      """)

  @Option(help: "Servers, 2 to 32.")
  var servers = RestartPlan().servers

  @Option(help: ArgumentHelp("Operations per second.", valueName: "ops"))
  var rate = RestartPlan().rate

  @Option(help: "Seconds of each of the three parts, 1 to 3,600.")
  var seconds = RestartPlan().seconds

  @Option(help: "Controllers that are replaced, 1 to 1,000.")
  var changes = RestartPlan().changes

  @Option(help: "Rack files that are reloaded, 1 to 1,000.")
  var reloads = RestartPlan().reloads

  @OptionGroup(title: "Reporting")
  var report: BenchReportOptions

  func validate() throws {
    guard (2...32).contains(servers) else { throw ValidationError("--servers: 2 to 32") }
    guard (1...1_000_000).contains(rate) else { throw ValidationError("--rate: 1 to 1,000,000") }
    guard (1...3_600).contains(seconds) else { throw ValidationError("--seconds: 1 to 3,600") }
    guard (1...1_000).contains(changes) else { throw ValidationError("--changes: 1 to 1,000") }
    guard (1...1_000).contains(reloads) else { throw ValidationError("--reloads: 1 to 1,000") }
  }

  func run() throws {
    try reportingFailure("bench restart") {
      try report.check(benchmark: "restart")
      var plan = RestartPlan()
      (plan.servers, plan.rate) = (servers, rate)
      (plan.seconds, plan.changes, plan.reloads) = (seconds, changes, reloads)
      let interruption = Interruption()
      defer { interruption.cancel() }
      let line = ProgressLine()
      defer { line.clear() }
      let result = try RestartBench(plan, interruption: interruption).run { line.show($0) }
      line.clear()
      try report.publish(
        benchmark: "restart", result,
        text: result.tables.map(\.text).joined(separator: "\n\n"), tables: result.tables)
      guard result.shortcomings.isEmpty else {
        for shortcoming in result.shortcomings {
          standardError("hotrack bench restart: \(shortcoming)")
        }
        throw ExitCode(1)
      }
    }
  }
}
