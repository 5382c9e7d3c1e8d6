internal import Glibc

/// Why a file with a rack's key is not used. Says nothing of what is in it.
public enum RackKeyError: Error, Sendable, Equatable, CustomStringConvertible {
  case unreadable(path: String, reason: String)
  /// A directory, a pipe, a device.
  case notAFile(path: String)
  /// Others than its owner (and, if that is root, its group) may read it; `mode`: its permission bits.
  case open(path: String, mode: UInt32)
  /// Neither one key nor two.
  case wrongLength(path: String, Int)

  /// What is wrong, and what the reader can do.
  public var description: String {
    switch self {
    case .unreadable(let path, let reason):
      "the rack key \(path) cannot be read: \(reason)"
    case .notAFile(let path):
      "the rack key \(path) is not a regular file"
    case .open(let path, let mode):
      "the rack key \(path) is open to others than its owner (mode \(String(mode, radix: 8))): "
        + "`chmod go= \(path)`, and make a new key if anybody has read it"
    case .wrongLength(let path, let count):
      "the rack key \(path) has \(count) bytes, and not 16 (or 32, of a key and the one whose place it "
        + "takes or gives): `(umask 077; head -c 16 /dev/urandom > \(path))` makes one"
    }
  }
}

/// The file with a rack's key: 16 random bytes, or 32 of two keys, that only its owner may read, or root's group.
public enum RackKeyFile {
  private static let keyLength = 16

  /// The bytes of the file at a path: 16 or 32.
  public static func read(_ path: String) throws(RackKeyError) -> [UInt8] {
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    guard file >= 0 else { throw .unreadable(path: path, reason: String(cString: strerror(errno))) }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0 else {
      throw .unreadable(path: path, reason: String(cString: strerror(errno)))
    }
    guard status.st_mode & S_IFMT == S_IFREG else { throw .notAFile(path: path) }
    // The group may read what root owns: a server need not be root to have its key.
    let allowed: UInt32 = status.st_uid == 0 ? 0o740 : 0o700
    guard status.st_mode & 0o777 & ~allowed == 0 else {
      throw .open(path: path, mode: status.st_mode & 0o7777)
    }
    var bytes = [UInt8](repeating: 0, count: 2 * keyLength + 1)
    let count = Glibc.read(file, &bytes, bytes.count)
    guard count >= 0 else {
      throw .unreadable(path: path, reason: String(cString: strerror(errno)))
    }
    guard count == keyLength || count == 2 * keyLength else {
      throw .wrongLength(path: path, max(count, Int(status.st_size)))
    }
    return Array(bytes[..<count])
  }
}
