import Glibc
import Sockets
import Synchronization
import Testing

private let loopback = Endpoint(.loopback, port: 0)

/// Receives until `count` datagrams came; gives up after 10 seconds.
private func receive(_ count: Int, _ socket: UDPSocket, capacity: Int = 8) throws
  -> [(bytes: [UInt8], sender: Endpoint)]
{
  let poll = try EventPoll()
  try poll.add(socket.descriptor, token: 1)
  let batch = DatagramBatch(capacity: capacity, datagramLengthMax: 64)
  var received: [(bytes: [UInt8], sender: Endpoint)] = []
  let deadline = MonotonicClock.now + 10_000_000_000
  while received.count < count, MonotonicClock.now < deadline {
    try poll.wait(until: deadline) { _, _ in }
    for index in 0..<(try batch.receive(from: socket)) {
      received.append((Array(batch[index]), batch.sender(index)))
    }
  }
  return received
}

@Suite struct UDPSocketTests {
  @Test func batchesCarryBytesAndSendersBothWays() throws {
    let (a, b) = (try UDPSocket(bind: loopback), try UDPSocket(bind: loopback))
    let batch = DatagramBatch(capacity: 20, datagramLengthMax: 64)
    for number in UInt8(0)..<20 {
      let datagram = [UInt8](repeating: number, count: Int(number))
      #expect(datagram.withUnsafeBytes { batch.append($0, to: b.local) })
    }
    #expect(batch.isFull)
    #expect(!batch.append(to: b.local) { _ in 0 })
    #expect(try batch.send(on: a) == 20)
    #expect(batch.isEmpty)
    let received = try receive(20, b)
    #expect(received.map(\.bytes.count) == Array(0..<20))
    #expect(received.allSatisfy { $0.sender == a.local })
    #expect(received[7].bytes == [UInt8](repeating: 7, count: 7))
  }

