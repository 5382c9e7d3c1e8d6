import Testing

@testable import StoreState

/// A group with a count of entries, and what its commands come to.
private struct Group {
  var state: GroupState
  var entry: UInt64 = 0

  init(_ limits: GroupLimits = GroupLimits()) { state = GroupState(limits) }

  mutating func apply(_ action: Command.Action, _ stamp: SessionStamp? = nil) -> Response {
    entry += 1
    return state.apply(Command(action, stamp: stamp), entry: entry)
  }

  mutating func run(_ transaction: Transaction, _ stamp: SessionStamp? = nil) -> Response {
    apply(.transaction(transaction), stamp)
  }

  mutating func openSession() -> UInt64 {
    guard case .session(let id) = apply(.openSession) else { return 0 }
    return id
  }

  func get(_ key: String) -> KeyValue? { range(KeyRange(bytes(key))).first }

  func range(_ range: KeyRange) -> [KeyValue] {
    guard case .range(let pairs, _, _) = state.answer(.range(range, limit: nil)) else { return [] }
    return pairs
  }
}

private func bytes(_ text: String) -> Bytes { Array(text.utf8) }

private func succeeded(_ response: Response) -> Bool? {
  if case .transaction(let succeeded, _, _) = response { succeeded } else { nil }
}

@Suite struct GroupStateTests {
  @Test func putsCountVersionsAndRevisions() {
    var group = Group()
    _ = group.run(.put(bytes("a"), bytes("1")))
    _ = group.run(.put(bytes("b"), bytes("2")))
    _ = group.run(.put(bytes("a"), bytes("3")))
    #expect(
      group.get("a")
        == KeyValue(
          key: bytes("a"), value: bytes("3"), createRevision: 1, modRevision: 3, version: 2))
    _ = group.run(.delete(bytes("a")))
    #expect(group.get("a") == nil)
    _ = group.run(.put(bytes("a"), bytes("4")))
    #expect(group.get("a")?.createRevision == 5)
    #expect(group.get("a")?.version == 1)
  }

  @Test func whatChangesNothingHasNoRevision() {
    var group = Group()
    _ = group.run(.put(bytes("a"), bytes("1")))
    _ = group.run(.delete(bytes("missing")))
    _ = group.run(Transaction(success: [.range(.all, limit: nil)]))
    #expect(group.state.revision == 1)
  }

  @Test func rangesAreInKeyOrderAndHalfOpen() {
    var group = Group()
    for key in ["b", "a", "ab", "c", "b\u{1}"] { _ = group.run(.put(bytes(key), bytes("x"))) }
    #expect(group.range(.all).map(\.key) == ["a", "ab", "b", "b\u{1}", "c"].map(bytes))
    #expect(
      group.range(KeyRange(bytes("ab"), end: bytes("c"))).map(\.key)
        == ["ab", "b", "b\u{1}"].map(bytes))
    #expect(group.range(KeyRange(prefix: bytes("b"))).map(\.key) == ["b", "b\u{1}"].map(bytes))
    #expect(group.range(KeyRange(bytes("c"), end: bytes("a"))).isEmpty)
    #expect(
      group.state.answer(.range(.all, limit: 2))
        == .range(Array(group.range(.all).prefix(2)), more: true, revision: 5))
  }

  @Test func aPrefixOfTheHighestBytesHasNoEnd() {
    #expect(KeyRange(prefix: [0xff, 0xff]).end == [])
    #expect(KeyRange(prefix: [0x61, 0xff]).end == [0x62])
    #expect(KeyRange(prefix: []).contains([0]))
  }

  @Test(
    "Guards compare as etcd's do; a missing key has version 0 and no value",
    arguments: [
      (Guard(Array("a".utf8), .equal, .version(1)), true),
      (Guard(Array("a".utf8), .greater, .version(1)), false),
      (Guard(Array("a".utf8), .less, .modRevision(2)), true),
      (Guard(Array("a".utf8), .equal, .createRevision(1)), true),
      (Guard(Array("a".utf8), .equal, .value(Array("m".utf8))), true),
      (Guard(Array("a".utf8), .less, .value(Array("n".utf8))), true),
      (Guard(Array("a".utf8), .greater, .value(Array("l".utf8))), true),
      (Guard(Array("a".utf8), .notEqual, .value(Array("m".utf8))), false),
      (Guard(Array("z".utf8), .equal, .version(0)), true),
      (Guard(Array("z".utf8), .equal, .value([])), false),
      (Guard(Array("z".utf8), .notEqual, .value([])), true),
      (Guard(Array("z".utf8), .less, .value([1])), false),
    ])
  func guards(_ condition: Guard, _ holds: Bool) {
    var group = Group()
    _ = group.run(.put(bytes("a"), bytes("m")))
    #expect(succeeded(group.run(Transaction(guards: [condition], success: []))) == holds)
  }

  @Test func aTransactionIsOneRevision() {
    var group = Group()
    let response = group.run(
      Transaction(success: [
        .put(key: bytes("a"), value: bytes("1"), lease: nil),
        .put(key: bytes("b"), value: bytes("2"), lease: nil),
        .range(.all, limit: nil), .delete(KeyRange(bytes("a"))),
      ]))
    guard case .transaction(true, let results, 1) = response else {
      Issue.record("\(response)")
      return
    }
    #expect(results[0] == .put(previous: nil))
    guard case .range(let pairs, more: false) = results[2] else {
      Issue.record("\(results)")
      return
    }
    #expect(pairs.map(\.key) == [bytes("a"), bytes("b")])
    #expect(group.range(.all).map(\.key) == [bytes("b")])
  }

  @Test func compareAndSwap() {
    var group = Group()
    let create = Transaction.compareAndSwap(bytes("a"), expected: nil, value: bytes("1"))
    #expect(succeeded(group.run(create)) == true)
    #expect(succeeded(group.run(create)) == false)
    let swap = Transaction.compareAndSwap(bytes("a"), expected: bytes("1"), value: bytes("2"))
    #expect(succeeded(group.run(swap)) == true)
    guard case .transaction(false, let results, _) = group.run(swap),
      case .range(let pairs, _) = results[0]
    else {
      Issue.record("it should have failed and shown the value")
      return
    }
    #expect(pairs.map(\.value) == [bytes("2")])
  }

  // MARK: Sessions

  @Test func aStampedCommandTakesEffectOnce() {
    var group = Group()
    let session = group.openSession()
    let stamp = SessionStamp(session: session, sequence: 1, finished: 1)
    let first = group.run(.put(bytes("a"), bytes("1")), stamp)
    _ = group.run(.put(bytes("a"), bytes("2")))
    #expect(group.run(.put(bytes("a"), bytes("1")), stamp) == first)
    #expect(group.get("a")?.value == bytes("2"))
  }

  @Test func failedCommandsAreRememberedToo() {
    var group = Group()
    let stamp = SessionStamp(session: group.openSession(), sequence: 1, finished: 1)
    let create = Transaction.compareAndSwap(bytes("a"), expected: bytes("x"), value: bytes("1"))
    #expect(succeeded(group.run(create, stamp)) == false)
    _ = group.run(.put(bytes("a"), bytes("x")))
    #expect(succeeded(group.run(create, stamp)) == false)
    #expect(group.get("a")?.value == bytes("x"))
  }

  @Test func finishedSequencesAreRefused() {
    var group = Group()
    let session = group.openSession()
    _ = group.run(
      .put(bytes("a"), bytes("1")), SessionStamp(session: session, sequence: 1, finished: 1))
    _ = group.run(
      .put(bytes("a"), bytes("2")), SessionStamp(session: session, sequence: 2, finished: 2))
    #expect(
      group.run(
        .put(bytes("a"), bytes("1")), SessionStamp(session: session, sequence: 1, finished: 1))
        == .failed(.sequenceFinished))
    #expect(group.get("a")?.value == bytes("2"))
  }

  @Test func theSessionUnusedForLongestIsEvictedAndSaysSo() {
    var group = Group(GroupLimits(sessions: 2))
    let (one, two) = (group.openSession(), group.openSession())
    func put(_ session: UInt64, _ sequence: UInt64) -> Response {
      group.run(
        .put(bytes("a"), bytes("\(session).\(sequence)")),
        SessionStamp(session: session, sequence: sequence, finished: 1))
    }
    _ = put(one, 1)
    let three = group.openSession()
    #expect(put(two, 1) == .failed(.sessionLost))
    #expect(succeeded(put(one, 2)) == true)
    #expect(succeeded(put(three, 1)) == true)
    #expect(group.state.sessions.count == 2)
    _ = group.apply(.closeSession(one))
    #expect(put(one, 3) == .failed(.sessionLost))
  }

  @Test func resultsOfASessionAreBounded() {
    var group = Group()
    let session = group.openSession()
    for sequence in 1...UInt64(SessionTable.resultsMax) {
      _ = group.run(
        .put(bytes("a"), []), SessionStamp(session: session, sequence: sequence, finished: 1))
    }
    let next = UInt64(SessionTable.resultsMax) + 1
    #expect(
      group.run(.put(bytes("a"), []), SessionStamp(session: session, sequence: next, finished: 1))
        == .failed(.tooManyOutstanding(limit: SessionTable.resultsMax)))
    #expect(
      succeeded(
        group.run(
          .put(bytes("a"), []), SessionStamp(session: session, sequence: next, finished: 3)))
        == true)
  }

  // MARK: Leases and events

  @Test func aLeaseTakesItsKeysWithIt() {
    var group = Group()
    guard case .lease(let lease) = group.apply(.grantLease(timeToLive: 5)) else { return }
    _ = group.run(.put(bytes("a"), bytes("1"), lease: lease))
    _ = group.run(.put(bytes("b"), bytes("1"), lease: lease))
    _ = group.run(.put(bytes("b"), bytes("2")))
    #expect(group.run(.put(bytes("c"), [], lease: 99)) == .failed(.leaseNotFound(99)))
    _ = group.apply(.revoke(lease: lease))
    #expect(group.range(.all).map(\.key) == [bytes("b")])
    #expect(group.apply(.keepAlive(lease: lease)) == .failed(.leaseNotFound(lease)))
  }

  @Test func aRenewedLeaseDoesNotExpire() {
    var group = Group()
    guard case .lease(let lease) = group.apply(.grantLease(timeToLive: 5)) else { return }
    _ = group.apply(.keepAlive(lease: lease))
    _ = group.apply(.expire(lease: lease, renewals: 0))
    #expect(group.state.leases.map(\.id) == [lease])
    _ = group.apply(.expire(lease: lease, renewals: 1))
    #expect(group.state.leases.isEmpty)
  }

  @Test func fencingTokensRise() {
    var group = Group()
    guard case .lease(let first) = group.apply(.grantLease(timeToLive: 5)) else { return }
    _ = group.apply(.revoke(lease: first))
    guard case .lease(let second) = group.apply(.grantLease(timeToLive: 5)) else { return }
    #expect(second > first)
  }

  @Test func eventsFollowEachOtherUntilTheyAreCompacted() {
    var group = Group()
    for number in 1...4 { _ = group.run(.put(bytes("a"), bytes("\(number)"))) }
    _ = group.run(.delete(bytes("a")))
    guard case .events(let events, revision: 5) = group.state.answer(.events(.all, after: 2)) else {
      Issue.record("no events")
      return
    }
    #expect(events.map(\.revision) == [3, 4, 5])
    #expect(events.last?.kind == .delete)
    #expect(group.state.answer(.events(.all, after: 6)) == .failed(.futureRevision(5)))
    #expect(group.apply(.compact(revision: 6)) == .failed(.futureRevision(5)))
    _ = group.apply(.compact(revision: 3))
    #expect(group.state.answer(.events(.all, after: 2)) == .failed(.compacted(3)))
    #expect(group.state.answer(.events(.all, after: 5)) == .events([], revision: 5))
  }

  @Test func eventsAreBoundedByWholeRevisions() {
    var group = Group(GroupLimits(events: 3))
    for number in 1...3 {
      _ = group.run(
        Transaction(success: [
          .put(key: bytes("a"), value: bytes("\(number)"), lease: nil),
          .put(key: bytes("b"), value: bytes("\(number)"), lease: nil),
        ]))
    }
    #expect(group.state.compactedRevision == 2)
    guard case .events(let events, _) = group.state.answer(.events(.all, after: 2)) else { return }
    #expect(events.map(\.revision) == [3, 3])
  }

  @Test func digestsTellStatesApart() {
    var (one, two) = (Group(), Group())
    let session = one.openSession()
    _ = two.openSession()
    #expect(one.state.digest == two.state.digest)
    _ = one.run(
      .put(bytes("a"), bytes("1")), SessionStamp(session: session, sequence: 1, finished: 1))
    _ = two.run(.put(bytes("a"), bytes("1")))
    #expect(one.state.digest != two.state.digest, "only one remembers the result")
    #expect(one.state.digest != one.state.withoutSessions().digest)
  }
}
