import ServerCore
import Storage
import Testing
import Wire

/// Slots that get a backup, or another one, while they are in use: docs/protocol.md §11.
@Suite struct BackupMoveTests {
  private static func run(_ role: SlotRole, backup: UInt8? = nil) -> SlotRun {
    SlotRun(first: 0, count: 16_384, role: role, backup: backup)
  }

  /// Server 2 in a rack that keeps two copies.
  private func server(_ run: SlotRun?) -> Harness {
    var server = Harness(slots: false)
    server.control(
      .slotsSet, generation: 10,
      value: SlotsBody(runs: run.map { [$0] } ?? [], keyHashes: [], copies: 2).encoded())
    return server
  }

  @discardableResult
  private func order(
    _ step: MoveStep, _ run: SlotRun, generation: UInt64, move: UInt64 = 20,
    _ server: inout Harness
  ) throws -> MoveAckBody? {
    var body = MoveBody(step, move: move, peer: 1, runs: [run])
    body.credit = 64
    let answers = server.control(.slotsMove, generation: generation, value: body.encoded())
    return try answers.first { $0.header.operation == .slotsMoveAck }.map {
      try MoveAckBody(decoding: $0.value)
    }
  }

  private func mirror(_ write: Message, generation: UInt64) -> Message {
    var header = write.header
    header.operation = .mirror
    header.generation = generation
    header.load = 1
    header.returnPort = 4000
    return Message(header, key: write.key, value: write.value)
  }

  /// A record of a slot that comes, as server 1 sends it.
  private func record(
    _ key: String, _ value: String?, version: UInt64, _ server: Harness, generation: UInt64 = 20
  ) -> Message {
    var header = server.header(.slotCopy, generation: generation, version: version)
    header.keyHash = Harness.hash(key)
    header.client = 20
    header.sequence = version & 0xffff
    header.copyTargets = 0b100
    if value == nil { header.flags.insert(.tombstone) }
    return Message(header, key: Array(key.utf8), value: Array((value ?? "").utf8))
  }

  private func arriving() throws -> Harness {
    var server = server(nil)
    while try order(.receive, Self.run(.home), generation: 20, &server)?.isScanned == false {}
    return server
  }

