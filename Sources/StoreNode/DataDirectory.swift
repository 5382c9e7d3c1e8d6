internal import BinaryCoding
internal import Glibc
internal import Paxos
internal import RocksDB
internal import SegmentLog
public import StoreProtocol

/// The directory of a node's data: `identity`, the log of votes in `votes`, objects in `state`.
public enum DataDirectory {
  /// Makes the directory of a node that has never been before. Whoever has no such directory is
  /// taken for somebody who has lost it, and asks the others before it votes; only at the very
  /// beginning of a cell there is nobody to ask.
  public static func initialize(_ options: StoreNodeOptions) throws(StoreNodeError) {
    try storage { () throws(any Error) in
      let files = LocalFiles()
      try files.makeDirectory(options.dataDirectory)
      let names = try files.names(in: options.dataDirectory)
      guard names.isEmpty else { throw StoreNodeError.notEmpty(options.dataDirectory) }
      try makeEmpty(options, files, inBackground: nil)
      try NodeIdentity(
        cell: options.cell, node: options.node.rawValue, incarnation: 0, hasLostVotes: false,
        life: 0
      ).write(options.dataDirectory, files)
    }
  }

  /// Makes the directory of a node of a new cell that begins with what a snapshot has. All nodes of
  /// the cell have to be made from the same file.
  public static func restore(
    _ options: StoreNodeOptions, snapshot: UnsafeRawBufferPointer
  ) throws(StoreNodeError) -> SnapshotFile {
    try storage { () throws(any Error) in
      // All of it is good before anything is made.
      let file = try SnapshotFile(snapshot)
      guard file.header.cell != options.cell else {
        throw StoreNodeError.sameCell(options.cellName)
      }
      let files = LocalFiles()
      try files.makeDirectory(options.dataDirectory)
      guard try files.names(in: options.dataDirectory).isEmpty else {
        throw StoreNodeError.notEmpty(options.dataDirectory)
      }
      let (rows, _) = try makeEmpty(options, files, inBackground: nil)
      var images: [(id: ObjectID, bytes: [UInt8])] = []
      var length = 0
      _ = try SnapshotFile(snapshot) { row in
        let bytes = ObjectImage(restoring: row).encoded
        length += bytes.count
        images.append((row.id, bytes))
        guard images.count >= 1_024 || length > 4 << 20 else { return }
        try rows.store(images)
        (images, length) = ([], 0)
      }
      if !images.isEmpty { try rows.store(images) }
      // Without it the directory is nobody's: what is not whole is not used.
      try NodeIdentity(
        cell: options.cell, node: options.node.rawValue, incarnation: 0, hasLostVotes: false,
        life: 0
      ).write(options.dataDirectory, files)
      return file
    }
  }

  struct Opened {
    var identity: NodeIdentity
    var rows: StateRows
    var log: SegmentLog
    var durable: DurableState
    /// What was wrong, if the node has lost its data at this start.
    var loss: String?
    var lock: DirectoryLock
  }

  /// `inBackground`: see `SegmentLog.Settings`. `incarnation`: used if it is higher than all before.
  static func open(
    _ options: StoreNodeOptions, incarnation: UInt64,
    inBackground: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void
  ) throws(StoreNodeError) -> Opened {
    try storage { () throws(any Error) in
      let files = LocalFiles()
      let directory = options.dataDirectory
      try files.makeDirectory(directory)
      let lock = try DirectoryLock(directory)
      var identity: NodeIdentity
      var loss: String?
      if let found = try NodeIdentity.read(directory, files) {
        identity = found
        guard found.cell == options.cell, found.node == options.node.rawValue else {
          throw StoreNodeError.foreign(
            "\(directory) belongs to node \(found.node) of another cell, or to another node: check "
              + "the configuration's cell, node and data")
        }
      } else {
        loss = "the data directory is empty, or its identity is not there"
        identity = NodeIdentity(
          cell: options.cell, node: options.node.rawValue, incarnation: 0, hasLostVotes: true,
          life: 0)
      }
      identity.incarnation = max(identity.incarnation + 1, incarnation)
      if loss == nil {
        do {
          let (rows, log, durable) = try read(options, files, inBackground)
          try identity.write(directory, files)
          var opened = Opened(
            identity: identity, rows: rows, log: log, durable: durable, loss: nil, lock: lock)
          opened.durable.hasLostVotes = identity.hasLostVotes
          opened.durable.life = identity.life
          return opened
        } catch let error where isDamage(error) {
          loss = "\(error)"
        }
      }
      // From here on it is known, whatever happens next, that votes were lost.
      identity.hasLostVotes = true
      identity.life = identity.incarnation
      try identity.write(directory, files)
      try setAside(directory, identity.incarnation, files)
      let (rows, log) = try makeEmpty(options, files, inBackground: inBackground)
      var durable = DurableState()
      durable.hasLostVotes = true
      durable.life = identity.life
      return Opened(
        identity: identity, rows: rows, log: log, durable: durable, loss: loss, lock: lock)
    }
  }

