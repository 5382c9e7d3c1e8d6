import CIsolation
import Foundation
import Glibc
import NIOCore
import NIOPosix
import Testing

/// A network namespace for each node and one for the clients, joined by a bridge. Everything is gone when
/// the processes are that hold the namespaces.
final class CellNetwork {
  /// For clients.
  let eventLoops: MultiThreadedEventLoopGroup
  private let hub: Process
  private let nodes: [Process]

  static var isPossible: Bool {
    geteuid() == 0
      && ["/usr/bin/unshare", "/usr/bin/nsenter"].allSatisfy(FileManager.default.fileExists)
      && ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"].contains(where: FileManager.default.fileExists)
  }

  static func address(of node: Int) -> String { "10.0.0.\(node + 1)" }

  init(nodes count: Int = 3) throws {
    let hub = try Self.holder()
    let nodes = try (0..<count).map { _ in try Self.holder() }
    (self.hub, self.nodes) = (hub, nodes)
    try Self.run(hub, "ip link set lo up")
    try Self.run(hub, "ip link add br0 type bridge && ip link set br0 up")
    try Self.run(hub, "ip address add 10.0.0.254/24 dev br0")
    for (number, node) in nodes.enumerated() {
      let link = "node\(number + 1)"
      try Self.run(
        hub,
        "ip link add \(link) type veth peer name eth netns \(node.processIdentifier) "
          + "&& ip link set \(link) master br0 up")
      try Self.run(
        node,
        "ip link set lo up && ip link set eth up "
          + "&& ip address add \(Self.address(of: number))/24 dev eth")
    }
    // Threads belong to the namespace of the thread that has made them.
    final class Made: @unchecked Sendable {
      var group: Result<MultiThreadedEventLoopGroup, POSIXError>?
    }
    let made = Made()
    let done = DispatchSemaphore(value: 0)
    let process = hub.processIdentifier
    Thread.detachNewThread {
      let code = isolation_enter_network(process)
      made.group =
        code == 0
        ? .success(MultiThreadedEventLoopGroup(numberOfThreads: 1))
        : .failure(POSIXError(POSIXErrorCode(rawValue: code) ?? .EPERM))
      done.signal()
    }
    done.wait()
    eventLoops = try #require(try made.group?.get())
  }

  deinit {
    eventLoops.shutdownGracefully { _ in }
    for process in nodes + [hub] {
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
    }
  }

  /// What runs a program in a node's namespace.
  func launcher(of node: Int) -> [String] { Self.launcher(nodes[node]) }

  /// Nothing comes to a node or leaves it, or it does again.
  func cut(_ node: Int, _ isCut: Bool = true) throws {
    try Self.run(hub, "ip link set node\(node + 1) \(isCut ? "down" : "up")")
  }

  /// What one node sends to another is lost, or is not any more: it goes to a link address that nobody has.
  /// (Not by a blackhole route: that makes reads of the socket fail with EINVAL in the end, at which NIO
  /// ends the process.)
  func lose(from: Int, to: Int, _ isLost: Bool = true) throws {
    try Self.run(
      nodes[from],
      "ip neighbour \(isLost ? "replace" : "delete") \(Self.address(of: to)) dev eth"
        + (isLost ? " lladdr 02:00:00:00:00:99 nud permanent" : ""))
  }

  private static func launcher(_ holder: Process) -> [String] {
    ["nsenter", "--target", "\(holder.processIdentifier)", "--net", "--"]
  }

  private static func holder() throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
    process.arguments = ["--net", "sh", "-c", "echo ready; exec sleep 170"]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    try #require(!output.fileHandleForReading.availableData.isEmpty, "a network namespace")
    return process
  }

  private static func run(_ holder: Process, _ command: String) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = launcher(holder) + ["sh", "-c", command]
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "\(command)")
  }
}
