package import CHotrack
public import Wire

/// Who a rack is on the network: what tells its packets from others. Constant while it runs.
public struct RackConfiguration: Sendable, Equatable {
  /// The next rack of a chain, and the way to it.
  public struct NextRack: Sendable, Equatable {
    /// Its address: 16 bytes, as `address`.
    public var address: [UInt8]
    public var port: UInt16
    /// Index of this host's interface that leads to it.
    public var interface: UInt32
    /// The MAC address of it, or of the router towards it: 6 bytes.
    public var mac: [UInt8]

    /// Preconditions: 16 and 6 bytes.
    public init(address: [UInt8], port: UInt16, interface: UInt32, mac: [UInt8]) {
      precondition(address.count == 16 && mac.count == 6)
      self.address = address
      self.port = port
      self.interface = interface
      self.mac = mac
    }
  }

  /// The rack's address: 16 bytes, IPv4 as IPv4-mapped IPv6 (RFC 4291 §2.5.5.2).
  public var address: [UInt8]
  /// All of it is on IPv6, its clients and servers too; else on IPv4.
  public var isIPv6: Bool { !address.starts(with: MappedAddress.ipv4(0, 0, 0, 0).prefix(12)) }
  /// The UDP port that clients speak to.
  public var port: UInt16
  /// The UDP port on which servers answer the controller.
  public var controlPort: UInt16
  /// The rack before this one in a chain: only writes from exactly this address and port may be
  /// flagged as forwarded. The rack's address and port, not its servers'.
  public var neighbour: (address: [UInt8], port: UInt16)? {
    get { neighbourAddress.isEmpty ? nil : (neighbourAddress, neighbourPort) }
    set { (neighbourAddress, neighbourPort) = (newValue?.address ?? [], newValue?.port ?? 0) }
  }
  /// The rack after this one in a chain: where writes go on to when a server here has applied them.
  public var next: NextRack?
  /// One interface leads to clients and servers alike: servers answer to the rack, and the program
  /// sends everything out of the interface that it came in by.
  public var isOneArm = false
  /// Packets are counted and left to the kernel as they are.
  public var isDryRun = false
  /// What the rack's packets are tagged with; nil: they carry no tags.
  public var keys: RackKeys?
  /// What one client address may ask; nil: as much as it likes.
  public var limit: RequestLimit?
  private var neighbourAddress: [UInt8] = []
  private var neighbourPort: UInt16 = 0

  /// Precondition: an address of 16 bytes.
  public init(
    address: [UInt8], port: UInt16 = WireLimits.port, controlPort: UInt16 = WireLimits.controlPort
  ) {
    precondition(address.count == 16, "an address has 16 bytes")
    self.address = address
    self.port = port
    self.controlPort = controlPort
  }

  /// As the program reads it.
  package var raw: plane_configuration {
    var raw = plane_configuration()
    withUnsafeMutableBytes(of: &raw.address) { $0.copyBytes(from: address) }
    withUnsafeMutableBytes(of: &raw.neighbour) { $0.copyBytes(from: neighbourAddress) }
    raw.port = port.bigEndian
    raw.control_port = controlPort.bigEndian
    raw.neighbour_port = neighbourPort.bigEndian
    raw.one_arm = isOneArm ? 1 : 0
    raw.dry_run = isDryRun ? 1 : 0
    raw.ipv6 = isIPv6 ? 1 : 0
    if let keys {
      raw.rack_key_count = keys.takenToo == nil ? 1 : 2
      raw.rack_keys.0.word = (keys.making.first, keys.making.second)
      raw.rack_keys.1.word = (keys.takenToo?.first ?? 0, keys.takenToo?.second ?? 0)
    }
    if let limit {
      raw.limit_interval = limit.interval
      raw.limit_room = limit.interval * UInt64(limit.burst)
    }
    if let next {
      withUnsafeMutableBytes(of: &raw.next) { $0.copyBytes(from: next.address) }
      withUnsafeMutableBytes(of: &raw.next_mac) { $0.copyBytes(from: next.mac) }
      raw.next_port = next.port.bigEndian
      raw.next_interface = next.interface
    }
    return raw
  }
}

/// IPv4 addresses as the 16 bytes that `ServerPlace` and `RackConfiguration` hold.
public enum MappedAddress {
  /// Four bytes as an IPv4-mapped address.
  public static func ipv4(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) -> [UInt8] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
  }

  /// Dotted decimal text as an IPv4-mapped address; nil: it is not one.
  public static func ipv4(_ text: some StringProtocol) -> [UInt8]? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    let bytes = parts.compactMap { part in
      part.allSatisfy { ("0"..."9").contains($0) } ? UInt8(part) : nil
    }
    guard parts.count == 4, bytes.count == 4 else { return nil }
    return ipv4(bytes[0], bytes[1], bytes[2], bytes[3])
  }
}
