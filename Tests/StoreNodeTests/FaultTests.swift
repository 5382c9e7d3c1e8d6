import Foundation
import Glibc
import Paxos
import SegmentLog
import Sockets
import StoreProtocol
import StoreState
import Testing

@testable import StoreClient

/// What may happen to the processes of a cell under load, one fault after the other: what was
/// acknowledged is there, what the clients have seen is linearizable, and service goes on.
/// `dev/run-store-faults` makes a table of what came of it.
@Suite(.serialized) struct FaultTests {
  /// A cell with three groups under load.
  private struct Struck {
    let cell: ProcessCell
    let client: StoreClient
    let load: RecordedLoad
    let start: UInt64

    init(_ cell: ProcessCell, on network: CellNetwork? = nil) async throws {
      self.cell = cell
      try cell.startAll(isNew: true)
      client = try cell.client(timeout: 1_000, on: network)
      load = RecordedLoad(client)
      #expect(await load.waitForMore(200))
      start = MonotonicClock.now
    }

    /// The node that all clients ask first about the first group, and so owns it.
    var owner: Int { cell.endpoints.firstIndex(of: client.order(for: "group-0")[0]) ?? 0 }

    func end(_ fault: String) async {
      #expect(await load.waitForMore(100), "after: \(fault)")
      let summary = await load.finish(since: start)
      #expect(summary.isLinearizable)
      FaultReport.note(fault, summary)
      await client.close()
    }

    func recovered(_ node: Int) async throws {
      for _ in 0..<500 {
        if let status = try? await client.status(of: cell.endpoints[node]), !status.isRecovering,
          status.figures.first(where: { $0.name == "groups_recovered" })?.value ?? 0 >= 3
        {
          return
        }
        try await Task.sleep(for: .milliseconds(20))
      }
      Issue.record("node \(node) does not recover")
    }
  }

  // MARK: Processes

  @Test func killedNodes() async throws {
    let struck = try await Struck(ProcessCell())
    for node in 0..<3 {
      struck.cell.signal(node, SIGKILL)
      try await Task.sleep(for: FaultReport.duration)
      #expect(await struck.load.waitForMore(100), "node \(node) is down")
      try struck.cell.start(node)
      #expect(await struck.load.waitForMore(100), "node \(node) is back")
    }
    await struck.end("kill −9 of each node in turn, started again")
  }

  @Test func allKilled() async throws {
    let struck = try await Struck(ProcessCell())
    for _ in 0..<3 {
      for node in 0..<3 { struck.cell.signal(node, SIGKILL) }
      try struck.cell.startAll()
      #expect(await struck.load.waitForMore(100))
    }
    await struck.end("kill −9 of all nodes at once, started again, three times")
  }

  @Test func pausedNodes() async throws {
    let struck = try await Struck(ProcessCell())
    for node in 0..<3 {
      struck.cell.signal(node, SIGSTOP)
      try await Task.sleep(for: FaultReport.duration)
      struck.cell.signal(node, SIGCONT)
      #expect(await struck.load.waitForMore(100))
    }
    await struck.end("each node in turn stands still (SIGSTOP)")
  }

  /// Who has not been answered asks again: every command is done once, however long nobody answers.
  @Test func retriesWithoutAQuorum() async throws {
    let cell = try ProcessCell()
    defer { withExtendedLifetime(cell) {} }
    try cell.startAll(isNew: true)
    let client = try cell.client(timeout: 200)
    let sessions = 16
    var writers: [Task<(done: Int, gap: UInt64), any Error>] = []
    let start = MonotonicClock.now
    let end = start + UInt64(FaultReport.seconds * 1e9) + 1_500_000_000
    for number in 0..<sessions as Range<Int> {
      writers.append(
        Task {
          let session = try await StoreSession.open(client, group: "group-\(number % 3)")
          var (done, gap, last) = (0, UInt64(0), MonotonicClock.now)
          while MonotonicClock.now < end {
            _ = try await session.propose(.transaction(.put([UInt8(number)], [1])))
            done += 1
            let now = MonotonicClock.now
            (gap, last) = (max(gap, now - last), now)
          }
          return (done, gap)
        })
    }
    try await Task.sleep(for: .milliseconds(500))
    for node in 0..<2 { cell.signal(node, SIGSTOP) }
    try await Task.sleep(for: FaultReport.duration)
    for node in 0..<2 { cell.signal(node, SIGCONT) }
    var acknowledged = 0
    var worst: UInt64 = 0
    for (number, writer) in writers.enumerated() {
      let (done, gap) = try await writer.value
      acknowledged += done
      worst = max(worst, gap)
      let read = try await client.read(
        .range(KeyRange([UInt8(number)]), limit: nil), group: "group-\(number % 3)")
      guard case .range(let pairs, _, _) = read.answer else {
        Issue.record("\(read)")
        continue
      }
      #expect(pairs.first?.version == UInt64(done))
    }
    FaultReport.note(
      "no quorum (two nodes stand still), \(sessions) sessions that ask again every 200 ms",
      acknowledged: acknowledged, lost: "none, none done twice", unknown: 0, gap: Int64(worst),
      worstGap: Int64(worst))
    await client.close()
  }

