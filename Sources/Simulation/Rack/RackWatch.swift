internal import Directory
internal import Wire

/// What a simulation remembers of a rack to see that its invariants hold, and the exact counts
/// that the data plane keeps of each entry.
struct RackWatch {
  private var reads: [UInt64]
  private var writes: [UInt64]
  /// By place: the key hash of the entry that lives there; 0: none.
  private(set) var keyHashes: [UInt64]
  private(set) var modes: [EntryMode?]
  private(set) var homes: [UInt8]
  /// By place: the completed version when it was last looked at.
  private(set) var completed: [UInt64]
  private var alive: UInt32 = 0
  /// A server was taken for dead, so that a replica set may be empty.
  private(set) var hasLostServers = false
  private var incarnations: [UInt8: UInt64] = [:]
  private var places: [UInt64: UInt32] = [:]
  /// By key hash: the newest version that was let through to a client.
  private var newestShown: [UInt64: UInt64] = [:]
  /// By key hash: the newest version of a delete that a server has spoken of.
  private var newestTombstone: [UInt64: UInt64] = [:]
  /// By client and sequence: the version under which a write took effect.
  private var effects: [Request: UInt64] = [:]
  private(set) var sampleInterval: UInt32 = 0
  private var untilSample: UInt32 = 0

  struct Request: Hashable {
    var client: UInt64
    var sequence: UInt64
  }

  init(places: Int) {
    reads = Array(repeating: 0, count: places)
    writes = Array(repeating: 0, count: places)
    keyHashes = Array(repeating: 0, count: places)
    modes = Array(repeating: nil, count: places)
    homes = Array(repeating: WireLimits.noServer, count: places)
    completed = Array(repeating: 0, count: places)
  }

  mutating func count(_ entry: UInt32, isRead: Bool) {
    if isRead { reads[Int(entry)] += 1 } else { writes[Int(entry)] += 1 }
  }

  func counts(of entry: UInt32) -> (reads: UInt64, writes: UInt64) {
    (reads[Int(entry)], writes[Int(entry)])
  }

  func place(of keyHash: UInt64) -> UInt32? { places[keyHash] }

  func newestShown(_ keyHash: UInt64) -> UInt64 { newestShown[keyHash] ?? 0 }

  mutating func shown(_ keyHash: UInt64, _ version: UInt64) {
    newestShown[keyHash] = max(newestShown[keyHash] ?? 0, version)
  }

  func newestTombstone(_ keyHash: UInt64) -> UInt64 { newestTombstone[keyHash] ?? 0 }

  mutating func noteTombstone(_ keyHash: UInt64, _ version: UInt64) {
    newestTombstone[keyHash] = max(newestTombstone[keyHash] ?? 0, version)
  }

  mutating func setCompleted(_ entry: UInt32, _ version: UInt64) {
    completed[Int(entry)] = version
  }

  /// Follows a change of the directory that is about to be made.
  mutating func before(_ change: DirectoryChange) {
    switch change {
    case .insert(let entry, let keyHash, let home):
      homes[Int(entry)] = home
      keyHashes[Int(entry)] = keyHash
      modes[Int(entry)] = .adding
      completed[Int(entry)] = 0
      places[keyHash] = entry
    case .makeHot(let entry, _, _, _, _, _, _): modes[Int(entry)] = .hot
    case .setMode(let entry, let mode): modes[Int(entry)] = mode
    case .remove(let entry):
      places[keyHashes[Int(entry)]] = nil
      keyHashes[Int(entry)] = 0
      modes[Int(entry)] = nil
    case .setAlive(let servers):
      if servers & alive != alive { hasLostServers = true }
      alive = servers
    case .setServer(let server, let place): incarnations[server] = place.incarnation
    case .setSampleInterval(let interval): sampleInterval = interval
    default: break
    }
  }

  /// The directory has begun anew with nothing; what clients and servers have seen stays.
  mutating func forgetDirectory() {
    for place in keyHashes.indices {
      keyHashes[place] = 0
      modes[place] = nil
      completed[place] = 0
    }
    places = [:]
    alive = 0
    incarnations = [:]
    sampleInterval = 0
  }

  /// A write took effect under a version, or its result was shown again. Returns the version of
  /// the first time if that was another one.
  mutating func effect(_ request: Request, _ version: UInt64) -> UInt64? {
    guard let first = effects[request] else {
      effects[request] = version
      return nil
    }
    return first == version ? nil : first
  }

