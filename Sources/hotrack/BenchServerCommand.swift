import ArgumentParser
import Bench
import Foundation

/// `hotrack bench server`: one storage server beside memcached.
struct BenchServerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "server",
    abstract: "Measure one storage server beside memcached over UDP, or a durable one beside it.",
    discussion: """
      Operations per second, and per second of processor time of the server's process, in rounds \
      that take turns between both; medians count. Both get the same keys, values, sockets and \
      window from the same load, on loopback, and run on one processor; the load has another. \
      Answers are checked; more than 1 in 1,000 wrong or lost is an error.

      With --engine rocksdb a durable server is measured beside one in memory. Its data is in --data \
      meanwhile; that should be on the disk that is meant, since each answer waits for a sync.

      Needs memcached (apt-get install memcached), no root. Exit codes: 0 measured, 1 it could not \
      be, 64 usage.
      """)

  @Option(help: "Keys; all are stored before the first round.")
  var keys = ServerBench.Settings().keys

  @Option(help: "Bytes of a key, 9 to 250.")
  var keyLength = ServerBench.Settings().keyLength

  @Option(help: "Bytes of a value, 1 to 1024.")
  var valueLength = ServerBench.Settings().valueLength

  @Option(help: "Sockets of the load, 1 to 64.")
  var sockets = ServerBench.Settings().sockets

  @Option(help: "Requests under way on each socket: 1, 2, 4 ... 64.")
  var window = ServerBench.Settings().window

  @Option(help: "Rounds of each system and operation; medians count.")
  var rounds = ServerBench.Settings().rounds

  @Option(help: "Seconds of a round.")
  var seconds = ServerBench.Settings().seconds

  @Option(help: "memory: beside memcached. rocksdb: beside memory.")
  var engine = EngineName.memory

  @Option(help: ArgumentHelp("For rocksdb: a directory on the disk to measure.", valueName: "dir"))
  var data = "/var/tmp"

  @OptionGroup(title: "Reporting")
  var report: BenchReportOptions

  func validate() throws {
    guard (1...10_000_000).contains(keys), (9...250).contains(keyLength),
      (1...1_024).contains(valueLength), (1...64).contains(sockets),
      [1, 2, 4, 8, 16, 32, 64].contains(window), (1...1_000).contains(rounds),
      (0.05...600).contains(seconds)
    else {
      throw ValidationError(
        "--keys must be 1 to 10000000, --key-length 9 to 250, --value-length 1 to 1024, "
          + "--sockets 1 to 64, --window a power of two up to 64, --rounds 1 to 1000, "
          + "--seconds 0.05 to 600")
    }
  }

  func run() throws {
    var settings = ServerBench.Settings()
    (settings.keys, settings.keyLength, settings.valueLength) = (keys, keyLength, valueLength)
    (settings.sockets, settings.window) = (sockets, window)
    (settings.rounds, settings.seconds) = (rounds, seconds)
    settings.data = engine == .rocksdb ? data : nil
    let name = engine == .rocksdb ? "server-durable" : "server"
    try reportingFailure("bench server") {
      try report.check(benchmark: name)
      let line = ProgressLine()
      defer { line.clear() }
      let measured = try ServerBench(settings).run { line.show($0) }
      line.clear()
      let pair = engine == .rocksdb ? "rocksdb / memory" : "hotrack / memcached"
      let tables = [Self.table(measured.results), Self.table(measured.ratios, of: pair)]
      let remarks =
        [
          "Equal: " + measured.equal.joined(separator: "; ") + ".",
          "Not equal: " + measured.different.joined(separator: "; ") + ".",
        ] + (measured.memcached.map { ["\($0)."] } ?? [])
        + Figures.repeatedRounds(measured.results.reduce(0) { $0 + $1.roundsRepeated })
      try report.publish(
        benchmark: name, measured,
        text: (tables.map(\.text) + [remarks.joined(separator: "\n")]).joined(separator: "\n\n"),
        tables: tables, remarks: remarks)
    }
  }

  private static func table(_ results: [ServerBench.Result]) -> MarkdownTable {
    MarkdownTable(
      [
        .words("system"), .words("operation"), "ops/s", "ops/CPU-s", "server CPU", "p50 us",
        "p99 us", "errors",
      ],
      rows: results.map { result in
        [
          result.system.rawValue, result.operation.rawValue,
          String(format: "%.0f", result.operationsPerSecond),
          String(format: "%.0f", result.operationsPerProcessorSecond),
          String(format: "%.0f %%", result.serverProcessorShare * 100),
          String(format: "%.0f", result.medianMicroseconds),
          String(format: "%.0f", result.p99Microseconds),
          String(format: "%.3f %%", result.errorShare * 100),
        ]
      })
  }

  private static func table(_ ratios: [ServerBench.Ratio], of pair: String) -> MarkdownTable {
    MarkdownTable(
      [.words(pair), "per second", "per CPU second"],
      rows: ratios.map { ratio in
        [
          ratio.operation.rawValue, String(format: "%.2f", ratio.perSecond),
          String(format: "%.2f", ratio.perProcessorSecond),
        ]
      })
  }
}
