public import Logging
public import Sockets
internal import Synchronization
public import Wire

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// Servers that run on one thread: one of them, or all of an emulated rack. Thread-safe.
///
/// ```swift
/// let servers = try RunningServers([options], logger: logger)
/// servers.waitForEnd()  // until stop() is called elsewhere
/// ```
public final class RunningServers: Sendable {
  /// Where they listen, in the order of the options.
  public let endpoints: [Endpoint]

  private let control: LoopControl
  private let thread: BackgroundThread

  /// Opens the sockets and begins to serve. Throws when a socket cannot be had; then none is kept.
  /// The servers end when `stop` is signalled, as by `stop()`. `newKeys`: when its first is signalled,
  /// the rack's keys are what its second says; that they cannot be had is logged, and then the others stay.
  public init(
    _ options: [ServerOptions], logger: Logger, stop: WakeUp? = nil,
    newKeys: (signal: WakeUp, read: @Sendable () throws -> RackKeys?)? = nil
  ) throws(ServerError) {
    let wakeUp = try onSockets { () throws(SocketError) in
      if let stop { stop } else { try WakeUp() }
    }
    let control = LoopControl(wakeUp: wakeUp)
    let loop = try ServerLoop(options, control: control, newKeys: newKeys, logger: logger)
    endpoints = loop.servers.map(\.socket.local)
    self.control = control
    do throws(SocketError) {
      thread = try BackgroundThread(name: "hotrack server", owning: loop) { $0.run() }
    } catch {
      throw .socket(error)
    }
  }

  /// Makes the servers end after what they are doing now.
  public func stop() { control.wakeUp.signal() }

  /// Waits until the servers have ended; returns what each has done. Throws what the loop could not
  /// go on after.
  @discardableResult
  public func waitForEnd() throws(ServerError) -> [ServerTotals] {
    thread.join()
    let outcome = control.outcome.withLock { $0 }
    return try outcome.get()
  }

  /// Stops and waits.
  deinit {
    stop()
    thread.join()
  }
}

/// What the loop's thread shares with others.
final class LoopControl: Sendable {
  /// Signalled to end the loop; never cleared.
  let wakeUp: WakeUp
  let outcome = Mutex<Result<[ServerTotals], ServerError>>(.success([]))

  init(wakeUp: WakeUp) { self.wakeUp = wakeUp }
}

/// The packet loop. A class, since it owns what must live as long as the loop runs.
final class ServerLoop {
  let servers: [HostedServer]
  private let poll: EventPoll
  /// Longer by one byte than any datagram may be, so that one that was cut is not taken for whole.
  private let batch = DatagramBatch(
    capacity: 64, datagramLengthMax: WireLimits.datagramLengthMax + 1)
  private let control: LoopControl
  private let newKeys: (signal: WakeUp, read: @Sendable () throws -> RackKeys?)?
  private let logger: Logger
  /// Nanoseconds that rounds are apart, at least.
  private let gathering: UInt64
  private var isStopping = false

  /// At thousands of requests a second spread over many sockets, a wake-up for each packet costs
  /// more than serving it: rounds of emulated servers are at least this far apart. Nanoseconds.
  private static let emulatedGathering: UInt64 = 200_000
  /// What the kernel had no room for is tried again after this.
  private static let retryInterval: UInt64 = 200_000
  private static let wakeUpToken = UInt64.max
  private static let newKeysToken = UInt64.max - 1

  init(
    _ options: [ServerOptions], control: LoopControl,
    newKeys: (signal: WakeUp, read: @Sendable () throws -> RackKeys?)?, logger: Logger
  ) throws(ServerError) {
    var servers: [HostedServer] = []
    let poll = try onSockets { () throws(SocketError) in try EventPoll() }
    for one in options {
      let server = try HostedServer(one, logger: logger)
      try onSockets { () throws(SocketError) in
        try poll.add(server.socket.descriptor, token: UInt64(servers.count))
      }
      servers.append(server)
    }
    try onSockets { () throws(SocketError) in
      try poll.add(control.wakeUp.descriptor, token: Self.wakeUpToken)
      if let newKeys { try poll.add(newKeys.signal.descriptor, token: Self.newKeysToken) }
    }
    self.newKeys = newKeys
    self.servers = servers
    self.poll = poll
    self.control = control
    self.logger = logger
    let isEmulated = options.contains { $0.capacity != nil }
    let asked = options.map(\.gathering).max() ?? 0
    gathering = isEmulated ? max(asked, Self.emulatedGathering) : asked
  }

  /// Serves until it is told to stop.
  func run() {
    if gathering > 0 { BackgroundThread.setTimerSlack(nanoseconds: 1) }
    do throws(ServerError) {
      while !isStopping { try round() }
      control.outcome.withLock { $0 = .success(servers.map(\.totals)) }
    } catch {
      logger.critical("the server has to end: \(error)")
      control.outcome.withLock { $0 = .failure(error) }
    }
  }

  private func round() throws(ServerError) {
    var failure: ServerError?
    _ = try onSockets { () throws(SocketError) in
      try poll.wait(until: nextDue) { token, _ in
        guard token != Self.wakeUpToken else {
          isStopping = true
          return
        }
        guard token != Self.newKeysToken else {
          readKeys()
          return
        }
        do throws(ServerError) {
          try servers[Int(token)].receive(through: batch)
        } catch {
          failure = error
        }
      }
    }
    if let failure { throw failure }
    let now = MonotonicClock.now
    for server in servers {
      if let due = server.nextDue, due <= now { try server.serveDue(now: now) }
    }
    if gathering > 0 {
      rest(since: now, for: gathering)
    } else if servers.contains(where: \.hasUnsent) {
      rest(since: now, for: Self.retryInterval)
    }
  }

  private func readKeys() {
    guard let newKeys else { return }
    newKeys.signal.clear()
    do {
      guard let keys = try newKeys.read() else { return }
      for server in servers { server.keys = keys }
      logger.notice("the rack's key was read again: \(keys)")
    } catch {
      logger.error("the rack's key stays as it was: \(error)")
    }
  }

  private var nextDue: UInt64? {
    var next: UInt64?
    for server in servers {
      if let due = server.nextDue { next = min(next ?? due, due) }
    }
    return next
  }

  private func rest(since start: UInt64, for nanoseconds: UInt64) {
    let end = start + nanoseconds
    let now = MonotonicClock.now
    guard now < end else { return }
    var time = timespec(tv_sec: 0, tv_nsec: Int(end - now))
    nanosleep(&time, nil)
  }
}
