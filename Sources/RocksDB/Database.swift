internal import CRocksDB

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// A RocksDB database: keys and values of bytes, ordered by key.
///
/// Its settings are those of somebody who would rather have no data than wrong data. Every block
/// and every record of the log is read with its checksum; all files are opened, and their indexes
/// checked, when the database is. Recovery takes the log up to the first record that is not whole
/// ("point in time"): the end of a log that was being written when the power failed is like that, so
/// that refusing it ("absolute consistency") would refuse healthy databases. It therefore stops
/// *silently* where a synced record was damaged, and opens *silently* empty where the log was
/// deleted. `latestSequence` tells: it counts every change ever made, so that whoever noted it after
/// a synced write sees whether changes are missing. Log files are not recycled.
///
/// Writes come from one thread; `scan` and `latestSequence` may be called from any.
public final class Database: @unchecked Sendable {
  // Unchecked: rocksdb_t may be used by several threads, and the handles never change.
  private let handle: OpaquePointer
  private let options: Options
  private let synced: OpaquePointer

  /// What a database is opened with.
  public struct Settings: Sendable, Equatable {
    /// Whether a database is made if there is none.
    public var createsIfMissing = true
    /// Bytes of changes that are kept in memory before they become a sorted file; as many are in the
    /// log, and replayed when the database is opened.
    public var writeBufferLength = 64 << 20

    public init() {}
  }

  /// Opens the database in the directory `path`.
  public init(path: String, _ settings: Settings = Settings()) throws(DatabaseError) {
    options = Options(settings)
    var words: UnsafeMutablePointer<CChar>?
    let opened = rocksdb_open(options.handle, path, &words)
    try check(words)
    guard let opened else { throw .failed(reason: "RocksDB gives no reason") }
    handle = opened
    synced = rocksdb_writeoptions_create().unsafelyUnwrapped
    rocksdb_writeoptions_set_sync(synced, 1)
  }

  deinit {
    rocksdb_close(handle)
    rocksdb_writeoptions_destroy(synced)
  }

  /// How many changes were ever made.
  public var latestSequence: UInt64 { rocksdb_get_latest_sequence_number(handle) }

  /// Makes the changes of a batch. When this returns they are on the disk (`fdatasync` of the log).
  /// After an error the database takes no further change, and has to be opened again.
  public func write(_ batch: WriteBatch) throws(DatabaseError) {
    var words: UnsafeMutablePointer<CChar>?
    rocksdb_write(handle, synced, batch.handle, &words)
    try check(words)
  }

  /// Writes what is in memory to a sorted file, and waits for it.
  public func flush() throws(DatabaseError) {
    let options = rocksdb_flushoptions_create()
    defer { rocksdb_flushoptions_destroy(options) }
    rocksdb_flushoptions_set_wait(options, 1)
    var words: UnsafeMutablePointer<CChar>?
    rocksdb_flush(handle, options, &words)
    try check(words)
  }

  /// Gives the rows from the key `first` on, in order, to `body`, until it says false or there are no
  /// more. Key and value are valid during the call only. Throws `corrupt` at the first row that
  /// cannot be read.
  public func scan(
    from first: [UInt8] = [],
    _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool
  ) throws(DatabaseError) {
    let reading = rocksdb_readoptions_create()
    defer { rocksdb_readoptions_destroy(reading) }
    rocksdb_readoptions_set_verify_checksums(reading, 1)
    rocksdb_readoptions_set_fill_cache(reading, 0)
    guard let iterator = rocksdb_create_iterator(handle, reading) else {
      throw .failed(reason: "no iterator")
    }
    defer { rocksdb_iter_destroy(iterator) }
    first.withUnsafeBytes { rocksdb_iter_seek(iterator, $0.characters, $0.count) }
    while rocksdb_iter_valid(iterator) != 0 {
      var (keyLength, valueLength) = (0, 0)
      let key = rocksdb_iter_key(iterator, &keyLength)
      let value = rocksdb_iter_value(iterator, &valueLength)
      let goesOn = body(
        UnsafeRawBufferPointer(start: key, count: keyLength),
        UnsafeRawBufferPointer(start: value, count: valueLength))
      guard goesOn else { return }
      rocksdb_iter_next(iterator)
    }
    var words: UnsafeMutablePointer<CChar>?
    rocksdb_iter_get_error(iterator, &words)
    try check(words)
  }
}

/// Throws what RocksDB says, if it says anything, and gives its memory back.
private func check(_ words: UnsafeMutablePointer<CChar>?) throws(DatabaseError) {
  guard let words else { return }
  defer { rocksdb_free(words) }
  throw DatabaseError(words: String(cString: words))
}

/// The options of RocksDB that go with `Database.Settings`.
private final class Options {
  let handle: OpaquePointer

  init(_ settings: Database.Settings) {
    handle = rocksdb_options_create().unsafelyUnwrapped
    rocksdb_options_set_create_if_missing(handle, settings.createsIfMissing ? 1 : 0)
    rocksdb_options_set_paranoid_checks(handle, 1)
    rocksdb_options_set_wal_recovery_mode(handle, Int32(rocksdb_point_in_time_recovery))
    rocksdb_options_set_recycle_log_file_num(handle, 0)
    // All files are opened at the start, and stay so.
    rocksdb_options_set_max_open_files(handle, -1)
    rocksdb_options_set_write_buffer_size(handle, settings.writeBufferLength)
    rocksdb_options_set_compression(handle, Int32(rocksdb_no_compression))
    // Its own log, a file LOG beside the data, stays empty: when a line of it finds no room on the disk,
    // the next one ends the process (Debian's RocksDB 7.8 checks its assertions).
    rocksdb_options_set_info_log_level(handle, 4)
    rocksdb_options_set_keep_log_file_num(handle, 3)
  }

  deinit { rocksdb_options_destroy(handle) }
}
