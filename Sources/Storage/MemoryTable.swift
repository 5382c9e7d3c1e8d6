internal import Wire

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// The engine in memory: open addressing over the 64-bit key hash with whole keys compared, records
/// in blocks of a `BlockArena`.
///
/// The table doubles without a pause: the old places stay in use while each change moves a few of
/// them (as Redis does, dict.c), so no request pays for the rehashing of millions of keys.
/// Reading and replacing stored keys allocates nothing.
public final class MemoryTable: StorageEngine {
  private let arena = BlockArena()
  private var places: PlaceTable
  /// The smaller table before, while it is being emptied.
  private var old: PlaceTable?
  private var oldPosition = 0
  /// The next place of the pass of `scan`, and how often the table had grown when it began.
  private var scanPosition = 0
  private var scanGrowths = 0
  private var growths = 0
  /// Records that FLOOR may forget; each knows its index here plus one.
  private var forgettable: [UnsafeMutablePointer<RecordHeader>] = []
  /// Keys with a value; tombstones and lost keys do not count.
  public private(set) var valueCount = 0

  /// Places of the old table that every change moves.
  private static let movedPerChange = 8

  /// An empty table with room for about `expectedKeys` before it grows for the first time.
  public init(expectedKeys: Int = 1024) {
    var capacity = 64
    while capacity * 3 / 4 < expectedKeys { capacity *= 2 }
    places = PlaceTable(capacity: capacity)
  }

  deinit {
    places.free()
    old?.free()
  }

  /// Records of all kinds.
  public var recordCount: Int { places.used + (old?.used ?? 0) }

  public func find(_ key: UnsafeRawBufferPointer, keyHash: UInt64) -> StoredRecord? {
    locate(key, keyHash)?.stored
  }

  public func store(
    _ key: UnsafeRawBufferPointer, keyHash: UInt64, value: UnsafeRawBufferPointer,
    _ attributes: RecordAttributes
  ) {
    moveSome()
    let length = RecordHeader.length + key.count + value.count
    let sizeClass = arena.sizeClass(length)
    if let record = locate(key, keyHash) {
      if record.pointee.sizeClass == sizeClass {
        record.setValue(value)
        set(record, attributes)
        return
      }
      remove(record)
    }
    let block = arena.take(sizeClass)
    let record = block.bindMemory(to: RecordHeader.self, capacity: 1)
    record.initialize(
      to: RecordHeader(keyHash: keyHash, keyLength: UInt16(key.count), sizeClass: sizeClass))
    (block + RecordHeader.length).copyMemory(from: key.start, byteCount: key.count)
    record.setValue(value)
    valueCount += 1
    set(record, attributes)
    insert(record)
  }

  public func update(
    _ key: UnsafeRawBufferPointer, keyHash: UInt64, _ attributes: RecordAttributes
  ) {
    guard let record = locate(key, keyHash) else { return }
    set(record, attributes)
  }

  public func remove(_ key: UnsafeRawBufferPointer, keyHash: UInt64) {
    if let record = locate(key, keyHash) { remove(record) }
  }

  public func forget(where shouldForget: (StoredRecord) -> Bool) {
    // Backwards: removing puts the last one, which was looked at already, in the place.
    var index = forgettable.count - 1
    while index >= 0 {
      let record = forgettable[index]
      if shouldForget(record.stored) { remove(record) }
      index -= 1
    }
  }

  public func review(_ decide: (StoredRecord) -> RecordReview) {
    while old != nil { moveSome() }
    var removed: [UnsafeMutablePointer<RecordHeader>] = []
    for position in 0..<places.capacity {
      guard let record = places.record(at: position) else { continue }
      switch decide(record.stored) {
      case .keep(let isForgettable): setForgettable(record, isForgettable)
      case .remove: removed.append(record)
      }
    }
    for record in removed { remove(record) }
  }

  /// Gives every record to `body`, in no particular order; `body` must not change the table.
  func forEach(_ body: (StoredRecord) -> Void) {
    for position in 0..<places.capacity {
      if let record = places.record(at: position) { body(record.stored) }
    }
    guard let old else { return }
    for position in 0..<old.capacity {
      if let record = old.record(at: position) { body(record.stored) }
    }
  }

  public func beginScan() {
    scanPosition = 0
    scanGrowths = growths
  }

