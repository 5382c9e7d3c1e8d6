internal import DurableStore
internal import Logging
internal import RocksDB
internal import ServerCore
internal import Sockets
internal import Storage

/// The durable state of one server: lets nobody hear of what is not on the disk, and deals with disks
/// that are full or damaged. Not thread-safe.
final class ServerStorage {
  private(set) var totals = StorageTotals()

  private let store: DurableStore
  let journal: StateJournal
  private let logger: Logger
  /// What went wrong in the middle of a round.
  private var failure: StoreError?
  /// The last commit found no room.
  private var isStalled = false
  /// It was one in the middle of the round that goes on.
  private var hasStalledInRound = false
  private var wasFull = false
  private var nextWatch: UInt64 = 0

  /// Between two looks at the room on the disk, and two attempts to write when there was none.
  /// Nanoseconds.
  private static let watchInterval: UInt64 = 250_000_000

  init(_ store: DurableStore, logger: Logger) {
    self.store = store
    self.logger = logger
    journal = StateJournal(store)
  }

  /// When the disk is to be looked at again.
  var nextDue: UInt64 { nextWatch }

  // MARK: Loading

  /// A server with what its earlier start has left.
  func load(_ configuration: ServerConfiguration) throws(StoreError) -> ServerCore {
    var core = ServerCore(configuration, journal: journal)
    let loaded = try store.load { core.restore($0) }
    switch loaded {
    case .nothing: logger.info("\(store.path): no data yet")
    case .whole(let rows):
      core.finishRestoring()
      logger.info("\(store.path): \(rows) rows read")
    case .damaged(let slots, let rows, let reason):
      logger.error(
        """
        \(store.path): \(rows) rows read, but those of \(slots.count) of 16384 slots are damaged \
        (\(reason)); keys that are missing there are lost unless another server has a copy. The \
        database is written anew; `damaged` has the old one
        """)
      core.finishRestoring(damaged: slots)
      try rebuild(core)
    case .unusable(let reason):
      logger.critical(
        """
        \(store.path): the database is damaged (\(reason)); the server begins empty, and `damaged` \
        has what was there
        """)
      core = ServerCore(configuration, journal: journal)
    }
    core.onForgetting = { [unowned self] in
      logger.warning(
        "\(store.path): the rack has done without this data; the server begins empty, and `refused` has it"
      )
      store.setAside(as: "refused")
    }
    // What was written down while reading is not news to anybody.
    journal.settled()
    return core
  }

  // MARK: Serving

  /// Makes what the core has changed durable. False: that is not possible now, and the answers that
  /// wait must not be sent.
  func settle(_ core: inout ServerCore, now: UInt64) throws(StoreError) -> Bool {
    if let failure {
      self.failure = nil
      try recover(failure, core)
      // The answers that waited then are lost.
      return true
    }
    if hasStalledInRound {
      // The core did not know, and has answered as if it could.
      hasStalledInRound = false
      note(&core)
      return false
    }
    // Nothing has changed since, and what may be answered rests on what is durable.
    if isStalled && now < nextWatch { return true }
    if now >= nextWatch {
      nextWatch = now + Self.watchInterval
      store.watchSpace()
    }
    var mayAnswer = true
    do throws(StoreError) {
      mayAnswer = try commit()
    } catch {
      try recover(error, core)
    }
    note(&core)
    return mayAnswer
  }

  /// Makes what was changed durable in the middle of a round, when no more answers can wait. False:
  /// they must not be sent.
  func settleInRound() -> Bool {
    guard failure == nil, !hasStalledInRound else { return false }
    // What the core serves then rests on what is durable.
    guard !isStalled else { return true }
    do throws(StoreError) {
      hasStalledInRound = try !commit()
      return !hasStalledInRound
    } catch {
      failure = error
      return false
    }
  }

  private func commit() throws(StoreError) -> Bool {
    guard store.isDirty else { return true }
    let outcome = try store.commit()
    isStalled = outcome == .noRoom
    if !isStalled { journal.settled() }
    (totals.commits, totals.rows) = (store.commits, store.rowsCommitted)
    return !isStalled
  }

  /// Files that are damaged are written anew from memory; anything else is the end.
  private func recover(_ error: StoreError, _ core: ServerCore) throws(StoreError) {
    guard case .database(_, .corrupt(let reason)) = error else { throw error }
    logger.error(
      """
      \(store.path): files of the database are damaged (\(reason)); it is written anew from memory, \
      and `damaged` has the old one
      """)
    try rebuild(core)
  }

  private func rebuild(_ core: ServerCore) throws(StoreError) {
    try store.rebuild { core.recordEverything() }
    journal.settled()
    isStalled = false
    totals.repairs += 1
  }

  /// Tells the core what it may do, and people when that changes.
  private func note(_ core: inout ServerCore) {
    let isFull = store.isFull || isStalled
    if isFull != wasFull {
      wasFull = isFull
      if isFull {
        totals.full += 1
        logger.error(
          "\(store.path): no room is left on the disk; no writes are taken until there is some")
      } else {
        logger.notice("\(store.path): there is room on the disk again; writes are taken")
      }
    }
    if isStalled {
      core.storage = .stalled(Set(journal.unsettled))
    } else {
      core.storage = isFull ? .readOnly : .writable
    }
  }
}
