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

/// The slots of a server.
struct OwnedSlots {
  private var owned: [Bool]
  /// When what a slot held was lost; 0: never.
  private var lossGenerations: [UInt64]

  init(count: Int) {
    owned = Array(repeating: false, count: count)
    lossGenerations = Array(repeating: 0, count: count)
  }

  func contains(_ slot: Int) -> Bool { owned[slot] }

  /// Of a slot of this server; 0 for others and where nothing was lost.
  func lossGeneration(_ slot: Int) -> UInt64 { owned[slot] ? lossGenerations[slot] : 0 }

  mutating func give(_ slot: Int, lossGeneration: UInt64) {
    lossGenerations[slot] =
      owned[slot] ? max(lossGenerations[slot], lossGeneration) : lossGeneration
    owned[slot] = true
  }

  mutating func give(_ run: SlotRun) {
    for slot in Int(run.first)..<Int(run.first) + Int(run.count) {
      give(slot, lossGeneration: run.lossGeneration)
    }
  }

  mutating func take(_ slot: Int) { owned[slot] = false }

  /// The newest loss of any own slot; 0: none.
  var newestLoss: UInt64 {
    owned.indices.reduce(0) { owned[$1] ? max($0, lossGenerations[$1]) : $0 }
  }

  /// FLOOR may drop a record: it is a copy of a key that the server is not home of, or a tombstone,
  /// unless the slot had a loss (there, nothing stored means that the value is lost).
  func isForgettable(_ keyHash: UInt64, _ kind: StoredRecord.Kind) -> Bool {
    let slot = KeyHash.slot(keyHash)
    guard owned[slot] else { return true }
    return kind == .tombstone && lossGenerations[slot] == 0
  }

  // MARK: Durability

  /// The loss generation of a slot of which records are missing, until a controller has said in
  /// which generation that is.
  private static let unknownLoss = UInt64.max

  /// Records of the slot are missing.
  mutating func damage(_ slot: Int) {
    if owned[slot] { lossGenerations[slot] = Self.unknownLoss }
  }

  /// What is missing was lost in this generation.
  mutating func dateDamage(_ generation: UInt64) {
    for slot in owned.indices where owned[slot] && lossGenerations[slot] == Self.unknownLoss {
      lossGenerations[slot] = generation
    }
  }

  /// The own slots in rows with one loss generation each.
  var runs: [SlotRun] {
    var runs: [SlotRun] = []
    for slot in owned.indices where owned[slot] {
      if let last = runs.last, Int(last.first) + Int(last.count) == slot,
        last.lossGeneration == lossGenerations[slot]
      {
        runs[runs.count - 1].count += 1
      } else {
        runs.append(
          SlotRun(first: UInt16(slot), count: 1, lossGeneration: lossGenerations[slot]))
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
