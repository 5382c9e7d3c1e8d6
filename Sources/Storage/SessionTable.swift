public import Wire

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// What a server's sessions say of one write.
public enum SessionFinding: Sendable, Equatable {
  /// Never seen: it may be executed, and must then be recorded.
  case unseen
  /// It was executed before, with this result.
  case seen(SessionEntry)
  /// It was executed before, but for a key with another hash: the client breaks the protocol.
  case seenForAnotherKey
  /// Below the client's acknowledged mark.
  case finished
  /// What was known of this client was evicted, or may have been.
  case lost
}

/// The at-most-once records of a server: for each client, its acknowledged mark and the results of
/// the writes that it has not acknowledged (docs/protocol.md §6).
///
/// Memory is bounded by the number of sessions. When there is no room, the session of the client
/// with the oldest birth goes, so that every client younger than `evictedBirth` is known or was
/// never here. Not thread-safe. Nothing is allocated for a request once memory has grown to what
/// the clients need.
public final class SessionTable {
  /// The newest birth of a client whose session was evicted here, or (by SYNC) elsewhere; in
  /// milliseconds since 1970; 0: none.
  public private(set) var evictedBirth: UInt64 = 0 {
    didSet { if evictedBirth != oldValue { journal?.evictedBirth(evictedBirth) } }
  }
  /// Sessions now.
  public private(set) var count = 0

  private let sessionsMax: Int
  private let sessions: ChunkedPool<Session>
  private let pool: ChunkedPool<Entry>
  /// Client → session, open addressing; index plus one, 0: empty.
  private let places: UnsafeMutablePointer<UInt32>
  private let placeMask: Int
  /// First entry of each chain of entries whose key hashes share their top bits, so that those of a
  /// slot are found together; index plus one.
  private let chains: UnsafeMutablePointer<UInt32>
  private let chainCount: Int
  /// Sessions as a heap, the oldest birth first.
  private let heap: UnsafeMutablePointer<UInt32>
  private let journal: StateJournal?

  /// `sessionsMax`: clients that are remembered, at least 1. `journal`: where every change is
  /// written down too.
  public init(sessionsMax: Int = 65_536, journal: StateJournal? = nil) {
    precondition(sessionsMax >= 1 && sessionsMax <= 1 << 24)
    self.journal = journal
    self.sessionsMax = sessionsMax
    var size = 16
    while size < sessionsMax { size *= 2 }
    // calloc gives zero pages that cost nothing until they are touched.
    places = Self.zeroed(2 * size)
    placeMask = 2 * size - 1
    chains = Self.zeroed(size)
    chainCount = size
    heap = Self.zeroed(sessionsMax)
    sessions = ChunkedPool(chunkCapacity: 256)
    pool = ChunkedPool(chunkCapacity: 1024)
  }

  deinit {
    free(places)
    free(chains)
    free(heap)
  }

  /// A client's time of birth in milliseconds since 1970.
  public static func birth(ofClient client: UInt64) -> UInt64 { client >> 22 }

  /// Looks a write up and raises the client's mark to `acknowledged`; entries below the mark go.
  /// Precondition: `acknowledged <= sequence < acknowledged + 64`.
  public func look(
    client: UInt64, sequence: UInt64, acknowledged: UInt64, keyHash: UInt64
  ) -> SessionFinding {
    guard let index = find(client) else {
      return admits(client) ? .unseen : .lost
    }
    let session = sessions[index]
    let finding = result(session, sequence, keyHash)
    raiseMark(session, to: acknowledged)
    return finding
  }

  /// Records the result of a write that `look` found unseen, or seen under a smaller version, at once
  /// after it.
  public func record(
    client: UInt64, sequence: UInt64, acknowledged: UInt64, keyHash: UInt64, version: UInt64,
    operation: Operation, status: Status
  ) {
    let index = find(client) ?? create(client, mark: acknowledged)
    let entry = Entry(
      sequence: sequence, version: version, keyHash: keyHash, session: index,
      operation: operation, status: status)
    add(index, entry)
    writeDown(entry)
  }

