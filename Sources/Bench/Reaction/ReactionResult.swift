internal import Controller
internal import ControllerCore
internal import Foundation
public import LoadGenerator
internal import Wire
internal import Workload

/// How quickly a rack has spread the load of keys that became hot.
public struct ReactionResult: Sendable, Encodable {
  /// When the steps towards spreading a key's load were done, in milliseconds after the change: the
  /// median of the changes; nil: in half of the changes or more, they were not.
  public struct Steps: Sendable, Encodable {
    /// The key's place of popularity after the change, from 1.
    public var popularity: Int
    /// The controller had seen enough samples, and decided.
    @Nullable public var decided: Double?
    /// The transition began, those before it being over.
    @Nullable public var begun: Double?
    /// All servers had answered FENCE...
    @Nullable public var fenced: Double?
    /// ...and SYNC: the entry was hot, and copies were ordered.
    @Nullable public var hot: Double?
    /// The first request was sent that another server than the key's home answered.
    @Nullable public var spread: Double?

    enum CodingKeys: String, CodingKey {
      case popularity
      case decided = "decided_ms"
      case begun = "begun_ms"
      case fenced = "fenced_ms"
      case hot = "hot_ms"
      case spread = "spread_ms"
    }
  }

  /// Consecutive windows of 1,000 requests of which a server got too many, each taken at the time of
  /// its last request.
  public struct Span: Sendable, Encodable {
    /// Milliseconds after the change.
    public var begin: Double
    public var end: Double
    /// Who got most; nil: requests without an answer made it so.
    @Nullable public var server: Int?
    /// What it got at most of 1,000, relative to its fair share.
    public var share: Double

    enum CodingKeys: String, CodingKey {
      case server, share
      case begin = "begin_ms"
      case end = "end_ms"
    }

    init(_ span: ReactionAnalysis.Span) {
      (begin, end) = (Double(span.begin) / 1e6, Double(span.end) / 1e6)
      (server, share) = (span.server.map { Int($0) }, span.share)
    }
  }

  /// Of each change, in milliseconds: from the first request of the new load until no server gets more
  /// than 1.5 times its fair share of any 1,000 consecutive requests.
  public var samples: [Double]
  public var median: Double
  public var worst: Double
  /// Of each change: the most that a server got of 1,000 requests, relative to its fair share.
  public var largestShares: [Double]
  /// Of each change: when the load was uneven, by whom.
  public var uneven: [[Span]]
  /// Changes after which the load was still uneven when the next one came.
  public var unsettled: Int
  public var steps: [Steps]
  public var servers: Int
  public var readShare: Double
  /// Changes that were to be made.
  public var changes: Int
  /// Keys that became the hottest in each.
  public var hotIn: Int
  /// Milliseconds between two sends of the generator, and between two rounds of a server.
  public var tick: Double
  public var gathering: Double
  public var seed: UInt64
  /// Measurements before this one that the machine had disturbed.
  public var repeated = 0
  public var load: LoadReport

  enum CodingKeys: String, CodingKey {
    case uneven, unsettled, steps, servers, changes, seed, repeated, load
    case hotIn = "keys_changed_at_once"
    case tick = "tick_ms"
    case gathering = "gather_ms"
    case samples = "samples_ms"
    case median = "median_ms"
    case worst = "worst_ms"
    case largestShares = "largest_shares"
    case readShare = "read_share"
  }

  private static let popularities = [1, 2, 4, 8, 16, 32]

  init(
    _ plan: ReactionPlan, report: LoadReport, record: LoadRecord, promotions: [ControlPromotion]
  ) {
    // The schedule goes on: after the last interval nothing arrives any more.
    let analysis = ReactionAnalysis(
      requests: record.requests, begins: report.changes.prefix(plan.changes).map(\.firstSent),
      servers: plan.servers)
    let changes = analysis.changes
    samples = changes.map { Double($0.reaction) / 1e6 }
    median = Self.median(samples) ?? 0
    worst = samples.max() ?? 0
    largestShares = changes.map(\.largestShare)
    uneven = changes.map { $0.spans.map(Span.init) }
    unsettled = changes.count(where: \.isOpen)
    servers = plan.servers
    (readShare, self.changes, hotIn) = (plan.readShare, plan.changes, plan.hotIn)
    (tick, gathering, seed) = (plan.tick, plan.gathering, plan.seed)
    load = report
    let byHash = Dictionary(grouping: promotions, by: \.keyHash)
    steps = Self.popularities.filter { $0 <= plan.keys }.map { popularity in
      var steps = StepTimes()
      for (index, change) in changes.enumerated() {
        let space = plan.space(afterChanges: index + 1)
        let key = space.number(ofRank: popularity - 1)
        let hash = hexadecimal(KeyHash.of(space.key(ofNumber: key), seed: plan.hashSeed))
        let promotion = byHash[hash]?.first {
          $0.askedNs >= change.begin && $0.askedNs < change.end
        }
        func time(_ step: UInt64?) -> Double {
          step.map { Double($0 - min(change.begin, $0)) / 1e6 } ?? .infinity
        }
        steps.decided.append(time(promotion?.askedNs))
        steps.begun.append(time(promotion?.begunNs))
        steps.fenced.append(time(promotion?.fencedNs))
        steps.hot.append(time(promotion?.hotNs))
        steps.spread.append(
          time(promotion.flatMap { analysis.spread(of: key, home: $0.home, in: change) }))
      }
      func middle(_ times: [Double]) -> Double? {
        Self.median(times).flatMap { $0.isFinite ? $0 : nil }
      }
      return Steps(
        popularity: popularity, decided: middle(steps.decided), begun: middle(steps.begun),
        fenced: middle(steps.fenced), hot: middle(steps.hot), spread: middle(steps.spread))
    }
  }

  /// Of one place of popularity, by change; infinite: never.
  private struct StepTimes {
    var decided: [Double] = []
    var begun: [Double] = []
    var fenced: [Double] = []
    var hot: [Double] = []
    var spread: [Double] = []
  }

  private static func median(_ values: [Double]) -> Double? {
    guard !values.isEmpty else { return nil }
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }
}
