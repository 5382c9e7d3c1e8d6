import ArgumentParser
import Bench
import Foundation

/// `hotrack bench observe`: how many packets `hotrack observe` takes from a file.
struct BenchObserveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "observe",
    abstract: "Measure how fast and how exactly `hotrack observe` reads captures.",
    discussion: """
      Writes capture files of made-up traffic into the folder for temporary files (about 150 bytes a \
      packet; removed afterwards), of 64 connections that ask for a million keys after Zipf, reads \
      each with libpcap alone and then with `hotrack observe`'s own code, on one thread, and \
      compares the shares of the hundred hottest keys with the truth.
      """)

  @Option(help: "Packets in each file, at least 1,000.")
  var packets = 1_000_000

  @Option(help: "Rounds; the best counts.")
  var rounds = 3

  @Option(help: "Number of keys.")
  var keys = 1_000_000

  @Option(help: "Skew of the keys' popularity after Zipf, 0 to 2.")
  var alpha = 0.99

  @Option(help: "Share of reads, 0 to 1.")
  var readRatio = 0.9

  @OptionGroup(title: "Reporting")
  var report: BenchReportOptions

  func validate() throws {
    guard (1_000...100_000_000).contains(packets), (1...100).contains(rounds) else {
      throw ValidationError("--packets must be at least 1,000 and --rounds 1 to 100.")
    }
    guard (1...100_000_000).contains(keys), (0...2).contains(alpha), (0...1).contains(readRatio)
    else {
      throw ValidationError("--keys: 1 to 100,000,000; --alpha: 0 to 2; --read-ratio: 0 to 1")
    }
  }

  func run() throws {
    try reportingFailure("bench observe") {
      try report.check(benchmark: "observe")
      let line = ProgressLine()
      defer { line.clear() }
      let results = try ObserveBench(
        packets: packets, rounds: rounds, keys: keys, alpha: alpha, readShare: readRatio
      ).run(folder: FileManager.default.temporaryDirectory.path) { line.show($0) }
      line.clear()
      let table = MarkdownTable(
        [
          .words("traffic"), "packets/s", "ns/packet", "of that reading", "requests found",
          "largest error of a share",
        ],
        rows: results.map { result in
          [
            result.traffic.rawValue, String(format: "%.0f", result.packetsPerSecond),
            String(format: "%.0f", result.nanosecondsPerPacket),
            String(format: "%.0f", result.nanosecondsToRead),
            String(format: "%.3f %%", result.found * 100),
            String(format: "%.4f %%", result.largestError * 100),
          ]
        })
      try report.publish(
        benchmark: "observe", ["cases": results], text: table.text, tables: [table])
    }
  }
}
