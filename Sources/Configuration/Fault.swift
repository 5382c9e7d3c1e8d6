/// Something that breaks in a testbed.
public struct Fault: Sendable, Equatable {
  /// What breaks.
  public enum Kind: Sendable, Equatable {
    /// Frames on the links of the target are lost, doubled or delayed; or all of them are lost, which
    /// is a partition.
    case link(LinkFault)
    /// Its process is killed (SIGKILL) and, at the end of the fault, started again.
    case kill
    /// Its process is stopped (SIGSTOP) and, at the end, goes on.
    case pause
    /// Its process is killed and started again at once.
    case restart
    /// Its process runs only this share of the time, in slices of some milliseconds.
    case slow(share: Double)
    /// The directory host loses its controller and its XDP program with all that it knew; at the
    /// end of the fault the controller is started again. Files stay.
    case reboot
    /// Its process is killed, a file of its data is damaged, and at the end it is started again.
    case corrupt
    /// There is no room on the disk that its data is on.
    case fullDisk
  }

  /// Whom it strikes.
  public enum Target: Sendable, Hashable, CustomStringConvertible {
    case server(Int)
    case client(Int)
    case controller
    /// The directory host.
    case directory
    /// All servers, all clients, or both.
    case servers, clients, nodes

    /// As it is written: `server-2`, `client-0`, `controller`, `directory`, `servers`, `clients`,
    /// `nodes`; nil for anything else.
    public init?(_ text: String) {
      func number(_ prefix: String) -> Int? {
        guard text.hasPrefix(prefix) else { return nil }
        let digits = text.dropFirst(prefix.count)
        guard (1...2).contains(digits.count), digits == "0" || digits.first != "0" else {
          return nil
        }
        return digits.utf8.allSatisfy { (48...57).contains($0) } ? Int(digits) : nil
      }
      switch text {
      case "controller": self = .controller
      case "directory": self = .directory
      case "servers": self = .servers
      case "clients": self = .clients
      case "nodes": self = .nodes
      default:
        if let number = number("server-") {
          self = .server(number)
        } else if let number = number("client-") {
          self = .client(number)
        } else {
          return nil
        }
      }
    }

    public var description: String {
      switch self {
      case .server(let number): "server-\(number)"
      case .client(let number): "client-\(number)"
      case .controller: "controller"
      case .directory: "directory"
      case .servers: "servers"
      case .clients: "clients"
      case .nodes: "nodes"
      }
    }
  }

  public var kind: Kind
  public var target: Target
  /// Seconds from the first recorded operation until it begins.
  public var begin: Double
  /// Seconds that it lasts; nil: until the recording ends, or (`restart`) no time at all.
  public var duration: Double?

  public init(_ kind: Kind, of target: Target, begin: Double = 0, duration: Double? = nil) {
    self.kind = kind
    self.target = target
    self.begin = begin
    self.duration = duration
  }

  /// What is wrong with it in a rack of so many servers and clients; nil: nothing.
  public func problem(servers: Int, clients: Int) -> String? {
    let isThere =
      switch target {
      case .server(let number): number < servers
      case .client(let number): number < clients
      default: true
      }
    guard isThere else { return "the testbed has no \(target)" }
    guard !kind.targets(servers, clients).contains(target) else { return nil }
    let names = kind.targets(servers, clients).map(\.description)
    return "\(kind.name) cannot strike \(target), but: \(names.joined(separator: ", "))"
  }
}

extension Fault.Kind {
  /// As it is written in a testbed file and on the command line.
  public var name: String {
    switch self {
    case .link(let fault): fault.isCut ? "partition" : "link"
    case .kill: "kill"
    case .pause: "pause"
    case .restart: "restart"
    case .slow: "slow"
    case .reboot: "reboot"
    case .corrupt: "corrupt"
    case .fullDisk: "full-disk"
    }
  }

