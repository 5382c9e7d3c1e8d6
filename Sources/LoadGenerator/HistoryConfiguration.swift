public import Sockets
public import Workload

/// What history to record. Times are in nanoseconds.
public struct HistoryConfiguration: Sendable {
  public var rack: Endpoint
  /// Where the clients' socket lives; nil: in the network namespace of the caller.
  public var namespace: NetworkNamespace?
  /// The rack's hash seed.
  public var hashSeed: UInt64 = 0
  /// Logical clients. Each waits for the end of its operation before the next.
  public var clients = 32
  /// The number of the first client. Processes that record one history together have clients of
  /// different numbers, and so write different values.
  public var firstClient = 0
  /// It ends after so many operations, or
  public var operations = 200_000
  /// after so long; nil: however long they take.
  public var duration: UInt64?
  /// Operations per second of all clients together at most; nil: as many as they can.
  public var rateMax: Double?
  public var popularity: ZipfDistribution
  public var keys: KeySpace
  public var mix = OperationMix(readShare: 0.6, deleteShare: 0.05)
  /// Each client keeps to one key, so that those who wait for a key that is not served take nothing
  /// from the others: what arrives for a key all of whose clients wait is left out. Needs `rateMax`,
  /// and at least as many clients as keys.
  public var bindsClients = false
  /// Of keys and kinds.
  public var seed: UInt64 = 1
  /// From its invocation until an operation is given up.
  public var deadline: UInt64 = 5_000_000_000
  /// After which it is an error that the rack has not answered at all.
  public var greetingTime: UInt64 = 3_000_000_000
  /// How often progress is told.
  public var progressInterval: UInt64 = 1_000_000_000

  /// A history begins with absent keys: `keyPrefix` is one that no other run has used.
  public init(rack: Endpoint, keyCount: Int, alpha: Double = 0, keyPrefix: String) {
    self.rack = rack
    popularity = ZipfDistribution(count: keyCount, alpha: alpha)
    keys = KeySpace(
      count: keyCount, prefix: keyPrefix, digits: String(keyCount - 1).utf8.count, seed: 1)
  }
}

/// What was recorded.
public struct HistoryReport: Sendable, Equatable, Codable {
  /// Seconds from the first invocation to the last return.
  public var duration = 0.0
  public var operations = 0
  public var gets = 0
  public var sets = 0
  public var deletes = 0
  public var ok = 0
  public var notFound = 0
  public var unknown = 0
  public var failed = 0
  /// Of the unknown ones: those of which the rack said that nobody can know...
  public var ambiguous = 0
  /// ...and those whose client the servers had forgotten.
  public var sessionLost = 0
  /// Of the failed ones: reads of values whose only holder had died.
  public var lost = 0
  /// Attempts again because no answer had come in time.
  public var timeouts = 0

  public var operationsPerSecond: Double { duration > 0 ? Double(operations) / duration : 0 }

  public init() {}

  enum CodingKeys: String, CodingKey {
    case operations, gets, sets, deletes, ok, unknown, failed, ambiguous, lost, timeouts
    case sessionLost = "session_lost"
    case duration = "duration_s"
    case notFound = "not_found"
  }
}
