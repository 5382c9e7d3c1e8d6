internal import SegmentLog

/// A log of votes in files of which some bytes are changed, or whose end is cut or zeroed.
enum StoreLogFuzzing {
  static func run(_ bytes: UnsafeRawBufferPointer) {
    var input = FuzzInput(bytes)
    let files = MemoryFiles()
    var settings = SegmentLog.Settings(directory: "d", identity: .init(cell: 1, node: 2))
    settings.segmentLength = 4_096
    guard let log = try? SegmentLog(beginning: settings, files: files) else {
      return require(false, "a log can begin")
    }
    var written: [[UInt8]] = []
    for _ in 0..<input.byte() % 16 {
      var batch = LogBatch()
      for _ in 0..<1 + input.byte() % 3 {
        let record = [UInt8](repeating: UInt8(written.count), count: 1 + Int(input.byte()) * 4)
        batch.add { $0 += record }
        written.append(record)
      }
      require((try? log.append(batch)) != nil, "records can be appended")
    }
    read(settings, files, written) { require($0 == written, "all that was written is read") }
    while !input.isEmpty { files.change(&input) }
    // It may be refused. What is read is what was written, from the start.
    read(settings, files, written) { records in
      require(written.starts(with: records), "nothing is read that was not written")
    }
  }

  private static func read(
    _ settings: SegmentLog.Settings, _ files: MemoryFiles, _ written: [[UInt8]],
    _ check: ([[UInt8]]) -> Void
  ) {
    var records: [[UInt8]] = []
    let copy = files.copy()
    if (try? SegmentLog(settings, files: copy, first: 1, { records.append(Array($0)) })) != nil {
      check(records)
    }
  }
}

/// Files in memory.
private final class MemoryFiles: FileSystem, @unchecked Sendable {
  // Unchecked: a fuzzer has one thread.
  private var contents: [(name: String, file: MemoryFile)] = []

  func copy() -> MemoryFiles {
    let copy = MemoryFiles()
    copy.contents = contents.map { ($0.name, MemoryFile($0.file.bytes)) }
    return copy
  }

  func change(_ input: inout FuzzInput) {
    let file = contents[Int(input.byte()) % contents.count].file
    let place = Int(input.short())
    guard !file.bytes.isEmpty else { return }
    let from = place % file.bytes.count
    switch input.byte() {
    case 0...99: file.bytes[from] ^= 1 << (input.byte() & 7)
    case 100...149: file.bytes.removeSubrange(from...)
    case 150...199: for index in from..<file.bytes.count { file.bytes[index] = 0 }
    default:
      let end = min(file.bytes.count, from + 512)
      for index in from..<end { file.bytes[index] = 0 }
    }
  }

  func makeDirectory(_ path: String) {}
  func names(in directory: String) -> [String] {
    contents.map { String($0.name.split(separator: "/").last ?? "") }
  }

  func open(_ path: String, creating: Bool) throws(FileError) -> any File {
    if let found = contents.first(where: { $0.name == path }) {
      if creating { found.file.bytes = [] }
      return found.file
    }
    guard creating else {
      throw FileError(.notFound, doing: "open \(path)", words: "it is not there")
    }
    let file = MemoryFile([])
    contents.append((path, file))
    return file
  }

  func rename(_ path: String, to newPath: String) throws(FileError) {
    guard let index = contents.firstIndex(where: { $0.name == path }) else {
      throw FileError(.notFound, doing: "rename \(path)", words: "it is not there")
    }
    contents[index].name = newPath
    contents = contents.enumerated().filter { $0.element.name != newPath || $0.offset == index }
      .map(\.element)
  }

  func remove(_ path: String) { contents.removeAll { $0.name == path } }
  func syncDirectory(_ path: String) {}
}

private final class MemoryFile: File, @unchecked Sendable {
  var bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  func length() -> Int { bytes.count }

  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    let count = max(0, min(buffer.count, bytes.count - offset))
    if count > 0 { buffer.copyBytes(from: bytes[offset..<offset + count]) }
    return count
  }

  func write(_ new: UnsafeRawBufferPointer, at offset: Int) {
    if bytes.count < offset + new.count {
      bytes += [UInt8](repeating: 0, count: offset + new.count - bytes.count)
    }
    bytes.replaceSubrange(offset..<offset + new.count, with: new)
  }

  func sync() {}
}
