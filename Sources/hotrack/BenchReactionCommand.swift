import ArgumentParser
import Bench
import Testbed
import Workload

/// `hotrack bench reaction`: how quickly the load of keys that have just become hot is spread.
struct BenchReactionCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reaction",
    abstract: "Measure how quickly keys that have just become hot are spread.",
    discussion: """
      Brings up a rack of real server processes in network namespaces, puts an open load of Zipf \
      popularity on it, and again and again makes the 100 coldest keys the hottest ones. Each \
      sample lasts from the first request of the new load to the end of the last 1,000 consecutive \
      requests, in order of sending, of which some server got more than 1.5 times its fair share, \
      before the next change. 0: there were none. A request without an answer counts as got by \
      every server. Needs root.

      Exit codes: 0 measured; 1 it could not run, or the rack did not carry the load; 3 measured \
      while this machine was too busy for it to count.
      """)

  @Option(help: "Servers, 2 to 32.")
  var servers = ReactionPlan().servers

  @Option(help: "Operations per second that arrive.")
  var rate = ReactionPlan().rate

  @Option(help: "Number of keys, 10,000 to 100,000,000.")
  var keys = ReactionPlan().keys

  @Option(help: "Skew of the keys' popularity after Zipf, 0 to 2.")
  var alpha = ReactionPlan().alpha

  @Option(
    name: [.customLong("read-ratio"), .customLong("read-share")],
    help: "Share of reads, 0 to 1; the rest are writes.")
  var readRatio = ReactionPlan().readShare

  @Option(help: "Changes of popularity, 1 to 1,000.")
  var changes = ReactionPlan().changes

  @Option(help: "Seconds between two changes, at least 0.2.")
  var interval = ReactionPlan().interval

  @Option(help: "Milliseconds between two sends of what is due, 0.05 to 10.")
  var tick = ReactionPlan().tick

  @Option(help: "Of arrivals, keys and kinds: the same seed, the same load.")
  var seed = ReactionPlan().seed

  @OptionGroup(title: "Reporting")
  var report: BenchReportOptions

  func validate() throws {
    func check(_ holds: Bool, _ rule: String) throws {
      guard holds else { throw ValidationError(rule) }
    }
    try check((2...32).contains(servers), "--servers: 2 to 32")
    try check((1...1_000_000).contains(rate), "--rate: 1 to 1,000,000")
    try check((10_000...100_000_000).contains(keys), "--keys: 10,000 to 100,000,000")
    try check((0...ZipfDistribution.alphaMax).contains(alpha), "--alpha: 0 to 3")
    try check((0...1).contains(readRatio), "--read-ratio: 0 to 1")
    try check(
      (1...1_000).contains(changes) && changes * 200 <= keys,
      "--changes: 1 to 1,000, and 200 times as many --keys")
    try check((0.05...10).contains(tick), "--tick: 0.05 to 10")
    try check((0.2...600).contains(interval), "--interval: 0.2 to 600")
  }

  func run() throws {
    try reportingFailure("bench reaction") {
      try report.check(benchmark: "reaction")
      var plan = ReactionPlan()
      (plan.servers, plan.rate, plan.keys, plan.alpha) = (servers, rate, keys, alpha)
      (plan.readShare, plan.changes, plan.interval) = (readRatio, changes, interval)
      (plan.seed, plan.tick) = (seed, tick)
      let interruption = Interruption()
      defer { interruption.cancel() }
      let line = ProgressLine()
      defer { line.clear() }
      let result = try ReactionBench(plan, interruption: interruption).run { line.show($0) }
      line.clear()
      try report.publish(
        benchmark: "reaction", result,
        text: ([result.table.text, "", result.stepsTable.text, ""] + result.remarks)
          .joined(separator: "\n"),
        tables: [result.table, result.stepsTable], remarks: result.remarks)
      if let shortcoming = result.shortcoming {
        standardError("hotrack bench reaction: \(shortcoming)")
        throw ExitCode(1)
      }
      if !result.isValid { throw ExitCode(3) }
    }
  }
}
