/// memcached's binary protocol, the client's side.
enum MemcachedBinary {
  static let magic: UInt8 = 0x80
  private static let headerLength = 24

  static func step(
    _ bytes: UnsafeRawBufferPointer, skip: inout Int, _ sink: inout some RequestSink
  ) -> ParserStep {
    guard bytes.count >= headerLength else {
      return bytes.isEmpty || bytes[0] == magic ? .incomplete : .lost
    }
    guard let request = Request(bytes) else { return .lost }
    let head = headerLength + request.extrasLength + request.keyLength
    guard bytes.count >= head else { return .incomplete }
    if request.keyLength > 0, let isRead = request.isRead {
      sink.request(
        key: bytes.part(headerLength + request.extrasLength, request.keyLength), isRead: isRead)
    } else {
      sink.requestWithoutKey()
    }
    skip = request.bodyLength - request.extrasLength - request.keyLength
    return .took(head)
  }

  /// Whether a command stands at the start that one would know in the middle of anything: all
  /// lengths are those of its operation, and another follows if there is room.
  static func isRecognized(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count >= headerLength, let request = Request(bytes), request.isExact else {
      return false
    }
    let end = headerLength + request.bodyLength
    return bytes.count <= end || bytes[end] == magic
  }

  private struct Request {
    var operation: UInt8
    var keyLength: Int
    var extrasLength: Int
    var bodyLength: Int
    private var dataType: UInt8

    /// Nil: its lengths contradict each other.
    init?(_ bytes: UnsafeRawBufferPointer) {
      guard bytes[0] == magic else { return nil }
      operation = bytes[1]
      keyLength = Int(bytes.short(2))
      extrasLength = Int(bytes[4])
      dataType = bytes[5]
      bodyLength = Int(bytes.word(8))
      guard keyLength <= 250, extrasLength <= 32, extrasLength + keyLength <= bodyLength,
        bodyLength <= valueLengthMax
      else { return nil }
    }

    /// Nil: it has no key that counts.
    var isRead: Bool? {
      switch operation {
      // get, getq, getk, getkq, gat, gatq, gatk, gatkq
      case 0x00, 0x09, 0x0c, 0x0d, 0x1d, 0x1e, 0x23, 0x24: true
      // set, add, replace, delete, increment, decrement, append, prepend; quiet ones; touch
      case 0x01...0x06, 0x0e, 0x0f, 0x11...0x16, 0x19, 0x1a, 0x1c: false
      default: nil
      }
    }

    var isExact: Bool {
      guard dataType == 0, isRead != nil, keyLength > 0 else { return false }
      let hasValue =
        switch operation {
        case 0x01...0x03, 0x11...0x13, 0x0e, 0x0f, 0x19, 0x1a: true
        default: false
        }
      return extrasLength == extrasExpected
        && (hasValue || bodyLength == extrasLength + keyLength)
    }

    private var extrasExpected: Int {
      switch operation {
      case 0x01...0x03, 0x11...0x13: 8
      case 0x05, 0x06, 0x15, 0x16: 20
      case 0x1c, 0x1d, 0x1e, 0x23, 0x24: 4
      default: 0
      }
    }
  }
}
