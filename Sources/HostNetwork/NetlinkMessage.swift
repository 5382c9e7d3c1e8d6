/// A message of rtnetlink, the kernel's protocol for its network configuration (RFC 3549; rtnetlink(7)):
/// a header, a structure that depends on the type, and attributes. All in the host's byte order.
struct NetlinkMessage: Equatable {
  var type: UInt16
  var flags: UInt16
  var sequence: UInt32
  /// What follows the header.
  var body: [UInt8]

  static let headerLength = 16

  enum Kind {
    static let error: UInt16 = 2
    static let done: UInt16 = 3
    static let newLink: UInt16 = 16
    static let deleteLink: UInt16 = 17
    static let getLink: UInt16 = 18
    static let newRoute: UInt16 = 24
    static let deleteRoute: UInt16 = 25
    static let getRoute: UInt16 = 26
    static let newNeighbour: UInt16 = 28
    static let deleteNeighbour: UInt16 = 29
    static let getNeighbour: UInt16 = 30
  }

  enum Flag {
    static let request: UInt16 = 0x001
    static let acknowledge: UInt16 = 0x004
    static let dump: UInt16 = 0x300
    static let replace: UInt16 = 0x100
    static let create: UInt16 = 0x400
  }

  func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(native: UInt32(Self.headerLength + body.count))
    bytes.append(native: type)
    bytes.append(native: flags)
    bytes.append(native: sequence)
    bytes.append(native: UInt32(0))
    return bytes + body
  }

  /// The messages of one datagram; what is cut off or contradicts itself ends it.
  static func messages(in datagram: ArraySlice<UInt8>) -> [NetlinkMessage] {
    var messages: [NetlinkMessage] = []
    var rest = datagram
    while rest.count >= headerLength {
      let length = Int(rest.native(0, as: UInt32.self))
      guard length >= headerLength, length <= rest.count else { break }
      let start = rest.startIndex
      messages.append(
        NetlinkMessage(
          type: rest.native(4, as: UInt16.self), flags: rest.native(6, as: UInt16.self),
          sequence: rest.native(8, as: UInt32.self),
          body: Array(rest[(start + headerLength)..<(start + length)])))
      rest = rest.dropFirst((length + 3) & ~3)
    }
    return messages
  }

  /// The attributes behind a structure of this length, by type; of a type that is there twice the last.
  func attributes(after length: Int) -> [UInt16: ArraySlice<UInt8>] {
    Self.attributes(in: body.dropFirst(length))
  }

  static func attributes(in bytes: ArraySlice<UInt8>) -> [UInt16: ArraySlice<UInt8>] {
    var attributes: [UInt16: ArraySlice<UInt8>] = [:]
    var rest = bytes
    while rest.count >= 4 {
      let length = Int(rest.native(0, as: UInt16.self))
      guard length >= 4, length <= rest.count else { break }
      // The two highest bits say how it is to be read, not what it is.
      let type = rest.native(2, as: UInt16.self) & 0x3fff
      attributes[type] = rest[(rest.startIndex + 4)..<(rest.startIndex + length)]
      rest = rest.dropFirst((length + 3) & ~3)
    }
    return attributes
  }

  mutating func append(attribute type: UInt16, _ value: [UInt8]) {
    body.append(native: UInt16(4 + value.count))
    body.append(native: type)
    body += value + Array(repeating: 0, count: -value.count & 3)
  }
}

extension [UInt8] {
  mutating func append(native value: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: value) { append(contentsOf: $0) }
  }
}

extension ArraySlice<UInt8> {
  /// The integer that begins at this offset; 0 if it is cut off.
  func native<Value: FixedWidthInteger>(_ offset: Int, as type: Value.Type) -> Value {
    guard offset + MemoryLayout<Value>.size <= count else { return 0 }
    var value: Value = 0
    Swift.withUnsafeMutableBytes(of: &value) { target in
      for place in 0..<target.count { target[place] = self[startIndex + offset + place] }
    }
    return value
  }
}