  @Test func aReceivedBatchIsReusedForSendingAndReceivingAgain() throws {
    let (a, b) = (try UDPSocket(bind: loopback), try UDPSocket(bind: loopback))
    let batch = DatagramBatch(capacity: 4, datagramLengthMax: 16)
    for round in UInt8(0)..<3 {
      batch.removeAll()
      batch.append(to: b.local) { room in
        room[0] = round
        return 1
      }
      #expect(try batch.send(on: a) == 1)
      #expect(try receive(1, b).map(\.bytes) == [[round]])
      // Long answers find the whole room again after the short ones that were sent.
      #expect(
        try [UInt8](repeating: round, count: 16).withUnsafeBytes { try b.send($0, to: a.local) })
      let poll = try EventPoll()
      try poll.add(a.descriptor, token: 1)
      try poll.wait(until: nil) { _, _ in }
      #expect(try batch.receive(from: a) == 1)
      #expect(batch[0].count == 16)
      #expect(batch.sender(0) == b.local)
    }
  }

  @Test func longDatagramsAreCut() throws {
    let (a, b) = (try UDPSocket(bind: loopback), try UDPSocket(bind: loopback))
    try [UInt8](repeating: 1, count: 200).withUnsafeBytes { _ = try a.send($0, to: b.local) }
    #expect(try receive(1, b).map(\.bytes.count) == [64])
  }

  @Test func receivingNeverBlocks() throws {
    let batch = DatagramBatch(capacity: 4, datagramLengthMax: 16)
    #expect(try batch.receive(from: UDPSocket(bind: loopback)) == 0)
  }

  @Test func aRefusedDatagramIsALostOneWithAReason() throws {
    let gone = try Endpoint(parsing: "127.77.0.1:9", defaultPort: 1)
    let socket = try UDPSocket(bind: loopback, connect: gone)
    let poll = try EventPoll()
    try poll.add(socket.descriptor, token: 1)
    let batch = DatagramBatch(capacity: 4, datagramLengthMax: 16)
    batch.append { _ in 1 }
    #expect(try batch.send(on: socket) == 1)
    try poll.wait(until: MonotonicClock.now + 10_000_000_000) { _, _ in }
    #expect(try batch.receive(from: socket) == 0)
    #expect(batch.refusals == 1)
    #expect(batch.lastRefusal == .refused(gone))
  }

  @Test func oneRefusedDatagramDoesNotKeepTheOthersBack() throws {
    let (a, b) = (try UDPSocket(bind: loopback), try UDPSocket(bind: loopback))
    let batch = DatagramBatch(capacity: 4, datagramLengthMax: 70_000)
    for length in [1, 70_000, 2] { batch.append(to: b.local) { _ in length } }
    #expect(try batch.send(on: a) == 2)
    #expect(batch.refusals == 1)
    #expect(try receive(2, b).map(\.bytes.count) == [1, 2])
  }

  @Test func joinedDatagramsArriveAsTheyWere() throws {
    let (a, b, c) = (
      try UDPSocket(bind: loopback, bufferLength: 1 << 20),
      try UDPSocket(bind: loopback, bufferLength: 1 << 20),
      try UDPSocket(bind: loopback, bufferLength: 1 << 20)
    )
    let batch = DatagramBatch(capacity: 128, datagramLengthMax: 64, joinsDatagrams: true)
    var expected: [[UInt8]] = []
    // Runs of one length, one that ends with a shorter one, one beyond 64, single and empty ones.
    for (number, length) in ([8, 8, 8, 3, 8, 0, 0, 20, 8] + Array(repeating: 5, count: 70))
      .enumerated()
    {
      let datagram = [UInt8](repeating: UInt8(number), count: length)
      expected.append(datagram)
      datagram.withUnsafeBytes { _ = batch.append($0, to: b.local) }
    }
    // Two receivers in turn: nothing to join.
    for number in UInt8(0)..<6 {
      let datagram = [number, number]
      if number % 2 == 0 { expected.append(datagram) }
      datagram.withUnsafeBytes { _ = batch.append($0, to: number % 2 == 0 ? b.local : c.local) }
    }
    #expect(try batch.send(on: a) == 85)
    #expect(batch.isEmpty)
    let received = try receive(expected.count, b)
    #expect(received.map(\.bytes) == expected)
    #expect(received.allSatisfy { $0.sender == a.local })
    #expect(try receive(3, c).map(\.bytes) == [[1, 1], [3, 3], [5, 5]])
  }

  @Test func joinedDatagramsOfAConnectedSocketArriveToo() throws {
    let b = try UDPSocket(bind: loopback)
    let a = try UDPSocket(connect: b.local)
    let batch = DatagramBatch(capacity: 8, datagramLengthMax: 64, joinsDatagrams: true)
    for _ in 0..<3 {
      for number in UInt8(0)..<5 {
        batch.append { room in
          room[0] = number
          return 1
        }
      }
      #expect(try batch.send(on: a) == 5)
    }
    #expect(try receive(15, b).map(\.bytes[0]) == (0..<15).map { UInt8($0 % 5) })
  }

  @Test func whatCannotBeJoinedGoesOnItsOwn() throws {
    let (a, b) = (try UDPSocket(bind: loopback), try UDPSocket(bind: loopback))
    let batch = DatagramBatch(capacity: 8, datagramLengthMax: 70_000, joinsDatagrams: true)
    // Too long for any datagram, twice: the kernel refuses them joined and alone.
    for length in [70_000, 70_000, 1, 1] { batch.append(to: b.local) { _ in length } }
    #expect(try batch.send(on: a) == 2)
    #expect(batch.refusals == 2)
    #expect(try receive(2, b).map(\.bytes.count) == [1, 1])
  }

  @Test func aPortInUseIsNamed() throws {
    let first = try UDPSocket(bind: loopback)
    #expect(throws: SocketError.portInUse(first.local)) { try UDPSocket(bind: first.local) }
    #expect(SocketError.portInUse(first.local).description.contains("\(first.local.port)"))
  }

  @Test func sharedPortsMayBeBoundTwice() throws {
    let first = try UDPSocket(bind: loopback, sharesPort: true)
    #expect(try UDPSocket(bind: first.local, sharesPort: true).local == first.local)
  }

  @Test func anAddressOfNoInterfaceIsNamed() throws {
    let foreign = try Endpoint(parsing: "192.0.2.1:5000", defaultPort: 1)
    #expect(throws: SocketError.addressNotAvailable(foreign)) { try UDPSocket(bind: foreign) }
  }

  @Test func buffersGrow() throws {
    let plain = try UDPSocket(bind: loopback)
    let large = try UDPSocket(bind: loopback, bufferLength: plain.receiveBufferLength * 2)
    // Without privileges the limit of the system may already be reached.
    let grown = large.receiveBufferLength > plain.receiveBufferLength
    #expect(grown || geteuid() != 0)
  }
}

