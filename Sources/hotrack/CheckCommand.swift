import ArgumentParser
import Foundation
import Linearizability

/// `hotrack check`: are the histories that clients wrote down linearizable, key by key?
struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Check a history of operations for linearizability.",
    discussion: """
      The file has one JSON object per line:
      {"client","seq","op":"get|set|delete|cas","key","value","expected","version","invoke_ns",\
      "return_ns","outcome":"ok|not_found|unequal|unknown|failed"}

      Exit codes: 0 linearizable, 1 not linearizable, 2 undecided or not readable.
      """)

  @Argument(help: "The history, as JSON lines.")
  var file: String

  @Flag(help: "Print the verdict as one JSON object.")
  var json = false

  @Option(help: "Configurations of one key to look at before it is left undecided.")
  var stepLimit = 20_000_000

  func run() throws {
    let data: Data
    do {
      data = try Data(contentsOf: URL(fileURLWithPath: file), options: .mappedIfSafe)
    } catch {
      try fail("\(file) cannot be read: \(error.localizedDescription)")
    }
    let history: History
    do {
      history = try data.withUnsafeBytes { try HistoryReader.history(of: $0) }
    } catch let problem as HistoryReader.Problem {
      try fail("\(file), \(problem)")
    }
    let report = LinearizabilityChecker(stepLimit: stepLimit).check(history)
    let summary = CheckSummary(report, history)
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      print(String(decoding: try encoder.encode(summary), as: UTF8.self))
    } else {
      print(summary.text)
    }
    switch report.verdict {
    case .linearizable: return
    case .notLinearizable: throw ExitCode(1)
    case .undecided: throw ExitCode(2)
    }
  }

  private func fail(_ message: String) throws -> Never {
    FileHandle.standardError.write(Data("hotrack check: \(message)\n".utf8))
    throw ExitCode(2)
  }
}

/// A verdict as it is printed.
private struct CheckSummary: Encodable {
  var verdict: String
  var operations: Int
  var keys: Int
  var keysInVersionOrder: Int
  var key: String?
  var contradiction: [String]?

  init(_ report: LinearizabilityChecker.Report, _ history: History) {
    operations = report.operations
    keys = report.keys
    keysInVersionOrder = report.keysInVersionOrder
    switch report.verdict {
    case .linearizable: verdict = "linearizable"
    case .undecided(let key):
      verdict = "undecided"
      self.key = key
    case .notLinearizable(let violation):
      verdict = "not linearizable"
      key = violation.key
      contradiction = violation.operations.map(history.description(of:))
    }
  }

  private static let linesMax = 40

  var text: String {
    let size = "\(operations) operations on \(keys) keys"
    switch verdict {
    case "linearizable": return "linearizable: \(size)"
    case "undecided":
      return "undecided: key \(key ?? "") needs more steps, see --step-limit (\(size))"
    default:
      let lines = contradiction ?? []
      let more = lines.count > Self.linesMax ? ["  and \(lines.count - Self.linesMax) more"] : []
      return
        ([
          "not linearizable: key \(key ?? "") (\(size))",
          "no order of these operations explains what was read, by time [invoked .. returned]:",
        ] + lines.suffix(Self.linesMax).map { "  " + $0 } + more).joined(separator: "\n")
    }
  }
}
