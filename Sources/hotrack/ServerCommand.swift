import ArgumentParser
import Configuration
import Foundation
import Logging
import Server
import Sockets
import Wire

/// `hotrack server`: runs one storage server, or several emulated ones in one process.
struct ServerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "server",
    abstract: "Run a storage server of a rack.",
    discussion: """
      A server keeps its keys in memory. With --engine rocksdb it also has them on a disk, in \
      DIR/server-NUMBER, and answers a write only when it is there: a server that restarts goes on \
      with everything it had. It serves nothing until the rack's controller has admitted it, and \
      ends at SIGTERM or SIGINT. SIGHUP has it read the rack's key again.

      With --capacity it emulates a server of limited speed: each request and each stored copy \
      takes 1/OPS seconds, in order of arrival; what finds --queue others waiting is answered \
      `busy`. Several emulated servers may share one process, each in a network namespace of its \
      own:

        hotrack server --directory 10.0.0.1 --capacity 1000 \\
          --server 0=10.0.1.2@rack-s0 --server 1=10.0.1.3@rack-s1

      Exit codes: 0 ended by a signal, 1 it could not run, 64 usage.
      """)

  @Option(help: "Its number in the rack, 0 to 31.")
  var number: UInt8?

  @Option(help: "The address to serve on: ADDRESS[:PORT].", transform: endpoint)
  var listen: Endpoint?

  @Option(
    help: ArgumentHelp(
      "Instead of --number and --listen, and repeatable: one server of several.",
      valueName: "NUMBER=ADDRESS[:PORT][@NAMESPACE]"),
    transform: ServerPlacement.init(parsing:))
  var server: [ServerPlacement] = []

  @Option(help: "The rack's address: ADDRESS[:PORT].", transform: endpoint)
  var directory: Endpoint

  @Option(help: "The rack's hash seed.")
  var seed: UInt64 = 0

  @Option(
    help: ArgumentHelp(
      """
      The file with the rack's key, as in the rack file: 16 random bytes that only its owner may \
      read. It is read again at SIGHUP.
      """, valueName: "file"))
  var rackKeyFile: String?

  @Option(help: "Where it keeps its keys: memory or rocksdb.")
  var engine = EngineName.memory

  @Option(help: ArgumentHelp("For rocksdb: where its data is.", valueName: "dir"))
  var data: String?

  @Option(
    help: ArgumentHelp(
      """
      For rocksdb: room on the disk that is kept for what has to be written when there is no other. \
      4 to 65536.
      """, valueName: "megabytes"))
  var reserveMb = 128

  @Option(help: ArgumentHelp("Emulate a server of this speed.", valueName: "ops"))
  var capacity: Double?

  @Option(help: "Requests that may wait at an emulated server.")
  var queue = 200

  @Option(
    help: ArgumentHelp(
      """
      Serve at most so often, all that has come meanwhile: costs so much latency, saves the \
      processor a wake-up for each request. 0 to 10000.
      """, valueName: "microseconds"))
  var gatherUs = 0

  @Option(help: "Run the server in this network namespace (needs root).")
  var namespace: String?

  @Flag(help: "Print one JSON object when it serves, and one at its end for each server.")
  var json = false

  @Flag(help: "Log more to standard error.")
  var verbose = false

  func validate() throws {
    let isOne = number != nil || listen != nil || namespace != nil
    guard isOne != !server.isEmpty else {
      throw ValidationError("give either --number and --listen, or --server once or more")
    }
    if isOne, number == nil || listen == nil {
      throw ValidationError("--number and --listen belong together")
    }
    for number in placements.map(\.number) where Int(number) >= WireLimits.serversMax {
      throw ValidationError("server \(number): a rack's servers are numbered 0 to 31")
    }
    guard Set(placements.map(\.number)).count == placements.count else {
      throw ValidationError("two servers have the same number: each needs its own")
    }
    if let capacity, !(capacity > 0 && capacity <= 100_000_000) {
      throw ValidationError("--capacity must be above 0 and at most 100000000 operations a second")
    }
    guard (engine == .rocksdb) == (data != nil) else {
      throw ValidationError("--engine rocksdb and --data belong together")
    }
    guard (4...65_536).contains(reserveMb) else {
      throw ValidationError("--reserve-mb must be 4 to 65536")
    }
    guard (0...10_000).contains(gatherUs) else {
      throw ValidationError("--gather-us must be 0 to 10000")
    }
    guard (1...65_535).contains(queue) else {
      throw ValidationError("--queue must be 1 to 65535; racks are meant to run with 200 or more")
    }
  }

  func run() throws {
    var logger = Logger(label: "hotrack.server") { LogOutput.handler(label: $0) }
    logger.logLevel = verbose ? .debug : .warning
    let (signals, hangUp, servers): (StopSignals, ReloadSignal, RunningServers)
    do {
      let path = rackKeyFile
      let readKeys: @Sendable () throws -> RackKeys? = { try path.map { try RackKeys(file: $0) } }
      let keys = try readKeys()
      signals = try StopSignals()
      hangUp = try ReloadSignal()
      servers = try RunningServers(
        placements.map { options($0, keys) }, logger: logger, stop: signals.stop,
        newKeys: (hangUp.reload, readKeys))
    } catch {
      standardError("hotrack server: \(error)")
      throw ExitCode(1)
    }
    for (placement, endpoint) in zip(placements, servers.endpoints) {
      tell(Greeting(number: placement.number, listen: "\(endpoint)", self))
    }
    do {
      let totals = try servers.waitForEnd()
      if json { totals.forEach { tell($0) } }
    } catch {
      throw ExitCode(1)
    }
    withExtendedLifetime((signals, hangUp)) {}
  }

  private var placements: [ServerPlacement] {
    guard let number, let listen else { return server }
    return [ServerPlacement(number: number, listen: listen, namespace: namespace)]
  }

  private func options(_ placement: ServerPlacement, _ keys: RackKeys?) -> ServerOptions {
    var options = ServerOptions(
      number: placement.number, listen: placement.listen, directory: directory)
    options.hashSeed = seed
    options.keys = keys
    if let data {
      options.engine = .rocksdb(directory: data, reserve: UInt64(reserveMb) << 20)
    }
    options.capacity = capacity
    options.queueMax = queue
    options.gathering = UInt64(gatherUs) * 1_000
    options.namespace = placement.namespace.map { NetworkNamespace($0) }
    return options
  }

  private func tell(_ greeting: Greeting) {
    if json {
      tell(greeting as any Encodable)
    } else {
      FileHandle.standardOutput.write(Data((greeting.text + "\n").utf8))
    }
  }

  private func tell(_ object: any Encodable) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let line = try? encoder.encode(object) else { return }
    FileHandle.standardOutput.write(line + Data("\n".utf8))
  }
}

