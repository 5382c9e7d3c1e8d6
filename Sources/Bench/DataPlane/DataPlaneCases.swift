internal import CHotrack
internal import Wire

/// A kind of packet that the data plane's cost is measured for.
struct DataPlaneCase: Sendable {
  /// What the packet is given to.
  enum Target: Sendable {
    /// A program that does nothing.
    case empty
    /// A program that parses Ethernet, IPv4 and UDP, and swaps addresses and ports.
    case parseSwap
    case rack

    var raw: UInt32 {
      switch self {
      case .empty: BENCH_EMPTY.rawValue
      case .parseSwap: BENCH_PARSE_SWAP.rawValue
      case .rack: BENCH_RACK.rawValue
      }
    }
  }

  /// As in the report.
  let name: String
  let target: Target
  /// What the data plane must count each packet as.
  let counter: String
  let frame: @Sendable (_ port: UInt32) -> [UInt8]
  /// Are its keys those with directory entries?
  var isHot = true
  /// Does each packet carry a newer version than the last of its key?
  var advances = false
  /// The version of the first pass over the keys; 0: packets carry none.
  var firstVersion: UInt64 = 0
  /// Servers' packets carry a tag, in a rack with a key.
  var isFromServer: Bool { firstVersion > 0 }

  static let hotRead = DataPlaneCase("hot_read") { _ in BenchFrame.request(.get) }

  static let parseSwap = DataPlaneCase("parse_swap", .parseSwap) { _ in BenchFrame.request(.get) }

  /// In the order in which they are run.
  static let all = [
    DataPlaneCase("empty", .empty) { _ in BenchFrame.request(.get) },
    parseSwap,
    DataPlaneCase("pass_through", counter: "pass") { _ in BenchFrame.foreign() },
    DataPlaneCase("cold_read", isHot: false) { _ in BenchFrame.request(.get) },
    hotRead,
    DataPlaneCase("cold_write", isHot: false) { _ in BenchFrame.request(.set) },
    DataPlaneCase("hot_write") { _ in BenchFrame.request(.set) },
    DataPlaneCase("read_reply", firstVersion: BenchRack.version) {
      BenchFrame.report(.get, port: $0)
    },
    DataPlaneCase("write_reply", firstVersion: BenchRack.version + 1, advances: true) {
      BenchFrame.report(.set, port: $0)
    },
    DataPlaneCase("copy_ack", firstVersion: BenchRack.version + 1, advances: true) {
      BenchFrame.report(.copyAck, port: $0)
    },
  ]

  /// What is measured with a key and with a rate limit: one request of each kind, and a reply.
  static let guarded = all.filter {
    ["pass_through", "cold_read", "hot_read", "cold_write", "hot_write", "read_reply"]
      .contains($0.name)
  }

  init(
    _ name: String, _ target: Target = .rack, counter: String? = nil, isHot: Bool = true,
    firstVersion: UInt64 = 0, advances: Bool = false,
    _ frame: @escaping @Sendable (_ port: UInt32) -> [UInt8]
  ) {
    self.name = name
    self.target = target
    self.counter = counter ?? name
    self.isHot = isHot
    self.firstVersion = firstVersion
    self.advances = advances
    self.frame = frame
  }
}
