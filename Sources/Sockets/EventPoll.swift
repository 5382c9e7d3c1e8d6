internal import CSockets
internal import Glibc

/// Time for deadlines: nanoseconds that never go back.
public enum MonotonicClock {
  public static var now: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}

/// What a descriptor is ready for.
public struct Readiness: OptionSet, Sendable, Hashable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let readable = Readiness(rawValue: UInt32(CSOCKETS_READABLE))
  public static let writable = Readiness(rawValue: UInt32(CSOCKETS_WRITABLE))
  /// Always watched for.
  public static let error = Readiness(rawValue: UInt32(CSOCKETS_ERROR))
  /// The other end is gone. Always watched for.
  public static let hangUp = Readiness(rawValue: UInt32(CSOCKETS_HANG_UP))
}

/// Waits for descriptors and for a deadline (epoll, level-triggered). One thread waits; waiting
/// allocates nothing.
public final class EventPoll {
  private let descriptor: Int32
  private let events: UnsafeMutablePointer<csockets_event>

  public init() throws(SocketError) {
    descriptor = csockets_poll_create()
    events = .allocate(capacity: Int(CSOCKETS_EVENTS_MAX))
    events.initialize(repeating: csockets_event(), count: Int(CSOCKETS_EVENTS_MAX))
    guard descriptor >= 0 else { throw .from(code: errno, doing: "create an epoll descriptor") }
  }

  deinit {
    events.deallocate()
    if descriptor >= 0 { close(descriptor) }
  }

  /// Watches a descriptor until it is removed or closed; `token` names it to `wait`.
  public func add(_ descriptor: Int32, token: UInt64, for readiness: Readiness = .readable)
    throws(SocketError)
  {
    let code = csockets_poll_add(self.descriptor, descriptor, readiness.rawValue, token)
    guard code == 0 else { throw .from(code: errno, doing: "watch a descriptor") }
  }

  /// Watches it for something else from now on.
  public func change(_ descriptor: Int32, token: UInt64, to readiness: Readiness)
    throws(SocketError)
  {
    let code = csockets_poll_change(self.descriptor, descriptor, readiness.rawValue, token)
    guard code == 0 else { throw .from(code: errno, doing: "watch a descriptor") }
  }

  public func remove(_ descriptor: Int32) throws(SocketError) {
    guard csockets_poll_remove(self.descriptor, descriptor) == 0 else {
      throw .from(code: errno, doing: "stop watching a descriptor")
    }
  }

  /// Waits until something is ready or `deadline` (of `MonotonicClock`; nil: for ever) has come, and
  /// calls `handle` with the token of each ready descriptor, at most 64. Returns how many there
  /// were: 0 at the deadline, or when a signal came.
  @discardableResult
  public func wait(until deadline: UInt64?, _ handle: (UInt64, Readiness) -> Void)
    throws(SocketError) -> Int
  {
    var time: Int64 = -1
    if let deadline {
      let now = MonotonicClock.now
      time = deadline > now ? Int64(clamping: deadline - now) : 0
    }
    let count = csockets_poll_wait(descriptor, events, time)
    guard count >= 0 else {
      if errno == EINTR { return 0 }
      throw .from(code: errno, doing: "wait for datagrams")
    }
    for index in 0..<Int(count) {
      handle(events[index].token, Readiness(rawValue: events[index].readiness))
    }
    return Int(count)
  }
}

/// Ends the wait of another thread's `EventPoll` (eventfd). Thread-safe.
public final class WakeUp: Sendable {
  /// Readable after `signal`, until `clear`.
  public let descriptor: Int32

  public init() throws(SocketError) {
    descriptor = csockets_event_create()
    guard descriptor >= 0 else { throw .from(code: errno, doing: "create an event descriptor") }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Makes it readable. Signals before the next `clear` are one.
  public func signal() {
    var one: UInt64 = 1
    // It fails only when 2^64 - 2 signals were not cleared.
    _ = write(descriptor, &one, MemoryLayout<UInt64>.size)
  }

  public func clear() {
    var count: UInt64 = 0
    // It fails when there was no signal, which is as good.
    _ = read(descriptor, &count, MemoryLayout<UInt64>.size)
  }
}

/// The process at the other end of a connected local (Unix domain) socket, as the kernel saw it
/// when it connected.
public struct PeerCredentials: Sendable, Equatable {
  public let process: Int32
  public let user: UInt32
  public let group: UInt32

  public init(of descriptor: Int32) throws(SocketError) {
    var peer = csockets_peer()
    guard csockets_peer_of(descriptor, &peer) == 0 else {
      throw .from(code: errno, doing: "learn who is at the other end of a socket")
    }
    (process, user, group) = (peer.process, peer.user, peer.group)
  }
}
