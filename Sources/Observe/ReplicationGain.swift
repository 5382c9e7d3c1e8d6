internal import ControllerCore

/// What replicating the hottest keys over a rack's servers would gain: computed from the keys' shares,
/// not measured. All servers are alike, and all requests cost the same.
public struct ReplicationGain: Sendable, Equatable, Encodable {
  /// With so many keys replicated.
  public struct Step: Sendable, Equatable, Encodable {
    /// The hottest so many.
    public var keys: Int
    /// Their share of the requests.
    public var share: Double
    /// The part of all servers' capacity, 0...1, that is used when the busiest server is full; at
    /// most that, since nothing is perfect.
    public var usableCapacity: Double
    /// Times as many requests as with plain hashing.
    public var factor: Double
  }

  /// Servers of the rack that is assumed.
  public var servers: Int
  /// The same with every key at one server, as plain hashing has it.
  public var plainUsableCapacity: Double
  /// Keys that hotrack's policy would replicate, of those that are watched: all with a hundredth of
  /// what one server carries.
  public var keysWorthwhile: Int
  /// 1, 4, 16 … keys, and at last as many as are worthwhile.
  public var steps: [Step]

  /// A key's share of the requests, and the share of reads in its own.
  struct Key {
    var share: Double
    var readShare: Double
  }

  /// Where keys come to lie is drawn so many times; the median counts.
  private static let placements = 33

  /// `keys`: the hottest first; what they leave is taken as spread evenly. `servers`: 2 ... 32.
  init(keys: [Key], servers: Int) {
    precondition(servers >= 2)
    self.servers = servers
    let even = 1 / Double(servers)
    // Those that could matter to a server; tens of thousands of smaller ones level out.
    let keys = keys.prefix(while: { $0.share > 0.0001 * even }).prefix(4_096)
    let leastShare = PolicyConfiguration().promoteShare * even
    let worthwhile = keys.prefix(while: { $0.share >= leastShare }).count
    let keysWorthwhile = min(worthwhile, PolicyConfiguration().hotKeysMax)
    self.keysWorthwhile = keysWorthwhile
    let homes = (0..<Self.placements).map { Self.homes(of: keys.count, servers, seed: $0) }
    let plain = Self.usable(Array(keys), replicated: 0, homes, servers)
    plainUsableCapacity = plain
    var sizes = [1, 4, 16, 64, 256].filter { $0 < keysWorthwhile }
    if keysWorthwhile > 0 { sizes.append(keysWorthwhile) }
    steps = sizes.map { size in
      let usable = Self.usable(Array(keys), replicated: size, homes, servers)
      return Step(
        keys: size, share: keys.prefix(size).reduce(0) { $0 + $1.share }, usableCapacity: usable,
        factor: usable / plain)
    }
  }

  /// splitmix64 (Steele, Lea, Flood, OOPSLA 2014) of key and placement.
  private static func homes(of keys: Int, _ servers: Int, seed: Int) -> [Int] {
    (0..<keys).map { key in
      var x = UInt64(seed) << 32 | UInt64(key)
      x = (x &+ 0x9e37_79b9_7f4a_7c15) &* 0xbf58_476d_1ce4_e5b9
      x = (x ^ (x >> 27)) &* 0x94d0_49bb_1331_11eb
      return Int((x ^ (x >> 31)) % UInt64(servers))
    }
  }

  /// The part of the capacity in use when the busiest server is full. Writes of replicated keys go to
  /// all servers alike, and each makes the copies that the policy orders, which cost as much as a
  /// request; reads go where room is left.
  private static func usable(
    _ keys: [Key], replicated: Int, _ homes: [[Int]], _ servers: Int
  ) -> Double {
    let even = 1 / Double(servers)
    var (reads, writes) = (0.0, 0.0)
    for key in keys.prefix(replicated) {
      reads += key.share * key.readShare
      let copies = Degree.copies(
        readShare: key.readShare, rate: key.share, fairRate: even, servers: servers)
      writes += key.share * (1 - key.readShare) * Double(1 + copies)
    }
    let rest = max(0, 1 - keys.reduce(0) { $0 + $1.share })
    let bounds = homes.map { homes in
      var loads = [Double](repeating: (rest + writes) * even, count: servers)
      for index in keys.indices.dropFirst(replicated) { loads[homes[index]] += keys[index].share }
      let average = (loads.reduce(0, +) + reads) * even
      return even / max(average, loads.max() ?? average)
    }
    return min(1, bounds.sorted()[bounds.count / 2])
  }
}
