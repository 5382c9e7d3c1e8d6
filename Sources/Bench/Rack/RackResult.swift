internal import Configuration
internal import Foundation
internal import LoadGenerator
internal import Workload

/// What one policy carries: of the long measurement at the highest load that holds.
public struct RackPolicyResult: Sendable, Encodable {
  public var policy: String
  /// Operations completed per second.
  public var operationsPerSecond: Double
  /// Of what all servers can do together, at most 1.
  public var shareOfCapacity: Double
  /// Latencies count from the moment an operation was due, in microseconds.
  @Nullable public var p50Microseconds: Double?
  @Nullable public var p99Microseconds: Double?
  @Nullable public var p999Microseconds: Double?
  /// Operations answered later than the limit on p99, or not at all.
  public var beyondLimitShare: Double
  /// Operations refused as busy, lost or failed.
  public var unansweredShare: Double
  public var offeredPerSecond: Double
  /// Copies of values that servers stored, each of which took one service.
  public var copiesPerSecond: Double
  /// Requests and copies that each server was given, by number.
  public var serverOperationsPerSecond: [Double]
  /// The busiest server's over the mean.
  public var busiestToMean: Double
  /// The bound that popularity and placement set, without any copies; nil: not computed.
  @Nullable public var idealShare: Double?
  /// Completed operations over those of `home`; nil: it was not measured.
  @Nullable public var ratioToHome: Double? = nil
  @Nullable public var ratioToReplicated: Double? = nil
  public var hotKeys: Int
  /// Promotions and demotions while it was measured.
  public var moves: Int
  /// False: the machine has disturbed this measurement and all its repetitions.
  public var isValid: Bool
  /// How it was found.
  var probes: [ProbeLog.Entry]
  /// Probes repeated because the machine had disturbed them.
  public var probesRepeated: Int
  /// Loads that were taken as too much although the machine had disturbed every repetition: the
  /// rack may carry more than was found.
  public var probesDoubtful: Int
  @Nullable public var processors: ProcessorUse?
  /// That finding it took.
  public var seconds: Double

  enum CodingKeys: String, CodingKey {
    case policy, moves, probes, seconds
    case operationsPerSecond = "ops_per_second"
    case shareOfCapacity = "share_of_capacity"
    case p50Microseconds = "p50_us"
    case p99Microseconds = "p99_us"
    case p999Microseconds = "p999_us"
    case beyondLimitShare = "beyond_limit_share"
    case unansweredShare = "unanswered_share"
    case offeredPerSecond = "offered_ops_per_second"
    case copiesPerSecond = "copies_per_second"
    case serverOperationsPerSecond = "server_ops_per_second"
    case busiestToMean = "busiest_to_mean"
    case idealShare = "ideal_share"
    case ratioToHome = "ratio_to_home"
    case ratioToReplicated = "ratio_to_replicated"
    case hotKeys = "hot_keys"
    case isValid = "valid"
    case probesRepeated = "probes_repeated"
    case probesDoubtful = "probes_doubtful"
    case processors
  }

  init(
    _ policy: RackPolicy, _ plan: RackPlan, _ probe: RackProbe, _ log: ProbeLog, ideal: Double?,
    seconds: Double
  ) {
    let report = probe.report
    self.policy = policy.rawValue
    operationsPerSecond = report.completedPerSecond
    // What arrived by chance in excess of the rate is no capacity.
    shareOfCapacity = min(1, report.completedPerSecond / plan.summedCapacity)
    (p50Microseconds, p99Microseconds) = (report.p50Microseconds, report.p99Microseconds)
    p999Microseconds = report.p999Microseconds
    beyondLimitShare = report.beyondLimitShare
    unansweredShare = report.unansweredShare
    offeredPerSecond = report.offeredPerSecond
    copiesPerSecond = probe.copyRate
    serverOperationsPerSecond = probe.serverRates
    let mean = probe.serverRates.reduce(0, +) / Double(max(probe.serverRates.count, 1))
    busiestToMean = mean > 0 ? (probe.serverRates.max() ?? 0) / mean : 0
    idealShare = ideal
    hotKeys = probe.hotKeys
    moves = probe.moves
    isValid = report.isValid
    probes = log.probes
    probesRepeated = log.repeated
    probesDoubtful = log.doubtful
    processors = probe.processors
    self.seconds = seconds
  }
}

