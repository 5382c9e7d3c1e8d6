internal import DataPlane
internal import Directory
internal import Wire

/// What keeping strangers out costs of one kind of packet. Nanoseconds of CPU time, the least of all
/// rounds, less that of parsing and swapping in the same run.
public struct GuardCost: Sendable, Codable, Equatable {
  /// The kind of packet.
  public var name: String
  /// In a rack without key and rate limit.
  public var plain: Double
  /// In a rack with a key.
  public var tagged: Double
  /// In a rack whose servers sign under the second of two keys.
  public var taggedUnderSecond: Double
  /// In a rack with a rate limit.
  public var limited: Double

  enum CodingKeys: String, CodingKey {
    case name
    case plain = "plain_ns"
    case tagged = "tagged_ns"
    case taggedUnderSecond = "tagged_under_second_ns"
    case limited = "limited_ns"
  }
}

/// Measures, as `DataPlaneBench`, what the rack tag and the rate limit add to a packet: four data
/// planes get the same packets in turn.
public struct GuardBench: Sendable {
  private let packetsPerRound: Int
  private let rounds: Int

  /// As of `DataPlaneBench`.
  public init(packetsPerRound: Int = 200_000, rounds: Int = 20) {
    precondition(packetsPerRound >= 1_000 && packetsPerRound <= 1 << 30 && rounds >= 1)
    self.packetsPerRound = packetsPerRound
    self.rounds = rounds
  }

  private static func keys(_ bytes: ClosedRange<UInt8>) -> RackKeys? { RackKeys(Array(bytes)) }

  /// Runs all cases in each round. `keys`: as of `DataPlaneBench.run`.
  public func run(
    keys: Int, progress: @escaping @Sendable (_ round: Int) -> Void = { _ in }
  ) throws -> [GuardCost] {
    precondition(keys > 0 && keys & (keys - 1) == 0 && keys <= 1 << 22)
    return try OwnNamespace.run {
      let plain = BenchRack.configuration
      var (tagged, changing, limited) = (plain, plain, plain)
      tagged.keys = Self.keys(1...16)
      changing.keys = Self.keys(1...32)
      // Always kept: what is measured is the looking.
      limited.limit = RequestLimit(interval: 1, burst: 1 << 40)
      let rigs = [
        try DataPlaneRig(keys: keys, plain),
        try DataPlaneRig(keys: keys, tagged, servers: tagged.keys),
        try DataPlaneRig(keys: keys, changing, servers: Self.keys(17...32)),
        try DataPlaneRig(keys: keys, limited),
      ]
      let cases = DataPlaneCase.guarded
      let packets = max(packetsPerRound, keys)
      var parseSwap = Double.infinity
      var least = [[Double]](
        repeating: Array(repeating: .infinity, count: rigs.count), count: cases.count)
      // The first round warms caches up, and does not count.
      for round in 0...rounds {
        if round > 0 { progress(round) }
        func time(_ each: DataPlaneCase, in rig: DataPlaneRig) throws -> Double {
          let time = Double(try rig.run(each, packets: packets)) / Double(packets)
          return round > 0 ? time : .infinity
        }
        for rig in rigs { parseSwap = min(parseSwap, try time(DataPlaneCase.parseSwap, in: rig)) }
        for (index, each) in cases.enumerated() {
          for (number, rig) in rigs.enumerated() {
            least[index][number] = min(least[index][number], try time(each, in: rig))
          }
        }
      }
      return zip(cases, least).map { each, times in
        GuardCost(
          name: each.name, plain: times[0] - parseSwap, tagged: times[1] - parseSwap,
          taggedUnderSecond: times[2] - parseSwap, limited: times[3] - parseSwap)
      }
    }
  }
}
