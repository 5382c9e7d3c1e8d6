import Linearizability
import Paxos
import Sockets
import StoreClient
import StoreState
import Synchronization
import Testing

/// Clients that put, delete, compare-and-set and read a few keys in several groups, and write down
/// what they were told.
final class RecordedLoad: Sendable {
  private let client: StoreClient
  private let groups: Int
  private let keys: Int
  private let history = Mutex(History())
  private let acknowledged = Mutex(0)
  private let isOver = Mutex(false)
  private let tasks = Mutex<[Task<Void, Never>]>([])

  init(_ client: StoreClient, clients: Int = 8, groups: Int = 3, keys: Int = 2) {
    (self.client, self.groups, self.keys) = (client, groups, keys)
    tasks.withLock { tasks in
      for number in 0..<clients {
        tasks.append(Task { await self.run(number, groups: groups, keys: keys) })
      }
    }
  }

  /// Requests that have been answered.
  var count: Int { acknowledged.withLock { $0 } }

  /// Waits until so many more requests have been answered; false: not in 20 seconds of its own time.
  /// Beside tests that compute for minutes it gets its turn as seldom as the requests do.
  func waitForMore(_ more: Int) async -> Bool {
    let goal = count + more
    for _ in 0..<10_000 {
      if count >= goal { return true }
      try? await Task.sleep(for: .milliseconds(2))
    }
    return count >= goal
  }

  /// What came of it.
  struct Summary {
    /// Changes that were acknowledged.
    var acknowledged = 0
    /// Changes whose outcome nobody told.
    var unknown = 0
    /// Nanoseconds in which nobody had an answer; and in the group that fared worst.
    var gap: Int64 = 0
    var worstGap: Int64 = 0
    /// Nothing acknowledged is lost: some order explains what everybody saw, and what is there.
    var isLinearizable = false
  }

  /// Ends the load, reads every key once more, and checks what the clients have seen. The longest time
  /// without answers is looked for from `start` on.
  @discardableResult
  func finish(since start: UInt64 = 0) async -> Summary {
    isOver.withLock { $0 = true }
    for task in tasks.withLock({ $0 }) { await task.value }
    let end = Int64(MonotonicClock.now)
    for group in 0..<groups {
      for key in 0..<keys { await read(1_000, 1, "group-\(group)", "key-\(key)") }
    }
    let history = history.withLock { $0 }
    var summary = Summary()
    var answers: [String: [Int64]] = [:]
    for operation in history.operations {
      if operation.kind != .get {
        if operation.outcome.isCertain { summary.acknowledged += 1 }
        if operation.outcome == .unknown { summary.unknown += 1 }
      }
      guard operation.outcome.isCertain, operation.returned <= end else { continue }
      let name = history.keys[operation.key]
      answers[String(name.prefix { $0 != "/" }), default: []].append(operation.returned)
    }
    func longest(_ times: [Int64]) -> Int64 {
      var last = Int64(start)
      var gap: Int64 = 0
      for time in times.sorted() where time > last {
        gap = max(gap, time - last)
        last = time
      }
      return max(gap, end - last)
    }
    summary.gap = longest(answers.values.flatMap { $0 })
    summary.worstGap = answers.values.map(longest).max() ?? 0
    let report = LinearizabilityChecker(stepLimit: 5_000_000).check(history)
    summary.isLinearizable = report.verdict == .linearizable
    if case .undecided(let key) = report.verdict { Issue.record("\(key) is not decided") }
    if case .notLinearizable(let violation) = report.verdict {
      let lines = violation.operations.prefix(20).map { "\n  " + history.description(of: $0) }
      Issue.record("no order explains \(violation.key):\(lines.joined())")
    }
    #expect(history.operations.count > 50)
    return summary
  }

  private func run(_ number: Int, groups: Int, keys: Int) async {
    var sequence: UInt64 = 0
    var random = UInt64(number) &* 0x9e37_79b9_7f4a_7c15 | 1
    func next(_ bound: Int) -> Int {
      random ^= random << 13
      random ^= random >> 7
      random ^= random << 17
      return Int(random % UInt64(bound))
    }
    while !isOver.withLock({ $0 }) {
      sequence += 1
      let group = "group-\(next(groups))"
      let key = "key-\(next(keys))"
      let value = "\(number).\(sequence)"
      switch next(10) {
      case 0...4: await write(number, sequence, group, key, value, .always)
      case 5: await write(number, sequence, group, key, nil, .always)
      case 6: await write(number, sequence, group, key, value, .holds(nil))
      default: await read(number, sequence, group, key)
      }
    }
  }

  private func write(
    _ number: Int, _ sequence: UInt64, _ group: String, _ key: String, _ value: String?,
    _ condition: HistoryOperation.Condition
  ) async {
    let bytes = Array(key.utf8)
    let transaction: Transaction
    switch (value, condition) {
    case (nil, _): transaction = .delete(bytes)
    case (let value?, .always): transaction = .put(bytes, Array(value.utf8))
    case (let value?, .holds(let expected)):
      transaction = .compareAndSwap(
        bytes, expected: expected.map { Array($0.utf8) }, value: Array(value.utf8))
    }
    let invoked = Int64(MonotonicClock.now)
    var outcome = HistoryOperation.Outcome.ok
    do throws(StoreClientError) {
      let change = try await client.propose(Command(.transaction(transaction)), group: group)
      if case .transaction(false, _, _) = change.response { outcome = .unequal }
    } catch {
      outcome = error == .outcomeUnknown ? .unknown : .failed
    }
    note(
      number, sequence, value == nil ? .delete : .set, group + "/" + key, value, condition, invoked,
      outcome)
  }

  private func read(_ number: Int, _ sequence: UInt64, _ group: String, _ key: String) async {
    let invoked = Int64(MonotonicClock.now)
    var outcome = HistoryOperation.Outcome.failed
    var value: String?
    do throws(StoreClientError) {
      let read = try await client.read(.range(KeyRange(Array(key.utf8)), limit: nil), group: group)
      if case .range(let pairs, _, _) = read.answer {
        value = pairs.first.map { String(decoding: $0.value, as: UTF8.self) }
        outcome = value == nil ? .notFound : .ok
      }
    } catch {}
    note(number, sequence, .get, group + "/" + key, value, .always, invoked, outcome)
  }

  private func note(
    _ number: Int, _ sequence: UInt64, _ kind: HistoryOperation.Kind, _ key: String,
    _ value: String?, _ condition: HistoryOperation.Condition, _ invoked: Int64,
    _ outcome: HistoryOperation.Outcome
  ) {
    let returned = Int64(MonotonicClock.now)
    if outcome.isCertain { acknowledged.withLock { $0 += 1 } }
    let problem: HistoryError? = history.withLock { history in
      do throws(HistoryError) {
        try history.append(
          client: UInt64(number), sequence: sequence, kind: kind, key: key, value: value,
          condition: condition, version: 0, invoked: invoked, returned: returned,
          outcome: outcome)
        return nil
      } catch {
        return error
      }
    }
    if let problem { Issue.record("\(problem)") }
  }
}
