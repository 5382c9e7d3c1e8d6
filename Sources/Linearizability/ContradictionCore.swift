/// Makes a history that is not linearizable small, so that a person sees why.
///
/// A read may be left out of any history, and then a set whose value nobody reads: if what is left
/// is not linearizable, neither was the whole. So may a delete that no absence can be due to. Where
/// there are compare-and-sets, any write may be needed, so only what has no effect is left out.
struct ContradictionCore {
  private let history: History
  private var kept: [Int]
  private let stepLimit: Int
  /// Work that minimizing may cost, in operations checked again.
  private var budget = 20_000_000

  init(history: History, indices: [Int], stepLimit: Int) {
    self.history = history
    kept = indices
    self.stepLimit = min(stepLimit, 200_000)
  }

  /// The places of a few operations that contradict each other. `stuck`: the operation whose
  /// return could not be explained.
  mutating func minimize(stuck: Int) -> [Int] {
    guard !kept.contains(where: { history.operations[$0].isConditional }) else {
      return minimizeWithConditions(stuck: stuck)
    }
    let end = history.operations[stuck].returned
    // Later operations are no part of the contradiction, but for writes of values read before.
    let readBefore = Set(
      kept.lazy.map { [history] in history.operations[$0] }
        .filter { $0.outcome == .ok && $0.kind == .get && $0.returned <= end }.map(\.value))
    attempt { [history] index in
      let operation = history.operations[index]
      return operation.kind == .get
        ? operation.returned <= end
        : operation.invoked <= end || readBefore.contains(operation.value)
    }
    attempt { [history] in history.operations[$0].outcome != .failed }
    attempt { [history] in history.operations[$0].value != History.absent }
    removeInChunks(groups(byValue: true))
    removeInChunks(groups(byValue: false))
    removeUselessDeletes()
    removeInChunks(groups(byValue: true))
    return kept
  }

  private mutating func minimizeWithConditions(stuck: Int) -> [Int] {
    let end = history.operations[stuck].returned
    attempt { [history] index in
      let operation = history.operations[index]
      return operation.hasEffect ? operation.invoked <= end : operation.returned <= end
    }
    attempt { [history] in history.operations[$0].outcome != .failed }
    removeInChunks(kept.filter { !history.operations[$0].hasEffect }.map { [$0] })
    return kept
  }

  /// What can be left out as one: a value's sets and gets, or single reads.
  private func groups(byValue: Bool) -> [[Int]] {
    guard byValue else {
      return kept.filter { history.operations[$0].kind == .get }.map { [$0] }
    }
    var groups: [[Int]] = []
    var groupOfValue: [Int32: Int] = [:]
    for index in kept {
      let operation = history.operations[index]
      if operation.value == History.absent {
        if operation.kind == .get { groups.append([index]) }
        continue
      }
      if let group = groupOfValue[operation.value] {
        groups[group].append(index)
      } else {
        groupOfValue[operation.value] = groups.count
        groups.append([index])
      }
    }
    return groups
  }

  /// Leaves out halves, then quarters, and so on, as long as the contradiction stays.
  private mutating func removeInChunks(_ groups: [[Int]]) {
    var groups = groups
    var size = max(1, groups.count / 2)
    while !groups.isEmpty {
      var start = 0
      while start < groups.count {
        let end = min(start + size, groups.count)
        let leaveOut = Set(groups[start..<end].joined())
        if attempt({ !leaveOut.contains($0) }) {
          groups.removeSubrange(start..<end)
        } else {
          start = end
        }
      }
      if size == 1 { return }
      size /= 2
    }
  }

  /// Leaves out deletes that no absence that is left can be the effect of: the absence was over
  /// before, or a set lies between the two.
  private mutating func removeUselessDeletes() {
    let operations = kept.map { history.operations[$0] }
    let sets = operations.filter { $0.kind == .set && $0.outcome == .ok }
    let absences = operations.filter { $0.outcome == .notFound }.map { absence in
      let before = sets.lazy.filter { $0.returned < absence.invoked }.map(\.invoked)
      return (returned: absence.returned, barrier: before.max() ?? .min)
    }
    let useless = kept.filter { [history] in
      let operation = history.operations[$0]
      guard operation.kind == .delete else { return false }
      return absences.allSatisfy { absence in
        absence.returned < operation.invoked
          || (operation.outcome == .ok && operation.returned < absence.barrier)
      }
    }
    removeInChunks(useless.map { [$0] })
  }

  @discardableResult
  private mutating func attempt(_ keeps: (Int) -> Bool) -> Bool {
    let fewer = kept.filter(keeps)
    guard fewer.count < kept.count, !fewer.isEmpty, budget > 0 else { return false }
    budget -= fewer.count
    let register = RegisterHistory(history, fewer)
    guard case .stuck = RegisterSearch.run(register, stepLimit: stepLimit) else { return false }
    kept = fewer
    return true
  }
}

extension HistoryOperation {
  /// It may have changed the register.
  fileprivate var hasEffect: Bool { kind != .get && outcome != .unequal }
}
