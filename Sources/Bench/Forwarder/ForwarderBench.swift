internal import Configuration
internal import Glibc
internal import Sockets
public import Testbed
internal import Wire

/// Measures requests and replies through the directory, once as the XDP program and once in user
/// space: the same client, servers and links, in rounds that take turns. Medians count.
public struct ForwarderBench {
  /// What is between client and servers.
  public enum System: String, Sendable, Codable, CaseIterable {
    /// The XDP program.
    case directory
    /// A process with one socket, as plain as it can be: recvmmsg, sendmmsg.
    case forwarder
    /// The same, and what it sends to one receiver is joined (UDP_SEGMENT).
    case joiningForwarder = "forwarder_joining"
  }

  /// What is asked, and for how long.
  public struct Settings: Sendable, Codable, Equatable {
    public var servers = 2
    public var keys = 10_000
    public var keyLength = 16
    public var valueLength = 128
    /// Sockets of the client, each of them one client id.
    public var sockets = 4
    /// Requests that each socket keeps under way: a power of two, 1 ... 64.
    public var window = 16
    /// Rounds of each system and operation.
    public var rounds = 5
    /// Measured in each round.
    public var seconds = 1.0

    public init() {}

    enum CodingKeys: String, CodingKey {
      case servers, keys
      case keyLength = "key_length"
      case valueLength = "value_length"
      case sockets, window, rounds, seconds
    }
  }

  /// The medians of one system's rounds.
  public struct Result: Sendable, Codable {
    public var system: System
    public var operation: LoadOperation
    public var operationsPerSecond: Double
    public var medianMicroseconds: Double
    public var p99Microseconds: Double
    /// Of the requests of all rounds, those with a wrong answer or none.
    public var errorShare: Double
    /// Rounds that were repeated because more than 1 in 1,000 requests got lost.
    public var roundsRepeated: Int
    /// The directory's throughput over this one's: the median of rounds that followed each other.
    public var directoryRatio: Double

    enum CodingKeys: String, CodingKey {
      case system, operation
      case operationsPerSecond = "ops_per_second"
      case medianMicroseconds = "p50_us"
      case p99Microseconds = "p99_us"
      case errorShare = "error_share"
      case roundsRepeated = "rounds_repeated"
      case directoryRatio = "directory_ratio"
    }
  }

  public struct Report: Sendable, Codable {
    public var results: [Result]
    public var settings: Settings
  }

  private let settings: Settings
  private let interruption: Interruption
  private let progress: (String) -> Void

  /// `progress` is told what goes on, a line each time.
  public init(
    _ settings: Settings, interruption: Interruption,
    progress: @escaping (String) -> Void = { _ in }
  ) {
    precondition((1...32).contains(settings.servers) && settings.rounds > 0)
    (self.settings, self.interruption, self.progress) = (settings, interruption, progress)
  }

  /// Builds two testbeds, one with the directory and one without, and takes them down again, also on
  /// failure. Needs root. Throws `TestbedError` or `BenchError`.
  public func run() throws -> Report {
    var file = TestbedFile(name: "bench", servers: settings.servers, clients: 1)
    file.policy.promotion = false
    let material = LoadMaterial(
      count: settings.keys, keyLength: settings.keyLength, valueLength: settings.valueLength)
    let counts = try BenchTestbed.with(file, interruption: interruption, progress: progress) {
      rack in
      try BenchTestbed.network(file, progress: progress) { bed in
        try measure(rack, try PlainRack(&bed, settings.servers), material)
      }
    }
    return report(counts)
  }

  private struct Round {
    var system: System
    var operation: LoadOperation
    var count: ClosedCount
    var perSecond: Double
    /// So often it was repeated before.
    var repeated: Int
  }

  private func measure(
    _ rack: Testbed, _ plain: PlainRack, _ material: LoadMaterial
  ) throws -> [Round] {
    let direct = try load(rack.clientNamespace, material)
    var forwarded: ClosedLoad<RackDialect>?
    progress("storing \(settings.keys) keys in both racks")
    try fill(direct, .directory)
    var rounds: [Round] = []
    for number in 1...settings.rounds {
      for operation in LoadOperation.allCases {
        for system in System.allCases {
          try interruption.check()
          progress(
            "round \(number) of \(settings.rounds): \(operation.rawValue), \(system.rawValue)")
          guard system != .directory else {
            rounds.append(try round(system, operation, direct))
            continue
          }
          let forwarding = try plain.forward(isJoining: system == .joiningForwarder)
          defer { forwarding.end() }
          if forwarded == nil {
            let load = try load(plain.clientNamespace, material)
            try fill(load, .forwarder)
            forwarded = load
          }
          if let forwarded { rounds.append(try round(system, operation, forwarded)) }
        }
      }
    }
    return rounds
  }

