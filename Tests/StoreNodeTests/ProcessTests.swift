import Foundation
import Glibc
import Paxos
import SegmentLog
import StoreClient
import StoreProtocol
import StoreState
import Testing

/// Nodes as processes, and what clients do with them. What may happen to them is in FaultTests.swift.
@Suite(.serialized) struct ProcessTests {
  @Test func servesRequests() async throws {
    let cell = try ProcessCell()
    try cell.startAll(isNew: true)
    let client = try cell.client()
    func propose(_ transaction: Transaction) async throws -> Response {
      try await client.propose(Command(.transaction(transaction)), group: "g").response
    }
    _ = try await propose(.put([1], [10]))
    _ = try await propose(.put([2], [20]))
    let swap = try await propose(.compareAndSwap([1], expected: [99], value: [11]))
    guard case .transaction(false, let results, _) = swap,
      case .range(let found, _)? = results.first
    else {
      Issue.record("\(swap)")
      return
    }
    #expect(found.map(\.value) == [[10]])
    _ = try await propose(.delete([2]))
    for mode in [ReadMode.linearizable, .boundedStale(1_000_000_000)] {
      let read = try await client.read(.range(.all, limit: nil), group: "g", mode)
      guard case .range(let pairs, false, 3) = read.answer else {
        Issue.record("\(read)")
        continue
      }
      #expect(pairs.map(\.key) == [[1]])
    }
    // All nodes answer for themselves, and have the same.
    var digests: Set<UInt64> = []
    for endpoint in cell.endpoints {
      let status = try await client.status(of: endpoint)
      #expect(!status.isRecovering && status.peers.count == 2)
      var image = try await client.image(of: "g", at: endpoint)
      for _ in 0..<100 {
        if image?.snapshot.chosen == 4 { break }
        try await Task.sleep(for: .milliseconds(20))
        image = try await client.image(of: "g", at: endpoint)
      }
      digests.insert(try #require(image).snapshot.state.digest)
      let groups = try await client.groups(at: endpoint)
      #expect(groups == ["g"])
    }
    #expect(digests.count == 1)
    await client.close()
  }

  @Test func tellsWatchersEverything() async throws {
    let cell = try ProcessCell()
    try cell.startAll(isNew: true)
    let client = try cell.client()
    _ = try await client.propose(Command(.transaction(.put([1], [0]))), group: "g")
    let events = client.watch(KeyRange(prefix: [1]), group: "g", after: 1)
    let writer = Task {
      for value in 1...60 as ClosedRange<UInt8> {
        _ = try await client.propose(Command(.transaction(.put([1], [value]))), group: "g")
        if value == 30 {
          // The node that tells it all may be this one, or be told by it.
          cell.signal(0, SIGKILL)
          try cell.start(0)
        }
      }
    }
    var seen: [UInt8] = []
    for try await case .changes(let changes, _) in events {
      seen += changes.map { $0.pair.value[0] }
      if seen.count >= 60 { break }
    }
    #expect(seen == Array(1...60))
    try await writer.value
    await client.close()
  }

  @Test func endsLeases() async throws {
    let cell = try ProcessCell()
    try cell.startAll(isNew: true)
    let client = try cell.client()
    let grant = try await client.propose(
      Command(.grantLease(timeToLive: 400_000_000)), group: "g")
    guard case .lease(let lease) = grant.response else {
      Issue.record("\(grant)")
      return
    }
    _ = try await client.propose(Command(.transaction(.put([1], [1], lease: lease))), group: "g")
    var isThere = true
    for _ in 0..<200 where isThere {
      try await Task.sleep(for: .milliseconds(20))
      let read = try await client.read(.range(KeyRange([1]), limit: nil), group: "g")
      if case .range(let pairs, _, _) = read.answer { isThere = !pairs.isEmpty }
    }
    #expect(!isThere)
    await client.close()
  }

  /// Old segments go when their objects are stored, and a node that starts has everything.
  @Test func storesObjectsAndDropsSegments() async throws {
    let cell = try ProcessCell()
    try cell.startAll(isNew: true)
    let client = try cell.client()
    let value = [UInt8](repeating: 7, count: 100_000)
    for number in 0..<80 as Range<UInt8> {
      _ = try await client.propose(
        Command(.transaction(.put([number % 5], value + [number]))), group: "g\(number % 4)")
    }
    var first: UInt64 = 1
    for _ in 0..<200 where first == 1 {
      try await Task.sleep(for: .milliseconds(20))
      let names = try LocalFiles().names(in: cell.data(0) + "/votes")
      first = names.compactMap { UInt64($0.prefix(16), radix: 16) }.min() ?? 1
    }
    #expect(first > 1)
    for node in 0..<3 { cell.signal(node, SIGKILL) }
    try cell.startAll()
    for group in 0..<4 as Range<UInt8> {
      let read = try await client.read(.range(.all, limit: nil), group: "g\(group)")
      guard case .range(let pairs, _, let revision) = read.answer else { continue }
      #expect(revision == 20)
      #expect(pairs.count == 5)
      #expect(pairs.allSatisfy { $0.version == 4 && $0.value.count == 100_001 })
    }
    await client.close()
  }

  @Test func beginsANewCellWithASnapshot() async throws {
    let old = try ProcessCell()
    try old.startAll(isNew: true)
    let client = try old.client()
    let session = try await StoreSession.open(client, group: "g")
    for value in 1...20 as ClosedRange<UInt8> {
      _ = try await session.propose(.transaction(.put([value], [value])))
    }
    _ = try await client.propose(Command(.transaction(.put([1], [1]))), group: "h")
    var chosen: UInt64 = 0
    for _ in 0..<200 where chosen < 21 {
      chosen = try await client.image(of: "g", at: old.endpoints[0])?.snapshot.chosen ?? 0
      try await Task.sleep(for: .milliseconds(20))
    }
    let file = old.directory.path + "/saved"
    let saved = try old.run(
      ["store", "snapshot", "save", file, "--endpoints", "\(old.endpoints[0])"])
    #expect(saved.status == 0 && saved.output == "Snapshot saved at \(file)\n")
    // What comes later is no part of it.
    _ = try await session.propose(.transaction(.put([1], [99])))
    let status = try old.run(["store", "snapshot", "status", file, "--json"])
    #expect(status.status == 0 && status.output.contains("\"total_key\":21"))
    #expect(try old.restore(0, from: file) == 1, "not into the same cell")

    let new = try ProcessCell(name: "other")
    for node in 0..<3 { #expect(try new.restore(node, from: file) == 0) }
    #expect(try new.restore(0, from: file) == 1, "not over what is there")
    try new.startAll()
    let restored = try new.client()
    let read = try await restored.read(.range(.all, limit: nil), group: "g")
    guard case .range(let pairs, false, 20) = read.answer else {
      Issue.record("\(read)")
      return
    }
    #expect(pairs.map(\.value) == (1...20).map { [$0] })
    // The session knows what it has done.
    let again = SessionStamp(session: session.number, sequence: 20, finished: 20)
    let put = Command(.transaction(.put([20], [20])), stamp: again)
    guard
      case .transaction(_, _, revision: 20) = try await restored.propose(put, group: "g").response
    else {
      Issue.record("a command of the session was done twice")
      return
    }
    _ = try await restored.propose(Command(.transaction(.put([7], [7]))), group: "g")
    for endpoint in new.endpoints {
      #expect(try await !restored.status(of: endpoint).isRecovering)
    }
    await client.close()
    await restored.close()
  }

  /// One after the other, whichever nodes die: every command of a session is done once.
  @Test func sessionsOutliveNodes() async throws {
    let cell = try ProcessCell()
    try cell.startAll(isNew: true)
    let client = try cell.client(timeout: 1_000)
    let session = try await StoreSession.open(client, group: "g")
    for node in [0, 1, 2, 0] {
      let puts = Task {
        for _ in 0..<40 {
          _ = try await session.propose(.transaction(.put([1], [1])))
        }
      }
      try await Task.sleep(for: .milliseconds(30))
      cell.signal(node, SIGKILL)
      try await puts.value
      try cell.start(node)
    }
    let read = try await client.read(.range(KeyRange([1]), limit: nil), group: "g")
    guard case .range(let pairs, _, _) = read.answer else {
      Issue.record("\(read)")
      return
    }
    #expect(pairs.first?.version == 160)
    await session.close()
    // A session that is over says so.
    await #expect(throws: StoreClientError.store(.sessionLost)) {
      try await session.propose(.transaction(.put([1], [2])))
    }
    await client.close()
  }

  @Test func findsDamageBeforeItIsNeeded() async throws {
    let cell = try ProcessCell(extra: ["scrub_seconds = 1"])
    try cell.startAll(isNew: true)
    let client = try cell.client()
    let value = [UInt8](repeating: 7, count: 100_000)
    // Two segments, so that the first is not written to.
    for number in 0..<14 as Range<UInt8> {
      _ = try await client.propose(Command(.transaction(.put([number], value))), group: "g")
    }
    let segment = URL(fileURLWithPath: cell.data(0) + "/votes/0000000000000001.segment")
    let handle = try FileHandle(forUpdating: segment)
    try handle.seek(toOffset: 300_000)
    try handle.write(contentsOf: Data([1, 2, 3]))
    try handle.close()
    var status = try await client.status(of: cell.endpoints[0])
    for _ in 0..<300 where status.damaged.isEmpty {
      try await Task.sleep(for: .milliseconds(20))
      status = try await client.status(of: cell.endpoints[0])
    }
    #expect(status.damaged.count == 1)
    #expect(try await client.status(of: cell.endpoints[1]).damaged.isEmpty)
    // It starts, and recovers.
    cell.signal(0, SIGKILL)
    try cell.start(0)
    try await recovered(0, of: cell, client, groups: 1)
    #expect(try await client.status(of: cell.endpoints[0]).damaged.isEmpty)
    await client.close()
  }

  private func recovered(
    _ node: Int, of cell: ProcessCell, _ client: StoreClient, groups: UInt64
  ) async throws {
    for _ in 0..<500 {
      let status = try await client.status(of: cell.endpoints[node])
      let count = status.figures.first { $0.name == "groups_recovered" }?.value ?? 0
      if count >= groups, !status.isRecovering { return }
      try await Task.sleep(for: .milliseconds(20))
    }
    Issue.record("node \(node) does not recover")
  }
}
