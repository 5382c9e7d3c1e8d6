internal import Capture
internal import Foundation
internal import Observe
internal import Workload

/// What `hotrack observe` does per packet of a file, against reading the file and doing nothing; and
/// how far its shares are from the truth.
public struct ObserveBench {
  /// One kind of traffic.
  public struct Result: Sendable, Codable {
    public var traffic: TrafficFile.Kind
    public var packets: Int
    /// Per second of this thread's CPU time, file reading included; the best round.
    public var packetsPerSecond: Double
    public var nanosecondsPerPacket: Double
    /// Of that: libpcap's reading of the file, measured alone in the same rounds.
    public var nanosecondsToRead: Double
    /// Requests found, of those in the file: 1 is all.
    public var found: Double
    /// The largest difference between a top key's share and the truth, as a part of all requests.
    public var largestError: Double
  }

  private let packets: Int
  private let rounds: Int
  private let keys: Int
  private let alpha: Double
  private let readShare: Double
  /// Keys whose shares are compared with the truth.
  private static let comparedKeys = 100

  /// `packets`: in each file, at least 1,000. The best of `rounds` counts.
  public init(
    packets: Int = 1_000_000, rounds: Int = 3, keys: Int = 1_000_000, alpha: Double = 0.99,
    readShare: Double = 0.9
  ) {
    precondition(packets >= 1_000 && rounds >= 1)
    (self.packets, self.rounds, self.keys) = (packets, rounds, keys)
    (self.alpha, self.readShare) = (alpha, readShare)
  }

  /// Measures all kinds, one after the other, with files in `folder`, which it removes; `progress` is
  /// told the name of each.
  public func run(
    folder: String, progress: (String) -> Void = { _ in }
  ) throws -> [Result] {
    try TrafficFile.Kind.allCases.map { kind in
      progress(kind.rawValue)
      let path = "\(folder)/hotrack-bench-observe-\(getpid())-\(kind.rawValue).pcap"
      defer { try? FileManager.default.removeItem(atPath: path) }
      let file = try TrafficFile(
        kind, packets: packets, keys: keys, alpha: alpha, readShare: readShare, path: path)
      return try measure(kind, file)
    }
  }

  private func measure(_ kind: TrafficFile.Kind, _ file: TrafficFile) throws -> Result {
    var (reading, observing) = (UInt64.max, UInt64.max)
    var seen: Observation?
    for _ in 0..<rounds {
      var sum = 0
      reading = min(
        reading,
        try time(file.path) { capture in
          while try capture.read(limit: 65_536, { sum &+= $0.bytes.count }) > 0 {}
        })
      precondition(sum > 0, "the baseline was not optimized away")
      observing = min(
        observing,
        try time(file.path) { capture in
          let observer = TrafficObserver(link: .ethernet)
          while try capture.read(limit: 65_536, { observer.take($0.bytes, time: $0.time) }) > 0 {}
          seen = observer.observation(servers: 8)
        })
    }
    let each = Double(observing) / Double(file.packets)
    return Result(
      traffic: kind, packets: file.packets, packetsPerSecond: 1e9 / each,
      nanosecondsPerPacket: each, nanosecondsToRead: Double(reading) / Double(file.packets),
      found: (seen?.requests ?? 0) / Double(file.requests),
      largestError: seen.map { error(of: $0, file) } ?? 1)
  }

  private func time(_ path: String, _ body: (PacketCapture) throws -> Void) throws -> UInt64 {
    let capture = try PacketCapture(file: path)
    let begin = OwnNamespace.threadTime()
    try body(capture)
    return OwnNamespace.threadTime() - begin
  }

  /// Over the keys that are hottest in truth, wherever they were found.
  private func error(of seen: Observation, _ file: TrafficFile) -> Double {
    let shares = Dictionary(seen.keys.map { ($0.key, $0.share) }, uniquingKeysWith: +)
    let hottest = file.truth.indices.sorted { file.truth[$0] > file.truth[$1] }
    return hottest.prefix(Self.comparedKeys).map { rank in
      let key = String(decoding: file.keys.key(ofRank: rank), as: UTF8.self)
      return abs((shares[key] ?? 0) - Double(file.truth[rank]) / Double(file.requests))
    }.max() ?? 0
  }
}
