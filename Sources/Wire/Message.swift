internal import CHotrack

/// A datagram that owns its bytes: for control messages, clients and tests, not for packet loops.
public struct Message: Sendable, Equatable {
  public var header: Header
  public var key: [UInt8]
  public var value: [UInt8]

  public init(_ header: Header, key: [UInt8] = [], value: [UInt8] = []) {
    self.header = header
    self.key = key
    self.value = value
  }

  /// Decodes a whole datagram.
  public init(datagram: UnsafeRawBufferPointer) throws(WireError) {
    header = try Header(datagram: datagram)
    let keyEnd = WireLimits.headerLength + Int(header.keyLength)
    key = Array(datagram[WireLimits.headerLength..<keyEnd])
    value = Array(datagram[keyEnd...])
  }

  /// Decodes a whole datagram.
  public init(datagram: [UInt8]) throws(WireError) {
    let result = datagram.withUnsafeBytes { bytes in
      Result { () throws(WireError) in try Message(datagram: bytes) }
    }
    self = try result.get()
  }

  /// The datagram; the header's lengths are those of `key` and `value`.
  public func encoded() -> [UInt8] {
    var header = header
    header.keyLength = UInt16(key.count)
    header.valueLength = UInt16(value.count)
    let length = WireLimits.headerLength + key.count + value.count
    return [UInt8](unsafeUninitializedCapacity: length) { bytes, count in
      let raw = UnsafeMutableRawBufferPointer(bytes)
      header.encode(into: raw)
      UnsafeMutableRawBufferPointer(rebasing: raw[WireLimits.headerLength...]).copyBytes(from: key)
      UnsafeMutableRawBufferPointer(rebasing: raw[(WireLimits.headerLength + key.count)...])
        .copyBytes(from: value)
      count = length
    }
  }
}
