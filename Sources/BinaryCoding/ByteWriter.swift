/// Collects the bytes of encoded values.
public struct ByteWriter {
  public var bytes: [UInt8] = []

  public init() {}

  @inlinable
  public mutating func byte(_ byte: UInt8) { bytes.append(byte) }

  @inlinable
  public mutating func flag(_ flag: Bool) { bytes.append(flag ? 1 : 0) }

  /// As LEB128: seven bits in a byte, the lowest first.
  @inlinable
  public mutating func number(_ number: UInt64) {
    var rest = number
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: rest))
  }

  /// In eight bytes: for numbers that are as good as random.
  public mutating func wide(_ number: UInt64) {
    withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
  }

  /// With their number before them.
  public mutating func string(_ string: [UInt8]) {
    number(UInt64(string.count))
    bytes.append(contentsOf: string)
  }

  public mutating func text(_ text: String) {
    number(UInt64(text.utf8.count))
    bytes.append(contentsOf: text.utf8)
  }
}

/// Takes encoded values from bytes, which have to outlive it. Whatever the bytes are, it reads
/// nothing beyond them.
public struct ByteReader {
  private let bytes: UnsafeRawBufferPointer
  private var offset = 0

  public init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  public var isAtEnd: Bool { offset == bytes.count }

  public mutating func byte() throws(MalformedBytes) -> UInt8 {
    guard offset < bytes.count else { throw MalformedBytes(expected: "a byte") }
    defer { offset += 1 }
    return bytes[offset]
  }

  public mutating func flag() throws(MalformedBytes) -> Bool {
    switch try byte() {
    case 0: return false
    case 1: return true
    default: throw MalformedBytes(expected: "a flag")
    }
  }

  public mutating func number() throws(MalformedBytes) -> UInt64 {
    var number: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      let byte = try byte()
      guard shift < 63 || byte <= 1 else { throw MalformedBytes(expected: "a number of 64 bits") }
      number |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return number }
      shift += 7
    }
  }

  /// A number of a type with fewer bits.
  public mutating func number<Number: FixedWidthInteger>(
    as: Number.Type
  ) throws(MalformedBytes) -> Number {
    guard let number = Number(exactly: try number()) else {
      throw MalformedBytes(expected: "a number of \(Number.bitWidth) bits")
    }
    return number
  }

  /// A number that is counted up, and has room for that: below 2 to the power of 62.
  public mutating func small() throws(MalformedBytes) -> UInt64 {
    let number = try number()
    guard number < 1 << 62 else { throw MalformedBytes(expected: "a count") }
    return number
  }

  public mutating func wide() throws(MalformedBytes) -> UInt64 {
    guard bytes.count - offset >= 8 else { throw MalformedBytes(expected: "8 bytes") }
    defer { offset += 8 }
    return UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  /// How many elements follow, each of a byte at least.
  public mutating func count() throws(MalformedBytes) -> Int {
    let count = try number()
    guard count <= UInt64(bytes.count - offset) else {
      throw MalformedBytes(expected: "no more than there is")
    }
    return Int(count)
  }

  public mutating func string() throws(MalformedBytes) -> [UInt8] {
    let count = try count()
    defer { offset += count }
    return Array(bytes[offset..<offset + count])
  }

  public mutating func text() throws(MalformedBytes) -> String {
    let count = try count()
    defer { offset += count }
    guard let text = String(validating: bytes[offset..<offset + count], as: UTF8.self) else {
      throw MalformedBytes(expected: "text in UTF-8")
    }
    return text
  }
}
