internal import Sockets
internal import Wire

/// Plays a rack's controller just so far that one server serves: it admits it and makes it the home
/// of all slots (docs/protocol.md §6).
struct BareController {
  static let epoch: UInt16 = 1
  static let generation: UInt64 = 1

  private let socket: UDPSocket
  private let server: Endpoint
  private let number: UInt8
  private let poll: EventPoll
  private let batch = DatagramBatch(capacity: 4, datagramLengthMax: 2_048)

  /// `directory`: the address from which the server takes a controller's messages.
  init(
    directory: IPAddress, server: Endpoint, number: UInt8, in namespace: NetworkNamespace? = nil
  ) throws(SocketError) {
    socket = try UDPSocket(bind: Endpoint(directory, port: 0), in: namespace)
    self.server = server
    self.number = number
    poll = try EventPoll()
    try poll.add(socket.descriptor, token: 0)
  }

  /// The server's incarnation; nil: it does not answer (yet).
  func probe() throws(SocketError) -> UInt64? {
    try ask(.probe, incarnation: 0, value: [])?.header.incarnation
  }

  /// False: it does not answer (yet), and is to be asked again.
  func admit(incarnation: UInt64) throws(SocketError) -> Bool {
    let slots = SlotsBody(
      runs: [SlotRun(first: 0, count: UInt16(WireLimits.slots))], keyHashes: [])
    guard try ask(.admit, incarnation: incarnation, value: []) != nil else { return false }
    return try ask(.slotsSet, incarnation: incarnation, value: slots.encoded()) != nil
  }

  private func ask(
    _ operation: Wire.Operation, incarnation: UInt64, value: [UInt8]
  ) throws(SocketError) -> Message? {
    var header = Header(operation)
    header.server = number
    header.incarnation = incarnation
    header.epoch = Self.epoch
    header.generation = Self.generation
    header.sequence = 1
    let question = Message(header, value: value).encoded()
    let isSent = try question.withUnsafeBytesTyped { bytes throws(SocketError) in
      try socket.send(bytes, to: server)
    }
    guard isSent else { return nil }
    try poll.wait(until: MonotonicClock.now + 50_000_000) { _, _ in }
    try batch.receive(from: socket)
    for index in 0..<batch.count {
      guard let answer = try? Message(datagram: batch[index]),
        answer.header.operation.rawValue == operation.rawValue + 1
      else { continue }
      return answer
    }
    return nil
  }
}

extension [UInt8] {
  /// As `withUnsafeBytes`, which forgets the type of an error.
  fileprivate func withUnsafeBytesTyped<Value>(
    _ body: (UnsafeRawBufferPointer) throws(SocketError) -> Value
  ) throws(SocketError) -> Value {
    try withUnsafeBytes { bytes in
      Result { () throws(SocketError) in try body(bytes) }
    }.get()
  }
}
