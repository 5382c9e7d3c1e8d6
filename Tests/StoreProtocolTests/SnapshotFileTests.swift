import BinaryCoding
import Paxos
import StoreProtocol
import StoreState
import Testing

@Suite struct SnapshotFileTests {
  static func rows(_ count: Int) -> [SnapshotRow] {
    (0..<count).map { number in
      var snapshot = ObjectSnapshot(GroupLimits())
      let put = Command(.transaction(.put([UInt8(number)], [1, 2, 3])))
      _ = snapshot.state.apply(put, entry: 1)
      snapshot.chosen = 1
      return SnapshotRow(ObjectID("g\(number)"), snapshot)
    }
  }

  static func file(_ rows: [SnapshotRow]) -> [UInt8] {
    var writer = SnapshotWriter()
    var bytes = writer.begin(SnapshotHeader(cell: 7, node: 3))
    for row in rows { bytes += writer.row(row) }
    return bytes + writer.end()
  }

  func read(_ bytes: [UInt8]) throws -> (SnapshotFile, [SnapshotRow]) {
    var rows: [SnapshotRow] = []
    let file = try bytes.withUnsafeBytes { bytes in try SnapshotFile(bytes) { rows.append($0) } }
    return (file, rows)
  }

  @Test(arguments: [0, 1, 5]) func comesBack(_ count: Int) throws {
    let rows = Self.rows(count)
    let (file, found) = try read(Self.file(rows))
    #expect(found == rows)
    #expect(file.header == SnapshotHeader(cell: 7, node: 3))
    #expect(file.summary.groups == UInt64(count) && file.summary.keys == UInt64(count))
    #expect(file.summary.revision == (count > 0 ? 1 : 0))
  }

  @Test func everyChangedByteIsNoticed() throws {
    let bytes = Self.file(Self.rows(2))
    for place in bytes.indices {
      for bit in [0, 7] as [UInt8] {
        var changed = bytes
        changed[place] ^= 1 << bit
        #expect(throws: SnapshotFileError.self, "byte \(place)") { try read(changed) }
      }
    }
  }

  @Test func everyCutIsNoticed() throws {
    let bytes = Self.file(Self.rows(2))
    for length in bytes.indices {
      #expect(throws: SnapshotFileError.self) { try read(Array(bytes[..<length])) }
    }
    #expect(throws: SnapshotFileError.self) { try read(bytes + [0]) }
  }

  /// Frames that are whole, in another order or of another file.
  @Test func framesBelongTogether() throws {
    var writer = SnapshotWriter()
    let head = writer.begin(SnapshotHeader(cell: 7, node: 3))
    let rows = Self.rows(2)
    let (first, second) = (writer.row(rows[0]), writer.row(rows[1]))
    let end = writer.end()
    #expect(throws: Never.self) { try read(head + first + second + end) }
    for wrong in [
      head + second + first + end, head + first + end, head + first + first + second + end,
      first + second + end, head + head + first + second + end,
    ] {
      #expect(throws: SnapshotFileError.self) { try read(wrong) }
    }
  }

  @Test func saysWhatItIsNot() {
    #expect(throws: SnapshotFileError.noSnapshot) { try read([]) }
    #expect(throws: SnapshotFileError.noSnapshot) { try read(Array("hello, I am a text".utf8)) }
  }
}
