internal import Foundation
internal import Glibc
internal import Sockets
internal import Testbed
internal import Wire

/// Measures one storage server of the rack beside memcached, or a durable one beside one in memory:
/// operations per second, and per second of processor time of the server's process.
///
/// Both are asked over UDP on loopback by one engine (`ClosedLoad`) with the same keys, values,
/// sockets and window; both have one processor, the load another one. Their rounds take turns, and
/// medians count.
public struct ServerBench {
  /// What is compared.
  public enum System: String, Sendable, Codable, CaseIterable {
    case hotrack
    case memcached
    /// The server with its keys on a disk too.
    case rocksdb = "hotrack rocksdb"
  }

  /// What is asked, and for how long.
  public struct Settings: Sendable, Codable, Equatable {
    /// Keys, all of them stored before the first round.
    public var keys = 100_000
    /// Bytes of a key, 9 ... 250.
    public var keyLength = 16
    /// Bytes of a value, 1 ... 1,024.
    public var valueLength = 128
    /// Sockets of the load, each of them one client.
    public var sockets = 8
    /// Requests that each socket keeps under way: a power of two, 1 ... 64.
    public var window = 16
    /// Rounds of each system and operation.
    public var rounds = 5
    /// Measured in each round.
    public var seconds = 1.0
    /// A directory on a disk: a durable server, with its data there for the time of the benchmark, is
    /// measured beside one in memory. nil: one in memory beside memcached.
    public var data: String?

    public init() {}

    enum CodingKeys: String, CodingKey {
      case keys
      case keyLength = "key_length"
      case valueLength = "value_length"
      case sockets, window, rounds, seconds, data
    }
  }

  /// The medians of one system's rounds.
  public struct Result: Sendable, Codable {
    public var system: System
    public var operation: LoadOperation
    public var operationsPerSecond: Double
    /// Per second of processor time, user and system, of the server's process.
    public var operationsPerProcessorSecond: Double
    /// Of one processor: how busy the server was.
    public var serverProcessorShare: Double
    /// Under this load, which keeps its window full: mostly waiting.
    public var medianMicroseconds: Double
    public var p99Microseconds: Double
    /// Of the requests of all rounds, those with a wrong answer or none.
    public var errorShare: Double
    /// Rounds that were repeated because more than 1 in 1,000 requests got lost.
    public var roundsRepeated: Int

    enum CodingKeys: String, CodingKey {
      case system, operation
      case roundsRepeated = "rounds_repeated"
      case operationsPerSecond = "ops_per_second"
      case operationsPerProcessorSecond = "ops_per_cpu_second"
      case serverProcessorShare = "server_cpu_share"
      case medianMicroseconds = "p50_us"
      case p99Microseconds = "p99_us"
      case errorShare = "error_share"
    }
  }

  /// The first system over the second: the medians of the ratios of rounds that followed each other.
  public struct Ratio: Sendable, Codable {
    public var operation: LoadOperation
    public var perSecond: Double
    public var perProcessorSecond: Double

    enum CodingKeys: String, CodingKey {
      case operation
      case perSecond = "ops_per_second"
      case perProcessorSecond = "ops_per_cpu_second"
    }
  }

  /// All that was measured.
  public struct Report: Sendable, Codable {
    public var results: [Result]
    public var ratios: [Ratio]
    public var settings: Settings
    /// What memcached says its version is; nil: it was not measured.
    public var memcached: String?
    /// What both have in common, and what not.
    public var equal = ServerBench.equal
    public var different: [String]
  }

  static let equal = [
    "the load's engine, keys, values, sockets, window, order of rounds",
    "UDP on loopback; one processor for the server's process, another for the load",
    "one thread that serves; every answer is checked, byte by byte",
  ]
  static let different = [
    "hotrack's datagrams have a header of 136 bytes; memcached's one of 8, and a line of text",
    "hotrack gives every value a version, checks epoch, generation, key hash and slot of every "
      + "request, and keeps the result of every write for retries; memcached does none of this",
    "hotrack reads and writes datagrams in batches, and joins answers of one length to one client for "
      + "the kernel (UDP_SEGMENT); memcached makes two system calls for each",
    "memcached limits its memory and evicts the least recently used; hotrack's table grows",
  ]

  static let durableDifferent = [
    "the durable server writes all changes of up to 512 datagrams that have arrived into RocksDB's log as "
      + "one batch, and answers none of them before fdatasync of that log has returned; reads come "
      + "from memory in both",
    "what a sync costs depends on the disk that the data is on",
  ]

  private let settings: Settings
  private let executable: String

  /// `executable`: the hotrack program whose server is measured.
  public init(_ settings: Settings, executable: String? = nil) {
    precondition(settings.keys > 0 && settings.rounds > 0 && settings.seconds > 0)
    self.settings = settings
    self.executable = executable ?? Testbed.ownExecutable()
  }

