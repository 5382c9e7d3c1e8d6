import ControllerCore
import Directory
import Testing
import Wire

/// The counterexample of `flagged-reply-passes` in `models/`: SYNC tells home of a write whose value
/// home does not have yet, and whose version the directory has not heard of. A late first attempt of
/// that write is then answered by home with its result.
@Suite struct LateReplayTests {
  private func drop(_ operation: Wire.Operation, in rack: TestRack) {
    rack.queue.removeAll { $0.2.header.operation == operation }
  }

  /// Whether the writer is told of its write before the transition ends, and what a read that begins
  /// after that finds.
  private func lateReplay(_ faults: DirectoryFaults) throws -> (isTold: Bool, read: [UInt8]) {
    let rack = TestRack { $0.policy.copiesMax = 0 }
    rack.memory.faults = faults
    rack.serve()
    let key = hash(homeOf: 0, of: 3)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    // While the key is cold, all attempts go to home; these are late.
    let clients: [UInt64] = Array(20..<40)
    let first = rack.memory.generation
    for client in clients { rack.request(.set, key, client: client, sequence: 1, value: [2]) }
    let late = rack.queue
    rack.queue = []
    rack.promote(key)
    // Hot, the retry goes elsewhere, is executed, and its answer is lost.
    let writer = try #require(
      clients.first { client in
        let verdict = rack.request(
          .set, key, client: client, sequence: 1, first: first, value: [2])
        if case .steer(let server) = verdict, server != 0 { return true }
        rack.queue.removeLast()
        return false
      })
    rack.advance()
    rack.queue.removeAll { $0.2.header.client == writer }
    // The key goes home, but its value is slow to come.
    rack.handle(.command(.demote(keyHash: key)))
    let isSynchronized = rack.run(for: 20) { rack.servers[0]?.results[writer]?[1] != nil }
    #expect(isSynchronized && rack.servers[0]?.stored[key]?.value == [1])
    let attempt = try #require(late.first { $0.2.header.client == writer })
    rack.post(attempt.2, to: .server(0))
    for _ in 0..<6 {
      rack.advance()
      drop(.copyOrder, in: rack)
    }
    let isTold = rack.replies.contains {
      $0.header.client == writer && $0.header.status == .ok
    }
    rack.request(.get, key, client: 50, sequence: 1)
    for _ in 0..<6 {
      rack.advance()
      drop(.copyOrder, in: rack)
    }
    let read = try #require(rack.replies.last { $0.header.client == 50 }).value
    // In the end everybody agrees.
    rack.settle()
    #expect(
      rack.perform(.set, key, client: writer, sequence: 1, value: [2])?.header.status == .ok)
    #expect(rack.perform(.get, key, client: 50, sequence: 2)?.value == [2])
    return (isTold, read)
  }

  @Test("A result that home knows without its value waits for the end of the transition")
  func waits() throws {
    let (isTold, _) = try lateReplay([])
    #expect(!isTold)
  }

  @Test("If it passed, its writer would know of a write that a later read does not find")
  func passes() throws {
    let (isTold, read) = try lateReplay(.flaggedPasses)
    #expect(isTold && read == [1])
  }
}
