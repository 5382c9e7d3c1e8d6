/// Something that goes wrong in the world around a rack for some time: of a network, a process or a
/// machine, not of the protocol (that is `SimulationFault`).
///
/// To add a kind: a case of `Kind` and of `Effect`, how it is drawn (`WorldFaultPlan`), and what it
/// does (`RackWorld.begin` and `RackWorld.end`, in RackWorldFaults.swift).
public struct WorldFault: Sendable, Equatable {
  public enum Kind: String, Sendable, CaseIterable {
    /// Links carry nothing, in one direction or both.
    case partition
    /// Links hold back everything, and let it go all at once.
    case clog
    /// A process stands still; its clock does not, and what arrives waits.
    case pause
    /// A server takes long for each datagram, one after the other.
    case slowServer = "slow-server"
    /// A server dies with all it holds, and comes back empty.
    case crash
    /// The directory's host loses everything that is not on its disk, and comes back.
    case reboot
    /// The controller dies in the middle of what it does, and another one goes on.
    case controllerCrash = "controller-crash"
    /// A durable server's disk has little room left, or none.
    case fullDisk = "full-disk"
  }

  enum Effect: Sendable, Equatable {
    case cut([RackLink])
    case clog([RackLink])
    case pause(RackEndpoint)
    case slow(server: Int, service: UInt64)
    case crash(server: Int)
    case reboot
    case controllerCrash(afterEffects: Int)
    case fullDisk(server: Int, room: SimulatedRowStore.Room)
  }

  /// Its place in the seed's plan, however much of the plan is left out.
  public var number: Int
  /// It begins when so many operations have ended...
  public var after: Int
  /// ...and so much time has passed since. Nanoseconds.
  public var delay: UInt64
  /// Nanoseconds.
  public var duration: UInt64
  var effect: Effect

  public var kind: Kind {
    switch effect {
    case .cut: .partition
    case .clog: .clog
    case .pause: .pause
    case .slow: .slowServer
    case .crash: .crash
    case .reboot: .reboot
    case .controllerCrash: .controllerCrash
    case .fullDisk: .fullDisk
    }
  }
}

extension WorldFault: CustomStringConvertible {
  /// As the readers of a trace want it.
  public var description: String {
    let what =
      switch effect {
      case .cut(let links): "cut " + Self.text(links)
      case .clog(let links): "clogged " + Self.text(links)
      case .pause(let process): "\(DatagramText.name(process)) stands still"
      case .slow(let server, let service):
        "server \(server) takes \(service / 1000) us for each datagram"
      case .crash(let server): "server \(server) dies"
      case .reboot: "the directory's host loses its memory"
      case .controllerCrash(let count): "the controller dies after \(count) effects"
      case .fullDisk(let server, let room):
        "server \(server)'s disk has \(room == .none ? "no" : "little") room left"
      }
    return "\(what), for \(duration / 1000) us"
  }

  private static func text(_ links: [RackLink]) -> String {
    links.map { "\(DatagramText.name($0.from)) -> \(DatagramText.name($0.to))" }
      .joined(separator: ", ")
  }
}

/// Draws what goes wrong in the world of one seed.
struct WorldFaultPlan {
  var random: SimulationRandom
  let servers: Int
  let clients: Int
  let operations: Int
  /// Those that `draw` draws; the others come beside them.
  private static let kinds: [WorldFault.Kind] = [.partition, .clog, .pause, .slowServer, .crash]
  /// None of them lasts longer. Nanoseconds.
  var durationMax: UInt64 = 60_000_000

  /// Effects of the controller before it dies: at most about those of a batch of transitions.
  private static let effectsMax = 60

  /// Controllers that die, beside other faults: in half of the plans none.
  mutating func drawControllerCrashes() -> [WorldFault] {
    let count = max(0, random.integer(in: -4...5))
    return (0..<count).map { _ in random.integer(in: 0...operations * 9 / 10) }.sorted().map {
      after in
      let longest = random.element(of: [300_000, 3_000_000, durationMax / 2])
      return WorldFault(
        number: 0, after: after, delay: random.duration(in: 0...1_000_000),
        duration: random.duration(in: 200_000...longest), effect: effect(.controllerCrash))
    }
  }

  /// Disks that are full for a while, beside other faults.
  mutating func drawFullDisks() -> [WorldFault] {
    let count = max(0, random.integer(in: -2...4))
    return (0..<count).map { _ in random.integer(in: 0...operations * 9 / 10) }.sorted().map {
      after in
      WorldFault(
        number: 0, after: after, delay: random.duration(in: 0...1_000_000),
        duration: random.duration(in: 200_000...durationMax), effect: effect(.fullDisk))
    }
  }

  /// `count` faults, in the order in which they begin. Of crashes, at most four.
  mutating func draw(_ count: Int) -> [WorldFault] {
    var crashes = 0
    var faults: [WorldFault] = []
    for after in (0..<count).map({ _ in random.integer(in: 0...operations * 9 / 10) }).sorted() {
      var kind = random.element(of: Self.kinds)
      if kind == .crash {
        crashes += 1
        if crashes > 4 { kind = .pause }
      }
      // Short ones hit single steps, long ones whole transitions and time limits.
      let longest = random.element(of: [1_000_000, 8_000_000, durationMax])
      faults.append(
        WorldFault(
          number: faults.count, after: after, delay: random.duration(in: 0...1_000_000),
          duration: random.duration(in: 200_000...longest), effect: effect(kind)))
    }
    return faults
  }

  private mutating func effect(_ kind: WorldFault.Kind) -> WorldFault.Effect {
    switch kind {
    case .partition: .cut(links())
    case .clog: .clog(links())
    case .pause: .pause(process())
    case .slowServer:
      .slow(server: server(), service: random.duration(in: 20_000...1_000_000))
    case .crash: .crash(server: server())
    case .reboot: .reboot
    case .controllerCrash:
      .controllerCrash(afterEffects: random.integer(in: 1...Self.effectsMax))
    case .fullDisk: .fullDisk(server: server(), room: random.chance(0.6) ? .none : .little)
    }
  }

  private mutating func server() -> Int { random.integer(in: 0...servers - 1) }

  private mutating func process() -> RackEndpoint {
    switch random.integer(in: 0...3) {
    case 0: .controller
    case 1: .client(random.integer(in: 0...clients - 1))
    default: .server(server())
    }
  }

  /// The links of one server, of one client, or of some of both, in one direction or both. The
  /// controller's words to a server take the same wire as the directory's, but not the same socket.
  private mutating func links() -> [RackLink] {
    var nodes: [RackEndpoint] = []
    switch random.integer(in: 0...3) {
    case 0...1: nodes = [.server(server())]
    case 2: nodes = [.client(random.integer(in: 0...clients - 1))]
    default:
      for number in 0..<servers where random.chance(0.4) { nodes.append(.server(number)) }
      for number in 0..<clients where random.chance(0.4) { nodes.append(.client(number)) }
    }
    let isInward = random.chance(0.75)
    let isOutward = !isInward || random.chance(0.6)
    let heardController = random.chance(0.3)
    let controllerOnly = !heardController && random.chance(0.15)
    var links: [RackLink] = []
    for node in nodes {
      var isServer = false
      if case .server = node { isServer = true }
      if isServer && controllerOnly {
        links.append(RackLink(from: .controller, to: node))
        continue
      }
      if isOutward { links.append(RackLink(from: node, to: .directory)) }
      guard isInward else { continue }
      links.append(RackLink(from: .directory, to: node))
      if isServer && !heardController { links.append(RackLink(from: .controller, to: node)) }
    }
    return links
  }
}
