/// An address that the caller knows to be one of IPv4.
public typealias IPv4Address = IPAddress

extension IPAddress {
  /// As `init(ipv4:)`.
  public init(rawValue: UInt32) { self.init(ipv4: rawValue) }
  /// As `ipv4`; 0: it is one of IPv6.
  public var rawValue: UInt32 { ipv4 ?? 0 }
}
