public import Sockets
internal import Synchronization

/// Open load on a thread of its own, so that nothing its owner does makes it late.
public final class BackgroundLoad {
  private final class State: Sendable {
    let progress = Mutex<LoadProgress?>(nil)
    let outcome = Mutex<Result<LoadReport, LoadError>?>(nil)
  }

  private let shared = State()
  private let stop = LoadStop()
  private let thread: BackgroundThread

  /// Begins at once.
  public init(_ configuration: LoadConfiguration) throws(SocketError) {
    thread = try BackgroundThread(name: "hotrack load") { [shared, stop] in
      let outcome = Result { () throws(LoadError) in
        try OpenLoad(configuration, stop: stop).run { progress in
          shared.progress.withLock { $0 = progress }
        }
      }
      shared.outcome.withLock { $0 = outcome }
    }
  }

  /// The last snapshot, and the outcome once it has ended.
  public var state: (progress: LoadProgress?, outcome: Result<LoadReport, LoadError>?) {
    // In this order: no outcome is missed.
    let outcome = shared.outcome.withLock { $0 }
    return (shared.progress.withLock { $0 }, outcome)
  }

  /// Nothing arrives any more; what was measured until now is its outcome. Returns at once.
  public func end() { stop.stop() }

  /// As `end`, and waits until it has ended.
  public func stopAndWait() {
    stop.stop()
    thread.join()
  }
}
