public import Configuration
internal import Glibc
internal import Sockets
public import Testbed

/// Testbeds of benchmarks: there while they are used, and gone whatever happens.
public enum BenchTestbed {
  /// Builds a testbed, hands it over, and takes it down again, also on failure. `file.name` is
  /// replaced by one that no other process uses.
  ///
  /// - Throws: `TestbedError`, or what `body` throws.
  public static func with<Result>(
    _ file: TestbedFile, interruption: Interruption, progress: (String) -> Void = { _ in },
    _ body: (inout Testbed) throws -> Result
  ) throws -> Result {
    // Output that nobody reads any more must not end us before we have cleaned up.
    signal(SIGPIPE, SIG_IGN)
    try removeOrphans()
    var file = file
    file.name = "\(prefix)\(getpid())"
    var bed = try Testbed.up(file, interruption: interruption, progress: progress)
    let result: Result
    do {
      result = try body(&bed)
    } catch {
      // What went wrong first is what is told.
      try? Testbed.down(name: bed.name)
      throw error
    }
    progress("removing the testbed")
    try Testbed.down(name: bed.name)
    return result
  }

  /// As `with`, but namespaces and links only, without any process. Another name is used, so that it
  /// may be there beside a testbed of `with`, inside of whose body it is to be called.
  static func network<Result>(
    _ file: TestbedFile, progress: (String) -> Void, _ body: (inout Testbed) throws -> Result
  ) throws -> Result {
    var file = file
    file.name = "\(prefix)\(getpid())n"
    var bed = try Testbed.buildNetwork(
      file, executable: Testbed.ownExecutable(), progress: progress)
    let result: Result
    do {
      result = try body(&bed)
    } catch {
      try? Testbed.down(name: bed.name)
      throw error
    }
    progress("removing the network")
    try Testbed.down(name: bed.name)
    return result
  }

  private static let prefix = "bench-"

  /// Removes what killed benchmarks have left behind.
  private static func removeOrphans() throws(TestbedError) {
    for name in Testbed.names() where name.hasPrefix(prefix) {
      guard let process = Int32(name.dropFirst(prefix.count).prefix(while: \.isNumber)),
        process > 0,
        kill(process, 0) != 0, errno == ESRCH
      else { continue }
      try Testbed.down(name: name)
    }
  }
}

extension Testbed {
  /// Where the first client lives.
  var clientNamespace: NetworkNamespace? {
    layout.namespace(of: "c0").map { NetworkNamespace($0) }
  }

  /// The process of this role, as `controller` or `servers`.
  func process(_ role: String) -> Int32? {
    state.members.first { $0.role == role }?.identity.process
  }
}
