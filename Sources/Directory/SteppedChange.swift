internal import CHotrack
internal import Wire

/// One change of the directory's memory, made store by store: whoever makes it can stop, or die,
/// before each of them. For simulations, with the host's memory. Not thread-safe.
public final class SteppedChange {
  private let memory: DirectoryMemory
  private let stepped: OpaquePointer
  private let stores: UnsafeMutablePointer<directory_change>
  public private(set) var isFinished = false
  /// Stores that it takes, at most.
  public let countMax: Int

  /// Nothing is changed yet. Nil: the change is a single store.
  public init?(_ change: DirectoryChange, of memory: DirectoryMemory) {
    guard let stores = memory.stores(of: change) else { return nil }
    guard let stepped = hotrack_stepped_create() else { fatalError("out of memory") }
    self.memory = memory
    self.stepped = stepped
    self.stores = .allocate(capacity: 1)
    self.stores.initialize(to: stores)
    countMax =
      switch stores.kind {
      case DIRECTORY_CHANGE_SLOTS: 2 * Int(stores.count)
      case DIRECTORY_CHANGE_NOTE_SLOT_LOSSES: Int(stores.count)
      case DIRECTORY_CHANGE_TARGETS: Int(DIRECTORY_TARGETS)
      case DIRECTORY_CHANGE_SERVER: 25
      case DIRECTORY_CHANGE_NOTE_ENTRY: 4 + Int(stores.body.note.key_length)
      default: 6
      }
    hotrack_stepped_begin_change(stepped, memory.raw, self.stores)
  }

  deinit {
    hotrack_stepped_destroy(stepped)
    stores.deallocate()
  }

  /// Goes on until `steps` stores from now, or, with 0, to the end. Returns whether it is made.
  public func advance(steps: Int) -> Bool {
    guard !isFinished else { return true }
    isFinished = hotrack_stepped_run(stepped, UInt32(steps)) != 0
    return isFinished
  }
}

extension DirectoryMemory {
  /// A change that takes more than one store, as `bpf/directory_control.h` makes it; nil: it takes one.
  func stores(of change: DirectoryChange) -> directory_change? {
    var stores = directory_change()
    switch change {
    case .setServer(let number, let place):
      precondition(number < WireLimits.serversMax, "a rack has at most 32 servers")
      stores.kind = DIRECTORY_CHANGE_SERVER
      stores.place = UInt32(number)
      stores.body.server = directory_server(place)
    case .setSlots(let first, let count, let home, let reader, let moving):
      stores.kind = DIRECTORY_CHANGE_SLOTS
      stores.setSlots(first, count)
      stores.home = home
      stores.reader = reader ?? home
      stores.moving = moving ? 1 : 0
    case .setTargets(let table, let servers):
      precondition(servers.count == DIRECTORY_TARGETS && table < DIRECTORY_TARGET_TABLES)
      stores.kind = DIRECTORY_CHANGE_TARGETS
      stores.place = UInt32(table)
      withUnsafeMutableBytes(of: &stores.body.row) { $0.copyBytes(from: servers) }
    case .insert(let entry, let keyHash, _):
      stores.kind = DIRECTORY_CHANGE_INSERT
      stores.place = checked(entry)
      stores.value = keyHash
    case .makeHot(let entry, let completed, let set, let since, _, let copies, let targets):
      stores.kind = DIRECTORY_CHANGE_MAKE_HOT
      stores.place = checked(entry)
      (stores.value, stores.set, stores.since) = (completed, set, since)
      (stores.copies, stores.targets) = (copies, targets)
    case .remove(let entry):
      stores.kind = DIRECTORY_CHANGE_REMOVE
      stores.place = checked(entry)
    case .forgetServer(let entry, let server):
      stores.kind = DIRECTORY_CHANGE_FORGET_SERVER
      stores.place = checked(entry)
      stores.set = UInt32(server)
    case .rebase(let entry):
      stores.kind = DIRECTORY_CHANGE_REBASE
      stores.place = checked(entry)
    case .noteEntry(let entry, let note):
      stores.kind = DIRECTORY_CHANGE_NOTE_ENTRY
      stores.place = checked(entry)
      stores.body.note = directory_entry_note(note)
    case .noteSlotLoss(let first, let count, let generation):
      stores.kind = DIRECTORY_CHANGE_NOTE_SLOT_LOSSES
      stores.setSlots(first, count)
      stores.value = generation
    case .noteBan(let place, let ban):
      precondition(place < DirectoryContents.bansMax)
      stores.kind = DIRECTORY_CHANGE_NOTE_BAN
      stores.place = UInt32(place)
      (stores.value, stores.since) = (ban.keyHash, ban.until)
    default: return nil
    }
    return stores
  }
}

extension directory_change {
  fileprivate mutating func setSlots(_ first: UInt16, _ count: UInt16) {
    precondition(Int(first) + Int(count) <= WireLimits.slots)
    (place, self.count) = (UInt32(first), UInt32(count))
  }
}

extension directory_server {
  fileprivate init(_ place: ServerPlace) {
    self.init()
    incarnation = place.incarnation
    interface = place.interface
    port = place.port.bigEndian
    withUnsafeMutableBytes(of: &mac) { $0.copyBytes(from: place.mac) }
    withUnsafeMutableBytes(of: &address) { $0.copyBytes(from: place.address) }
  }
}

extension directory_entry_note {
  fileprivate init(_ note: EntryNote) {
    precondition((1...WireLimits.keyLengthMax).contains(note.key.count))
    self.init()
    is_pinned = note.isPinned ? 1 : 0
    is_leaving = note.isLeaving ? 1 : 0
    loss_generation = note.lossGeneration
    key_length = UInt8(note.key.count)
    withUnsafeMutableBytes(of: &key) { $0.copyBytes(from: note.key) }
  }
}
