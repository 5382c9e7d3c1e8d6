/// An interface of this host, as the kernel describes it.
public struct Link: Sendable, Equatable {
  public var index: UInt32
  public var name: String
  /// Largest packet, in bytes, without the Ethernet header.
  public var mtu: UInt32
  /// It is to be used (`ip link set … up`), and it can be: there is something at its other end.
  public var isUp: Bool
  public var hasCarrier: Bool
  /// Its kind if it is virtual: "veth", "bridge", "vlan"…
  public var kind: String?
  /// The index of what it is part of (a bridge, a bond); nil: of nothing.
  public var master: UInt32?
  /// The index of what it belongs to: the peer of a veth, the interface below a VLAN. In the
  /// namespace of `linkNamespace`, if that is given.
  public var link: UInt32?
  /// The kernel's number, in this namespace, of the one that `link` is in; nil: this one.
  public var linkNamespace: Int32?
  public var xdp: XDPState?

  /// One end of a veth pair.
  public var isPair: Bool { kind == "veth" }

  /// The XDP program of an interface.
  public struct XDPState: Sendable, Equatable {
    public enum Mode: String, Sendable {
      case native
      case generic
      case offloaded
      /// Programs in several modes at once.
      case several
    }
    public var mode: Mode
    /// The kernel's number of the program; nil: of several programs.
    public var program: UInt32?
  }
}

extension Link {
  private static let headLength = 16

  private enum Attribute {
    static let name: UInt16 = 3
    static let mtu: UInt16 = 4
    static let link: UInt16 = 5
    static let master: UInt16 = 10
    static let information: UInt16 = 18
    static let linkNamespace: UInt16 = 37
    static let targetNamespace: UInt16 = 46
    static let xdp: UInt16 = 43
    // In `information`.
    static let kind: UInt16 = 1
    // In `xdp`.
    static let attached: UInt16 = 2
    static let program: UInt16 = 4
  }

  /// nil: it is no message about an interface.
  init?(_ message: NetlinkMessage) {
    guard message.type == NetlinkMessage.Kind.newLink, message.body.count >= Self.headLength else {
      return nil
    }
    let attributes = message.attributes(after: Self.headLength)
    let flags = message.body[...].native(8, as: UInt32.self)
    func number(_ type: UInt16) -> UInt32? { attributes[type]?.native(0, as: UInt32.self) }
    index = message.body[...].native(4, as: UInt32.self)
    name = Self.text(attributes[Attribute.name])
    mtu = number(Attribute.mtu) ?? 0
    isUp = flags & 0x1 != 0
    // IFF_LOWER_UP
    hasCarrier = flags & 0x1_0000 != 0
    let information = attributes[Attribute.information].map { NetlinkMessage.attributes(in: $0) }
    kind = information?[Attribute.kind].map { Self.text($0) }
    master = number(Attribute.master)
    link = number(Attribute.link).flatMap { $0 == 0 ? nil : $0 }
    linkNamespace = number(Attribute.linkNamespace).map { Int32(bitPattern: $0) }
    let xdp = attributes[Attribute.xdp].map { NetlinkMessage.attributes(in: $0) }
    let mode: XDPState.Mode? =
      switch xdp?[Attribute.attached]?.first {
      case 1: .native
      case 2: .generic
      case 3: .offloaded
      case 4: .several
      default: nil
      }
    self.xdp = mode.map {
      XDPState(mode: $0, program: xdp?[Attribute.program]?.native(0, as: UInt32.self))
    }
  }

  private static func text(_ bytes: ArraySlice<UInt8>?) -> String {
    String(decoding: (bytes ?? []).prefix { $0 != 0 }, as: UTF8.self)
  }

  static func request(name: String) -> NetlinkMessage {
    var message = head(flags: NetlinkMessage.Flag.request)
    message.append(attribute: Attribute.name, Array(name.utf8) + [0])
    return message
  }

  /// By its index, in the namespace that has this number here (nil: in this one).
  static func request(index: UInt32, namespace: Int32?) -> NetlinkMessage {
    var message = head(flags: NetlinkMessage.Flag.request)
    withUnsafeBytes(of: index) { message.body.replaceSubrange(4..<8, with: $0) }
    if let namespace {
      var bytes: [UInt8] = []
      bytes.append(native: namespace)
      message.append(attribute: Attribute.targetNamespace, bytes)
    }
    return message
  }

  static var list: NetlinkMessage {
    head(flags: NetlinkMessage.Flag.request | NetlinkMessage.Flag.dump)
  }

  private static func head(flags: UInt16) -> NetlinkMessage {
    NetlinkMessage(
      type: NetlinkMessage.Kind.getLink, flags: flags, sequence: 0,
      body: Array(repeating: 0, count: headLength))
  }
}
