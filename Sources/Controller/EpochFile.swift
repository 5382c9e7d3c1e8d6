internal import Glibc

/// The file on the directory host that makes sure that no epoch is used twice. Holding it open
/// keeps other controllers away from it (a lock that ends with the process).
///
/// Two lines of text: "hotrack state 1" and "epoch N", N being the last epoch in use.
package final class EpochFile {
  package let path: String
  /// Of the lock file beside it.
  private let lock: Int32

  private static let title = "hotrack state 1"
  private static let lengthMax = 64

  /// Takes the lock; makes the directory if there is none.
  package init(path: String) throws(ControllerError) {
    self.path = path
    makeDirectories(of: path)
    lock = open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard lock >= 0 else { throw .stateFile(path: path, doing: "lock", code: errno) }
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
      let code = errno
      close(lock)
      throw code == EWOULDBLOCK
        ? .stateFileTaken(path: path) : .stateFile(path: path, doing: "lock", code: code)
    }
  }

  deinit { if lock >= 0 { close(lock) } }

  /// The last epoch in use; 0: none yet, there is no file.
  package func read() throws(ControllerError) -> UInt16 {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      if errno == ENOENT { return 0 }
      throw .stateFile(path: path, doing: "read", code: errno)
    }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: Self.lengthMax)
    let length = Glibc.read(file, &bytes, bytes.count)
    guard length >= 0 else { throw .stateFile(path: path, doing: "read", code: errno) }
    return try parse(String(decoding: bytes.prefix(length), as: UTF8.self))
  }

  /// The next epoch. It is on the disk before this returns.
  package func next() throws(ControllerError) -> UInt16 {
    let last = try read()
    guard last < .max else { throw .epochsUsedUp(path: path) }
    try write(last + 1)
    return last + 1
  }

  private func parse(_ text: String) throws(ControllerError) -> UInt16 {
    guard !text.isEmpty else { throw .stateFileCorrupt(path: path, reason: "it is empty") }
    guard text.hasPrefix(Self.title + "\n") else {
      throw .stateFileCorrupt(path: path, reason: "its first line is not \"\(Self.title)\"")
    }
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.count == 3, lines[2].isEmpty, lines[1].hasPrefix("epoch "),
      let epoch = UInt16(lines[1].dropFirst(6)), lines[1] == "epoch \(epoch)"
    else {
      throw .stateFileCorrupt(
        path: path, reason: "its second line is not \"epoch N\" with N up to 65535")
    }
    return epoch
  }

  private func write(_ epoch: UInt16) throws(ControllerError) {
    let temporary = path + ".new"
    let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw .stateFile(path: path, doing: "write", code: errno) }
    let bytes = Array("\(Self.title)\nepoch \(epoch)\n".utf8)
    let written = Glibc.write(file, bytes, bytes.count)
    let code = written < 0 ? errno : written < bytes.count ? ENOSPC : fsync(file) == 0 ? 0 : errno
    // A failed close after a good fsync loses nothing.
    close(file)
    guard code == 0 else { throw .stateFile(path: path, doing: "write", code: code) }
    guard rename(temporary, path) == 0 else {
      throw .stateFile(path: path, doing: "replace", code: errno)
    }
    try syncDirectory()
  }

  /// Without it the rename could be forgotten by a power failure.
  private func syncDirectory() throws(ControllerError) {
    let directory = open(parent(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else {
      throw .stateFile(path: path, doing: "sync the directory of", code: errno)
    }
    defer { close(directory) }
    guard fsync(directory) == 0 else {
      throw .stateFile(path: path, doing: "sync the directory of", code: errno)
    }
  }
}

/// The directory that a path lies in.
func parent(of path: String) -> String {
  guard let slash = path.lastIndex(of: "/") else { return "." }
  return slash == path.startIndex ? "/" : String(path[..<slash])
}

/// Makes the directories that lead to a path. What goes wrong shows when the path is used.
func makeDirectories(of path: String) {
  let directory = parent(of: path)
  guard directory != "." && directory != "/" && access(directory, F_OK) != 0 else { return }
  makeDirectories(of: directory)
  mkdir(directory, 0o755)
}
