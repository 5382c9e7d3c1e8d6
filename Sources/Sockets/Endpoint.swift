internal import Glibc

/// An IPv4 or IPv6 address, without a zone. Ordered as a number, IPv4 among themselves.
public struct IPAddress: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// Its 16 bytes in two halves, in host byte order; IPv4 as IPv4-mapped IPv6 (RFC 4291 §2.5.5.2).
  public let high: UInt64
  public let low: UInt64

  /// The address of these two halves.
  public init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }

  /// An IPv4 address in host byte order: 127.0.0.1 is 0x7f00_0001.
  public init(ipv4: UInt32) { self.init(high: 0, low: 0xffff << 32 | UInt64(ipv4)) }

  /// The 16 bytes that are sent, IPv4 as IPv4-mapped IPv6. Precondition: 16 bytes.
  public init(mapped bytes: some Sequence<UInt8>) {
    let bytes = Array(bytes)
    precondition(bytes.count == 16, "an address has 16 bytes")
    self.init(
      high: bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) },
      low: bytes[8...].reduce(0) { $0 << 8 | UInt64($1) })
  }

  /// Four decimal numbers of 0 to 255 between points, as in "10.0.0.1", or IPv6 as RFC 4291 §2.2 has it,
  /// as in "fd00::1"; nil for anything else.
  public init?(_ text: some StringProtocol) {
    if text.contains(":") {
      var address = in6_addr()
      guard inet_pton(AF_INET6, String(text), &address) == 1 else { return nil }
      self = withUnsafeBytes(of: &address) { IPAddress(mapped: $0) }
      return
    }
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
    self.init(ipv4: value)
  }

  /// Four bytes or 16, as on the wire; nil for any other number.
  public init?(bytes: [UInt8]) {
    switch bytes.count {
    case 4: self.init(ipv4: bytes.reduce(0) { $0 << 8 | UInt32($1) })
    case 16: self.init(mapped: bytes)
    default: return nil
    }
  }

  /// Four bytes or 16, as on the wire.
  public var bytes: [UInt8] { ipv4 == nil ? mapped : Array(mapped.suffix(4)) }

  /// The 16 bytes that are sent, IPv4 as IPv4-mapped IPv6.
  public var mapped: [UInt8] {
    [high, low].flatMap { half in
      (0..<8).map { UInt8(truncatingIfNeeded: half >> (56 - 8 * UInt64($0))) }
    }
  }

  public var isIPv6: Bool { high != 0 || low >> 32 != 0xffff }

  /// In host byte order; nil: it is one of IPv6.
  public var ipv4: UInt32? { isIPv6 ? nil : UInt32(truncatingIfNeeded: low) }

  /// Every address of the host, or no choice.
  public var isAny: Bool { self == .any || self == .anyIPv6 }

  /// 127.0.0.1
  public static let loopback = IPAddress(ipv4: 0x7f00_0001)
  /// 0.0.0.0
  public static let any = IPAddress(ipv4: 0)
  /// ::
  public static let anyIPv6 = IPAddress(high: 0, low: 0)

  public var description: String {
    if let ipv4 { return "\(ipv4 >> 24).\(ipv4 >> 16 & 255).\(ipv4 >> 8 & 255).\(ipv4 & 255)" }
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    var address = socketAddress
    inet_ntop(AF_INET6, &address, &text, socklen_t(text.count))
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  public static func < (a: IPAddress, b: IPAddress) -> Bool {
    (a.high, a.low) < (b.high, b.low)
  }

  var socketAddress: in6_addr {
    var address = in6_addr()
    withUnsafeMutableBytes(of: &address) { bytes in
      bytes.storeBytes(of: high.bigEndian, as: UInt64.self)
      bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
    }
    return address
  }

  init(_ address: in6_addr) {
    (high, low) = withUnsafeBytes(of: address) { bytes in
      (
        UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
        UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
      )
    }
  }
}

/// An IP address and a UDP port.
public struct Endpoint: Sendable, Hashable, CustomStringConvertible {
  public var address: IPAddress
  /// 0: the kernel chooses one.
  public var port: UInt16

  public init(_ address: IPAddress, port: UInt16) {
    self.address = address
    self.port = port
  }

  /// Reads "10.0.0.1:18516" or "[fd00::1]:18516"; without a port, "10.0.0.1", "fd00::1" and "[fd00::1]"
  /// have `defaultPort`.
  ///
  /// Throws `SocketError.invalidEndpoint` for anything else, port 0 included.
  public init(parsing text: String, defaultPort: UInt16) throws(SocketError) {
    var (host, port) = (text[...], Substring(String(defaultPort)))
    if let end = text.lastIndex(of: "]"), text.first == "[" {
      host = text[text.index(after: text.startIndex)..<end]
      let rest = text[text.index(after: end)...]
      guard rest.isEmpty || rest.first == ":", host.contains(":") else {
        throw .invalidEndpoint(text)
      }
      if !rest.isEmpty { port = rest.dropFirst() }
    } else if let colon = text.firstIndex(of: ":"), colon == text.lastIndex(of: ":") {
      (host, port) = (text[..<colon], text[text.index(after: colon)...])
    }
    guard let address = IPAddress(host), let number = decimal(port, upTo: 65_535), number > 0 else {
      throw .invalidEndpoint(text)
    }
    self.init(address, port: UInt16(number))
  }

  /// Any address, and a port that the kernel chooses.
  public static let any = Endpoint(.any, port: 0)

  /// "10.0.0.1:18516", "[fd00::1]:18516"
  public var description: String { address.isIPv6 ? "[\(address)]:\(port)" : "\(address):\(port)" }
}

extension Endpoint {
  /// As the kernel wants it: of IPv4, a `sockaddr_in` in the first bytes.
  var socketAddress: sockaddr_in6 {
    var storage = sockaddr_in6()
    guard let ipv4 = address.ipv4 else {
      storage.sin6_family = sa_family_t(AF_INET6)
      storage.sin6_port = port.bigEndian
      storage.sin6_addr = address.socketAddress
      return storage
    }
    var plain = sockaddr_in()
    plain.sin_family = sa_family_t(AF_INET)
    plain.sin_port = port.bigEndian
    plain.sin_addr = in_addr(s_addr: ipv4.bigEndian)
    withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: plain, as: sockaddr_in.self) }
    return storage
  }

  var socketAddressLength: socklen_t {
    socklen_t(address.isIPv6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size)
  }

  init(_ storage: sockaddr_in6) {
    guard storage.sin6_family != sa_family_t(AF_INET6) else {
      self.init(IPAddress(storage.sin6_addr), port: UInt16(bigEndian: storage.sin6_port))
      return
    }
    let plain = withUnsafeBytes(of: storage) { $0.loadUnaligned(as: sockaddr_in.self) }
    self.init(
      IPAddress(ipv4: UInt32(bigEndian: plain.sin_addr.s_addr)),
      port: UInt16(bigEndian: plain.sin_port))
  }
}

/// A decimal number without a sign; nil for anything else, or beyond `most`.
private func decimal(_ text: some StringProtocol, upTo most: Int) -> Int? {
  guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
    let number = Int(text), number <= most
  else { return nil }
  return number
}
