import Foundation

@testable import SegmentLog

/// A directory for one log, which goes with it.
final class TemporaryDirectory {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "hotrack-log-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  private init(copyOf other: TemporaryDirectory) throws {
    path = NSTemporaryDirectory() + "hotrack-log-" + UUID().uuidString
    try FileManager.default.copyItem(atPath: other.path, toPath: path)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func withCopy(_ body: (TemporaryDirectory) throws -> Void) throws {
    try body(TemporaryDirectory(copyOf: self))
  }

  func settings(node: UInt16 = 1) -> SegmentLog.Settings {
    var settings = SegmentLog.Settings(
      directory: path, identity: .init(cell: 7, node: node))
    settings.segmentLength = 16 * 512
    settings.frameLengthMax = 4_096
    return settings
  }

  @discardableResult
  func begin(_ files: any FileSystem = LocalFiles()) throws -> SegmentLog {
    try SegmentLog(beginning: settings(), files: files)
  }

  @discardableResult
  func open(
    node: UInt16 = 1, first: UInt64 = 1
  ) throws -> (records: [String], log: SegmentLog) {
    var records: [String] = []
    let log = try SegmentLog(settings(node: node), first: first) {
      records.append(String(decoding: $0, as: UTF8.self))
    }
    return (records, log)
  }

  /// What is wrong with the log; nil: nothing.
  func damage() -> String? {
    do {
      _ = try open()
      return nil
    } catch SegmentLogError.damaged(let reason) {
      return reason
    } catch {
      return "not damaged, but \(error)"
    }
  }
}

func batch(_ records: [String]) -> LogBatch {
  var batch = LogBatch()
  for record in records { batch.add { $0.append(contentsOf: record.utf8) } }
  return batch
}

func contents(_ path: String) throws -> [UInt8] {
  Array(try Data(contentsOf: URL(fileURLWithPath: path)))
}

func write(_ bytes: [UInt8], _ path: String) throws {
  try Data(bytes).write(to: URL(fileURLWithPath: path))
}
