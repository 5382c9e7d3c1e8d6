public import ControllerCore
public import DataPlane
public import Directory
public import Sockets
public import Wire

/// What a controller is told at its start: its rack, and how to run it.
public struct ControllerOptions: Sendable {
  /// One storage server of the rack.
  public struct Server: Sendable, Equatable {
    /// 0...31, unique in the rack.
    public var number: UInt8
    /// Where it listens.
    public var endpoint: Endpoint
    /// The interface of this host behind which it is.
    public var interface: String
    /// Its MAC address, 6 bytes; nil: as the kernel's neighbour table has it.
    public var mac: [UInt8]?
    /// It takes no part until it is added by command.
    public var isDrained = false

    /// A server at this place.
    public init(
      number: UInt8, endpoint: Endpoint, interface: String, mac: [UInt8]? = nil,
      isDrained: Bool = false
    ) {
      self.number = number
      self.endpoint = endpoint
      self.interface = interface
      self.mac = mac
      self.isDrained = isDrained
    }
  }

  /// Of the rack, for people.
  public var name: String
  /// Where clients send requests.
  public var rack: Endpoint
  /// The controller's UDP port, at the rack's address.
  public var controlPort: UInt16
  /// Of the key hash; the clients and servers have the same.
  public var hashSeed: UInt64
  /// What the rack's packets are tagged with; nil: they carry no tags.
  public var keys: RackKeys?
  /// What one client address may ask; nil: as much as it likes.
  public var limit: RequestLimit?
  /// Servers that an acknowledged write is on: 1 or 2.
  public var copies = 1
  /// Where in the kernel it is; nil: where it is running, or else what suits the interfaces.
  public var plane: PlaneKind?
  /// Packets are counted only: `DryRun`.
  public var isDryRun = false
  /// The interfaces that carry the data plane's program.
  public var interfaces: [String]
  /// The one interface leads to clients and servers alike, and servers answer to the rack.
  public var isOneArm = false
  /// Of the directory: a power of two, each with room for four hot keys.
  public var buckets: Int
  /// Versions that a state word can count, 16...2^30.
  public var window: UInt32
  /// Keeps the epoch.
  public var stateFile: String
  /// Path of the control socket, at most 107 bytes.
  public var socket: String
  /// Take the data plane away when the controller is told to stop, instead of leaving it to the
  /// next one.
  public var detachesOnExit = false
  /// A running data plane gets this version's program even if it has it.
  public var replacesProgram = false
  public var policy = PolicyConfiguration()
  public var times = ControllerTimes()
  public var servers: [Server]
  /// What the rack file says, key by key: a reload compares it with what the file says then.
  public var settings: [RackSetting] = []

  /// Options with the usual ports, sizes, policy and times.
  public init(
    name: String, rack: Endpoint, controlPort: UInt16 = WireLimits.controlPort,
    hashSeed: UInt64 = 0, interfaces: [String], buckets: Int = 2048, window: UInt32 = 1 << 30,
    stateFile: String, socket: String, servers: [Server]
  ) {
    self.name = name
    self.rack = rack
    self.controlPort = controlPort
    self.hashSeed = hashSeed
    self.interfaces = interfaces
    self.buckets = buckets
    self.window = window
    self.stateFile = stateFile
    self.socket = socket
    self.servers = servers
  }

  /// Throws what would make a controller of these options impossible on any host.
  func check() throws(ControllerError) {
    guard servers.isEmpty || servers.contains(where: { !$0.isDrained }) else {
      throw .options("all servers are drained: a rack needs one that is not")
    }
    guard !servers.isEmpty else { throw .options("a rack needs at least one server") }
    guard !interfaces.isEmpty else { throw .options("a rack needs at least one interface") }
    guard !isOneArm || interfaces.count == 1 else {
      throw .options("a rack in one-arm mode has exactly one interface")
    }
    for (index, server) in servers.enumerated() {
      guard server.number < WireLimits.serversMax else {
        throw .options("there is no server \(server.number): servers are numbered 0 to 31")
      }
      guard !servers[..<index].contains(where: { $0.number == server.number }) else {
        throw .options("server \(server.number) is there twice: give each a number of its own")
      }
      guard !servers[..<index].contains(where: { $0.endpoint == server.endpoint }) else {
        throw .options("two servers are at \(server.endpoint): give each its own address or port")
      }
      guard server.endpoint.address.isIPv6 == rack.address.isIPv6 else {
        throw .options(
          "server \(server.number) is at \(server.endpoint.address), and the rack at "
            + "\(rack.address): give all of them IPv4 or all of them IPv6 addresses")
      }
      guard interfaces.contains(server.interface) else {
        throw .options(
          "server \(server.number) is behind \(server.interface), which is not one of the rack's "
            + "interfaces (\(interfaces.joined(separator: ", ")))")
      }
      guard server.mac.map({ $0.count == 6 }) ?? true else {
        throw .options("the MAC address of server \(server.number) does not have 6 bytes")
      }
    }
    guard controlPort != rack.port else {
      throw .options("control port and rack port are both \(rack.port): choose two")
    }
    guard (16...(1 << 30)).contains(window) else {
      throw .options("the version window is \(window): choose 16 to 1073741824")
    }
    guard buckets > 0, buckets & (buckets - 1) == 0, buckets <= 1 << 20 else {
      throw .options("\(buckets) buckets: choose a power of two up to 1048576")
    }
  }
}
