/// A value that has a form in bytes, for files and messages: numbers in as few bytes as they need
/// (LEB128), everything else with its length or number of elements before it. There are no names
/// and no types in it: who reads has to know what was written, and of which version.
public protocol BinaryCodable {
  func encode(to writer: inout ByteWriter)
  /// Bytes from anywhere are taken, and only valid values come out.
  init(from reader: inout ByteReader) throws(MalformedBytes)
}

/// The bytes are not the form of such a value.
public struct MalformedBytes: Error, Equatable, Sendable, CustomStringConvertible {
  /// What was expected.
  public var expected: String

  public init(expected: String) { self.expected = expected }

  public var description: String { "malformed: expected \(expected)" }
}

extension BinaryCodable {
  /// Takes exactly these bytes.
  public init(decoding bytes: UnsafeRawBufferPointer) throws(MalformedBytes) {
    var reader = ByteReader(bytes)
    self = try Self(from: &reader)
    guard reader.isAtEnd else { throw MalformedBytes(expected: "the end") }
  }

  public init(decoding bytes: [UInt8]) throws(MalformedBytes) {
    self = try bytes.withUnsafeBufferPointer { bytes throws(MalformedBytes) in
      try Self(decoding: UnsafeRawBufferPointer(bytes))
    }
  }

  public var encoded: [UInt8] {
    var writer = ByteWriter()
    encode(to: &writer)
    return writer.bytes
  }

  /// Appends the form of this value.
  public func encode(appendingTo bytes: inout [UInt8]) {
    var writer = ByteWriter()
    swap(&writer.bytes, &bytes)
    encode(to: &writer)
    swap(&writer.bytes, &bytes)
  }
}

extension UInt64: BinaryCodable {
  public func encode(to writer: inout ByteWriter) { writer.number(self) }
  public init(from reader: inout ByteReader) throws(MalformedBytes) { self = try reader.number() }
}

extension Array: BinaryCodable where Element: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    writer.number(UInt64(count))
    for element in self { element.encode(to: &writer) }
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    let count = try reader.count()
    self = []
    // A count that lies costs no memory: nothing is that long but what was sent.
    reserveCapacity(Swift.min(count, 1_024))
    for _ in 0..<count { append(try Element(from: &reader)) }
  }
}

extension Optional: BinaryCodable where Wrapped: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    writer.byte(self == nil ? 0 : 1)
    self?.encode(to: &writer)
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    self = try reader.flag() ? try Wrapped(from: &reader) : nil
  }
}
