public import Configuration
public import Sockets

/// What a testbed consists of: pure, from its file alone. All testbeds use the same addresses; each
/// lives in namespaces of its own, where nobody else sees them.
public struct TestbedLayout: Sendable, Equatable {
  /// A server or a client: one namespace with one link, to the directory host or to the bridge.
  public struct Node: Sendable, Equatable {
    public enum Kind: String, Sendable {
      case server = "s"
      case client = "c"
    }
    public var kind: Kind
    /// From 0.
    public var number: Int
    /// `s0`, `c1`.
    public var name: String { kind.rawValue + String(number) }
    public var namespace: String
    public var address: IPAddress
    /// The link's other end, and its MAC address.
    public var farInterface: String
    public var farMAC: MACAddress
    /// The link's end in this node's namespace.
    public var interface: String
    public var mac: MACAddress
  }

  public let name: String
  public let mode: DirectoryMode
  public let isIPv6: Bool
  public let directoryNamespace: String
  /// Servers first, then clients.
  public let nodes: [Node]

  /// The rack's address on IPv4, on the loopback interface of the directory host.
  public static let rackAddress = address(0, 1, isIPv6: false)
  /// Where clients send requests on IPv4.
  public static let rackEndpoint = Endpoint(rackAddress, port: 18516)
  /// The rack's address in this testbed.
  public var rackAddress: IPAddress { Self.address(0, 1, isIPv6: isIPv6) }
  /// Where clients send requests in this testbed.
  public var rackEndpoint: Endpoint { Endpoint(rackAddress, port: 18516) }
  /// Everything of a testbed is in it: 10.18.0.0/16, or the same in a prefix of RFC 4193.
  private var network: String { isIPv6 ? "fd18::/64" : "10.18.0.0/16" }
  /// Of one host.
  private var prefixLength: Int { isIPv6 ? 128 : 32 }

  private static func address(_ group: UInt8, _ number: UInt8, isIPv6: Bool) -> IPAddress {
    isIPv6
      ? IPAddress(mapped: [0xfd, 0x18] + Array(repeating: 0, count: 10) + [10, 18, group, number])
      : IPAddress(ipv4: 0x0a12_0000 | UInt32(group) << 8 | UInt32(number))
  }

  public init(
    name: String, servers: Int, clients: Int, mode: DirectoryMode = .switch,
    isIPv6: Bool = false
  ) {
    self.name = name
    self.mode = mode
    self.isIPv6 = isIPv6
    directoryNamespace = Self.namespacePrefix(name) + "dir"
    let tag = Self.tag(name)
    func node(_ kind: Node.Kind, _ number: Int) -> Node {
      let (high, low) = kind == .server ? (UInt8(1), UInt64(1)) : (UInt8(2), UInt64(3))
      let label = kind.rawValue + String(number)
      // 02: locally administered. Then "HT", whose end of what, and the number.
      func mac(_ end: UInt64) -> MACAddress {
        MACAddress(value: 0x02_48_54_00_00_00 | end << 8 | UInt64(number))
      }
      return Node(
        kind: kind, number: number, namespace: Self.namespacePrefix(name) + label,
        address: Self.address(high, UInt8(number + 1), isIPv6: isIPv6),
        farInterface: "ht-\(tag)-\(label)", farMAC: mac(low + 1),
        interface: "ht-\(tag)-\(label)p", mac: mac(low))
    }
    nodes = (0..<servers).map { node(.server, $0) } + (0..<clients).map { node(.client, $0) }
  }

  public var servers: [Node] { nodes.filter { $0.kind == .server } }
  public var clients: [Node] { nodes.filter { $0.kind == .client } }
  /// All namespaces, the directory host's first.
  public var namespaces: [String] {
    [directoryNamespace] + (bridgeNamespace.map { [$0] } ?? []) + nodes.map(\.namespace)
  }

  /// In one-arm mode, where the bridge is that all links lead to; otherwise they lead to the
  /// directory host.
  public var bridgeNamespace: String? {
    mode == .oneArm ? Self.namespacePrefix(name) + "net" : nil
  }
  /// Where the far ends of nodes' links are.
  var farNamespace: String { bridgeNamespace ?? directoryNamespace }
  private var bridge: String { "ht-\(Self.tag(name))-net" }
  /// In one-arm mode, the link of the directory host to the bridge: its own end, and the other.
  var directoryLink: (interface: String, peer: String) {
    ("ht-\(Self.tag(name))-dir", "ht-\(Self.tag(name))-dirp")
  }
  private static let directoryMAC = MACAddress(value: 0x02_48_54_00_05_00)

  /// The interface of the directory host behind which a node is, and its MAC address.
  public func directoryInterface(of node: Node) -> String {
    mode == .oneArm ? directoryLink.interface : node.farInterface
  }
  func directoryMAC(of node: Node) -> MACAddress {
    mode == .oneArm ? Self.directoryMAC : node.farMAC
  }
  /// The interfaces of the directory host.
  public var directoryInterfaces: [String] {
    mode == .oneArm ? [directoryLink.interface] : nodes.map(\.farInterface)
  }

  /// The namespace of `dir`, `net`, `s0`, `c0`...; nil if there is no such node.
  public func namespace(of node: String) -> String? {
    switch node {
    case "dir": directoryNamespace
    case "net": bridgeNamespace
    default: nodes.first { $0.name == node }?.namespace
    }
  }