  // MARK: Leases

  /// A holder that stands still for longer than its lease lives: somebody else gets the lock, with a greater
  /// token, and the holder is told.
  @Test func aPausedHolderLosesItsLease() async throws {
    let cell = try ProcessCell()
    defer { withExtendedLifetime(cell) {} }
    try cell.startAll(isNew: true)
    let client = try cell.client()
    let lock = Array("lock".utf8)
    func take() async throws -> UInt64? {
      guard
        case .lease(let lease) = try await client.propose(
          Command(.grantLease(timeToLive: 2_000_000_000)), group: "default"
        ).response
      else { return nil }
      let transaction = Transaction(
        guards: [Guard(lock, .equal, .version(0))],
        success: [.put(key: lock, value: [1], lease: lease)])
      guard
        case .transaction(true, _, _) = try await client.propose(
          Command(.transaction(transaction)), group: "default"
        ).response
      else { return nil }
      return lease
    }
    let first = try #require(try await take())
    let holder = try cell.begin([
      "store", "lease", "keep-alive", String(first, radix: 16), "--endpoints",
      cell.endpoints.map { "\($0)" }.joined(separator: ","),
    ])
    try await Task.sleep(for: .milliseconds(3_500))
    #expect(try await take() == nil, "the lease lives while it is kept")
    kill(holder.processIdentifier, SIGSTOP)
    let start = MonotonicClock.now
    var second: UInt64?
    for _ in 0..<100 where second == nil {
      try await Task.sleep(for: .milliseconds(100))
      second = try await take()
    }
    let gap = Int64(MonotonicClock.now - start)
    #expect(try #require(second) > first, "a lease's number is a fencing token")
    kill(holder.processIdentifier, SIGCONT)
    holder.waitUntilExit()
    #expect(holder.terminationStatus != 0)
    FaultReport.note(
      "the holder of a lease of 2 s stands still: until another has the lock", acknowledged: 0,
      lost: "none", unknown: 0, gap: gap, worstGap: gap)
    await client.close()
  }