/// What all policies carry.
public struct RackResult: Sendable, Encodable {
  public var results: [RackPolicyResult]
  /// Why there is no result of the other policies.
  public var failures: [RackBenchError] = []
  /// Of the summed capacity, plain hashing can use so much before its busiest server is full:
  /// computed from popularity and placement.
  public var idealHomeShare: Double
  /// The servers' capacity is emulated, always.
  public var emulated = true
  public var servers: Int
  /// Of each server, in operations per second.
  public var capacity: Int
  /// The published workload; nil: none.
  @Nullable public var profile: String?
  /// Where its figures are from; nil: no published workload.
  @Nullable public var source: String?
  /// What is done otherwise than its source has it, and why.
  public var mapping: [String]
  public var keys: Int
  public var alpha: Double
  public var readRatio: Double
  public var deleteRatio: Double
  public var keyLength: Int
  public var valueLength: Int
  public var p99LimitMicroseconds: Double
  /// Of all operations, so many may be beyond the limit...
  public var beyondLimitMax: Double
  /// ...and whether those count that are answered, but late.
  public var countsLate: Bool
  public var secondsMeasured: Double
  public var seed: UInt64
  public var hashSeed: UInt64
  /// `switch` or `one-arm`.
  public var mode: String
  /// Servers that an acknowledged write is on.
  public var copies: Int
  public var machine: MachineDescription

  enum CodingKeys: String, CodingKey {
    case results, failures, emulated, servers, profile, source, mapping, keys, alpha, seed, mode,
      copies
    case machine
    case idealHomeShare = "ideal_home_share"
    case capacity = "capacity_ops_per_second"
    case readRatio = "read_ratio"
    case deleteRatio = "delete_ratio"
    case keyLength = "key_length"
    case valueLength = "value_length"
    case p99LimitMicroseconds = "p99_limit_us"
    case beyondLimitMax = "beyond_limit_max"
    case countsLate = "counts_late"
    case secondsMeasured = "measured_s"
    case hashSeed = "hash_seed"
  }

  init(
    _ plan: RackPlan, placement: HomePlacement, results: [RackPolicyResult],
    failures: [RackBenchError] = []
  ) {
    (self.results, self.failures) = (results, failures)
    idealHomeShare = placement.idealHomeShare
    servers = plan.servers
    capacity = plan.capacity
    (profile, source) = (plan.profile?.name, plan.profile?.source)
    mapping = plan.profile?.notes ?? []
    keys = plan.keys
    alpha = plan.alpha
    (readRatio, deleteRatio) = (plan.mix.readShare, plan.mix.deleteShare)
    keyLength = plan.keyLength
    valueLength = plan.valueLengths.longest
    p99LimitMicroseconds = plan.p99Limit
    (beyondLimitMax, countsLate) = (plan.beyondLimitMax, plan.countsLate)
    secondsMeasured = plan.seconds
    seed = plan.seed
    hashSeed = plan.hashSeed
    mode = plan.mode.rawValue
    copies = plan.copies
    machine = .current()
    for index in results.indices {
      self.results[index].ratioToHome = ratio(of: results[index], to: .home)
      self.results[index].ratioToReplicated = ratio(of: results[index], to: .replicated)
    }
  }

  /// nil: the other policy was not measured.
  private func ratio(of result: RackPolicyResult, to policy: RackPolicy) -> Double? {
    guard let other = results.first(where: { $0.policy == policy.rawValue }),
      other.operationsPerSecond > 0
    else { return nil }
    return result.operationsPerSecond / other.operationsPerSecond
  }

  // MARK: For people

