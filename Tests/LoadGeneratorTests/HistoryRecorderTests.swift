import Foundation
import Linearizability
import ScriptedRack
import Sockets
import Testing
import Wire
import Workload

@testable import LoadGenerator

private func temporaryPath() -> String {
  FileManager.default.temporaryDirectory.appendingPathComponent(
    "hotrack-history-\(UUID().uuidString).jsonl"
  ).path
}

private func read(_ path: String) throws -> History {
  let data = try Data(contentsOf: URL(fileURLWithPath: path))
  return try data.withUnsafeBytes { try HistoryReader.history(of: $0) }
}

/// Records against a rack that follows `script`; returns the report and the history that was read.
private func record(
  _ script: @escaping ScriptedRack.Script = { _, _ in .serve },
  _ change: (inout HistoryConfiguration) -> Void = { _ in }
) async throws -> (HistoryReport, History) {
  try await ScriptedRack.running(script) { rack in
    var history = HistoryConfiguration(rack: rack.endpoint, keyCount: 4, keyPrefix: "t-")
    history.operations = 3_000
    history.clients = 8
    history.mix = OperationMix(readShare: 0.5, deleteShare: 0.1)
    change(&history)
    let (path, settled) = (temporaryPath(), history)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let report = try await onThread { try HistoryRecorder(settled, path: path).run() }
    return (report, try read(path))
  }
}

private func isLinearizable(_ history: History) -> Bool? {
  switch LinearizabilityChecker().check(history).verdict {
  case .linearizable: true
  case .notLinearizable: false
  case .undecided: nil
  }
}

@Suite struct HistoryRecorderTests {
  @Test("a correct rack gives a linearizable history of as many operations as were asked for")
  func correct() async throws {
    let (report, history) = try await record()
    #expect(report.operations == 3_000 && history.operations.count == 3_000)
    #expect(report.gets + report.sets + report.deletes == 3_000)
    #expect(report.ok + report.notFound == 3_000)
    #expect(history.keys.count == 4 && history.keys[0].hasPrefix("t-"))
    #expect(report.gets == history.operations.count { $0.kind == .get })
    #expect(report.deletes == history.operations.count { $0.kind == .delete })
    #expect(report.deletes > 0)
    let written = history.operations.filter { $0.kind == .set }.map(\.value)
    #expect(Set(written).count == written.count)
    #expect(history.operations.filter { $0.kind != .get }.allSatisfy { $0.version > 0 })
    #expect(isLinearizable(history) == true)
  }

  @Test("each client does one operation after the other")
  func closedLoop() async throws {
    let (_, history) = try await record()
    let clients = Dictionary(grouping: history.operations, by: \.client)
    #expect(clients.count == 8)
    for operations in clients.values {
      for (first, second) in zip(operations, operations.dropFirst()) {
        #expect(second.sequence == first.sequence + 1 && second.invoked >= first.returned)
      }
    }
  }

  @Test("lost, repeated and refused datagrams leave it linearizable and complete")
  func losses() async throws {
    let script: ScriptedRack.Script = { header, attempt in
      guard attempt <= 2, header.operation != .hello else { return .serve }
      return switch header.sequence % 16 {
      case 1: .loseRequest
      case 2: .loseReply
      case 3: .serveAndReplyTwice
      case 4: .refuse(.frozen)
      case 5: .refuse(.busy)
      default: .serve
      }
    }
    let (report, history) = try await record(script) { $0.operations = 1_500 }
    #expect(report.operations == 1_500 && report.ok + report.notFound == 1_500)
    #expect(isLinearizable(history) == true)
  }

