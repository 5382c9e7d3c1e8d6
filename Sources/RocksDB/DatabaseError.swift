/// Why a database cannot be had, read or written. RocksDB tells it in words only.
public enum DatabaseError: Error, Equatable, Sendable {
  /// What is on the disk is not what was written: a checksum is wrong, or a file is missing.
  case corrupt(reason: String)
  /// There is no room on the disk.
  case full(reason: String)
  /// Anything else. After a failed write or sync nobody knows what is on the disk: only opening it
  /// again tells.
  case failed(reason: String)

  /// RocksDB's own words.
  public var reason: String {
    switch self {
    case .corrupt(let reason), .full(let reason), .failed(let reason): reason
    }
  }

  /// Classifies RocksDB's words (`Status::ToString` of its util/status.cc).
  init(words: String) {
    if words.contains("No space left on device") || words.contains("Space limit reached")
      || words.contains("Disk quota exceeded")
    {
      self = .full(reason: words)
    } else if words.hasPrefix("Corruption") || words.contains("No such file or directory")
      || words.contains("does not exist")
    {
      self = .corrupt(reason: words)
    } else {
      self = .failed(reason: words)
    }
  }
}
