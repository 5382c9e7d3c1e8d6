import ServerCore
import Testing
import Wire

/// Writes that are on two servers before they are answered: docs/protocol.md §11.
@Suite struct MirrorTests {
  private static let all = SlotRun(first: 0, count: 16_384)

  /// Server 2, home of all slots with server 1 as backup, or their backup; hot keys have two copies.
  private func server(_ role: SlotRole) -> Harness {
    var server = Harness(slots: false)
    var run = Self.all
    run.role = role
    if role == .home { run.backup = 1 }
    server.control(
      .slotsSet, generation: 10,
      value: SlotsBody(runs: [run], keyHashes: [], copies: 2).encoded())
    return server
  }

  /// A write as another server hands it on.
  private func mirror(_ write: Message, of sender: UInt16 = 1) -> Message {
    var header = write.header
    if header.operation == .delete { header.flags.insert(.tombstone) }
    header.operation = .mirror
    header.load = sender
    header.returnAddress = (0, 77)
    header.returnPort = 4000
    return Message(header, key: write.key, value: write.value)
  }

  @Test func theHomeHandsAWriteOnAndDoesNotAnswer() throws {
    var server = server(.home)
    let write = server.request(.set, "a", value: "1")
    for attempt in 0..<2 {
      var again = write
      // Stamped anew.
      again.header.version += UInt64(attempt)
      let sent = server.receive(again)
      #expect(sent.count == 1)
      let (message, destination) = try #require(sent.first)
      #expect(destination == .directory && message.header.operation == .mirror)
      #expect(message.header.version == write.header.version && message.value == write.value)
      #expect(message.header.copyTargets == 0b10 && message.header.server == 2)
      #expect(message.header.client == write.header.client)
      #expect(message.header.returnPath == write.header.returnPath)
    }
    #expect(server.storedVersion("a") == write.header.version)
    #expect(server.status(of: server.request(.get, "a")) == .wrongServer)
  }

  @Test func theBackupAnswersTheClientAndRemembers() throws {
    var server = server(.backup)
    let write = server.request(.set, "a", value: "1")
    for _ in 0..<2 {
      let sent = server.receive(mirror(write))
      let (reply, destination) = try #require(sent.first)
      #expect(sent.count == 1)
      #expect(destination == .origin(RequestOrigin(high: 0, low: 77, port: 4000)))
      #expect(reply.header.operation == .set && reply.header.status == .ok)
      #expect(reply.header.flags == .reply && reply.header.version == write.header.version)
      #expect(reply.header.returnPort == 0 && reply.header.returnAddress == (0, 0))
    }
    let read = server.reply(to: server.request(.get, "a"))
    #expect(read.value == Array("1".utf8) && read.header.version == write.header.version)
    // Should it become home: a retry is answered, not executed.
    server.setSlots([Self.all], generation: 11)
    var retry = write
    retry.header.version += 5
    #expect(server.reply(to: retry).header.version == write.header.version)
    // What the former home sends late is not taken.
    #expect(server.receive(mirror(server.request(.set, "b", value: "2", sequence: 2))).isEmpty)
    #expect(server.storedVersion("b") == nil)
  }

  @Test func whatWasHandedOnBeforeItWasBackupIsNotTaken() {
    var server = Harness()
    var run = Self.all
    run.role = .backup
    server.setSlots([run], generation: 12)
    #expect(server.receive(mirror(server.request(.set, "a", value: "1", generation: 11))).isEmpty)
    #expect(!server.receive(mirror(server.request(.set, "a", value: "1", generation: 12))).isEmpty)
  }

  @Test func aFencedMirrorIsRefused() {
    var server = server(.backup)
    server.fence("a", 20)
    let sent = server.receive(mirror(server.request(.set, "a", value: "1", generation: 19)))
    #expect(sent.map(\.message.header.status) == [.staleGeneration])
    #expect(server.storedVersion("a") == nil)
  }

  @Test func readsOfWhatOnlyOneServerMayHaveWait() throws {
    var server = server(.home)
    server.fence("a", 20)
    let write = server.request(.set, "a", value: "1", generation: 21, known: 21, hot: true)
    #expect(server.receive(write).map(\.message.header.operation) == [.mirror])
    func read(_ demanded: UInt64) -> Message {
      server.request(.get, "a", sequence: 2, generation: 21, version: demanded, hot: true)
    }
    var again: [Message] = []
    for _ in 0..<4 {
      let sent = server.receive(read(0))
      #expect(sent.filter { $0.destination == .sender }.map(\.message.header.status) == [.busy])
      again += sent.filter { $0.destination == .directory }.map(\.message)
    }
    // Its client may be gone: it is handed on once more, for nobody to answer.
    let mirror = try #require(again.first)
    #expect(again.count == 1 && mirror.header.returnPath == 0)
    #expect(mirror.header.version == write.header.version && mirror.value == write.value)
    // The directory has heard of it from another server.
    #expect(server.status(of: read(write.header.version)) == .ok)
    #expect(server.status(of: read(0)) == .ok)
  }

  @Test func aMirrorWithoutAClientIsAcknowledgedToTheDirectory() {
    var server = server(.backup)
    var message = mirror(server.request(.set, "a", value: "1"))
    message.header.returnPath = 0
    let sent = server.receive(message)
    #expect(sent.map(\.message.header.operation) == [.copyAck])
    #expect(sent.map(\.destination) == [.directory])
  }

  @Test func aTombstoneStaysUntilTheBackupHasIt() throws {
    var server = server(.home)
    let delete = server.request(.delete, "a")
    server.receive(delete)
    let first = server.floor(20)
    #expect(server.storedVersion("a") == delete.header.version)
    // FLOOR has it handed on again, with its result.
    let mirror = try #require(first.first { $0.header.operation == .mirror })
    #expect(mirror.header.flags.contains(.tombstone) && mirror.header.generation == 20)
    #expect(mirror.header.client == delete.header.client)

    var backup = self.server(.backup)
    let answers = backup.receive(mirror).map(\.message)
    var acknowledgement = try #require(answers.first { $0.header.operation == .mirrorAck })
    #expect(acknowledgement.header.copyTargets == 0b100)
    acknowledgement.header.server = 2
    server.receive(acknowledgement)
    server.floor(30)
    #expect(server.storedVersion("a") == nil)
  }
}