  @Test("a write without any answer is unknown, a read failed, and the rest is linearizable")
  func unanswered() async throws {
    let script: ScriptedRack.Script = { header, _ in
      header.operation != .hello && header.sequence % 50 == 7 ? .loseReply : .serve
    }
    let (report, history) = try await record(script) {
      $0.operations = 800
      $0.deadline = 300_000_000
      $0.mix = OperationMix(readShare: 0.5)
    }
    #expect(report.unknown > 0 && report.failed > 0)
    #expect(history.operations.count { $0.outcome == .unknown } == report.unknown)
    #expect(
      history.operations.allSatisfy {
        switch $0.outcome {
        case .unknown: $0.kind == .set
        case .failed: $0.kind == .get
        default: true
        }
      })
    #expect(isLinearizable(history) == true)
  }

  @Test("a rack that answers stale values is found out")
  func stale() async throws {
    let script: ScriptedRack.Script = { header, _ in
      header.sequence % 40 == 9 ? .serveStale : .serve
    }
    let (report, history) = try await record(script)
    #expect(report.ok + report.notFound == 3_000)
    #expect(isLinearizable(history) == false)
  }

  @Test("a limited rate and time end it before all operations")
  func limited() async throws {
    let (report, history) = try await record({ _, _ in .serve }) {
      $0.operations = 1_000_000
      $0.rateMax = 500
      $0.duration = 400_000_000
    }
    // 200 with a deviation of 14; a machine that is busy does fewer.
    #expect((1...270).contains(report.operations))
    #expect(history.operations.count == report.operations && isLinearizable(history) == true)
  }

  @Test("clients that keep to one key leave those alone whose key is not served")
  func bound() async throws {
    let silent = KeyHash.of(Array("t-2".utf8), seed: 0)
    let script: ScriptedRack.Script = { header, _ in
      header.keyHash == silent ? .loseRequest : header.operation == .get ? .refuse(.lost) : .serve
    }
    let (report, history) = try await record(script) {
      $0.operations = 400
      $0.rateMax = 4_000
      $0.deadline = 3_000_000_000
      $0.bindsClients = true
      $0.mix = OperationMix(readShare: 0.2)
    }
    #expect(report.operations == 400 && report.lost > 0 && report.lost <= report.failed)
    var keys: [UInt64: Set<Int32>] = [:]
    for operation in history.operations {
      keys[operation.client, default: []].insert(operation.key)
    }
    #expect(keys.values.allSatisfy { $0.count == 1 })
    let served = history.operations.filter { history.keys[$0.key] != "t-2" }
    // 8 clients, of whom two keep to the silent key; each is given up only after 3 s.
    #expect(served.count >= 390)
  }

  @Test("a rack that does not answer is told, and a file that cannot be written")
  func errors() async throws {
    try await ScriptedRack.running({ _, _ in .loseRequest }) { rack in
      var history = HistoryConfiguration(rack: rack.endpoint, keyCount: 4, keyPrefix: "t-")
      history.greetingTime = 200_000_000
      let (path, settled) = (temporaryPath(), history)
      defer { try? FileManager.default.removeItem(atPath: path) }
      await #expect(throws: LoadError.noAnswer(rack.endpoint, seconds: 0.2)) {
        try await onThread { try HistoryRecorder(settled, path: path).run() }
      }
      await #expect(
        throws: LoadError.cannotWrite(path: "/no/such/file", reason: "No such file or directory")
      ) {
        try await onThread { _ = try HistoryRecorder(settled, path: "/no/such/file") }
      }
    }
  }

  @Test("strings that need it are escaped, and bytes that are no text become legible")
  func escaping() throws {
    let path = temporaryPath()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let odd = "\"\\\n\u{1}\u{7f}é𝄞/"
    let writer = try HistoryWriter(path: path)
    try writer.append(
      client: 0, sequence: 1, kind: "set", key: Array(odd.utf8), value: [0x61, 0xff],
      version: .max, invoked: 1, returned: 2, outcome: "ok")
    try writer.append(
      client: 7, sequence: 2, kind: "delete", key: [0x61], value: nil, version: nil, invoked: 3,
      returned: nil, outcome: "unknown")
    try writer.finish()
    let history = try read(path)
    #expect(history.keys[0] == odd && history.values[0] == "a\u{fffd}")
    #expect(history.operations[0].version == .max && history.operations[0].returned == 2)
    #expect(history.operations[1].client == 7 && history.operations[1].outcome == .unknown)
    #expect(history.operations[1].version == 0)
  }
}
