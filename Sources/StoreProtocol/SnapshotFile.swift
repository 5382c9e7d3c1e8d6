public import BinaryCoding
internal import CXXHash
public import Paxos
internal import StoreState

// A snapshot of a store in a file: frames, each a length in four bytes (little-endian), so many bytes,
// and eight bytes with the XXH3 sum of them, seeded with the sum before it. So a file that was changed,
// cut, or put together from two is noticed. The first frame says what it is of, the last what it has.

/// Why a file is no snapshot that could be restored.
public enum SnapshotFileError: Error, Equatable, Sendable, CustomStringConvertible {
  case noSnapshot
  case unknownVersion(UInt64)
  /// From this byte on it is not what was written.
  case damaged(at: Int)
  case cut

  public var description: String {
    switch self {
    case .noSnapshot: "this is no snapshot of a store"
    case .unknownVersion(let version):
      "the snapshot has version \(version); this hotrack reads version \(SnapshotHeader.version)"
    case .damaged(let byte): "the snapshot is damaged at byte \(byte): take another one"
    case .cut: "the end of the snapshot is missing: take another one"
    }
  }
}

/// What a snapshot is of.
public struct SnapshotHeader: BinaryCodable, Equatable, Sendable {
  public static let version: UInt64 = 1
  private static let magic: UInt64 = 0x3150_414e_5354_48  // "HTSNAP1"
  public var cell: UInt64
  /// The node whose state it is.
  public var node: UInt64

  public init(cell: UInt64, node: UInt64) {
    self.cell = cell
    self.node = node
  }

  public func encode(to writer: inout ByteWriter) {
    writer.wide(Self.magic)
    writer.number(Self.version)
    writer.wide(cell)
    writer.number(node)
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    guard try reader.wide() == Self.magic else { throw MalformedBytes(expected: "a snapshot") }
    guard try reader.number() == Self.version else {
      throw MalformedBytes(expected: "a snapshot of version \(Self.version)")
    }
    cell = try reader.wide()
    node = try reader.number()
  }

  static func version(of bytes: UnsafeRawBufferPointer) -> UInt64? {
    var reader = ByteReader(bytes)
    guard (try? reader.wide()) == magic else { return nil }
    return try? reader.number()
  }
}

/// What a snapshot has.
public struct SnapshotSummary: BinaryCodable, Equatable, Sendable {
  public var groups: UInt64 = 0
  public var keys: UInt64 = 0
  /// The highest of any group.
  public var revision: UInt64 = 0

  public init() {}

  mutating func add(_ row: SnapshotRow) {
    groups += 1
    keys += UInt64(row.snapshot.state.keyCount)
    revision = max(revision, row.snapshot.state.revision)
  }

  public func encode(to writer: inout ByteWriter) {
    writer.number(groups)
    writer.number(keys)
    writer.number(revision)
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    groups = try reader.number()
    keys = try reader.number()
    revision = try reader.number()
  }
}

/// Makes the bytes of a snapshot file, part by part.
public struct SnapshotWriter {
  public private(set) var summary = SnapshotSummary()
  /// Of all that was made so far.
  public private(set) var sum: UInt64 = 0

  public init() {}

  public mutating func begin(_ header: SnapshotHeader) -> [UInt8] {
    frame([SnapshotFrame.header.rawValue] + header.encoded)
  }

  public mutating func row(_ row: SnapshotRow) -> [UInt8] {
    summary.add(row)
    return frame([SnapshotFrame.row.rawValue] + row.encoded)
  }

  public mutating func end() -> [UInt8] {
    frame([SnapshotFrame.end.rawValue] + summary.encoded)
  }

  private mutating func frame(_ contents: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(contents.count + 12)
    withUnsafeBytes(of: UInt32(contents.count).littleEndian) { bytes.append(contentsOf: $0) }
    bytes += contents
    sum = bytes.withUnsafeBytes { SnapshotFrame.sum($0, after: sum) }
    withUnsafeBytes(of: sum.littleEndian) { bytes.append(contentsOf: $0) }
    return bytes
  }
}

