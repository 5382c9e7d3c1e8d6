internal import Directory
internal import Sockets
internal import Wire

/// A directory in user space, as the baseline of `bench forwarder`: one socket on the directory host
/// through which all datagrams of a rack pass, both ways, in batches. What it decides and stamps is
/// the data plane's own text on the host (`DirectoryMemory.handle`).
final class UserSpaceForwarder {
  private let socket: UDPSocket
  private let memory: DirectoryMemory
  /// Where the servers listen, by number. The last byte of an address tells the number.
  private let servers: [Endpoint]
  private let stop: WakeUp
  private let poll: EventPoll
  private let arrived = DatagramBatch(
    capacity: batchLength, datagramLengthMax: WireLimits.datagramLengthMax)
  private let leaving: DatagramBatch

  private static let batchLength = 64
  /// The header's field for the way back, which servers echo (docs/protocol.md §2).
  private static let returnPath = 40

  /// `incarnations`: of the servers, by number. `joinsDatagrams`: as in `DatagramBatch`.
  init(
    at endpoint: Endpoint, in namespace: NetworkNamespace?, servers: [Endpoint],
    incarnations: [UInt64], joinsDatagrams: Bool, stop: WakeUp
  ) throws(SocketError) {
    socket = try UDPSocket(bind: endpoint, bufferLength: 16 << 20, in: namespace)
    self.servers = servers
    self.stop = stop
    memory = Self.directory(incarnations)
    leaving = DatagramBatch(
      capacity: Self.batchLength, datagramLengthMax: WireLimits.datagramLengthMax,
      joinsDatagrams: joinsDatagrams)
    poll = try EventPoll()
    try poll.add(socket.descriptor, token: 0)
    try poll.add(stop.descriptor, token: 1)
  }

  /// Forwards until it is told to stop, or a socket fails.
  func run() {
    var isStopping = false
    while !isStopping {
      do throws(SocketError) {
        try poll.wait(until: nil) { token, _ in isStopping = isStopping || token == 1 }
        while try arrived.receive(from: socket) > 0 {
          for index in 0..<arrived.count {
            // The batch owns the bytes; they are stamped where they are.
            forward(
              UnsafeMutableRawBufferPointer(mutating: arrived[index]), from: arrived.sender(index))
          }
          while !leaving.isEmpty { try leaving.send(on: socket) }
        }
      } catch {
        return
      }
    }
  }

  private func forward(_ datagram: UnsafeMutableRawBufferPointer, from sender: Endpoint) {
    guard datagram.count >= WireLimits.headerLength else { return }
    let server = Int(sender.address.ipv4 ?? 0) - Int(servers[0].address.ipv4 ?? 0)
    guard servers.indices.contains(server), sender == servers[server] else {
      steer(datagram, from: sender)
      return
    }
    let back = UInt64(
      bigEndian: datagram.loadUnaligned(fromByteOffset: Self.returnPath, as: UInt64.self))
    guard case .forward = memory.handle(datagram, from: .server(UInt8(server))).verdict else {
      return
    }
    leaving.append(
      UnsafeRawBufferPointer(datagram),
      to: Endpoint(
        IPAddress(ipv4: UInt32(truncatingIfNeeded: back >> 16)),
        port: UInt16(truncatingIfNeeded: back)))
  }

  private func steer(_ datagram: UnsafeMutableRawBufferPointer, from client: Endpoint) {
    switch memory.handle(datagram, from: .client).verdict {
    case .steer(let server):
      let back = UInt64(client.address.ipv4 ?? 0) << 16 | UInt64(client.port)
      datagram.storeBytes(of: back.bigEndian, toByteOffset: Self.returnPath, as: UInt64.self)
      leaving.append(UnsafeRawBufferPointer(datagram), to: servers[Int(server)])
    case .answer:
      leaving.append(
        UnsafeRawBufferPointer(rebasing: datagram[..<WireLimits.headerLength]), to: client)
    case .forward, .consume, .toController, .drop: break
    }
  }

  /// The same slots as a rack's controller gives out: each server is home of an equal share.
  private static func directory(_ incarnations: [UInt64]) -> DirectoryMemory {
    let memory = DirectoryMemory(buckets: 4_096)
    let count = incarnations.count
    memory.apply(
      .begin(
        epoch: BareController.epoch, serverCount: UInt32(count),
        nextVersion: Version.first(ofEpoch: BareController.epoch), window: 1 << 30))
    for (number, incarnation) in incarnations.enumerated() {
      memory.apply(
        .setServer(
          UInt8(number),
          ServerPlace(
            incarnation: incarnation, interface: 1, port: 1, mac: Array(repeating: 0, count: 6),
            address: Array(repeating: 0, count: 16))))
      let first = number * WireLimits.slots / count
      let last = (number + 1) * WireLimits.slots / count
      memory.apply(
        .setSlots(
          first: UInt16(first), count: UInt16(last - first), home: UInt8(number), moving: false))
    }
    memory.apply(.setAlive(UInt32(truncatingIfNeeded: 1 << count - 1)))
    memory.apply(.setGeneration(BareController.generation))
    memory.apply(.setServing(true))
    return memory
  }
}
