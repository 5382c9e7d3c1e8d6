internal import Controller
internal import ControllerCore
internal import TextTables
internal import Wire

/// The picture of `hotrack top`: a snapshot goes in, lines come out. Readable from 80 columns and 24
/// lines on; smaller terminals see its beginning.
public enum TopPicture {
  /// `before`: the snapshot `seconds` ago, for rates; nil: there was none.
  public static func lines(
    _ now: TopSnapshot, before: TopSnapshot?, seconds: Double, _ choices: TopChoices,
    width: Int, height: Int
  ) -> [String] {
    if choices.showsHelp { return help.prefix(height).map { cut($0, to: width) } }
    let head = header(now, before, seconds, choices)
    // Half of the rest for servers, a quarter at most for events, and what is left for keys.
    let room = max(0, height - head.count - 3)
    let events = min(now.events.count, max(1, room / 5))
    let serverRows = min(now.servers.count, max(2, (room - events) / 2))
    let keyRows = max(1, room - events - serverRows - 1)
    var lines = head + servers(now.servers, rows: serverRows, choices, width: width)
    lines += [""] + keys(now.keys, rows: keyRows, choices, width: width)
    let newest = now.events.suffix(max(0, min(events, height - lines.count - 1)))
    if !newest.isEmpty { lines += [""] + newest.map { "\(time($0.time))  \($0.text)" } }
    return lines.prefix(height).map { cut($0, to: width) }
  }

  private static let help = [
    "hotrack top", "",
    "q  end", "p  pause, and go on (also the space bar)",
    "k  sort keys by rate, writes, replicas, name",
    "s  sort servers by number, or the busiest first",
    "?  this help, and back", "",
    "SHARE of a server: of the requests and copies that all servers are given.",
    "LOAD: requests that waited there at the last probe.",
    "RATE/S, READS of a key: requests per second, and the share of reads in them.",
    "REPLICAS: servers that hold its newest version; COPIES: servers that each write is copied to.",
  ]

  // MARK: Parts

  private static func header(
    _ now: TopSnapshot, _ before: TopSnapshot?, _ seconds: Double, _ choices: TopChoices
  ) -> [String] {
    let status = now.status
    let state =
      (status.serving ? "serving" : "NOT SERVING") + (status.automatic ? "" : ", by command only")
    let drops = dropRate(now, before, seconds).map { "\(Numbers.short($0))/s" } ?? "-"
    let moves = before.map { old in
      "+\(status.totals.promotions &- old.status.totals.promotions) "
        + "-\(status.totals.demotions &- old.status.totals.demotions)"
    }
    let underWay =
      status.movingSlots
      ? "slots move"
      : status.inTransition > 0
        ? "\(status.inTransition) in transition" : status.quiet ? "quiet" : "waiting"
    return [
      "hotrack top   \(status.rack) at \(status.address)   \(state)   epoch \(status.epoch)"
        + (choices.isPaused ? "   PAUSED" : ""),
      "requests \(Numbers.short(status.rate))/s   dropped \(drops)   "
        + "hot keys \(status.hotKeys) (\(moves ?? "-"))   \(underWay)   "
        + "servers \(status.serversAlive)/\(status.servers)",
      "",
    ]
  }

  /// Nil: not known yet.
  private static func dropRate(
    _ now: TopSnapshot, _ before: TopSnapshot?, _ seconds: Double
  ) -> Double? {
    guard let before, seconds > 0 else { return nil }
    let (new, old) = (drops(now), drops(before))
    return new >= old ? Double(new - old) / seconds : 0
  }

  private static func drops(_ snapshot: TopSnapshot) -> UInt64 {
    snapshot.status.counters.reduce(0) { $1.key.hasPrefix("drop_") ? $0 &+ $1.value : $0 }
  }

  private static func servers(
    _ servers: [ControlServer], rows: Int, _ choices: TopChoices, width: Int
  ) -> [String] {
    let total = servers.reduce(0) { $0 + work($1) }
    let most = servers.map { work($0) }.max() ?? 0
    let shown = (choices.busiestFirst ? servers.sorted { work($0) > work($1) } : servers)
      .prefix(servers.count > rows ? rows - 1 : rows)
    let table = TextTable(columns: [
      .init("NO", isNumber: true), .init("STATE"), .init("LOAD", isNumber: true),
      .init("READS/S", isNumber: true), .init("WRITES/S", isNumber: true),
      .init("COPIES/S", isNumber: true), .init("SHARE", isNumber: true), .init(""),
    ])
    let barWidth = max(8, width - 60)
    var lines = table.lines(
      shown.map { server in
        [
          String(server.number), server.phase.rawValue, String(server.load),
          Numbers.short(server.readRate), Numbers.short(server.writeRate),
          Numbers.short(server.copyRate), total > 0 ? Numbers.percent(work(server) / total) : "-",
          bar(most > 0 ? work(server) / most : 0, barWidth),
        ]
      }, shrinking: 1, to: width)
    if shown.count < servers.count { lines.append("… \(servers.count - shown.count) more servers") }
    return lines
  }

  private static func work(_ server: ControlServer) -> Double {
    server.readRate + server.writeRate + server.copyRate
  }

  private static func keys(
    _ keys: [ControlKey], rows: Int, _ choices: TopChoices, width: Int
  ) -> [String] {
    guard !keys.isEmpty else { return ["no hot keys"] }
    let sorted =
      switch choices.keyOrder {
      case .rate: keys
      case .writes: keys.sorted { $0.rate * (1 - $0.readShare) > $1.rate * (1 - $1.readShare) }
      case .replicas: keys.sorted { $0.replicas.count > $1.replicas.count }
      case .name: keys.sorted { $0.key < $1.key }
      }
    let table = TextTable(columns: [
      .init("KEY"), .init("RATE/S", isNumber: true), .init("SHARE", isNumber: true),
      .init("READS", isNumber: true), .init("MODE"), .init("HOME", isNumber: true),
      .init("REPLICAS"), .init("VERSION", isNumber: true), .init("COPIES", isNumber: true),
    ])
    return table.lines(
      sorted.prefix(rows).map { key in
        [
          key.key, Numbers.short(key.rate), Numbers.percent(key.share),
          Numbers.percent(key.readShare), key.mode.rawValue, String(key.home),
          ControlTables.numbers(key.replicas), ControlTables.version(key.version),
          String(key.copies),
        ]
      }, shrinking: 0, to: width)
  }

  private static func bar(_ part: Double, _ width: Int) -> String {
    String(repeating: "█", count: Int((Double(width) * min(max(part, 0), 1)).rounded()))
  }

  /// The time of day in UTC, of milliseconds since 1970.
  private static func time(_ milliseconds: UInt64) -> String {
    let seconds = milliseconds / 1_000 % 86_400
    return [seconds / 3_600, seconds / 60 % 60, seconds % 60]
      .map { ($0 < 10 ? "0" : "") + String($0) }.joined(separator: ":")
  }

  private static func cut(_ line: String, to width: Int) -> String {
    line.count <= width ? line : line.prefix(max(0, width - 1)) + "…"
  }
}
