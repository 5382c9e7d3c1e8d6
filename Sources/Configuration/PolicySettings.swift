/// What a configuration file says about choosing hot keys (`[policy]`); nil means the controller's
/// default. Times are in milliseconds, rates in operations per second; a share is relative to what
/// one server would carry if all requests were spread evenly.
public struct PolicySettings: Sendable, Equatable {
  /// `promotion`; false: no key is promoted unless it is asked for (plain hashing).
  public var promotion: Bool?
  /// `hot_keys_max`: keys that are hot at the same time, at most.
  public var hotKeysMax: Int?
  /// `promote_share`: a key with this share or more is promoted...
  public var promoteShare: Double?
  /// `demote_share`: ...and a hot key with this share or less is demoted.
  public var demoteShare: Double?
  /// `urgent_share`: a key with this share or more is promoted on its short-term rate.
  public var urgentShare: Double?
  /// `minimum_rate`: keys with fewer requests per second are not promoted whatever their share.
  public var minimumRate: Double?
  /// `minimum_stay_ms`: a key stays hot at least so long, and after a demotion cold.
  public var minimumStayMilliseconds: Int?
  /// `interval_ms`: between two rounds of decisions.
  public var intervalMilliseconds: Int?
  /// `moves_per_second`: promotions and demotions, on average.
  public var movesPerSecond: Double?
  /// `moves_burst`: promotions and demotions at once.
  public var movesBurst: Double?
  /// `copies_max`: copies of a hot key's newest version beside the server that has it, at most.
  public var copiesMax: Int?
  /// `choice`: how reads of a hot key are spread over the servers that hold it; "load", the less
  /// loaded of two, or "round-robin".
  public var choice: Choice?
  /// `rebalance`; false: slots move from a living server to another only when one is drained.
  public var rebalance: Bool?
  /// `moved_keys_per_second`: that the moves of slots may send from server to server, at most.
  public var movedKeysPerSecond: Double?
  /// `slow_probe_ms`: a server whose probes take so long, and four times as long as those of the
  /// others, is slow: load moves away from it. 0: no server counts as slow.
  public var slowProbeMilliseconds: Int?
  /// `slow_load`: so is one at which so many requests wait, and four times as many as elsewhere.
  public var slowLoad: Double?
  /// `slow_after_ms`: so long without a break until a server counts as slow.
  public var slowAfterMilliseconds: Int?
  /// `slow_recovery_ms`: so long below half of that until load comes back.
  public var slowRecoveryMilliseconds: Int?
  /// `samples_per_second` that the data plane is asked for, at most.
  public var samplesPerSecond: Double?
  /// `watched_keys`: whose rate is estimated at the same time.
  public var watchedKeys: Int?
  /// `probe_ms`: between two probes of a server.
  public var probeMilliseconds: Int?
  /// `server_timeout_ms`: until a server that does not answer counts as lost.
  public var serverTimeoutMilliseconds: Int?
  /// `return_timeout_ms`: until a server with durable storage that does not answer counts as lost.
  public var returnTimeoutMilliseconds: Int?
  /// `start_timeout_ms`: until the rack serves without the servers that have not answered yet.
  public var startTimeoutMilliseconds: Int?
  /// `transition_timeout_ms`: until a transition is given up.
  public var transitionTimeoutMilliseconds: Int?
  /// `floor_interval_ms`: how often servers are told to forget; 0: only by command.
  public var floorIntervalMilliseconds: Int?

  /// What `choice` may say.
  public enum Choice: String, Sendable, CaseIterable, CustomStringConvertible {
    case load
    case roundRobin = "round-robin"

    public var description: String { "\"\(rawValue)\"" }
  }

  /// Nothing set.
  public init() {}

