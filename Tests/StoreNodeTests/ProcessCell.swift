import Foundation
import Glibc
import Paxos
import Sockets
import Synchronization

@testable import StoreClient

/// A cell of nodes as processes of the built `hotrack`, on free ports of the loopback interface.
final class ProcessCell: @unchecked Sendable {
  // Unchecked: one test uses it from one task.
  let directory: TemporaryDirectory
  let endpoints: [Endpoint]
  private var processes: [Process?]
  private let network: CellNetwork?
  /// By node: what runs it, and variables of its environment.
  var launchers: [Int: [String]] = [:]
  var environments: [Int: [String: String]] = [:]
  private let config: String

  /// `network`: where the nodes live instead of the loopback interface.
  init(
    nodes: Int = 3, name: String = "test", extra: [String] = [], network: CellNetwork? = nil
  ) throws {
    self.network = network
    directory = try TemporaryDirectory()
    let ports =
      network == nil
      ? try Self.freePorts(2 * nodes) : Array(2_379..<2_379 + UInt16(2 * nodes))
    let hosts = (0..<nodes).map { network == nil ? "127.0.0.1" : CellNetwork.address(of: $0) }
    endpoints = try (0..<nodes).map {
      try Endpoint(parsing: "\(hosts[$0]):\(ports[2 * $0])", defaultPort: 0)
    }
    for node in 0..<nodes { launchers[node] = network?.launcher(of: node) }
    processes = Array(repeating: nil, count: nodes)
    var lines = ["[store]", "cell = \"\(name)\"", "segment_mib = 1"] + extra
    for node in 0..<nodes {
      lines += [
        "[[member]]", "node = \(node + 1)", "client = \"\(hosts[node]):\(ports[2 * node])\"",
        "peer = \"\(hosts[node]):\(ports[2 * node + 1])\"",
      ]
    }
    config = directory.path + "/store.toml"
    try Data(lines.joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: config))
  }

  deinit {
    for process in processes {
      guard let process, process.isRunning else { continue }
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
    }
  }

  /// The data directory of a node; nodes are counted from 0.
  func data(_ node: Int) -> String { "\(directory.path)/node-\(node + 1)" }

  /// Starts a node, and waits until it serves. `isNew`: of a cell that begins.
  func start(_ node: Int, isNew: Bool = false) throws {
    let process = Process()
    let launcher = launchers[node] ?? []
    process.executableURL =
      launcher.isEmpty ? Self.executable : URL(fileURLWithPath: "/usr/bin/env")
    if let environment = environments[node] {
      process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    }
    process.arguments =
      (launcher.isEmpty ? [] : launcher + [Self.executable.path])
      + ["store", "serve", "--config", config, "--node", "\(node + 1)", "--data", data(node)]
      + (isNew ? ["--initialize"] : [])
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle(forWritingAtPath: "/dev/null")
    try process.run()
    processes[node] = process
    // It says that it serves, or ends.
    guard !output.fileHandleForReading.availableData.isEmpty else {
      throw CellFailure.ended(node)
    }
  }

  func startAll(isNew: Bool = false) throws {
    for node in endpoints.indices { try start(node, isNew: isNew) }
  }

  /// Runs the built `hotrack`, and returns its exit status and output.
  func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = Self.executable
    process.arguments = arguments
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle(forWritingAtPath: "/dev/null")
    try process.run()
    let bytes = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: bytes, as: UTF8.self))
  }

  /// Makes a node's data directory, of a cell that begins.
  func initialize(_ node: Int) throws {
    let launcher = launchers[node] ?? []
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments =
      launcher + [
        Self.executable.path, "store", "init", "--config", config, "--node", "\(node + 1)",
        "--data",
        data(node),
      ]
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw CellFailure.ended(node) }
  }

  /// Begins the built `hotrack`, which goes on while the test does.
  func begin(_ arguments: [String]) throws -> Process {
    let process = Process()
    process.executableURL = Self.executable
    process.arguments = arguments
    process.standardOutput = FileHandle(forWritingAtPath: "/dev/null")
    process.standardError = FileHandle(forWritingAtPath: "/dev/null")
    try process.run()
    return process
  }

  /// Makes a node's data directory from a snapshot.
  func restore(_ node: Int, from file: String) throws -> Int32 {
    try run([
      "store", "snapshot", "restore", file, "--config", config, "--node", "\(node + 1)", "--data",
      data(node),
    ]).status
  }

  /// Waits until a node has ended by itself, at most 20 seconds; its exit status, nil: it has not.
  func waitForEnd(_ node: Int) async throws -> Int32? {
    guard let process = processes[node] else { return nil }
    for _ in 0..<1_000 where process.isRunning { try await Task.sleep(for: .milliseconds(20)) }
    guard !process.isRunning else { return nil }
    processes[node] = nil
    return process.terminationStatus
  }

  func signal(_ node: Int, _ signal: Int32) {
    guard let process = processes[node] else { return }
    kill(process.processIdentifier, signal)
    if signal == SIGKILL || signal == SIGTERM {
      process.waitUntilExit()
      processes[node] = nil
    }
  }

  func client(timeout: Int64 = 5_000, on network: CellNetwork? = nil) throws -> StoreClient {
    var options = StoreClient.Options(endpoints: endpoints)
    options.timeoutMilliseconds = timeout
    options.dialTimeoutMilliseconds = 500
    guard let network else { return try StoreClient(options) }
    return try StoreClient(options, on: network.eventLoops)
  }

  enum CellFailure: Error { case ended(Int), noPort }

  /// The tests are in the directory of the products.
  static let executable = Bundle.main.bundleURL.appending(path: "hotrack")

  private static func freePorts(_ count: Int) throws -> [UInt16] {
    var sockets: [Int32] = []
    defer { for socket in sockets { close(socket) } }
    return try (0..<count).map { _ in
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      sockets.append(descriptor)
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_addr = in_addr(s_addr: UInt32(0x7f00_0001).bigEndian)
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      let isBound = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
        }
      }
      guard isBound else { throw CellFailure.noPort }
      return UInt16(bigEndian: address.sin_port)
    }
  }
}
