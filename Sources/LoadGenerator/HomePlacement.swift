internal import Wire
public import Workload

/// Where plain hashing puts a load: computed from popularity and hash, not measured.
public struct HomePlacement: Sendable {
  /// The share of all requests whose keys have their home at each server, by number.
  public let shares: [Double]
  private let servers: Int
  /// Share and home of each of the most popular keys, the most popular first.
  private let hottest: [(share: Double, home: Int)]

  /// Hashed one by one; more keys than that are taken as spread evenly, each being too small to
  /// matter.
  private static let exactMax = 1_000_000
  /// As many as a directory may have to be asked about.
  private static let hottestMax = 65_536

  /// `servers`: 1 ... 32. Takes about a tenth of a second for a million keys.
  public init(popularity: ZipfDistribution, keys: KeySpace, hashSeed: UInt64, servers: Int) {
    precondition((1...WireLimits.serversMax).contains(servers) && popularity.count == keys.count)
    let exact = min(keys.count, Self.exactMax)
    let rest = max(0, 1 - popularity.shareOfHottest(exact)) / Double(servers)
    var shares = [Double](repeating: rest, count: servers)
    var hottest: [(share: Double, home: Int)] = []
    for rank in 0..<exact {
      let slot = KeyHash.slot(KeyHash.of(keys.key(ofRank: rank), seed: hashSeed))
      // As the controller divides the slots of a new rack.
      let home = slot * servers / WireLimits.slots
      let share = popularity.shareOfRank(rank)
      shares[home] += share
      if rank < Self.hottestMax { hottest.append((share, home)) }
    }
    self.shares = shares
    self.servers = servers
    self.hottest = hottest
  }

  /// The share of all requests, by the server that is their keys' home, that is not for one of the
  /// `hot` most popular keys (at most 65,536 of them).
  public func coldShares(hot: Int) -> [Double] {
    var cold = shares
    for key in hottest.prefix(hot) { cold[key.home] -= key.share }
    return cold.map { max($0, 0) }
  }

  /// The largest part of the summed capacity of equal servers that plain hashing can use before the
  /// busiest is full.
  public var idealHomeShare: Double { bound(shares) }

  /// The same if requests for the `hot` most popular keys go elsewhere: the share `steered` of them
  /// to whichever server has room, the others to all servers evenly, whatever they have to do
  /// besides. Copies are not counted: they only take away from it.
  public func idealShare(hot: Int, steered: Double) -> Double {
    let cold = coldShares(hot: hot)
    let even = (1 - cold.reduce(0, +)) * (1 - steered) / Double(servers)
    return bound(cold.map { $0 + max(even, 0) })
  }

  private func bound(_ shares: [Double]) -> Double {
    min(1, 1 / (Double(servers) * (shares.max() ?? 1)))
  }
}
