internal import Glibc

/// A server's data directory. Its layout (version 1):
///
/// | name | is |
/// |---|---|
/// | `identity` | text: the layout, and whose data it is |
/// | `lock` | locked by the process that uses the directory |
/// | `reserve` | room on the disk that is given up when there is no other |
/// | `store` | `rocksdb`, the database, and `commits`, how many changes it must have |
/// | `store.new` | one that is being made; without `store`, one that is complete |
/// | `damaged`, `refused` | the latest `store` that could not be read, and that a controller did not take |
final class DataDirectory {
  let path: String
  private let lock: Int32
  private let reserveFile: Int32

  /// Takes the lock and checks the identity; makes the directory if there is none.
  init(path: String, identity: DataIdentity) throws(StoreError) {
    self.path = path
    try Files.makeDirectory(path)
    lock = open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard lock >= 0 else { throw Files.failed(path + "/lock", "open") }
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
      let code = errno
      close(lock)
      throw code == EWOULDBLOCK
        ? .taken(path: path) : .system(path: path, doing: "lock", code: code)
    }
    reserveFile = open(path + "/reserve", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard reserveFile >= 0 else {
      let error = Files.failed(path + "/reserve", "open")
      close(lock)
      throw error
    }
    try check(identity)
  }

  deinit {
    close(reserveFile)
    close(lock)
  }

  private func check(_ wanted: DataIdentity) throws(StoreError) {
    let file = path + "/identity"
    guard let bytes = try Files.read(file) else {
      guard !Files.exists(path + "/store") else {
        throw .unknownLayout(path: path, reason: "it has data, but no file identity")
      }
      try Files.replace(file, wanted.text, in: path)
      return
    }
    guard let found = DataIdentity(text: String(decoding: bytes, as: UTF8.self)) else {
      throw .unknownLayout(path: path, reason: "its file identity is another one")
    }
    guard found == wanted else { throw .foreign(path: path, found: found, wanted: wanted) }
  }

  // MARK: Stores

  var store: String { path + "/store" }
  var newStore: String { path + "/store.new" }

  /// Finishes what an earlier process was interrupted in; false: there is no store.
  func settle() throws(StoreError) -> Bool {
    guard !Files.exists(store) else {
      try Files.removeAll(newStore)
      return true
    }
    guard Files.exists(newStore), try CommitWitness(path: newStore + "/commits").sequence != nil
    else {
      try Files.removeAll(newStore)
      return false
    }
    try Files.rename(newStore, to: store)
    try Files.syncDirectory(path)
    return true
  }

  /// Puts the store aside under another name, in place of what had that name, and the new one, if
  /// there is one, in its place. Nobody may have them open.
  func setAside(as name: String) throws(StoreError) {
    let other = "\(path)/\(name)"
    if Files.exists(store) {
      try Files.removeAll(other)
      try Files.rename(store, to: other)
    }
    if Files.exists(newStore) { try Files.rename(newStore, to: store) }
    try Files.syncDirectory(path)
  }

  // MARK: Room

  /// Free bytes beside the reserve.
  var available: UInt64 { Files.available(path) ?? 0 }

  /// Makes the reserve; false: there is no room for it.
  func makeReserve(_ length: UInt64) -> Bool {
    if posix_fallocate(reserveFile, 0, off_t(length)) == 0 { return true }
    releaseReserve()
    return false
  }

  func releaseReserve() { _ = ftruncate(reserveFile, 0) }
}
