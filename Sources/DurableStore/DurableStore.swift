internal import RocksDB
public import Storage

/// The rows of a server in a RocksDB database of its own data directory. Not thread-safe.
///
/// Changes gather in a batch until `commit`: one write and one sync for all of them.
public final class DurableStore: RowStore {
  /// What a store is opened with.
  public struct Settings: Sendable, Equatable {
    /// Bytes of the disk that are kept for what has to be written when there is no room.
    public var reserve: UInt64 = 128 << 20

    public init() {}
  }

  /// How a commit ended.
  public enum Commit: Sendable, Equatable {
    /// Everything is durable.
    case durable
    /// There is no room: nothing of it is durable, and it waits for the next commit.
    case noRoom
  }

  /// What became of the rows of an earlier start.
  public enum Loaded: Sendable, Equatable {
    /// There were none.
    case nothing
    case whole(rows: Int)
    /// Values of these slots (ascending) could not be read; everything else could.
    case damaged(slots: [Int], rows: Int, reason: String)
    /// Nothing of it can be relied on. The store is empty now; the directory `damaged` has what was
    /// there.
    case unusable(reason: String)
  }

  /// Of the data directory.
  public let path: String
  /// Commits, and the changes in them, since the start.
  public private(set) var commits: UInt64 = 0
  public private(set) var rowsCommitted: UInt64 = 0
  /// There is so little room that no writes of clients are to be taken.
  public var isFull: Bool { space.isFull }

  private let directory: DataDirectory
  private let settings: Settings
  private var database: Database?
  private var witness: CommitWitness
  private let batch = WriteBatch()
  private var space: SpaceWatch
  private var asideName: String?
  private var rebuilding: Rebuilding?
  private let damage: String?
  private let isNew: Bool

  /// Opens the store of `identity` in the directory `path`; makes both if there are none.
  ///
  /// A database that cannot be opened, or lacks what was committed, is put aside (`load` tells).
  public init(
    path: String, identity: DataIdentity, _ settings: Settings = Settings()
  ) throws(StoreError) {
    self.path = path
    self.settings = settings
    directory = try DataDirectory(path: path, identity: identity)
    space = SpaceWatch(
      reserve: settings.reserve, hasReserve: directory.makeReserve(settings.reserve))
    let hasStore = try directory.settle()
    let opened: Opened
    do throws(StoreError) {
      opened = try Self.open(directory, settings, isNew: !hasStore)
    } catch .database(_, .full) {
      directory.releaseReserve()
      space.released()
      opened = try Self.open(directory, settings, isNew: !hasStore)
    }
    isNew = !hasStore
    damage = opened.damage
    database = opened.database
    witness = opened.witness
  }

  // MARK: Opening

  private static func databaseSettings(_ settings: Settings) -> Database.Settings {
    var database = Database.Settings()
    database.createsIfMissing = false
    database.writeBufferLength = Int(min(64 << 20, max(1 << 20, settings.reserve / 4)))
    return database
  }

  /// Makes an empty store.
  private static func make(_ directory: DataDirectory, _ settings: Settings) throws(StoreError) {
    try Files.removeAll(directory.newStore)
    let new = try Rebuilding(directory.newStore, databaseSettings(settings))
    try new.finish()
    try directory.setAside(as: "damaged")
  }

  private struct Opened {
    var database: Database
    var witness: CommitWitness
    /// Why what was there could not be used.
    var damage: String?
  }

  private static func open(
    _ directory: DataDirectory, _ settings: Settings, isNew: Bool
  ) throws(StoreError) -> Opened {
    if isNew { try make(directory, settings) }
    var damage: String
    do throws(StoreError) {
      let opened = try reopened(directory, settings)
      let (has, needs) = (opened.database.latestSequence, opened.witness.sequence ?? 0)
      if has >= needs { return opened }
      damage =
        "\(needs - has) of \(needs) committed changes are missing: its log was damaged or removed"
    } catch .database(_, .corrupt(let reason)) {
      damage = reason
    }
    try directory.setAside(as: "damaged")
    try make(directory, settings)
    var opened = try reopened(directory, settings)
    opened.damage = damage
    return opened
  }

  private static func reopened(
    _ directory: DataDirectory, _ settings: Settings
  ) throws(StoreError) -> Opened {
    let path = directory.store + "/rocksdb"
    let database: Database
    do throws(DatabaseError) {
      database = try Database(path: path, databaseSettings(settings))
    } catch {
      throw .database(path: path, error)
    }
    return Opened(
      database: database, witness: try CommitWitness(path: directory.store + "/commits"))
  }

  private func reopen() throws(StoreError) {
    let opened = try Self.reopened(directory, settings)
    (database, witness) = (opened.database, opened.witness)
  }

  // MARK: Rows

