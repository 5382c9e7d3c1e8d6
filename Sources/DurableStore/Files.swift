internal import Glibc

/// The few things that are done with files, with errors that say what and where.
enum Files {
  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// Makes a directory and those that lead to it.
  static func makeDirectory(_ path: String) throws(StoreError) {
    if exists(path) { return }
    if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
      try makeDirectory(String(path[..<slash]))
    }
    guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw failed(path, "make") }
  }

  static func rename(_ path: String, to other: String) throws(StoreError) {
    guard Glibc.rename(path, other) == 0 else { throw failed(path, "rename") }
  }

  /// Makes changes of the names in a directory durable.
  static func syncDirectory(_ path: String) throws(StoreError) {
    let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw failed(path, "open") }
    defer { close(directory) }
    guard fsync(directory) == 0 else { throw failed(path, "sync") }
  }

  /// At most 4,096 bytes of a file; nil: there is none.
  static func read(_ path: String) throws(StoreError) -> [UInt8]? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      if errno == ENOENT { return nil }
      throw failed(path, "read")
    }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let length = Glibc.read(file, &bytes, bytes.count)
    guard length >= 0 else { throw failed(path, "read") }
    return Array(bytes.prefix(length))
  }

  /// Puts a small file in place of what there was, durably and at once.
  static func replace(_ path: String, _ text: String, in directory: String) throws(StoreError) {
    let temporary = path + ".new"
    let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw failed(temporary, "write") }
    let bytes = Array(text.utf8)
    let written = write(file, bytes, bytes.count)
    let code = written < 0 ? errno : written < bytes.count ? ENOSPC : fsync(file) == 0 ? 0 : errno
    close(file)
    guard code == 0 else { throw .system(path: temporary, doing: "write", code: code) }
    try rename(temporary, to: path)
    try syncDirectory(directory)
  }

  /// Removes a file, or a directory with all that is in it; nothing, if there is nothing.
  static func removeAll(_ path: String) throws(StoreError) {
    if unlink(path) == 0 || errno == ENOENT { return }
    guard errno == EISDIR || errno == EPERM, let directory = opendir(path) else {
      throw failed(path, "remove")
    }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { names.append(name) }
    }
    closedir(directory)
    for name in names { try removeAll("\(path)/\(name)") }
    guard rmdir(path) == 0 else { throw failed(path, "remove") }
  }

  /// Bytes that may still be written to the file system of a path; nil: nobody knows.
  static func available(_ path: String) -> UInt64? {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { return nil }
    return UInt64(status.f_bavail) * UInt64(status.f_frsize)
  }

  /// The error of the call that failed just now.
  static func failed(_ path: String, _ doing: String) -> StoreError {
    .system(path: path, doing: doing, code: errno)
  }
}
