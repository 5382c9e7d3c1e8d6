internal import Foundation
internal import Glibc

/// A process of this host, so that no other is taken for it: numbers are used again, start times
/// (in clock ticks since boot) are not.
public struct ProcessIdentity: Sendable, Hashable, Codable {
  public var process: Int32
  public var startTime: UInt64

  /// Whether it still runs. A zombie does not.
  public var isAlive: Bool { Self(of: process) == self }

  /// Whether it is stopped (SIGSTOP).
  public var isStopped: Bool { isAlive && Self.status(of: process)?.state == UInt8(ascii: "T") }

  init(process: Int32, startTime: UInt64) {
    self.process = process
    self.startTime = startTime
  }

  /// Nil if there is no such process, or only a zombie.
  init?(of process: Int32) {
    guard let status = Self.status(of: process),
      status.state != UInt8(ascii: "Z"), status.state != UInt8(ascii: "X")
    else { return nil }
    self.init(process: process, startTime: status.startTime)
  }

  private static func status(of process: Int32) -> (state: UInt8, startTime: UInt64)? {
    // pid (name) state ppid ...; the name may contain anything, so count from the last ")".
    guard let text = readProcFile("/proc/\(process)/stat"),
      let end = text.lastIndex(of: UInt8(ascii: ")"))
    else { return nil }
    let fields = text[text.index(after: end)...].split(separator: UInt8(ascii: " "))
    guard fields.count > 19, let state = fields[0].first,
      let startTime = UInt64(String(decoding: fields[19], as: UTF8.self))
    else { return nil }
    return (state, startTime)
  }

  /// Sends a signal, if it is still this process.
  package func signal(_ number: Int32) {
    if isAlive { kill(process, number) }
  }
}

/// Which processes belong to a testbed.
enum ProcessTable {
  /// The variable by which the processes of a testbed are known.
  static let marker = "HOTRACK_TESTBED"

  /// Every process that was started for this testbed (whatever became of who started it), and every
  /// one that lives in one of its namespaces; never this process.
  static func processes(of testbed: String, namespaces: [String]) -> [ProcessIdentity] {
    let mark = Array("\(marker)=\(testbed)".utf8)
    let files = Set(namespaces.compactMap { namespaceNumber(path: "/run/netns/\($0)") })
    return all().compactMap { process in
      guard process != getpid(), process != getppid(), let identity = ProcessIdentity(of: process)
      else { return nil }
      let isMarked =
        readProcFile("/proc/\(process)/environ")?
        .split(separator: 0).contains { $0.elementsEqual(mark) } ?? false
      let lives = namespaceNumber(path: "/proc/\(process)/ns/net").map(files.contains) ?? false
      return isMarked || lives ? identity : nil
    }
  }

  /// Ends them: asks first, insists after `patience` seconds. Returns those that would not go.
  static func end(_ processes: [ProcessIdentity], patience: Double = 3) -> [ProcessIdentity] {
    var left = processes
    for (signal, seconds) in [(SIGTERM, patience), (SIGKILL, 5.0)] {
      for process in left {
        process.signal(signal)
        // One that is stopped would not hear of it.
        process.signal(SIGCONT)
      }
      let limit = ContinuousClock.now + .seconds(seconds)
      while true {
        reap()
        left.removeAll { !$0.isAlive }
        if left.isEmpty { return [] }
        if ContinuousClock.now > limit { break }
        usleep(5_000)
      }
    }
    return left
  }

  private static func all() -> [Int32] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { Int32($0) }.sorted()
  }

  /// What namespace files have in common if they are of the same namespace.
  private static func namespaceNumber(path: String) -> UInt64? {
    var status = stat()
    return stat(path, &status) == 0 ? UInt64(status.st_ino) : nil
  }

  /// Collects children that have ended, so that they are no zombies. Only those this module started.
  private static func reap() {
    for child in children.all { child.collect() }
  }
}

/// A file of /proc, whose length is not known before; nil if it cannot be read.
func readProcFile(_ path: String) -> [UInt8]? {
  let file = open(path, O_RDONLY | O_CLOEXEC)
  guard file >= 0 else { return nil }
  defer { close(file) }
  var bytes: [UInt8] = []
  var part = [UInt8](repeating: 0, count: 4096)
  while true {
    let count = read(file, &part, part.count)
    guard count > 0 else { return count == 0 ? bytes : nil }
    bytes.append(contentsOf: part[..<count])
  }
}
