/// What the driver of an interface can do with XDP programs, as the kernel says by generic netlink
/// (`Documentation/netlink/specs/netdev.yaml`, NETDEV_XDP_ACT_…).
public struct XDPFeatures: OptionSet, Sendable, Equatable {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// It runs programs itself.
  public static let native = XDPFeatures(rawValue: 1)
  public static let redirect = XDPFeatures(rawValue: 2)
  /// Frames can be redirected to it. (To a veth: if its other end takes them in.)
  public static let transmit = XDPFeatures(rawValue: 4)
  /// Frames in several buffers, larger than a page, can be received.
  public static let largeFrames = XDPFeatures(rawValue: 32)
}

extension XDPFeatures {
  private static let controlFamily: UInt16 = 0x10
  private static let getFamily: UInt8 = 3
  private static let familyNumber: UInt16 = 1
  private static let familyName: UInt16 = 2
  private static let getDevice: UInt8 = 1
  private static let interface: UInt16 = 1
  private static let features: UInt16 = 3
  private static let headLength = 4

  static var familyRequest: NetlinkMessage {
    var message = NetlinkMessage(
      type: controlFamily, flags: NetlinkMessage.Flag.request, sequence: 1,
      body: [getFamily, 1, 0, 0])
    message.append(attribute: familyName, Array("netdev".utf8) + [0])
    return message
  }

  /// nil: the kernel does not know that family.
  static func family(in answer: NetlinkMessage) -> UInt16? {
    guard answer.type == controlFamily else { return nil }
    return answer.attributes(after: headLength)[familyNumber]?.native(0, as: UInt16.self)
  }

  static func request(family: UInt16, interface index: UInt32) -> NetlinkMessage {
    var message = NetlinkMessage(
      type: family, flags: NetlinkMessage.Flag.request, sequence: 2, body: [getDevice, 1, 0, 0])
    var bytes: [UInt8] = []
    bytes.append(native: index)
    message.append(attribute: interface, bytes)
    return message
  }

  init?(_ answer: NetlinkMessage, family: UInt16) {
    guard answer.type == family,
      let value = answer.attributes(after: Self.headLength)[Self.features]
    else { return nil }
    rawValue = value.native(0, as: UInt64.self)
  }
}