/// What `--engine` may say.
enum EngineName: String, ExpressibleByArgument, CaseIterable {
  case memory
  case rocksdb
}

/// What a server says when it serves.
private struct Greeting: Encodable {
  var number: UInt8
  var listen: String
  var directory: String
  var emulated: Bool
  var capacity: Double?
  var engine: String
  var data: String?

  init(number: UInt8, listen: String, _ command: ServerCommand) {
    self.number = number
    self.listen = listen
    directory = "\(command.directory)"
    emulated = command.capacity != nil
    capacity = command.capacity
    engine = command.engine.rawValue
    data = command.data
  }

  var text: String {
    let speed = capacity.map { ", emulated: \(String(format: "%g", $0)) operations per second" }
    let place = data.map { ", durable in \($0)/server-\(number)" }
    return "server \(number) serves \(listen) for the rack \(directory)"
      + "\(place ?? "")\(speed ?? "")"
  }
}

/// One server of several: NUMBER=ADDRESS[:PORT][@NAMESPACE].
struct ServerPlacement {
  var number: UInt8
  var listen: Endpoint
  var namespace: String?

  init(number: UInt8, listen: Endpoint, namespace: String?) {
    self.number = number
    self.listen = listen
    self.namespace = namespace
  }

  init(parsing text: String) throws {
    let halves = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard halves.count == 2, let number = UInt8(halves[0]) else {
      throw ValidationError(
        "\"\(text)\" is not NUMBER=ADDRESS[:PORT][@NAMESPACE], as in 3=10.0.1.3")
    }
    let parts = halves[1].split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
    self.init(
      number: number, listen: try endpoint(String(parts[0])),
      namespace: parts.count == 2 ? String(parts[1]) : nil)
  }
}

private func endpoint(_ text: String) throws -> Endpoint {
  do {
    return try Endpoint(parsing: text, defaultPort: WireLimits.port)
  } catch {
    throw ValidationError("\(error)")
  }
}
