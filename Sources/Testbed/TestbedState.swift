public import Configuration
internal import Foundation
internal import Glibc

/// What `up` writes down of a testbed, in `/run/hotrack/testbed/NAME/testbed.json`.
public struct TestbedState: Sendable, Codable, Equatable {
  /// One process of the testbed.
  public struct Member: Sendable, Codable, Equatable {
    /// `controller`, `server 3`, `servers`, `load 0`.
    public var role: String
    public var identity: ProcessIdentity
    /// The file that has its output.
    public var log: String
    /// What it was started with, and in which namespace (nil: the host's), to start it again.
    public var arguments: [String]
    public var namespace: String?
  }

  public var name: String
  public var servers: Int
  public var clients: Int
  public var mode: DirectoryMode
  public var isIPv6: Bool
  /// Operations per second that each server emulates; nil: none.
  public var capacity: Int?
  public var hashSeed: UInt64
  public var members: [Member] = []
  /// Where its servers' data directories are, which end with it; nil: they have none.
  public var data: String?

  init(
    name: String, servers: Int, clients: Int, mode: DirectoryMode, isIPv6: Bool = false,
    capacity: Int?, hashSeed: UInt64
  ) {
    self.name = name
    self.servers = servers
    self.clients = clients
    self.mode = mode
    self.isIPv6 = isIPv6
    self.capacity = capacity
    self.hashSeed = hashSeed
  }
}

/// The files of testbeds.
enum TestbedFolder {
  /// The folder of all testbeds.
  static let root = "/run/hotrack/testbed"

  static func path(of name: String) -> String { "\(root)/\(name)" }
  static func statePath(of name: String) -> String { "\(path(of: name))/testbed.json" }

  /// The names of all folders there are.
  static func names() -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []).sorted()
  }

  /// Makes the folder of a testbed. That it is there already means that the testbed exists: only one
  /// of two commands can make it.
  static func create(_ name: String) throws(TestbedError) {
    for folder in ["/run/hotrack", root] {
      guard mkdir(folder, 0o755) == 0 || errno == EEXIST else {
        throw .system(doing: "create \(folder)", code: errno, reason: reason(errno))
      }
    }
    guard mkdir(path(of: name), 0o755) == 0 else {
      if errno == EEXIST { throw .exists(name: name) }
      throw .system(doing: "create \(path(of: name))", code: errno, reason: reason(errno))
    }
  }

  static func remove(_ name: String) throws(TestbedError) {
    guard FileManager.default.fileExists(atPath: path(of: name)) else { return }
    do {
      try FileManager.default.removeItem(atPath: path(of: name))
    } catch {
      throw .run("cannot remove \(path(of: name)): \(error.localizedDescription)")
    }
  }

  static func write(_ state: TestbedState) throws(TestbedError) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    do {
      let data = try encoder.encode(state)
      try data.write(to: URL(filePath: statePath(of: state.name)), options: .atomic)
    } catch {
      throw .run("cannot write \(statePath(of: state.name)): \(error.localizedDescription)")
    }
  }

  static func write(_ text: String, to path: String) throws(TestbedError) {
    do {
      try Data(text.utf8).write(to: URL(filePath: path))
    } catch {
      throw .run("cannot write \(path): \(error.localizedDescription)")
    }
  }

  /// Changes what is written down, one command after the other.
  static func update(
    _ name: String, _ change: (inout TestbedState) -> Void
  ) throws(TestbedError) -> TestbedState {
    let lock = open(path(of: name), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard lock >= 0, flock(lock, LOCK_EX) == 0 else {
      throw .system(doing: "lock \(path(of: name))", code: errno, reason: reason(errno))
    }
    defer { close(lock) }
    var state = try read(name)
    change(&state)
    try write(state)
    return state
  }

  static func read(_ name: String) throws(TestbedError) -> TestbedState {
    let path = statePath(of: name)
    guard let data = FileManager.default.contents(atPath: path) else {
      throw .brokenState(file: path, reason: "it is missing, so `up` did not come to its end")
    }
    do {
      return try JSONDecoder().decode(TestbedState.self, from: data)
    } catch {
      throw .brokenState(file: path, reason: "it is not what `up` writes")
    }
  }
}
