internal import Wire

/// Datagrams, and the bodies of the messages between controller and servers.
enum WireFuzzing {
  private static let kinds = 9

  static func run(_ input: UnsafeRawBufferPointer) {
    message(input)
    // The bodies also by themselves: no datagram needs to be guessed around them.
    guard let kind = input.first else { return }
    body(Int(kind) % Self.kinds, Array(input.dropFirst()))
  }

  /// What is a datagram is written as it was read.
  static func message(_ input: UnsafeRawBufferPointer) {
    guard let message = try? Message(datagram: input) else { return }
    require(message.encoded().elementsEqual(input), "a datagram is written as it was read")
    for kind in 0..<Self.kinds { body(kind, message.value) }
  }

  private static func body(_ kind: Int, _ bytes: [UInt8]) {
    // A body is read back as it was; not byte by byte, for there are reserved ones.
    switch kind {
    case 0:
      guard let body = try? FenceAckBody(decoding: bytes) else { return }
      require((try? FenceAckBody(decoding: body.encoded())) == body, "FENCE_ACK is read back")
    case 1:
      guard let body = try? SyncBody(decoding: bytes) else { return }
      require((try? SyncBody(decoding: body.encoded())) == body, "SYNC is read back")
    case 2:
      guard let body = try? FloorBody(decoding: bytes) else { return }
      require((try? FloorBody(decoding: body.encoded())) == body, "FLOOR is read back")
    case 3:
      guard let body = try? SlotsBody(decoding: bytes) else { return }
      require((try? SlotsBody(decoding: body.encoded())) == body, "SLOTS_SET is read back")
      for part in SlotsBody.parts(runs: body.runs, keyHashes: body.keyHashes) {
        require(part.encoded().count <= WireLimits.bodyLengthMax, "a part fits a datagram")
      }
    case 4:
      guard let body = try? LearnBody(decoding: bytes) else { return }
      require((try? LearnBody(decoding: body.encoded())) == body, "LEARN_ACK is read back")
    case 5:
      guard let body = try? MoveBody(decoding: bytes) else { return }
      require((try? MoveBody(decoding: body.encoded())) == body, "SLOTS_MOVE is read back")
    case 6:
      guard let body = try? MoveAckBody(decoding: bytes) else { return }
      require((try? MoveAckBody(decoding: body.encoded())) == body, "SLOTS_MOVE_ACK is read back")
    case 7:
      guard let body = try? SlotSessionsBody(decoding: bytes) else { return }
      require((try? SlotSessionsBody(decoding: body.encoded())) == body, "SLOT_COPY is read back")
    default:
      guard let body = try? ProbeBody(decoding: bytes) else { return }
      require((try? ProbeBody(decoding: body.encoded())) == body, "PROBE_ACK is read back")
    }
  }
}
