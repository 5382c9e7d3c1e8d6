import CIsolation
import Glibc
import Synchronization

/// A thread in a network namespace of its own, which has no name and goes away with the thread
/// (or the process, however it ends). Jobs run one after another, on one processor.
final class Isolation: @unchecked Sendable {
  private let jobs = Mutex<[@Sendable () -> Void]>([])
  private let waiting: UnsafeMutablePointer<sem_t>
  private let done: UnsafeMutablePointer<sem_t>
  private let turn = Mutex(())

  /// `setUp`: shell commands that are run inside.
  init(_ setUp: String) throws {
    waiting = .allocate(capacity: 1)
    done = .allocate(capacity: 1)
    sem_init(waiting, 0, 0)
    sem_init(done, 0, 0)
    var thread = pthread_t()
    let context = Unmanaged.passRetained(self).toOpaque()
    pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        Unmanaged<Isolation>.fromOpaque(context).takeRetainedValue().serve()
      }, context)
    try run {
      let failed = isolation_unshare_network()
      guard failed == 0 else { throw IsolationError(what: "unshare: error \(failed)") }
      isolation_pin(0)
      try shell(setUp)
    }
  }

  /// Runs a job on the thread, and waits for it.
  func run<Value: Sendable>(_ job: @escaping @Sendable () throws -> Value) throws -> Value {
    let result = Mutex<Result<Value, any Error>?>(nil)
    let pointer = Box(result)
    turn.withLock { _ in
      jobs.withLock { $0.append { pointer.value.withLock { $0 = Result { try job() } } } }
      sem_post(waiting)
      while sem_wait(done) != 0 {}
    }
    guard let value = pointer.value.withLock({ $0 }) else {
      throw IsolationError(what: "the job left no result")
    }
    return try value.get()
  }

  private final class Box<Value: Sendable>: Sendable {
    let value: Mutex<Value>
    init(_ value: consuming Mutex<Value>) { self.value = value }
  }

  private func serve() -> Never {
    while true {
      while sem_wait(waiting) != 0 {}
      let job = jobs.withLock { $0.removeFirst() }
      job()
      sem_post(done)
    }
  }
}

struct IsolationError: Error, CustomStringConvertible {
  let what: String
  var description: String { what }
}

/// Runs shell commands in the calling thread's namespaces.
func shell(_ commands: String) throws {
  var child: pid_t = 0
  var arguments: [UnsafeMutablePointer<CChar>?] = []
  arguments = ["sh", "-ec", commands].map { (text: String) in strdup(text) } + [nil]
  defer { for argument in arguments { free(argument) } }
  guard posix_spawn(&child, "/bin/sh", nil, nil, &arguments, environ) == 0 else {
    throw IsolationError(what: "cannot start a shell")
  }
  var status: Int32 = 0
  while waitpid(child, &status, 0) < 0 && errno == EINTR {}
  guard status == 0 else { throw IsolationError(what: "\(commands): exit \(status)") }
}
