internal import Sockets

/// memcached's text protocol over UDP (doc/protocol.txt of memcached): an eight-byte frame header of
/// request id, datagram number, number of datagrams and zero, then the command.
package struct MemcachedDialect: LoadDialect {
  static let numberMask: UInt64 = 0xffff
  private static let frameLength = 8

  private let material: LoadMaterial
  private let get = Bytes("get ")
  private let set = Bytes("set ")
  private let end = Bytes("\r\n")
  private let value = Bytes("VALUE ")
  private let stored = Bytes("STORED\r\n")
  /// Between the key and the value, of a `set` and of the answer to a `get`.
  private let settings: Bytes
  private let finish = Bytes("\r\nEND\r\n")

  package init(_ material: LoadMaterial) {
    self.material = material
    settings = Bytes(" 0 0 \(material.value.count)\r\n")
    answerSettings = Bytes(" 0 \(material.value.count)\r\n")
  }
  private let answerSettings: Bytes

  mutating func encode(
    _ request: ClosedRequest, lane: Int, oldest: UInt64, into room: UnsafeMutableRawBufferPointer
  ) -> Int {
    room.storeBytes(of: UInt16(truncatingIfNeeded: request.number).bigEndian, as: UInt16.self)
    room.storeBytes(of: 0, toByteOffset: 2, as: UInt16.self)
    room.storeBytes(of: UInt16(1).bigEndian, toByteOffset: 4, as: UInt16.self)
    room.storeBytes(of: 0, toByteOffset: 6, as: UInt16.self)
    var length = Self.frameLength
    switch request.operation {
    case .get:
      room.copy(get.all, to: &length)
      room.copy(material[request.key], to: &length)
      room.copy(end.all, to: &length)
    case .set:
      room.copy(set.all, to: &length)
      room.copy(material[request.key], to: &length)
      room.copy(settings.all, to: &length)
      room.copy(material.value, to: &length)
      room.copy(end.all, to: &length)
    }
    return length
  }

  package mutating func decode(_ datagram: UnsafeRawBufferPointer) -> UInt64? {
    guard datagram.count > Self.frameLength else { return nil }
    // An answer in several datagrams is not one that this load asks for.
    guard UInt16(bigEndian: datagram.loadUnaligned(fromByteOffset: 4, as: UInt16.self)) == 1 else {
      return nil
    }
    return UInt64(UInt16(bigEndian: datagram.loadUnaligned(as: UInt16.self)))
  }

  func number(of reply: UInt64) -> UInt64 { reply }

  package func isRight(
    _ reply: UInt64, _ datagram: UnsafeRawBufferPointer, to request: ClosedRequest
  ) -> Bool {
    guard request.operation == .get else {
      return datagram.holds(stored.all, at: Self.frameLength, isLast: true)
    }
    var offset = Self.frameLength
    for part in [value.all, material[request.key], answerSettings.all, material.value] {
      guard datagram.holds(part, at: offset) else { return false }
      offset += part.count
    }
    return datagram.holds(finish.all, at: offset, isLast: true)
  }
}

/// Text at a fixed address.
private final class Bytes {
  let all: UnsafeRawBufferPointer

  init(_ text: String) {
    let bytes = UnsafeMutableRawBufferPointer.allocate(
      byteCount: text.utf8.count, alignment: 1)
    bytes.copyBytes(from: text.utf8)
    all = UnsafeRawBufferPointer(bytes)
  }

  deinit { all.deallocate() }
}

/// Asks a memcached whether it is there.
struct MemcachedPing {
  private let socket: UDPSocket
  private let poll: EventPoll
  private let question = DatagramBatch(capacity: 1, datagramLengthMax: 64)
  private let answer = DatagramBatch(capacity: 1, datagramLengthMax: 64)

  init(_ endpoint: Endpoint) throws(SocketError) {
    socket = try UDPSocket(connect: endpoint)
    poll = try EventPoll()
    try poll.add(socket.descriptor, token: 0)
  }

  /// Asks once, and waits a little.
  func isAnswered() throws(SocketError) -> Bool {
    question.append { room in
      let bytes = [0, 1, 0, 0, 0, 1, 0, 0] + Array("version\r\n".utf8)
      room.copyBytes(from: bytes)
      return bytes.count
    }
    try question.send(on: socket)
    try poll.wait(until: MonotonicClock.now + 50_000_000) { _, _ in }
    return try answer.receive(from: socket) > 0
  }
}
