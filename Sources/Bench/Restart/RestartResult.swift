internal import Foundation
internal import Linearizability
internal import Testbed

/// What a rack has shown while its controllers came and went.
public struct RestartResult: Sendable, Encodable {
  /// A time with a load: without changes, for comparison, or with them.
  public struct Part: Sendable, Encodable {
    public var name: String
    public var seconds = 0.0
    public var operations = 0
    public var operationsPerSecond = 0.0
    /// Outcomes that nobody knows, and operations that failed.
    public var unknown = 0
    public var failed = 0
    /// Attempts again because no answer had come in time.
    public var timeouts = 0
    /// From invocation to return, in microseconds.
    public var p50 = 0.0
    public var p99 = 0.0
    public var largest = 0.0
    public var isLinearizable = false
    /// What contradicts linearizability or the order of versions, if anything does.
    public var problem: String?
    public var balance: PacketBalance

    enum CodingKeys: String, CodingKey {
      case name, seconds, operations, unknown, failed, timeouts, problem, balance
      case operationsPerSecond = "ops_per_s"
      case p50 = "latency_p50_us"
      case p99 = "latency_p99_us"
      case largest = "latency_max_us"
      case isLinearizable = "linearizable"
    }
  }

  /// One controller that took the place of another.
  public struct Change: Sendable, Encodable {
    var kind: ControllerChange
    /// From the signal to the old one until the new one answers.
    public var milliseconds: Double
    /// Transitions that it found under way.
    public var resumed: Int
  }

  /// A rack file that a running controller was told to read.
  public struct Reload: Sendable, Encodable {
    /// What was new in it.
    public var what: String
    /// Until the controller answered.
    public var milliseconds: Double
    /// Until the servers were as it says.
    public var secondsUntilSettled: Double

    enum CodingKeys: String, CodingKey {
      case what, milliseconds
      case secondsUntilSettled = "seconds_until_settled"
    }
  }

  public var parts: [Part]
  public var changes: [Change]
  public var reloads: [Reload]

  /// What does not hold, in words.
  public var shortcomings: [String] {
    parts.flatMap { part -> [String] in
      (part.isLinearizable ? [] : ["\(part.name): \(part.problem ?? "not linearizable")"])
        + (part.balance.isClean ? [] : ["\(part.name): packets were lost"])
        + (part.unknown + part.failed == 0
          ? [] : ["\(part.name): \(part.unknown) outcomes unknown, \(part.failed) failed"])
    }
  }

  public var tables: [MarkdownTable] {
    let loads = MarkdownTable(
      [
        .words("load"), "seconds", "operations", "ops/s", "p50 us", "p99 us", "max us", "timeouts",
        .words("linearizable"),
      ],
      rows: parts.map { part in
        [
          part.name, String(format: "%.0f", part.seconds), String(part.operations),
          String(format: "%.0f", part.operationsPerSecond), String(format: "%.0f", part.p50),
          String(format: "%.0f", part.p99), String(format: "%.0f", part.largest),
          String(part.timeouts), part.isLinearizable ? "yes" : "NO",
        ]
      })
    let packets = MarkdownTable(
      [
        .words("packets"), "sent", "lost before XDP", "unanswered", "lost after XDP",
        "dropped by XDP", "by interfaces", "by sockets",
      ],
      rows: parts.map { part in
        let balance = part.balance
        return [
          part.name, String(balance.sent), String(balance.lostBefore), String(balance.unanswered),
          String(balance.lostAfter), String(balance.droppedByProgram),
          String(balance.droppedByInterfaces), String(balance.droppedBySockets),
        ]
      })
    let kinds = MarkdownTable(
      [
        .words("change of controller"), "times", "without one, ms (median)", "longest",
        "transitions under way",
      ],
      rows: ControllerChange.allCases.map { kind in
        let some = changes.filter { $0.kind == kind }
        let times = some.map(\.milliseconds).sorted()
        return [
          kind.rawValue, String(some.count),
          times.isEmpty ? "-" : String(format: "%.0f", times[times.count / 2]),
          times.last.map { String(format: "%.0f", $0) } ?? "-",
          String(some.reduce(0) { $0 + $1.resumed }),
        ]
      })
    let files = MarkdownTable(
      [.words("reload"), "times", "answered after, ms (longest)", "settled after, s (longest)"],
      rows: RackReloads.steps.map(\.rawValue).compactMap { what in
        let some = reloads.filter { $0.what == what }
        guard !some.isEmpty else { return nil }
        return [
          what, String(some.count),
          String(format: "%.1f", some.map(\.milliseconds).max() ?? 0),
          String(format: "%.2f", some.map(\.secondsUntilSettled).max() ?? 0),
        ]
      })
    return [loads, packets, kinds, files]
  }
}
