public import Sockets

/// The rack file (`rack.toml`): what `hotrack controller` is told about its rack.
public struct RackFile: Sendable, Equatable {
  /// `[[server]]`: one storage server.
  public struct Server: Sendable, Equatable {
    /// 0...31, unique in the rack.
    public var number: Int
    public var address: IPAddress
    public var port: UInt16
    /// The interface of the directory host behind which it is.
    public var interface: String
    /// nil: what the directory host's kernel has learnt for its address.
    public var mac: MACAddress?
    /// It takes no part until it is added with `hotrack servers add`.
    public var isDrained: Bool

    public init(
      number: Int, address: IPAddress, port: UInt16, interface: String, mac: MACAddress?,
      isDrained: Bool = false
    ) {
      self.number = number
      self.address = address
      self.port = port
      self.interface = interface
      self.mac = mac
      self.isDrained = isDrained
    }
  }

  /// Lower-case letters, digits and dashes.
  public var name: String
  /// Where clients send requests.
  public var address: IPAddress
  public var port: UInt16
  /// The controller's own UDP port.
  public var controlPort: UInt16
  /// Seed of the key hash; clients must use the same.
  public var hashSeed: UInt64
  /// The file with the key that the rack's packets are tagged with; nil: they carry no tags.
  public var rackKeyFile: String?
  /// Servers that an acknowledged write is on: 1, or 2.
  public var copies: Int
  /// `mode`; the default is `"switch"`.
  public var mode: DirectoryMode
  /// `plane`; the default is `"auto"`.
  public var plane = PlaneChoice.auto
  /// The interfaces that carry the data plane's program, those of the servers among them.
  public var interfaces: [String]
  /// Buckets of the directory, a power of two; nil: the default.
  public var buckets: Int?
  /// Versions that a state word can count, a power of two; nil: the default (2^30).
  public var window: Int?
  /// Keeps the epoch over restarts.
  public var stateFile: String
  /// The controller's Unix socket.
  public var socket: String
  public var policy: PolicySettings
  /// `[limits]`.
  public var limits = LimitSettings()
  public var servers: [Server]

  public init(
    name: String, address: IPAddress, port: UInt16 = 18516, controlPort: UInt16 = 18517,
    hashSeed: UInt64 = 0, copies: Int = 1, mode: DirectoryMode = .switch, interfaces: [String],
    buckets: Int? = nil,
    window: Int? = nil,
    stateFile: String? = nil, socket: String? = nil,
    policy: PolicySettings = PolicySettings(), servers: [Server]
  ) {
    self.name = name
    self.address = address
    self.port = port
    self.controlPort = controlPort
    self.hashSeed = hashSeed
    self.copies = copies
    self.mode = mode
    self.interfaces = interfaces
    self.buckets = buckets
    self.window = window
    self.stateFile = stateFile ?? Self.defaultStateFile(name)
    self.socket = socket ?? Self.defaultSocket(name)
    self.policy = policy
    self.servers = servers
  }

  /// Where a rack's epoch is kept unless the file says otherwise.
  public static func defaultStateFile(_ name: String) -> String {
    "/var/lib/hotrack/\(name).state"
  }

  /// Where a rack's controller listens unless the file says otherwise.
  public static func defaultSocket(_ name: String) -> String {
    "/run/hotrack/\(name)/controller.socket"
  }

  /// Reads and checks a rack file.
  /// - Throws: everything that is wrong with it, at once.
  public init(file: String) throws(ConfigurationError) {
    self = try Self(text: try readText(file: file), file: file)
  }

  /// As `init(file:)`, from text; `file` is the name for messages.
  public init(text: String, file: String) throws(ConfigurationError) {
    self = try readDocument(text: text, file: file) { Self($0) }
  }

