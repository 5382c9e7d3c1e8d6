package import CHotrack
internal import Glibc
internal import Wire

/// The directory's memory: the maps of the XDP program mapped into this process, or plain memory
/// with which the same decision code runs on the host (`bpf/directory_state.h`).
///
/// Changes (`apply`) come from one thread at a time; `handle` may be called on any number of
/// threads meanwhile, as the kernel handles packets on any CPU.
public final class DirectoryMemory: @unchecked Sendable {
  package let raw: UnsafeMutablePointer<directory>
  /// Places for entries: a power of two, four times the number of buckets.
  public let capacity: Int
  private let owned: [UnsafeMutableRawPointer]
  /// Keeps what the pointers point into alive.
  private let owner: AnyObject?

  /// Plain memory for the host build. `buckets` is a power of two; each holds four entries.
  public init(buckets: Int, randomSeed: UInt32 = 1) {
    precondition(buckets > 0 && buckets & (buckets - 1) == 0, "buckets must be a power of two")
    var owned: [UnsafeMutableRawPointer] = []
    func lines<Element>(_ type: Element.Type, _ count: Int) -> UnsafeMutablePointer<Element> {
      guard let memory = hotrack_allocate_lines(UInt64(MemoryLayout<Element>.stride * count)) else {
        fatalError("out of memory for a directory of \(buckets) buckets")
      }
      owned.append(memory)
      return memory.bindMemory(to: type, capacity: count)
    }
    raw = .allocate(capacity: 1)
    raw.initialize(
      to: directory(
        control: lines(directory_control.self, 1),
        buckets: lines(directory_bucket.self, buckets),
        details: lines(directory_detail.self, buckets * Int(DIRECTORY_WAYS)),
        slots: lines(directory_slot.self, WireLimits.slots),
        servers: lines(directory_server.self, WireLimits.serversMax),
        loads: lines(directory_load.self, WireLimits.serversMax),
        targets: lines(UInt8.self, Int(DIRECTORY_TARGET_TABLES * DIRECTORY_TARGETS)),
        notes: lines(directory_notes.self, 1),
        slot_losses: lines(UInt64.self, WireLimits.slots),
        entry_notes: lines(directory_entry_note.self, buckets * Int(DIRECTORY_WAYS)),
        random: lines(UInt32.self, 1), faults: 0))
    raw.pointee.random.pointee = randomSeed
    raw.pointee.control.pointee.bucket_mask = UInt32(buckets - 1)
    capacity = buckets * Int(DIRECTORY_WAYS)
    self.owned = owned
    self.owner = nil
  }

  /// Memory that `owner` keeps mapped; `buckets` as above. `pointers.random` is not used.
  package init(mapped pointers: directory, buckets: Int, owner: AnyObject) {
    raw = .allocate(capacity: 1)
    raw.initialize(to: pointers)
    raw.pointee.control.pointee.bucket_mask = UInt32(buckets - 1)
    capacity = buckets * Int(DIRECTORY_WAYS)
    owned = []
    self.owner = owner
  }

  deinit {
    for memory in owned { free(memory) }
    raw.deallocate()
  }

  /// Makes one change. Precondition: entries, servers and slots named exist.
  public func apply(_ change: DirectoryChange) {
    guard let control = raw.pointee.control else { preconditionFailure("not mapped") }
    switch change {
    case .begin(let epoch, let serverCount, let nextVersion, let window):
      precondition(window >= 4 && window <= 1 << 30 && serverCount <= WireLimits.serversMax)
      control.pointee.epoch = UInt32(epoch)
      control.pointee.server_count = serverCount
      control.pointee.next_version = nextVersion
      control.pointee.window = window
    case .setServing(let serving):
      hotrack_store32(&control.pointee.serving, serving ? 1 : 0)
    case .setGeneration(let generation):
      hotrack_store64(&control.pointee.generation, generation)
    case .setAlive(let servers):
      hotrack_store32(&control.pointee.alive, servers)
    case .setSpared(let servers):
      hotrack_store32(&control.pointee.spared, servers)
    case .setDrained(let servers):
      hotrack_store32(&control.pointee.drained, servers)
    case .setMode(let entry, let mode):
      directory_set_mode(raw, checked(entry), mode.rawValue)
    case .setCopies(let entry, let copies):
      hotrack_store8(&raw.pointee.details[Int(checked(entry))].copies, copies)
    case .setSampleInterval(let interval):
      hotrack_store32(&control.pointee.sample_interval, interval)
    case .setReadChoice(let choice):
      hotrack_store32(&control.pointee.choice, choice.rawValue)
    case .decayLoads:
      directory_decay_loads(raw)
    case .setServerCount(let count):
      precondition(count <= WireLimits.serversMax)
      hotrack_store32(&control.pointee.server_count, count)
    case .relocate(let number, let interface, let mac):
      precondition(number < WireLimits.serversMax && mac.count == 6)
      let server = raw.pointee.servers + Int(number)
      hotrack_store32(&server.pointee.interface, interface)
      withUnsafeMutableBytes(of: &server.pointee.mac) { bytes in
        for (place, byte) in zip(bytes.indices, mac) { bytes[place] = byte }
      }
    case .noteLoss, .noteLosing, .noteAway, .noteDurable, .noteMoving, .noteAdoptions:
      note(change)
    default:
      guard var stores = stores(of: change) else { preconditionFailure("\(change)") }
      directory_apply(raw, &stores)
    }
  }

  /// Takes `count` versions from the rack's counter; returns the first.
  public func reserveVersions(_ count: Int = 1) -> UInt64 {
    hotrack_fetch_add64(&raw.pointee.control.pointee.next_version, UInt64(count))
  }

  /// The version that the next write will get.
  public var nextVersion: UInt64 { hotrack_load64(&raw.pointee.control.pointee.next_version) }

  public var generation: UInt64 { hotrack_load64(&raw.pointee.control.pointee.generation) }

  /// The load that the directory assumes of a server.
  public func load(ofServer server: Int) -> UInt32 {
    hotrack_load32(&raw.pointee.loads[server].load)
  }

  /// The home server of a slot.
  public func home(ofSlot slot: Int) -> Int { Int(raw.pointee.slots[slot].home) }

  /// The server that cold reads of a slot go to: its backup, or else its home.
  public func reader(ofSlot slot: Int) -> Int { Int(raw.pointee.slots[slot].reader) }

  /// What the memory says of one entry: version and set are of one moment.
  public func reading(ofEntry entry: UInt32) -> EntryReading {
    let (bucket, way) = (
      Int(checked(entry)) / Int(DIRECTORY_WAYS), Int(entry) % Int(DIRECTORY_WAYS)
    )
    let place = raw.pointee.buckets + bucket
    let word = withUnsafeMutablePointer(to: &place.pointee.word) {
      UnsafeMutableRawPointer($0).assumingMemoryBound(to: UInt64.self)
    }
    let hash = withUnsafeMutablePointer(to: &place.pointee.key_hash) {
      UnsafeMutableRawPointer($0).assumingMemoryBound(to: UInt64.self)
    }
    let state = hotrack_load64(word + way)
    return EntryReading(
      entry: entry, keyHash: hotrack_load64(hash + way),
      completed: directory_word_version(raw.pointee.details + Int(entry), state),
      replicaSet: directory_word_set(state), windowOffset: directory_word_offset(state))
  }

  func checked(_ entry: UInt32) -> UInt32 {
    precondition(Int(entry) < capacity, "entry \(entry) is outside the directory")
    return entry
  }
}
