public import Sockets
internal import Synchronization
public import Workload

/// What load to put on which rack. Times are in nanoseconds.
public struct LoadConfiguration: Sendable {
  public var rack: Endpoint
  /// Where the client's socket lives; nil: in the network namespace of the caller.
  public var namespace: NetworkNamespace?
  /// The rack's hash seed.
  public var hashSeed: UInt64 = 0

  /// Operations per second that arrive, whatever the answers do.
  public var rate = 10_000.0
  /// Until operations are measured: they arrive at the rate, but count for nothing.
  public var warmUp: UInt64 = 1_000_000_000
  /// During which arriving operations are measured.
  public var duration: UInt64 = 10_000_000_000
  /// Of these most popular keys, a value is written before the load begins.
  public var fill = 0

  public var popularity: ZipfDistribution
  public var keys: KeySpace
  /// Changes of popularity, timed from the beginning of the warm-up; nil: it stays as it is.
  public var changes: PopularitySchedule?
  public var mix: OperationMix = .readsOnly
  public var valueLengths: ValueLengths = .fixed(64)
  /// Of arrivals, keys and kinds.
  public var seed: UInt64 = 1

  /// Is told which server answered which request; nil: nobody wants to know.
  public var record: LoadRecord?

  /// A later answer counts as beyond the limit.
  public var limit: UInt64 = 50_000_000
  /// After which an operation counts as lost, and a late answer is not awaited any more.
  public var timeout: UInt64 = 1_000_000_000
  /// Datagrams are sent and received so often, many in one system call, instead of one by one: a
  /// tick adds at most its length to a latency and saves half of the processor's time.
  public var tick: UInt64 = 250_000
  /// After which it is an error that the rack has not answered at all.
  public var greetingTime: UInt64 = 3_000_000_000
  /// How often progress is told.
  public var progressInterval: UInt64 = 1_000_000_000
  /// Lateness of this process and of the servers together, at the 99th percentile,
  /// beyond which the machine was too busy for the measurement to count.
  public var latenessMax: UInt64 = 5_000_000

  /// The load of a profile, which fits a datagram after `WorkloadProfile.cut`. `alpha`: in the stead
  /// of the profile's. The precondition is that there is one of the two.
  public init(
    rack: Endpoint, profile: WorkloadProfile, keyCount: Int, alpha: Double? = nil,
    keySeed: UInt64 = 1
  ) {
    guard let alpha = alpha ?? profile.alpha else {
      preconditionFailure("\(profile.name) has no alpha of its own")
    }
    self.init(rack: rack, keyCount: keyCount, alpha: alpha)
    keys = KeySpace(
      count: keyCount, keyLength: profile.keyLength, order: profile.order, seed: keySeed)
    (mix, valueLengths) = (profile.mix, profile.valueLengths)
  }

  /// `keyCount`: 1 ... 100,000,000; `alpha`: 0 ... 3.
  public init(rack: Endpoint, keyCount: Int, alpha: Double, keySeed: UInt64 = 1) {
    self.rack = rack
    popularity = ZipfDistribution(count: keyCount, alpha: alpha)
    keys = KeySpace(count: keyCount, seed: keySeed)
  }
}

/// Ends a run early, from any thread: what was measured until then is reported.
public final class LoadStop: Sendable {
  private let flag = Atomic(false)

  public init() {}
  public func stop() { flag.store(true, ordering: .releasing) }
  public var isStopped: Bool { flag.load(ordering: .acquiring) }
}
