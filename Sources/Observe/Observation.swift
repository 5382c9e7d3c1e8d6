internal import KeyTemperature

/// What was seen, as tables and JSON show it (docs/observe.md has the fields). Shares are parts of the
/// requests with a key.
public struct Observation: Sendable, Encodable {
  public struct Packets: Sendable, Equatable, Encodable {
    public var all: UInt64
    public var tcp: UInt64
    public var udp: UInt64
    /// Neither TCP nor UDP over IP.
    public var other: UInt64
    /// Later parts of datagrams in several parts.
    public var fragments: UInt64
    public var malformed: UInt64
    /// Lost by kernel and interface before they were seen; nil: from a file, nobody knows.
    public var dropped: UInt64?
  }

  public struct Streams: Sendable, Equatable, Encodable {
    /// Followed now.
    public var connections: Int
    /// That had to make room for others.
    public var forgotten: UInt64
    /// Sent, and not in the capture.
    public var missingBytes: UInt64
    public var gaps: UInt64
    /// Segments that brought nothing new: sent again, or captured twice.
    public var repeatedSegments: UInt64
  }

  public struct ProtocolCount: Sendable, Equatable, Encodable {
    public var name: KeyProtocol
    public var reads: UInt64
    public var writes: UInt64
    /// Requests in which no key was found; they count nowhere else.
    public var withoutKey: UInt64

    enum CodingKeys: String, CodingKey {
      case name = "protocol"
      case reads, writes, withoutKey
    }
  }

  public struct Key: Sendable, Equatable, Encodable {
    /// Its bytes, those that are not printable as \xHH.
    public var key: String
    public var keyHex: String
    public var keyProtocol: KeyProtocol
    /// At most the true number; less than that by at most 1/places of all.
    public var requests: Double
    public var share: Double
    /// Over the whole time.
    public var requestsPerSecond: Double
    /// Its temperature: of the last seconds.
    public var temperature: Double
    public var readShare: Double

    enum CodingKeys: String, CodingKey {
      case key, keyHex, requests, share, requestsPerSecond, readShare
      case keyProtocol = "protocol"
      case temperature = "temperaturePerSecond"
    }
  }

  public struct Server: Sendable, Equatable, Encodable {
    public var address: String
    public var keyProtocol: KeyProtocol
    public var requests: UInt64
    public var share: Double

    enum CodingKeys: String, CodingKey {
      case address, requests, share
      case keyProtocol = "protocol"
    }
  }

  public struct Skew: Sendable, Equatable, Encodable {
    public var alpha: Double
    /// As many of the hottest keys were fitted.
    public var keys: Int
    /// Between measured and fitted shares, at most; 0...1.
    public var distance: Double
    /// Whether the popularity is one of Zipf at all.
    public var isZipf: Bool
  }

  public struct TopShare: Sendable, Equatable, Encodable {
    public var keys: Int
    public var share: Double
  }

  /// Between the first and the last packet.
  public var seconds: Double
  public var packets: Packets
  public var streams: Streams
  /// With a key: those that the figures below are about. With a window less than were seen.
  public var requests: Double
  public var requestsPerSecond: Double
  public var protocols: [ProtocolCount]
  public var distinctKeys: Double
  /// Nil: too few requests to say.
  public var skew: Skew?
  public var topShares: [TopShare]
  /// The hottest keys first.
  public var keys: [Key]
  /// Those asked most first.
  public var servers: [Server]
  /// Nil: nothing was asked for.
  public var gain: ReplicationGain?

