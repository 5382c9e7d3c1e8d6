import ArgumentParser
import Bench
import Foundation

/// `hotrack bench dataplane`: what the XDP program costs per packet.
struct BenchDataplaneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dataplane",
    abstract: "Measure what the XDP program costs per packet.",
    discussion: """
      CPU time of BPF_PROG_TEST_RUN per packet, the least of several rounds. Every packet is made \
      anew by the same small program, which then goes on to the data plane or to a baseline: an \
      empty program, and one that parses Ethernet, IPv4 and UDP and swaps addresses and ports. \
      Packets go through --keys keys in turn. Every feature is on. Then live frames over two veth \
      hops, through the data plane and through a program that only redirects. Needs root; its \
      interfaces are in a network namespace of its own.

      With --guards, instead: what the rack tag and the rate limit cost, in the same packets through \
      data planes with and without them, in turn.
      """)

  /// Those that the table of `cases` is for.
  static let mainKeys = 4_096

  @Option(help: "Packets in a round; from 1,000 to 1,000,000,000.")
  var packets = 200_000

  @Option(help: "Rounds; the best counts.")
  var rounds = 20

  @Option(
    parsing: .upToNextOption,
    help: "Numbers of keys to measure with, beside 4,096: powers of two up to 4,194,304.")
  var keys = [64, 65_536, 1_048_576]

  @Flag(help: "Measure what the rack tag and the rate limit cost, with 4,096 keys.")
  var guards = false

  @OptionGroup(title: "Reporting")
  var report: BenchReportOptions

  func validate() throws {
    guard (1_000...1_000_000_000).contains(packets), rounds >= 1 else {
      throw ValidationError(
        "--packets must be from 1,000 to 1,000,000,000 and --rounds at least 1.")
    }
    guard keys.allSatisfy({ $0 > 0 && $0 <= 1 << 22 && $0 & ($0 - 1) == 0 }) else {
      throw ValidationError("--keys takes powers of two up to 4194304.")
    }
  }

  private struct Report: Encodable {
    var keys: Int
    var cases: [DataPlaneCost]
    var sizes: [DataPlaneCosts]
    var live: LiveRates
  }

  private func runGuards() throws {
    try reportingFailure("bench dataplane") {
      try report.check(benchmark: "dataplane-guards")
      let line = ProgressLine()
      defer { line.clear() }
      let costs = try GuardBench(packetsPerRound: packets, rounds: rounds).run(
        keys: Self.mainKeys
      ) { line.show("round \($0) of \(rounds)") }
      line.clear()
      let table = Self.table(costs)
      try report.publish(
        benchmark: "dataplane-guards", ["cases": costs], text: table.text, tables: [table])
    }
  }

  private static func table(_ costs: [GuardCost]) -> MarkdownTable {
    MarkdownTable(
      [
        .words("ns over parse and swap, \(mainKeys) keys"), "plain", "with a key", "the tag",
        "ratio", "second key", "with a limit", "the limit", "ratio",
      ],
      rows: costs.map { cost in
        func ratio(_ guarded: Double) -> String {
          // Of what costs next to nothing a ratio says nothing.
          cost.plain < 5 ? "-" : String(format: "%.2f", guarded / cost.plain)
        }
        func nanoseconds(_ time: Double) -> String { String(format: "%.1f", time) }
        return [
          cost.name, nanoseconds(cost.plain), nanoseconds(cost.tagged),
          nanoseconds(cost.tagged - cost.plain), ratio(cost.tagged),
          nanoseconds(cost.taggedUnderSecond), nanoseconds(cost.limited),
          nanoseconds(cost.limited - cost.plain), ratio(cost.limited),
        ]
      })
  }

  func run() throws {
    guard !guards else { return try runGuards() }
    try reportingFailure("bench dataplane") {
      try report.check(benchmark: "dataplane")
      let line = ProgressLine()
      defer { line.clear() }
      var sizes: [DataPlaneCosts] = []
      for count in Set(keys).union([Self.mainKeys]).sorted() {
        let bench = DataPlaneBench(packetsPerRound: packets, rounds: rounds)
        sizes.append(
          try bench.run(keys: count) { round in
            line.show("\(count) keys: round \(round) of \(rounds)")
          })
      }
      let live = try LiveBench(rounds: rounds, keys: Self.mainKeys).run { round in
        line.show("live frames: round \(round) of \(rounds)")
      }
      line.clear()
      guard let main = sizes.first(where: { $0.keys == Self.mainKeys }) else { return }
      let tables = [Self.table(main), Self.table(sizes), Self.table(live)]
      try report.publish(
        benchmark: "dataplane",
        Report(keys: main.keys, cases: main.cases, sizes: sizes, live: live),
        text: """
          \(tables[0].text)

          Over parsing and swapping, by number of keys
          \(tables[1].text)

          Live frames over two veth hops, hot reads
          \(tables[2].text)
          """, tables: tables)
    }
  }

  private static func table(_ costs: DataPlaneCosts) -> MarkdownTable {
    MarkdownTable(
      [
        .words("packet, \(costs.keys) keys"), "ns", "over empty", "over parse and swap", "median",
      ],
      rows: costs.cases.map { cost in
        [cost.name]
          + [
            cost.nanosecondsPerPacket, cost.overEmpty, cost.overParseSwap, cost.medianNanoseconds,
          ].map { String(format: "%.1f", $0) }
      })
  }

  private static func table(_ sizes: [DataPlaneCosts]) -> MarkdownTable {
    MarkdownTable(
      [.words("ns over parse and swap")]
        + sizes.map { MarkdownTable.Column("\($0.keys) keys") },
      rows: DataPlaneBench.names.enumerated().map { index, name in
        [name] + sizes.map { String(format: "%.1f", $0.cases[index].overParseSwap) }
      })
  }

  private static func table(_ live: LiveRates) -> MarkdownTable {
    MarkdownTable(
      [.words("live frames over two veth hops"), "per second", "ratio"],
      rows: [
        [
          "data plane, hot reads", String(format: "%.0f", live.rack),
          String(format: "%.2f", live.ratio),
        ],
        ["bare redirect", String(format: "%.0f", live.bare), "1.00"],
      ])
  }
}
