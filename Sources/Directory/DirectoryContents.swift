internal import CHotrack
internal import Wire

/// All that the directory's memory says, with what its controller wrote down beside it: what
/// another controller begins with when that one is gone.
public struct DirectoryContents: Sendable, Equatable {
  /// One entry.
  public struct Entry: Sendable, Equatable {
    public var entry: UInt32
    public var keyHash: UInt64
    public var mode: EntryMode
    public var completed: UInt64
    /// Bit per server that holds the completed version.
    public var replicaSet: UInt32
    public var copies: UInt8
    /// Its table of write targets. Means nothing while it is being added.
    public var targets: UInt8
    public var note: EntryNote
  }

  /// One slot.
  public struct Slot: Sendable, Equatable {
    public var home: UInt8
    /// Who serves cold reads: the backup, if there is one, else the home.
    public var reader: UInt8
    public var moving: Bool
    public var lossGeneration: UInt64
  }

  /// Bans that can be in force at the same time.
  public static let bansMax = Int(DIRECTORY_BANS)

  public var epoch: UInt16
  public var generation: UInt64
  public var nextVersion: UInt64
  public var window: UInt32
  public var serverCount: UInt32
  public var serving: Bool
  /// Bit per living server.
  public var alive: UInt32
  /// Bit per server that gets no copies of hot keys, and that is drained or being drained.
  public var spared: UInt32
  public var drained: UInt32
  /// By number; all 32.
  public var servers: [ServerPlace]
  public var slots: [Slot]
  /// The rows of the tables of write targets.
  public var targets: [[UInt8]]
  /// In ascending order of their places.
  public var entries: [Entry]
  public var lossGeneration: UInt64
  /// Bit per server whose loss is being dealt with.
  public var losing: UInt32
  /// Bit per server that is waited for: it will have what it had.
  public var away: UInt32
  /// Bit per server whose state outlives its process.
  public var durable: UInt32
  /// Bit per server that slots move from or to.
  public var moving: UInt32
  /// By place.
  public var bans: [Ban]
  /// Controllers that have taken the directory over from another one.
  public var adoptions: UInt64
}

extension DirectoryMemory {
  /// Reads everything. Each entry's version and set are of one moment; nobody else may change the
  /// memory meanwhile, but packets.
  public func contents() -> DirectoryContents {
    guard let control = raw.pointee.control, let notes = raw.pointee.notes else {
      preconditionFailure("not mapped")
    }
    let tables = Int(DIRECTORY_TARGET_TABLES)
    let places = Int(DIRECTORY_TARGETS)
    return DirectoryContents(
      epoch: UInt16(truncatingIfNeeded: control.pointee.epoch), generation: generation,
      nextVersion: nextVersion, window: control.pointee.window,
      serverCount: control.pointee.server_count, serving: control.pointee.serving != 0,
      alive: control.pointee.alive, spared: control.pointee.spared,
      drained: control.pointee.drained, servers: (0..<WireLimits.serversMax).map(server),
      slots: (0..<WireLimits.slots).map { slot in
        .init(
          home: raw.pointee.slots[slot].home, reader: raw.pointee.slots[slot].reader,
          moving: raw.pointee.slots[slot].moving != 0,
          lossGeneration: raw.pointee.slot_losses[slot])
      },
      targets: (0..<tables).map { table in
        (0..<places).map { raw.pointee.targets[table * places + $0] }
      },
      entries: (0..<UInt32(capacity)).compactMap(entry),
      lossGeneration: notes.pointee.loss_generation, losing: notes.pointee.losing,
      away: notes.pointee.away, durable: notes.pointee.durable,
      moving: notes.pointee.moving,
      bans: (0..<DirectoryContents.bansMax).map {
        Ban(keyHash: bans[$0].key_hash, until: bans[$0].until)
      }, adoptions: notes.pointee.layout.adoptions)
  }

  private func server(_ number: Int) -> ServerPlace {
    let server = raw.pointee.servers + number
    return ServerPlace(
      incarnation: hotrack_load64(&server.pointee.incarnation),
      interface: server.pointee.interface, port: UInt16(bigEndian: server.pointee.port),
      mac: withUnsafeBytes(of: &server.pointee.mac) { Array($0) },
      address: withUnsafeBytes(of: &server.pointee.address) { Array($0) })
  }

  private func entry(_ place: UInt32) -> DirectoryContents.Entry? {
    let reading = reading(ofEntry: place)
    let detail = raw.pointee.details + Int(place)
    guard reading.keyHash != 0, let mode = EntryMode(rawValue: UInt32(detail.pointee.mode)) else {
      return nil
    }
    let note = raw.pointee.entry_notes + Int(place)
    let length = min(Int(note.pointee.key_length), WireLimits.keyLengthMax)
    return .init(
      entry: place, keyHash: reading.keyHash, mode: mode, completed: reading.completed,
      replicaSet: reading.replicaSet, copies: detail.pointee.copies,
      targets: detail.pointee.targets,
      note: EntryNote(
        key: withUnsafeBytes(of: &note.pointee.key) { Array($0.prefix(length)) },
        isPinned: note.pointee.is_pinned != 0, isLeaving: note.pointee.is_leaving != 0,
        lossGeneration: note.pointee.loss_generation))
  }

  // MARK: Notes

  /// Writes something down. Any moment may be the controller's last: each store leaves something
  /// that a successor can begin with.
  func note(_ change: DirectoryChange) {
    guard let notes = raw.pointee.notes else { preconditionFailure("not mapped") }
    switch change {
    case .noteLoss(let generation): hotrack_store64(&notes.pointee.loss_generation, generation)
    case .noteLosing(let servers): hotrack_store32(&notes.pointee.losing, servers)
    case .noteAway(let servers): hotrack_store32(&notes.pointee.away, servers)
    case .noteDurable(let servers): hotrack_store32(&notes.pointee.durable, servers)
    case .noteMoving(let servers): hotrack_store32(&notes.pointee.moving, servers)
    case .noteAdoptions(let count): hotrack_store64(&notes.pointee.layout.adoptions, count)
    default: break
    }
  }

  private var bans: UnsafeMutablePointer<directory_ban> {
    withUnsafeMutablePointer(to: &raw.pointee.notes.pointee.bans) {
      UnsafeMutableRawPointer($0).assumingMemoryBound(to: directory_ban.self)
    }
  }
}