  init(
    _ statistics: KeyStatistics, _ counts: PacketCounts, _ follower: StreamFollower,
    connections: Int, connectionsForgotten: UInt64, hasWindow: Bool, servers: Int
  ) {
    seconds = Double(statistics.time &- (statistics.firstTime ?? statistics.time)) / 1e9
    packets = Packets(
      all: counts.all, tcp: counts.segments, udp: counts.datagrams, other: counts.others,
      fragments: counts.fragments, malformed: counts.malformed)
    streams = Streams(
      connections: connections, forgotten: connectionsForgotten,
      missingBytes: follower.missingBytes, gaps: follower.gaps,
      repeatedSegments: follower.repeated)
    protocols = zip(KeyProtocol.allCases, statistics.counts).compactMap { name, count in
      guard count.reads + count.writes + count.withoutKey > 0 else { return nil }
      return ProtocolCount(
        name: name, reads: count.reads, writes: count.writes, withoutKey: count.withoutKey)
    }
    let all = protocols.reduce(0) { $0 + $1.reads + $1.writes }
    let total = hasWindow ? statistics.weight.value : Double(all)
    requests = total
    requestsPerSecond =
      hasWindow ? statistics.weight.rate : seconds > 0 ? Double(all) / seconds : 0
    distinctKeys = all > 0 ? min(statistics.distinct.estimate, Double(all)) : 0
    let rate = total > 0 ? requestsPerSecond / total : 0
    // A young capture has no five seconds yet.
    let rateTime = Observation.rateTime(seconds)
    let keys = Self.hottest(statistics.keys).map { estimate in
      Key(
        key: Self.printable(estimate.key.dropFirst()), keyHex: Self.hex(estimate.key.dropFirst()),
        keyProtocol: estimate.key.first.flatMap(KeyProtocol.init) ?? .hotrack,
        requests: estimate.slow, share: total > 0 ? estimate.slow / total : 0,
        requestsPerSecond: estimate.slow * rate,
        temperature: rateTime > 0 ? estimate.fast / rateTime : 0, readShare: estimate.readShare)
    }
    self.keys = keys
    topShares = [1, 10, 100, 1_000, 10_000].filter { $0 <= keys.count }.map { count in
      TopShare(keys: count, share: keys.prefix(count).reduce(0) { $0 + $1.share })
    }
    skew = ZipfFit(counts: keys.map(\.requests)).map { fit in
      Skew(
        alpha: fit.alpha, keys: fit.keys, distance: fit.distance,
        isZipf: fit.distance <= ZipfFit.misfit)
    }
    gain =
      all == 0
      ? nil
      : ReplicationGain(
        keys: keys.map { ReplicationGain.Key(share: $0.share, readShare: $0.readShare) },
        servers: servers)
    let asked = statistics.servers.filter { $0.requests > 0 }.sorted { $0.requests > $1.requests }
    self.servers = asked.prefix(32).map { server in
      Server(
        address: AddressText.of(server.address), keyProtocol: server.keyProtocol,
        requests: server.requests,
        share: all > 0 ? Double(server.requests) / Double(all) : 0)
    }
  }

  /// The same with the `limit` hottest keys only.
  public func limited(to limit: Int) -> Observation {
    var copy = self
    copy.keys = Array(keys.prefix(limit))
    return copy
  }

  private static func hottest(_ keys: HotKeys) -> [HotKeys.Estimate] {
    keys.above(slow: 0.5, fast: .infinity).sorted {
      $0.slow != $1.slow ? $0.slow > $1.slow : $0.keyHash < $1.keyHash
    }
  }

  /// What a fast count is worth: the time constant, less before it has passed.
  private static func rateTime(_ seconds: Double) -> Double {
    var unit = DecayingCounter(timeConstant: KeyStatistics.rateTime)
    unit.advance(by: seconds)
    return unit.ofUnitRate
  }

  static func printable(_ bytes: some Sequence<UInt8>) -> String {
    var text = ""
    for byte in bytes {
      if byte > 32, byte < 127, byte != UInt8(ascii: "\\") {
        text.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        text += "\\x" + hexDigits(byte)
      }
    }
    return text
  }

  private static func hex(_ bytes: some Sequence<UInt8>) -> String {
    bytes.reduce(into: "") { $0 += hexDigits($1) }
  }

  private static func hexDigits(_ byte: UInt8) -> String {
    String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
  }
}

/// Addresses as people write them.
enum AddressText {
  /// The destination, with its port.
  static func of(_ flow: FlowKey) -> String {
    if flow.destinationHigh == 0, flow.destinationLow >> 32 == 0xffff {
      let octets = [24, 16, 8, 0].map { String(flow.destinationLow >> UInt64($0) & 255) }
      return octets.joined(separator: ".") + ":\(flow.destinationPort)"
    }
    return "[\(ipv6(flow.destinationHigh, flow.destinationLow))]:\(flow.destinationPort)"
  }

  /// RFC 5952: the longest run of zeros is left out.
  private static func ipv6(_ high: UInt64, _ low: UInt64) -> String {
    let groups = (0..<8).map {
      UInt16(truncatingIfNeeded: ($0 < 4 ? high : low) >> (48 - 16 * ($0 % 4)))
    }
    var best = 0..<0
    var start = 0
    while start < 8 {
      var end = start
      while end < 8, groups[end] == 0 { end += 1 }
      if end - start > max(best.count, 1) { best = start..<end }
      start = max(end, start + 1)
    }
    func text(_ range: Range<Int>) -> String {
      groups[range].map { String($0, radix: 16) }.joined(separator: ":")
    }
    guard !best.isEmpty else { return text(0..<8) }
    return text(0..<best.lowerBound) + "::" + text(best.upperBound..<8)
  }
}
