internal import Sockets

extension IPAddress {
  /// An address that one host can have: not 0.x.x.x, loopback, multicast or broadcast, and of IPv6 not
  /// link-local, which means something on one link only.
  var isHost: Bool {
    guard let ipv4 else {
      let first = mapped[0]
      return !isAny && first != 0xff && !(first == 0xfe && mapped[1] & 0xc0 == 0x80)
        && description != "::1"
    }
    let first = ipv4 >> 24
    return first != 0 && first != 127 && first < 224
  }
}

/// An Ethernet address.
public struct MACAddress: Sendable, Hashable, CustomStringConvertible {
  /// The first byte on the wire is the highest of the lower six.
  public var value: UInt64

  public init(value: UInt64) { self.value = value & 0xffff_ffff_ffff }

  /// Reads six pairs of hexadecimal digits with colons between them; nil for anything else.
  public init?(_ text: String) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 6 else { return nil }
    value = 0
    for part in parts {
      guard part.count == 2, part.allSatisfy({ $0.isASCII && $0.isHexDigit }),
        let byte = UInt8(part, radix: 16)
      else { return nil }
      value = value << 8 | UInt64(byte)
    }
  }

  /// The six bytes in the order of the wire.
  public var bytes: [UInt8] { (0..<6).map { UInt8(truncatingIfNeeded: value >> (40 - 8 * $0)) } }

  public var description: String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
  }

  /// An address that one interface can have: not all zero, not a group's.
  public var isInterface: Bool { value != 0 && value >> 40 & 1 == 0 }
}
