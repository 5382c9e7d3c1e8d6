/// Goes through the frames of one segment, in order. A value over the segment's bytes; pure.
struct SegmentReader {
  enum Item: Equatable {
    case frame(FrameHeader)
    /// Nothing was written after the last frame.
    case end
    /// The write of the last frame was interrupted: it was never synced. Its bytes.
    case torn(Range<Int>)
    /// What is there is not what was written.
    case damaged(String)
  }

  /// The whole file.
  private let bytes: UnsafeRawBufferPointer
  /// Where the next frame begins.
  private(set) var offset = 0
  /// What the next frame has to be; nil: anything, it is the first that is there.
  private(set) var expected: (sequence: UInt64, previous: UInt64)?
  /// Of the frame that was read last.
  private(set) var payload: [UInt8] = []

  init(_ bytes: UnsafeRawBufferPointer, expected: (sequence: UInt64, previous: UInt64)?) {
    self.bytes = bytes
    self.expected = expected
  }

  mutating func next() -> Item {
    guard offset + Sector.size <= bytes.count else { return .end }
    let first = sector(offset)
    if Sector.isZero(first) { return rest() }
    let stream = UnsafeRawBufferPointer(rebasing: first.dropFirst(Sector.tagSize))
    guard let header = FrameHeader(decoding: stream) else {
      return damaged("the header of a frame has changed")
    }
    if let expected, header.sequence != expected.sequence || header.previous != expected.previous {
      return damaged("frame \(header.sequence) does not follow from the one before")
    }
    guard Sector.tag(of: first) == Sector.tag(header.sequence) else {
      return damaged("the tag of a sector has changed")
    }
    let end = offset + FrameHeader.sectors(payload: Int(header.length)) * Sector.size
    guard end <= bytes.count else { return damaged("a frame is longer than its segment") }
    switch readPayload(header, end) {
    case .whole: break
    case .torn:
      return isZero(from: end)
        ? .torn(offset..<end) : damaged("a part of a frame is missing, and others follow it")
    case .changed: return damaged("the contents of frame \(header.sequence) have changed")
    }
    expected = (header.sequence + 1, header.sum)
    offset = end
    return .frame(header)
  }

  private enum PayloadState { case whole, torn, changed }

  private mutating func readPayload(_ header: FrameHeader, _ end: Int) -> PayloadState {
    payload.removeAll(keepingCapacity: true)
    payload.reserveCapacity(Int(header.length))
    let tag = Sector.tag(header.sequence)
    var isTorn = false
    for start in stride(from: offset, to: end, by: Sector.size) {
      let sector = sector(start)
      if Sector.tag(of: sector) != tag {
        guard Sector.isZero(sector) else { return .changed }
        isTorn = true
      }
      let skipped = Sector.tagSize + (start == offset ? FrameHeader.size : 0)
      let count = min(Sector.size - skipped, Int(header.length) - payload.count)
      payload.append(contentsOf: sector[skipped..<skipped + count])
      // After the last byte there is nothing.
      if sector[(skipped + count)...].contains(where: { $0 != 0 }) { return .changed }
    }
    if isTorn { return .torn }
    return payload.withUnsafeBytes(FrameHeader.sum) == header.payloadSum ? .whole : .changed
  }

  /// The next frame's first sector is zero: nothing was written, or only later sectors of it were.
  private func rest() -> Item {
    var end = offset
    for start in stride(from: offset, to: bytes.count, by: Sector.size) {
      let sector = sector(start)
      if Sector.isZero(sector) { continue }
      guard let expected, Sector.tag(of: sector) == Sector.tag(expected.sequence) else {
        return damaged("a frame is missing, and others follow it")
      }
      end = start + Sector.size
    }
    return end == offset ? .end : .torn(offset..<end)
  }

  private func isZero(from start: Int) -> Bool {
    stride(from: start, to: bytes.count, by: Sector.size).allSatisfy { Sector.isZero(sector($0)) }
  }

  private func sector(_ start: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: bytes[start..<start + Sector.size])
  }

  private func damaged(_ what: String) -> Item { .damaged("\(what) (byte \(offset))") }
}
