import Foundation
import Linearizability
import Testing

/// Histories of a real store that was not linearizable, with the verdicts of another checker: etcd
/// under Jepsen's partitions, as published with Porcupine (LICENSES/MIT-porcupine.txt).
@Suite struct JepsenLogTests {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "etcd")
  static let linearizable: Set<String> = [
    "002", "005", "007", "025", "045", "049", "056", "067", "075", "080", "087", "092", "098",
    "100", "102",
  ]
  static let notLinearizable: Set<String> = [
    "000", "001", "003", "010", "015", "020", "030", "036", "040", "050", "054", "060", "070",
    "085", "090", "096",
  ]

  @Test(arguments: linearizable.union(notLinearizable).sorted())
  func theVerdictIsPorcupines(_ name: String) throws {
    let text = try String(
      contentsOf: Self.folder.appending(path: "etcd_\(name).log"), encoding: .utf8)
    let history = try JepsenLog.history(of: text)
    #expect(history.operations.count > 50)
    let report = LinearizabilityChecker().check(history)
    if Self.linearizable.contains(name) {
      #expect(report.verdict == .linearizable)
    } else if case .notLinearizable(let violation) = report.verdict {
      // What is shown is a contradiction by itself.
      #expect(violation.operations.count < history.operations.count)
    } else {
      Issue.record("the verdict is \(report.verdict)")
    }
  }
}