@Suite struct EventPollTests {
  @Test func anotherThreadEndsTheWait() throws {
    let (poll, wakeUp) = (try EventPoll(), try WakeUp())
    try poll.add(wakeUp.descriptor, token: 7)
    let thread = try BackgroundThread(name: "a name that is too long") {
      wakeUp.signal()
      wakeUp.signal()
    }
    thread.join()
    var seen: [UInt64] = []
    #expect(
      try poll.wait(until: nil) { token, readiness in
        if readiness.contains(.readable) { seen.append(token) }
      } == 1)
    #expect(seen == [7])
    wakeUp.clear()
    #expect(try poll.wait(until: 0) { _, _ in } == 0)
  }

  @Test func theDeadlineEndsTheWaitAndNotBefore() throws {
    let poll = try EventPoll()
    let deadline = MonotonicClock.now + 3_000_000
    #expect(try poll.wait(until: deadline) { _, _ in } == 0)
    #expect(MonotonicClock.now >= deadline)
  }

  @Test func changedAndRemovedDescriptorsAreWatchedAccordingly() throws {
    let (poll, socket) = (try EventPoll(), try UDPSocket(bind: loopback))
    try poll.add(socket.descriptor, token: 1)
    #expect(try poll.wait(until: 0) { _, _ in } == 0)
    try poll.change(socket.descriptor, token: 2, to: [.readable, .writable])
    var tokens: [UInt64] = []
    try poll.wait(until: 0) { token, _ in tokens.append(token) }
    #expect(tokens == [2])
    try poll.remove(socket.descriptor)
    #expect(try poll.wait(until: 0) { _, _ in } == 0)
  }

  @Test func aLocalPeerIsKnown() throws {
    var pair: [Int32] = [0, 0]
    try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
    defer { pair.forEach { close($0) } }
    let peer = try PeerCredentials(of: pair[0])
    #expect(peer.process == getpid() && peer.user == geteuid() && peer.group == getegid())
  }
}

@Suite struct NetworkNamespaceTests {
  @Test func anUnknownNamespaceIsNamed() {
    #expect(throws: SocketError.noSuchNamespace("ht-none")) {
      try UDPSocket(bind: loopback, in: NetworkNamespace("ht-none"))
    }
  }

  /// Needs root: a namespace is made with unshare, on a thread of its own, and ends with it.
  @Test(.enabled(if: geteuid() == 0, "entering a namespace needs root"))
  func aSocketLivesInItsNamespace() throws {
    let here = try UDPSocket(bind: loopback)
    let own = NetworkNamespace("/proc/self/ns/net")
    #expect(throws: SocketError.portInUse(here.local)) { try UDPSocket(bind: here.local, in: own) }
    let holder = try FreshNamespace()
    defer { holder.end() }
    // The same port is free in there, and its loopback is down.
    let there = try UDPSocket(bind: Endpoint(.any, port: here.local.port), in: holder.namespace)
    #expect(there.local.port == here.local.port)
    #expect(throws: SocketError.self) {
      try UDPSocket(bind: here.local, connect: here.local, in: holder.namespace)
    }
  }
}

/// A process in a network namespace of its own, which is gone when it ends.
private final class FreshNamespace {
  private var process: pid_t = 0
  private var input: Int32 = -1
  let namespace: NetworkNamespace

  init() throws {
    var (toChild, fromChild): ([Int32], [Int32]) = ([0, 0], [0, 0])
    try #require(pipe(&toChild) == 0 && pipe(&fromChild) == 0)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_adddup2(&actions, toChild[0], 0)
    posix_spawn_file_actions_adddup2(&actions, fromChild[1], 1)
    for descriptor in toChild + fromChild {
      posix_spawn_file_actions_addclose(&actions, descriptor)
    }
    // It tells that it is inside, and ends when this process does or closes the pipe.
    let arguments = ["unshare", "--net", "sh", "-c", "echo inside; read line"]
    var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    let code = posix_spawnp(&process, "unshare", &actions, nil, &pointers, environ)
    pointers.forEach { free($0) }
    posix_spawn_file_actions_destroy(&actions)
    close(toChild[0])
    close(fromChild[1])
    input = toChild[1]
    namespace = NetworkNamespace("/proc/\(process)/ns/net")
    var byte: UInt8 = 0
    let told = read(fromChild[0], &byte, 1)
    close(fromChild[0])
    try #require(code == 0 && told == 1)
  }

  func end() {
    close(input)
    var status: Int32 = 0
    waitpid(process, &status, 0)
  }
}
