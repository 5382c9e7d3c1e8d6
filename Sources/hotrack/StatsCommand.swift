import ArgumentParser
import Controller
import Foundation
import TextTables

/// `hotrack stats`: what the data plane has counted.
struct StatsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stats",
    abstract: "Count a rack's packets by what became of them; with --watch also per second.",
    discussion: """
      Packets since the data plane was loaded. `drop_…` were not sent on (docs/packets.md says why \
      each is). Counters that are zero are left out, but for JSON.

      \(ControlOptions.exitCodes)
      """)

  @OptionGroup var control: ControlOptions
  @OptionGroup var watch: WatchOptions

  @Flag(help: "Print one JSON object; with --watch one a line.")
  var json = false

  /// What JSON says.
  struct Stats: Encodable {
    var counters: [String: UInt64]
    /// Per second since the last time; nil: this is the first.
    var rates: [String: Double]?
    var seconds: Double?
  }

  func run() throws {
    try control.reporting("stats") {
      let client = try control.client()
      var before: [String: UInt64] = [:]
      try watch.run(json: json) { seconds in
        let counters = try client.ask(ControlRequest(.counters)).counters ?? [:]
        let stats = Self.stats(counters, before: before, seconds: seconds)
        before = counters
        return try json ? textOfJSON(stats) : Self.table(stats)
      }
    }
  }

  static func stats(
    _ counters: [String: UInt64], before: [String: UInt64], seconds: Double?
  ) -> Stats {
    guard let seconds, seconds > 0 else { return Stats(counters: counters) }
    let rates = counters.map { name, count in
      // After a new data plane was loaded they begin at zero.
      let old = before[name] ?? 0
      return (name, count >= old ? Double(count - old) / seconds : 0)
    }
    return Stats(
      counters: counters, rates: Dictionary(uniqueKeysWithValues: rates), seconds: seconds)
  }

  static func table(_ stats: Stats) -> String {
    let counted = stats.counters.filter { $0.value > 0 }
      .sorted {
        let (a, b) = ($0.key.hasPrefix("drop_"), $1.key.hasPrefix("drop_"))
        return a != b ? b : $0.key < $1.key
      }
    guard !counted.isEmpty else { return "no packet yet" }
    var columns: [TextTable.Column] = [.init("COUNTER"), .init("PACKETS", isNumber: true)]
    if stats.rates != nil { columns.append(.init("PER SECOND", isNumber: true)) }
    return TextTable(columns: columns).text(
      counted.map { name, count in
        [name, TextTables.Numbers.thousands(Double(count))]
          + (stats.rates.map { [TextTables.Numbers.thousands($0[name] ?? 0)] } ?? [])
      }, shrinking: 0, to: 80)
  }
}