  /// The directory takes this server, in this incarnation, for a living one.
  func isAlive(_ server: SimulatedServer) -> Bool {
    alive & (1 << UInt32(server.number)) != 0
      && incarnations[UInt8(server.number)] == server.incarnation && !server.isDown
  }

  /// The directory takes it for a living one, and it is not, or not in this incarnation.
  func isMisjudged(_ server: SimulatedServer) -> Bool {
    alive & (1 << UInt32(server.number)) != 0 && !isAlive(server)
  }

  mutating func takesSample() -> Bool {
    guard sampleInterval > 0 else { return false }
    untilSample += 1
    guard untilSample >= sampleInterval else { return false }
    untilSample = 0
    return true
  }
}

extension RackWorld {
  func checkAllEntries() {
    for place in watch.keyHashes.indices where watch.keyHashes[place] != 0 {
      checkEntry(UInt32(place))
    }
  }

  /// The invariants that a server may have broken by what it has just been told: of one key, or,
  /// by what names no key, of all.
  func checkEntries(after datagram: [UInt8]) {
    guard let header = Self.header(of: datagram), header.keyHash != 0 else {
      checkAllEntries()
      return
    }
    if let entry = watch.place(of: header.keyHash) { checkEntry(entry) }
  }

  /// When nothing is under way, each slot with a key in it has one living home that knows of it.
  func checkSlots() {
    for key in SimulatedKeys.all[..<scenario.keys] {
      let slot = KeyHash.slot(key.hash)
      let homes = servers.indices.filter {
        watch.isAlive(servers[$0]) && servers[$0].isHome(of: slot)
      }
      if homes.count != 1 || homes.first != memory.home(ofSlot: slot) {
        fail(
          .slotOwners,
          "slot \(slot) of \(key.name): servers \(homes) take it for theirs, the directory steers to "
            + "\(memory.home(ofSlot: slot))")
      }
      checkBackups(key, slot)
    }
  }

  /// The server that cold reads go to, if it is not the home, knows that it is backup; and what both
  /// store of a cold key is no older than what clients were shown.
  private func checkBackups(_ key: SimulatedKeys.Key, _ slot: Int) {
    let (home, reader) = (memory.home(ofSlot: slot), memory.reader(ofSlot: slot))
    let backups = servers.indices.filter {
      watch.isAlive(servers[$0]) && servers[$0].isBackup(of: slot)
    }
    guard backups == (home == reader ? [] : [reader]) else {
      fail(
        .slotOwners,
        "slot \(slot) of \(key.name): servers \(backups) take themselves for its backup, its reads "
          + "go to \(reader)")
      return
    }
    guard home != reader, watch.place(of: key.hash) == nil, !isLossExcused else { return }
    let shown = watch.newestShown(key.hash)
    for server in [home, reader] where servers[server].hasOldValue(of: key, than: shown) {
      fail(
        .onTwoServers, "\(key.name): server \(server) has less than \(shown), which clients know")
    }
    // A delete may have been forgotten.
    if servers[home].storedVersion(of: key) >= shown, shown > watch.newestTombstone(key.hash),
      servers[reader].storedVersion(of: key) == 0
    {
      fail(.onTwoServers, "\(key.name): its backup \(reader) has nothing")
    }
  }

  /// The invariants of a hot key: docs/protocol.md §9.
  func checkEntry(_ entry: UInt32) {
    let (keyHash, mode) = (watch.keyHashes[Int(entry)], watch.modes[Int(entry)])
    guard keyHash != 0, mode == .hot || mode == .removing else { return }
    let reading = memory.reading(ofEntry: entry)
    guard let key = SimulatedKeys.all.first(where: { $0.hash == keyHash }) else { return }
    if reading.completed < watch.completed[Int(entry)] {
      fail(
        .completedFell, "\(key.name): \(reading.completed) after \(watch.completed[Int(entry)])")
    }
    watch.setCompleted(entry, reading.completed)
    if reading.completed < watch.newestShown(keyHash) {
      fail(
        .completedBehind,
        "\(key.name): \(reading.completed), but a client was shown \(watch.newestShown(keyHash))")
    }
    if reading.replicaSet == 0 && !watch.hasLostServers {
      fail(.setHoldsVersion, "\(key.name): the replica set is empty")
    }
    for server in servers.indices
    where reading.replicaSet & (1 << UInt32(server)) != 0 && watch.isAlive(servers[server]) {
      let stored = servers[server].storedVersion(of: key)
      if stored < reading.completed {
        fail(
          .setHoldsVersion,
          "\(key.name): server \(server) stores \(stored), completed is \(reading.completed)")
      }
    }
  }
}
