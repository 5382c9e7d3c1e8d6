import Foundation
import LoadGenerator
import Workload

/// Results of load, for people to read.
enum LoadText {
  static func of(_ report: LoadReport) -> String {
    var lines = [
      "completed  \(count(report.completedPerSecond)) ops/s of \(count(report.offeredPerSecond)) "
        + "offered, over \(fixed(report.duration, 1)) s",
      "latency    p50 \(time(report.p50Microseconds))   p99 \(time(report.p99Microseconds))   "
        + "p99.9 \(time(report.p999Microseconds))",
      "beyond \(time(report.limitMicroseconds))  \(fixed(report.beyondLimitShare * 100, 2)) %"
        + " (\(report.beyondLimit) operations: \(report.busy) busy, \(report.timedOut) lost, "
        + "\(report.failed) refused, \(report.notSent) not sent, the rest late)",
    ]
    if let first = report.changes.first, let last = report.changes.last {
      lines.append(
        "popularity changed \(report.changes.count) times: \(first.change) at "
          + "\(fixed(first.secondsDue, 3)) s, the last one at \(fixed(last.secondsDue, 3)) s")
    }
    if !report.servers.isEmpty {
      lines.append("")
      lines.append("server       ops/s   share     busy")
    }
    for server in report.servers {
      let share = 100 * Double(server.completed) / Double(max(report.completed, 1))
      lines.append(
        pad("\(server.server)", 6) + pad(count(server.completedPerSecond), 12)
          + pad(fixed(share, 1) + " %", 8) + pad("\(server.busy)", 9) + "  "
          + bar(Double(server.completed), most: report.servers.map(\.completed).max() ?? 0))
    }
    lines.append("")
    lines.append(
      "\(report.isValid ? "valid" : "NOT VALID, the machine was too busy; measure again"): sent "
        + "\(time(report.sendLagP99Microseconds)) late, servers "
        + "\(time(report.serverLatenessP99Microseconds)) late (both p99)")
    return lines.joined(separator: "\n")
  }

  /// What was put on the rack, and how that differs from what it is called after.
  static func of(_ profile: WorkloadProfile, keys: Int) -> String {
    let alpha = profile.alpha.map { "alpha \($0)" } ?? "no alpha"
    return """
      workload   \(profile.name): \(of(profile.mix)); \(count(Double(keys))) keys of \
      \(profile.keyLength) bytes, values of \(of(profile.valueLengths)); \(alpha)
      source     \(profile.source)
      mapping    \(profile.notes.joined(separator: ";\n           "))

      """
  }

  /// As in "95 % reads, 5 % inserts".
  static func of(_ mix: OperationMix) -> String {
    let shares = [
      (mix.readShare, "reads"), (mix.writeShare, "writes"), (mix.deleteShare, "deletes"),
      (mix.insertShare, "inserts"), (mix.readModifyWriteShare, "read-modify-writes"),
    ]
    return shares.filter { $0.0 > 1e-9 }.map { share, name in
      let percent = share * 100
      return fixed(percent, abs(percent - percent.rounded()) < 0.05 ? 0 : 1) + " % " + name
    }.joined(separator: ", ")
  }

  /// As in "64", or "16-256".
  static func of(_ lengths: ValueLengths) -> String {
    switch lengths {
    case .fixed(let length): "\(length)"
    case .uniform(let range): "\(range.lowerBound)-\(range.upperBound)"
    }
  }

  static func of(_ report: HistoryReport, path: String) -> String {
    """
    recorded \(report.operations) operations in \(fixed(report.duration, 1)) s \
    (\(count(report.operationsPerSecond)) ops/s): \(report.gets) gets, \(report.sets) sets, \
    \(report.deletes) deletes
    outcomes: \(report.ok) ok, \(report.notFound) not found, \(report.unknown) unknown \
    (\(report.ambiguous) ambiguous), \(report.failed) failed (\(report.lost) lost)
    check it with: hotrack check \(path)
    """
  }

  /// A latency; nil: that of an operation without an answer.
  static func time(_ microseconds: Double?) -> String {
    guard let microseconds else { return "never" }
    if microseconds < 1_000 { return fixed(microseconds, 0) + " µs" }
    return microseconds < 1e6
      ? fixed(microseconds / 1e3, microseconds < 1e4 ? 2 : 1) + " ms"
      : fixed(microseconds / 1e6, 2) + " s"
  }

  /// A whole number with a comma between thousands.
  static func count(_ value: Double) -> String {
    var text = ""
    for (index, digit) in String(Int(value.rounded())).reversed().enumerated() {
      if index > 0, index % 3 == 0 { text.append(",") }
      text.append(digit)
    }
    return String(text.reversed())
  }

  static func fixed(_ value: Double, _ digits: Int) -> String {
    String(format: "%.\(digits)f", value)
  }

  static func pad(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(width - text.count, 0)) + text
  }

  private static func bar(_ value: Double, most: UInt64) -> String {
    String(repeating: "█", count: most > 0 ? Int((30 * value / Double(most)).rounded()) : 0)
  }
}
