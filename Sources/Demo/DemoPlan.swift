public import Configuration
internal import LoadGenerator
internal import Workload

/// What the demonstration puts on which rack.
public struct DemoPlan: Sendable, Equatable {
  /// Servers of the rack, 2...32.
  public var servers = 8
  /// Operations per second that each server emulates.
  public var capacity = 1_500
  /// Different keys.
  public var keys = 1_000_000
  /// Skew of their popularity, after Zipf.
  public var alpha = 1.2
  /// Share of reads; the rest are writes.
  public var readShare = 0.95
  /// Operations per second that arrive; nil: `offeredShare` of what all servers can do together.
  public var rate: Double?
  /// Seconds that are measured, for each of the two policies.
  public var seconds = 12.0
  /// Seconds of the same load before: with the directory this is when keys get hot.
  public var warmUp = 4.0
  /// Of these most popular keys a value is written before any load.
  public var fill = 4_000
  /// Bytes of a value.
  public var valueLength = 64
  /// Of arrivals, keys and kinds: both policies see the same.
  public var seed: UInt64 = 1
  /// Of the key hash: it decides which server is home of which key.
  public var hashSeed: UInt64 = 7

  public init() {}

  /// Of the summed capacity: above what plain hashing carries, and it leaves room for the copies
  /// that writes of hot keys cost.
  static let offeredShare = 0.8

  /// What all servers can do together, in operations per second.
  public var summedCapacity: Double { Double(servers * capacity) }

  /// Operations per second that arrive.
  public var offered: Double { rate ?? summedCapacity * Self.offeredShare }

  /// The most operations per second that plain hashing can carry before its busiest server is full.
  public var plainBound: Double {
    let placement = HomePlacement(
      popularity: ZipfDistribution(count: keys, alpha: alpha),
      keys: KeySpace(count: keys, seed: Self.keySeed), hashSeed: hashSeed, servers: servers)
    return Double(capacity) / (placement.shares.max() ?? 1)
  }

  static let keySeed: UInt64 = 1

  /// The rack to build for it.
  public func testbed(name: String) -> TestbedFile {
    var file = TestbedFile(name: name, servers: servers, clients: 1)
    file.capacity = capacity
    file.oneProcess = true
    file.hashSeed = hashSeed
    // Until the demo asks for it, no key is promoted.
    file.policy.promotion = false
    return file
  }

  /// The rack and the load on it, as they are shown at the top.
  var title: [String] {
    [
      "hotrack demo: a rack of \(servers) servers, emulated: "
        + "each \(Text.count(Double(capacity))) ops/s",
      "the load: \(Text.count(offered)) ops/s arrive "
        + "(\(Text.short((100 * offered / summedCapacity).rounded())) % of all servers' speed), "
        + "\(Text.short(readShare * 100)) % reads,",
      "  \(Text.count(Double(keys))) keys, Zipf \(Text.short(alpha))",
    ]
  }
}
