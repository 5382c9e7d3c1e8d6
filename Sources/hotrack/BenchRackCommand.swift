import ArgumentParser
import Bench
import Configuration
import Foundation
import Testbed
import Wire
import Workload

/// `hotrack bench rack`: the highest load that a rack carries, by policy.
struct BenchRackCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rack",
    abstract: "Find the highest load that a rack carries within a limit on latency.",
    discussion: """
      Brings up a rack of servers of emulated capacity in network namespaces of this host, for each \
      policy one, and searches for the highest load whose p99 latency is within the limit and of \
      which at most 0.1 % are beyond it (answered later, refused as busy, lost, failed). Operations arrive \
      at random moments, whether or not the rack keeps up; latency counts from then. All policies \
      see the same arrivals and the same placement of keys. What is reported was measured for \
      --seconds at the load found.

      Policies: home (plain hashing), replicated (the directory), round-robin (the directory without \
      regard to load), no-copies (the directory without copies), one-arm (replicated, with the \
      directory's host beside the rack), two-copies (replicated, with every acknowledged write on \
      two servers). `ideal` is computed from popularity and placement. Needs root.

      Exit codes: 0 measured, 1 it could not run, 3 measured while this machine was too busy for it \
      to count.
      """)

  @Option(help: "Servers, 1 to 32.")
  var servers = RackPlan().servers

  @Option(help: ArgumentHelp("Operations per second of each server.", valueName: "ops"))
  var capacity = RackPlan().capacity

  @Option(help: "Number of keys, 1 to 100,000,000.")
  var keys = RackPlan().keys

  @Option(
    help: "Where the directory host is: switch (between clients and servers) or one-arm (beside).",
    transform: directoryMode)
  var mode = RackPlan().mode

  @Option(help: "Servers that an acknowledged write is on, 1 or 2.")
  var copies = RackPlan().copies

  @Option(
    name: [.customLong("alpha"), .customLong("zipf")],
    help: "Skew of their popularity after Zipf, 0 to 3. Default: the profile's, or 1.2.")
  var alpha: Double?

  @Flag(help: "All keys are as popular: --alpha 0.")
  var uniform = false

  @Option(
    name: [.customLong("read-ratio"), .customLong("read-share")],
    help: "Share of reads, 0 to 1; the rest are writes. Default: 1.")
  var readRatio: Double?

  @Option(help: "Share of writes, 0 to 1, instead.")
  var writeRatio: Double?

  @Option(help: "Bytes of a value. Default: the profile's, or 64.")
  var valueLength: Int?

  @Option(
    help: ArgumentHelp(
      """
      A published workload instead: skew, mix, lengths of keys and values of one of Twitter's 54 \
      cache clusters (cluster1 to cluster54), or of YCSB (ycsb-a, ycsb-b, ycsb-c).
      """, valueName: "name"), transform: profile)
  var profile: WorkloadProfile?

  @Option(
    help: ArgumentHelp(
      """
      home, replicated, round-robin, no-copies, one-arm, two-copies: those to compare, with commas \
      between.
      """),
    transform: policies)
  var policies: [RackPolicy] = RackPlan().policies

  @Option(
    name: .customLong("p99-limit-us"),
    help: ArgumentHelp("Microseconds that p99 must not exceed.", valueName: "us"))
  var p99Limit = RackPlan().p99Limit

  @OptionGroup(title: "Measuring")
  var measuring: MeasuringOptions

  struct MeasuringOptions: ParsableArguments {
    @Option(help: "Seconds measured at the load found.")
    var seconds = RackPlan().seconds

    @Option(help: "Seconds of the same load before.")
    var warmUp = RackPlan().warmUp

    @Option(help: "Seconds measured at each load on the way there.")
    var probeSeconds = RackPlan().probeSeconds

    @Option(help: "Seconds of the same load before.")
    var probeWarmUp = RackPlan().probeWarmUp

    @Option(help: "The search ends when it knows the load to this share.")
    var resolution = RackPlan().resolution

    @Flag(
      help: "Late answers do not count as beyond the limit: p99 alone bounds them, not 99.9 %.")
    var ignoreLate = false

    @Option(help: "Write values of so many of the most popular keys first.")
    var fill = RackPlan().fill

    @Option(help: "The seed of arrivals, keys and kinds: the same seed, the same load.")
    var seed = RackPlan().seed

    @Option(help: "The seed of the key hash, which places keys.")
    var hashSeed = RackPlan().hashSeed
  }

  @OptionGroup(title: "Reporting")
  var report: BenchReportOptions

  @OptionGroup(title: "Reporting")
  var drawing: BenchPlotOption

  private static func policies(_ text: String) throws -> [RackPolicy] {
    var list: [RackPolicy] = []
    for word in text.split(separator: ",", omittingEmptySubsequences: false) {
      guard let policy = RackPolicy(rawValue: String(word)) else {
        let names = RackPolicy.allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError("there is no policy '\(word)'; choose among \(names)")
      }
      if list.contains(policy) { throw ValidationError("each policy once: '\(word)'") }
      list.append(policy)
    }
    return list
  }

  private static func profile(_ name: String) throws -> WorkloadProfile {
    let ycsb = [YCSBWorkload.a, .b, .c].map(\.profile)
    var profile = try ycsb.first { $0.name == name } ?? WorkloadOptions.cluster(name)
    profile.cut(keyLengthMax: WireLimits.keyLengthMax, bodyLengthMax: WireLimits.bodyLengthMax)
    return profile
  }

  func validate() throws {
    func check(_ holds: Bool, _ rule: String) throws {
      guard holds else { throw ValidationError(rule) }
    }
    try check((1...32).contains(servers), "--servers: 1 to 32")
    try check((1...2).contains(copies), "--copies: 1 or 2")
    try check(copies <= servers, "--copies 2 needs two servers at least")
    try check((10...1_000_000).contains(capacity), "--capacity: 10 to 1,000,000")
    try check((1...ZipfDistribution.countMax).contains(keys), "--keys: 1 to 100,000,000")
    try check((0...ZipfDistribution.alphaMax).contains(alpha ?? 0), "--alpha: 0 to 3")
    try check(!uniform || alpha == nil, "give --uniform or --alpha, not both")
    if let profile {
      try check(
        readRatio == nil && writeRatio == nil && valueLength == nil,
        "a profile has its own mix and lengths: leave out --read-ratio, --write-ratio and "
          + "--value-length")
      let skew = uniform ? 0 : alpha ?? profile.alpha
      try check(
        skew.map { $0 <= ZipfDistribution.alphaMax } ?? false,
        "\(profile.name) has \(profile.alpha.map { "a skew of \($0), above 3" } ?? "no published skew")"
          + ": give one with --alpha")
    }
    try check(readRatio == nil || writeRatio == nil, "give --read-ratio or --write-ratio, not both")
    try check((0...1).contains(readRatio ?? 1), "--read-ratio: 0 to 1")
    try check((0...1).contains(writeRatio ?? 0), "--write-ratio: 0 to 1")
    try check((0...1_024).contains(valueLength ?? 0), "--value-length: 0 to 1,024 bytes")
    try check(
      p99Limit >= 100 && p99Limit <= 1_000_000, "--p99-limit-us: 100 to 1,000,000 microseconds")
    let times = [measuring.seconds, measuring.probeSeconds]
    try check(times.allSatisfy { (2...3_600).contains($0) }, "seconds measured: 2 to 3,600")
    let warmUps = [measuring.warmUp, measuring.probeWarmUp]
    try check(warmUps.allSatisfy { (0...3_600).contains($0) }, "seconds of warm-up: 0 to 3,600")
    try check((0.001...0.5).contains(measuring.resolution), "--resolution: 0.001 to 0.5")
    try check((0...100_000_000).contains(measuring.fill), "--fill: 0 to 100,000,000")
    try check(measuring.hashSeed <= UInt64(Int.max), "--hash-seed: at most \(Int.max)")
  }

  private var plan: RackPlan {
    var plan = RackPlan()
    (plan.servers, plan.capacity, plan.keys) = (servers, capacity, keys)
    if let profile {
      plan.use(profile)
    } else {
      plan.mix = OperationMix(readShare: readRatio ?? writeRatio.map { 1 - $0 } ?? 1)
      if let valueLength { plan.valueLengths = .fixed(valueLength) }
    }
    if let alpha = uniform ? 0 : alpha { plan.alpha = alpha }
    plan.mode = mode
    plan.copies = copies
    (plan.policies, plan.p99Limit) = (policies, p99Limit)
    (plan.seconds, plan.warmUp) = (measuring.seconds, measuring.warmUp)
    (plan.probeSeconds, plan.probeWarmUp) = (measuring.probeSeconds, measuring.probeWarmUp)
    (plan.resolution, plan.fill) = (measuring.resolution, measuring.fill)
    plan.countsLate = !measuring.ignoreLate
    (plan.seed, plan.hashSeed) = (measuring.seed, measuring.hashSeed)
    return plan
  }

  func run() throws {
    try reportingFailure("bench rack") {
      try report.check(benchmark: "rack")
      let interruption = Interruption()
      defer { interruption.cancel() }
      let line = ProgressLine()
      defer { line.clear() }
      let result = try RackBench(plan, interruption: interruption) { line.show($0) }.run()
      line.clear()
      try report.publish(
        benchmark: "rack", result, text: result.text, tables: [result.table],
        remarks: result.remarks, plot: result.plot, to: drawing)
      for failure in result.failures { standardError("hotrack bench rack: \(failure)") }
      if result.failures.contains(where: { !$0.wasDisturbed }) { throw ExitCode(1) }
      if !result.failures.isEmpty { throw ExitCode(3) }
      if result.results.contains(where: { !$0.isValid }) {
        standardError(
          "hotrack bench rack: this machine was too busy with other things for a latency to count; "
            + "repeat it with less else running, or a smaller --capacity")
        throw ExitCode(3)
      }
    }
  }
}

private func directoryMode(_ name: String) throws -> DirectoryMode {
  guard let mode = DirectoryMode(rawValue: name) else {
    throw ValidationError("there is no mode '\(name)'; choose switch or one-arm")
  }
  return mode
}
