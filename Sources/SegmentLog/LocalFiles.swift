internal import Glibc

/// The system's files.
public struct LocalFiles: FileSystem {
  public init() {}

  public func makeDirectory(_ path: String) throws(FileError) {
    if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
    guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
      throw FileError(code: errno, doing: "make the directory \(path)")
    }
    try makeDirectory(String(path[..<slash]))
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
      throw FileError(code: errno, doing: "make the directory \(path)")
    }
  }

  public func names(in directory: String) throws(FileError) -> [String] {
    guard let stream = opendir(directory) else {
      throw FileError(code: errno, doing: "list \(directory)")
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }

  public func open(_ path: String, creating: Bool) throws(FileError) -> any File {
    let flags = O_RDWR | O_CLOEXEC | (creating ? O_CREAT | O_TRUNC : 0)
    let descriptor = Glibc.open(path, flags, 0o600)
    guard descriptor >= 0 else { throw FileError(code: errno, doing: "open \(path)") }
    return LocalFile(descriptor, path)
  }

  public func rename(_ path: String, to newPath: String) throws(FileError) {
    guard Glibc.rename(path, newPath) == 0 else {
      throw FileError(code: errno, doing: "rename \(path) to \(newPath)")
    }
  }

  public func remove(_ path: String) throws(FileError) {
    guard unlink(path) == 0 else { throw FileError(code: errno, doing: "remove \(path)") }
  }

  public func syncDirectory(_ path: String) throws(FileError) {
    let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError(code: errno, doing: "open \(path)") }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw FileError(code: errno, doing: "sync \(path)") }
  }
}

private final class LocalFile: File {
  private let descriptor: Int32
  private let path: String

  init(_ descriptor: Int32, _ path: String) {
    self.descriptor = descriptor
    self.path = path
  }

  deinit { close(descriptor) }

  func length() throws(FileError) -> Int {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw FileError(code: errno, doing: "look at \(path)")
    }
    return Int(status.st_size)
  }

  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int {
    var done = 0
    while done < buffer.count {
      let count = pread(
        descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, offset + done)
      if count == 0 { break }
      if count < 0 {
        if errno == EINTR { continue }
        throw FileError(code: errno, doing: "read \(path)")
      }
      done += count
    }
    return done
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
    var done = 0
    while done < bytes.count {
      let count = pwrite(
        descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done, offset + done)
      if count < 0 {
        if errno == EINTR { continue }
        throw FileError(code: errno, doing: "write \(path)")
      }
      done += count
    }
  }

  func sync() throws(FileError) {
    // Files are written in full before they are used, so their length does not change.
    guard fdatasync(descriptor) == 0 else { throw FileError(code: errno, doing: "sync \(path)") }
  }
}

extension FileError {
  fileprivate init(code: Int32, doing: String) {
    let reason: Reason =
      switch code {
      case ENOSPC, EDQUOT: .noSpace
      case ENOENT: .notFound
      default: .other
      }
    self.init(reason, doing: doing, words: String(cString: strerror(code)))
  }
}
