internal import ClientCore
internal import Glibc
internal import HotrackClient
internal import Sockets
internal import Wire

/// The rack's protocol, as a client speaks it to a directory; or, stamped, as the directory speaks
/// it to a server.
struct RackDialect: LoadDialect {
  /// What a directory would fill in.
  struct Stamp {
    var server: UInt8
    var incarnation: UInt64
    var epoch: UInt16
    var generation: UInt64
  }

  static let numberMask = UInt64.max

  private let material: LoadMaterial
  private let stamp: Stamp?
  private let clients: [UInt64]
  private let hashes: [UInt64]
  /// Of the next stamped write.
  private var version: UInt64 = 0
  /// The newest that a reply has told; what a client has to repeat.
  private(set) var knownGeneration: UInt64

  /// `stamp`: nil if there is a directory that does it. `generation`: what clients know at the start.
  init(
    _ material: LoadMaterial, lanes: Int, hashSeed: UInt64 = 0, stamp: Stamp? = nil,
    generation: UInt64
  ) {
    self.material = material
    self.stamp = stamp
    clients = (0..<lanes).map { _ in ClientIdentity.fresh() }
    hashes = (0..<material.count).map { KeyHash.of(material[$0], seed: hashSeed) }
    knownGeneration = generation
    if let stamp { version = Version.first(ofEpoch: stamp.epoch) }
  }

  mutating func encode(
    _ request: ClosedRequest, lane: Int, oldest: UInt64, into room: UnsafeMutableRawBufferPointer
  ) -> Int {
    let isWrite = request.operation == .set
    var header = Header(isWrite ? .set : .get)
    header.client = clients[lane]
    header.sequence = request.number
    header.acknowledged = oldest
    header.keyHash = hashes[request.key]
    header.firstGeneration = knownGeneration
    header.knownGeneration = knownGeneration
    header.keyLength = UInt16(material.keyLength)
    header.valueLength = isWrite ? UInt16(material.value.count) : 0
    if let stamp {
      header.server = stamp.server
      header.incarnation = stamp.incarnation
      header.epoch = stamp.epoch
      header.generation = stamp.generation
      if isWrite {
        version += 1
        header.version = version
      }
    }
    header.encode(into: room)
    var end = WireLimits.headerLength
    room.copy(material[request.key], to: &end)
    if isWrite { room.copy(material.value, to: &end) }
    return end
  }

  mutating func decode(_ datagram: UnsafeRawBufferPointer) -> Header? {
    guard let header = try? Header(datagram: datagram), header.flags.contains(.reply) else {
      return nil
    }
    knownGeneration = max(knownGeneration, header.generation)
    return header
  }

  func number(of reply: Header) -> UInt64 { reply.sequence }

  func isRight(
    _ reply: Header, _ datagram: UnsafeRawBufferPointer, to request: ClosedRequest
  ) -> Bool {
    guard reply.status == .ok, reply.keyHash == hashes[request.key] else { return false }
    guard request.operation == .get else { return reply.operation == .set }
    return reply.operation == .get
      && datagram.holds(
        material.value, at: WireLimits.headerLength + Int(reply.keyLength), isLast: true)
  }
}

extension RackDialect {
  /// Asks a rack for its generation, for a second; nil: it does not answer.
  static func generation(
    of rack: Endpoint, in namespace: NetworkNamespace?
  ) throws(SocketError) -> UInt64? {
    let socket = try UDPSocket(connect: rack, in: namespace)
    let poll = try EventPoll()
    try poll.add(socket.descriptor, token: 0)
    let (question, answer) = (
      DatagramBatch(capacity: 1, datagramLengthMax: WireLimits.headerLength),
      DatagramBatch(capacity: 1, datagramLengthMax: WireLimits.datagramLengthMax)
    )
    var header = Header(.hello)
    header.client = ClientIdentity.fresh()
    header.sequence = 1
    header.acknowledged = 1
    for _ in 0..<200 {
      question.append { room in
        header.encode(into: room)
        return WireLimits.headerLength
      }
      try question.send(on: socket)
      try poll.wait(until: MonotonicClock.now + 50_000_000) { _, _ in }
      try answer.receive(from: socket)
      if answer.count == 1, let reply = try? Header(datagram: answer[0]), reply.status == .ok {
        return reply.generation
      }
    }
    return nil
  }
}

extension UnsafeMutableRawBufferPointer {
  /// Copies `bytes` to the place `end`, behind which it then stands.
  func copy(_ bytes: UnsafeRawBufferPointer, to end: inout Int) {
    precondition(end + bytes.count <= count)
    if let source = bytes.baseAddress, let start = baseAddress {
      (start + end).copyMemory(from: source, byteCount: bytes.count)
    }
    end += bytes.count
  }
}

extension UnsafeRawBufferPointer {
  /// Whether these bytes are at `offset`, and (`isLast`) nothing behind them.
  func holds(_ bytes: UnsafeRawBufferPointer, at offset: Int, isLast: Bool = false) -> Bool {
    guard isLast ? offset + bytes.count == count : offset + bytes.count <= count else {
      return false
    }
    guard let start = baseAddress, let other = bytes.baseAddress else { return bytes.isEmpty }
    return memcmp(start + offset, other, bytes.count) == 0
  }
}
