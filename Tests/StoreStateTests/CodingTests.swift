import BinaryCoding
import Testing

@testable import StoreState

@Suite struct CodingTests {
  static let commands: [Command] = [
    Command(
      .transaction(
        Transaction(
          guards: [
            Guard([1], .equal, .version(0)), Guard([2], .notEqual, .createRevision(7)),
            Guard([3], .less, .modRevision(.max)), Guard([4], .greater, .value([1, 2])),
          ],
          success: [
            .put(key: [1], value: [], lease: nil), .put(key: [2], value: [9, 9], lease: 5),
            .delete(KeyRange([1], end: [])), .range(.all, limit: 3),
            .range(KeyRange([]), limit: nil),
          ],
          failure: [.delete(KeyRange(prefix: [7]))])),
      stamp: SessionStamp(session: 3, sequence: 4, finished: 2)),
    Command(.openSession), Command(.closeSession(9)), Command(.grantLease(timeToLive: 1 << 40)),
    Command(.keepAlive(lease: 1)), Command(.revoke(lease: 2)),
    Command(.expire(lease: 3, renewals: 4)), Command(.compact(revision: 5)),
  ]

  @Test func commandsComeBack() throws {
    #expect(try [Command](decoding: Self.commands.encoded) == Self.commands)
  }

  /// A state that has something of everything comes back, and goes on in the same way.
  @Test func statesComeBack() throws {
    var state = GroupState(GroupLimits(sessions: 4, events: 16))
    var entry: UInt64 = 0
    func apply(_ command: Command) -> Response {
      entry += 1
      return state.apply(command, entry: entry)
    }
    guard case .session(let session) = apply(Command(.openSession)),
      case .lease(let lease) = apply(Command(.grantLease(timeToLive: 10)))
    else {
      Issue.record("neither session nor lease")
      return
    }
    for key in 0..<40 as Range<UInt8> {
      let stamp = SessionStamp(session: session, sequence: UInt64(key) + 1, finished: 10)
      let put = Transaction.put([key % 7], [key], lease: key % 3 == 0 ? lease : nil)
      _ = apply(Command(.transaction(put), stamp: stamp))
    }
    _ = apply(Command(.transaction(.delete([3]))))
    var copy = try GroupState(decoding: state.encoded)
    #expect(copy == state)
    #expect(copy.digest == state.digest)
    let next = Command(.revoke(lease: lease))
    #expect(copy.apply(next, entry: 99) == state.apply(next, entry: 99))
    #expect(copy == state)
  }

  @Test func answersComeBack() throws {
    let pair = KeyValue(
      key: [1], value: [2], createRevision: 3, modRevision: 4, version: 5, lease: nil)
    let responses: [Response] = [
      .transaction(
        succeeded: true,
        results: [
          .put(previous: nil), .put(previous: pair), .deleted([pair]), .range([], more: true),
        ],
        revision: 9),
      .session(1), .lease(2), .done(revision: 3), .failed(.sessionLost), .failed(.sequenceFinished),
      .failed(.tooManyOutstanding(limit: 64)), .failed(.leaseNotFound(1)), .failed(.compacted(2)),
      .failed(.futureRevision(3)),
    ]
    #expect(try [Response](decoding: responses.encoded) == responses)
    let answers: [Answer] = [
      .range([pair], more: false, revision: 1),
      .events([StoreEvent(kind: .delete, revision: 1, pair: pair)], revision: 2),
      .lease(Lease(id: 1, timeToLive: 2, renewals: 3)), .failed(.sessionLost),
    ]
    #expect(try [Answer](decoding: answers.encoded) == answers)
    let queries: [Query] = [.range(.all, limit: 1), .events(KeyRange([1]), after: 2), .lease(3)]
    #expect(try [Query](decoding: queries.encoded) == queries)
  }

  /// Any changed byte gives an error or another value, and nothing worse.
  @Test func changedBytesDoNoHarm() throws {
    var state = GroupState()
    for (entry, command) in Self.commands.enumerated() {
      _ = state.apply(command, entry: UInt64(entry))
    }
    _ = state.apply(Command(.transaction(.put([1, 2, 3], [4, 5]))), entry: 100)
    for bytes in [Self.commands.encoded, state.encoded] {
      for place in bytes.indices {
        for bit in 0..<8 as Range<UInt8> {
          var changed = bytes
          changed[place] ^= 1 << bit
          _ = try? [Command](decoding: changed)
          if var state = try? GroupState(decoding: changed) {
            _ = state.apply(Self.commands[0], entry: .max)
            _ = state.answer(.range(.all, limit: nil))
          }
        }
      }
      for length in bytes.indices {
        #expect(throws: MalformedBytes.self) {
          _ = try [Command](decoding: Array(bytes[..<length]))
          _ = try GroupState(decoding: Array(bytes[..<length]))
        }
      }
    }
  }
}
