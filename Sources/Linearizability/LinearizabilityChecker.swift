/// Checks histories of registers with delete and compare-and-set: each key by itself, since
/// linearizability composes (M. Herlihy and J. Wing, 1990).
///
/// Three ways, each where the one before it cannot decide: the order of the store's versions
/// (`VersionOrder`), the zones of values that are written once (`ValueZones`), and the search
/// (`RegisterSearch`), whose steps and memory are bounded.
public struct LinearizabilityChecker: Sendable {
  /// How many configurations of one key to look at before it is left undecided.
  public var stepLimit: Int

  public init(stepLimit: Int = 20_000_000) { self.stepLimit = stepLimit }

  public enum Verdict: Sendable, Equatable {
    case linearizable
    case notLinearizable(Violation)
    /// The step limit was reached for this key, and no other key is in violation.
    case undecided(key: String)
  }

  /// A key whose operations no order explains.
  public struct Violation: Sendable, Equatable {
    public var key: String
    /// A few operations of the key that by themselves already contradict each other.
    public var operations: [HistoryOperation]
  }

  /// What was checked, and the verdict.
  public struct Report: Sendable {
    public var verdict: Verdict
    public var operations = 0
    public var keys = 0
    /// Keys whose linearization followed the store's versions...
    public var keysInVersionOrder = 0
    /// ...and keys that had to be searched.
    public var keysSearched = 0
  }

  public func check(_ history: History) -> Report {
    var places = [[Int]](repeating: [], count: history.keys.count)
    for (index, operation) in history.operations.enumerated() {
      places[Int(operation.key)].append(index)
    }
    var report = Report(
      verdict: .linearizable, operations: history.operations.count, keys: places.count)
    for (key, indices) in places.enumerated() {
      let register = RegisterHistory(history, indices)
      if VersionOrder.linearizes(register) {
        report.keysInVersionOrder += 1
        continue
      }
      switch ValueZones.decide(register) {
      case .linearizable: continue
      case .contradiction(let operations):
        let core = Set(operations.map { register.operations[$0].index }).sorted()
        let last = core.max { history.operations[$0].returned < history.operations[$1].returned }
        report.verdict = .notLinearizable(
          violation(history, Int32(key), core, stuck: last ?? core[0]))
        return report
      case .unknown: report.keysSearched += 1
      }
      switch RegisterSearch.run(register, stepLimit: stepLimit) {
      case .linearizable: continue
      case .limit: report.verdict = .undecided(key: history.keys[Int32(key)])
      case .stuck(let operation):
        report.verdict = .notLinearizable(
          violation(history, Int32(key), indices, stuck: register.operations[operation].index))
        return report
      }
    }
    return report
  }

  private func violation(
    _ history: History, _ key: Int32, _ indices: [Int], stuck: Int
  ) -> Violation {
    var core = ContradictionCore(history: history, indices: indices, stepLimit: stepLimit)
    let kept = core.minimize(stuck: stuck)
    let operations = kept.map { history.operations[$0] }
    return Violation(
      key: history.keys[key],
      operations: operations.sorted { ($0.invoked, $0.returned) < ($1.invoked, $1.returned) })
  }
}
