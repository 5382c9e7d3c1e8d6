import Directory
import Logging
import Server
import ServerCore
import Sockets
import Synchronization
import Wire

/// A rack on loopback: real servers behind a directory that forwards in user space, with the data
/// plane's own decisions (`DirectoryMemory.handle`). It plays the controller just so far that the
/// servers serve.
final class UserSpaceRack: Sendable {
  let address: Endpoint
  let servers: RunningServers
  let memory: DirectoryMemory
  private let thread: BackgroundThread
  private let wakeUp: WakeUp
  private let forwarder: Shared

  /// What the thread shares with the test.
  final class Shared: Sendable {
    let isStopping = Atomic(false)
    /// Acknowledgements of the servers to the controller.
    let answers = Mutex<[Message]>([])
    /// Requests to drop, counted down: each stands for one lost datagram.
    let losses = Atomic(0)
  }

  static let incarnation: UInt64 = 1_000

  /// `capacity`: of each server; nil: real ones. The slots are spread evenly.
  init(servers count: Int = 3, capacity: Double? = nil, queueMax: Int = 200) throws {
    let socket = try UDPSocket(bind: Endpoint(.loopback, port: 0), bufferLength: 1 << 20)
    address = socket.local
    var options: [ServerOptions] = []
    for number in 0..<count {
      var one = ServerOptions(
        number: UInt8(number),
        listen: Endpoint(IPAddress(ipv4: 0x7f00_0002 + UInt32(number)), port: 0),
        directory: socket.local)
      one.incarnation = Self.incarnation + UInt64(number)
      one.capacity = capacity
      one.queueMax = queueMax
      options.append(one)
    }
    servers = try RunningServers(options, logger: Logger(label: "test"))
    memory = Self.directory(servers: count)
    forwarder = Shared()
    wakeUp = try WakeUp()
    let endpoints = servers.endpoints
    let (memory, shared, wakeUp) = (memory, forwarder, wakeUp)
    thread = try BackgroundThread(name: "directory") {
      Self.forward(socket, memory, endpoints, shared, wakeUp)
    }
    try admit(count)
  }

  deinit {
    forwarder.isStopping.store(true, ordering: .releasing)
    wakeUp.signal()
    thread.join()
  }

  /// Drops the next so many requests on their way to the servers.
  func lose(_ count: Int) { forwarder.losses.store(count, ordering: .releasing) }

  private static func directory(servers count: Int) -> DirectoryMemory {
    let memory = DirectoryMemory(buckets: 16)
    memory.apply(
      .begin(
        epoch: 1, serverCount: UInt32(count), nextVersion: Version.first(ofEpoch: 1),
        window: 1 << 30))
    for number in 0..<count {
      memory.apply(
        .setServer(
          UInt8(number),
          ServerPlace(
            incarnation: incarnation + UInt64(number), interface: 1, port: 1,
            mac: [2, 0, 0, 0, 0, UInt8(number)], address: Array(repeating: 0, count: 16))))
      let (first, last) = slots(of: number, count)
      memory.apply(
        .setSlots(
          first: UInt16(first), count: UInt16(last - first), home: UInt8(number), moving: false))
    }
    memory.apply(.setAlive(UInt32(1 << count) - 1))
    memory.apply(.setGeneration(1))
    memory.apply(.setServing(true))
    return memory
  }

  private static func slots(of number: Int, _ count: Int) -> (Int, Int) {
    (number * WireLimits.slots / count, (number + 1) * WireLimits.slots / count)
  }

  // MARK: The controller's part

  /// Admits the servers and gives them their slots, as their messages may be lost even on loopback.
  private func admit(_ count: Int) throws {
    for number in 0..<count {
      let (first, last) = Self.slots(of: number, count)
      let body = SlotsBody(
        runs: [SlotRun(first: UInt16(first), count: UInt16(last - first))], keyHashes: [])
      try command(.admit, number, [])
      try command(.slotsSet, number, body.encoded())
    }
  }

  /// Sends a message of the controller until it is answered.
  private func command(_ operation: Operation, _ number: Int, _ value: [UInt8]) throws {
    // From the directory's address, but a port of its own.
    let socket = try UDPSocket(bind: Endpoint(.loopback, port: 0))
    let poll = try EventPoll()
    try poll.add(socket.descriptor, token: 0)
    let batch = DatagramBatch(capacity: 4, datagramLengthMax: 2_000)
    var header = Header(operation)
    header.server = UInt8(number)
    header.incarnation = Self.incarnation + UInt64(number)
    header.epoch = 1
    header.generation = 1
    header.sequence = 1
    let bytes = Message(header, value: value).encoded()
    for _ in 0..<100 {
      try bytes.withUnsafeBytes { _ = try socket.send($0, to: servers.endpoints[number]) }
      _ = try poll.wait(until: MonotonicClock.now + 100_000_000) { _, _ in }
      if try batch.receive(from: socket) > 0 { return }
    }
    throw SocketError.refused(servers.endpoints[number])
  }

  // MARK: The data plane's part

  private static func forward(
    _ socket: UDPSocket, _ memory: DirectoryMemory, _ servers: [Endpoint], _ shared: Shared,
    _ wakeUp: WakeUp
  ) {
    guard let poll = try? EventPoll() else { return }
    try? poll.add(socket.descriptor, token: 0)
    try? poll.add(wakeUp.descriptor, token: 1)
    let arrived = DatagramBatch(capacity: 64, datagramLengthMax: 2_000)
    let leaving = DatagramBatch(capacity: 64, datagramLengthMax: 2_000)
    while !shared.isStopping.load(ordering: .acquiring) {
      _ = try? poll.wait(until: nil) { _, _ in }
      _ = try? arrived.receive(from: socket)
      for index in 0..<arrived.count {
        let sender = arrived.sender(index)
        var bytes = Array(arrived[index])
        if let target = decide(&bytes, from: sender, memory, servers, shared) {
          bytes.withUnsafeBytes { _ = leaving.append($0, to: target) }
        }
      }
      _ = try? leaving.send(on: socket)
    }
  }

  /// Where the datagram goes on to; nil: nowhere.
  private static func decide(
    _ bytes: inout [UInt8], from sender: Endpoint, _ memory: DirectoryMemory,
    _ servers: [Endpoint], _ shared: Shared
  ) -> Endpoint? {
    guard let before = try? Message(datagram: bytes).header else { return nil }
    let server = servers.firstIndex(of: sender).map { UInt8($0) }
    let verdict = bytes.withUnsafeMutableBytes {
      memory.handle($0, from: server.map { .server($0) } ?? .client).verdict
    }
    switch verdict {
    case .steer(let server):
      if shared.losses.load(ordering: .acquiring) > 0 {
        shared.losses.subtract(1, ordering: .acquiringAndReleasing)
        return nil
      }
      if var message = try? Message(datagram: bytes), message.header.operation != .copy {
        message.header.returnPath = UInt64(sender.address.ipv4 ?? 0) << 16 | UInt64(sender.port)
        bytes = message.encoded()
      }
      return servers[Int(server)]
    case .answer:
      bytes.removeLast(bytes.count - WireLimits.headerLength)
      return sender
    case .forward:
      return Endpoint(
        IPAddress(ipv4: UInt32(truncatingIfNeeded: before.returnPath >> 16)),
        port: UInt16(truncatingIfNeeded: before.returnPath))
    case .consume, .toController, .drop: return nil
    }
  }
}
