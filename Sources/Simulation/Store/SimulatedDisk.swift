internal import Paxos
internal import StoreState

/// The disk of one simulated replica: a log of votes and stored objects. What is not synced is lost
/// at a crash, from some record on.
struct SimulatedDisk {
  private struct Logged {
    var position: UInt64
    var record: LogRecord
  }

  private struct Stored {
    var id: ObjectID
    var image: ObjectImage
    /// Records up to here are part of it.
    var position: UInt64
  }

  private var log: [Logged] = []
  private var stored: [Stored] = []
  /// Objects stored since the last sync.
  private var unsynced: [Stored] = []
  private(set) var syncedPosition: UInt64 = 0
  private(set) var hasLostVotes = false
  /// See `DurableState.life`.
  private(set) var life: UInt64 = 0
  /// `StoreFault.appliedApart`: how far the state of an object had been written, while the rest was
  /// as `stored` says.
  private var statesApart: [Stored] = []

  var recordCount: Int { log.count }

  mutating func append(_ record: LogRecord, position: UInt64) {
    log.append(Logged(position: position, record: record))
  }

  /// Stores an object as one; it lasts from the next sync on.
  mutating func store(_ id: ObjectID, _ image: ObjectImage, position: UInt64, isApart: Bool) {
    let new = Stored(id: id, image: image, position: position)
    if isApart { statesApart.append(new) } else { unsynced.append(new) }
  }

  /// Everything up to a position lasts; objects that were stored before it let go of their records.
  mutating func sync(through position: UInt64) {
    syncedPosition = max(syncedPosition, position)
    for new in unsynced where new.position <= syncedPosition {
      stored.removeAll { $0.id == new.id }
      stored.append(new)
      log.removeAll { $0.record.object == new.id && $0.position <= new.position }
    }
    unsynced.removeAll { $0.position <= syncedPosition }
  }

  /// The machine loses power: of what was not synced, a part from the start is there.
  mutating func crash(_ random: inout SimulationRandom) {
    let first = log.firstIndex { $0.position > syncedPosition } ?? log.count
    if first < log.count {
      log.removeSubrange(random.integer(in: first...log.count)...)
    }
    unsynced = []
  }

  mutating func wipe() {
    self = SimulatedDisk()
    hasLostVotes = true
  }

  /// The replica has made good what it lost, and that is durable.
  mutating func heal() { hasLostVotes = false }

  /// A record that was synced is damaged. What was read before it cannot be told from what should
  /// have come after it: all is given up. `isTakenForTear`: only what comes from it on is.
  /// False: there is nothing to damage.
  mutating func damage(_ random: inout SimulationRandom, isTakenForTear: Bool) -> Bool {
    guard !log.isEmpty else { return false }
    if isTakenForTear {
      log.removeSubrange(random.integer(in: 0...log.count - 1)...)
    } else {
      wipe()
    }
    return true
  }

  /// What a replica that starts finds. Positions begin anew with it.
  mutating func start(incarnation: UInt64, sessionsInMemory: Bool) -> DurableState {
    var durable = DurableState()
    durable.hasLostVotes = hasLostVotes
    if hasLostVotes, life == 0 { life = incarnation }
    durable.life = life
    for object in stored {
      var image = object.image
      // Written apart, the state may be newer than the entry that it is said to be of.
      if let apart = statesApart.last(where: { $0.id == object.id }),
        apart.image.snapshot.chosen > image.snapshot.chosen
      {
        image.snapshot.state = apart.image.snapshot.state
      }
      if sessionsInMemory { image.snapshot.state = image.snapshot.state.withoutSessions() }
      durable.images.append((object.id, image))
    }
    durable.records = log.map(\.record)
    for index in log.indices { log[index].position = 0 }
    for index in stored.indices { stored[index].position = 0 }
    statesApart = []
    syncedPosition = 0
    return durable
  }
}
