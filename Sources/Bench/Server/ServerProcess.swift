internal import Foundation
internal import Glibc
internal import Sockets
internal import Testbed

/// A server under measurement: a process of its own on one processor. It ends with its owner, and
/// with this process, however that ends.
final class ServerProcess {
  let system: ServerBench.System
  let endpoint: Endpoint
  private let child: ChildProcess
  /// What it says, in a file that has no name any more.
  private let output: Int32

  /// Starts `arguments` (a program by path or name, and its arguments) on this processor.
  init(
    _ system: ServerBench.System, _ arguments: [String], at endpoint: Endpoint, processor: Int
  ) throws(BenchError) {
    self.system = system
    self.endpoint = endpoint
    var template = Array("/tmp/hotrack-bench-XXXXXX".utf8CString)
    output = mkstemp(&template)
    guard output >= 0 else {
      throw .notStarted(system.rawValue, reason: "no room for its output in /tmp")
    }
    unlink(template)
    do throws(TestbedError) {
      // setpriv: the kernel ends it when this process has ended.
      child = try ChildProcess.start(
        ["setpriv", "--pdeathsig", "KILL", "taskset", "-c", "\(processor)"] + arguments,
        output: output)
    } catch {
      close(output)
      throw .notStarted(system.rawValue, reason: "\(error)")
    }
  }

  deinit {
    if child.exitStatus == nil {
      child.identity.signal(SIGTERM)
      if child.wait(seconds: 3) == nil {
        child.identity.signal(SIGKILL)
        _ = child.wait(seconds: 3)
      }
    }
    close(output)
  }

  /// Nanoseconds that all of its threads have run, in user and kernel mode.
  func processorTime() throws(BenchError) -> UInt64 {
    let folder = "/proc/\(child.identity.process)/task"
    var sum: UInt64 = 0
    for thread in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
      // The first number of schedstat is the run time in nanoseconds, where stat has 10 ms ticks.
      guard
        let text = try? String(contentsOfFile: "\(folder)/\(thread)/schedstat", encoding: .utf8),
        let first = text.split(separator: " ").first, let time = UInt64(first)
      else { continue }
      sum += time
    }
    guard sum > 0 else { throw ended }
    return sum
  }

  /// Repeats `isAnswered`, which asks the server something, until it is; at most 10 seconds.
  func waitUntilReady(_ isAnswered: () throws(SocketError) -> Bool) throws(BenchError) {
    let limit = MonotonicClock.now + 10_000_000_000
    while MonotonicClock.now < limit {
      guard child.exitStatus == nil else { throw ended }
      let isReady = try onSockets(isAnswered)
      if isReady { return }
    }
    throw .silent(system.rawValue, endpoint)
  }

  private var ended: BenchError {
    var bytes = [UInt8](repeating: 0, count: 2_048)
    let count = pread(output, &bytes, bytes.count, 0)
    let text = String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
    return .ended(
      system.rawValue,
      said: text.split(separator: "\n").suffix(2).joined(separator: " | "))
  }
}
