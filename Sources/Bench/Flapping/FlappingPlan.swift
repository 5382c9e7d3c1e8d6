internal import Configuration
internal import ControllerCore
internal import LoadGenerator
internal import Sockets
internal import Testbed
internal import Workload

/// What `hotrack bench flapping` puts on which rack.
public struct FlappingPlan: Sendable, Equatable {
  /// Which of the policy's clocks the load keeps step with.
  public enum Clock: String, Sendable, Encodable, CaseIterable {
    /// Between two rounds of decisions.
    case interval
    /// For which a key stays hot, and then cold, at least.
    case stay

    /// Seconds, as a controller has it unless told otherwise.
    public var seconds: Double {
      let policy = PolicyConfiguration()
      return Double(self == .interval ? policy.interval : policy.minimumStay) / 1e9
    }
  }

  /// Servers of the rack, 2...32, of an emulated capacity in operations per second.
  public var servers = 8
  public var capacity = 1_500
  /// Operations that arrive, relative to what all servers can do together.
  public var offeredShare = 0.6
  public var keys = 1_000_000
  /// Skew of their popularity, after Zipf.
  public var alpha = 1.2
  /// Share of reads; the rest are writes.
  public var readShare = 0.95
  public var clocks = Clock.allCases
  /// How long each of the two hot sets lasts, relative to the clock.
  public var factors = [0.5, 1, 2, 4]
  /// Seconds measured for each load, at least; the hot set changes four times in any case.
  public var seconds = 12.0
  /// Seconds of the load before.
  public var warmUp = 4.0
  /// Bytes of a value.
  public var valueLength = 64
  /// Milliseconds after which an answer does not count as carried.
  public var limit = 50.0
  /// Of arrivals, keys and kinds: the same for both policies.
  public var seed: UInt64 = 1
  /// Of the key hash: it decides which server is home of which key.
  public var hashSeed: UInt64 = 7

  public init() {}

  /// Apart in popularity: the keys that are hot in one half are cold in the other.
  private static let apart = 2_000

  var file: TestbedFile {
    // Its name is given to it.
    var file = TestbedFile(name: "", servers: servers, clients: 1)
    file.capacity = capacity
    file.oneProcess = true
    file.hashSeed = hashSeed
    return file
  }

  /// Seconds for which each hot set lasts.
  func phase(_ clock: Clock, _ factor: Double) -> Double { clock.seconds * factor }

  func duration(_ phase: Double) -> Double { max(seconds, 4 * phase) }

  func load(phase: Double, fill: Bool, namespace: NetworkNamespace?) -> LoadConfiguration {
    var load = LoadConfiguration(
      rack: TestbedLayout.rackEndpoint, keyCount: keys, alpha: alpha, keySeed: 1)
    load.namespace = namespace
    load.hashSeed = hashSeed
    load.rate = Double(servers * capacity) * offeredShare
    load.warmUp = UInt64(warmUp * 1e9)
    load.duration = UInt64(duration(phase) * 1e9)
    // What was written the first time is still there.
    load.fill = fill ? min(keys, 2 * Self.apart) : 0
    load.mix = OperationMix(readShare: readShare)
    load.valueLengths = .fixed(valueLength)
    load.limit = UInt64(limit * 1e6)
    load.seed = seed
    load.keys.change(.hotOut(Self.apart))
    load.changes = PopularitySchedule(
      [.hotIn(Self.apart), .hotOut(Self.apart)], every: UInt64(phase * 1e9))
    return load
  }
}
