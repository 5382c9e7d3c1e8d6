package import ControllerCore
internal import Glibc

/// The file on the directory host that makes sure that no epoch is used twice, and that the next
/// epoch's directory knows whose data counted. Holding it open keeps other controllers away from it
/// (a lock that ends with the process).
///
/// Lines of text: "hotrack state 1", "epoch N", N being the last epoch in use, and for each server
/// whose data count "server N incarnation X" (16 hexadecimal digits), and for each that was drained
/// or added by command "drained N" or "added N". Servers take commands from
/// whoever knows their incarnation, so the file is for its owner's eyes only.
package final class EpochFile {
  /// What the file says.
  package struct Contents: Equatable, Sendable {
    /// The last epoch in use; 0: none yet.
    package var epoch: UInt16 = 0
    package var members: [RackMember] = []
    package var serviceOrders: [ServiceOrder] = []
  }

  package let path: String
  /// Of the lock file beside it.
  private let lock: Int32

  private static let title = "hotrack state 1"
  private static let lengthMax = 16384

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

  /// What the file says; nothing if there is no file.
  package func read() throws(ControllerError) -> Contents {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      if errno == ENOENT { return Contents() }
      throw .stateFile(path: path, doing: "read", code: errno)
    }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: Self.lengthMax)
    let length = Glibc.read(file, &bytes, bytes.count)
    guard length >= 0 else { throw .stateFile(path: path, doing: "read", code: errno) }
    return try parse(String(decoding: bytes.prefix(length), as: UTF8.self))
  }

  /// Takes the next epoch, which is on the disk before this returns; the members stay.
  package func next() throws(ControllerError) -> Contents {
    var contents = try read()
    guard contents.epoch < .max else { throw .epochsUsedUp(path: path) }
    contents.epoch += 1
    try write(contents)
    return contents
  }

  /// Makes it say that this epoch is in use, if it does not know: the file was lost, or is another.
  package func raise(to epoch: UInt16) throws(ControllerError) {
    var contents = try read()
    guard contents.epoch < epoch else { return }
    contents.epoch = epoch
    try write(contents)
  }

  /// Replaces everything. It is on the disk before this returns.
  package func record(_ contents: Contents) throws(ControllerError) { try write(contents) }

  private func parse(_ text: String) throws(ControllerError) -> Contents {
    func corrupt(_ reason: String) -> ControllerError {
      .stateFileCorrupt(path: path, reason: reason)
    }
    guard text.hasPrefix(Self.title + "\n") else {
      throw corrupt("its first line is not \"\(Self.title)\"")
    }
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.count >= 3, lines[1].hasPrefix("epoch "),
      let epoch = UInt16(lines[1].dropFirst(6)), lines[1] == "epoch \(epoch)"
    else { throw corrupt("its second line is not \"epoch N\" with N up to 65535") }
    guard lines[lines.count - 1].isEmpty else { throw corrupt("its last line is cut off") }
    var contents = Contents(epoch: epoch)
    for (number, line) in lines[2..<lines.count - 1].enumerated() {
      let words = line.split(separator: " ")
      if words.count == 2, let server = UInt8(words[1]), server < 32 {
        let order = ServiceOrder(server: server, isDrained: words[0] == "drained")
        if line == Self.line(order) {
          contents.serviceOrders.append(order)
          continue
        }
      }
      guard words.count == 4, let server = UInt8(words[1]), server < 32,
        let incarnation = UInt64(words[3], radix: 16),
        line == Self.line(RackMember(server: server, incarnation: incarnation))
      else {
        throw corrupt(
          "its line \(number + 3) is not \"server N incarnation X\", X being 16 hexadecimal digits, "
            + "\"drained N\" or \"added N\"")
      }
      contents.members.append(RackMember(server: server, incarnation: incarnation))
    }
    return contents
  }

  private static func line(_ member: RackMember) -> String {
    "server \(member.server) incarnation \(hexadecimal(member.incarnation))"
  }

  private static func line(_ order: ServiceOrder) -> String {
    "\(order.isDrained ? "drained" : "added") \(order.server)"
  }

  private func write(_ contents: Contents) throws(ControllerError) {
    let temporary = path + ".new"
    unlink(temporary)
    let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw .stateFile(path: path, doing: "write", code: errno) }
    let lines =
      [Self.title, "epoch \(contents.epoch)"] + contents.members.map(Self.line)
      + contents.serviceOrders.map(Self.line)
    let bytes = Array(lines.map { $0 + "\n" }.joined().utf8)
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
