internal import Foundation

/// What a fault of a scenario did.
public struct FaultReport: Sendable, Equatable, Encodable {
  /// What happens to frames is counted for each of them.
  public struct Frames: Sendable, Equatable, Encodable {
    public var seen: Int
    public var lost: Int
    public var duplicated: Int
    public var delayed: Int
  }

  /// `partition`, `kill`...
  public var kind: String
  public var target: String
  /// One line for people.
  public var description: String
  /// Seconds from the start of the recording; `end` nil: it went on until the recording's end.
  public var begin: Double
  public var end: Double?
  /// Of link faults.
  public var frames: Frames?
  /// From its beginning until that of the next fault, or until the recording's end.
  public var withoutService: ServiceGapReport?
  /// Of slow servers.
  public var load: LoadShareReport?

  enum CodingKeys: String, CodingKey {
    case kind, target, description, frames, load
    case begin = "begin_s"
    case end = "end_s"
    case withoutService = "without_service"
  }
}

/// What the run of a scenario has shown.
public struct ScenarioReport: Sendable, Equatable, Encodable {
  public enum Verdict: String, Sendable, Encodable {
    case linearizable
    case notLinearizable = "not linearizable"
    /// The checker has reached its limit of steps on some key.
    case undecided
  }

  /// Seconds that were recorded.
  public var duration = 0.0
  public var operations = 0
  public var reads = 0
  public var writes = 0
  public var deletes = 0
  /// Operations whose outcome their client does not know.
  public var unknown = 0
  /// ...those of them of which the rack said that nobody can know.
  public var ambiguous = 0
  public var failed = 0
  /// ...those of them that were reads of values whose only holder had died.
  public var lost = 0
  public var keys = 0
  /// As the controller has counted them.
  public var promotions = 0
  public var demotions = 0
  /// Transitions that the controller gave up.
  public var givenUp = 0
  /// Packets that each processor has handled in the data plane, if the recorders were pinned.
  public var packetsByProcessor: [UInt64] = []
  public var verdict = Verdict.undecided
  /// The key that the verdict is about, if it is not a good one, and its contradictory operations.
  public var key: String?
  public var contradiction: [String] = []
  /// The longest times without service before the first fault; nil: there was none.
  public var quiet: ServiceGapReport?
  public var faults: [FaultReport] = []
  /// What else the run has not fulfilled: fewer operations than asked for, no transitions, faults
  /// without effect, keys that were not served at the end.
  public var shortcomings: [String] = []
  /// The merged history.
  public var history: String

  /// The testbed's name.
  public var name: String

  public var isGood: Bool { verdict == .linearizable && shortcomings.isEmpty }
}

extension ScenarioReport {
  private static let contradictionLinesMax = 40

  /// For people.
  public var text: String {
    var lines = [
      "\(operations) operations on \(keys) keys in \(fixed(duration, 1)) s: \(reads) reads, "
        + "\(writes) writes, \(deletes) deletes",
      "\(unknown) unknown (\(ambiguous) ambiguous), \(failed) failed (\(lost) lost)",
      "\(promotions) promotions, \(demotions) demotions, \(givenUp) given up",
      "history: \(history)",
    ]
    if !packetsByProcessor.isEmpty { lines.append("packets: \(packetsText)") }
    if !faults.isEmpty { lines += faultLines }
    switch verdict {
    case .linearizable: lines.append("linearizable: yes, every key")
    case .undecided: lines.append("linearizable: undecided, key \(key ?? "") needs more steps")
    case .notLinearizable:
      lines.append("linearizable: NO, key \(key ?? ""); no order explains these operations:")
      lines += contradiction.suffix(Self.contradictionLinesMax).map { "  " + $0 }
    }
    lines += shortcomings.map { "NOT ENOUGH: " + $0 }
    return lines.joined(separator: "\n")
  }
}

extension ScenarioReport {
  private var packetsText: String {
    packetsByProcessor.enumerated().filter { $0.element > 0 }
      .map { "\($0.element) on processor \($0.offset)" }.joined(separator: ", ")
  }

  private var faultLines: [String] {
    var lines = ["longest time without service, in ms:"]
    lines.append("     all  struck server  hot keys  worst key")
    func line(_ gaps: ServiceGapReport?, _ what: String) -> String {
      func cell(_ value: Double?, _ width: Int) -> String {
        let text = value.map { fixed($0, 0) } ?? "-"
        return String(repeating: " ", count: max(0, width - text.count)) + text
      }
      return cell(gaps?.all, 8) + cell(gaps?.struck, 15) + cell(gaps?.hot, 10)
        + cell(gaps?.worstKey, 11) + "  " + what
    }
    lines.append(line(quiet, "before the first fault"))
    for fault in faults {
      let end = fault.end.map { fixed($0, 1) } ?? "end"
      var what = "\(fixed(fault.begin, 1))..\(end) s: \(fault.description)"
      if let frames = fault.frames {
        what +=
          " (of \(frames.seen) frames \(frames.lost) lost, \(frames.duplicated) doubled, "
          + "\(frames.delayed) delayed)"
      }
      if let load = fault.load { what += "; \(load)" }
      lines.append(line(fault.withoutService, what))
    }
    return lines
  }
}

/// A number with so many decimals.
func fixed(_ number: Double, _ decimals: Int) -> String {
  String(format: "%.\(decimals)f", number)
}
