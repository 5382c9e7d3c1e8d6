extension SegmentLog {
  /// Looks whether a segment that is not written to any more is as it was written. May be called on any
  /// thread while the log is used. Returns the frames that it has; nil: it is not there (any more).
  /// - Throws: `.damaged` if it is not, also if it cannot be read.
  public static func check(
    _ settings: Settings, segment: UInt64, files: any FileSystem = LocalFiles()
  ) throws(SegmentLogError) -> Int? {
    func damaged(_ what: String) -> SegmentLogError { .damaged("segment \(segment): \(what)") }
    let file: any File
    do {
      file = try files.open(OpenSegments.path(settings.directory, segment), creating: false)
    } catch {
      if error.reason == .notFound { return nil }
      throw SegmentLogError(error)
    }
    let length: Int
    do { length = try file.length() } catch { throw damaged("\(error)") }
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: length, alignment: 4096)
    defer { memory.deallocate() }
    do {
      guard length % Sector.size == 0, try file.read(at: 0, into: memory) == length else {
        throw damaged("its length has changed")
      }
    } catch let error as FileError {
      throw damaged("\(error)")
    } catch let error as SegmentLogError {
      throw error
    } catch {
      throw damaged("\(error)")
    }
    var reader = SegmentReader(UnsafeRawBufferPointer(memory), expected: nil)
    var frames = 0
    while true {
      switch reader.next() {
      case .frame(let header):
        guard (header.kind == .begin) == (frames == 0) else {
          throw damaged("its beginning is missing")
        }
        frames += 1
        if header.kind == .end { return frames }
      case .end, .torn: throw damaged("its end is missing")
      case .damaged(let what): throw damaged(what)
      }
    }
  }
}
