import Linearizability
import Testing

/// Small histories with a known verdict, written from the definition of linearizability; several
/// have the shape of examples in the literature (Herlihy and Wing 1990; Knossos; Porcupine).
@Suite struct GoldenHistoryTests {
  struct Golden: CustomTestStringConvertible, Sendable {
    var name: String
    var good: Bool
    var steps: [Step]
    var testDescription: String { name }
  }

  @Test("A hand-made history gets its verdict", arguments: good + bad)
  func goldenHistory(_ golden: Golden) throws {
    #expect(try isLinearizable(golden.steps) == golden.good)
    #expect(bruteForceIsLinearizable(golden.steps) == golden.good, "the golden verdict itself")
  }

  @Test("Versions that contradict a history do not make it right, nor a right one wrong")
  func versionsAreNoProof() throws {
    var stale: [Step] = [.set("1", 0, 1), .set("2", 2, 3), .get("1", 4, 5)]
    stale[0].version = 7
    stale[1].version = 3
    stale[2].version = 7
    #expect(try !isLinearizable(stale))
    var right: [Step] = [.set("1", 0, 1), .set("2", 2, 3), .get("2", 4, 5)]
    right[0].version = 7
    right[1].version = 3
    #expect(try isLinearizable(right))
  }

  @Test("Keys are checked by themselves, and the one in violation is named with its operations")
  func violationIsExplained() throws {
    let steps: [Step] = [
      .set("a", 0, 1, key: "y"), .get("a", 2, 3, key: "y"),
      .set("0", 0, 1), .get("0", 2, 3), .set("1", 4, 5), .set("2", 6, 7), .get("2", 7, 8),
      .get("1", 9, 10), .get("2", 11, 12),
    ]
    let history = try history(steps)
    let report = LinearizabilityChecker().check(history)
    guard case .notLinearizable(let violation) = report.verdict else {
      Issue.record("a stale read was accepted")
      return
    }
    #expect(violation.key == "x")
    #expect(
      violation.operations.map(history.description(of:)) == [
        "[4 .. 5] client 5 #4 set x = \"1\"", "[6 .. 7] client 1 #5 set x = \"2\"",
        "[9 .. 10] client 3 #7 get x -> \"1\"",
      ])
  }

  @Test("Where the steps do not suffice, nothing is claimed")
  func undecided() throws {
    // Each value twice, or it would be decided without a search.
    var steps: [Step] = []
    for value in 0..<8 { steps.append(.set("\(value % 4)", 0, 100)) }
    for value in [3, 2, 1] { steps.append(.get("\(value)", 0, 100)) }
    steps.append(.get("2", 200, 201))
    let checker = LinearizabilityChecker(stepLimit: 10)
    #expect(checker.check(try history(steps)).verdict == .undecided(key: "x"))
    #expect(try isLinearizable(steps))
  }

  static let good: [Golden] = [
    Golden(name: "an empty history", good: true, steps: []),
    Golden(name: "absent at first", good: true, steps: [.get(nil, 0, 1)]),
    Golden(
      name: "one after the other", good: true,
      steps: [.set("1", 0, 1), .get("1", 2, 3), .delete(4, 5), .get(nil, 6, 7)]),
    Golden(
      name: "overlapping writes, read in either order by time", good: true,
      steps: [.set("1", 0, 10), .set("2", 1, 9), .get("2", 11, 12), .get("2", 13, 14)]),
    Golden(
      name: "a read overlapping a write sees the new value", good: true,
      steps: [.set("1", 0, 1), .set("2", 2, 10), .get("2", 3, 4), .get("2", 5, 6)]),
    Golden(
      name: "a read overlapping a write sees the old value", good: true,
      steps: [.set("1", 0, 1), .set("2", 2, 10), .get("1", 3, 4), .get("2", 5, 6)]),
    Golden(
      name: "touching at one moment is overlapping", good: true,
      steps: [.set("1", 0, 2), .set("2", 2, 4), .get("1", 4, 5)]),
    Golden(
      name: "an unknown write never took effect", good: true,
      steps: [.set("1", 0, 1), .set("2", 2, 3, .unknown), .get("1", 4, 5), .get("1", 6, 7)]),
    Golden(
      name: "an unknown write took effect late", good: true,
      steps: [.set("1", 0, 1), .set("2", 2, 3, .unknown), .get("1", 4, 5), .get("2", 6, 7)]),
    Golden(
      name: "an unknown delete took effect late", good: true,
      steps: [.set("1", 0, 1), .delete(2, 3, .unknown), .get("1", 4, 5), .get(nil, 6, 7)]),
    Golden(
      name: "two unknown deletes explain two absences", good: true,
      steps: [
        .set("1", 0, 1), .delete(2, 3, .unknown), .delete(2, 3, .unknown), .get(nil, 4, 5),
        .set("2", 6, 7), .get(nil, 8, 9),
      ]),
    Golden(
      name: "a failed write has no effect", good: true,
      steps: [.set("1", 0, 1), .set("2", 2, 3, .failed), .get("1", 4, 5)]),
    Golden(
      name: "the same value written twice may be read after another", good: true,
      steps: [.set("1", 0, 1), .set("2", 2, 3), .set("1", 4, 5), .get("1", 6, 7)]),
    Golden(
      name: "an unknown write of a value that was written before", good: true,
      steps: [.set("1", 0, 1), .set("1", 2, 3, .unknown), .set("2", 4, 5), .get("1", 6, 7)]),
    Golden(
      name: "three overlapping writes and reads that fix their order", good: true,
      steps: [
        .set("1", 0, 20), .set("2", 0, 20), .set("3", 0, 20), .get("3", 1, 2), .get("1", 3, 4),
        .get("2", 21, 22),
      ]),
    Golden(
      name: "nested intervals (Herlihy and Wing's shape)", good: true,
      steps: [.set("0", 0, 1), .set("1", 2, 20), .get("1", 3, 6), .get("1", 5, 9)]),
    Golden(
      name: "a compare-and-set finds what was written", good: true,
      steps: [.cas(nil, "1", 0, 1), .cas("1", "2", 2, 3), .get("2", 4, 5)]),
    Golden(
      name: "a compare-and-set is refused", good: true,
      steps: [.set("1", 0, 1), .cas("2", "3", 2, 3, .unequal), .get("1", 4, 5)]),
    Golden(
      name: "an unknown write that nobody read explains why a compare-and-set was refused",
      good: true,
      steps: [.set("1", 0, 1), .set("2", 2, 3, .unknown), .cas("1", "3", 4, 5, .unequal)]),
    Golden(
      name: "an unknown compare-and-set took effect late", good: true,
      steps: [.set("1", 0, 1), .cas("1", "2", 2, 3, .unknown), .get("1", 4, 5), .get("2", 6, 7)]),
    Golden(
      name: "of two compare-and-sets at the same time one is refused", good: true,
      steps: [.set("1", 0, 1), .cas("1", "2", 2, 9), .cas("1", "3", 2, 9, .unequal)]),
  ]

  static let bad: [Golden] = [
    Golden(
      name: "two compare-and-sets find the same value", good: false,
      steps: [.set("1", 0, 1), .cas("1", "2", 2, 9), .cas("1", "3", 2, 9)]),
    Golden(
      name: "a compare-and-set is refused for no reason", good: false,
      steps: [.set("1", 0, 1), .cas("1", "2", 2, 3, .unequal), .get("1", 4, 5)]),
    Golden(
      name: "a refused compare-and-set has taken effect", good: false,
      steps: [.set("1", 0, 1), .cas("2", "3", 2, 3, .unequal), .get("3", 4, 5)]),
    Golden(
      name: "an unknown compare-and-set took effect on another value", good: false,
      steps: [.set("1", 0, 1), .cas("5", "2", 2, 3, .unknown), .get("2", 6, 7)]),
    Golden(name: "a value from nowhere", good: false, steps: [.get("1", 0, 1)]),
    Golden(
      name: "a value before it was written", good: false,
      steps: [.get("1", 0, 1), .set("1", 2, 3)]),
    Golden(
      name: "a stale read", good: false,
      steps: [.set("1", 0, 1), .set("2", 2, 3), .get("1", 4, 5)]),
    Golden(
      name: "new then old: an overlapping write seen and unseen", good: false,
      steps: [.set("1", 0, 1), .set("2", 2, 10), .get("2", 3, 4), .get("1", 5, 6)]),
    Golden(name: "a lost write", good: false, steps: [.set("1", 0, 1), .get(nil, 2, 3)]),
    Golden(
      name: "a deleted value is back", good: false,
      steps: [.set("1", 0, 1), .delete(2, 3), .get("1", 4, 5)]),
    Golden(
      name: "a write takes effect twice", good: false,
      steps: [.set("1", 0, 1), .set("2", 2, 3), .get("2", 4, 5), .get("1", 6, 7)]),
    Golden(
      name: "an unknown write takes effect twice", good: false,
      steps: [
        .set("1", 0, 1, .unknown), .get("1", 2, 3), .set("2", 4, 5), .get("2", 6, 7),
        .get("1", 8, 9),
      ]),
    Golden(
      name: "a failed write was read", good: false,
      steps: [.set("1", 0, 1, .failed), .get("1", 2, 3)]),
    Golden(
      name: "one unknown delete does not explain two absences", good: false,
      steps: [
        .set("1", 0, 1), .delete(2, 3, .unknown), .get(nil, 4, 5), .set("2", 6, 7),
        .get("2", 7, 8), .get(nil, 9, 10),
      ]),
    Golden(
      name: "two readers disagree about the order of two writes", good: false,
      steps: [
        .set("1", 0, 30), .set("2", 0, 30), .get("1", 1, 2), .get("2", 3, 4), .get("1", 5, 6),
      ]),
    Golden(
      name: "an unknown write before its invocation", good: false,
      steps: [.get("1", 0, 1), .set("1", 2, 3, .unknown)]),
    Golden(
      name: "absence between two reads of one value", good: false,
      steps: [.set("1", 0, 1), .get("1", 2, 3), .get(nil, 4, 5), .get("1", 6, 7)]),
  ]
}
