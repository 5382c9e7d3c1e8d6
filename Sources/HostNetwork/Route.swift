/// How the kernel would send to an address.
public struct Route: Sendable, Equatable {
  /// The router that packets go to; nil: the address itself is on the interface's network.
  public var gateway: [UInt8]?
  /// The index of the interface that they leave by; 0: none.
  public var interface: UInt32
  /// The address is one of this host's.
  public var isLocal: Bool

  /// A way to an address.
  public init(gateway: [UInt8]?, interface: UInt32, isLocal: Bool = false) {
    self.gateway = gateway
    self.interface = interface
    self.isLocal = isLocal
  }
}

extension Route {
  private static let headLength = 12
  private static let destination: UInt16 = 1
  private static let outInterface: UInt16 = 4
  private static let gatewayAddress: UInt16 = 5
  private static let via: UInt16 = 18
  private static let localType: UInt8 = 2

  /// nil: it is no message about a route.
  init?(_ message: NetlinkMessage) {
    guard message.type == NetlinkMessage.Kind.newRoute, message.body.count >= Self.headLength else {
      return nil
    }
    let attributes = message.attributes(after: Self.headLength)
    var gateway = attributes[Self.gatewayAddress].map { Array($0) }
    // A router of the other family: two bytes say which, then its address.
    if gateway == nil, let via = attributes[Self.via], via.count == 2 + 4 || via.count == 2 + 16 {
      gateway = Array(via.dropFirst(2))
    }
    self.init(
      gateway: gateway, interface: attributes[Self.outInterface]?.native(0, as: UInt32.self) ?? 0,
      isLocal: message.body[7] == Self.localType)
  }

  /// Asks for the way to an address (4 or 16 bytes), by an interface if its index is not 0.
  static func request(to address: [UInt8], interface: UInt32) -> NetlinkMessage {
    var message = NetlinkMessage(
      type: NetlinkMessage.Kind.getRoute, flags: NetlinkMessage.Flag.request, sequence: 0,
      body: [AddressFamily.of(address), UInt8(address.count * 8)]
        + Array(repeating: 0, count: headLength - 2))
    message.append(attribute: destination, address)
    if interface != 0 {
      var index: [UInt8] = []
      index.append(native: interface)
      message.append(attribute: outInterface, index)
    }
    return message
  }
}
