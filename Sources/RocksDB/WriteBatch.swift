internal import CRocksDB

/// Changes that a database makes together or not at all. Not thread-safe.
public final class WriteBatch {
  let handle: OpaquePointer

  /// An empty batch.
  public init() {
    // It has no way to fail but the end of memory, which ends the process.
    handle = rocksdb_writebatch_create().unsafelyUnwrapped
  }

  deinit { rocksdb_writebatch_destroy(handle) }

  /// Changes in it.
  public var count: Int { Int(rocksdb_writebatch_count(handle)) }

  /// Sets the value of a key.
  public func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    rocksdb_writebatch_put(handle, key.characters, key.count, value.characters, value.count)
  }

  /// Removes a key, if it is there.
  public func remove(_ key: UnsafeRawBufferPointer) {
    rocksdb_writebatch_delete(handle, key.characters, key.count)
  }

  /// Removes all keys from `first` up to `end`, which is not removed itself.
  public func removeRange(_ first: UnsafeRawBufferPointer, _ end: UnsafeRawBufferPointer) {
    rocksdb_writebatch_delete_range(
      handle, first.characters, first.count, end.characters, end.count)
  }

  /// Empties the batch; its memory is kept.
  public func clear() { rocksdb_writebatch_clear(handle) }
}

extension UnsafeRawBufferPointer {
  /// As C has it; of an empty buffer, an address that is not read.
  var characters: UnsafePointer<CChar> {
    (baseAddress ?? UnsafeRawPointer(bitPattern: 16).unsafelyUnwrapped)
      .assumingMemoryBound(to: CChar.self)
  }
}
