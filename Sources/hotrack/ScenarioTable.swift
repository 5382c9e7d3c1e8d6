import Bench
import Testbed

/// What came of several scenarios: a row for each kind of fault in each of them.
struct ScenarioTable {
  private(set) var table = MarkdownTable([
    .words("scenario"), .words("fault"), .words("linearizable"), "operations", "unknown",
    "ambiguous", "failed", "lost", "all keys", "struck server", "hot keys", "worst key",
  ])
  private(set) var isGood = true
  /// What was not as it should be, for people.
  private(set) var remarks: [String] = []

  mutating func add(_ report: ScenarioReport) {
    if !report.isGood { isGood = false }
    let verdict =
      switch report.verdict {
      case .linearizable: report.shortcomings.isEmpty ? "yes" : "yes, but"
      case .notLinearizable: "NO"
      case .undecided: "undecided"
      }
    remarks += report.shortcomings.map { "- `\(report.name)`: \($0)" }
    if let key = report.key {
      remarks.append("- `\(report.name)`: \(report.verdict.rawValue), \(key)")
    }
    let numbers = [
      report.operations, report.unknown, report.ambiguous, report.failed, report.lost,
    ].map { Figures.count(Double($0)) }
    let head = [report.name, "none, before the first", verdict] + numbers
    if let quiet = report.quiet { table.rows.append(head + Self.cells([quiet])) }
    let first = report.quiet == nil ? head : []
    for (index, group) in Self.grouped(report.faults).enumerated() {
      let count = group.faults.count
      let name = (count > 1 ? "\(count) × " : "") + group.description
      var row = index == 0 && !first.isEmpty ? first : Array(repeating: "", count: head.count)
      row[1] = name
      table.rows.append(row + Self.cells(group.faults.compactMap(\.withoutService)))
    }
    if report.quiet == nil, report.faults.isEmpty { table.rows.append(head + Self.cells([])) }
  }

  /// A scenario that could not be run to its end.
  mutating func addFailure(of name: String, _ why: String) {
    isGood = false
    let empty = Array(repeating: "", count: table.columns.count - 3)
    table.rows.append([name, "", "NOT RUN"] + empty)
    remarks.append("- `\(name)` could not be run: \(why.replacing("\n", with: " "))")
  }

  /// Faults that are alike, in the order of the first of each.
  private static func grouped(
    _ faults: [FaultReport]
  ) -> [(description: String, faults: [FaultReport])] {
    var groups: [(description: String, faults: [FaultReport])] = []
    for fault in faults {
      let last = fault.end.map { ", \(Figures.short((($0 - fault.begin) * 10).rounded() / 10)) s" }
      var description = fault.description + (fault.kind == "restart" ? "" : last ?? ", to the end")
      if let load = fault.load { description += "; \(load)" }
      if let place = groups.firstIndex(where: { $0.description == description }) {
        groups[place].faults.append(fault)
      } else {
        groups.append((description, [fault]))
      }
    }
    return groups
  }

  /// The longest of each kind, in milliseconds.
  private static func cells(_ gaps: [ServiceGapReport]) -> [String] {
    func longest(_ value: (ServiceGapReport) -> Double?) -> String {
      gaps.compactMap(value).max().map { Figures.count($0) + " ms" } ?? ""
    }
    return [longest(\.all), longest(\.struck), longest(\.hot), longest(\.worstKey)]
  }
}
