internal import Glibc
internal import Synchronization

/// A process that this one has started.
public final class ChildProcess: Sendable {
  public let identity: ProcessIdentity
  private let status = Mutex<Int32?>(nil)

  private init(_ identity: ProcessIdentity) { self.identity = identity }

  /// Starts a program (the first of `arguments`, by path or by name) in a session of its own, so
  /// that it hears no Ctrl-C of this terminal. Both kinds of its output go to the descriptor
  /// `output`; the variables of `environment` (`NAME=value`) are added to this process's.
  package static func start(
    _ arguments: [String], output: Int32, environment added: [String] = []
  ) throws(TestbedError) -> ChildProcess {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    posix_spawn_file_actions_adddup2(&actions, output, 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // SETSID, SETSIGMASK and SETSIGDEF; the first is not in Swift's Glibc module.
    posix_spawnattr_setflags(&attributes, 0x80 | 0x08 | 0x04)
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGPIPE] { sigaddset(&signals, signal) }
    posix_spawnattr_setsigdefault(&attributes, &signals)

    let names = Set(added.compactMap { $0.split(separator: "=").first })
    let kept = currentEnvironment().filter { variable in
      variable.split(separator: "=", maxSplits: 1).first.map { !names.contains($0) } ?? true
    }
    var process: pid_t = 0
    let program = arguments[0]
    let code = withCStrings(arguments) { arguments in
      withCStrings(kept + added) { environment in
        posix_spawnp(&process, program, &actions, &attributes, arguments, environment)
      }
    }
    guard code == 0 else {
      throw .system(doing: "start \(program)", code: code, reason: reason(code))
    }
    // It cannot have been reaped: only we do that. If it has ended already its start time is lost,
    // and with it nothing.
    let identity =
      ProcessIdentity(of: process) ?? ProcessIdentity(process: process, startTime: 0)
    let child = ChildProcess(identity)
    children.add(child)
    return child
  }

  /// Collects its status if it has ended.
  @discardableResult func collect() -> Int32? {
    status.withLock { status in
      if let status { return status }
      var raw: Int32 = 0
      guard waitpid(identity.process, &raw, WNOHANG) == identity.process else { return nil }
      // As a shell says it: 128 and the signal's number if a signal has ended it.
      status = raw & 0x7f == 0 ? raw >> 8 & 0xff : 128 + (raw & 0x7f)
      return status
    }
  }

  /// Its exit status (128 + signal if one has ended it); nil: it runs.
  public var exitStatus: Int32? { collect() }

  /// Waits until it ends; nil: it still runs after so many seconds.
  package func wait(seconds: Double) -> Int32? {
    let limit = ContinuousClock.now + .seconds(seconds)
    while true {
      if let status = collect() { return status }
      if ContinuousClock.now > limit { return nil }
      usleep(2_000)
    }
  }
}

/// The children of this module, for whoever has to collect them.
let children = Children()

final class Children: Sendable {
  private let list = Mutex<[ChildProcess]>([])
  var all: [ChildProcess] { list.withLock { $0 } }
  func add(_ child: ChildProcess) { list.withLock { $0.append(child) } }
}

/// Runs a program to its end and returns what it said.
/// - Throws: if it cannot be started, fails, or takes longer than 30 seconds.
@discardableResult
func run(_ arguments: [String]) throws(TestbedError) -> String {
  var template = Array("/tmp/hotrack-output-XXXXXX".utf8CString)
  let output = mkstemp(&template)
  guard output >= 0 else {
    throw .system(doing: "create a temporary file", code: errno, reason: reason(errno))
  }
  unlink(template)
  defer { close(output) }
  let child = try ChildProcess.start(arguments, output: output)
  guard let status = child.wait(seconds: 30) else {
    child.identity.signal(SIGKILL)
    throw .command(arguments.joined(separator: " "), status: -1, output: "no end after 30 seconds")
  }
  lseek(output, 0, SEEK_SET)
  var bytes: [UInt8] = []
  var part = [UInt8](repeating: 0, count: 4096)
  while true {
    let count = read(output, &part, part.count)
    guard count > 0 else { break }
    bytes.append(contentsOf: part[..<count])
  }
  let text = String(decoding: bytes, as: UTF8.self)
  guard status == 0 else {
    let said = text.split(separator: "\n").joined(separator: "; ")
    throw .command(arguments.joined(separator: " "), status: status, output: said)
  }
  return text
}

extension Testbed {
  /// What a program says, to other modules of this package; as `run`.
  package static func output(of arguments: [String]) throws(TestbedError) -> String {
    try run(arguments)
  }
}

/// The kernel's words for an error number.
func reason(_ code: Int32) -> String { String(cString: strerror(code)) }

private func currentEnvironment() -> [String] {
  var variables: [String] = []
  var pointer = environ
  while let variable = pointer.pointee {
    variables.append(String(cString: variable))
    pointer += 1
  }
  return variables
}

/// An array of C strings that ends with NULL, as exec wants it.
func withCStrings<Result>(
  _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
  pointers.append(nil)
  defer { pointers.forEach { free($0) } }
  return pointers.withUnsafeMutableBufferPointer { buffer in
    guard let base = buffer.baseAddress else { preconditionFailure("it holds at least NULL") }
    return body(base)
  }
}