  public func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    batch.put(key, value)
    spill()
  }

  public func remove(_ key: UnsafeRawBufferPointer) { batch.remove(key) }

  public func removeRange(_ first: UnsafeRawBufferPointer, _ end: UnsafeRawBufferPointer) {
    batch.removeRange(first, end)
  }

  /// Something waits for `commit`.
  public var isDirty: Bool { batch.count > 0 || asideName != nil }

  // MARK: Committing

  /// Makes everything durable that was changed since the last commit.
  ///
  /// Throws `database(_, .corrupt)` when the files turn out to be damaged: `rebuild` writes them anew.
  /// After any other error nobody knows what is on the disk, and the process has to end.
  public func commit() throws(StoreError) -> Commit {
    if let name = asideName { try beginAnew(settingAside: name) }
    let count = batch.count
    guard count > 0 else { return .durable }
    do throws(DatabaseError) {
      try writeBatch()
    } catch {
      guard case .full = error else { throw .database(path: directory.store, error) }
      guard try makeRoom() else { return .noRoom }
    }
    batch.clear()
    commits += 1
    rowsCommitted += UInt64(count)
    return .durable
  }

  private func writeBatch() throws(DatabaseError) {
    // It could not be opened again for want of room.
    guard let database else { throw .full(reason: "it is closed") }
    try database.write(batch)
    witness.write(database.latestSequence)
  }

  /// Gives the reserve up and tries once more. A database that has met a full disk takes no further
  /// change until it is opened again.
  private func makeRoom() throws(StoreError) -> Bool {
    directory.releaseReserve()
    space.released()
    database = nil
    do throws(StoreError) {
      try reopen()
    } catch .database(_, .full) {
      return false
    }
    do throws(DatabaseError) {
      try writeBatch()
    } catch {
      guard case .full = error else { throw .database(path: directory.store, error) }
      return false
    }
    return true
  }

  /// Looks how much room there is; now and then, and more often when there is none.
  public func watchSpace() {
    if space.update(available: directory.available), directory.makeReserve(settings.reserve) {
      space.reserved()
    }
  }

  /// Writes what is in RocksDB's memory to a sorted file.
  package func flush() throws(StoreError) {
    do throws(DatabaseError) {
      try database?.flush()
    } catch {
      throw .database(path: directory.store, error)
    }
  }

  /// The rows are to be removed, and kept aside under this name: `refused`. It is done by the next
  /// commit.
  public func setAside(as name: String) { asideName = name }

  private func beginAnew(settingAside name: String) throws(StoreError) {
    database = nil
    try directory.setAside(as: name)
    try Self.make(directory, settings)
    try reopen()
    asideName = nil
  }

  // MARK: Loading

  /// Gives all rows to `restore`, which belongs before the first change. If they turn out to be
  /// `unusable` on the way, what it was given counts for nothing.
  public func load(_ restore: (StateRow) -> Void) throws(StoreError) -> Loaded {
    if let damage { return .unusable(reason: damage) }
    guard !isNew else { return .nothing }
    var loading = Loading()
    while !loading.isDone {
      guard let database else { return .nothing }
      do throws(DatabaseError) {
        try database.scan(from: loading.next) { loading.take($0, $1, restore) }
        loading.reachedEnd()
      } catch {
        guard case .corrupt(let reason) = error else {
          throw .database(path: directory.store, error)
        }
        loading.met(damage: reason)
      }
    }
    if let reason = loading.unusable {
      try beginAnew(settingAside: "damaged")
      return .unusable(reason: reason)
    }
    guard let reason = loading.damage else { return .whole(rows: loading.rows) }
    return .damaged(slots: loading.damagedSlots, rows: loading.rows, reason: reason)
  }

  // MARK: Rebuilding

  /// Writes all rows anew, into an empty database that takes the place of the damaged one: `record`
  /// puts every row that there should be. What waits for a commit is among them.
  public func rebuild(_ record: () -> Void) throws(StoreError) {
    batch.clear()
    try Files.removeAll(directory.newStore)
    let rebuilding = try Rebuilding(directory.newStore, Self.databaseSettings(settings))
    self.rebuilding = rebuilding
    record()
    self.rebuilding = nil
    rebuilding.write(batch)
    try rebuilding.finish()
    database = nil
    try directory.setAside(as: "damaged")
    try reopen()
  }

  /// While everything is written anew, a batch must not hold all of it.
  private func spill() {
    if let rebuilding, batch.count >= 4096 { rebuilding.write(batch) }
  }
}

/// A store that is being made.
private final class Rebuilding {
  private let path: String
  private var database: Database?
  private var failure: DatabaseError?

  init(_ path: String, _ settings: Database.Settings) throws(StoreError) {
    self.path = path
    try Files.makeDirectory(path)
    var settings = settings
    settings.createsIfMissing = true
    do throws(DatabaseError) {
      database = try Database(path: path + "/rocksdb", settings)
    } catch {
      throw .database(path: path, error)
    }
  }

  /// Writes and empties a batch.
  func write(_ batch: WriteBatch) {
    do throws(DatabaseError) {
      if batch.count > 0, failure == nil { try database?.write(batch) }
    } catch {
      failure = error
    }
    batch.clear()
  }

  /// Makes it complete, by its witness, and closes it.
  func finish() throws(StoreError) {
    // A database has to have something that can be missed.
    let batch = WriteBatch()
    let row = [StateRow.Kind.layout.rawValue]
    row.withUnsafeBytes { batch.put($0, $0) }
    write(batch)
    if let failure { throw .database(path: path, failure) }
    let sequence = database?.latestSequence ?? 0
    database = nil
    try CommitWitness(path: path + "/commits").begin(sequence)
    try Files.syncDirectory(path)
  }
}
