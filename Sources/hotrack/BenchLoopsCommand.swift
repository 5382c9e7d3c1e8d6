import ArgumentParser
import Bench
import Foundation

/// `hotrack bench loops`: what the packet loops cost, against decoding alone.
struct BenchLoopsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "loops",
    abstract: "Measure what a server and the directory do per datagram.",
    discussion: """
      CPU time of one thread, without sockets, the least of several rounds over 4,096 keys; and \
      how much the heap grows. The baseline, of the same run, decodes each datagram's header and \
      does nothing else. directory_* is the host build of the decision code, not the XDP \
      program, and includes restoring the datagram that the last round stamped.
      """)

  @Option(help: "Datagrams in a round; at least 1,000.")
  var datagrams = 200_000

  @Option(help: "Rounds; the best counts.")
  var rounds = 7

  @OptionGroup(title: "Reporting")
  var report: BenchReportOptions

  func validate() throws {
    guard datagrams >= 1_000, rounds >= 1 else {
      throw ValidationError("--datagrams must be at least 1,000 and --rounds at least 1.")
    }
  }

  func run() throws {
    try reportingFailure("bench loops") {
      try report.check(benchmark: "loops")
      let line = ProgressLine()
      defer { line.clear() }
      let results = PacketLoopBench(datagramsPerRound: datagrams, rounds: rounds).run {
        line.show($0)
      }
      line.clear()
      let table = MarkdownTable(
        [.words("case"), "ns/datagram", "ratio to decode", "heap bytes/datagram"],
        rows: results.map { result in
          [
            result.name, String(format: "%.1f", result.nanosecondsPerDatagram),
            String(format: "%.2f", result.ratioToDecode),
            String(format: "%.3f", result.heapBytesPerDatagram),
          ]
        })
      try report.publish(
        benchmark: "loops", ["cases": results], text: table.text, tables: [table])
    }
  }
}
