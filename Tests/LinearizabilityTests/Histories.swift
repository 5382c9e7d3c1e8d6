import Linearizability

/// One operation of a hand-made history: all of key "x" unless told otherwise.
struct Step {
  var kind: HistoryOperation.Kind
  var key = "x"
  var value: String?
  var condition = HistoryOperation.Condition.always
  var version: UInt64 = 0
  var invoked: Int64
  var returned: Int64
  var outcome: HistoryOperation.Outcome

  /// A set that was answered, or not.
  static func set(
    _ value: String, _ invoked: Int64, _ returned: Int64,
    _ outcome: HistoryOperation.Outcome = .ok, key: String = "x"
  ) -> Step {
    Step(
      kind: .set, key: key, value: value, invoked: invoked, returned: returned, outcome: outcome)
  }

  static func delete(
    _ invoked: Int64, _ returned: Int64, _ outcome: HistoryOperation.Outcome = .ok
  ) -> Step {
    Step(kind: .delete, invoked: invoked, returned: returned, outcome: outcome)
  }

  /// A compare-and-set that was answered, or not.
  static func cas(
    _ expected: String?, _ value: String, _ invoked: Int64, _ returned: Int64,
    _ outcome: HistoryOperation.Outcome = .ok
  ) -> Step {
    var step = set(value, invoked, returned, outcome)
    step.condition = .holds(expected)
    return step
  }

  /// A get; nil: not found.
  static func get(_ value: String?, _ invoked: Int64, _ returned: Int64, key: String = "x") -> Step
  {
    Step(
      kind: .get, key: key, value: value, invoked: invoked, returned: returned,
      outcome: value == nil ? .notFound : .ok)
  }
}

func history(_ steps: [Step]) throws -> History {
  var history = History()
  for (number, step) in steps.enumerated() {
    try history.append(
      client: UInt64(number % 5 + 1), sequence: UInt64(number), kind: step.kind, key: step.key,
      value: step.value, condition: step.condition, version: step.version, invoked: step.invoked,
      returned: step.returned,
      outcome: step.outcome)
  }
  return history
}

func isLinearizable(_ steps: [Step]) throws -> Bool {
  let report = LinearizabilityChecker().check(try history(steps))
  guard case .undecided = report.verdict else { return report.verdict == .linearizable }
  throw HistoryError.contradiction("a small history is decided")
}

/// The definition, tried out: is there an order of the operations of one key that respects real
/// time and the register, with each unanswered write in or out? For a handful of operations.
func bruteForceIsLinearizable(_ steps: [Step]) -> Bool {
  let certain = steps.filter(\.outcome.isCertain)
  let optional = steps.filter { $0.outcome == .unknown && $0.kind != .get }
  for choice in 0..<(1 << optional.count) {
    let taken = optional.indices.filter { choice >> $0 & 1 == 1 }.map { index in
      var step = optional[index]
      step.returned = .max
      return step
    }
    if hasOrder(certain + taken, state: nil) { return true }
  }
  return false
}

private func hasOrder(_ remaining: [Step], state: String?) -> Bool {
  if remaining.isEmpty { return true }
  let firstReturn = remaining.map(\.returned).min() ?? .max
  for (index, step) in remaining.enumerated() where step.invoked <= firstReturn {
    var rest = remaining
    rest.remove(at: index)
    if case .holds(let expected) = step.condition {
      let isEqual = expected == state
      guard isEqual == (step.outcome != .unequal) else { continue }
      if hasOrder(rest, state: isEqual ? step.value : state) { return true }
      continue
    }
    switch step.kind {
    case .get where step.value == state:
      if hasOrder(rest, state: state) { return true }
    case .get: continue
    case .set:
      if hasOrder(rest, state: step.value) { return true }
    case .delete:
      if hasOrder(rest, state: nil) { return true }
    }
  }
  return false
}

/// A repeatable source of numbers for generated histories (SplitMix64, S. Vigna, public domain).
struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  init(_ seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