  /// The interface, in a node's namespace, of the relay that delays its frames.
  static func relayInterface(of node: Node) -> String { node.farInterface + "r" }

  static func namespacePrefix(_ name: String) -> String { "ht-\(name)-" }

  /// Whether a namespace belongs to the testbed of this name: `ht-NAME-` and `dir`, `net`, `s0`, `c0`...
  /// (That of testbed `a-b` does not belong to testbed `a`.)
  static func isNamespace(_ namespace: String, of name: String) -> Bool {
    guard namespace.hasPrefix(namespacePrefix(name)) else { return false }
    return isNodeName(namespace.dropFirst(namespacePrefix(name).count))
  }

  /// The testbed that a namespace belongs to, if any.
  static func testbed(ofNamespace namespace: String) -> String? {
    guard namespace.hasPrefix("ht-"), let dash = namespace.lastIndex(of: "-"),
      isNodeName(namespace[namespace.index(after: dash)...])
    else { return nil }
    let name = String(namespace[..<dash].dropFirst(3))
    return TestbedFile.isName(name) ? name : nil
  }

  private static func isNodeName(_ text: some StringProtocol) -> Bool {
    if text == "dir" || text == "net" { return true }
    guard let kind = text.first, kind == "s" || kind == "c" else { return false }
    let digits = text.dropFirst()
    return (1...2).contains(digits.count) && digits.utf8.allSatisfy { (48...57).contains($0) }
  }

  /// At most 7 characters that tell testbeds apart in the names of interfaces, which have at most
  /// 15: the name itself, or its beginning and a hash (FNV-1a) of it.
  static func tag(_ name: String) -> String {
    guard name.utf8.count > 7 else { return name }
    var hash: UInt32 = 2_166_136_261
    for byte in name.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
    let digits = String(hash & 0xf_ffff, radix: 16)
    return name.prefix(2) + String(repeating: "0", count: 5 - digits.count) + digits
  }
}

/// The commands of `ip -batch` that build it.
extension TestbedLayout {
  /// To be run in the host's namespace: namespaces, and links that begin and end in them.
  var linkCommands: [String] {
    var commands = namespaces.map { "netns add \($0)" }
    if let bridgeNamespace {
      commands.append(
        "link add \(directoryLink.interface) address \(Self.directoryMAC) "
          + "netns \(directoryNamespace) type veth peer name \(directoryLink.peer) "
          + "netns \(bridgeNamespace)")
    }
    return commands
      + nodes.map { node in
        "link add \(node.farInterface) address \(node.farMAC) "
          + "netns \(farNamespace) type veth peer name \(node.interface) "
          + "address \(node.mac) netns \(node.namespace)"
      }
  }

  /// To be run where the bridge is.
  var bridgeCommands: [String] {
    ["link add \(bridge) type bridge", "link set \(bridge) up"]
      + ([directoryLink.peer] + nodes.map(\.farInterface)).map { port in
        "link set \(port) master \(bridge) up"
      }
  }

  /// To be run on the directory host. Every neighbour is known for good: nothing has to be resolved
  /// before the first packet, and nothing is forgotten under load.
  var directoryCommands: [String] {
    ["link set lo up", "address add \(rackAddress)/\(prefixLength) dev lo\(noProbe)"]
      + directoryInterfaces.map { "link set \($0) up" }
      + nodes.flatMap { node in
        let interface = directoryInterface(of: node)
        return [
          "route add \(node.address)/\(prefixLength) dev \(interface) src \(rackAddress)",
          "neighbour replace \(node.address) lladdr \(node.mac) nud permanent dev \(interface)",
        ]
      }
  }

  /// An address of IPv6 is used at once, without asking first whether somebody else has it.
  private var noProbe: String { isIPv6 ? " nodad" : "" }

  /// To be run in a node's namespace: everything goes to the directory host.
  func commands(of node: Node) -> [String] {
    [
      "link set lo up",
      "address add \(node.address)/\(prefixLength) dev \(node.interface)\(noProbe)",
      "link set \(node.interface) up",
      "neighbour replace \(rackAddress) lladdr \(directoryMAC(of: node)) nud permanent "
        + "dev \(node.interface)",
      "route add \(rackAddress)/\(prefixLength) dev \(node.interface) src \(node.address)",
      "route add \(network) via \(rackAddress) dev \(node.interface) "
        + "src \(node.address) onlink",
    ]
  }

  /// Where the key of a rack with one is.
  static func rackKeyFile(in folder: String) -> String { "\(folder)/rack.key" }

  /// The rack file of the controller.
  public func rackFile(of file: TestbedFile, folder: String) -> RackFile {
    var rack = RackFile(
      name: name, address: rackAddress, hashSeed: file.hashSeed, copies: file.copies,
      mode: mode, interfaces: directoryInterfaces, buckets: file.buckets, window: file.window,
      stateFile: "\(folder)/directory.state", socket: "\(folder)/controller.socket",
      policy: file.policy,
      servers: servers.map { node in
        RackFile.Server(
          number: node.number, address: node.address, port: 18516,
          interface: directoryInterface(of: node), mac: node.mac)
      })
    rack.plane = file.plane
    rack.limits = file.limits
    if file.isTagged { rack.rackKeyFile = Self.rackKeyFile(in: folder) }
    return rack
  }
}
