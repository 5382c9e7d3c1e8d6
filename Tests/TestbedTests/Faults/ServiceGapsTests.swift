import Linearizability
import Testing

@testable import Testbed

@Suite struct ServiceGapsTests {
  /// Operations by key and time of return; a negative time: of unknown outcome.
  private func gaps(_ operations: [(key: String, time: Int64)]) throws -> ServiceGaps {
    var history = History()
    for (number, operation) in operations.enumerated() {
      let time = abs(operation.time)
      try history.append(
        client: 1, sequence: UInt64(number + 1), kind: .set, key: operation.key,
        value: "\(number)", version: 0, invoked: 0, returned: time,
        outcome: operation.time < 0 ? .unknown : .ok)
    }
    return ServiceGaps(history)
  }

  @Test func `The longest gap counts from the last end before, and until the end`() throws {
    let gaps = try gaps([("a", 10), ("a", 20), ("a", 60), ("a", 70), ("a", 200)])
    #expect(gaps.longest(["a"], 25, 65) == 40)
    #expect(gaps.longest(["a"], 61, 68) == 8)
    #expect(gaps.longest(["a"], 71, 100) == 30)
    #expect(gaps.longest(["a"], 0, 15) == 10)
  }

  @Test func `Without any further end it lasts until the end`() throws {
    let gaps = try gaps([("a", 10), ("b", 500)])
    #expect(gaps.longest(["a"], 5, 500) == 490)
    #expect(gaps.longest(["c"], 5, 500) == 495)
  }

  @Test func `Several keys are one service, and the worst of them is named`() throws {
    let gaps = try gaps([("a", 10), ("b", 30), ("a", 50), ("b", 70), ("a", 90), ("b", 100)])
    #expect(gaps.longest(["a", "b"], 10, 95) == 20)
    #expect(gaps.longest(["b"], 31, 95) == 40)
    #expect(gaps.worst(["a", "b"], 11, 60)?.key == "a")
  }

  @Test func `An operation of unknown outcome is no service`() throws {
    let gaps = try gaps([("a", 10), ("a", -20), ("a", 40)])
    #expect(gaps.longest(["a"], 10, 40) == 30)
    #expect(gaps.unserved(since: 30) == [])
    #expect(gaps.unserved(since: 41) == ["a"])
  }
}