  public func scan(effort: Int, _ body: (StoredRecord) -> Bool) -> Bool {
    if old != nil {
      for _ in 0..<max(1, effort / Self.movedPerChange) { moveSome() }
      return false
    }
    // Growing has given the records other places.
    if scanGrowths != growths { beginScan() }
    let end = min(scanPosition + effort, places.capacity)
    while scanPosition < end {
      let record = places.record(at: scanPosition)
      scanPosition += 1
      if let record, !body(record.stored) { break }
    }
    return scanPosition == places.capacity
  }

  // MARK: Records

  private func locate(
    _ key: UnsafeRawBufferPointer, _ keyHash: UInt64
  ) -> UnsafeMutablePointer<RecordHeader>? {
    if let record = places.find(key, keyHash) { return record }
    return old?.find(key, keyHash)
  }

  private func set(_ record: UnsafeMutablePointer<RecordHeader>, _ attributes: RecordAttributes) {
    let isValue = attributes.kind == .value
    if (record.pointee.kind == .value) != isValue { valueCount += isValue ? 1 : -1 }
    record.pointee.version = attributes.version
    record.pointee.generation = attributes.generation
    record.pointee.kind = attributes.kind
    if !isValue { record.pointee.valueLength = 0 }
    setForgettable(record, attributes.isForgettable)
  }

  private func setForgettable(_ record: UnsafeMutablePointer<RecordHeader>, _ wanted: Bool) {
    let index = Int(record.pointee.forgettableIndex)
    if wanted {
      guard index == 0 else { return }
      forgettable.append(record)
      record.pointee.forgettableIndex = UInt32(forgettable.count)
    } else if index > 0 {
      let last = forgettable.removeLast()
      if last != record {
        forgettable[index - 1] = last
        last.pointee.forgettableIndex = UInt32(index)
      }
      record.pointee.forgettableIndex = 0
    }
  }

  private func remove(_ record: UnsafeMutablePointer<RecordHeader>) {
    setForgettable(record, false)
    if record.pointee.kind == .value { valueCount -= 1 }
    if !places.remove(record, scanPosition: &scanPosition) { old?.replace(record) }
    arena.giveBack(UnsafeMutableRawPointer(record), record.pointee.sizeClass)
  }

  // MARK: Growth

  private func insert(_ record: UnsafeMutablePointer<RecordHeader>) {
    if old == nil && (places.used + 1) * 4 > places.capacity * 3 {
      old = places
      oldPosition = 0
      growths += 1
      places = PlaceTable(capacity: places.capacity * 2)
    }
    places.insert(record)
  }

  /// Moves a few places of the old table to the new one; at eight a change, the old table is empty
  /// long before the new one is full.
  private func moveSome() {
    guard let old else { return }
    let end = min(oldPosition + Self.movedPerChange, old.capacity)
    while oldPosition < end {
      if let record = old.record(at: oldPosition) {
        self.old?.replace(at: oldPosition)
        places.insert(record)
      }
      oldPosition += 1
    }
    if oldPosition == old.capacity {
      self.old?.free()
      self.old = nil
    }
  }
}

/// What lies in front of a key and its value.
struct RecordHeader {
  var keyHash: UInt64
  var version: UInt64 = 0
  var generation: UInt64 = 0
  /// Its place in the list of forgettable records, plus one; 0: not forgettable.
  var forgettableIndex: UInt32 = 0
  var keyLength: UInt16
  var valueLength: UInt16 = 0
  var kind: StoredRecord.Kind = .value
  var sizeClass: UInt8

  init(keyHash: UInt64, keyLength: UInt16, sizeClass: UInt8) {
    self.keyHash = keyHash
    self.keyLength = keyLength
    self.sizeClass = sizeClass
  }

  static let length = 40
}

extension UnsafeMutablePointer<RecordHeader> {
  var keyBytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(
      start: UnsafeRawPointer(self) + RecordHeader.length, count: Int(pointee.keyLength))
  }

  var stored: StoredRecord {
    StoredRecord(
      keyHash: pointee.keyHash, version: pointee.version, generation: pointee.generation,
      kind: pointee.kind, key: keyBytes,
      value: UnsafeRawBufferPointer(
        start: UnsafeRawPointer(self) + RecordHeader.length + Int(pointee.keyLength),
        count: Int(pointee.valueLength)))
  }

  /// The block has room for it.
  func setValue(_ value: UnsafeRawBufferPointer) {
    pointee.valueLength = UInt16(value.count)
    guard let source = value.baseAddress else { return }
    (UnsafeMutableRawPointer(self) + RecordHeader.length + Int(pointee.keyLength))
      .copyMemory(from: source, byteCount: value.count)
  }

  func hasKey(_ key: UnsafeRawBufferPointer) -> Bool {
    Int(pointee.keyLength) == key.count
      && memcmp(UnsafeRawPointer(self) + RecordHeader.length, key.start, key.count) == 0
  }
}