  /// All entries for a key hash: none is below its client's mark. Ordered by client and sequence.
  public func entries(ofKeyHash keyHash: UInt64) -> [SessionEntry] {
    var found: [SessionEntry] = []
    var next = chains[chain(of: keyHash)]
    while next != 0 {
      let entry = pool[next - 1]
      if entry.pointee.keyHash == keyHash {
        found.append(entry.pointee.wire(client: sessions[entry.pointee.session].pointee.client))
      }
      next = entry.pointee.next
    }
    return found.sorted { ($0.client, $0.sequence) < ($1.client, $1.sequence) }
  }

  /// All entries for the keys of a slot, by key hash, ascending; those of a key hash as above.
  public func entries(
    inSlot slot: Int
  ) -> [(keyHash: UInt64, entries: [SessionEntry])] {
    var hashes: Set<UInt64> = []
    let first = slot * chainCount / WireLimits.slots
    let count = max(1, chainCount / WireLimits.slots)
    for chain in first..<first + count {
      var next = chains[chain]
      while next != 0 {
        let entry = pool[next - 1]
        if KeyHash.slot(entry.pointee.keyHash) == slot { hashes.insert(entry.pointee.keyHash) }
        next = entry.pointee.next
      }
    }
    return hashes.sorted().map { ($0, entries(ofKeyHash: $0)) }
  }

  /// Takes over what another server knew of a write for a key of this hash. It is left out if the
  /// client has acknowledged it here, and if the client's session would count as evicted here
  /// anyway: then the client is told `session lost`.
  public func merge(_ entry: SessionEntry, keyHash: UInt64) {
    // A client sends sequence s only after it has finished everything below s - 63.
    let reach = UInt64(WireLimits.outstandingMax - 1)
    let mark = entry.sequence > reach ? entry.sequence - reach : 0
    let index: UInt32
    if let known = find(entry.client) {
      index = known
      guard entry.sequence >= sessions[index].pointee.mark else { return }
      raiseMark(sessions[index], to: mark)
    } else {
      guard entry.client != 0, admits(entry.client) else { return }
      index = create(entry.client, mark: mark)
    }
    // Of two results the later one counts: who had the earlier one was lost, and nobody has been told.
    let known = slot(sessions[index], entry.sequence).pointee
    guard known == 0 || pool[known - 1].pointee.version < entry.version else { return }
    let new = Entry(entry, keyHash: keyHash, session: index)
    add(index, new)
    writeDown(new)
  }

  /// Another server has evicted clients born until then.
  public func raiseEvictedBirth(to birth: UInt64) { evictedBirth = max(evictedBirth, birth) }

  // MARK: Journal

  /// Takes in a result that the journal's rows have, in any order, without writing it down again.
  public func restore(_ entry: SessionEntry, mark: UInt64, keyHash: UInt64) {
    let index = find(entry.client) ?? create(entry.client, mark: mark)
    raiseMark(sessions[index], to: mark)
    let known = sessions[index].pointee.mark
    // What is below a later result's mark was finished before that was written.
    guard entry.sequence >= known, entry.sequence - known < UInt64(WireLimits.outstandingMax)
    else { return }
    add(index, Entry(entry, keyHash: keyHash, session: index))
  }

  /// As `restore`.
  public func restore(evictedBirth birth: UInt64) { evictedBirth = max(evictedBirth, birth) }

  /// Writes everything down anew.
  public func recordEverything() {
    if evictedBirth > 0 { journal?.evictedBirth(evictedBirth) }
    for place in 0..<count {
      let session = sessions[heap[place]]
      for offset in 0..<WireLimits.outstandingMax where session.results[offset] != 0 {
        writeDown(pool[session.results[offset] - 1].pointee)
      }
    }
  }

  private func writeDown(_ entry: Entry) {
    guard let journal else { return }
    let session = sessions[entry.session].pointee
    journal.session(
      entry.wire(client: session.client), mark: session.mark, keyHash: entry.keyHash)
  }

  // MARK: Sessions

  /// Whether a client that is not known here may become so. A client that is older than all that
  /// would have to make room for it counts as evicted itself.
  private func admits(_ client: UInt64) -> Bool {
    let birth = Self.birth(ofClient: client)
    guard birth > evictedBirth else { return false }
    guard count == sessionsMax, birth <= Self.birth(ofClient: sessions[heap[0]].pointee.client)
    else { return true }
    evictedBirth = birth
    return false
  }

  private func find(_ client: UInt64) -> UInt32? {
    var place = home(client)
    while places[place] != 0 {
      let index = places[place] - 1
      if sessions[index].pointee.client == client { return index }
      place = (place + 1) & placeMask
    }
    return nil
  }

