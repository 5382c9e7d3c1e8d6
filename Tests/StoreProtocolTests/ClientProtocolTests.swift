import BinaryCoding
import Paxos
import StoreProtocol
import StoreState
import Testing

@Suite struct ClientProtocolTests {
  static let requests: [StoreRequest] = [
    StoreRequest(number: 1, .propose(group: "g", Command(.openSession))),
    StoreRequest(number: 2, .read(group: "", .lease(3), .linearizable)),
    StoreRequest(number: 3, .read(group: "g", .range(.all, limit: 1), .serializable)),
    StoreRequest(number: .max, .read(group: "g", .lease(1), .boundedStale(7))),
    StoreRequest(number: 5, .watch(group: "g", KeyRange([1]), after: nil)),
    StoreRequest(number: 6, .watch(group: "g", .all, after: 9)),
    StoreRequest(number: 7, .cancel(6)), StoreRequest(number: 8, .status),
    StoreRequest(number: 9, .groups(after: "a", limit: 10)),
    StoreRequest(number: 10, .image(group: "g")),
    StoreRequest(number: 11, .snapshot(nil)), StoreRequest(number: 12, .snapshot(4)),
  ]

  @Test func requestsComeBack() throws {
    for request in Self.requests {
      #expect(try StoreRequest(decoding: request.encoded) == request)
    }
  }

  @Test func repliesComeBack() throws {
    let status = NodeStatus(
      cell: .max, node: 2, incarnation: 3, isRecovering: true, isSpaceLow: false, diverged: ["x"],
      damaged: ["y", ""], peers: [.init(node: 1, isConnected: true)], figures: [.init("syncs", 5)])
    let bodies: [StoreReply.Body] = [
      .outcome(.response(.session(1), entry: 2)),
      .outcome(.answer(.failed(.sessionLost), entry: 3)),
      .outcome(.unknown), .outcome(.unavailable), .refused(.noSpace), .watching(after: 4),
      .events([], revision: 5), .watchEnded(.compacted(6)), .status(status),
      .groups(["a", "b"]), .image(nil),
      .image(ObjectImage(ObjectSnapshot(GroupLimits()), floor: 1)),
      .snapshot(1, []), .snapshot(2, SnapshotFileTests.rows(2)),
    ]
    for body in bodies {
      let reply = StoreReply(number: 7, body)
      #expect(try StoreReply(decoding: reply.encoded) == reply)
    }
    let greeting = StoreGreeting(cell: 5, node: 6)
    #expect(try StoreGreeting(decoding: greeting.encoded) == greeting)
  }

  @Test func refusesWhatIsNoRequest() {
    #expect(throws: MalformedBytes.self) {
      try StoreGreeting(decoding: [1, 2, 3, 4, 5, 6, 7, 8, 9])
    }
    let long = StoreRequest(number: 1, .image(group: String(repeating: "g", count: 257)))
    #expect(throws: MalformedBytes.self) { try StoreRequest(decoding: long.encoded) }
    for request in Self.requests {
      let bytes = request.encoded
      for length in bytes.indices {
        #expect(throws: MalformedBytes.self) {
          try StoreRequest(decoding: Array(bytes[..<length]))
        }
      }
      #expect(throws: MalformedBytes.self) { try StoreRequest(decoding: bytes + [0]) }
    }
  }
}
