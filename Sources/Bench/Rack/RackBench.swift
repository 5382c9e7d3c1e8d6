internal import Foundation
internal import LoadGenerator
public import Testbed
internal import Workload

/// Finds the highest load that a rack carries within a limit on latency, for each policy on the same
/// rack, with the same placement of keys and the same arrivals.
public struct RackBench {
  private let plan: RackPlan
  private let interruption: Interruption
  private let progress: (String) -> Void

  /// A probe that the machine has disturbed is repeated so often.
  private static let repetitions = 3
  /// Loads that are looked at for longer, at most.
  private static let confirmationsMax = 12

  /// `progress` is told what goes on, a line each time.
  public init(
    _ plan: RackPlan, interruption: Interruption, progress: @escaping (String) -> Void = { _ in }
  ) {
    self.plan = plan
    self.interruption = interruption
    self.progress = progress
  }

  /// Builds a rack for each policy, one after the other, and takes it down again, also on failure.
  ///
  /// - Throws: `TestbedError`, `LoadError`, `ControlClientError` or `RackBenchError`, each with a
  ///   way out.
  public func run() throws -> RackResult {
    let placement = plan.placement()
    var results: [RackPolicyResult] = []
    var failures: [RackBenchError] = []
    for policy in plan.policies {
      progress("\(policy.rawValue): building a rack of \(plan.servers) servers")
      let file = plan.testbed(policy, name: "bench")
      do {
        let result = try BenchTestbed.with(
          file, interruption: interruption, progress: { progress("\(policy.rawValue): \($0)") }
        ) { bed in
          let prober = try RackProber(plan, bed: bed, interruption: interruption)
          return try measure(policy, prober, placement)
        }
        results.append(result)
      } catch let failure as RackBenchError {
        // The other policies' results are not lost with it.
        failures.append(failure)
      }
    }
    return RackResult(plan, placement: placement, results: results, failures: failures)
  }

  private func measure(
    _ policy: RackPolicy, _ prober: RackProber, _ placement: HomePlacement
  ) throws -> RackPolicyResult {
    let started = ContinuousClock.now
    let name = policy.rawValue
    let guess = Self.guess(policy, plan, placement)
    try prober.prepare(guess, isPromoting: policy != .home) { progress("\(name): \($0)") }
    var search = LoadSearch(
      guess: guess, highest: plan.summedCapacity, resolution: plan.resolution)
    var log = ProbeLog()
    while let rate = search.next {
      let probe = try self.probe(
        policy, prober, rate, warmUp: plan.probeWarmUp, seconds: plan.probeSeconds, &log)
      search.record(rate, holds: plan.holds(probe.report))
    }
    var rate = search.held
    var confirmed: RackProbe?
    for failures in 1...Self.confirmationsMax {
      guard let load = rate, confirmed == nil else { break }
      let probe = try self.probe(
        policy, prober, load, warmUp: plan.warmUp, seconds: plan.seconds, isLast: true, &log)
      if plan.holds(probe.report) { confirmed = probe }
      rate = search.lowered(load, failures: failures)
    }
    guard let confirmed else {
      throw RackBenchError(policy: name, tried: log.text, wasDisturbed: log.doubtful > 0)
    }
    let hot = policy == .home ? 0 : confirmed.hotKeys
    return RackPolicyResult(
      policy, plan, confirmed, log, ideal: Self.ideal(policy, plan, placement, hot: hot),
      seconds: (ContinuousClock.now - started) / .seconds(1))
  }

  /// One load; again if the machine was too busy with other things for a failure to count.
  private func probe(
    _ policy: RackPolicy, _ prober: RackProber, _ rate: Double, warmUp: Double, seconds: Double,
    isLast: Bool = false, _ log: inout ProbeLog
  ) throws -> RackProbe {
    var attempt = 0
    while true {
      let share = String(format: "%.1f", 100 * rate / plan.summedCapacity)
      let what = isLast ? "confirming" : "trying"
      let probe = try prober.probe(rate, warmUp: warmUp, seconds: seconds, toTheEnd: isLast) {
        progress(
          "\(policy.rawValue): \(what) \(Int(rate.rounded())) ops/s (\(share) %), "
            + "\($0.phase.rawValue) \(Int($0.elapsed)) of \(Int(warmUp + seconds)) s, p99 "
            + ($0.p99.map { String(format: "%.1f ms", Double($0) / 1e6) } ?? "never")
            + ", \(log.probes.count) probes done")
      }
      let holds = plan.holds(probe.report)
      log.add(probe, holds: holds, isLong: isLast)
      // A load that holds in spite of a disturbance holds; but figures to report are another thing.
      if probe.report.isValid || (holds && !isLast) { return probe }
      if attempt == Self.repetitions {
        if !holds { log.doubtful += 1 }
        return probe
      }
      attempt += 1
      log.repeated += 1
    }
  }

