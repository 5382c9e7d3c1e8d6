internal import ServerCore
internal import Storage
internal import Wire

/// The rows that a durable server has on its disk. RocksDB checks that they are what was written, but
/// not who has written them.
enum RowFuzzing {
  static func run(_ bytes: UnsafeRawBufferPointer) {
    var input = FuzzInput(bytes)
    let rows = Rows()
    while !input.isEmpty {
      let key = input.bytes(Int(input.byte()))
      rows.rows[key] = input.bytes(Int(input.short() % 1_500))
    }
    // What a server has understood it writes down so that it is understood again.
    let first = rewritten(rows, isStrict: false)
    let second = rewritten(first, isStrict: true)
    require(first.rows == second.rows, "rows are written as they were read")
  }

  /// All rows of a server that has started with these.
  private static func rewritten(_ rows: Rows, isStrict: Bool) -> Rows {
    let written = Rows()
    var server = ServerCore(
      ServerConfiguration(
        number: 2, incarnation: 4_711, hashSeed: 7, sessionsMax: 4, expectedKeys: 8),
      journal: StateJournal(written))
    for (key, value) in rows.rows.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      key.withUnsafeBytes { key in
        value.withUnsafeBytes { value in
          let row = StateRow(key: key, value: value)
          require(row != nil || !isStrict, "what is written can be read")
          if let row { server.restore(row) }
        }
      }
    }
    server.finishRestoring()
    written.rows = [:]
    server.recordEverything()
    return written
  }
}

private final class Rows: RowStore {
  var rows: [[UInt8]: [UInt8]] = [:]

  func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    rows[Array(key)] = Array(value)
  }

  func remove(_ key: UnsafeRawBufferPointer) { rows[Array(key)] = nil }

  func removeRange(_ first: UnsafeRawBufferPointer, _ end: UnsafeRawBufferPointer) {
    rows = rows.filter {
      $0.key.lexicographicallyPrecedes(Array(first))
        || !$0.key.lexicographicallyPrecedes(Array(end))
    }
  }
}
