import Foundation
import Glibc

/// What came of each fault: `dev/run-store-faults` makes a table of it.
enum FaultReport {
  /// Seconds that a fault lasts: short with the other tests, longer for the table.
  static let seconds =
    ProcessInfo.processInfo.environment["HOTRACK_FAULT_SECONDS"].flatMap(Double.init) ?? 0.7

  static var duration: Duration { .milliseconds(Int(seconds * 1_000)) }

  static func note(_ fault: String, _ summary: RecordedLoad.Summary) {
    note(
      fault, acknowledged: summary.acknowledged, lost: summary.isLinearizable ? "none" : "yes",
      unknown: summary.unknown, gap: summary.gap, worstGap: summary.worstGap)
  }

  /// `gap`, `worstGap`: nanoseconds without an answer, to anybody and in the group that fared worst.
  static func note(
    _ fault: String, acknowledged: Int, lost: String, unknown: Int, gap: Int64, worstGap: Int64
  ) {
    guard let path = ProcessInfo.processInfo.environment["HOTRACK_FAULT_REPORT"] else { return }
    let cells = [
      fault, "\(acknowledged)", lost, "\(unknown)", "\(gap / 1_000_000) ms",
      "\(worstGap / 1_000_000) ms",
    ]
    let row = Array("| \(cells.joined(separator: " | ")) |\n".utf8)
    let file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0o644)
    guard file >= 0 else { return }
    _ = write(file, row, row.count)
    close(file)
  }
}
