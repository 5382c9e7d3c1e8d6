import ArgumentParser
import Foundation
import LoadGenerator
import Sockets
import Wire
import Workload

/// `hotrack load`: puts load on a rack and measures it, or records a history of it.
struct LoadCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "load",
    abstract: "Put load on a rack and measure it, or record a history for `hotrack check`.",
    discussion: """
      Operations arrive at random moments (Poisson) at the given rate, whether or not the rack keeps \
      up; the latency of each counts from the moment it was due. What is refused with busy or never \
      answered counts as beyond any limit.

      With --history, clients instead do one operation after the other, retry what got lost, and \
      write down what they asked and were told.

      Exit codes: 0 measured, 1 the rack did not answer or a file could not be written, 3 measured \
      while this machine was too busy for it to count.
      """)

  @OptionGroup var rack: RackOptions

  @Option(help: "The seed of keys, kinds and arrivals: the same seed, the same load.")
  var loadSeed: UInt64 = 1

  @Option(help: "Number of keys, 1 to 100,000,000. Default: 1,000,000; with --history, 16.")
  var keys: Int?

  @Option(
    name: [.customLong("zipf"), .customLong("alpha")],
    help: """
      Skew of their popularity after Zipf, 0 to 3. Default: 1.2, or the profile's; with --history, 0.
      """)
  var zipf: Double?

  @Option(
    name: [.customLong("read-share"), .customLong("read-ratio")],
    help: "Share of reads, 0 to 1. Default: 1; with --history, 0.6.")
  var readShare: Double?

  @Option(help: "Share of deletes, 0 to 1. Default: 0; with --history, 0.05. The rest are writes.")
  var deleteShare: Double?

  @Option(
    help: """
      Operations per second. Default: 10,000; with --history it is a bound, by default none.
      """)
  var rate: Double?

  @Option(help: "Seconds to measure. Default: 10; with --history, until --operations are done.")
  var duration: Double?

  @Flag(help: "Print the result as one JSON object, and no live display.")
  var json = false

  @OptionGroup(title: "Workload")
  var workload: WorkloadOptions

  @OptionGroup(title: "Measuring")
  var measuring: MeasuringOptions

  @OptionGroup(title: "Recording a history")
  var recording: RecordingOptions

  struct MeasuringOptions: ParsableArguments {
    @Option(help: "Seconds of load before measuring begins.")
    var warmUp = 1.0

    @Option(help: "Write values of so many of the most popular keys first.")
    var fill = 1_000

    @Option(help: "Milliseconds after which an answer counts as too late.")
    var limit = 50.0

    @Option(help: "Milliseconds after which an operation counts as lost.")
    var timeout = 1_000.0
  }

  struct RecordingOptions: ParsableArguments {
    @Option(
      help: ArgumentHelp("Record a history to this file, as JSON lines.", valueName: "file"))
    var history: String?

    @Option(help: "Operations to record.")
    var operations = 200_000

    @Option(help: "Clients, each with one operation under way.")
    var clients = 32

    @Option(
      help: """
        Number of the first client. Give processes whose histories are checked together different \
        clients, and the same --key-prefix.
        """)
    var firstClient = 0

    @Flag(
      help: """
        Each client keeps to one key, so that those who wait for a key which is not served take \
        nothing from the others. Needs --rate.
        """)
    var bindClients = false

    @Option(
      help: """
        What key names begin with. Default: new for each run, since a history begins with keys that \
        do not exist.
        """)
    var keyPrefix: String?
  }

  private var isHistory: Bool { recording.history != nil }

  func validate() throws {
    func check(_ holds: Bool, _ rule: String) throws {
      guard holds else { throw ValidationError(rule) }
    }
    try check((1...ZipfDistribution.countMax).contains(keyCount), "--keys: 1 to 100,000,000")
    try check((0...ZipfDistribution.alphaMax).contains(alpha), "--zipf: 0 to 3")
    try check(
      (0...1).contains(reads) && (0...1).contains(deletes) && reads + deletes <= 1,
      "--read-share and --delete-share: 0 to 1, together at most 1")
    try check((rate ?? 1) > 0 && (rate ?? 1) <= 10_000_000, "--rate: above 0, at most 10,000,000")
    try check(
      (duration ?? 1) > 0 && (duration ?? 1) <= 1_000_000, "--duration: above 0, in seconds")
    try check((0...1_000).contains(measuring.warmUp), "--warm-up: 0 to 1,000 seconds")
    try check(
      !isHistory || !workload.isUsed,
      "--history: not with options of the workload, such as --profile or --change")
    try check(
      !workload.isNamed || (readShare == nil && deleteShare == nil),
      "--read-share and --delete-share: not with --ycsb or --profile, which say them")
    if !isHistory {
      let profile = try profile()
      _ = try workload.schedule(keyCount: keyCount, order: profile.order)
    }
    try check(measuring.fill >= 0, "--fill: 0 or more")
    try check(
      measuring.limit > 0 && measuring.limit <= measuring.timeout && measuring.timeout <= 60_000,
      "--limit and --timeout: above 0, the limit within the timeout, at most 60,000 ms")
    try check(recording.operations > 0, "--operations: 1 or more")
    try check((1...10_000).contains(recording.clients), "--clients: 1 to 10,000")
    try check(
      (0...1_000_000_000).contains(recording.firstClient), "--first-client: 0 to 1,000,000,000")
    try check(
      !recording.bindClients || rate != nil && recording.clients >= keyCount,
      "--bind-clients: with --rate, and as many --clients as --keys or more")
    let prefix = recording.keyPrefix?.utf8.count ?? 1
    try check((1...200).contains(prefix), "--key-prefix: 1 to 200 bytes")
  }

  private var keyCount: Int { keys ?? (isHistory ? 16 : 1_000_000) }
  private var alpha: Double { zipf ?? (isHistory ? 0 : 1.2) }
  private var reads: Double { readShare ?? (isHistory ? 0.6 : 1 - (deleteShare ?? 0)) }
  private var deletes: Double { deleteShare ?? (isHistory ? min(0.05, 1 - reads) : 0) }

  func run() throws {
    do {
      if let path = recording.history { try record(to: path) } else { try measure() }
    } catch let error as LoadError {
      FileHandle.standardError.write(Data("hotrack load: \(error)\n".utf8))
      throw ExitCode(1)
    }
  }

  // MARK: Measuring

  private func profile() throws -> WorkloadProfile {
    try workload.resolve(
      keyCount: keyCount, alpha: zipf, mix: OperationMix(readShare: reads, deleteShare: deletes))
  }

  private func measure() throws {
    let profile = try profile()
    var load = LoadConfiguration(
      rack: try rack.endpoint(), profile: profile, keyCount: keyCount)
    load.hashSeed = rack.seed
    load.seed = loadSeed
    load.rate = rate ?? 10_000
    load.duration = nanoseconds(duration ?? 10)
    load.warmUp = nanoseconds(measuring.warmUp)
    load.changes = try workload.schedule(keyCount: keyCount, order: profile.order)
    load.fill = measuring.fill
    load.limit = nanoseconds(measuring.limit / 1e3)
    load.timeout = nanoseconds(measuring.timeout / 1e3)
    let line = LiveLine(isOn: !json)
    let stop = LoadStop()
    let report = try withInterruption(stop) {
      try OpenLoad(load, stop: stop).run { line.show(Self.text($0)) }
    }
    line.clear()
    if json {
      let described = WorkloadDescription(profile: profile, keys: keyCount)
      try printJSON(MeasuredLoad(report: report, workload: described))
    } else {
      if workload.isNamed { print(LoadText.of(profile, keys: keyCount)) }
      print(LoadText.of(report))
    }
    if report.completed == 0 { throw LoadError.nothingCompleted(load.rack) }
    if !report.isValid { throw ExitCode(3) }
  }

  private static func text(_ progress: LoadProgress) -> String {
    let p99 = progress.p99.map { LoadText.time(Double($0) / 1e3) } ?? "never"
    return """
      \(LoadText.fixed(progress.elapsed, 0)) s  \(progress.phase.rawValue)  \
      \(LoadText.count(progress.completedPerSecond)) ops/s  p99 \(p99)  \
      busy \(progress.busy)  lost \(progress.lost)
      """
  }

  // MARK: Recording

  private func record(to path: String) throws {
    let prefix =
      recording.keyPrefix ?? "h" + String(UInt64(Date().timeIntervalSince1970 * 1e3), radix: 36)
      + "-"
    var history = HistoryConfiguration(
      rack: try rack.endpoint(), keyCount: keyCount, alpha: alpha, keyPrefix: prefix)
    history.hashSeed = rack.seed
    history.seed = loadSeed
    history.clients = recording.clients
    history.firstClient = recording.firstClient
    history.operations = recording.operations
    history.duration = duration.map(nanoseconds)
    history.rateMax = rate
    history.bindsClients = recording.bindClients
    history.mix = OperationMix(readShare: reads, deleteShare: deletes)
    let line = LiveLine(isOn: !json)
    let stop = LoadStop()
    let report = try withInterruption(stop) {
      try HistoryRecorder(history, path: path, stop: stop).run {
        line.show("\(LoadText.count(Double($0.operations))) operations, \($0.unknown) unknown")
      }
    }
    line.clear()
    if json { try printJSON(report) } else { print(LoadText.of(report, path: path)) }
  }

  // MARK: Shared

  private func nanoseconds(_ seconds: Double) -> UInt64 { UInt64(seconds * 1e9) }

  private func printJSON(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    print(String(decoding: try encoder.encode(value), as: UTF8.self))
  }

  /// The first Ctrl-C (or SIGTERM) ends the run with what was measured until then.
  private func withInterruption<Result>(_ stop: LoadStop, _ body: () throws -> Result) rethrows
    -> Result
  {
    let sources = [SIGINT, SIGTERM].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler {
        stop.stop()
        signal(number, SIG_DFL)
      }
      source.resume()
      return source
    }
    defer { for source in sources { source.cancel() } }
    return try body()
  }
}

/// One line on a terminal's standard error that is written over; nothing where that is no terminal.
private struct LiveLine {
  let isOn: Bool

  init(isOn: Bool) { self.isOn = isOn && isatty(STDERR_FILENO) == 1 }

  func show(_ text: String) {
    if isOn { FileHandle.standardError.write(Data("\r\u{1b}[2K\(text)".utf8)) }
  }

  func clear() {
    if isOn { FileHandle.standardError.write(Data("\r\u{1b}[2K".utf8)) }
  }
}
