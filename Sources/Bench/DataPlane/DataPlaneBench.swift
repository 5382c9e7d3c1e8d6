internal import CBPF
internal import CHotrack
internal import DataPlane
internal import Directory
internal import Glibc
internal import Wire

/// What one kind of packet costs.
public struct DataPlaneCost: Sendable, Codable, Equatable {
  /// The kind of packet, or the baseline.
  public var name: String
  /// CPU time per packet, the least of all rounds.
  public var nanosecondsPerPacket: Double
  /// The same, less that of parsing and swapping in the same run. 0 for that itself.
  public var overParseSwap: Double
  /// The same, less that of the program that does nothing.
  public var overEmpty: Double
  /// CPU time per packet, the median of all rounds: far above the least on a busy machine.
  public var medianNanoseconds: Double

  enum CodingKeys: String, CodingKey {
    case name
    case nanosecondsPerPacket = "ns_per_packet"
    case overParseSwap = "over_parse_swap_ns"
    case overEmpty = "over_empty_ns"
    case medianNanoseconds = "median_ns_per_packet"
  }
}

/// The costs with so many keys.
public struct DataPlaneCosts: Sendable, Codable, Equatable {
  /// Keys that the packets go through in turn, and as many directory entries.
  public var keys: Int
  /// In the order of `DataPlaneBench.names`.
  public var cases: [DataPlaneCost]
}

/// Measures the XDP program in the kernel by `BPF_PROG_TEST_RUN`: each packet is made anew by a
/// program of the benchmark's own and then given to the data plane, or to a baseline. Needs root;
/// touches no interface. Everything is switched on: sampling, counts, checksums, copies.
public struct DataPlaneBench: Sendable {
  private let packetsPerRound: Int
  private let rounds: Int

  /// The cases, in the order in which they are reported.
  public static let names = DataPlaneCase.all.map(\.name)

  /// `packetsPerRound`: from 1,000 to 2^30, raised to the number of keys; the least of `rounds`
  /// counts.
  public init(packetsPerRound: Int = 200_000, rounds: Int = 20) {
    precondition(packetsPerRound >= 1_000 && packetsPerRound <= 1 << 30 && rounds >= 1)
    self.packetsPerRound = packetsPerRound
    self.rounds = rounds
  }

  /// Runs all cases, in turn, in each round. `keys`: a power of two up to 2^22. `progress` is told
  /// the number of each round before it begins.
  public func run(
    keys: Int, progress: @escaping @Sendable (_ round: Int) -> Void = { _ in }
  ) throws -> DataPlaneCosts {
    precondition(keys > 0 && keys & (keys - 1) == 0 && keys <= 1 << 22)
    return try OwnNamespace.run {
      let rig = try DataPlaneRig(keys: keys, BenchRack.configuration)
      let packets = max(packetsPerRound, keys)
      var times = [[Double]](repeating: [], count: DataPlaneCase.all.count)
      // The first round warms caches up, and does not count.
      for round in 0...rounds {
        if round > 0 { progress(round) }
        for (index, each) in DataPlaneCase.all.enumerated() {
          let time = try rig.run(each, packets: packets)
          if round > 0 { times[index].append(Double(time) / Double(packets)) }
        }
      }
      return Self.costs(times, keys: keys)
    }
  }

  static func costs(_ times: [[Double]], keys: Int) -> DataPlaneCosts {
    let least = times.map { $0.min() ?? 0 }
    func baseline(_ target: DataPlaneCase.Target) -> Double {
      zip(DataPlaneCase.all, least).first { $0.0.target == target }?.1 ?? 0
    }
    let (empty, parseSwap) = (baseline(.empty), baseline(.parseSwap))
    return DataPlaneCosts(
      keys: keys,
      cases: zip(DataPlaneCase.all, zip(least, times)).map { each, measured in
        DataPlaneCost(
          name: each.name, nanosecondsPerPacket: measured.0,
          overParseSwap: measured.0 - parseSwap, overEmpty: measured.0 - empty,
          medianNanoseconds: measured.1.sorted()[measured.1.count / 2])
      })
  }
}

/// The data plane with its keys, and the program that gives it packets.
final class DataPlaneRig {
  private let plane: DataPlane
  private let feeder: PacketFeeder
  private let interface: UInt32
  private let entries: [UInt32]

  /// `servers`: what their packets are tagged with.
  init(
    keys: Int, _ configuration: RackConfiguration = BenchRack.configuration,
    servers: RackKeys? = nil
  ) throws {
    plane = try DataPlane(
      configuration: DataPlaneConfiguration(
        rack: configuration, buckets: BenchRack.buckets(forKeys: keys)))
    interface = try plane.enterLoopback()
    BenchRack.setUp(plane.memory, interface: interface)
    entries = try BenchRack.enterKeys(keys, plane.memory)
    feeder = try PacketFeeder(keys: keys, rack: plane.program, servers: servers)
  }

  /// CPU time of so many packets, in nanoseconds. Throws if the data plane took them for others.
  func run(_ each: DataPlaneCase, packets: Int) throws -> UInt64 {
    BenchRack.resetKeys(entries, plane.memory)
    plane.drainSamples { _ in }
    let frame = each.frame(interface)
    feeder.prepare(each, frame: frame)
    let before = plane.counters()
    let begin = OwnNamespace.threadTime()
    let action = try LoadedProgram.run(feeder.restore, frame: frame, times: packets)
    let time = OwnNamespace.threadTime() - begin
    guard each.target == .rack else { return time }
    let after = plane.counters()
    let counted = (after[each.counter] ?? 0) - (before[each.counter] ?? 0)
    guard counted == packets else {
      let others = after.all.filter { $0.packets != before[$0.counter] }.map(\.counter.description)
      throw DataPlaneBenchError.notMeasured(
        each.name, counted: Int(counted), of: packets, others: others, last: "\(action)")
    }
    return time
  }
}

/// Why there is no result.
public enum DataPlaneBenchError: Error, Sendable, CustomStringConvertible {
  /// The data plane did not do with the packets what was to be measured.
  case notMeasured(String, counted: Int, of: Int, others: [String], last: String)
  /// `ip` has said why.
  case noInterfaces

  /// What is wrong.
  public var description: String {
    switch self {
    case .notMeasured(let name, let counted, let packets, let others, let last):
      """
      of \(packets) packets only \(counted) were counted as \(name) (the counters that have moved: \
      \(others.joined(separator: ", ")); the last one: \(last)): this is a bug of the benchmark \
      or of the data plane, please report it
      """
    case .noInterfaces:
      "cannot make virtual interfaces (`ip` has said why above): is iproute2 installed?"
    }
  }
}
