internal import ServerCore
internal import Wire

/// A server that gets datagrams from anyone and orders from the directory.
enum ServerFuzzing {
  private static let incarnation: UInt64 = 4_711
  private static let number: UInt8 = 2

  static func run(_ bytes: UnsafeRawBufferPointer) {
    var input = FuzzInput(bytes)
    var server = ServerCore(
      ServerConfiguration(
        number: number, incarnation: incarnation, hashSeed: 7, sessionsMax: 4, expectedKeys: 8))
    var output = CheckedOutput()
    admit(&server, &output)
    while !input.isEmpty {
      let how = input.byte()
      let datagram =
        how & 32 != 0
        ? moveOrder(&input)
        : how & 1 == 0
          ? input.datagram()
          : input.dressedDatagram(hashSeed: how & 2 == 0 ? 7 : nil) { header in
            header.server = number
            header.incarnation = incarnation
            header.epoch = 1
            if how & 4 == 0 { header.flags.remove(.reply) }
          }
      datagram.withUnsafeBytes { datagram in
        if how & 8 == 0 {
          server.receive(
            datagram, fromDirectory: how & 16 == 0, load: 1, lateness: 2, output: &output)
        } else {
          server.refuseBusy(datagram, load: 1, output: &output)
        }
        _ = ServerCore.service(of: datagram)
        _ = ServerCore.isCopy(datagram)
      }
    }
  }

  /// A step of the move of some slots, to or from here, such as random bytes seldom are.
  private static func moveOrder(_ input: inout FuzzInput) -> [UInt8] {
    let first = input.short() % UInt16(WireLimits.slots)
    let room = UInt16(WireLimits.slots) - first
    let (step, move) = (input.byte(), input.byte())
    var body = MoveBody(
      MoveStep(rawValue: 1 + step % 6) ?? .send, move: 11 + UInt64(move % 4), peer: move >> 5,
      runs: [SlotRun(first: first, count: 1 + input.short() % room)])
    body.credit = UInt16(input.byte())
    body.resendTo = UInt64(input.byte())
    var header = Header(.slotsMove)
    header.server = number
    header.incarnation = incarnation
    header.epoch = 1
    header.generation = body.move + UInt64(step >> 5)
    header.sequence = UInt64(input.byte())
    return Message(header, value: body.encoded()).encoded()
  }

  /// As a controller does it: epoch 1, home of all slots.
  private static func admit(_ server: inout ServerCore, _ output: inout CheckedOutput) {
    let allSlots = SlotRun(first: 0, count: UInt16(WireLimits.slots))
    let orders: [(Operation, [UInt8])] = [
      (.admit, []), (.slotsSet, SlotsBody(runs: [allSlots], keyHashes: []).encoded()),
    ]
    for (operation, value) in orders {
      var header = Header(operation)
      header.server = number
      header.incarnation = incarnation
      header.epoch = 1
      header.generation = 10
      header.sequence = 1
      Message(header, value: value).encoded().withUnsafeBytes {
        server.receive($0, fromDirectory: true, load: 0, lateness: 0, output: &output)
      }
    }
  }
}

/// Sees to it that what a server sends can be read.
private struct CheckedOutput: ServerOutput {
  mutating func send(
    _ header: Header, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer,
    to destination: ServerDestination
  ) {
    let sent = Message(header, key: Array(key), value: Array(value))
    let read = try? Message(datagram: sent.encoded())
    require(read == sent, "a server's \(header.operation) can be read")
    require(
      Int(header.keyLength) == key.count && Int(header.valueLength) == value.count,
      "a server's lengths are those of key and value")
    switch header.operation {
    case .fenceAck where header.status == .ok || header.status == .notFound:
      require((try? FenceAckBody(decoding: sent.value)) != nil, "a FENCE_ACK's body can be read")
    case .slotsMoveAck:
      require((try? MoveAckBody(decoding: sent.value)) != nil, "a SLOTS_MOVE_ACK can be read")
    case .slotCopy where key.isEmpty:
      require((try? SlotSessionsBody(decoding: sent.value)) != nil, "sessions can be read")
    case .probeAck:
      require((try? ProbeBody(decoding: sent.value)) != nil, "a PROBE_ACK's body can be read")
    default: break
    }
  }
}