extension UnsafeRawBufferPointer {
  /// The first byte; of an empty buffer, some address that must not be read.
  var start: UnsafeRawPointer {
    baseAddress ?? UnsafeRawPointer(bitPattern: 16).unsafelyUnwrapped
  }
}

/// Places with linear probing. A place is a key hash and a record; a record of nil is an empty place
/// unless the hash says that one was taken out (only in a table that is being emptied).
private struct PlaceTable {
  struct Place {
    var keyHash: UInt64
    var record: UnsafeMutablePointer<RecordHeader>?
  }

  let capacity: Int
  private let mask: Int
  private let places: UnsafeMutablePointer<Place>
  private(set) var used = 0

  /// In the hash of an empty place: probing goes on behind it. Key hashes are never zero, so an
  /// untouched place is {0, nil}.
  private static let takenOut: UInt64 = 1

  init(capacity: Int) {
    self.capacity = capacity
    mask = capacity - 1
    // calloc: fresh pages are zero already, so that a large table costs nothing until it is used.
    guard let memory = calloc(capacity, MemoryLayout<Place>.stride) else {
      fatalError("out of memory for \(capacity) keys: start the server with fewer keys")
    }
    places = memory.bindMemory(to: Place.self, capacity: capacity)
  }

  func free() { Glibc.free(places) }

  func record(at position: Int) -> UnsafeMutablePointer<RecordHeader>? { places[position].record }

  func find(
    _ key: UnsafeRawBufferPointer, _ keyHash: UInt64
  ) -> UnsafeMutablePointer<RecordHeader>? {
    var position = Int(truncatingIfNeeded: keyHash) & mask
    while true {
      let place = places[position]
      if let record = place.record {
        if place.keyHash == keyHash && record.hasKey(key) { return record }
      } else if place.keyHash == 0 {
        return nil
      }
      position = (position + 1) & mask
    }
  }

  mutating func insert(_ record: UnsafeMutablePointer<RecordHeader>) {
    let keyHash = record.pointee.keyHash
    var position = Int(truncatingIfNeeded: keyHash) & mask
    while places[position].record != nil { position = (position + 1) & mask }
    places[position] = Place(keyHash: keyHash, record: record)
    used += 1
  }

  /// Removes a record and moves those behind it up (Knuth, TAOCP 3, 6.4 algorithm R). False: it is
  /// not here. A pass that has not seen a record yet which moves behind it goes back to it.
  mutating func remove(
    _ record: UnsafeMutablePointer<RecordHeader>, scanPosition: inout Int
  ) -> Bool {
    guard var hole = position(of: record) else { return false }
    var position = hole
    while true {
      position = (position + 1) & mask
      guard let candidate = places[position].record else { break }
      let ideal = Int(truncatingIfNeeded: candidate.pointee.keyHash) & mask
      // It may move up unless its ideal place lies cyclically in (hole, position].
      if (position &- ideal) & mask >= (position &- hole) & mask {
        places[hole] = places[position]
        if hole < scanPosition && position >= scanPosition { scanPosition = hole }
        hole = position
      }
    }
    places[hole] = Place(keyHash: 0, record: nil)
    used -= 1
    return true
  }

  /// Takes out of a table that is being emptied; probing goes on behind the place.
  mutating func replace(_ record: UnsafeMutablePointer<RecordHeader>) {
    if let position = position(of: record) { replace(at: position) }
  }

  mutating func replace(at position: Int) {
    places[position] = Place(keyHash: Self.takenOut, record: nil)
    used -= 1
  }

  private func position(of record: UnsafeMutablePointer<RecordHeader>) -> Int? {
    var position = Int(truncatingIfNeeded: record.pointee.keyHash) & mask
    while places[position].record != record {
      if places[position].record == nil && places[position].keyHash == 0 { return nil }
      position = (position + 1) & mask
    }
    return position
  }
}
