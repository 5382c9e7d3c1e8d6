/// What a configuration file says about choosing hot keys; nil means the controller's default.
/// Times are in milliseconds, rates in operations per second.
public struct PolicyConfiguration: Sendable, Equatable {
  /// false: no key is promoted by itself (plain hashing).
  public var promotion: Bool?
  /// How often the controller decides.
  public var intervalMilliseconds: Int?
  /// In how much time the temperature of a key that is no longer asked for halves.
  public var halfLifeMilliseconds: Int?
  /// At most so many keys are hot at a time.
  public var hotKeysMax: Int?
  /// A key is promoted when its load is more than this share of one server's fair share.
  public var promoteShare: Double?
  /// A hot key is demoted when its load is less than this share of one server's fair share.
  public var demoteShare: Double?
  /// A key slower than this (operations per second) is never promoted.
  public var minimumRate: Double?
  /// A key stays hot at least so long.
  public var minimumStayMilliseconds: Int?
  /// At most so many promotions and demotions in one interval.
  public var movesPerInterval: Int?
  /// At most so many servers get a copy of each write.
  public var copiesMax: Int?
  /// One of so many requests is sampled when there is little load; 0: none.
  public var sampleInterval: Int?
  /// A server that has answered no probe for so long is held for dead.
  public var serverTimeoutMilliseconds: Int?
  /// So long after its death a server's slots go to others.
  public var graceMilliseconds: Int?
  /// How often servers may forget (FLOOR); 0: never by itself.
  public var floorIntervalMilliseconds: Int?

  public init() {}

  init(_ reader: TableReader) {
    promotion = reader.bool("promotion")
    intervalMilliseconds = reader.integer("interval_ms", 1...60_000)
    halfLifeMilliseconds = reader.integer("half_life_ms", 1...3_600_000)
    hotKeysMax = reader.integer("hot_keys_max", 0...65_536)
    promoteShare = reader.number("promote_share", 0...100)
    demoteShare = reader.number("demote_share", 0...100)
    minimumRate = reader.number("minimum_rate", 0...1e9)
    minimumStayMilliseconds = reader.integer("minimum_stay_ms", 0...3_600_000)
    movesPerInterval = reader.integer("moves_per_interval", 1...65_536)
    copiesMax = reader.integer("copies_max", 0...31)
    sampleInterval = reader.integer("sample_interval", 0...1_000_000)
    serverTimeoutMilliseconds = reader.integer("server_timeout_ms", 10...3_600_000)
    graceMilliseconds = reader.integer("grace_ms", 0...3_600_000)
    floorIntervalMilliseconds = reader.integer("floor_interval_ms", 0...3_600_000)
    if let promoteShare, let demoteShare, demoteShare >= promoteShare {
      reader.wrong(
        "demote_share", shown: String(demoteShare),
        "less than promote_share (\(promoteShare)), or the keys would swing")
    }
    reader.finish()
  }

  /// The lines of a `[policy]` table; empty if nothing is set.
  var lines: [String] {
    func line(_ key: String, _ value: (some CustomStringConvertible)?) -> [String] {
      value.map { ["\(key) = \($0)"] } ?? []
    }
    let lines =
      line("promotion", promotion) + line("interval_ms", intervalMilliseconds)
      + line("half_life_ms", halfLifeMilliseconds) + line("hot_keys_max", hotKeysMax)
      + line("promote_share", promoteShare) + line("demote_share", demoteShare)
      + line("minimum_rate", minimumRate) + line("minimum_stay_ms", minimumStayMilliseconds)
      + line("moves_per_interval", movesPerInterval) + line("copies_max", copiesMax)
      + line("sample_interval", sampleInterval)
      + line("server_timeout_ms", serverTimeoutMilliseconds) + line("grace_ms", graceMilliseconds)
      + line("floor_interval_ms", floorIntervalMilliseconds)
    return lines.isEmpty ? [] : ["", "[policy]"] + lines
  }
}
