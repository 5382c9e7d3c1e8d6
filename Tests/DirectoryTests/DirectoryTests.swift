import Directory
import Testing
import Wire

/// A directory of four servers on the host, ready to serve.
func makeDirectory(window: UInt32 = 1 << 30) -> DirectoryMemory {
  let memory = DirectoryMemory(buckets: 16)
  memory.apply(
    .begin(
      epoch: 1, serverCount: 4, nextVersion: Version.first(ofEpoch: 1), window: window))
  for server in UInt8(0)..<4 {
    memory.apply(
      .setServer(
        server,
        ServerPlace(
          incarnation: 100 + UInt64(server), interface: 10 + UInt32(server), port: 18516,
          mac: [2, 0, 0, 0, 0, server], address: Array(repeating: server, count: 16))))
    memory.apply(
      .setSlots(first: UInt16(server) * 4096, count: 4096, home: server, moving: false))
  }
  memory.apply(.setTargets(table: 0, servers: (0..<256).map { UInt8($0 % 4) }))
  memory.apply(.setAlive(0b1111))
  memory.apply(.setGeneration(1))
  memory.apply(.setServing(true))
  return memory
}

/// Puts an entry for `hash` at place 52 of `makeDirectory`'s memory; its completed version is the
/// eleventh of the epoch.
@discardableResult
func makeHot(
  _ directory: DirectoryMemory, _ hash: UInt64, replicaSet: UInt32, copies: UInt8 = 1
) -> UInt64 {
  let completed = Version.first(ofEpoch: 1) + 10
  directory.apply(.insert(entry: 4 * 13, keyHash: hash, home: 0))
  directory.apply(
    .makeHot(
      entry: 4 * 13, completed: completed, replicaSet: replicaSet, since: 1, home: 0,
      copies: copies, targets: 0))
  return completed
}

func request(_ operation: Operation, hash: UInt64, sequence: UInt64 = 1) -> Message {
  var header = Header(operation)
  header.keyHash = hash
  header.client = 7
  header.sequence = sequence
  header.acknowledged = sequence
  return Message(header, key: [1])
}

@Suite struct DirectoryTests {
  @Test func aColdKeyIsServedByItsHomeAndEveryWriteGetsTheNextVersion() throws {
    let directory = makeDirectory()
    let home = UInt8(2)
    let hash = UInt64(2 * 4096 + 5) << 50 | 99
    var last: UInt64 = 0
    for sequence in UInt64(1)...3 {
      var bytes = request(.set, hash: hash, sequence: sequence).encoded()
      let result = bytes.withUnsafeMutableBytes { directory.handle($0, from: .client) }
      #expect(result.verdict == .steer(server: home))
      #expect(result.counter.description == "cold_write")
      let stamped = try Message(datagram: bytes).header
      #expect(stamped.version > last && Version.epoch(of: stamped.version) == 1)
      #expect(stamped.incarnation == 102 && stamped.generation == 1 && stamped.epoch == 1)
      last = stamped.version
    }
  }

