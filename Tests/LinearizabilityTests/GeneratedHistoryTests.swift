import Linearizability
import Testing

@Suite struct GeneratedHistoryTests {
  @Test("Small random histories get the verdict of the definition, with and without versions")
  func bruteForceAgrees() throws {
    var random = SplitMix(1)
    var (good, bad) = (0, 0)
    for _ in 0..<20_000 {
      let steps = randomSteps(count: Int.random(in: 2...7, using: &random), &random)
      let expected = bruteForceIsLinearizable(steps)
      expected ? (good += 1) : (bad += 1)
      let history = try history(steps)
      switch LinearizabilityChecker().check(history).verdict {
      case .linearizable: #expect(expected, "\(steps)")
      case .undecided: Issue.record("undecided: \(steps)")
      case .notLinearizable(let violation):
        #expect(!expected, "\(steps)")
        // What is shown to explain the verdict is in itself a contradiction.
        let core = violation.operations.map { operation in
          steps[Int(operation.sequence)]
        }
        #expect(!bruteForceIsLinearizable(core), "\(steps) explained by \(core)")
      }
    }
    #expect(good > 3_000 && bad > 3_000, "both verdicts are common: \(good), \(bad)")
  }

  @Test("What an atomic register did is accepted", arguments: 0..<40)
  func correctHistories(seed: UInt64) throws {
    var random = SplitMix(seed)
    let steps = atomicSteps(count: 3_000, clients: 1 + Int(seed % 16), &random)
    let withVersions = try history(steps)
    let report = LinearizabilityChecker().check(withVersions)
    #expect(report.verdict == .linearizable)
    // Without the hint of the versions it is the search that decides.
    let without = try history(steps.map { step in with(step) { $0.version = 0 } })
    #expect(LinearizabilityChecker().check(without).verdict == .linearizable)
  }

  enum Damage: CaseIterable {
    case otherValueRead, staleRead, lostWrite, resurrectedDelete, doubleEffect
  }

  @Test("What no register can have done is refused", arguments: Damage.allCases, 0..<20)
  func damagedHistories(_ damage: Damage, seed: UInt64) throws {
    var random = SplitMix(seed)
    var steps = atomicSteps(count: 500, clients: 1 + Int(seed % 8), &random)
    // After all others and one at a time, so that the damage leaves no room for another reading.
    let end = steps.map(\.returned).filter { $0 != .max }.max()! + 10
    func at(_ index: Int64, _ step: (Int64, Int64) -> Step) -> Step {
      step(end + 10 * index, end + 10 * index + 5)
    }
    // An unanswered delete may come at any moment; here it would excuse an absence.
    steps.removeAll { $0.kind == .delete && $0.outcome == .unknown }
    guard bruteForceIsUnneeded(steps) else { return }
    let set1 = at(1) { .set("first", $0, $1) }
    let set2 = at(2) { .set("second", $0, $1) }
    switch damage {
    case .otherValueRead: steps += [set1, at(2) { .get("never written", $0, $1) }]
    case .staleRead: steps += [set1, set2, at(3) { .get("first", $0, $1) }]
    case .lostWrite: steps += [set1, at(2) { .get(nil, $0, $1) }]
    case .resurrectedDelete:
      steps += [set1, at(2) { .delete($0, $1) }, at(3) { .get("first", $0, $1) }]
    case .doubleEffect:
      steps += [
        set1, set2, at(3) { .get("second", $0, $1) }, at(4) { .get("first", $0, $1) },
      ]
    }
    let report = LinearizabilityChecker().check(try history(steps))
    guard case .notLinearizable(let violation) = report.verdict else {
      Issue.record("accepted")
      return
    }
    #expect(violation.operations.count <= 4)
  }

  /// Some histories lean on the unknown deletes that were just taken out.
  private func bruteForceIsUnneeded(_ steps: [Step]) -> Bool {
    (try? isLinearizable(steps)) == true
  }

