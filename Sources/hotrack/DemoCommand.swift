import ArgumentParser
import Demo
import Foundation
import Testbed

/// `hotrack demo`: the same skewed load with plain hashing and with the directory.
struct DemoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract: "Show what the directory does for a rack under skewed load.",
    discussion: """
      Brings up a rack of emulated servers in network namespaces of this host, gives the most \
      popular keys their values, and puts the same load on it twice: with plain hashing, then with \
      the directory. Operations arrive at random moments, whether or not the rack keeps up. \
      Everything is removed at the end. Needs root.

      Exit codes: 0 shown, and the directory was not worse; 1 it could not run, or the directory was \
      worse. That the machine was too busy for exact figures is said (and in the JSON), not failed.
      """)

  @Option(help: "Servers, 2 to 32.")
  var servers = DemoPlan().servers

  @Option(help: ArgumentHelp("Operations per second of each server.", valueName: "ops"))
  var capacity = DemoPlan().capacity

  @Option(help: "Skew of the keys' popularity after Zipf, 0 to 2.")
  var alpha = DemoPlan().alpha

  @Option(help: "Number of keys, 1 to 100,000,000.")
  var keys = DemoPlan().keys

  @Option(
    name: [.customLong("read-ratio"), .customLong("read-share")],
    help: "Share of reads, 0 to 1; the rest are writes.")
  var readRatio = DemoPlan().readShare

  @Option(
    help: """
      Operations per second that arrive. Default: 80 % of what all servers can do together, which \
      is more than plain hashing carries.
      """)
  var rate: Double?

  @Option(help: "Seconds to measure, for each of the two.")
  var seconds = DemoPlan().seconds

  @Flag(help: "Print the result as one JSON object.")
  var json = false

  func validate() throws {
    func check(_ holds: Bool, _ rule: String) throws {
      guard holds else { throw ValidationError(rule) }
    }
    try check((2...32).contains(servers), "--servers: 2 to 32")
    try check((10...1_000_000).contains(capacity), "--capacity: 10 to 1,000,000")
    try check((0...2).contains(alpha), "--alpha: 0 to 2")
    try check((1...100_000_000).contains(keys), "--keys: 1 to 100,000,000")
    try check((0...1).contains(readRatio), "--read-ratio: 0 to 1")
    try check((rate ?? 1) > 0 && (rate ?? 1) <= 10_000_000, "--rate: above 0, at most 10,000,000")
    try check((1...3_600).contains(seconds), "--seconds: 1 to 3,600")
  }

  func run() throws {
    try reportingFailure("demo") {
      var plan = DemoPlan()
      (plan.servers, plan.capacity, plan.alpha, plan.keys) = (servers, capacity, alpha, keys)
      (plan.readShare, plan.rate, plan.seconds) = (readRatio, rate, seconds)
      let interruption = Interruption()
      defer { interruption.cancel() }
      let result = try DemoRun(plan, forResult: json, interruption: interruption).run()
      if json { try printJSON(result) } else { print(result.text) }
      // The result comes first, also where both outputs go to one file.
      fflush(nil)
      if !result.isValid {
        standardError(
          "hotrack demo: note: this machine was busy with other things, so the latencies above are "
            + "rough; for better ones repeat it with less else running, or a smaller --capacity")
      }
      if !result.isNotWorse {
        standardError(
          "hotrack demo: the directory did worse than plain hashing: repeat it, and if it stays so, "
            + "report it with the output of `hotrack demo --json`")
        throw ExitCode(1)
      }
    }
  }
}
