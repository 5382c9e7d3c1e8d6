/// Records that are to be written together, encoded. Its memory is kept when it is emptied.
public struct LogBatch: Sendable {
  /// Each with its length before it.
  private(set) var bytes: [UInt8] = []
  public private(set) var count = 0

  public init() {}

  public var isEmpty: Bool { count == 0 }
  /// Bytes that it will take, without the overhead of frames.
  public var length: Int { bytes.count }

  static let lengthSize = 4

  /// Adds the record that `write` appends to the bytes it is given, and must not change otherwise.
  public mutating func add(_ write: (inout [UInt8]) -> Void) {
    let start = bytes.count
    bytes.append(contentsOf: repeatElement(0, count: Self.lengthSize))
    write(&bytes)
    let length = UInt32(bytes.count - start - Self.lengthSize)
    for index in 0..<Self.lengthSize {
      bytes[start + index] = UInt8(truncatingIfNeeded: length >> UInt32(8 * index))
    }
    count += 1
  }

  public mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    count = 0
  }

  /// Cuts encoded records into runs of at most `lengthMax` bytes each, or of one record that is
  /// longer.
  static func runs<Failure: Error>(
    of bytes: UnsafeRawBufferPointer, lengthMax: Int,
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    var start = 0
    var end = 0
    while end < bytes.count {
      let next = end + lengthSize + recordLength(bytes, at: end)
      if next - start > lengthMax, end > start {
        try body(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
        start = end
      }
      end = next
    }
    if end > start { try body(UnsafeRawBufferPointer(rebasing: bytes[start..<end])) }
  }

  /// Gives each record of a run to `body`. False: the lengths do not add up.
  static func records(
    of bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void
  ) -> Bool {
    var start = 0
    while start < bytes.count {
      guard bytes.count - start >= lengthSize else { return false }
      let length = recordLength(bytes, at: start)
      start += lengthSize
      guard bytes.count - start >= length else { return false }
      body(UnsafeRawBufferPointer(rebasing: bytes[start..<start + length]))
      start += length
    }
    return true
  }

  private static func recordLength(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Int {
    Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
  }
}