  private init(_ document: TableReader) {
    let rack = document.requiredTable("rack")
    name = rack?.requiredString("name", plainNameExpected) { isPlainName($0, length: 1...32) } ?? ""
    address = rack?.address("address") ?? IPAddress.any
    port = rack?.port("port") ?? 18516
    controlPort = rack?.port("control_port") ?? 18517
    hashSeed = UInt64(rack?.integer("hash_seed", 0...Int.max) ?? 0)
    rackKeyFile = rack?.string("rack_key_file", pathExpected, isAbsolutePath)
    copies = rack?.integer("copies", 1...2) ?? 1
    if port == controlPort {
      rack?.wrong("control_port", shown: String(controlPort), "another port than the rack's")
    }
    let serverCount = document.tables("server").count
    if copies > 1, serverCount == 1 {
      rack?.wrong("copies", shown: "2", "1, unless there are two servers at least")
    }
    rack?.finish()

    let directory = document.requiredTable("directory")
    mode = DirectoryMode(directory) ?? .switch
    plane = PlaneChoice(directory) ?? .auto
    interfaces = directory?.interfaces("interfaces") ?? []
    if mode == .oneArm, interfaces.count > 1 {
      directory?.wrong(
        "interfaces", shown: "\(interfaces.count) of them", "one: the mode is \"one-arm\"")
    }
    buckets = directory?.powerOfTwo("buckets", 1...(1 << 20))
    window = directory?.powerOfTwo("window", 16...(1 << 30))
    stateFile =
      directory?.string("state_file", pathExpected, isAbsolutePath) ?? Self.defaultStateFile(name)
    socket = directory?.string("socket", socketExpected, isSocketPath) ?? Self.defaultSocket(name)
    directory?.finish()

    policy = document.table("policy").map { PolicySettings($0) } ?? PolicySettings()

    limits = document.table("limits").map { LimitSettings($0) } ?? LimitSettings()

    if document.node("server") == nil {
      document.missing("server", "at least one server, each written [[server]]")
    }
    let readers = document.tables("server")
    let defaultPort = port
    let onlyInterface = interfaces.count == 1 ? interfaces[0] : nil
    servers = readers.map { Server($0, defaultPort: defaultPort, onlyInterface: onlyInterface) }
    checkServers(readers)
  }

  /// What must hold between servers, and between them and the interfaces.
  private func checkServers(_ readers: [TableReader]) {
    if !servers.isEmpty, servers.allSatisfy(\.isDrained) {
      readers[0].wrong("drained", shown: "true", "false for one server at least")
    }
    for (index, (server, reader)) in zip(servers, readers).enumerated() {
      let earlier = servers[..<index]
      if server.number >= 0, let twin = earlier.firstIndex(where: { $0.number == server.number }) {
        reader.wrong(
          "number", shown: String(server.number), "a number that server[\(twin)] does not have")
      }
      if let twin = earlier.firstIndex(where: {
        $0.address == server.address && $0.port == server.port && server.address != .any
      }) {
        reader.wrong(
          "address", shown: "\"\(server.address)\"",
          "another address or port than server[\(twin)] has")
      }
      if server.address == address, server.address != .any {
        reader.wrong("address", shown: "\"\(server.address)\"", "another address than the rack's")
      }
      if server.address.isIPv6 != address.isIPv6, !server.address.isAny, !address.isAny {
        reader.wrong(
          "address", shown: "\"\(server.address)\"",
          "an \(address.isIPv6 ? "IPv6" : "IPv4") address, as the rack's is")
      }
      if !server.interface.isEmpty, !interfaces.isEmpty, !interfaces.contains(server.interface) {
        reader.wrong(
          "interface", shown: "\"\(server.interface)\"",
          "one of directory.interfaces (\(interfaces.joined(separator: ", ")))")
      }
    }
  }