  /// A node that wakes up must not end leases that were renewed while it stood still.
  @Test func aStalledNodeEndsNoLease() async throws {
    let cell = try ProcessCell()
    defer { withExtendedLifetime(cell) {} }
    try cell.startAll(isNew: true)
    let client = try cell.client(timeout: 400)
    guard
      case .lease(let lease) = try await client.propose(
        Command(.grantLease(timeToLive: 2_000_000_000)), group: "group-0"
      ).response
    else { throw ProcessCell.CellFailure.noPort }
    _ = try await client.propose(
      Command(.transaction(.put([1], [1], lease: lease))), group: "group-0")
    let owner = cell.endpoints.firstIndex(of: client.order(for: "group-0")[0]) ?? 0
    cell.signal(owner, SIGSTOP)
    var renewals = 0
    var (last, gap) = (MonotonicClock.now, UInt64(0))
    let wake = last + 3_000_000_000
    var isAwake = false
    while MonotonicClock.now < wake + 1_000_000_000 {
      if !isAwake, MonotonicClock.now >= wake {
        isAwake = true
        cell.signal(owner, SIGCONT)
      }
      if (try? await client.propose(Command(.keepAlive(lease: lease)), group: "group-0")) != nil {
        renewals += 1
        gap = max(gap, MonotonicClock.now - last)
        last = MonotonicClock.now
      }
      try await Task.sleep(for: .milliseconds(50))
    }
    let read = try await client.read(.range(KeyRange([1]), limit: nil), group: "group-0")
    guard case .range(let pairs, _, _) = read.answer else {
      Issue.record("\(read)")
      return
    }
    // On a machine that stands still itself nobody renews.
    if gap < 1_800_000_000 { #expect(pairs.first?.lease == lease) }
    FaultReport.note(
      "the owner of a group stands still for 3 s, a lease of 2 s is renewed elsewhere",
      acknowledged: renewals, lost: pairs.first?.lease == lease ? "none" : "the lease", unknown: 0,
      gap: Int64(gap), worstGap: Int64(gap))
    await client.close()
  }

  // MARK: Disks

  @Test func lostDisks() async throws {
    let struck = try await Struck(ProcessCell())
    let cell = struck.cell
    for node in [2, 1] {
      cell.signal(node, SIGKILL)
      try FileManager.default.removeItem(atPath: cell.data(node))
      try cell.start(node)
      try await struck.recovered(node)
    }
    // They vote again, on what is new as well: without the third node, a quorum needs both.
    cell.signal(0, SIGKILL)
    #expect(await struck.load.waitForMore(100))
    _ = try await struck.client.propose(Command(.transaction(.put([1], [1]))), group: "new")
    // That it is made good is remembered.
    cell.signal(1, SIGKILL)
    try cell.start(1)
    #expect(try await !struck.client.status(of: cell.endpoints[1]).isRecovering)
    try cell.start(0)
    await struck.end(
      "the disks of two nodes are lost, one after the other; then the third is killed")
  }

  @Test func aDamagedLog() async throws {
    let struck = try await Struck(ProcessCell())
    let cell = struck.cell
    cell.signal(1, SIGKILL)
    let segment = cell.data(1) + "/votes/0000000000000001.segment"
    var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: segment)))
    bytes[20 * 512 + 100] ^= 1
    try Data(bytes).write(to: URL(fileURLWithPath: segment))
    try cell.start(1)
    let names = try LocalFiles().names(in: cell.data(1))
    #expect(names.contains { $0.hasPrefix("damaged-") })
    try await struck.recovered(1)
    cell.signal(2, SIGKILL)
    #expect(await struck.load.waitForMore(100))
    try cell.start(2)
    await struck.end("a byte of a node's log changes while it is down; then another is killed")
  }

  @Test(
    .enabled(if: SmallDisk.isPossible, "needs root, unshare and nsenter"), arguments: [1, 2])
  func fullDisks(_ count: Int) async throws {
    let cell = try ProcessCell()
    let disks = try (0..<count).map { try SmallDisk(at: cell.data($0), megabytes: 48) }
    for (node, disk) in disks.enumerated() {
      cell.launchers[node] = disk.launcher
      try cell.initialize(node)
    }
    let struck = try await Struck(cell)
    for disk in disks { try disk.fill() }
    for node in 0..<count {
      try await wait("node \(node) says that its disk is full") {
        try await struck.client.status(of: cell.endpoints[node]).isSpaceLow
      }
    }
    if count == 1 { #expect(await struck.load.waitForMore(500), "the others have room") }
    try await Task.sleep(for: FaultReport.duration)
    if count == 2 {
      await #expect(throws: StoreClientError.self) {
        try await struck.client.propose(Command(.transaction(.put([1], [1]))), group: "group-0")
      }
    }
    for disk in disks { try disk.clear() }
    for node in 0..<count {
      try await wait("node \(node) goes on") {
        try await !struck.client.status(of: cell.endpoints[node]).isSpaceLow
      }
    }
    withExtendedLifetime(disks) {}
    await struck.end(
      count == 1 ? "the disk of a node is full" : "the disks of two nodes of three are full")
  }

  /// A sync that failed is never tried again: the node ends, and reads at its start what is there.
  @Test(.enabled(if: FaultyCalls.isPossible, "needs a C compiler"))
  func aFailedSync() async throws {
    let cell = try ProcessCell()
    let calls = try FaultyCalls(in: cell.directory)
    cell.environments[0] = calls.environment
    let struck = try await Struck(cell)
    calls.set(syncsFail: true)
    #expect(try await cell.waitForEnd(0) == 1)
    #expect(await struck.load.waitForMore(200))
    try await Task.sleep(for: FaultReport.duration)
    calls.set()
    try cell.start(0)
    #expect(try await !struck.client.status(of: cell.endpoints[0]).isRecovering)
    cell.signal(1, SIGKILL)
    #expect(await struck.load.waitForMore(100))
    try cell.start(1)
    await struck.end("a sync fails at a node, which ends; it starts again, then another is killed")
  }

  @Test(.enabled(if: FaultyCalls.isPossible, "needs a C compiler"))
  func slowSyncs() async throws {
    let cell = try ProcessCell()
    let calls = try (0..<3).map { try FaultyCalls(in: cell.directory, "calls-\($0)") }
    for node in 0..<3 { cell.environments[node] = calls[node].environment }
    let struck = try await Struck(cell)
    calls[struck.owner].set(syncDelay: 500)
    try await Task.sleep(for: FaultReport.duration)
    calls[struck.owner].set()
    await struck.end("each sync takes 500 ms longer at the owner of a group")
  }

  // MARK: Clocks

  @Test(.enabled(if: FaultyCalls.isPossible, "needs a C compiler"))
  func jumpingClocks() async throws {
    let cell = try ProcessCell()
    let calls = try FaultyCalls(in: cell.directory)
    cell.environments[0] = calls.environment
    let struck = try await Struck(cell)
    guard
      case .lease(let lease) = try await struck.client.propose(
        Command(.grantLease(timeToLive: 120_000_000_000)), group: "group-0"
      ).response
    else { throw ProcessCell.CellFailure.noPort }
    _ = try await struck.client.propose(
      Command(.transaction(.put([1], [1], lease: lease))), group: "group-0")
    for seconds in [3_600, -3_600] as [Int64] {
      calls.set(clock: seconds)
      #expect(await struck.load.waitForMore(100))
      cell.signal(0, SIGKILL)
      try cell.start(0)
      #expect(await struck.load.waitForMore(100))
    }
    // Its votes count: without another node nothing goes on else.
    cell.signal(1, SIGKILL)
    #expect(await struck.load.waitForMore(100))
    let read = try await struck.client.read(.range(KeyRange([1]), limit: nil), group: "group-0")
    guard case .range(let pairs, _, _) = read.answer else {
      Issue.record("\(read)")
      return
    }
    #expect(pairs.first?.lease == lease)
    try cell.start(1)
    await struck.end("a node's wall clock jumps an hour ahead, then two back, each with a kill −9")
  }

  // MARK: Networks

  @Test(.enabled(if: CellNetwork.isPossible, "needs root, unshare, nsenter and ip"))
  func aNodeIsCutOff() async throws {
    let network = try CellNetwork()
    let struck = try await Struck(ProcessCell(network: network), on: network)
    try network.cut(struck.owner)
    try await Task.sleep(for: FaultReport.duration)
    #expect(await struck.load.waitForMore(100), "the others go on")
    try network.cut(struck.owner, false)
    await struck.end("the owner of a group is cut off from all")
  }

  @Test(.enabled(if: CellNetwork.isPossible, "needs root, unshare, nsenter and ip"))
  func aNodeIsCutOffFromTheOthers() async throws {
    let network = try CellNetwork()
    let struck = try await Struck(ProcessCell(network: network), on: network)
    let owner = struck.owner
    for other in 0..<3 where other != owner {
      try network.lose(from: owner, to: other)
      try network.lose(from: other, to: owner)
    }
    try await Task.sleep(for: FaultReport.duration)
    #expect(await struck.load.waitForMore(100), "the others go on")
    for other in 0..<3 where other != owner {
      try network.lose(from: owner, to: other, false)
      try network.lose(from: other, to: owner, false)
    }
    await struck.end("the owner of a group is cut off from the other nodes, not from clients")
  }

  @Test(
    .enabled(if: CellNetwork.isPossible, "needs root, unshare, nsenter and ip"),
    arguments: [true, false])
  func aNodeIsCutOffInOneDirection(_ isDeaf: Bool) async throws {
    let network = try CellNetwork()
    let struck = try await Struck(ProcessCell(network: network), on: network)
    let owner = struck.owner
    func lose(_ isLost: Bool) throws {
      for other in 0..<3 where other != owner {
        try network.lose(
          from: isDeaf ? other : owner, to: isDeaf ? owner : other, isLost)
      }
    }
    try lose(true)
    try await Task.sleep(for: FaultReport.duration)
    #expect(await struck.load.waitForMore(100), "the others go on")
    try lose(false)
    await struck.end(
      "the owner of a group \(isDeaf ? "does not hear" : "is not heard by") the other nodes")
  }

  // MARK: Slow nodes

  /// A node that was away for longer than the others keep their logs gets snapshots.
  @Test func aNodeIsFarBehind() async throws {
    let struck = try await Struck(ProcessCell())
    let (cell, client) = (struck.cell, struck.client)
    let away = 2
    cell.signal(away, SIGKILL)
    let value = [UInt8](repeating: 7, count: 100_000)
    for number in 0..<60 as Range<UInt8> {
      _ = try await client.propose(
        Command(.transaction(.put([number % 5], value + [number]))), group: "large")
    }
    try await wait("the others have dropped what the node lacks") {
      try [0, 1].allSatisfy {
        let names = try LocalFiles().names(in: cell.data($0) + "/votes")
        return !names.contains("0000000000000001.segment")
      }
    }
    try cell.start(away)
    let start = MonotonicClock.now
    try await wait("the node has it all") {
      try await client.image(of: "large", at: cell.endpoints[away])?.snapshot.chosen == 60
    }
    let caughtUp = (MonotonicClock.now - start) / 1_000_000
    #expect(
      try await client.status(of: cell.endpoints[away]).figures
        .first { $0.name == "snapshots_installed" }?.value ?? 0 > 0)
    // The two of them go on.
    cell.signal(0, SIGKILL)
    #expect(await struck.load.waitForMore(100))
    try cell.start(0)
    await struck.end(
      "a node is away until the others have dropped their logs (6 MB of changes; caught up in "
        + "\(caughtUp) ms); then another is killed")
  }

  private func wait(_ what: String, until isSo: () async throws -> Bool) async throws {
    for _ in 0..<1_000 {
      if (try? await isSo()) == true { return }
      try await Task.sleep(for: .milliseconds(20))
    }
    Issue.record("\(what): not within 20 s")
  }
}
