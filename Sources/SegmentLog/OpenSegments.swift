/// The first frame of a segment says what it is.
struct SegmentBeginning: Equatable {
  var identity: SegmentLog.Identity
  var segment: UInt64
  var length: UInt64

  private static let version: UInt64 = 1

  init(identity: SegmentLog.Identity, segment: UInt64, length: Int) {
    self.identity = identity
    self.segment = segment
    self.length = UInt64(length)
  }

  init?(decoding bytes: [UInt8]) {
    guard bytes.count == 40 else { return nil }
    let words = stride(from: 0, to: 40, by: 8).map { start in
      bytes[start..<start + 8].reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
    }
    guard words[0] == Self.version, let node = UInt16(exactly: words[2]) else { return nil }
    identity = .init(cell: words[1], node: node)
    segment = words[3]
    length = words[4]
  }

  var encoded: [UInt8] {
    [Self.version, identity.cell, UInt64(identity.node), segment, length].flatMap { word in
      (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) }
    }
  }
}

/// What opening the segments of a log has found, and where writing goes on.
struct OpenSegments {
  private let directory: String
  private let identity: SegmentLog.Identity
  private let files: any FileSystem
  private(set) var file: any File
  private(set) var fileLength = 0
  private(set) var offset = 0
  /// What the next frame has to say.
  private(set) var next: (sequence: UInt64, previous: UInt64)?
  private(set) var last: UInt64
  private(set) var tornLength = 0

  /// How a segment ends.
  private enum End {
    /// The next one was begun.
    case sealed
    case open(torn: Range<Int>?)
  }

  /// Reads all segments from `first` on; those before it are removed.
  init(
    _ settings: SegmentLog.Settings, files: any FileSystem, first: UInt64,
    _ record: (UnsafeRawBufferPointer) -> Void
  ) throws(SegmentLogError) {
    directory = settings.directory
    identity = settings.identity
    self.files = files
    last = first
    let numbers = try Self.numbers(directory, files)
    guard numbers.contains(first) else { throw .damaged("segment \(first) is missing") }
    file = try Self.open(directory, first, files)
    for old in numbers where old < first { try remove(old) }
    while true {
      let end = try read(record)
      let hasNext = numbers.contains(last + 1)
      if case .open(let torn) = end {
        if hasNext { try dropBegun(last + 1, torn: torn, numbers) }
        try finish(torn)
        return
      }
      guard hasNext else { throw .damaged("segment \(last + 1) is missing") }
      last += 1
      file = try Self.open(directory, last, files)
    }
  }

  static func path(_ directory: String, _ segment: UInt64) -> String {
    let digits = String(segment, radix: 16)
    return directory + "/" + String(repeating: "0", count: 16 - digits.count) + digits + suffix
  }

  private static let suffix = ".segment"

  static func numbers(
    _ directory: String, _ files: any FileSystem
  ) throws(SegmentLogError) -> [UInt64] {
    let names: [String]
    do { names = try files.names(in: directory) } catch {
      guard error.reason == .notFound else { throw SegmentLogError(error) }
      return []
    }
    return names.compactMap { name in
      name.hasSuffix(suffix) ? UInt64(name.dropLast(suffix.count), radix: 16) : nil
    }.sorted()
  }

  private static func open(
    _ directory: String, _ segment: UInt64, _ files: any FileSystem
  ) throws(SegmentLogError) -> any File {
    do { return try files.open(path(directory, segment), creating: false) } catch {
      throw SegmentLogError(error)
    }
  }

  private func remove(_ segment: UInt64) throws(SegmentLogError) {
    do {
      try files.remove(Self.path(directory, segment))
      try files.syncDirectory(directory)
    } catch {
      throw SegmentLogError(error)
    }
  }

  /// Reads the segment `last`.
  private mutating func read(
    _ record: (UnsafeRawBufferPointer) -> Void
  ) throws(SegmentLogError) -> End {
    let memory = try load(file)
    defer { memory.deallocate() }
    fileLength = memory.count
    var reader = SegmentReader(UnsafeRawBufferPointer(memory), expected: next)
    try checkBeginning(&reader)
    defer {
      offset = reader.offset
      next = reader.expected
    }
    while true {
      switch reader.next() {
      case .frame(let header) where header.kind == .records:
        let isWhole = reader.payload.withUnsafeBytes { LogBatch.records(of: $0, record) }
        guard isWhole else { throw damaged("the records of a frame do not add up") }
      case .frame(let header) where header.kind == .end: return .sealed
      case .frame: throw damaged("a segment begins within another")
      case .end: return .open(torn: nil)
      case .torn(let range): return .open(torn: range)
      case .damaged(let what): throw damaged(what)
      }
    }
  }

  private func load(_ file: any File) throws(SegmentLogError) -> UnsafeMutableRawBufferPointer {
    // What cannot be read is as good as gone.
    let length: Int
    do { length = try file.length() } catch { throw damaged("\(error)") }
    guard length > 0, length % Sector.size == 0 else { throw damaged("its length has changed") }
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: length, alignment: 4096)
    var problem: String?
    do {
      if try file.read(at: 0, into: memory) != length { problem = "its length has changed" }
    } catch {
      problem = "\(error)"
    }
    guard let problem else { return memory }
    memory.deallocate()
    throw damaged(problem)
  }

  private func checkBeginning(_ reader: inout SegmentReader) throws(SegmentLogError) {
    let item = reader.next()
    if case .damaged(let what) = item { throw damaged(what) }
    guard case .frame(let header) = item, header.kind == .begin,
      let beginning = SegmentBeginning(decoding: reader.payload)
    else { throw damaged("its beginning is missing") }
    guard beginning.identity == identity else { throw .foreign(beginning.identity) }
    guard beginning.segment == last, beginning.length == fileLength else {
      throw damaged("its number or length has changed")
    }
  }

  /// A segment was begun, but the one before was not ended: that was interrupted. It has nothing
  /// in it, and goes.
  private func dropBegun(
    _ segment: UInt64, torn: Range<Int>?, _ numbers: [UInt64]
  ) throws(SegmentLogError) {
    let next = try Self.open(directory, segment, files)
    let memory = try load(next)
    defer { memory.deallocate() }
    var reader = SegmentReader(UnsafeRawBufferPointer(memory), expected: nil)
    guard torn == nil, numbers.last == segment, case .frame(let header) = reader.next(),
      header.kind == .begin, reader.next() == .end
    else { throw damaged("its end is missing") }
    try remove(segment)
  }

  /// Makes the segment `last` ready for more.
  private mutating func finish(_ torn: Range<Int>?) throws(SegmentLogError) {
    do {
      if let torn {
        tornLength = torn.count
        try [UInt8](repeating: 0, count: torn.count).withUnsafeBufferPointer {
          bytes throws(FileError) in
          try file.write(UnsafeRawBufferPointer(bytes), at: torn.lowerBound)
        }
      }
      // A process that was killed may have written what was not synced, and we have read it.
      try file.sync()
    } catch {
      throw SegmentLogError(error)
    }
  }

  private func damaged(_ what: String) -> SegmentLogError {
    .damaged("segment \(last): \(what)")
  }
}
