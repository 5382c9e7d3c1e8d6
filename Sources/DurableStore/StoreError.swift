public import RocksDB

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// Why a server's data directory cannot be used, and what to do about it.
public enum StoreError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Another process has the directory.
  case taken(path: String)
  /// It is the directory of another server.
  case foreign(path: String, found: DataIdentity, wanted: DataIdentity)
  /// Its `identity` is missing, or is not what this version of hotrack writes.
  case unknownLayout(path: String, reason: String)
  /// The kernel refused something; `code` is its errno.
  case system(path: String, doing: String, code: Int32)
  /// The database refused something.
  case database(path: String, DatabaseError)

  /// What is wrong, and what the reader can do.
  public var description: String {
    switch self {
    case .taken(let path):
      "another process uses \(path): stop it, or give each server a data directory of its own"
    case .foreign(let path, let found, let wanted):
      "\(path) is the data of \(found), not of \(wanted): give the server its own directory"
    case .unknownLayout(let path, let reason):
      "\(path) is not a data directory that this version knows (\(reason)): "
        + "give another directory, or move what is there away"
    case .system(let path, let doing, let code):
      "cannot \(doing) \(path): \(String(cString: strerror(code)))"
    case .database(let path, .corrupt(let reason)):
      "the database \(path) is damaged: \(reason)"
    case .database(let path, .full(let reason)):
      "there is no room for the database \(path): \(reason)"
    case .database(let path, .failed(let reason)):
      "the database \(path) failed, and what was written last may not be on the disk: \(reason); "
        + "check the disk, then start the server again"
    }
  }
}
