internal import ControllerCore
internal import Foundation
internal import LoadGenerator

/// What loads with alternating hot keys have made of a rack.
public struct FlappingResult: Sendable, Encodable {
  /// One load, with plain hashing and with the directory.
  public struct Case: Sendable, Encodable {
    public var clock: FlappingPlan.Clock
    /// How long each hot set lasted, relative to the clock.
    public var factor: Double
    public var phase: Double
    /// Completed within the limit, per second.
    public var home: Double
    public var replicated: Double
    /// Promotions and demotions while the directory served the load, its warm-up included...
    public var moves: Int
    /// ...per minute, and how many the policy allows itself.
    public var movesPerMinute: Double
    public var movesPerMinuteBound: Double
    /// The most promotions of one key in that time, and how many the minimum stay allows.
    public var promotionsOfAKey: Int
    public var promotionsOfAKeyBound: Int
    /// The machine was not too busy.
    public var isValid: Bool

    /// The moves are within both bounds.
    public var isBounded: Bool {
      movesPerMinute <= movesPerMinuteBound && promotionsOfAKey <= promotionsOfAKeyBound
    }
    /// The directory has carried no less. One in a hundred is left to chance.
    public var isNotBelowHome: Bool { replicated >= 0.99 * home }

    enum CodingKeys: String, CodingKey {
      case clock, factor, moves
      case phase = "phase_s"
      case home = "home_ops_per_second"
      case replicated = "ops_per_second"
      case movesPerMinute = "moves_per_minute"
      case movesPerMinuteBound = "moves_per_minute_bound"
      case promotionsOfAKey = "promotions_of_a_key"
      case promotionsOfAKeyBound = "promotions_of_a_key_bound"
      case isValid = "valid"
    }

    init(
      _ plan: FlappingPlan, clock: FlappingPlan.Clock, factor: Double, home: LoadReport,
      replicated: LoadReport, _ before: Reading, _ after: Reading
    ) {
      func carried(_ load: LoadReport) -> Double {
        Double(load.offered - load.beyondLimit) / load.duration
      }
      let policy = PolicyConfiguration()
      let seconds = max(after.uptime - before.uptime, 1e-3)
      self.clock = clock
      self.factor = factor
      phase = plan.phase(clock, factor)
      self.home = carried(home)
      self.replicated = carried(replicated)
      moves = after.promotions + after.demotions - before.promotions - before.demotions
      movesPerMinute = Double(moves) * 60 / seconds
      movesPerMinuteBound = (policy.movesBurst + policy.movesPerSecond * seconds) * 60 / seconds
      let new = after.keys.suffix(min(after.promotions - before.promotions, after.keys.count))
      promotionsOfAKey = Dictionary(grouping: new) { $0 }.values.map(\.count).max() ?? 0
      // A stay, hot, and a stay, cold, lie between two promotions.
      promotionsOfAKeyBound = Int(seconds * 1e9 / Double(2 * policy.minimumStay)) + 1
      isValid = home.isValid && replicated.isValid
    }
  }

  /// What a controller has done by a moment.
  struct Reading {
    /// Seconds.
    var uptime: Double
    var promotions: Int
    var demotions: Int
    /// Of the latest promotions, oldest first.
    var keys: [String]
  }

  public var results: [Case]
  public var servers: Int
  public var offeredPerSecond: Double
  public var limit: Double

  enum CodingKeys: String, CodingKey {
    case results, servers
    case offeredPerSecond = "offered_ops_per_second"
    case limit = "limit_ms"
  }

  init(_ plan: FlappingPlan, _ results: [Case]) {
    self.results = results
    servers = plan.servers
    offeredPerSecond = Double(plan.servers * plan.capacity) * plan.offeredShare
    limit = plan.limit
  }

  /// What does not hold, in words.
  public var shortcomings: [String] {
    results.flatMap { result -> [String] in
      let name = "\(result.clock.rawValue) x \(result.factor)"
      return (result.isBounded ? [] : ["\(name): more moves than their bound"])
        + (result.isNotBelowHome ? [] : ["\(name): less throughput than plain hashing"])
    }
  }

  public var table: MarkdownTable {
    MarkdownTable(
      [
        .words("clock"), "hot set lasts", "home ops/s", "replicated ops/s", "ratio", "moves/min",
        "bound", "promotions of a key", "bound",
      ],
      rows: results.map { result in
        [
          result.clock.rawValue,
          String(format: "%g x %g s", result.factor, result.clock.seconds),
          String(format: "%.0f", result.home), String(format: "%.0f", result.replicated),
          String(format: "%.2f", result.replicated / max(result.home, 1e-9)),
          String(format: "%.0f", result.movesPerMinute),
          String(format: "%.0f", result.movesPerMinuteBound), String(result.promotionsOfAKey),
          String(result.promotionsOfAKeyBound),
        ]
      })
  }

  /// About the table.
  public var remarks: [String] {
    [
      String(
        format: "%d emulated servers; %.0f ops/s offered; completed within %g ms counts.", servers,
        offeredPerSecond, limit)
    ]
      + (results.allSatisfy(\.isValid)
        ? [] : ["This machine was busy with other things: repeat it with less else running."])
  }
}
