import ArgumentParser
import Bench
import Foundation
import Testbed

/// `hotrack bench forwarder`: the XDP program against forwarding in user space.
struct BenchForwarderCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "forwarder",
    abstract: "Measure request and reply through the directory, and through user space.",
    discussion: """
      A client keeps a window of requests under way to real servers, in network namespaces. Their \
      datagrams pass the XDP program; or, in a second testbed, a user-space forwarder with the same \
      decision code, which sends and receives up to 64 in one system call. Rounds take turns; \
      medians count. forwarder_joining also joins what it sends to one receiver (UDP_SEGMENT).

      Needs root. Exit codes: 0 measured, 1 it could not be, 64 usage.
      """)

  @Option(help: "Servers, 1 to 32.")
  var servers = ForwarderBench.Settings().servers

  @Option(help: "Keys; all are stored before the first round.")
  var keys = ForwarderBench.Settings().keys

  @Option(help: "Bytes of a value, 1 to 1024.")
  var valueLength = ForwarderBench.Settings().valueLength

  @Option(help: "Sockets of the client, 1 to 64.")
  var sockets = ForwarderBench.Settings().sockets

  @Option(help: "Requests under way on each socket: 1, 2, 4 ... 64.")
  var window = ForwarderBench.Settings().window

  @Option(help: "Rounds of each system and operation; medians count.")
  var rounds = ForwarderBench.Settings().rounds

  @Option(help: "Seconds of a round.")
  var seconds = ForwarderBench.Settings().seconds

  @OptionGroup(title: "Reporting")
  var report: BenchReportOptions

  func validate() throws {
    guard (1...32).contains(servers), (1...10_000_000).contains(keys),
      (1...1_024).contains(valueLength), (1...64).contains(sockets),
      [1, 2, 4, 8, 16, 32, 64].contains(window), (1...1_000).contains(rounds),
      (0.05...600).contains(seconds)
    else {
      throw ValidationError(
        "--servers must be 1 to 32, --keys 1 to 10000000, --value-length 1 to 1024, --sockets 1 to "
          + "64, --window a power of two up to 64, --rounds 1 to 1000, --seconds 0.05 to 600")
    }
  }

  func run() throws {
    try reportingFailure("bench forwarder") {
      try report.check(benchmark: "forwarder")
      var settings = ForwarderBench.Settings()
      (settings.servers, settings.keys, settings.valueLength) = (servers, keys, valueLength)
      (settings.sockets, settings.window) = (sockets, window)
      (settings.rounds, settings.seconds) = (rounds, seconds)
      let interruption = Interruption()
      defer { interruption.cancel() }
      let line = ProgressLine()
      defer { line.clear() }
      let measured = try ForwarderBench(settings, interruption: interruption) {
        line.show($0)
      }.run()
      line.clear()
      let table = MarkdownTable(
        [
          .words("through"), .words("operation"), "ops/s", "p50 us", "p99 us", "errors",
          "directory / this",
        ],
        rows: measured.results.map { result in
          [
            result.system.rawValue, result.operation.rawValue,
            Figures.count(result.operationsPerSecond),
            Figures.count(result.medianMicroseconds), Figures.count(result.p99Microseconds),
            Figures.fixed(result.errorShare * 100, 3) + " %",
            Figures.fixed(result.directoryRatio, 2),
          ]
        })
      let remarks = Figures.repeatedRounds(measured.results.reduce(0) { $0 + $1.roundsRepeated })
      try report.publish(
        benchmark: "forwarder", measured, text: ([table.text] + remarks).joined(separator: "\n\n"),
        tables: [table], remarks: remarks)
    }
  }
}
