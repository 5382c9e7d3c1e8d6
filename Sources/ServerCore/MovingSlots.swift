internal import Storage
internal import Wire

/// Some slots; whether one is among them is one look-up.
struct SlotSet {
  let runs: [SlotRun]
  private var isIn: [Bool]

  init(_ runs: [SlotRun]) {
    self.runs = runs
    isIn = Array(repeating: false, count: WireLimits.slots)
    for slot in numbers { isIn[slot] = true }
  }

  func contains(_ slot: Int) -> Bool { isIn[slot] }

  var numbers: [Int] { runs.flatMap { Int($0.first)..<Int($0.first) + Int($0.count) } }
}

/// What a server knows of a slot from its latest move; for requests that no directory entry steers.
struct SlotFence {
  /// Writes of older generations are refused, and unseen ones whose sender knew no newer one.
  var generation: UInt64
  /// The newest birth of a client whose session was evicted at the old home.
  var evictedBirth: UInt64 = 0
  /// Unseen writes first sent below it are ambiguous; 0: nothing was lost.
  var lossGeneration: UInt64 = 0

  /// Why an unseen write must not be executed: as with the fence of a key.
  func objection(to header: Header, isKnownCompared: Bool) -> Status? {
    if header.generation < generation || isKnownCompared && header.knownGeneration <= generation {
      return .staleGeneration
    }
    if SessionTable.birth(ofClient: header.client) <= evictedBirth,
      header.firstGeneration < generation
    {
      return .sessionLost
    }
    return header.firstGeneration < lossGeneration ? .ambiguous : nil
  }
}

/// Slots that leave this server.
struct LeavingSlots {
  /// A message to the new home that it has not acknowledged.
  struct Item {
    var number: UInt64
    var keyHash: UInt64
    /// Empty: session entries.
    var key: [UInt8]
    var sessions: [SessionEntry] = []
    /// Sequence number of the order by which it was last sent.
    var order: UInt64
  }

  /// Messages under way at a time, at most: what the sockets' buffers hold many times.
  static let outstandingMax = 64
  /// Places of the table that are looked at for one order: some 20 microseconds.
  static let effort = 4096

  let move: UInt64
  let peer: UInt8
  let slots: SlotSet
  /// Of the newest order: what is sent carries it.
  var generation: UInt64
  var isFenced = false
  /// At the fence: the newest birth of an evicted client, and the newest loss, that writes of these
  /// slots may have to be told apart by.
  var unseen: (evictedBirth: UInt64, lossGeneration: UInt64) = (0, 0)
  var isScanned = false
  /// Keys that were changed since the move began, and are to be sent (again); in no order.
  var changed: [(keyHash: UInt64, key: [UInt8])] = []
  private var changedKeys: Set<[UInt8]> = []
  var sessions: [(keyHash: UInt64, entries: [SessionEntry])] = []
  var outstanding: [Item] = []
  /// Messages sent so far, without those that were sent again.
  var sent: UInt64 = 0

  init(move: UInt64, peer: UInt8, slots: SlotSet, generation: UInt64) {
    self.move = move
    self.peer = peer
    self.slots = slots
    self.generation = generation
  }

  /// Behind the fence only hot keys change, and their newest value is not what moves.
  mutating func note(_ key: UnsafeRawBufferPointer, _ keyHash: UInt64) {
    guard !isFenced, slots.contains(KeyHash.slot(keyHash)) else { return }
    let key = Array(key)
    if changedKeys.insert(key).inserted { changed.append((keyHash, key)) }
  }

  mutating func takeChanged() -> (keyHash: UInt64, key: [UInt8])? {
    guard let last = changed.popLast() else { return nil }
    changedKeys.remove(last.key)
    return last
  }

  var waiting: Int { changed.count + sessions.count + outstanding.count }
}

/// Slots that come to this server.
struct ArrivingSlots {
  let move: UInt64
  let peer: UInt8
  let slots: SlotSet
  /// Leftovers that may be of this generation or newer are not dropped.
  let generation: UInt64
  /// What has an entry in the directory keeps its copies.
  let named: Set<UInt64>
  /// All leftovers are gone.
  var isCleared = false
}

/// Values of slots that have left are made forgettable, little by little.
enum SlotRelease {
  case none
  case due
  case underWay
}
