import Foundation
import RocksDB
import Testing

@Suite struct DatabaseTests {
  private let folder = Scratch()

  private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

  private func put(_ batch: WriteBatch, _ key: String, _ value: String) {
    bytes(key).withUnsafeBytes { key in bytes(value).withUnsafeBytes { batch.put(key, $0) } }
  }

  private func rows(_ database: Database, from first: String = "") throws -> [String] {
    var rows: [String] = []
    try database.scan(from: bytes(first)) { key, value in
      rows.append(
        String(decoding: key, as: UTF8.self) + "=" + String(decoding: value, as: UTF8.self))
      return true
    }
    return rows
  }

  @Test func aBatchIsThereAfterOpeningAgainAndCounted() throws {
    do {
      let database = try Database(path: folder.path)
      let batch = WriteBatch()
      put(batch, "b", "2")
      put(batch, "a", "")
      put(batch, "c", "3")
      try database.write(batch)
      batch.clear()
      bytes("c").withUnsafeBytes { batch.remove($0) }
      put(batch, "d", "4")
      put(batch, "e", "5")
      try database.write(batch)
      batch.clear()
      bytes("d").withUnsafeBytes { first in
        bytes("f").withUnsafeBytes { batch.removeRange(first, $0) }
      }
      #expect(batch.count == 1)
      try database.write(batch)
    }
    let database = try Database(path: folder.path)
    #expect(try rows(database) == ["a=", "b=2"])
    #expect(try rows(database, from: "aa") == ["b=2"])
    #expect(database.latestSequence == 7)
  }

  @Test func aMissingDatabaseIsNotMade() throws {
    var settings = Database.Settings()
    settings.createsIfMissing = false
    #expect(throws: DatabaseError.self) { try Database(path: folder.path, settings) }
  }

  @Test func aFlippedByteInASortedFileIsCorruption() throws {
    do {
      let database = try Database(path: folder.path)
      let batch = WriteBatch()
      for number in 0..<1000 { put(batch, "key \(number)", String(repeating: "v", count: 100)) }
      try database.write(batch)
      try database.flush()
    }
    try folder.flipByte(inFileEnding: ".sst", at: 0.3)
    let database = try Database(path: folder.path)
    var read = 0
    let error = #expect(throws: DatabaseError.self) {
      try database.scan { _, _ in
        read += 1
        return true
      }
    }
    guard case .corrupt? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(read > 100 && read < 900)
  }

  @Test func theLogTellsNothingOfWhatItHasLost() throws {
    do {
      let database = try Database(path: folder.path)
      for number in 0..<100 {
        let batch = WriteBatch()
        put(batch, "key \(number)", "value")
        try database.write(batch)
      }
      #expect(database.latestSequence == 100)
    }
    try folder.flipByte(inFileEnding: ".log", at: 0.5)
    let database = try Database(path: folder.path)
    // It opens; only the count shows that something is missing.
    #expect(database.latestSequence < 100)
    #expect(try rows(database).count == Int(database.latestSequence))
  }
}

/// A directory for one test.
final class Scratch {
  let path: String

  init() {
    path = NSTemporaryDirectory() + "hotrack-rocksdb-\(UUID().uuidString)"
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Changes one byte of the largest file whose name ends so, this far behind its beginning.
  func flipByte(inFileEnding ending: String, at share: Double) throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: path)
    let files = names.filter { $0.hasSuffix(ending) }.map { "\(path)/\($0)" }
    let sized = try files.map { (try Data(contentsOf: URL(fileURLWithPath: $0)), $0) }
    let (data, file) = try #require(sized.max { $0.0.count < $1.0.count })
    var changed = data
    changed[Int(Double(data.count) * share)] ^= 0x10
    try changed.write(to: URL(fileURLWithPath: file))
  }
}