/// Reads a snapshot file as a whole.
public struct SnapshotFile: Equatable, Sendable {
  public var header: SnapshotHeader
  public var summary: SnapshotSummary
  /// Of the whole file: equal for equal ones.
  public var sum: UInt64

  /// Reads all, and gives each object to `row`; what comes before an error has been given to it.
  public init(
    _ bytes: UnsafeRawBufferPointer, row: (SnapshotRow) throws -> Void = { _ in }
  ) throws {
    var reader = SnapshotFrame.Reader(bytes)
    guard case .header(let header)? = try reader.next() else { throw SnapshotFileError.noSnapshot }
    var found = SnapshotSummary()
    while let item = try reader.next() {
      switch item {
      case .header: throw SnapshotFileError.damaged(at: reader.start)
      case .row(let next):
        found.add(next)
        try row(next)
      case .end(let summary):
        guard summary == found, reader.isAtEnd else {
          throw SnapshotFileError.damaged(at: reader.start)
        }
        (self.header, self.summary, sum) = (header, summary, reader.sum)
        return
      }
    }
    throw SnapshotFileError.cut
  }
}

enum SnapshotFrame: UInt8 {
  case header = 1
  case row = 2
  case end = 3

  static func sum(_ bytes: UnsafeRawBufferPointer, after sum: UInt64) -> UInt64 {
    XXH3_64bits_withSeed(bytes.baseAddress, bytes.count, sum)
  }

  enum Item {
    case header(SnapshotHeader)
    case row(SnapshotRow)
    case end(SnapshotSummary)
  }

  struct Reader {
    private let bytes: UnsafeRawBufferPointer
    private var offset = 0
    /// Of the frame that was read last.
    private(set) var start = 0
    private(set) var sum: UInt64 = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var isAtEnd: Bool { offset == bytes.count }

    /// Nil: nothing is left.
    mutating func next() throws(SnapshotFileError) -> Item? {
      guard !isAtEnd else { return nil }
      start = offset
      let left = bytes.count - offset
      guard left >= 4 else { throw .cut }
      let length = Int(
        UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
      guard left >= 4 + length + 8 else {
        throw start == 0 && SnapshotHeader.version(of: contents(left - 4)) == nil
          ? .noSnapshot : .cut
      }
      let framed = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + 4 + length])
      let written = UInt64(
        littleEndian: bytes.loadUnaligned(fromByteOffset: offset + 4 + length, as: UInt64.self))
      let expected = SnapshotFrame.sum(framed, after: sum)
      let contents = contents(length)
      if start == 0 {
        guard let version = SnapshotHeader.version(of: contents) else { throw .noSnapshot }
        guard version == SnapshotHeader.version else { throw .unknownVersion(version) }
      }
      guard written == expected, let item = Self.item(framed) else { throw .damaged(at: start) }
      offset += 4 + length + 8
      sum = expected
      return item
    }

    /// Of the next frame, without its kind; nothing if there is not even that.
    private func contents(_ length: Int) -> UnsafeRawBufferPointer {
      UnsafeRawBufferPointer(
        rebasing: bytes[min(offset + 5, offset + 4 + length)..<offset + 4 + length])
    }

    private static func item(_ framed: UnsafeRawBufferPointer) -> Item? {
      guard framed.count > 4, let kind = SnapshotFrame(rawValue: framed[4]) else { return nil }
      let contents = UnsafeRawBufferPointer(rebasing: framed.dropFirst(5))
      switch kind {
      case .header: return (try? SnapshotHeader(decoding: contents)).map { .header($0) }
      case .row: return (try? SnapshotRow(decoding: contents)).map { .row($0) }
      case .end: return (try? SnapshotSummary(decoding: contents)).map { .end($0) }
      }
    }
  }
}
