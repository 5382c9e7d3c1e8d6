internal import Glibc

/// An IPv4 address. Ordered as a number.
public struct IPv4Address: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// In host byte order: 127.0.0.1 is 0x7f00_0001.
  public let rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Four decimal numbers of 0 to 255 between points, as in "10.0.0.1"; nil for anything else.
  public init?(_ text: some StringProtocol) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var value: UInt32 = 0
    for part in parts {
      // A leading zero means octal to some programs: it is refused rather than guessed.
      guard let number = decimal(part, upTo: 255), part.count == 1 || part.first != "0" else {
        return nil
      }
      value = value << 8 | UInt32(number)
    }
    rawValue = value
  }

  /// 127.0.0.1
  public static let loopback = IPv4Address(rawValue: 0x7f00_0001)
  /// 0.0.0.0: every address of the host, or no choice.
  public static let any = IPv4Address(rawValue: 0)

  public var description: String {
    "\(rawValue >> 24).\(rawValue >> 16 & 255).\(rawValue >> 8 & 255).\(rawValue & 255)"
  }

  public static func < (a: IPv4Address, b: IPv4Address) -> Bool { a.rawValue < b.rawValue }
}

/// An IPv4 address and a UDP port.
public struct Endpoint: Sendable, Hashable, CustomStringConvertible {
  public var address: IPv4Address
  /// 0: the kernel chooses one.
  public var port: UInt16

  public init(_ address: IPv4Address, port: UInt16) {
    self.address = address
    self.port = port
  }

  /// Reads "10.0.0.1:18516"; without a port, "10.0.0.1" has `defaultPort`.
  ///
  /// Throws `SocketError.invalidEndpoint` for anything else, port 0 included.
  public init(parsing text: String, defaultPort: UInt16) throws(SocketError) {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let port = parts.count == 2 ? decimal(parts[1], upTo: 65_535) : Int(defaultPort)
    guard let first = parts.first, let address = IPv4Address(first), let port, port > 0 else {
      throw .invalidEndpoint(text)
    }
    self.init(address, port: UInt16(port))
  }

  /// Any address, and a port that the kernel chooses.
  public static let any = Endpoint(.any, port: 0)

  /// "10.0.0.1:18516"
  public var description: String { "\(address):\(port)" }
}

extension Endpoint {
  var socketAddress: sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr = in_addr(s_addr: self.address.rawValue.bigEndian)
    return address
  }

  init(_ address: sockaddr_in) {
    self.init(
      IPv4Address(rawValue: UInt32(bigEndian: address.sin_addr.s_addr)),
      port: UInt16(bigEndian: address.sin_port))
  }
}

/// A decimal number without a sign; nil for anything else, or beyond `most`.
private func decimal(_ text: some StringProtocol, upTo most: Int) -> Int? {
  guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
    let number = Int(text), number <= most
  else { return nil }
  return number
}