  init(_ reader: TableReader) {
    promotion = reader.bool("promotion")
    hotKeysMax = reader.integer("hot_keys_max", 0...65_536)
    promoteShare = reader.number("promote_share", 0...100)
    demoteShare = reader.number("demote_share", 0...100)
    urgentShare = reader.number("urgent_share", 0...100)
    minimumRate = reader.number("minimum_rate", 0...1e9)
    minimumStayMilliseconds = reader.integer("minimum_stay_ms", 0...3_600_000)
    intervalMilliseconds = reader.integer("interval_ms", 1...60_000)
    movesPerSecond = reader.number("moves_per_second", 0.1...100_000)
    movesBurst = reader.number("moves_burst", 1...100_000)
    copiesMax = reader.integer("copies_max", 0...31)
    choice = reader.string(
      "choice", Choice.allCases.map(\.description).joined(separator: " or ")
    ) { Choice(rawValue: $0) != nil }.flatMap { Choice(rawValue: $0) }
    rebalance = reader.bool("rebalance")
    movedKeysPerSecond = reader.number("moved_keys_per_second", 1...10_000_000)
    slowProbeMilliseconds = reader.integer("slow_probe_ms", 0...60_000)
    slowLoad = reader.number("slow_load", 1...65_535)
    slowAfterMilliseconds = reader.integer("slow_after_ms", 10...3_600_000)
    slowRecoveryMilliseconds = reader.integer("slow_recovery_ms", 10...3_600_000)
    samplesPerSecond = reader.number("samples_per_second", 1...10_000_000)
    watchedKeys = reader.integer("watched_keys", 16...1_000_000)
    probeMilliseconds = reader.integer("probe_ms", 1...60_000)
    serverTimeoutMilliseconds = reader.integer("server_timeout_ms", 10...3_600_000)
    returnTimeoutMilliseconds = reader.integer("return_timeout_ms", 10...86_400_000)
    startTimeoutMilliseconds = reader.integer("start_timeout_ms", 10...3_600_000)
    transitionTimeoutMilliseconds = reader.integer("transition_timeout_ms", 10...60_000)
    floorIntervalMilliseconds = reader.integer("floor_interval_ms", 0...3_600_000)
    if let promoteShare, let demoteShare, demoteShare >= promoteShare {
      reader.wrong(
        "demote_share", shown: String(demoteShare),
        "less than promote_share (\(promoteShare)), or keys would go in and out")
    }
    reader.finish()
  }

  /// The lines of a `[policy]` table; none if nothing is set.
  var lines: [String] {
    let settings: [(key: String, value: (any CustomStringConvertible)?)] = [
      ("promotion", promotion), ("hot_keys_max", hotKeysMax), ("promote_share", promoteShare),
      ("demote_share", demoteShare), ("urgent_share", urgentShare),
      ("minimum_rate", minimumRate), ("minimum_stay_ms", minimumStayMilliseconds),
      ("interval_ms", intervalMilliseconds), ("moves_per_second", movesPerSecond),
      ("moves_burst", movesBurst),
      ("copies_max", copiesMax), ("choice", choice), ("rebalance", rebalance),
      ("moved_keys_per_second", movedKeysPerSecond), ("slow_probe_ms", slowProbeMilliseconds),
      ("slow_load", slowLoad), ("slow_after_ms", slowAfterMilliseconds),
      ("slow_recovery_ms", slowRecoveryMilliseconds), ("samples_per_second", samplesPerSecond),
      ("watched_keys", watchedKeys), ("probe_ms", probeMilliseconds),
      ("server_timeout_ms", serverTimeoutMilliseconds),
      ("return_timeout_ms", returnTimeoutMilliseconds),
      ("start_timeout_ms", startTimeoutMilliseconds),
      ("transition_timeout_ms", transitionTimeoutMilliseconds),
      ("floor_interval_ms", floorIntervalMilliseconds),
    ]
    let lines = settings.compactMap { key, value in value.map { "\(key) = \($0)" } }
    return lines.isEmpty ? [] : ["", "[policy]"] + lines
  }
}
