internal import CSockets
internal import Glibc
internal import Synchronization

/// An operating system's thread, for loops that wait in the kernel (which a task must not).
public final class BackgroundThread: Sendable {
  private final class Body: Sendable {
    let name: String
    let run: @Sendable () -> Void
    init(_ name: String, _ run: @escaping @Sendable () -> Void) {
      (self.name, self.run) = (name, run)
    }
  }

  /// Nil once it was joined.
  private let thread: Mutex<pthread_t?>

  /// Starts a thread that runs `body` once. `name` is cut to the kernel's 15 bytes.
  public init(name: String, _ body: @escaping @Sendable () -> Void) throws(SocketError) {
    var thread = pthread_t()
    let context = Unmanaged.passRetained(Body(name, body))
    let code = pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        let body = Unmanaged<Body>.fromOpaque(context).takeRetainedValue()
        // A name is for debuggers; going without it is no error.
        _ = csockets_name_thread(body.name)
        body.run()
        return nil
      }, context.toOpaque())
    guard code == 0 else {
      context.release()
      throw .from(code: code, doing: "start a thread")
    }
    self.thread = Mutex(thread)
  }

  /// Starts a thread that runs `body` once with what it alone owns from now on: a loop's sockets,
  /// batches and core, made (and their errors thrown) before the thread begins.
  public convenience init<Value>(
    name: String, owning value: sending Value, _ body: @escaping @Sendable (Value) -> Void
  ) throws(SocketError) {
    // The caller has given it away, and the closure runs once: one thread has it at any time.
    nonisolated(unsafe) let value = value
    try self.init(name: name) { body(value) }
  }

  /// Waits for its end. Later calls return at once. Not to be called by the thread itself.
  public func join() {
    let thread = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    if let thread { pthread_join(thread, nil) }
  }

  deinit {
    if let thread = thread.withLock({ $0 }) { pthread_detach(thread) }
  }

  /// Lets the kernel delay this thread's time-outs by at most `nanoseconds` (at least 1; 50,000
  /// unless set): packet loops with deadlines want 1.
  public static func setTimerSlack(nanoseconds: UInt64) {
    // It cannot fail for a thread's own slack.
    _ = csockets_set_timer_slack(max(nanoseconds, 1))
  }

  /// For measurements: keeps this thread on the processor that it is on, before all threads of
  /// ordinary priority, which would leave nothing of what it works on in the caches. Needs
  /// CAP_SYS_NICE. It should sleep now and then.
  public static func claimProcessor() throws(SocketError) {
    guard csockets_pin_thread() == 0, csockets_run_first() == 0 else {
      throw .from(code: errno, doing: "claim a processor")
    }
  }

  /// The numbers of the processors that the calling thread may run on, in ascending order.
  public static var processors: [Int] {
    var numbers = [Int32](repeating: 0, count: 1_024)
    let found = csockets_processors(&numbers, Int32(numbers.count))
    return numbers.prefix(Int(max(found, 0))).map { Int($0) }
  }

  /// Keeps the calling thread on some of its `processors` from now on.
  public static func run(onProcessors processors: [Int]) throws(SocketError) {
    let numbers = processors.map { Int32(clamping: $0) }
    guard csockets_set_processors(numbers, Int32(numbers.count)) == 0 else {
      throw .from(code: errno, doing: "keep a thread on processors \(processors)")
    }
  }
}

/// A network namespace of this host.
public struct NetworkNamespace: Sendable, Hashable, CustomStringConvertible {
  /// As `ip netns` names it (its file is in /run/netns), or a path to a namespace's file.
  public let name: String

  public init(_ name: String) { self.name = name }

  public var description: String { name }

  private var path: String { name.contains("/") ? name : "/run/netns/\(name)" }

  /// Runs `body` inside the namespace, on a thread of its own that ends with it, and returns its
  /// result. Sockets that it opens stay in the namespace, whoever uses them later.
  ///
  /// Needs CAP_SYS_ADMIN. Throws `SocketError.noSuchNamespace` and `.notPermitted`.
  public func perform<Value: Sendable>(
    _ body: @escaping @Sendable () throws(SocketError) -> Value
  ) throws(SocketError) -> Value {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      throw errno == ENOENT
        ? .noSuchNamespace(name) : .from(code: errno, doing: "open network namespace \(name)")
    }
    defer { close(file) }
    let outcome = Outcome<Value>()
    let name = name
    let thread = try BackgroundThread(name: "namespace") {
      let result = Result { () throws(SocketError) in
        guard csockets_enter_network_namespace(file) == 0 else {
          throw SocketError.from(code: errno, doing: "enter network namespace \(name)")
        }
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
}

extension NetworkNamespace {
  /// Moves this thread, and no other, to a network namespace of its own. It has no name, and goes
  /// away with the thread (or the process, however it ends). Needs CAP_SYS_ADMIN.
  public static func leave() throws(SocketError) {
    guard csockets_leave_network_namespace() == 0 else {
      throw .from(code: errno, doing: "make a network namespace")
    }
  }
}

private final class Outcome<Value: Sendable>: Sendable {
  let result = Mutex<Result<Value, SocketError>?>(nil)
}