  /// Runs all rounds on the calling thread, which stays on one processor meanwhile; `progress` is
  /// told what is done next.
  public func run(progress: (String) -> Void = { _ in }) throws(BenchError) -> Report {
    let processors = BackgroundThread.processors
    guard processors.count >= 2 else { throw .tooFewProcessors(processors.count) }
    let (forLoad, forServer) = (processors[0], processors[1])
    let version = settings.data == nil ? try memcachedVersion() : nil
    let material = LoadMaterial(
      count: settings.keys, keyLength: settings.keyLength, valueLength: settings.valueLength)
    let folder = try settings.data.map(BenchFolder.init(in:))
    progress("starting both servers")
    let hotrack = try startHotrack(.hotrack, processor: forServer)
    let other =
      if let folder {
        try startHotrack(.rocksdb, data: folder.path, processor: forServer)
      } else {
        try startMemcached(processor: forServer)
      }
    try onSockets { () throws(SocketError) in
      try BackgroundThread.run(onProcessors: [forLoad])
    }
    defer { try? BackgroundThread.run(onProcessors: processors) }
    let inMemory = try LoadedSystem(hotrack, dialect(hotrack, material), settings)
    let systems: [any SystemUnderLoad] =
      folder == nil
      ? [inMemory, try LoadedSystem(other, MemcachedDialect(material), settings)]
      : [try LoadedSystem(other, dialect(other, material), settings), inMemory]
    for system in systems {
      progress("storing \(settings.keys) keys in \(system.system.rawValue)")
      try system.fill()
    }
    var rounds: [Round] = []
    for number in 1...settings.rounds {
      for operation in LoadOperation.allCases {
        // Neither is always the first.
        for system in number % 2 == 1 ? systems : systems.reversed() {
          progress(
            "round \(number) of \(settings.rounds): \(operation.rawValue), \(system.system.rawValue)"
          )
          rounds.append(try system.measure(operation))
        }
      }
    }
    withExtendedLifetime(folder) {}
    return try report(rounds, of: systems.map(\.system), version)
  }

  private func report(
    _ rounds: [Round], of systems: [System], _ version: String?
  ) throws(BenchError) -> Report {
    var report = Report(
      results: [], ratios: [], settings: settings, memcached: version,
      different: version == nil ? Self.durableDifferent : Self.different)
    for operation in LoadOperation.allCases {
      let byTime = systems.map { system in
        rounds.filter { $0.system == system && $0.operation == operation }
      }
      for one in byTime {
        let result = Self.summary(of: one)
        guard result.errorShare <= 0.001 else {
          throw .wrongAnswers(
            result.system.rawValue, operation: operation.rawValue,
            refused: one.reduce(0) { $0 + $1.count.refused },
            lost: one.reduce(0) { $0 + $1.count.lost },
            completed: one.reduce(0) { $0 + $1.count.completed })
        }
        report.results.append(result)
      }
      let pairs = zip(byTime[0], byTime[1])
      report.ratios.append(
        Ratio(
          operation: operation,
          perSecond: median(pairs.map { $0.perSecond / $1.perSecond }),
          perProcessorSecond: median(pairs.map { $0.perProcessorSecond / $1.perProcessorSecond })))
    }
    return report
  }

  /// Precondition: `rounds` is not empty, and of one system and operation.
  private static func summary(of rounds: [Round]) -> Result {
    var all = ClosedCount()
    for round in rounds { all.add(round.count) }
    return Result(
      system: rounds[0].system, operation: rounds[0].operation,
      operationsPerSecond: median(rounds.map(\.perSecond)),
      operationsPerProcessorSecond: median(rounds.map(\.perProcessorSecond)),
      serverProcessorShare: median(rounds.map { $0.processorSeconds / $0.seconds }),
      medianMicroseconds: all.microseconds(0.5),
      p99Microseconds: all.microseconds(0.99),
      errorShare: all.errorShare, roundsRepeated: rounds.reduce(0) { $0 + $1.repeated })
  }
}

/// One round of one system.
struct Round {
  var system: ServerBench.System
  var operation: LoadOperation
  var count: ClosedCount
  var seconds: Double
  var processorSeconds: Double
  /// So often it was repeated before.
  var repeated = 0

  var perSecond: Double { Double(count.completed) / seconds }
  var perProcessorSecond: Double { Double(count.completed) / max(processorSeconds, 1e-9) }
}