  private func create(_ client: UInt64, mark: UInt64) -> UInt32 {
    if count == sessionsMax { evictOldest() }
    let index = sessions.take()
    sessions[index].initialize(to: Session(client: client, mark: mark))
    var place = home(client)
    while places[place] != 0 { place = (place + 1) & placeMask }
    places[place] = index + 1
    heap[count] = index
    count += 1
    siftUp(count - 1)
    return index
  }

  private func evictOldest() {
    let index = heap[0]
    let session = sessions[index]
    evictedBirth = max(evictedBirth, Self.birth(ofClient: session.pointee.client))
    for offset in 0..<WireLimits.outstandingMax { drop(session.results + offset) }
    journal?.removeSession(ofClient: session.pointee.client)
    removePlace(of: session.pointee.client)
    count -= 1
    heap[0] = heap[count]
    siftDown()
    sessions.giveBack(index)
  }

  private func removePlace(of client: UInt64) {
    var hole = home(client)
    while sessions[places[hole] - 1].pointee.client != client { hole = (hole + 1) & placeMask }
    var place = hole
    while true {
      place = (place + 1) & placeMask
      guard places[place] != 0 else { break }
      let ideal = home(sessions[places[place] - 1].pointee.client)
      if (place &- ideal) & placeMask >= (place &- hole) & placeMask {
        places[hole] = places[place]
        hole = place
      }
    }
    places[hole] = 0
  }

  private func home(_ client: UInt64) -> Int {
    // Ids of one machine differ little: Fibonacci hashing spreads them.
    let mixed = (client ^ client >> 29) &* 0x9e37_79b9_7f4a_7c15
    return Int(truncatingIfNeeded: mixed >> 32) & placeMask
  }

  // MARK: Entries

  private func result(
    _ session: UnsafeMutablePointer<Session>, _ sequence: UInt64, _ keyHash: UInt64
  ) -> SessionFinding {
    guard sequence >= session.pointee.mark else { return .finished }
    let slot = slot(session, sequence).pointee
    guard slot != 0, pool[slot - 1].pointee.sequence == sequence else { return .unseen }
    let entry = pool[slot - 1]
    guard entry.pointee.keyHash == keyHash else { return .seenForAnotherKey }
    return .seen(entry.pointee.wire(client: session.pointee.client))
  }

  private func slot(
    _ session: UnsafeMutablePointer<Session>, _ sequence: UInt64
  ) -> UnsafeMutablePointer<UInt32> {
    session.results + Int(sequence & UInt64(WireLimits.outstandingMax - 1))
  }

  private func raiseMark(_ session: UnsafeMutablePointer<Session>, to mark: UInt64) {
    let old = session.pointee.mark
    guard mark > old else { return }
    // Entries lie in [mark, mark + 63]: one place for each of them.
    let count = min(mark - old, UInt64(WireLimits.outstandingMax))
    for offset in 0..<Int(count) { drop(slot(session, old &+ UInt64(offset))) }
    session.pointee.mark = mark
  }

  private func chain(of keyHash: UInt64) -> Int {
    // The count is a power of two.
    Int(keyHash >> UInt64(64 - chainCount.trailingZeroBitCount))
  }

  private func add(_ session: UInt32, _ entry: Entry) {
    let place = slot(sessions[session], entry.sequence)
    drop(place)
    let index = pool.take()
    pool[index].initialize(to: entry)
    let chain = chains + chain(of: entry.keyHash)
    pool[index].pointee.next = chain.pointee
    if chain.pointee != 0 { pool[chain.pointee - 1].pointee.previous = index + 1 }
    chain.pointee = index + 1
    place.pointee = index + 1
  }

  private func drop(_ place: UnsafeMutablePointer<UInt32>) {
    guard place.pointee != 0 else { return }
    let index = place.pointee - 1
    let entry = pool[index].pointee
    if entry.previous != 0 {
      pool[entry.previous - 1].pointee.next = entry.next
    } else {
      chains[chain(of: entry.keyHash)] = entry.next
    }
    if entry.next != 0 { pool[entry.next - 1].pointee.previous = entry.previous }
    pool.giveBack(index)
    place.pointee = 0
  }

  // MARK: Heap