  @Test func aNewBackupHasWhatItWasSentAndTakesWhatComes() throws {
    var server = try arriving()
    let version = Version.first(ofEpoch: 1) + 100
    server.receive(record("a", "1", version: version, server))
    #expect(server.status(of: server.request(.get, "a", generation: 22)) == .wrongServer)
    try order(.take, Self.run(.backup), generation: 21, &server)
    let read = server.reply(to: server.request(.get, "a", generation: 22))
    #expect(read.value == Array("1".utf8) && read.header.version == version)
    #expect(
      server.status(of: server.request(.set, "a", value: "2", generation: 22)) == .wrongServer)
    // A read of a time when it was backup before.
    #expect(server.status(of: server.request(.get, "a", generation: 20)) == .wrongServer)
    // What was handed on to another backup, before, is not for this one.
    let late = server.request(.set, "b", value: "1", sequence: 2, generation: 20)
    #expect(server.receive(mirror(late, generation: 20)).isEmpty)
    let write = server.request(.set, "b", value: "1", sequence: 3, generation: 22)
    #expect(server.receive(mirror(write, generation: 22)).map(\.message.header.status) == [.ok])
  }

  @Test func aHomeHandsOnWhatItExecutesOnceItIsTold() throws {
    var server = server(Self.run(.home))
    let alone = server.request(.set, "a", value: "1")
    #expect(server.status(of: alone) == .ok)
    try order(.send, Self.run(.home), generation: 20, &server)
    try order(.fence, Self.run(.home), generation: 21, &server)
    #expect(server.status(of: server.request(.get, "a", generation: 21)) == .ok)
    try order(.assign, Self.run(.home, backup: 1), generation: 21, &server)
    #expect(server.status(of: server.request(.get, "a", generation: 22)) == .wrongServer)
    let write = server.request(
      .set, "a", value: "2", sequence: 2, acknowledged: 1, generation: 22)
    let sent = server.receive(write).map(\.message.header)
    #expect(sent.map(\.operation) == [.mirror] && sent.first?.copyTargets == 0b10)
    // What was executed before finds the new backup too.
    var again = server.request(.set, "a", value: "1", generation: 22, known: 22)
    again.header.sequence = alone.header.sequence
    again.header.acknowledged = alone.header.acknowledged
    #expect(server.receive(again).allSatisfy { $0.message.header.operation == .mirror })
  }

  @Test func anOrderThatCameTooLateChangesNothing() throws {
    var server = server(Self.run(.backup))
    // It was told meanwhile what it is.
    server.control(
      .slotsSet, generation: 30,
      value: SlotsBody(runs: [Self.run(.backup)], keyHashes: [], copies: 2).encoded())
    try order(.assign, Self.run(.leaving), generation: 21, &server)
    #expect(server.core.isBackup(ofSlot: 0))
    try order(.leave, Self.run(.leaving), generation: 31, &server)
    #expect(server.core.isBackup(ofSlot: 0))
  }

  @Test func aBackupThatIsReplacedKeepsWhatItHasUntilNobodyNeedsIt() throws {
    var server = server(Self.run(.backup))
    let write = server.request(.set, "a", value: "1", generation: 12)
    server.receive(mirror(write, generation: 12))
    try order(.assign, Self.run(.leaving), generation: 21, &server)
    #expect(server.status(of: server.request(.get, "a", generation: 21)) == .wrongServer)
    let late = server.request(.set, "b", value: "1", sequence: 2, generation: 21)
    #expect(server.receive(mirror(late, generation: 21)).isEmpty)
    server.control(.probe, generation: 21)
    server.floor(22)
    #expect(server.storedVersion("a") == write.header.version)
    // The move came to nothing: it is what it was.
    server.control(
      .slotsSet, generation: 23,
      value: SlotsBody(runs: [Self.run(.backup)], keyHashes: [], copies: 2).encoded())
    #expect(server.status(of: server.request(.get, "a", generation: 23)) == .ok)
    // The next one did not.
    try order(.assign, Self.run(.leaving), generation: 25, move: 24, &server)
    try order(.leave, Self.run(.leaving), generation: 26, move: 24, &server)
    for _ in 0..<8 { server.control(.probe, generation: 26) }
    server.floor(27)
    #expect(server.storedVersion("a") == nil)
  }

  @Test func aBackupThatBecomesHomeKeepsWhatItHas() throws {
    var server = server(Self.run(.backup))
    let write = server.request(.set, "a", value: "1", generation: 12)
    server.receive(mirror(write, generation: 12))
    while try order(.receive, Self.run(.home), generation: 20, &server)?.isScanned == false {}
    #expect(server.storedVersion("a") == write.header.version)
    #expect(server.status(of: server.request(.get, "a", generation: 20)) == .ok)
    try order(.take, Self.run(.home, backup: 1), generation: 21, &server)
    #expect(server.core.isHome(ofSlot: 0))
    let next = server.request(.set, "a", value: "2", sequence: 2, generation: 22)
    #expect(server.receive(next).map(\.message.header.operation) == [.mirror])
  }

  @Test func whatMovesIsNotShownToReadsOfAHotTime() throws {
    var server = try arriving()
    server.fence("a", 21)
    let version = Version.first(ofEpoch: 1) + 100
    // Its old home may have executed this and told nobody, and the backup may lack it.
    server.receive(record("a", "1", version: version, server, generation: 22))
    let late = server.request(.get, "a", sequence: 2, generation: 22, hot: true)
    #expect(server.status(of: late) == .busy)
    try order(.take, Self.run(.home, backup: 1), generation: 23, &server)
    #expect(server.status(of: late) == .busy)
    // As the only server, it answers.
    server.control(
      .slotsSet, generation: 30,
      value: SlotsBody(runs: [Self.run(.home)], keyHashes: [], copies: 2).encoded())
    #expect(server.status(of: server.request(.get, "a", sequence: 3, generation: 31)) == .ok)
  }

  @Test func aTombstoneThatMovedStaysUntilTheBackupHasIt() throws {
    var server = try arriving()
    let version = Version.first(ofEpoch: 1) + 100
    server.receive(record("a", nil, version: version, server))
    try order(.take, Self.run(.home, backup: 1), generation: 21, &server)
    let sent = server.floor(30)
    #expect(server.storedVersion("a") == version)
    #expect(sent.contains { $0.header.operation == .mirror && $0.header.version == version })
  }

  @Test func inOneArmModeTheAnswerGoesByWayOfTheRack() throws {
    var home = server(Self.run(.home, backup: 1))
    var write = home.request(.set, "a", value: "1")
    write.header.returnAddress = (0, 0xffff_0a00_0001)
    write.header.returnPort = 4_321
    let sent = try #require(home.receive(write).first?.message)
    #expect(sent.header.flags.contains(.viaRack))
    #expect(sent.header.returnAddress == (0, 0xffff_0a00_0001) && sent.header.returnPort == 4_321)
    var backup = server(Self.run(.backup))
    let answer = try #require(
      backup.receive(sent).first { $0.message.header.operation == .set })
    #expect(answer.destination == .directory)
    #expect(answer.message.header.returnAddress == (0, 0xffff_0a00_0001))
    #expect(answer.message.header.returnPort == 4_321)
    #expect(answer.message.header.flags == .reply)
  }
}
