/// A log of records in files of a fixed length that are zeroed before they are used, the segments.
/// Records that are appended together are one frame, written and synced at one time, before the next
/// is written: so at most the last frame can be torn. A torn frame is cut off; anything else that is
/// not as it was written is reported, since a log that forgets in silence breaks promises.
///
/// What cannot be told from a torn frame is the last one when its disk lost sectors of it after it
/// had said that they were durable.
///
/// Not thread-safe: it belongs to the thread that writes. `isSpaceLow` may be asked by any.
public final class SegmentLog {
  /// Whose log it is; another's is refused.
  public struct Identity: Sendable, Equatable {
    public var cell: UInt64
    public var node: UInt16

    public init(cell: UInt64, node: UInt16) {
      self.cell = cell
      self.node = node
    }
  }

  public struct Settings: Sendable {
    public var directory: String
    public var identity: Identity
    /// Bytes of a segment, in whole sectors of 512; a longer batch gets a segment of its own size.
    public var segmentLength = 64 << 20
    /// Bytes of records written at one time, unless one record has more.
    public var frameLengthMax = 4 << 20
    /// Runs a piece of work that takes a while (zeroing the next segment), perhaps elsewhere.
    public var inBackground: @Sendable (@escaping @Sendable () -> Void) -> Void = { $0() }

    public init(directory: String, identity: Identity) {
      self.directory = directory
      self.identity = identity
    }
  }

  private let settings: Settings
  private let files: any FileSystem
  private let spare: SpareSegment
  private var frame = FrameBuffer()
  private var file: any File
  private var fileLength: Int
  private var offset: Int
  private var next: (sequence: UInt64, previous: UInt64)
  /// The oldest segment that is there.
  public private(set) var firstSegment: UInt64
  /// The segment that is written to.
  public private(set) var lastSegment: UInt64
  /// Bytes of a torn frame that were cut off when the log was opened; 0: it was whole.
  public private(set) var tornLength = 0

  /// Opens the log in a directory. `first` is the oldest segment that is still needed, as the caller
  /// has noted it; older ones are removed. `record` is given each record, in order; if this throws,
  /// what it was given counts for nothing.
  public init(
    _ settings: Settings, files: any FileSystem = LocalFiles(), first: UInt64,
    _ record: (UnsafeRawBufferPointer) -> Void
  ) throws(SegmentLogError) {
    self.settings = settings
    self.files = files
    spare = SpareSegment(settings, files)
    let opened = try OpenSegments(settings, files: files, first: first, record)
    file = opened.file
    fileLength = opened.fileLength
    offset = opened.offset
    guard let next = opened.next else { throw .damaged("segment \(first) is empty") }
    self.next = next
    firstSegment = first
    lastSegment = opened.last
    tornLength = opened.tornLength
    prepareSpare()
  }

  /// Begins a log in a directory that has none, with segment 1.
  public init(
    beginning settings: Settings, files: any FileSystem = LocalFiles()
  ) throws(SegmentLogError) {
    self.settings = settings
    self.files = files
    spare = SpareSegment(settings, files)
    (firstSegment, lastSegment) = (1, 1)
    next = (1, 0)
    offset = 0
    fileLength = settings.segmentLength
    do {
      try files.makeDirectory(settings.directory)
      let path = settings.directory + "/next"
      file = try SpareSegment.make(path, length: fileLength, files)
    } catch {
      throw SegmentLogError(error)
    }
    guard try OpenSegments.numbers(settings.directory, files).isEmpty else {
      throw .damaged("there are segments where a log is to begin")
    }
    do {
      try writeBeginning()
      try files.rename(
        settings.directory + "/next", to: OpenSegments.path(settings.directory, 1))
      try files.syncDirectory(settings.directory)
    } catch {
      throw SegmentLogError(error)
    }
    prepareSpare()
  }

  /// Writes records; when this returns they are durable. After an error nothing more may be
  /// written: only opening the log again tells what is there.
  public func append(_ batch: LogBatch) throws(SegmentLogError) {
    do {
      try batch.bytes.withUnsafeBufferPointer { bytes throws(FileError) in
        try LogBatch.runs(of: UnsafeRawBufferPointer(bytes), lengthMax: settings.frameLengthMax) {
          run throws(FileError) in
          let length = FrameHeader.sectors(payload: run.count) * Sector.size
          // There is always room for the frame that ends the segment.
          if offset + length + Sector.size > fileLength { try roll(for: length) }
          try write(.records, run)
        }
      }
    } catch {
      throw SegmentLogError(error)
    }
  }

  /// Removes the segments before `segment`, at most those before the one that is written to.
  public func removeSegments(before segment: UInt64) throws(SegmentLogError) {
    guard firstSegment < min(segment, lastSegment) else { return }
    do {
      while firstSegment < min(segment, lastSegment) {
        try files.remove(OpenSegments.path(settings.directory, firstSegment))
        firstSegment += 1
      }
      try files.syncDirectory(settings.directory)
    } catch {
      throw SegmentLogError(error)
    }
  }

  /// Whether the disk had no room for one more segment. Nothing should be accepted then that can be
  /// refused: what has to be written still fits, but not for long.
  public var isSpaceLow: Bool { spare.isSpaceLow }

  /// Has one more segment made, if there is none yet: after there was no room for it.
  public func prepareSpare() {
    guard spare.begin() else { return }
    settings.inBackground { [spare] in spare.make() }
  }

  // MARK: Writing

  private func write(
    _ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer
  ) throws(FileError) {
    let header = FrameHeader(
      kind: kind, sequence: next.sequence, previous: next.previous, payload: payload)
    let bytes = frame.encode(header, payload)
    try file.write(bytes, at: offset)
    try file.sync()
    offset += bytes.count
    next = (next.sequence + 1, header.sum)
  }

  private func writeBeginning() throws(FileError) {
    let beginning = SegmentBeginning(
      identity: settings.identity, segment: lastSegment, length: fileLength)
    try beginning.encoded.withUnsafeBufferPointer { bytes throws(FileError) in
      try write(.begin, UnsafeRawBufferPointer(bytes))
    }
  }

  /// Goes on in a new segment. It is begun before the old one is ended, so that at any moment either
  /// the old one is open and the new one empty, or the old one says that there is a new one.
  private func roll(for length: Int) throws(FileError) {
    let old = (file: file, offset: offset)
    let end = FrameHeader(
      kind: .end, sequence: next.sequence, previous: next.previous,
      payload: UnsafeRawBufferPointer(start: nil, count: 0))
    let needed = length + 2 * Sector.size
    let directory = settings.directory
    var path = directory + "/next"
    if needed <= settings.segmentLength, let spare = spare.take() {
      file = spare
      path = self.spare.path
      fileLength = settings.segmentLength
    } else {
      fileLength = max(needed, settings.segmentLength)
      file = try SpareSegment.make(path, length: fileLength, files)
    }
    lastSegment += 1
    offset = 0
    next = (end.sequence + 1, end.sum)
    try writeBeginning()
    try files.rename(path, to: OpenSegments.path(directory, lastSegment))
    try files.syncDirectory(directory)
    try old.file.write(
      frame.encode(end, UnsafeRawBufferPointer(start: nil, count: 0)), at: old.offset)
    try old.file.sync()
    prepareSpare()
  }
}