  @Test("A read that is given another read's value is refused, unless both were possible")
  func swappedReads() throws {
    var random = SplitMix(99)
    var refused = 0
    for _ in 0..<200 {
      var steps = atomicSteps(count: 60, clients: 3, &random)
      let reads = steps.indices.filter { steps[$0].kind == .get && steps[$0].outcome == .ok }
      guard let first = reads.first, let last = reads.last,
        steps[first].value != steps[last].value
      else { continue }
      (steps[first].value, steps[last].value) = (steps[last].value, steps[first].value)
      if try !isLinearizable(steps) { refused += 1 }
    }
    #expect(refused > 150)
  }

  @Test("Small random histories with compare-and-sets get the verdict of the definition")
  func bruteForceAgreesWithConditions() throws {
    var random = SplitMix(2)
    var (good, bad) = (0, 0)
    for _ in 0..<20_000 {
      let steps = randomSteps(
        count: Int.random(in: 2...7, using: &random), conditions: true, &random)
      let expected = bruteForceIsLinearizable(steps)
      expected ? (good += 1) : (bad += 1)
      switch LinearizabilityChecker().check(try history(steps)).verdict {
      case .linearizable: #expect(expected, "\(steps)")
      case .undecided: Issue.record("undecided: \(steps)")
      case .notLinearizable(let violation):
        #expect(!expected, "\(steps)")
        let core = violation.operations.map { steps[Int($0.sequence)] }
        #expect(!bruteForceIsLinearizable(core), "\(steps) explained by \(core)")
      }
    }
    #expect(good > 2_000 && bad > 2_000, "both verdicts are common: \(good), \(bad)")
  }

  /// What 100,000 operations are like.
  struct Shape: CustomTestStringConvertible, Sendable {
    var keys = 1
    var clients: Int
    var unknown = 0.05
    var deletes = 0.05
    /// Different values; nil: each is written once.
    var values: Int?
    var versions = false

    var testDescription: String {
      "\(keys) keys, \(clients) clients, \(unknown) unknown, \(deletes) deletes, "
        + (values.map { "\($0) values" } ?? "unique values") + (versions ? ", versions" : "")
    }
  }

  static let shapes = [
    Shape(clients: 8), Shape(clients: 32), Shape(keys: 100, clients: 32),
    Shape(keys: 1_000, clients: 256), Shape(clients: 256, versions: true),
    Shape(clients: 256, deletes: 0), Shape(clients: 32, unknown: 0.5),
    Shape(clients: 256, unknown: 0.5, deletes: 0),
    Shape(clients: 8, unknown: 0, deletes: 0, values: 100),
    Shape(keys: 100, clients: 8, values: 5), Shape(keys: 100, clients: 64, unknown: 0.5),
  ]

  @Test("100,000 operations of an atomic register are accepted", arguments: shapes)
  func manyOperations(_ shape: Shape) throws {
    let report = LinearizabilityChecker().check(try history(steps(of: shape, seed: 5)))
    #expect(report.verdict == .linearizable)
    #expect(report.operations == 100_000 && report.keys == shape.keys)
  }

  @Test("A stale read after 100,000 operations is refused", arguments: shapes)
  func manyOperationsAndAStaleRead(_ shape: Shape) throws {
    var all = steps(of: shape, seed: 6)
    let end = all.map(\.returned).filter { $0 != .max }.max()! + 10
    all += [
      .set("first", end, end + 1, key: "key0"), .set("second", end + 2, end + 3, key: "key0"),
      .get("first", end + 4, end + 5, key: "key0"),
    ]
    let report = LinearizabilityChecker().check(try history(all))
    guard case .notLinearizable(let violation) = report.verdict else {
      Issue.record("\(report.verdict)")
      return
    }
    #expect(violation.key == "key0" && violation.operations.count <= 4)
  }