  /// Client ids are ordered like their births.
  private func isOlder(_ a: Int, _ b: Int) -> Bool {
    sessions[heap[a]].pointee.client < sessions[heap[b]].pointee.client
  }

  private func siftUp(_ start: Int) {
    var child = start
    while child > 0 {
      let parent = (child - 1) / 2
      guard isOlder(child, parent) else { return }
      swapHeap(child, parent)
      child = parent
    }
  }

  private func siftDown() {
    var parent = 0
    while true {
      var oldest = parent
      let (left, right) = (2 * parent + 1, 2 * parent + 2)
      if left < count && isOlder(left, oldest) { oldest = left }
      if right < count && isOlder(right, oldest) { oldest = right }
      guard oldest != parent else { return }
      swapHeap(parent, oldest)
      parent = oldest
    }
  }

  private func swapHeap(_ a: Int, _ b: Int) {
    let index = heap[a]
    heap[a] = heap[b]
    heap[b] = index
  }

  private static func zeroed(_ count: Int) -> UnsafeMutablePointer<UInt32> {
    guard let memory = calloc(count, MemoryLayout<UInt32>.stride) else {
      fatalError("out of memory for sessions: start the server with fewer")
    }
    return memory.bindMemory(to: UInt32.self, capacity: count)
  }
}

/// What is known of one client.
private struct Session {
  let client: UInt64
  /// Everything below it is finished at the client.
  var mark: UInt64
  /// Sequence mod 64 → entry index plus one; 0: none.
  var slots = InlineArray<64, UInt32>(repeating: 0)
}

extension UnsafeMutablePointer<Session> {
  /// The places of the session's results.
  fileprivate var results: UnsafeMutablePointer<UInt32> {
    (UnsafeMutableRawPointer(self) + 16).assumingMemoryBound(to: UInt32.self)
  }
}

/// One result.
private struct Entry {
  let sequence: UInt64
  let version: UInt64
  let keyHash: UInt64
  let session: UInt32
  /// Neighbours in the chain of the key hash; index plus one.
  var next: UInt32 = 0
  var previous: UInt32 = 0
  // As numbers: a type of another module does not promise to be bitwise copyable.
  private let operation: UInt8
  private let status: UInt8

  init(
    sequence: UInt64, version: UInt64, keyHash: UInt64, session: UInt32, operation: Operation,
    status: Status
  ) {
    self.sequence = sequence
    self.version = version
    self.keyHash = keyHash
    self.session = session
    self.operation = operation.rawValue
    self.status = status.rawValue
  }

  init(_ entry: SessionEntry, keyHash: UInt64, session: UInt32) {
    self.init(
      sequence: entry.sequence, version: entry.version, keyHash: keyHash, session: session,
      operation: entry.operation, status: entry.status)
  }

  func wire(client: UInt64) -> SessionEntry {
    SessionEntry(
      client: client, sequence: sequence, version: version,
      operation: Operation(rawValue: operation) ?? .set, status: Status(rawValue: status) ?? .ok)
  }
}

/// Elements at fixed addresses, named by number, in chunks that are allocated when first needed.
private final class ChunkedPool<Element: BitwiseCopyable> {
  private let chunkCapacity: UInt32
  private var chunks: [UnsafeMutablePointer<Element>] = []
  private var taken: UInt32 = 0
  /// First of the elements given back; each holds the next. Number plus one; 0: none.
  private var free: UInt32 = 0

  init(chunkCapacity: UInt32) { self.chunkCapacity = chunkCapacity }

  deinit { for chunk in chunks { chunk.deallocate() } }

  subscript(index: UInt32) -> UnsafeMutablePointer<Element> {
    chunks[Int(index / chunkCapacity)] + Int(index % chunkCapacity)
  }

  /// The number of an element with undefined contents.
  func take() -> UInt32 {
    if free != 0 {
      let index = free - 1
      free = UnsafeRawPointer(self[index]).load(as: UInt32.self)
      return index
    }
    if taken == UInt32(chunks.count) * chunkCapacity {
      chunks.append(.allocate(capacity: Int(chunkCapacity)))
    }
    taken += 1
    return taken - 1
  }

  func giveBack(_ index: UInt32) {
    UnsafeMutableRawPointer(self[index]).storeBytes(of: free, as: UInt32.self)
    free = index + 1
  }
}