  private static func read(
    _ options: StoreNodeOptions, _ files: LocalFiles,
    _ inBackground: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void
  ) throws -> (StateRows, SegmentLog, DurableState) {
    let names = try files.names(in: options.dataDirectory)
    guard names.contains("state"), names.contains("votes") else {
      throw SegmentLogError.damaged("a directory of the data is missing")
    }
    let rows = try StateRows(options.dataDirectory + "/state")
    var durable = DurableState()
    let (images, first) = try rows.load()
    durable.images = images
    var witnessed: UInt64 = 0
    var malformed: MalformedBytes?
    let log = try SegmentLog(settings(options, inBackground), files: files, first: first) {
      do throws(MalformedBytes) {
        switch try NodeRecord(decoding: $0) {
        case .vote(let record): durable.records.append(record)
        case .witness(let sequence): witnessed = max(witnessed, sequence)
        }
      } catch {
        malformed = error
      }
    }
    if let malformed { throw malformed }
    guard rows.sequence >= witnessed else {
      throw SegmentLogError.damaged(
        "the database has \(rows.sequence) changes, and once had \(witnessed)")
    }
    return (rows, log, durable)
  }

  @discardableResult
  private static func makeEmpty(
    _ options: StoreNodeOptions, _ files: LocalFiles,
    inBackground: (@Sendable (@escaping @Sendable () -> Void) -> Void)?
  ) throws -> (StateRows, SegmentLog) {
    let rows = try StateRows(options.dataDirectory + "/state")
    let log = try SegmentLog(beginning: settings(options, inBackground ?? { $0() }), files: files)
    try files.syncDirectory(options.dataDirectory)
    return (rows, log)
  }

  static func settings(
    _ options: StoreNodeOptions,
    _ inBackground: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void = { $0() }
  ) -> SegmentLog.Settings {
    var settings = SegmentLog.Settings(
      directory: options.dataDirectory + "/votes",
      identity: .init(cell: options.cell, node: options.node.rawValue))
    settings.segmentLength = options.segmentLength
    settings.inBackground = inBackground
    return settings
  }

  /// Keeps what is damaged for whoever wants to look at it; the newest only.
  private static func setAside(
    _ directory: String, _ incarnation: UInt64, _ files: LocalFiles
  ) throws {
    let names = try files.names(in: directory)
    let aside = "\(directory)/damaged-\(incarnation)"
    for name in ["votes", "state"] where names.contains(name) {
      try files.makeDirectory(aside)
      try files.rename("\(directory)/\(name)", to: "\(aside)/\(name)")
    }
    try files.syncDirectory(directory)
  }

  private static func isDamage(_ error: any Error) -> Bool {
    switch error {
    case SegmentLogError.damaged, is MalformedBytes, DatabaseError.corrupt: true
    default: false
    }
  }

  private static func storage<Result>(
    _ body: () throws -> Result
  ) throws(StoreNodeError) -> Result {
    do { return try body() } catch let error as StoreNodeError {
      throw error
    } catch let error as DatabaseError {
      throw .storage(error.reason)
    } catch {
      throw .storage("\(error)")
    }
  }
}

/// Keeps other processes out of a data directory while it lives.
final class DirectoryLock: Sendable {
  private let descriptor: Int32

  init(_ directory: String) throws(StoreNodeError) {
    descriptor = Glibc.open("\(directory)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw .storage("cannot open \(directory)/lock: \(String(cString: strerror(errno)))")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw .inUse(directory)
    }
  }

  deinit { close(descriptor) }
}
