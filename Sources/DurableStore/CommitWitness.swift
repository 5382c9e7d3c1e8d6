internal import Glibc

/// A file beside the database that says how many changes were durable: RocksDB opens without a word
/// when its log has been deleted, or was damaged in the middle, and the changes are gone.
///
/// It is written after every commit, and not synced: it survives the end of the process, and what a
/// power failure leaves of it is an older number, which is still true.
final class CommitWitness {
  private let file: Int32
  let path: String

  /// Of a file that is there or not; what it says is 0 until `write`.
  init(path: String) throws(StoreError) {
    self.path = path
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw Files.failed(path, "open") }
  }

  deinit { close(file) }

  /// The number of changes that must be there; nil: the file does not say.
  var sequence: UInt64? {
    var words: (UInt64, UInt64) = (0, 0)
    guard pread(file, &words, 16, 0) == 16, words.0 != 0, words.0 == ~words.1 else { return nil }
    return UInt64(bigEndian: words.0)
  }

  /// If the file cannot be written, an older number stays, which is true as well.
  func write(_ sequence: UInt64) {
    var words = (sequence.bigEndian, ~sequence.bigEndian)
    _ = pwrite(file, &words, 16, 0)
  }

  /// As `write`, and durable.
  func begin(_ sequence: UInt64) throws(StoreError) {
    write(sequence)
    guard fsync(file) == 0, self.sequence == sequence else { throw Files.failed(path, "sync") }
  }
}
