/// One moment of the demonstration, as it is drawn.
struct DemoFrame: Equatable {
  struct Server: Equatable {
    var number: Int
    /// Requests and copies that are sent to it, per second.
    var asked: Double
  }

  struct Key: Equatable {
    var key: String
    var rate: Double
    /// Of all requests, 0...1.
    var share: Double
    /// Numbers of the servers that hold its newest version.
    var replicas: [Int]
  }

  var plan: DemoPlan
  var policy: DemoPolicy
  /// `warming up`, `measuring`...
  var phase: String
  /// Seconds since the load began, of how many.
  var elapsed: Double
  var duration: Double
  var completedPerSecond: Double
  /// Refused, lost and not sent.
  var unansweredPerSecond: Double
  /// Nanoseconds; nil: one in a hundred had no answer.
  var p99: UInt64?
  var servers: [Server]
  var hotKeys: Int
  /// The hottest first.
  var keys: [Key]
}

/// Draws frames: pure.
enum DemoText {
  static let width = 80
  static let height = 24
  private static let keysShown = 5
  private static let serversShown = 8
  private static let barWidth = 40

  /// A whole screen, at most 80 columns and 24 lines.
  static func screen(_ frame: DemoFrame, color: Bool) -> [String] {
    var lines = frame.plan.title + [heading(frame, color: color)]
    lines.append(
      "completed \(pad(Text.count(frame.completedPerSecond), 6)) ops/s   "
        + "without answer \(pad(Text.count(frame.unansweredPerSecond), 5)) /s   "
        + "p99 \(Text.time(frame.p99))")
    lines.append(
      "server" + pad("asked", 7) + "  " + "0".padded(to: barWidth / 2 - 3) + "100 %"
        + pad("200 %", barWidth / 2 - 2))
    let shown = shownServers(frame)
    lines += shown.map { serverLine($0, capacity: Double(frame.plan.capacity), color: color) }
    if shown.count < frame.servers.count {
      lines.append("  (the \(shown.count) busiest of \(frame.servers.count))")
    }
    lines.append("")
    lines += keyLines(frame)
    return lines
  }

  /// A few lines for a pipe.
  static func block(_ frame: DemoFrame) -> [String] {
    let capacity = Double(frame.plan.capacity)
    let loads = shownServers(frame).map { server in
      "\(server.number):\(percent(server.asked / capacity))"
        + (server.asked > capacity ? "!" : "")
    }
    let keys = frame.keys.prefix(3).map { "\($0.key) at \(Text.runs($0.replicas))" }
    let more = frame.hotKeys > keys.count ? ", ..." : ""
    return [
      "\(frame.policy.rawValue), \(progress(frame)): "
        + "\(Text.count(frame.completedPerSecond)) ops/s, "
        + "\(Text.count(frame.unansweredPerSecond))/s without answer, p99 \(Text.time(frame.p99))",
      "  load  " + loads.joined(separator: "  "),
      "  hot   \(frame.hotKeys)"
        + (keys.isEmpty ? "" : ": " + keys.joined(separator: ", ") + more),
    ]
  }

  private static func heading(_ frame: DemoFrame, color: Bool) -> String {
    let step = frame.policy == .plainHashing ? 1 : 2
    return "\(step) of 2  " + style(frame.policy.rawValue.uppercased(), "1", color)
      + "   \(progress(frame))"
  }

  private static func progress(_ frame: DemoFrame) -> String {
    "\(frame.phase) \(Int(min(frame.elapsed, frame.duration)))/\(Int(frame.duration)) s"
  }

  private static func shownServers(_ frame: DemoFrame) -> [DemoFrame.Server] {
    guard frame.servers.count > serversShown else { return frame.servers }
    return Array(
      frame.servers.sorted { ($1.asked, $0.number) < ($0.asked, $1.number) }.prefix(serversShown))
  }

  /// A bar whose middle is the server's capacity.
  private static func serverLine(
    _ server: DemoFrame.Server, capacity: Double, color: Bool
  ) -> String {
    let half = barWidth / 2
    let cells = min(barWidth, max(0, Int((server.asked / capacity * Double(half)).rounded())))
    let isOver = server.asked > capacity
    let within = String(repeating: "█", count: min(cells, half))
    let beyond = String(repeating: "▓", count: max(0, cells - half))
    let limit = cells < half ? String(repeating: " ", count: half - cells) + "|" : ""
    let bar = style(within, isOver ? "33" : "32", color) + style(beyond, "31", color) + limit
    let used = max(cells, half) + (cells < half ? 1 : 0)
    let mark = isOver ? style("OVERLOADED", "1;31", color) : ""
    let line =
      pad("\(server.number)", 6) + pad(Text.count(server.asked), 7) + "  " + bar
      + (mark.isEmpty ? "" : String(repeating: " ", count: barWidth + 2 - used) + mark)
    return line
  }

  private static func keyLines(_ frame: DemoFrame) -> [String] {
    guard !frame.keys.isEmpty else {
      return [
        frame.policy == .plainHashing
          ? "no hot keys: every key is served by its home server alone" : "no hot keys yet"
      ]
    }
    let shown = min(keysShown, frame.keys.count)
    return [
      "hot keys: \(frame.hotKeys)" + (shown < frame.hotKeys ? ", the hottest:" : ""),
      "key".padded(to: 16) + pad("ops/s", 7) + pad("share", 8)
        + "  servers with the newest version",
    ]
      + frame.keys.prefix(keysShown).map { key in
        String(key.key.prefix(15)).padded(to: 16) + pad(Text.count(key.rate), 7)
          + pad(percent(key.share), 8) + "  " + Text.runs(key.replicas)
      }
  }

  private static func percent(_ share: Double) -> String { Text.fixed(share * 100, 0) + " %" }

  private static func style(_ text: String, _ code: String, _ color: Bool) -> String {
    color && !text.isEmpty ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text
  }

  private static func pad(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }
}