  public var table: MarkdownTable {
    let hasHome = results.contains { $0.ratioToHome != nil }
    return MarkdownTable(
      [
        .words("policy"), "ops/s", "share", "ideal",
        hasHome ? "ratio to home" : "ratio to replicated", "p50", "p99",
        "beyond limit", "copies/s", "hot keys", "busiest / mean",
      ],
      rows: results.map { result in
        [
          result.policy, Figures.count(result.operationsPerSecond),
          Figures.fixed(result.shareOfCapacity, 3),
          result.idealShare.map { Figures.fixed($0, 3) } ?? "",
          (hasHome ? result.ratioToHome : result.ratioToReplicated)
            .map { Figures.fixed($0, 2) } ?? "",
          Figures.milliseconds(result.p50Microseconds),
          Figures.milliseconds(result.p99Microseconds),
          Figures.fixed(100 * result.beyondLimitShare, 3) + " %",
          Figures.count(result.copiesPerSecond), Figures.count(Double(result.hotKeys)),
          Figures.fixed(result.busiestToMean, 2),
        ]
      })
  }

  /// What has to be known beside the table.
  public var remarks: [String] {
    let load = alpha == 0 ? "uniform" : "Zipf \(Figures.short(alpha))"
    func percent(_ share: Double) -> String { Figures.short((share * 1e6).rounded() / 1e4) }
    let mixed =
      "\(percent(1 - readRatio - deleteRatio)) % writes"
      + (deleteRatio > 0 ? ", \(percent(deleteRatio)) % deletes" : "")
    var remarks = [
      "\(servers) servers of emulated capacity, \(Figures.count(Double(capacity))) ops/s each, "
        + "\(Figures.count(Double(servers * capacity))) together; "
        + "\(Figures.count(Double(keys))) keys, \(load), \(mixed); p99 at most "
        + "\(Figures.milliseconds(p99LimitMicroseconds)); \(Figures.short(secondsMeasured)) s "
        + "measured."
    ]
    if !countsLate {
      remarks.append("Late answers did not count as beyond the limit: p99 alone bounds them.")
    }
    if let profile, let source {
      remarks.append("\(profile): " + ([source] + mapping).joined(separator: "; ") + ".")
    }
    for result in results {
      guard let processors = result.processors else { continue }
      remarks.append("The machine under `\(result.policy)`: \(processors.text).")
    }
    let repeated = results.reduce(0) { $0 + $1.probesRepeated }
    let all = results.reduce(0) { $0 + $1.probes.count }
    remarks.append(
      "\(all) probes in \(Figures.count(results.reduce(0) { $0 + $1.seconds })) s, \(repeated) of "
        + "them repeated because the machine had disturbed them.")
    for result in results where result.probesDoubtful > 0 {
      remarks.append(
        "**\(result.probesDoubtful) loads counted as too much for `\(result.policy)` although the "
          + "machine had disturbed every repetition: it may carry more.**")
    }
    for failure in failures { remarks.append("**No result: \(failure.firstLine)**") }
    for result in results where !result.isValid {
      remarks.append(
        "**The machine has disturbed the measurement of `\(result.policy)` and its repetitions: "
          + "its latencies are too long.**")
    }
    return remarks
  }

  public var text: String {
    table.text + "\n\n"
      + remarks.map { $0.replacing("`", with: "").replacing("**", with: "") }
      .joined(separator: "\n")
  }

  /// What each server is given, the busiest first.
  public var plot: Plot {
    let limit = Double(capacity)
    return Plot(
      "Requests and copies that each server is given, the busiest first",
      x: Plot.Axis("server"), y: Plot.Axis("operations per second", lowest: 0),
      .bars(
        categories: (1...max(servers, 1)).map { "\($0)" },
        results.map { result in
          Plot.Bars(
            "\(result.policy) at \(Figures.count(result.operationsPerSecond)) ops/s",
            result.serverOperationsPerSecond.sorted(by: >))
        }),
      marks: [Plot.Mark("a server's capacity", at: limit)])
  }
}