  @Test func aReplyMovesTheReplicaSetAndALaterReadFollowsIt() throws {
    let directory = makeDirectory()
    let hash: UInt64 = 77
    directory.apply(.insert(entry: 4 * 13, keyHash: hash, home: 0))
    var frozen = request(.set, hash: hash).encoded()
    #expect(
      frozen.withUnsafeMutableBytes { directory.handle($0, from: .client) }.verdict
        == .answer(.frozen))
    let base = Version.first(ofEpoch: 1) + 10
    directory.apply(
      .makeHot(
        entry: 4 * 13, completed: base, replicaSet: 1, since: 1, home: 0, copies: 2, targets: 0))
    var reply = request(.set, hash: hash)
    reply.header.flags = [.reply]
    reply.header.epoch = 1
    reply.header.server = 3
    reply.header.incarnation = 103
    reply.header.generation = 1
    reply.header.version = base + 1
    var bytes = reply.encoded()
    #expect(
      bytes.withUnsafeMutableBytes { directory.handle($0, from: .server(3)) }.verdict == .forward)
    #expect(try Message(datagram: bytes).header.incarnation == 0)
    #expect(directory.reading(ofEntry: 4 * 13).replicaSet == 0b1000)
    var read = request(.get, hash: hash, sequence: 2).encoded()
    #expect(
      read.withUnsafeMutableBytes { directory.handle($0, from: .client) }.verdict
        == .steer(server: 3))
    #expect(try Message(datagram: read).header.version == base + 1)
  }

  @Test func withRoundRobinEachHolderHasItsTurnWhateverItsLoad() throws {
    let directory = makeDirectory()
    let hash: UInt64 = 77
    makeHot(directory, hash, replicaSet: 0b1101)
    directory.apply(.setReadChoice(.roundRobin))
    var servers: [UInt8] = []
    for sequence in UInt64(1)...6 {
      var read = request(.get, hash: hash, sequence: sequence).encoded()
      guard
        case .steer(let server) = read.withUnsafeMutableBytes({
          directory.handle($0, from: .client)
        }).verdict
      else { continue }
      servers.append(server)
    }
    #expect(servers == [0, 2, 3, 0, 2, 3])
  }

  /// Where a COPY that server 3 sends to server 0 goes.
  private func copy(
    _ directory: DirectoryMemory, _ hash: UInt64, version: UInt64
  ) throws -> (verdict: Verdict, targets: UInt32) {
    var copy = request(.copy, hash: hash)
    copy.header.epoch = 1
    copy.header.server = 3
    copy.header.incarnation = 103
    copy.header.generation = 1
    copy.header.version = version
    copy.header.copyTargets = 0b1
    var bytes = copy.encoded()
    let verdict = bytes.withUnsafeMutableBytes { directory.handle($0, from: .server(3)) }.verdict
    return (verdict, try Message(datagram: bytes).header.copyTargets)
  }

  @Test func aCopyGoesToTheLessLoadedOfTwoServersThatLackIt() throws {
    let directory = makeDirectory()
    let hash: UInt64 = 77
    let completed = makeHot(directory, hash, replicaSet: 0b1000, copies: 2)
    // Server 0 has more to do than server 2, half the rack away.
    var reply = request(.get, hash: 78)
    reply.header.flags = [.reply]
    reply.header.epoch = 1
    reply.header.server = 0
    reply.header.incarnation = 100
    reply.header.load = 9
    var bytes = reply.encoded()
    _ = bytes.withUnsafeMutableBytes { directory.handle($0, from: .server(0)) }
    let first = try copy(directory, hash, version: completed)
    #expect(first.verdict == .steer(server: 2) && first.targets == 0b100)
    #expect(try copy(directory, hash, version: completed - 1).verdict == .consume)
    // The only other one is the sender: nobody lacks it.
    makeHot(directory, hash, replicaSet: 0b1101, copies: 2)
    #expect(try copy(directory, hash, version: completed).verdict == .consume)
    // A newer version is lacked by all.
    #expect(try copy(directory, hash, version: completed + 1).verdict == .steer(server: 2))
    // Copies to more than half of the rack go where they are told.
    directory.apply(.setCopies(entry: 4 * 13, 3))
    #expect(try copy(directory, hash, version: completed + 1).verdict == .steer(server: 0))
    // In a transition a server is named because it needs it.
    directory.apply(.setCopies(entry: 4 * 13, 2))
    directory.apply(.setMode(entry: 4 * 13, .removing))
    #expect(try copy(directory, hash, version: completed - 1).verdict == .steer(server: 0))
  }

  @Test func helloIsAnsweredByTheDirectory() throws {
    let directory = makeDirectory()
    var header = Header(.hello)
    header.client = 7
    var bytes = Message(header).encoded()
    #expect(
      bytes.withUnsafeMutableBytes { directory.handle($0, from: .client) }.verdict == .answer(.ok))
    #expect(try Message(datagram: bytes).header.generation == 1)
  }
}
