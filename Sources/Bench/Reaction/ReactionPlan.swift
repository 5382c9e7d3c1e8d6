internal import Configuration
internal import LoadGenerator
internal import Sockets
internal import Testbed
internal import Workload

/// What `hotrack bench reaction` puts on which rack.
public struct ReactionPlan: Sendable, Equatable {
  /// Servers of the rack, 2...32, each a process that is as fast as it can.
  public var servers = 8
  /// Operations per second that arrive.
  public var rate = 52_000.0
  public var keys = 1_000_000
  /// Skew of their popularity, after Zipf.
  public var alpha = 1.2
  /// Share of reads; the rest are writes.
  public var readShare = 1.0
  /// Changes of popularity.
  public var changes = 20
  /// Keys that become the hottest in each, from having been the coldest.
  public var hotIn = 100
  /// Seconds between two changes.
  public var interval = 2.0
  /// Seconds of load before the first change.
  public var warmUp = 4.0
  /// Bytes of a value.
  public var valueLength = 64
  /// Milliseconds between two sends of what is due: at 50,000 requests per second and servers that
  /// are processes of their own, a small machine spends most of its time on waking them up.
  public var tick = 0.5
  /// Milliseconds between two rounds of a server, for the same reason.
  public var gathering = 0.2
  /// Of arrivals, keys and kinds.
  public var seed: UInt64 = 1
  /// Of the key hash: it decides which server is home of which key.
  public var hashSeed: UInt64 = 7

  public init() {}

  private static let keySeed: UInt64 = 1
  /// Keys with a value that no change makes hot.
  private static let filledBeyond = 4_000

  var file: TestbedFile {
    // Its name is given to it.
    var file = TestbedFile(name: "", servers: servers, clients: 1)
    file.hashSeed = hashSeed
    file.gatherMicroseconds = Int(gathering * 1e3)
    return file
  }

  private var base: KeySpace { KeySpace(count: keys, seed: Self.keySeed) }

  /// The keys in their order of popularity after so many changes. They begin so that the keys that
  /// become hot are those that were filled: at the bottom.
  func space(afterChanges made: Int) -> KeySpace {
    var space = base
    if changes > made { space.change(.hotOut((changes - made) * hotIn)) }
    return space
  }

  /// Gives a value to all keys that are or will be hot.
  func filling(namespace: NetworkNamespace?) -> LoadConfiguration {
    var load = common(namespace)
    load.keys = base
    load.rate = 1_000
    load.warmUp = 0
    load.duration = 50_000_000
    load.fill = min(keys, changes * hotIn + Self.filledBeyond)
    return load
  }

  func load(namespace: NetworkNamespace?, record: LoadRecord) -> LoadConfiguration {
    var load = common(namespace)
    load.keys = space(afterChanges: 0)
    load.rate = rate
    load.warmUp = nanoseconds(warmUp)
    load.duration = nanoseconds(Double(changes + 1) * interval)
    load.mix = OperationMix(readShare: readShare)
    load.tick = UInt64(tick * 1e6)
    load.changes = PopularitySchedule(
      [.hotIn(hotIn)], every: nanoseconds(interval), first: nanoseconds(warmUp + interval))
    load.record = record
    return load
  }

  private func common(_ namespace: NetworkNamespace?) -> LoadConfiguration {
    var load = LoadConfiguration(
      rack: TestbedLayout.rackEndpoint, keyCount: keys, alpha: alpha, keySeed: Self.keySeed)
    load.namespace = namespace
    load.hashSeed = hashSeed
    load.valueLengths = .fixed(valueLength)
    load.seed = seed
    return load
  }

  private func nanoseconds(_ seconds: Double) -> UInt64 { UInt64(seconds * 1e9) }
}
