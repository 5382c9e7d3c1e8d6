internal import CHotrack
internal import DataPlane
internal import Directory
internal import Glibc
internal import Wire

/// Frames over two veth hops: through the data plane, and through a program that only redirects.
public struct LiveRates: Sendable, Codable, Equatable {
  /// Reads of hot keys that reached a server through the data plane, each second; the most of all
  /// rounds.
  public var rack: Double
  /// The same frames through a program that sends everything on to one interface.
  public var bare: Double
  /// The first divided by the second.
  public var ratio: Double
  /// What arrived of what was sent, in the worst round of either.
  public var arrivedShare: Double

  enum CodingKeys: String, CodingKey {
    case ratio
    case rack = "packets_per_second"
    case bare = "bare_packets_per_second"
    case arrivedShare = "arrived_share"
  }
}

/// Measures live frames (`BPF_F_TEST_XDP_LIVE_FRAMES`, batches of 64) on one processor: from the
/// client's end of a veth pair to the directory's, out of another pair, and to the server's end,
/// which counts and drops them. Needs root; the interfaces are in a namespace of their own.
public struct LiveBench: Sendable {
  private let packetsPerRound: Int
  private let rounds: Int
  private let keys: Int

  /// `packetsPerRound` from 1,000 to 2^30; `keys`: a power of two up to 2^22.
  public init(packetsPerRound: Int = 200_000, rounds: Int = 10, keys: Int = 4_096) {
    precondition(packetsPerRound >= 1_000 && packetsPerRound <= 1 << 30 && rounds >= 1)
    precondition(keys > 0 && keys & (keys - 1) == 0 && keys <= 1 << 22)
    self.packetsPerRound = packetsPerRound
    self.rounds = rounds
    self.keys = keys
  }

  /// Runs both in turn in each round. `progress` is told the number of each before it begins.
  public func run(
    progress: @escaping @Sendable (_ round: Int) -> Void = { _ in }
  ) throws -> LiveRates {
    try OwnNamespace.run {
      let rig = try LiveRig(keys: keys)
      var (best, share) = ([LivePath.rack: 0.0, .bare: 0.0], 1.0)
      // The first round warms up, and does not count.
      for round in 0...rounds {
        if round > 0 { progress(round) }
        for path in [LivePath.rack, .bare] {
          let (rate, arrived) = try rig.run(path, packets: packetsPerRound)
          guard round > 0 else { continue }
          best[path] = max(best[path] ?? 0, rate)
          share = min(share, arrived)
        }
      }
      let (rack, bare) = (best[.rack] ?? 0, best[.bare] ?? 0)
      return LiveRates(
        rack: rack, bare: bare, ratio: bare > 0 ? rack / bare : 0, arrivedShare: share)
    }
  }
}

/// What stands between the two hops. Each path has interfaces of its own.
enum LivePath: String, CaseIterable {
  case rack = "r"
  case bare = "b"

  /// The client's end, and the directory's end of the same pair.
  var client: String { "ht-\(rawValue)c" }
  var fromClient: String { "ht-\(rawValue)0" }
  /// The directory's end of the other pair, and the server's.
  var toServer: String { "ht-\(rawValue)1" }
  var server: String { "ht-\(rawValue)s" }
}

/// Both paths, in the network namespace of the calling thread.
final class LiveRig {
  private let plane: DataPlane
  private let feeder: PacketFeeder
  private var links: [Int32] = []

  init(keys: Int) throws {
    try Self.makeInterfaces()
    plane = try DataPlane(
      configuration: DataPlaneConfiguration(
        rack: BenchRack.configuration, buckets: BenchRack.buckets(forKeys: keys)))
    feeder = try PacketFeeder(keys: keys, rack: plane.program)
    for path in LivePath.allCases { try attach("arrive", to: path.server) }
    try attach("bare_redirect", to: LivePath.bare.fromClient)
    try feeder.setDevice(BENCH_TO_SERVER, interface: if_nametoindex(LivePath.bare.toServer))
    try plane.attach(interface: LivePath.rack.fromClient)
    try plane.attach(interface: LivePath.rack.toServer)
    BenchRack.setUp(plane.memory, interface: if_nametoindex(LivePath.rack.toServer))
    let entries = try BenchRack.enterKeys(keys, plane.memory)
    BenchRack.resetKeys(entries, plane.memory)
  }

  deinit {
    for link in links { close(link) }
  }

  /// Frames that arrive each second, and their share of all.
  func run(_ path: LivePath, packets: Int) throws -> (rate: Double, arrived: Double) {
    let frame = BenchFrame.request(.get)
    try feeder.setDevice(BENCH_FROM_CLIENT, interface: if_nametoindex(path.client))
    feeder.prepare(DataPlaneCase.hotRead, frame: frame)
    plane.drainSamples { _ in }
    let before = (feeder.arrivals, plane.counters())
    let begin = OwnNamespace.now()
    try LoadedProgram.runLive(feeder.program("send"), frame: frame, times: packets)
    let nanoseconds = OwnNamespace.now() - begin
    let arrived = feeder.arrivals - before.0
    let name = DataPlaneCase.hotRead.name
    let counted = (plane.counters()[name] ?? 0) - (before.1[name] ?? 0)
    // A few may still be on their way.
    guard arrived > 0, path == .bare || counted >= arrived else {
      throw DataPlaneBenchError.notMeasured(
        "\(name) over two hops", counted: Int(counted), of: Int(arrived), others: [],
        last: "\(arrived) arrived")
    }
    return (
      Double(arrived) * 1e9 / Double(max(nanoseconds, 1)), Double(arrived) / Double(packets)
    )
  }

  private func attach(_ program: String, to interface: String) throws(DataPlaneError) {
    links.append(try LoadedProgram.attach(feeder.program(program), to: interface))
  }

  /// Silent interfaces: without IPv6 there is no talk of neighbours.
  private static func makeInterfaces() throws {
    var commands = ["echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6"]
    for path in LivePath.allCases {
      for (one, other) in [(path.client, path.fromClient), (path.toServer, path.server)] {
        commands.append("ip link add \(one) type veth peer name \(other)")
        commands += [one, other].map { "ip link set \($0) up" }
      }
    }
    var child: pid_t = 0
    var arguments: [UnsafeMutablePointer<CChar>?] =
      ["sh", "-ec", commands.joined(separator: "\n")].map { (text: String) in strdup(text) } + [nil]
    defer { for argument in arguments { free(argument) } }
    let code = posix_spawn(&child, "/bin/sh", nil, nil, &arguments, environ)
    guard code == 0 else { throw DataPlaneError.kernel(doing: "start sh", code: code, log: "") }
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0 && errno == EINTR {}
    guard status == 0 else { throw DataPlaneBenchError.noInterfaces }
  }
}