  private func load(
    _ namespace: NetworkNamespace?, _ material: LoadMaterial
  ) throws -> ClosedLoad<RackDialect> {
    let rack = TestbedLayout.rackEndpoint
    guard let generation = try RackDialect.generation(of: rack, in: namespace) else {
      throw BenchError.silent("the rack", rack)
    }
    return ClosedLoad(
      RackDialect(material, lanes: settings.sockets, generation: generation),
      sockets: try ClosedLoad<RackDialect>.sockets(settings.sockets, to: rack, in: namespace),
      window: settings.window, keyCount: settings.keys, seed: 1, poll: try EventPoll())
  }

  private func fill(_ load: ClosedLoad<RackDialect>, _ system: System) throws {
    // A rack that has just begun to serve may refuse one or another for a moment.
    for _ in 0..<3 {
      try load.fill()
      if load.count.errorShare == 0 { return }
    }
    throw wrong(system, "storing the keys", load.count)
  }

  private func round(
    _ system: System, _ operation: LoadOperation, _ load: ClosedLoad<RackDialect>
  ) throws -> Round {
    var attempt = 0
    while true {
      try load.run(operation, until: MonotonicClock.now + 100_000_000)
      let begin = MonotonicClock.now
      try load.run(operation, until: begin + UInt64(settings.seconds * 1e9))
      let seconds = Double(MonotonicClock.now - begin) / 1e9
      var count = load.count
      try load.drain()
      count.takeErrors(of: load.count)
      if count.errorShare <= 0.001 {
        return Round(
          system: system, operation: operation, count: count,
          perSecond: Double(count.completed) / seconds, repeated: attempt)
      }
      // A machine that stood still for a moment loses a window of requests; a wrong answer is wrong.
      attempt += 1
      guard count.refused == 0, attempt <= Self.repetitions else {
        throw wrong(system, operation.rawValue, count)
      }
    }
  }

  /// A round that lost too many requests is repeated so often.
  private static let repetitions = 3

  private func wrong(_ system: System, _ operation: String, _ count: ClosedCount) -> BenchError {
    .wrongAnswers(
      system.rawValue, operation: operation, refused: count.refused, lost: count.lost,
      completed: count.completed)
  }

  private func report(_ rounds: [Round]) -> Report {
    var report = Report(results: [], settings: settings)
    for operation in LoadOperation.allCases {
      let direct = rounds.filter { $0.system == .directory && $0.operation == operation }
      for system in System.allCases {
        let own = rounds.filter { $0.system == system && $0.operation == operation }
        var all = ClosedCount()
        for round in own { all.add(round.count) }
        report.results.append(
          Result(
            system: system, operation: operation,
            operationsPerSecond: median(own.map(\.perSecond)),
            medianMicroseconds: all.microseconds(0.5), p99Microseconds: all.microseconds(0.99),
            errorShare: all.errorShare, roundsRepeated: own.reduce(0) { $0 + $1.repeated },
            directoryRatio: median(zip(direct, own).map { $0.perSecond / $1.perSecond })))
      }
    }
    return report
  }
}

/// Servers on a testbed's network without a directory, which a forwarder may take the place of.
private struct PlainRack {
  let clientNamespace: NetworkNamespace?
  private let directoryNamespace: NetworkNamespace
  private let servers: [Endpoint]
  private var incarnations: [UInt64] = []

  /// Starts and admits the servers.
  init(_ bed: inout Testbed, _ count: Int) throws {
    clientNamespace = bed.clientNamespace
    directoryNamespace = NetworkNamespace(bed.layout.directoryNamespace)
    servers = bed.layout.servers.map { Endpoint($0.address, port: WireLimits.port) }
    for node in bed.layout.servers {
      try bed.start(
        role: "server \(node.number)", namespace: nil,
        [
          Testbed.ownExecutable(), "server", "--directory", "\(TestbedLayout.rackAddress)",
          "--server", "\(node.number)=\(node.address)@\(node.namespace)",
        ])
    }
    for (number, server) in servers.enumerated() {
      let controller = try BareController(
        directory: TestbedLayout.rackAddress, server: server, number: UInt8(number),
        in: directoryNamespace)
      let limit = MonotonicClock.now + 10_000_000_000
      var admitted: UInt64?
      while admitted == nil {
        guard MonotonicClock.now < limit else { throw BenchError.silent("a server", server) }
        guard let incarnation = try controller.probe() else { continue }
        if try controller.admit(incarnation: incarnation) { admitted = incarnation }
      }
      if let admitted { incarnations.append(admitted) }
    }
  }

  /// A forwarder at work.
  struct Forwarding {
    fileprivate let stop: WakeUp
    fileprivate let thread: BackgroundThread
    func end() {
      stop.signal()
      thread.join()
    }
  }

  func forward(isJoining: Bool) throws(SocketError) -> Forwarding {
    let stop = try WakeUp()
    let forwarder = try UserSpaceForwarder(
      at: TestbedLayout.rackEndpoint, in: directoryNamespace, servers: servers,
      incarnations: incarnations, joinsDatagrams: isJoining, stop: stop)
    return Forwarding(
      stop: stop, thread: try BackgroundThread(name: "forwarder", owning: forwarder) { $0.run() })
  }
}
