internal import Glibc
internal import Synchronization

/// The descriptor that the signal handler writes to; -1: none.
private let stopDescriptor = Atomic<Int32>(-1)

/// As `stopDescriptor`, of the signal to read configuration files again.
private let reloadDescriptor = Atomic<Int32>(-1)

/// Turns SIGTERM and SIGINT into an event for a loop, while it lives. One at a time.
///
/// From its initializer's return on no signal is missed. (A signal source of Dispatch is registered
/// some time after it was resumed; what comes before that, while the signal is ignored, is lost.)
public final class StopSignals {
  /// Signalled by either signal.
  public let stop: WakeUp
  private var before: [(signal: Int32, action: sigaction)] = []

  public init() throws(SocketError) {
    stop = try WakeUp()
    stopDescriptor.store(stop.descriptor, ordering: .sequentiallyConsistent)
    for signal in [SIGTERM, SIGINT] {
      var new = sigaction()
      var old = sigaction()
      new.__sigaction_handler.sa_handler = { _ in
        // Only what a signal handler may do: an atomic load and a write.
        let code = errno
        var one: UInt64 = 1
        _ = write(stopDescriptor.load(ordering: .relaxed), &one, 8)
        errno = code
      }
      sigaction(signal, &new, &old)
      before.append((signal, old))
    }
  }

  deinit {
    for entry in before {
      var action = entry.action
      sigaction(entry.signal, &action, nil)
    }
    stopDescriptor.store(-1, ordering: .sequentiallyConsistent)
  }
}

/// Turns SIGHUP, by which a service manager asks for configuration files to be read again, into an
/// event for a loop, while it lives. One at a time.
public final class ReloadSignal {
  /// Signalled by the signal.
  public let reload: WakeUp
  private var before = sigaction()

  public init() throws(SocketError) {
    reload = try WakeUp()
    reloadDescriptor.store(reload.descriptor, ordering: .sequentiallyConsistent)
    var new = sigaction()
    new.__sigaction_handler.sa_handler = { _ in
      // Only what a signal handler may do: an atomic load and a write.
      let code = errno
      var one: UInt64 = 1
      _ = write(reloadDescriptor.load(ordering: .relaxed), &one, 8)
      errno = code
    }
    sigaction(SIGHUP, &new, &before)
  }

  deinit {
    sigaction(SIGHUP, &before, nil)
    reloadDescriptor.store(-1, ordering: .sequentiallyConsistent)
  }
}