/// The middle value; of an even number, the mean of the two in the middle. NaN of none.
func median(_ values: [Double]) -> Double {
  guard !values.isEmpty else { return .nan }
  let sorted = values.sorted()
  let middle = sorted.count / 2
  return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/// A server and the load on it.
private protocol SystemUnderLoad {
  var system: ServerBench.System { get }
  func fill() throws(BenchError)
  func measure(_ operation: LoadOperation) throws(BenchError) -> Round
}

private struct LoadedSystem<Dialect: LoadDialect>: SystemUnderLoad {
  let system: ServerBench.System
  private let server: ServerProcess
  private let load: ClosedLoad<Dialect>
  private let seconds: Double

  init(
    _ server: ServerProcess, _ dialect: Dialect, _ settings: ServerBench.Settings
  ) throws(BenchError) {
    self.server = server
    system = server.system
    seconds = settings.seconds
    let sockets = try onSockets { () throws(SocketError) in
      try ClosedLoad<Dialect>.sockets(settings.sockets, to: server.endpoint)
    }
    load = ClosedLoad(
      dialect, sockets: sockets, window: settings.window, keyCount: settings.keys, seed: 1)
  }

  func fill() throws(BenchError) {
    try onSockets(load.fill)
    guard load.count.errorShare == 0 else {
      throw .wrongAnswers(
        system.rawValue, operation: "storing the keys", refused: load.count.refused,
        lost: load.count.lost, completed: load.count.completed)
    }
  }

  /// A machine that stood still for a moment loses windows of requests: then once more, up to ten
  /// times. A wrong answer is wrong at once.
  func measure(_ operation: LoadOperation) throws(BenchError) -> Round {
    var round = try measureOnce(operation)
    for _ in 0..<10 where round.count.errorShare > 0.001 && round.count.refused == 0 {
      let repeated = round.repeated + 1
      round = try measureOnce(operation)
      round.repeated = repeated
    }
    return round
  }

  private func measureOnce(_ operation: LoadOperation) throws(BenchError) -> Round {
    try run(operation, for: 0.2)
    let (before, begin) = (try server.processorTime(), MonotonicClock.now)
    try run(operation, for: seconds)
    let (end, after) = (MonotonicClock.now, try server.processorTime())
    var count = load.count
    try onSockets(load.drain)
    count.takeErrors(of: load.count)
    return Round(
      system: system, operation: operation, count: count, seconds: Double(end - begin) / 1e9,
      processorSeconds: Double(after - before) / 1e9)
  }

  private func run(_ operation: LoadOperation, for seconds: Double) throws(BenchError) {
    let end = MonotonicClock.now + UInt64(seconds * 1e9)
    try onSockets { () throws(SocketError) in try load.run(operation, until: end) }
  }
}

// Starting the servers.
extension ServerBench {
  private static let number: UInt8 = 0

  private func startHotrack(
    _ system: System, data: String? = nil, processor: Int
  ) throws(BenchError) -> ServerProcess {
    let endpoint = try Self.freeEndpoint()
    return try ServerProcess(
      system,
      [
        executable, "server", "--number", "\(Self.number)", "--listen", "\(endpoint)",
        "--directory", "\(Endpoint(.loopback, port: WireLimits.port))",
      ] + (data.map { ["--engine", "rocksdb", "--data", $0] } ?? []), at: endpoint,
      processor: processor)
  }

  /// Admits the server, as nobody else does; then the load can stamp its requests.
  private func dialect(
    _ server: ServerProcess, _ material: LoadMaterial
  ) throws(BenchError) -> RackDialect {
    let controller = try onSockets { () throws(SocketError) in
      try BareController(directory: .loopback, server: server.endpoint, number: Self.number)
    }
    var incarnation: UInt64?
    try server.waitUntilReady { () throws(SocketError) in
      incarnation = try controller.probe()
      guard let incarnation else { return false }
      return try controller.admit(incarnation: incarnation)
    }
    return RackDialect(
      material, lanes: settings.sockets,
      stamp: RackDialect.Stamp(
        server: Self.number, incarnation: incarnation ?? 0, epoch: BareController.epoch,
        generation: BareController.generation + 1),
      generation: BareController.generation + 1)
  }

  private func startMemcached(processor: Int) throws(BenchError) -> ServerProcess {
    let endpoint = try Self.freeEndpoint()
    let user = geteuid() == 0 ? ["-u", "root"] : []
    // Room for all keys in any of its slabs, so that it evicts nothing.
    let megabytes = 64 + settings.keys * (settings.keyLength + settings.valueLength + 128) / 500_000
    let server = try ServerProcess(
      .memcached,
      [
        "memcached", "-l", "\(endpoint.address)", "-p", "0", "-U", "\(endpoint.port)", "-t", "1",
        "-m", "\(megabytes)",
      ] + user, at: endpoint, processor: processor)
    let ping = try onSockets { () throws(SocketError) in try MemcachedPing(endpoint) }
    try server.waitUntilReady { () throws(SocketError) in try ping.isAnswered() }
    return server
  }

  private func memcachedVersion() throws(BenchError) -> String {
    do throws(TestbedError) {
      return try Testbed.output(of: ["memcached", "-V"])
        .trimmingCharacters(in: .whitespacesAndNewlines)
    } catch {
      throw .missingTool("memcached", package: "memcached")
    }
  }

  /// A loopback port that was free just now.
  private static func freeEndpoint() throws(BenchError) -> Endpoint {
    try onSockets { () throws(SocketError) in
      try UDPSocket(bind: Endpoint(.loopback, port: 0)).local
    }
  }
}

/// A folder that is gone with its owner.
private final class BenchFolder {
  let path: String

  init(in directory: String) throws(BenchError) {
    var template = Array("\(directory)/hotrack-bench-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw .notStarted("hotrack rocksdb", reason: "no folder can be made in \(directory)")
    }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}
