internal import Glibc
internal import Sockets
internal import Synchronization

/// Where a benchmark of the data plane runs: a thread that has one processor to itself, in a network
/// namespace without a name that goes away with it (or with the process, however it ends).
enum OwnNamespace {
  /// Runs `body` there, and returns its result.
  static func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
    let outcome = Outcome<Value>()
    let thread = try BackgroundThread(name: "bench") {
      let result = Result {
        try NetworkNamespace.leave()
        try BackgroundThread.claimProcessor()
        return try body()
      }
      outcome.result.withLock { $0 = result }
    }
    thread.join()
    guard let result = outcome.result.withLock({ $0 }) else {
      preconditionFailure("the thread has ended without a result")
    }
    return try result.get()
  }

  private final class Outcome<Value: Sendable>: Sendable {
    let result = Mutex<Result<Value, any Error>?>(nil)
  }

  /// CPU time of the calling thread, in nanoseconds.
  static func threadTime() -> UInt64 { time(CLOCK_THREAD_CPUTIME_ID) }

  /// Time since some moment, in nanoseconds.
  static func now() -> UInt64 { time(CLOCK_MONOTONIC) }

  private static func time(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
