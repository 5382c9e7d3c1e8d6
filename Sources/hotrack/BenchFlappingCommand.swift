import ArgumentParser
import Bench
import Testbed
import Workload

/// `hotrack bench flapping`: a load whose hot keys alternate in step with the policy.
struct BenchFlappingCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "flapping",
    abstract: "Measure whether alternating hot keys make the directory swing.",
    discussion: """
      Brings up a rack of emulated servers in network namespaces, and puts loads on it whose two \
      sets of hot keys take turns, each for a part or a multiple of a clock of the policy: of the \
      interval between its decisions, and of the time that a key stays hot or cold at least. Each \
      load comes twice, with plain hashing and with the directory. Checked: promotions and \
      demotions stay within the policy's budget, no key is promoted more often than its minimum \
      stay allows, and the directory carries no less than plain hashing. Needs root.

      Exit codes: 0 all of that holds; 1 it could not run, or something does not hold; 3 measured \
      while this machine was too busy for it to count.
      """)

  enum Clock: String, CaseIterable, ExpressibleByArgument { case interval, stay, both }

  @Option(help: "Servers, 2 to 32.")
  var servers = FlappingPlan().servers

  @Option(help: ArgumentHelp("Operations per second of each server.", valueName: "ops"))
  var capacity = FlappingPlan().capacity

  @Option(help: "Number of keys, 10,000 to 100,000,000.")
  var keys = FlappingPlan().keys

  @Option(help: "Skew of the keys' popularity after Zipf, 0 to 2.")
  var alpha = FlappingPlan().alpha

  @Option(
    name: [.customLong("read-ratio"), .customLong("read-share")],
    help: "Share of reads, 0 to 1; the rest are writes.")
  var readRatio = FlappingPlan().readShare

  @Option(help: "The clock to keep step with: interval, stay or both.")
  var clock = Clock.both

  @Option(
    parsing: .upToNextOption, help: "How long each hot set lasts, relative to the clock.")
  var factors = FlappingPlan().factors

  @Option(help: "Seconds to measure each load, at least.")
  var seconds = FlappingPlan().seconds

  @OptionGroup(title: "Reporting")
  var report: BenchReportOptions

  func validate() throws {
    func check(_ holds: Bool, _ rule: String) throws {
      guard holds else { throw ValidationError(rule) }
    }
    try check((2...32).contains(servers), "--servers: 2 to 32")
    try check((10...1_000_000).contains(capacity), "--capacity: 10 to 1,000,000")
    try check((10_000...100_000_000).contains(keys), "--keys: 10,000 to 100,000,000")
    try check((0...ZipfDistribution.alphaMax).contains(alpha), "--alpha: 0 to 3")
    try check((0...1).contains(readRatio), "--read-ratio: 0 to 1")
    try check(
      !factors.isEmpty && factors.allSatisfy { (0.1...100).contains($0) }, "--factors: 0.1 to 100")
    try check((1...3_600).contains(seconds), "--seconds: 1 to 3,600")
  }

  func run() throws {
    try reportingFailure("bench flapping") {
      try report.check(benchmark: "flapping")
      var plan = FlappingPlan()
      (plan.servers, plan.capacity, plan.keys, plan.alpha) = (servers, capacity, keys, alpha)
      (plan.readShare, plan.factors, plan.seconds) = (readRatio, factors, seconds)
      plan.clocks =
        switch clock {
        case .interval: [.interval]
        case .stay: [.stay]
        case .both: FlappingPlan.Clock.allCases
        }
      let interruption = Interruption()
      defer { interruption.cancel() }
      let line = ProgressLine()
      defer { line.clear() }
      let result = try FlappingBench(plan, interruption: interruption).run { line.show($0) }
      line.clear()
      try report.publish(
        benchmark: "flapping", result,
        text: ([result.table.text] + result.remarks).joined(separator: "\n"),
        tables: [result.table], remarks: result.remarks)
      guard result.shortcomings.isEmpty else {
        for shortcoming in result.shortcomings {
          standardError("hotrack bench flapping: \(shortcoming)")
        }
        throw ExitCode(1)
      }
      if !result.results.allSatisfy(\.isValid) { throw ExitCode(3) }
    }
  }
}
