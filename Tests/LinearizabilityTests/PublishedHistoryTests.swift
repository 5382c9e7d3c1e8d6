import Foundation
import Linearizability
import Testing

/// Histories published with another checker, Porcupine, and its verdicts (LICENSES/MIT-porcupine.txt):
/// a real store that was not linearizable, etcd under Jepsen's partitions; and a key-value store with
/// up to 50 clients that append.
@Suite struct PublishedHistoryTests {
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
  /// Of etcd_000 to etcd_102; etcd_095 is empty, and Porcupine leaves it out.
  private static let linearizable: Set<Int> = [
    2, 5, 7, 18, 25, 31, 38, 45, 48, 49, 51, 53, 56, 67, 75, 76, 80, 87, 92, 98, 100, 101, 102,
  ]

  struct Published: Sendable, CustomTestStringConvertible {
    var name: String
    var isLinearizable: Bool
    var testDescription: String { name }

    /// It is linearizable if one of these is.
    func histories() throws -> [History] {
      let file = PublishedHistoryTests.folder.appending(path: name)
      guard name.hasSuffix(".gz") else {
        return [try JepsenLog.history(of: String(contentsOf: file, encoding: .utf8))]
      }
      let gzip = Process()
      gzip.executableURL = URL(filePath: "/usr/bin/gzip")
      gzip.arguments = ["-dc", file.path]
      let output = Pipe()
      gzip.standardOutput = output
      try gzip.run()
      let bytes = output.fileHandleForReading.readDataToEndOfFile()
      gzip.waitUntilExit()
      return try KeyValueLog.histories(of: String(decoding: bytes, as: UTF8.self))
    }
  }

  static let published =
    (0...102).filter { $0 != 95 }.map { number in
      let digits = String(repeating: "0", count: 3 - "\(number)".count) + "\(number)"
      return Published(
        name: "etcd/etcd_\(digits).log", isLinearizable: linearizable.contains(number))
    }
    + ["c01", "c10", "c50"].flatMap { clients in
      [true, false].map { isGood in
        Published(
          name: "kv/\(clients)-\(isGood ? "ok" : "bad").txt.gz", isLinearizable: isGood)
      }
    }

  @Test(arguments: published)
  func theVerdictIsPorcupines(_ published: Published) throws {
    var isLinearizable = false
    for history in try published.histories() {
      #expect(history.operations.count > 30)
      switch LinearizabilityChecker().check(history).verdict {
      case .linearizable: isLinearizable = true
      case .notLinearizable(let violation):
        // What is shown is a contradiction by itself.
        #expect(violation.operations.count < history.operations.count)
      case .undecided(let key): Issue.record("\(key) is not decided")
      }
      if isLinearizable { break }
    }
    #expect(isLinearizable == published.isLinearizable)
  }

  /// With too few steps to decide, what is said is that it is not decided, and never the wrong thing.
  @Test func tooFewStepsDecideNothingWrongly() throws {
    var undecided = 0
    var decided = 0
    for published in Self.published {
      let histories = try published.histories()
      for limit in [1, 10, 30, 100, 300, 1_000] {
        let verdicts = histories.prefix(16).map {
          LinearizabilityChecker(stepLimit: limit).check($0).verdict
        }
        undecided += verdicts.count { if case .undecided = $0 { true } else { false } }
        if verdicts.contains(.linearizable) {
          decided += 1
          #expect(published.isLinearizable, "\(published.name) with \(limit) steps")
        }
        let areAllRefuted = verdicts.allSatisfy {
          if case .notLinearizable = $0 { true } else { false }
        }
        if areAllRefuted, histories.count <= 16 {
          decided += 1
          #expect(!published.isLinearizable, "\(published.name) with \(limit) steps")
        }
      }
    }
    #expect(undecided > 100)
    #expect(decided > 100)
  }
}