  // MARK: What to expect

  /// The bound of a policy with so many hot keys, as share of the summed capacity; nil: there is
  /// none that is as simple.
  static func ideal(
    _ policy: RackPolicy, _ plan: RackPlan, _ placement: HomePlacement, hot: Int
  ) -> Double? {
    switch policy {
    case .home: placement.idealHomeShare
    // Reads go where there is room, writes to all servers evenly.
    case .replicated, .oneArm: placement.idealShare(hot: hot, steered: plan.mix.readShare)
    case .roundRobin: placement.idealShare(hot: hot, steered: 0)
    // Each write is carried by two servers, which is not what this bound is about.
    case .noCopies, .twoCopies: nil
    }
  }

  /// The load with which the search begins. Only the time that it takes depends on it.
  private static func guess(
    _ policy: RackPolicy, _ plan: RackPlan, _ placement: HomePlacement
  ) -> Double {
    let bound = ideal(policy, plan, placement, hot: 256) ?? 1.5 * placement.idealHomeShare
    let share =
      switch policy {
      case .home: bound * waiting(plan, at: placement.shares.max() ?? 1)
      // Where there are writes between many reads, copies take some of the room.
      case .replicated where plan.mix.readShare == 1, .oneArm where plan.mix.readShare == 1: bound
      case .replicated where plan.mix.readShare > 0.5, .oneArm where plan.mix.readShare > 0.5:
        0.9 * bound
      case .replicated, .oneArm, .roundRobin: bound * waiting(plan, at: 1)
      case .noCopies, .twoCopies: bound
      }
    return min(max(share, 0.01), 1) * plan.summedCapacity
  }

  /// How busy a server may be that gets the share `share` of all operations, at random moments, so
  /// that the p99 of all stays within the limit: the exponential tail of an M/D/1 queue.
  private static func waiting(_ plan: RackPlan, at share: Double) -> Double {
    let services = plan.p99Limit / 1e6 * Double(plan.capacity)
    return max(0.3, 1 - log(max(share / 0.01, 1)) / (2 * max(services, 1)))
  }
}

/// What a search has tried.
struct ProbeLog {
  struct Entry: Sendable, Encodable {
    var offered: Double
    @Nullable var p99: Double?
    var unansweredShare: Double
    var holds: Bool
    var isValid: Bool
    /// Measured for the full time.
    var isLong: Bool

    enum CodingKeys: String, CodingKey {
      case offered = "offered_ops_per_second"
      case p99 = "p99_us"
      case unansweredShare = "unanswered_share"
      case holds
      case isValid = "valid"
      case isLong = "long"
    }
  }

  private(set) var probes: [Entry] = []
  /// Of them, repeated because the machine had disturbed them.
  var repeated = 0
  /// Loads that did not hold, and every repetition was disturbed.
  var doubtful = 0

  mutating func add(_ probe: RackProbe, holds: Bool, isLong: Bool) {
    probes.append(
      Entry(
        offered: probe.offered, p99: probe.report.p99Microseconds,
        unansweredShare: probe.report.unansweredShare, holds: holds,
        isValid: probe.report.isValid, isLong: isLong))
  }

  var text: String {
    probes.map { entry in
      let p99 = entry.p99.map { String(format: "%.1f ms", $0 / 1e3) } ?? "never"
      return String(format: "%.0f ops/s: p99 ", entry.offered) + p99
        + String(format: ", %.2f %% unanswered", 100 * entry.unansweredShare)
        + (entry.isValid ? "" : ", disturbed")
    }.joined(separator: "\n")
  }
}

/// Why no result of a policy was found: no load stayed within the limits.
public struct RackBenchError: Error, Equatable, Sendable, Encodable, CustomStringConvertible {
  public var policy: String
  /// The loads tried, a line each.
  public var tried: String
  /// The machine had disturbed some of them, and all of their repetitions.
  public var wasDisturbed: Bool

  enum CodingKeys: String, CodingKey {
    case policy, tried
    case wasDisturbed = "disturbed"
  }

  var firstLine: String { "\(policy): no load stays within the limits." }

  public var description: String {
    """
    \(policy): no load stays within the limits, so there is no maximum to report; \
    \(wasDisturbed ? "this machine was busy with other things: repeat it with less else running"
      : "see whether something else keeps this machine busy, or raise --p99-limit-us"). Tried:
    \(tried)
    """
  }
}