  private func steps(of shape: Shape, seed: UInt64) -> [Step] {
    var random = SplitMix(seed)
    return (0..<shape.keys).flatMap { key in
      atomicSteps(
        count: 100_000 / shape.keys, clients: shape.clients, unknown: shape.unknown,
        deletes: shape.deletes, values: shape.values, &random
      ).map { step in
        with(step) {
          $0.key = "key\(key)"
          if !shape.versions { $0.version = 0 }
        }
      }
    }
  }

  private func with(_ step: Step, _ change: (inout Step) -> Void) -> Step {
    var step = step
    change(&step)
    return step
  }

  private func randomSteps(
    count: Int, conditions: Bool = false, _ random: inout SplitMix
  ) -> [Step] {
    (0..<count).map { _ in
      let invoked = Int64.random(in: 0..<12, using: &random)
      let returned = invoked + Int64.random(in: 0..<8, using: &random)
      let value = String(Int.random(in: 1...3, using: &random))
      let outcome: HistoryOperation.Outcome =
        switch Int.random(in: 0..<10, using: &random) {
        case 0...1: .unknown
        case 2: .failed
        default: .ok
        }
      var step: Step =
        switch Int.random(in: 0..<10, using: &random) {
        case 0...3: .set(value, invoked, returned, outcome)
        case 4: .delete(invoked, returned, outcome)
        case 5: .get(nil, invoked, returned)
        default: .get(value, invoked, returned)
        }
      if conditions, step.kind == .set, random.next() % 2 == 0 {
        let expected = Int.random(in: 0...3, using: &random)
        step.condition = .holds(expected == 0 ? nil : String(expected))
        if step.outcome == .ok, random.next() % 3 == 0 { step.outcome = .unequal }
      }
      if random.next() % 2 == 0 { step.version = UInt64.random(in: 1...5, using: &random) }
      return step
    }
  }

  /// Runs an atomic register: each operation takes effect at one moment of its interval. The
  /// versions are those moments.
  private func atomicSteps(
    count: Int, clients: Int, unknown: Double = 0.05, deletes: Double = 0.1, values: Int? = nil,
    _ random: inout SplitMix
  ) -> [Step] {
    struct Pending {
      var step: Step
      var moment: Int64
    }
    var pending: [Pending] = []
    var free = [Int64](repeating: 0, count: clients)
    for number in 0..<count {
      let client = Int.random(in: 0..<clients, using: &random)
      let invoked = free[client] + Int64.random(in: 0..<50, using: &random)
      let moment = invoked + Int64.random(in: 0..<40, using: &random)
      let returned = moment + Int64.random(in: 0..<40, using: &random)
      free[client] = returned
      let isUnknown = Double.random(in: 0..<1, using: &random) < unknown
      let value = values.map { Int.random(in: 0..<$0, using: &random) } ?? number
      let step: Step =
        switch Double.random(in: 0..<1, using: &random) {
        case ..<0.4: .set("\(value)", invoked, returned, isUnknown ? .unknown : .ok)
        case ..<(0.4 + deletes): .delete(invoked, returned, isUnknown ? .unknown : .ok)
        default: .get(nil, invoked, returned)
        }
      pending.append(Pending(step: step, moment: moment))
    }
    let order = pending.indices.sorted {
      (pending[$0].moment, $0) < (pending[$1].moment, $1)
    }
    var state: (value: String?, version: UInt64) = (nil, 0)
    for (version, index) in order.enumerated() {
      switch pending[index].step.kind {
      case .get:
        pending[index].step.value = state.value
        pending[index].step.outcome = state.value == nil ? .notFound : .ok
        pending[index].step.version = state.version
      default:
        let isUnknown = pending[index].step.outcome == .unknown
        if isUnknown && random.next() % 2 == 0 { continue }
        state = (pending[index].step.value, UInt64(version + 1))
        if !isUnknown { pending[index].step.version = state.version }
      }
    }
    return pending.map(\.step)
  }
}