  /// Whom it can strike.
  func targets(_ servers: Int, _ clients: Int) -> [Fault.Target] {
    let eachServer = (0..<servers).map { Fault.Target.server($0) }
    switch self {
    case .link:
      let eachClient = (0..<clients).map { Fault.Target.client($0) }
      return eachServer + eachClient + [.servers, .clients, .nodes]
    case .kill, .restart: return eachServer + [.controller]
    // The process that records a client's history can be stopped, but not killed: what it knows of
    // its operations would be gone with it.
    case .pause, .slow:
      return eachServer + (0..<clients).map { Fault.Target.client($0) } + [.controller]
    case .reboot: return [.directory]
    case .corrupt, .fullDisk: return eachServer
    }
  }

  static let names = [
    "link", "partition", "kill", "pause", "restart", "slow", "reboot", "corrupt", "full-disk",
  ]
}

/// What happens to frames on a link between a node and the directory host. Shares are 0...1; what is
/// not lost may be doubled, and each of the two is delayed by itself.
public struct LinkFault: Sendable, Equatable {
  /// Seen from the node.
  public enum Direction: String, Sendable, CaseIterable {
    case both
    /// From the directory host to the node.
    case to
    /// From the node to the directory host.
    case from
  }

  public var direction = Direction.both
  /// All frames are lost.
  public var isCut = false
  /// The share of frames that is lost.
  public var loss = 0.0
  /// The share of frames that arrives twice.
  public var duplicate = 0.0
  /// By how much each frame is delayed, in milliseconds...
  public var delay = 0.0
  /// ...and by how much more at most: each by another part of it.
  public var jitter = 0.0
  /// The share of frames that is not delayed, and so overtakes others.
  public var reorder = 0.0

  /// A link without a fault.
  public init() {}

  /// A partition.
  public init(cut direction: Direction) {
    self.direction = direction
    isCut = true
  }

  /// Frames take a way on which they are delayed.
  public var isDelayed: Bool { delay > 0 || jitter > 0 }

  /// The most that a frame can be delayed, in milliseconds.
  public static let delayMax = 10_000.0

  /// What is wrong with it; nil: nothing.
  public var problem: String? {
    guard [loss, duplicate, reorder].allSatisfy({ (0...1).contains($0) }) else {
      return "loss, duplicate and reorder are shares from 0 to 1"
    }
    guard [delay, jitter].allSatisfy({ (0...Self.delayMax).contains($0) }) else {
      return "delay and jitter are from 0 to \(Int(Self.delayMax)) ms"
    }
    guard isCut || loss > 0 || duplicate > 0 || isDelayed || reorder > 0 else {
      return "nothing is to happen to the link: say loss, duplicate, delay or jitter"
    }
    guard reorder == 0 || isDelayed else {
      return "reorder needs a delay or jitter: only frames that wait can be overtaken"
    }
    return nil
  }
}

extension Fault: CustomStringConvertible {
  /// One line for people, without its times.
  public var description: String {
    switch kind {
    case .link(let fault): "\(kind.name) \(target): \(fault)"
    case .slow(let share): "slow \(target) to \(Self.percent(share))"
    case .kill, .pause, .restart, .reboot, .corrupt, .fullDisk: "\(kind.name) \(target)"
    }
  }

  static func percent(_ share: Double) -> String { "\(short(share * 100)) %" }

  static func short(_ value: Double) -> String {
    let rounded = (value * 1e4).rounded() / 1e4
    return rounded == rounded.rounded() ? String(Int(rounded)) : String(rounded)
  }
}

extension LinkFault: CustomStringConvertible {
  public var description: String {
    var parts: [String] = []
    if isCut { parts.append("all frames lost") }
    if loss > 0 { parts.append("\(Fault.percent(loss)) lost") }
    if duplicate > 0 { parts.append("\(Fault.percent(duplicate)) doubled") }
    if isDelayed {
      let most = jitter > 0 ? " to \(Fault.short(delay + jitter))" : ""
      parts.append("\(Fault.short(delay))\(most) ms late")
    }
    if reorder > 0 { parts.append("\(Fault.percent(reorder)) overtake") }
    let words =
      switch direction {
      case .both: ""
      case .to: ", towards it"
      case .from: ", from it"
      }
    return parts.joined(separator: ", ") + words
  }
}
