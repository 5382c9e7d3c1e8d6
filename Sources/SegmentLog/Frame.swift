internal import CXXHash

/// What is written and synced at one time. On the disk it is cut into sectors of 512 bytes, each of
/// which begins with a tag that is never 0 and names the frame. Files are zeroed before they are
/// used, and disks write sectors whole: so of a frame whose write was interrupted each sector is
/// either as it was written or all zero, and that can be told from any other damage.
struct FrameHeader: Equatable {
  enum Kind: UInt32 {
    /// The first of a segment.
    case begin = 1
    case records = 2
    /// The last of a segment: the next one exists.
    case end = 3
  }

  var kind: Kind
  /// Bytes that follow the header.
  var length: UInt32
  /// Frames are numbered from 1, over all segments.
  var sequence: UInt64
  /// The sum of the frame before.
  var previous: UInt64
  var payloadSum: UInt64
  /// Of all of the above, so of the payload as well.
  private(set) var sum: UInt64 = 0

  static let size = 48
  private static let magic: UInt32 = 0x3154_4f56  // "VOT1"

  /// Where `size` bytes of stream end in a file that starts at a sector.
  static func sectors(payload: Int) -> Int {
    (size + payload + Sector.room - 1) / Sector.room
  }

  init(kind: Kind, sequence: UInt64, previous: UInt64, payload: UnsafeRawBufferPointer) {
    self.kind = kind
    length = UInt32(payload.count)
    self.sequence = sequence
    self.previous = previous
    payloadSum = Self.sum(of: payload)
    sum = withEncoded { Self.sum(of: UnsafeRawBufferPointer(rebasing: $0.dropLast(8))) }
  }

  /// Nil: this is no header, or one that has changed.
  init?(decoding bytes: UnsafeRawBufferPointer) {
    func word(_ offset: Int) -> UInt32 {
      UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    func long(_ offset: Int) -> UInt64 {
      UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    guard bytes.count >= Self.size, word(0) == Self.magic, let kind = Kind(rawValue: word(4)),
      long(40) == Self.sum(of: UnsafeRawBufferPointer(rebasing: bytes.prefix(40)))
    else { return nil }
    self.kind = kind
    length = word(8)
    sequence = long(16)
    previous = long(24)
    payloadSum = long(32)
    sum = long(40)
  }

  func withEncoded<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    withUnsafeTemporaryAllocation(byteCount: Self.size, alignment: 8) { bytes in
      func store(_ number: UInt32, _ offset: Int) {
        bytes.storeBytes(of: number.littleEndian, toByteOffset: offset, as: UInt32.self)
      }
      func store(_ number: UInt64, _ offset: Int) {
        bytes.storeBytes(of: number.littleEndian, toByteOffset: offset, as: UInt64.self)
      }
      store(Self.magic, 0)
      store(kind.rawValue, 4)
      store(length, 8)
      store(0 as UInt32, 12)
      store(sequence, 16)
      store(previous, 24)
      store(payloadSum, 32)
      store(sum, 40)
      return body(UnsafeRawBufferPointer(bytes))
    }
  }

  static func sum(of bytes: UnsafeRawBufferPointer) -> UInt64 {
    XXH3_64bits(bytes.baseAddress, bytes.count)
  }
}

/// The unit that a disk writes whole.
enum Sector {
  static let size = 512
  static let tagSize = 4
  /// Bytes of a frame in a sector.
  static let room = size - tagSize

  static func tag(_ sequence: UInt64) -> UInt32 {
    UInt32(truncatingIfNeeded: sequence % 0xffff_ffff) + 1
  }

  static func tag(of sector: UnsafeRawBufferPointer) -> UInt32 {
    UInt32(littleEndian: sector.loadUnaligned(as: UInt32.self))
  }

  static func isZero(_ sector: UnsafeRawBufferPointer) -> Bool {
    for offset in stride(from: 0, to: sector.count, by: 8)
    where sector.loadUnaligned(fromByteOffset: offset, as: UInt64.self) != 0 { return false }
    return true
  }
}

/// A frame as it lies in its file. Its memory is used again for the next.
struct FrameBuffer: ~Copyable {
  private var memory: UnsafeMutableRawBufferPointer

  init() { memory = .allocate(byteCount: 64 * 1024, alignment: 4096) }

  deinit { memory.deallocate() }

  /// The sectors of a frame; valid until the next call.
  mutating func encode(
    _ header: FrameHeader, _ payload: UnsafeRawBufferPointer
  ) -> UnsafeRawBufferPointer {
    let length = FrameHeader.sectors(payload: payload.count) * Sector.size
    if memory.count < length {
      memory.deallocate()
      memory = .allocate(byteCount: length + length / 2, alignment: 4096)
    }
    let tag = Sector.tag(header.sequence).littleEndian
    var taken = 0
    for sector in stride(from: 0, to: length, by: Sector.size) {
      memory.storeBytes(of: tag, toByteOffset: sector, as: UInt32.self)
      var start = sector + Sector.tagSize
      if sector == 0 {
        header.withEncoded { memory.copyBytes($0, at: start) }
        start += FrameHeader.size
      }
      let count = min(sector + Sector.size - start, payload.count - taken)
      memory.copyBytes(
        UnsafeRawBufferPointer(rebasing: payload[taken..<taken + count]), at: start)
      taken += count
      let rest = start + count..<sector + Sector.size
      UnsafeMutableRawBufferPointer(rebasing: memory[rest]).initializeMemory(
        as: UInt8.self, repeating: 0)
    }
    return UnsafeRawBufferPointer(rebasing: memory[..<length])
  }
}

extension UnsafeMutableRawBufferPointer {
  fileprivate func copyBytes(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
    UnsafeMutableRawBufferPointer(rebasing: self[offset..<offset + bytes.count]).copyMemory(
      from: bytes)
  }
}
