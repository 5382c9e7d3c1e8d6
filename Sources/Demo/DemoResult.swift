public import LoadGenerator

/// Who chooses the server of a request.
public enum DemoPolicy: String, Sendable, Encodable {
  case plainHashing = "plain hashing"
  case directory = "the directory"
}

/// What one of the two policies has shown.
public struct DemoPhase: Sendable, Encodable {
  public var load: LoadReport
  /// Requests and copies that were sent to each server while it was measured, by number, per second.
  public var askedPerSecond: [Double]
  /// Hot keys at the end.
  public var hotKeys: Int

  enum CodingKeys: String, CodingKey {
    case load
    case askedPerSecond = "asked_ops_per_s"
    case hotKeys = "hot_keys"
  }

  /// What the busiest server is asked, relative to the mean.
  public var imbalance: Double {
    let mean = askedPerSecond.reduce(0, +) / Double(max(askedPerSecond.count, 1))
    return mean > 0 ? (askedPerSecond.max() ?? 0) / mean : 0
  }
}

/// What the demonstration has shown.
public struct DemoResult: Sendable, Encodable {
  /// The servers' capacity is emulated, always.
  public var emulated = true
  public var servers: Int
  /// Of each server, in operations per second.
  public var capacity: Int
  public var offeredPerSecond: Double
  /// What plain hashing can carry before its busiest server is full: computed from popularity and
  /// placement.
  public var plainBoundPerSecond: Double
  public var plainHashing: DemoPhase
  public var directory: DemoPhase

  enum CodingKeys: String, CodingKey {
    case emulated, servers, directory
    case capacity = "capacity_ops_per_s"
    case offeredPerSecond = "offered_ops_per_s"
    case plainBoundPerSecond = "plain_hashing_bound_ops_per_s"
    case plainHashing = "plain_hashing"
  }

  init(_ plan: DemoPlan, plainHashing: DemoPhase, directory: DemoPhase) {
    servers = plan.servers
    capacity = plan.capacity
    offeredPerSecond = plan.offered
    plainBoundPerSecond = plan.plainBound
    self.plainHashing = plainHashing
    self.directory = directory
  }

  /// Both loads count: the machine was not too busy.
  public var isValid: Bool { plainHashing.load.isValid && directory.load.isValid }

  /// The directory has completed no less, and no more was late. One in a hundred is left to chance.
  public var isNotWorse: Bool {
    let (plain, directory) = (plainHashing.load, directory.load)
    return directory.completed > 0
      && directory.completedPerSecond >= 0.99 * plain.completedPerSecond
      && directory.beyondLimitShare <= plain.beyondLimitShare + 0.01
  }

  /// The comparison, at most 80 columns.
  public var text: String {
    let (plain, directory) = (plainHashing.load, directory.load)
    let summed = Double(servers * capacity)
    let limit = Text.short(plain.limitMicroseconds / 1e3)
    func percent(_ share: Double) -> String { Text.fixed(share * 100, 1) + " %" }
    func ratio(_ new: Double, _ old: Double) -> String {
      old > 0 && new > 0 ? Text.fixed(new / old, 2) : ""
    }
    func row(_ name: String, _ old: String, _ new: String, _ ratio: String = "") -> String {
      let cells = [(old, 15), (new, 15), (ratio, 8)].map { text, width in
        String(repeating: " ", count: max(0, width - text.count)) + text
      }
      let line = name.padded(to: 38) + cells.joined()
      return String(line.reversed().drop { $0 == " " }.reversed())
    }
    func row(
      _ name: String, _ value: (DemoPhase) -> Double, _ format: (Double) -> String,
      hasRatio: Bool = true
    ) -> String {
      let (old, new) = (value(plainHashing), value(self.directory))
      return row(name, format(old), format(new), hasRatio ? ratio(new, old) : "")
    }
    func latency(_ name: String, _ value: (LoadReport) -> Double?) -> String {
      func text(_ report: LoadReport) -> String {
        Text.time(value(report).map { UInt64($0 * 1e3) })
      }
      let quotient =
        if let new = value(directory), let old = value(plain) { ratio(new, old) } else { "" }
      return row(name, text(plain), text(directory), quotient)
    }
    return [
      row("", "plain hashing", "the directory", "ratio"),
      row("offered, ops/s", { $0.load.offeredPerSecond }, Text.count, hasRatio: false),
      row("completed, ops/s", { $0.load.completedPerSecond }, Text.count),
      row(
        "  of what \(servers) servers can do", { $0.load.completedPerSecond / summed }, percent,
        hasRatio: false),
      row(
        "completed within \(limit) ms, ops/s",
        { phase in
          Double(phase.load.offered - phase.load.beyondLimit) / phase.load.duration
        }, Text.count),
      latency("latency, p50") { $0.p50Microseconds },
      latency("latency, p99") { $0.p99Microseconds },
      row("not within \(limit) ms", { $0.load.beyondLimitShare }, percent, hasRatio: false),
      row(
        "  busy (refused by a full queue)", { share($0, $0.load.busy) }, percent,
        hasRatio: false),
      row(
        "  lost, refused, not sent",
        { phase in
          share(phase, phase.load.timedOut + phase.load.failed + phase.load.notSent)
        }, percent, hasRatio: false),
      row("  late", { share($0, late($0.load)) }, percent, hasRatio: false),
      row(
        "busiest server is asked, of its speed",
        {
          ($0.askedPerSecond.max() ?? 0) / Double(capacity)
        }, percent, hasRatio: false),
      row("busiest server / mean", { $0.imbalance }, { Text.fixed($0, 2) }),
      row("hot keys", { Double($0.hotKeys) }, Text.count, hasRatio: false),
      "",
      "Servers are emulated: \(Text.count(Double(capacity))) ops/s each, "
        + "\(Text.count(summed)) together.",
      "Of this load plain hashing can carry \(Text.count(plainBoundPerSecond)) ops/s "
        + "(\(percent(plainBoundPerSecond / summed))) at most, before",
      "its busiest server is full (computed); the directory carried "
        + "\(Text.count(directory.completedPerSecond)) "
        + "(\(percent(directory.completedPerSecond / summed))).",
    ].joined(separator: "\n")
  }

  private func share(_ phase: DemoPhase, _ operations: UInt64) -> Double {
    Double(operations) / Double(max(phase.load.offered, 1))
  }

  private func late(_ load: LoadReport) -> UInt64 {
    let unanswered = load.busy + load.timedOut + load.failed + load.notSent
    return load.beyondLimit - min(unanswered, load.beyondLimit)
  }
}
