internal import BinaryCoding
internal import Paxos
internal import RocksDB

/// Objects as rows of a database: an object's data, sessions, chosen entry and pending votes are one
/// row, so no crash can take them apart. Written by one thread.
final class StateRows: @unchecked Sendable {
  // Unchecked: after the start only the thread that stores uses it.
  private let database: Database

  private static let firstKey: [UInt8] = [0]
  private static let objectTag: UInt8 = 1

  init(_ path: String) throws(DatabaseError) { database = try Database(path: path) }

  /// What the database holds: objects, and the oldest segment of the log that is needed.
  func load() throws -> (images: [(id: ObjectID, image: ObjectImage)], first: UInt64) {
    var images: [(id: ObjectID, image: ObjectImage)] = []
    var first: UInt64 = 1
    var problem: (any Error)?
    try database.scan { key, value in
      do {
        if key.first == Self.objectTag {
          let name = String(decoding: key.dropFirst(), as: UTF8.self)
          images.append((ObjectID(name), try ObjectImage(decoding: value)))
        } else if key.elementsEqual(Self.firstKey) {
          first = try UInt64(decoding: value)
        }
      } catch {
        problem = error
      }
      return problem == nil
    }
    if let problem { throw problem }
    return (images, first)
  }

  /// Reads rows from a key on, to see that they can be read; returns how many, and the key to go on
  /// with, nil at the end.
  func read(
    from first: [UInt8], rowsMax: Int
  ) throws(DatabaseError) -> (rows: UInt64, next: [UInt8]?) {
    var rows: UInt64 = 0
    var next: [UInt8]?
    try database.scan(from: first) { key, _ in
      if rows == rowsMax { next = Array(key) } else { rows += 1 }
      return next == nil
    }
    return (rows, next)
  }

  /// Stores objects; they are durable when it returns.
  func store(_ images: [(id: ObjectID, bytes: [UInt8])]) throws(DatabaseError) {
    let batch = WriteBatch()
    for (id, bytes) in images {
      let key = [Self.objectTag] + Array(id.name.utf8)
      key.withUnsafeBytes { key in bytes.withUnsafeBytes { batch.put(key, $0) } }
    }
    try database.write(batch)
  }

  /// Notes the oldest segment that is needed from now on.
  func store(first: UInt64) throws(DatabaseError) {
    let batch = WriteBatch()
    Self.firstKey.withUnsafeBytes { key in
      first.encoded.withUnsafeBytes { batch.put(key, $0) }
    }
    try database.write(batch)
  }

  /// Counts all changes ever made: a database with fewer than it once had has lost some.
  var sequence: UInt64 { database.latestSequence }
}
