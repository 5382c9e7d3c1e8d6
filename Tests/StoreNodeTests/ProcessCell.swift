import Foundation
import Glibc
import Paxos
import Sockets
import StoreClient
import Synchronization

/// A cell of nodes as processes of the built `hotrack`, on free ports of the loopback interface.
final class ProcessCell: @unchecked Sendable {
  // Unchecked: one test uses it from one task.
  let directory: TemporaryDirectory
  let endpoints: [Endpoint]
  private var processes: [Process?]
  private let config: String

  init(nodes: Int = 3, name: String = "test", extra: [String] = []) throws {
    directory = try TemporaryDirectory()
    let ports = try Self.freePorts(2 * nodes)
    endpoints = (0..<nodes).map { Endpoint(.loopback, port: ports[2 * $0]) }
    processes = Array(repeating: nil, count: nodes)
    var lines = ["[store]", "cell = \"\(name)\"", "segment_mib = 1"] + extra
    for node in 0..<nodes {
      lines += [
        "[[member]]", "node = \(node + 1)", "client = \"127.0.0.1:\(ports[2 * node])\"",
        "peer = \"127.0.0.1:\(ports[2 * node + 1])\"",
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
    process.executableURL = Self.executable
    process.arguments =
      ["store", "serve", "--config", config, "--node", "\(node + 1)", "--data", data(node)]
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

  /// Makes a node's data directory from a snapshot.
  func restore(_ node: Int, from file: String) throws -> Int32 {
    try run([
      "store", "snapshot", "restore", file, "--config", config, "--node", "\(node + 1)", "--data",
      data(node),
    ]).status
  }

  func signal(_ node: Int, _ signal: Int32) {
    guard let process = processes[node] else { return }
    kill(process.processIdentifier, signal)
    if signal == SIGKILL || signal == SIGTERM {
      process.waitUntilExit()
      processes[node] = nil
    }
  }

  func client(timeout: Int64 = 5_000) throws -> StoreClient {
    var options = StoreClient.Options(endpoints: endpoints)
    options.timeoutMilliseconds = timeout
    options.dialTimeoutMilliseconds = 500
    return try StoreClient(options)
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
