internal import Storage
internal import Wire

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// What a server knows of a key from its transitions.
struct KeyFence {
  /// The key that its hash stands for in the directory.
  let key: [UInt8]
  /// Writes and copies of older generations are refused.
  var generation: UInt64
  /// At the home server: what others have stored of the key under older generations is left over
  /// from a time before, and not newer than what is here (docs/protocol.md §10).
  var countsFrom: UInt64
  /// Unseen writes first sent below it are ambiguous; 0: nothing was lost.
  var lossGeneration: UInt64 = 0
  /// The newest version that was written here while the key was cold; 0: none. Not written down.
  var coldVersion: UInt64 = 0
  /// The newest birth of a client whose session another server had evicted at a SYNC...
  var evictedBirth: UInt64 = 0
  /// ...and the newest generation of such a SYNC.
  var evictedGeneration: UInt64 = 0

  func isFor(_ other: UnsafeRawBufferPointer) -> Bool {
    guard let start = other.baseAddress else { return key.isEmpty }
    return key.count == other.count
      && key.withUnsafeBytes { bytes in
        bytes.baseAddress.map { memcmp($0, start, other.count) == 0 } ?? true
      }
  }
}

/// What is kept of the fences that were forgotten: for all keys, so that it needs no memory.
/// Only requests that were first sent before the fence, and are tried still, feel the difference.
struct ForgottenFences {
  var lossGeneration: UInt64 = 0
  var evictedBirth: UInt64 = 0
  var evictedGeneration: UInt64 = 0

  init() {}

  mutating func add(_ fence: SlotFence) {
    lossGeneration = max(lossGeneration, fence.lossGeneration)
    guard fence.evictedBirth > 0 else { return }
    evictedBirth = max(evictedBirth, fence.evictedBirth)
    evictedGeneration = max(evictedGeneration, fence.generation)
  }

  mutating func add(_ fence: KeyFence) {
    lossGeneration = max(lossGeneration, fence.lossGeneration)
    evictedBirth = max(evictedBirth, fence.evictedBirth)
    evictedGeneration = max(evictedGeneration, fence.evictedGeneration)
  }
}

/// The slots of a server: those that it is home of, and those that it is backup of.
struct OwnedSlots {
  private var roles: [SlotRole?]
  /// When what a slot held was lost; 0: never.
  private var lossGenerations: [UInt64]
  /// Of own slots: the number of the backup; `WireLimits.noServer`: there is none.
  private var backups: [UInt8]
  /// Since which generation it is backup.
  private var backupSince: [UInt64]

  init(count: Int) {
    roles = Array(repeating: nil, count: count)
    lossGenerations = Array(repeating: 0, count: count)
    backups = Array(repeating: WireLimits.noServer, count: count)
    backupSince = Array(repeating: 0, count: count)
  }

  /// Whether the server is home of it.
  func contains(_ slot: Int) -> Bool { roles[slot] == .home }

  /// Whether it has been home or backup of it until a moment ago.
  func isLeaving(_ slot: Int) -> Bool { roles[slot] == .leaving }

  /// Whether the server is home or backup of it, or was until a moment ago: what it stores is data.
  func keeps(_ slot: Int) -> Bool { roles[slot] != nil }

  /// Whether the server was its backup already in that generation.
  func isBackup(_ slot: Int, since generation: UInt64) -> Bool {
    roles[slot] == .backup && generation >= backupSince[slot]
  }

  /// The server that writes of an own slot are handed on to; nil: there is none.
  func backup(_ slot: Int) -> UInt8? {
    roles[slot] == .home && backups[slot] != WireLimits.noServer ? backups[slot] : nil
  }

  /// Whether the slot is on two servers, of which this is one.
  func isPaired(_ slot: Int) -> Bool { roles[slot] == .backup || backup(slot) != nil }

  /// Reads are the backup's, if there is one: the home may have what nobody else has. A backup has that
  /// too when it has just been filled, and the one before it has not: a read that was steered here in
  /// an earlier time is late.
  func serves(_ slot: Int, _ operation: Operation, generation: UInt64) -> Bool {
    switch roles[slot] {
    case .home: operation != .get || backups[slot] == WireLimits.noServer
    case .backup: operation == .get && generation >= backupSince[slot]
    case .leaving, nil: false
    }
  }

  /// Of a slot that the server keeps; 0 for others and where nothing was lost.
  func lossGeneration(_ slot: Int) -> UInt64 { roles[slot] == nil ? 0 : lossGenerations[slot] }

