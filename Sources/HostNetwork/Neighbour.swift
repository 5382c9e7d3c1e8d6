/// An entry of the kernel's neighbour table (ARP, neighbour discovery).
public struct Neighbour: Sendable, Hashable {
  /// How sure the kernel is of it (`ip neighbour` has the same words).
  public enum State: String, Sendable {
    /// The kernel asks for it, and has had no answer yet.
    case incomplete
    case reachable
    /// It was right a while ago; the kernel asks again when it is used.
    case stale
    case delay
    case probe
    /// Nobody has answered.
    case failed
    case noARP = "noarp"
    /// Entered by hand, for good.
    case permanent
    case none
  }

  /// The index of the interface that it is behind.
  public var interface: UInt32
  /// Its address: 4 bytes, or 16.
  public var address: [UInt8]
  /// Its MAC address, 6 bytes; nil: not known.
  public var mac: [UInt8]?
  public var state: State

  /// An entry as it stands in the table.
  public init(interface: UInt32, address: [UInt8], mac: [UInt8]?, state: State) {
    self.interface = interface
    self.address = address
    self.mac = mac
    self.state = state
  }

  /// Packets can be sent by it.
  public var isValid: Bool {
    mac != nil && state != .failed && state != .incomplete && state != .none
  }
}

extension Neighbour.State {
  init(kernel state: UInt16) {
    self =
      switch state {
      case 0x01: .incomplete
      case 0x02: .reachable
      case 0x04: .stale
      case 0x08: .delay
      case 0x10: .probe
      case 0x20: .failed
      case 0x40: .noARP
      case 0x80: .permanent
      default: .none
      }
  }
}

/// The codes of address families that the kernel's messages have.
enum AddressFamily {
  static let ipv4: UInt8 = 2
  static let ipv6: UInt8 = 10

  static func of(_ address: [UInt8]) -> UInt8 { address.count == 4 ? ipv4 : ipv6 }
}

extension Neighbour {
  private static let headLength = 12
  private static let destination: UInt16 = 1
  private static let linkAddress: UInt16 = 2
  private static let failedState: UInt16 = 0x20
  private static let isUsed: UInt8 = 0x01

  /// nil: it is no message about a neighbour of IPv4 or IPv6.
  init?(_ message: NetlinkMessage) {
    guard
      message.type == NetlinkMessage.Kind.newNeighbour
        || message.type == NetlinkMessage.Kind.deleteNeighbour,
      message.body.count >= Self.headLength,
      message.body[0] == AddressFamily.ipv4 || message.body[0] == AddressFamily.ipv6
    else { return nil }
    let attributes = message.attributes(after: Self.headLength)
    guard let address = attributes[Self.destination],
      address.count == (message.body[0] == AddressFamily.ipv4 ? 4 : 16)
    else { return nil }
    let mac = attributes[Self.linkAddress].flatMap { $0.count == 6 ? Array($0) : nil }
    self.init(
      interface: message.body[...].native(4, as: UInt32.self), address: Array(address), mac: mac,
      state: message.type == NetlinkMessage.Kind.deleteNeighbour
        ? .none : State(kernel: message.body[...].native(8, as: UInt16.self)))
  }

  static func list(family: UInt8) -> NetlinkMessage {
    NetlinkMessage(
      type: NetlinkMessage.Kind.getNeighbour,
      flags: NetlinkMessage.Flag.request | NetlinkMessage.Flag.dump, sequence: 0,
      body: head(family: family, interface: 0, state: 0, flags: 0))
  }

  /// As if a packet were sent there: an entry that is missing, stale or failed is asked for.
  static func use(_ address: [UInt8], interface: UInt32) -> NetlinkMessage {
    change(address, interface, state: 0, flags: isUsed)
  }

  /// What is known of it does not count any more.
  static func fail(_ address: [UInt8], interface: UInt32) -> NetlinkMessage {
    change(address, interface, state: failedState, flags: 0)
  }

  private static func change(
    _ address: [UInt8], _ interface: UInt32, state: UInt16, flags: UInt8
  ) -> NetlinkMessage {
    var message = NetlinkMessage(
      type: NetlinkMessage.Kind.newNeighbour,
      flags: NetlinkMessage.Flag.request | NetlinkMessage.Flag.acknowledge
        | NetlinkMessage.Flag.replace | NetlinkMessage.Flag.create,
      sequence: 0,
      body: head(
        family: AddressFamily.of(address), interface: interface, state: state, flags: flags))
    message.append(attribute: destination, address)
    return message
  }

  private static func head(
    family: UInt8, interface: UInt32, state: UInt16, flags: UInt8
  ) -> [UInt8] {
    var head: [UInt8] = [family, 0, 0, 0]
    head.append(native: interface)
    head.append(native: state)
    return head + [flags, 0]
  }
}
