internal import Configuration

/// What `RestartBench` does.
public struct RestartPlan: Sendable {
  public var servers = 4
  /// Client namespaces; each has two threads that record.
  public var clients = 2
  /// Logical clients of each thread; each waits for its answer.
  public var clientsEach = 32
  /// Operations per second, of all together.
  public var rate = 20_000.0
  /// Of each part, in seconds.
  public var seconds = 30.0
  /// Controllers that replace another one: crashes and upgrades take turns.
  public var changes = 10
  /// Times that a running controller reads another rack file (`RackReloads`).
  public var reloads = 12
  public var keys = 64
  public var zipf = 0.9
  public var readShare = 0.75
  public var deleteShare = 0.05
  /// How often a key is promoted or demoted by force, in milliseconds.
  public var transitionsEvery = 40
  public var seed: UInt64 = 1

  public init() {}

  static let threadsEach = 2

  var file: TestbedFile {
    var file = TestbedFile(name: "restart", servers: servers, clients: clients)
    file.policy.promotion = false
    return file
  }
}