  /// Makes it home or backup of a slot, as the run says.
  mutating func give(_ slot: Int, _ run: SlotRun, generation: UInt64) {
    lossGenerations[slot] =
      roles[slot] != nil ? max(lossGenerations[slot], run.lossGeneration) : run.lossGeneration
    if run.role == .backup && roles[slot] != .backup { backupSince[slot] = generation }
    roles[slot] = run.role
    backups[slot] = run.role == .home ? run.backup ?? WireLimits.noServer : WireLimits.noServer
  }

  mutating func give(_ run: SlotRun, generation: UInt64 = 0) {
    for slot in run.slots { give(slot, run, generation: generation) }
  }

  mutating func take(_ slot: Int) { roles[slot] = nil }

  /// The newest loss of any slot that it keeps; 0: none.
  var newestLoss: UInt64 {
    roles.indices.reduce(0) { roles[$1] != nil ? max($0, lossGenerations[$1]) : $0 }
  }

  /// FLOOR may drop a record: it is a copy of a key that the server is not home of, or a tombstone,
  /// unless the slot had a loss (there, nothing stored means that the value is lost).
  func isForgettable(_ keyHash: UInt64, _ kind: StoredRecord.Kind) -> Bool {
    let slot = KeyHash.slot(keyHash)
    guard roles[slot] != nil else { return true }
    return kind == .tombstone && lossGenerations[slot] == 0
  }

  // MARK: Durability

  /// The loss generation of a slot of which records are missing, until a controller has said in
  /// which generation that is.
  private static let unknownLoss = UInt64.max

  /// Records of the slot are missing.
  mutating func damage(_ slot: Int) {
    if roles[slot] != nil { lossGenerations[slot] = Self.unknownLoss }
  }

  /// What is missing was lost in this generation.
  mutating func dateDamage(_ generation: UInt64) {
    for slot in roles.indices where roles[slot] != nil && lossGenerations[slot] == Self.unknownLoss
    {
      lossGenerations[slot] = generation
    }
  }

  /// The slots in rows of one role, backup and loss generation each.
  var runs: [SlotRun] { runs(withLeaving: false) }

  /// With those that it was home of until a moment ago, as if it still were: what is written down. A
  /// server that is started again is told anew which slots are its own, and must not have dropped any
  /// until nobody will give them back.
  func runs(withLeaving: Bool) -> [SlotRun] {
    var runs: [SlotRun] = []
    for slot in roles.indices {
      guard var role = roles[slot], withLeaving || role != .leaving else { continue }
      if role == .leaving { role = .home }
      let run = SlotRun(
        first: UInt16(slot), count: 1, lossGeneration: lossGenerations[slot], role: role,
        backup: backup(slot))
      if let last = runs.last, last.slots.upperBound == slot, last.role == run.role,
        last.backup == run.backup, last.lossGeneration == run.lossGeneration
      {
        runs[runs.count - 1].count += 1
      } else {
        runs.append(run)
      }
    }
    return runs
  }
}

/// Gathers the parts of the newest attempt at a message; later attempts replace earlier ones.
struct PartAssembly<Body> {
  /// What numbers attempts: a later one is greater.
  struct Attempt: Comparable {
    var generation: UInt64
    var sequence: UInt64

    static func < (a: Attempt, b: Attempt) -> Bool {
      (a.generation, a.sequence) < (b.generation, b.sequence)
    }
  }

  enum Progress {
    /// A newer attempt is known.
    case outdated
    /// Parts are missing, or this attempt was complete before.
    case nothingNew
    /// All parts, in order.
    case complete([Body])
  }

  private var attempt = Attempt(generation: 0, sequence: 0)
  private var bodies: [Body?] = []
  private var missing = 0
  /// More parts than any message needs are a mistake.
  private let partsMax = 1024

  mutating func add(_ body: Body, part: UInt16, parts: UInt16, attempt: Attempt) -> Progress {
    guard attempt >= self.attempt, parts <= partsMax else { return .outdated }
    if attempt > self.attempt || bodies.isEmpty {
      self.attempt = attempt
      bodies = Array(repeating: nil, count: Int(parts))
      missing = Int(parts)
    }
    guard Int(parts) == bodies.count, bodies[Int(part)] == nil, missing > 0 else {
      return .nothingNew
    }
    bodies[Int(part)] = body
    missing -= 1
    return missing == 0 ? .complete(bodies.compactMap { $0 }) : .nothingNew
  }
}