  /// The rack file that says this.
  public var text: String {
    var lines = [
      "[rack]",
      "name = \"\(name)\"",
      "address = \"\(address)\"",
      "port = \(port)",
      "control_port = \(controlPort)",
      "hash_seed = \(hashSeed)",
    ]
    if let rackKeyFile { lines.append("rack_key_file = \"\(rackKeyFile)\"") }
    if copies > 1 { lines.append("copies = \(copies)") }
    lines += [
      "",
      "[directory]",
      "mode = \"\(mode.rawValue)\"",
      "plane = \"\(plane.rawValue)\"",
      "interfaces = [\(interfaces.map { "\"\($0)\"" }.joined(separator: ", "))]",
    ]
    if let buckets { lines.append("buckets = \(buckets)") }
    if let window { lines.append("window = \(window)") }
    lines += ["state_file = \"\(stateFile)\"", "socket = \"\(socket)\""]
    lines += policy.lines
    lines += limits.lines
    for server in servers {
      lines += [
        "",
        "[[server]]",
        "number = \(server.number)",
        "address = \"\(server.address)\"",
        "port = \(server.port)",
        "interface = \"\(server.interface)\"",
      ]
      if let mac = server.mac { lines.append("mac = \"\(mac)\"") }
      if server.isDrained { lines.append("drained = true") }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Every value that is set, or has a default of its own, by the path of its key: `rack.port`,
  /// `policy.choice`, `server 3.mac` (of servers with their number). In the order of `text`.
  public var settings: [(path: String, value: String)] {
    var settings: [(path: String, value: String)] = []
    var table = ""
    for line in text.split(separator: "\n") {
      if line.hasPrefix("[") {
        table = line.filter { $0 != "[" && $0 != "]" }
        continue
      }
      guard let equals = line.firstRange(of: " = ") else { continue }
      let (key, value) = (line[..<equals.lowerBound], line[equals.upperBound...])
      // The first of each server.
      if key == "number", table.hasPrefix("server") { table = "server \(value)" }
      settings.append((path: "\(table).\(key)", value: String(value)))
    }
    return settings
  }
}

extension RackFile.Server {
  init(_ reader: TableReader, defaultPort: UInt16, onlyInterface: String?) {
    number = reader.requiredInteger("number", 0...31, placeholder: -1)
    address = reader.address("address")
    port = reader.port("port") ?? defaultPort
    let named =
      onlyInterface == nil
      ? reader.requiredString("interface", interfaceExpected, isInterfaceName)
      : reader.string("interface", interfaceExpected, isInterfaceName)
    interface = named ?? onlyInterface ?? ""
    mac = reader.value(
      "mac", "the Ethernet address of one interface, such as \"02:00:00:00:00:01\""
    ) { node in
      guard case .string(let text) = node, let mac = MACAddress(text), mac.isInterface else {
        return nil
      }
      return mac
    }
    isDrained = reader.bool("drained") ?? false
    reader.finish()
  }
}

let plainNameExpected = "a name of 1 to 32 lower-case letters, digits and dashes"
let pathExpected = "an absolute path"
private let socketExpected = "an absolute path of at most 107 bytes"
private let interfaceExpected = "the name of a network interface, at most 15 characters"

func isAbsolutePath(_ text: String) -> Bool {
  text.hasPrefix("/")
    && text.utf8.allSatisfy {
      $0 >= 0x20 && $0 != 0x7f && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
    }
}
private func isSocketPath(_ text: String) -> Bool { isAbsolutePath(text) && text.utf8.count <= 107 }
private func isInterfaceName(_ text: String) -> Bool {
  (1...15).contains(text.utf8.count) && text != "." && text != ".."
    && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") && $0 != 0x22 }
}

extension TableReader {
  fileprivate func address(_ key: String) -> IPAddress {
    required(
      key, "the IPv4 address of one host, such as \"10.0.0.1\", or its IPv6 address",
      placeholder: IPAddress.any
    ) { node in
      guard case .string(let text) = node, let address = IPAddress(text), address.isHost else {
        return nil
      }
      return address
    }
  }

  fileprivate func port(_ key: String) -> UInt16? {
    integer(key, 1...65_535, "a UDP port").map { UInt16($0) }
  }

  fileprivate func interfaces(_ key: String) -> [String] {
    let expected = "an array of names of interfaces, at least one"
    let elements = required(key, expected, placeholder: []) { node -> [Node]? in
      if case .array(let elements) = node, !elements.isEmpty { elements } else { nil }
    }
    var names: [String] = []
    for (index, element) in elements.enumerated() {
      guard case .string(let name) = element, isInterfaceName(name) else {
        wrong("\(key)[\(index)]", element, interfaceExpected)
        continue
      }
      if names.contains(name) {
        wrong("\(key)[\(index)]", element, "each interface once")
      }
      names.append(name)
    }
    return names
  }
}
