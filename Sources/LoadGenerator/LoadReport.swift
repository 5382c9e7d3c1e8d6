/// How a run goes, for a live display: what happened since the last such snapshot.
public struct LoadProgress: Sendable {
  public enum Phase: String, Sendable {
    /// The most popular keys are given values.
    case filling
    case warmingUp = "warming up"
    case measuring
    /// Nothing arrives any more; the last answers are awaited.
    case draining
  }

  public var phase: Phase
  /// Seconds since the first operation arrived.
  public var elapsed: Double
  /// Seconds that this snapshot speaks of.
  public var interval: Double
  /// Operations that arrived.
  public var offered: UInt64
  public var completed: UInt64
  /// Refused with `busy`.
  public var busy: UInt64
  /// Not answered in time, not sent, or refused for good.
  public var lost: UInt64
  /// Completed operations by the server that answered.
  public var completedByServer: [UInt64]
  /// Latencies in nanoseconds; nil: more than that share never came.
  public var p50: UInt64?
  public var p99: UInt64?

  public var completedPerSecond: Double { interval > 0 ? Double(completed) / interval : 0 }
}

/// What an open-loop run has measured: of the operations that arrived after the warm-up. Latencies
/// count from the moment an operation was due, and an operation without an answer has one that is
/// longer than any other; nil: it is that of an operation without an answer.
public struct LoadReport: Sendable, Encodable {
  public struct Server: Sendable, Encodable {
    public var server: Int
    public var completed: UInt64
    public var completedPerSecond: Double
    /// Requests that it, or the directory for it, refused with `busy`.
    public var busy: UInt64

    enum CodingKeys: String, CodingKey {
      case server, completed, busy
      case completedPerSecond = "completed_ops_per_s"
    }
  }

  /// Of which operations were measured, in seconds.
  public var duration: Double
  public var offeredPerSecond: Double
  public var completedPerSecond: Double
  public var offered: UInt64
  public var completed: UInt64
  /// Refused with `busy`.
  public var busy: UInt64
  public var timedOut: UInt64
  /// Refused for good, by whatever status.
  public var failed: UInt64
  /// There was no free sequence number under any client id, or the rack was silent.
  public var notSent: UInt64
  /// Attempts again because a transition of the rack asked for it.
  public var attemptsAgain: UInt64
  /// The limit on the latency, in microseconds.
  public var limitMicroseconds: Double
  /// Operations answered later than the limit, or never.
  public var beyondLimit: UInt64
  public var beyondLimitShare: Double
  public var p50Microseconds: Double?
  public var p99Microseconds: Double?
  public var p999Microseconds: Double?
  /// The largest latency of a completed operation.
  public var largestMicroseconds: Double
  /// By server; those that took part.
  public var servers: [Server]
  /// How late this process sent, at the 99th percentile.
  public var sendLagP99Microseconds: Double
  /// How late the servers answered, by their own account, at the 99th percentile.
  public var serverLatenessP99Microseconds: Double
  /// False: the machine was too busy; measure again.
  public var isValid: Bool
  /// Changes of popularity since the load began, the warm-up included.
  public var changes: [LoadChange] = []

  enum CodingKeys: String, CodingKey {
    case offered, completed, busy, failed, servers, changes
    case duration = "duration_s"
    case offeredPerSecond = "offered_ops_per_s"
    case completedPerSecond = "completed_ops_per_s"
    case timedOut = "timed_out"
    case notSent = "not_sent"
    case attemptsAgain = "attempts_again"
    case limitMicroseconds = "limit_us"
    case beyondLimit = "beyond_limit"
    case beyondLimitShare = "beyond_limit_share"
    case p50Microseconds = "latency_p50_us"
    case p99Microseconds = "latency_p99_us"
    case p999Microseconds = "latency_p999_us"
    case largestMicroseconds = "latency_max_us"
    case sendLagP99Microseconds = "send_lag_p99_us"
    case serverLatenessP99Microseconds = "server_lateness_p99_us"
    case isValid = "valid"
  }

  /// Every field is always there; a latency that never ended is null.
  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: CodingKeys.self)
    try fields.encode(duration, forKey: .duration)
    try fields.encode(offeredPerSecond, forKey: .offeredPerSecond)
    try fields.encode(completedPerSecond, forKey: .completedPerSecond)
    try fields.encode(offered, forKey: .offered)
    try fields.encode(completed, forKey: .completed)
    try fields.encode(busy, forKey: .busy)
    try fields.encode(timedOut, forKey: .timedOut)
    try fields.encode(failed, forKey: .failed)
    try fields.encode(notSent, forKey: .notSent)
    try fields.encode(attemptsAgain, forKey: .attemptsAgain)
    try fields.encode(limitMicroseconds, forKey: .limitMicroseconds)
    try fields.encode(beyondLimit, forKey: .beyondLimit)
    try fields.encode(beyondLimitShare, forKey: .beyondLimitShare)
    try fields.encode(p50Microseconds, forKey: .p50Microseconds)
    try fields.encode(p99Microseconds, forKey: .p99Microseconds)
    try fields.encode(p999Microseconds, forKey: .p999Microseconds)
    try fields.encode(largestMicroseconds, forKey: .largestMicroseconds)
    try fields.encode(servers, forKey: .servers)
    try fields.encode(sendLagP99Microseconds, forKey: .sendLagP99Microseconds)
    try fields.encode(serverLatenessP99Microseconds, forKey: .serverLatenessP99Microseconds)
    try fields.encode(isValid, forKey: .isValid)
    try fields.encode(changes, forKey: .changes)
  }
}
