public import Wire

/// One row of a server's durable state. Together the rows are all that a server knows, so that one
/// which starts again with them is as one that stood still for a while.
///
/// A row's key begins with its kind; all integers are in network byte order:
///
/// | kind | key behind it | value |
/// |---|---|---|
/// | 1 value | key hash 8, key | kind 1, version 8, generation 8, value |
/// | 2 session | client 8, sequence mod 64 1 | mark 8, sequence 8, version 8, key hash 8, operation 1, status 1 |
/// | 3 fence | key hash 8 | generation 8, loss generation 8, evicted birth 8, evicted generation 8, counts from 8, key |
/// | 4 server | | epoch 2, incarnation 8, floor 8, forgotten: loss 8, birth 8, generation 8; slots generation 8 |
/// | 5 slots | | for each run: first 2, count 2, loss generation 8 |
/// | 6 evicted | | newest evicted birth 8 |
/// | 7 damaged | | for each slot: its number 2 |
/// | 8 slot fences | | for each run: first 2, count 2, generation 8, evicted birth 8, loss generation 8 |
/// | 0 layout | | 0: in every database, so that none is empty |
///
/// Rows of the kind 1 come in the order of their slots.
public enum StateRow {
  case value(
    key: UnsafeRawBufferPointer, keyHash: UInt64, value: UnsafeRawBufferPointer,
    RecordAttributes)
  case session(SessionEntry, mark: UInt64, keyHash: UInt64)
  case fence(keyHash: UInt64, FenceRow)
  case server(ServerRow)
  case slots([SlotRun])
  case evicted(birth: UInt64)
  /// Slots of which values are missing.
  case damaged([Int])
  case slotFences([SlotFenceRow])

  /// Kinds of row, the first byte of a key.
  public enum Kind: UInt8, Sendable {
    case layout
    case value
    case session
    case fence
    case server
    case slots
    case evicted
    case damaged
    case slotFences
  }

  /// Reads a row; nil: nobody wrote it so. `value` has no say in whether a record is forgettable,
  /// which follows from the slots.
  public init?(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
    guard let first = key.first, let kind = Kind(rawValue: first) else { return nil }
    let behind = UnsafeRawBufferPointer(rebasing: key[1...])
    switch kind {
    case .layout: return nil
    case .value: self.init(valueKey: behind, value)
    case .session: self.init(sessionKey: behind, value)
    case .fence:
      guard behind.count == 8, let row = FenceRow(value) else { return nil }
      self = .fence(keyHash: behind.integer(0), row)
    case .server:
      guard behind.isEmpty, let row = ServerRow(value) else { return nil }
      self = .server(row)
    case .slots:
      guard behind.isEmpty, value.count % SlotRun.rowLength == 0 else { return nil }
      var runs: [SlotRun] = []
      for start in stride(from: 0, to: value.count, by: SlotRun.rowLength) {
        let run = SlotRun(
          first: value.integer(start), count: value.integer(start + 2),
          lossGeneration: value.integer(start + 4))
        guard Int(run.first) + Int(run.count) <= WireLimits.slots else { return nil }
        runs.append(run)
      }
      self = .slots(runs)
    case .evicted:
      guard behind.isEmpty, value.count == 8 else { return nil }
      self = .evicted(birth: value.integer(0))
    case .damaged:
      guard behind.isEmpty, value.count % 2 == 0 else { return nil }
      let slots = stride(from: 0, to: value.count, by: 2).map { start in
        Int(value.integer(start) as UInt16)
      }
      guard slots.allSatisfy({ $0 < WireLimits.slots }) else { return nil }
      self = .damaged(slots)
    case .slotFences:
      guard behind.isEmpty, value.count % SlotFenceRow.length == 0 else { return nil }
      let rows = stride(from: 0, to: value.count, by: SlotFenceRow.length).map { start in
        SlotFenceRow(
          first: value.integer(start), count: value.integer(start + 2),
          generation: value.integer(start + 4), evictedBirth: value.integer(start + 12),
          lossGeneration: value.integer(start + 20))
      }
      guard rows.allSatisfy({ Int($0.first) + Int($0.count) <= WireLimits.slots }) else {
        return nil
      }
      self = .slotFences(rows)
    }
  }

  /// The key that no value's row of this slot or a later one comes before; of the slot behind the
  /// last, the first key behind all values.
  public static func firstKey(ofSlot slot: Int) -> [UInt8] {
    guard slot < WireLimits.slots else { return [Kind.session.rawValue] }
    let hash = UInt64(slot) << (64 - UInt64(WireLimits.slots.trailingZeroBitCount))
    return withUnsafeBytes(of: hash.bigEndian) { [Kind.value.rawValue] + $0 }
  }

  private init?(valueKey key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    guard key.count > 8, value.count >= RecordAttributes.rowLength,
      key.count - 8 + value.count - RecordAttributes.rowLength <= WireLimits.bodyLengthMax,
      let kind = StoredRecord.Kind(rawValue: value[0])
    else { return nil }
    let bytes = UnsafeRawBufferPointer(rebasing: value[RecordAttributes.rowLength...])
    guard kind == .value || bytes.isEmpty else { return nil }
    self = .value(
      key: UnsafeRawBufferPointer(rebasing: key[8...]), keyHash: key.integer(0), value: bytes,
      RecordAttributes(
        version: value.integer(1), generation: value.integer(9), kind: kind,
        isForgettable: false))
  }

  private init?(sessionKey key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    guard key.count == 9, value.count == SessionEntry.rowLength,
      let operation = Operation(rawValue: value[32]), let status = Status(rawValue: value[33])
    else { return nil }
    let entry = SessionEntry(
      client: key.integer(0), sequence: value.integer(8), version: value.integer(16),
      operation: operation, status: status)
    guard entry.client != 0, key[8] == UInt8(entry.sequence % UInt64(WireLimits.outstandingMax))
    else { return nil }
    self = .session(entry, mark: value.integer(0), keyHash: value.integer(24))
  }
}

/// What a server's row says: who it was, and what holds for all of its keys.
public struct ServerRow: Sendable, Equatable {
  /// The epoch that it was admitted to; 0: none.
  public var epoch: UInt16 = 0
  /// The incarnation that was admitted last.
  public var incarnation: UInt64 = 0
  public var floor: UInt64 = 0
  /// What is kept of the fences that were forgotten.
  public var forgottenLoss: UInt64 = 0
  public var forgottenBirth: UInt64 = 0
  public var forgottenGeneration: UInt64 = 0
  /// Of the SLOTS_SET that gave it its slots.
  public var slotsGeneration: UInt64 = 0

  static let length = 2 + 6 * 8

  public init() {}

  init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count == Self.length else { return nil }
    epoch = bytes.integer(0)
    incarnation = bytes.integer(2)
    floor = bytes.integer(10)
    forgottenLoss = bytes.integer(18)
    forgottenBirth = bytes.integer(26)
    forgottenGeneration = bytes.integer(34)
    slotsGeneration = bytes.integer(42)
  }
}

/// What a fence's row says.
public struct FenceRow: Sendable, Equatable {
  public var key: [UInt8]
  public var generation: UInt64
  public var lossGeneration: UInt64
  public var evictedBirth: UInt64
  public var evictedGeneration: UInt64
  public var countsFrom: UInt64

  static let length = 5 * 8

  public init(
    key: [UInt8], generation: UInt64, lossGeneration: UInt64, evictedBirth: UInt64,
    evictedGeneration: UInt64, countsFrom: UInt64
  ) {
    self.key = key
    self.generation = generation
    self.lossGeneration = lossGeneration
    self.evictedBirth = evictedBirth
    self.evictedGeneration = evictedGeneration
    self.countsFrom = countsFrom
  }

  init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count > Self.length, bytes.count - Self.length <= WireLimits.keyLengthMax else {
      return nil
    }
    self.init(
      key: Array(bytes[Self.length...]), generation: bytes.integer(0),
      lossGeneration: bytes.integer(8), evictedBirth: bytes.integer(16),
      evictedGeneration: bytes.integer(24), countsFrom: bytes.integer(32))
  }
}

/// The fences of some slots in a row, from their latest moves.
public struct SlotFenceRow: Sendable, Equatable {
  public var first: UInt16
  public var count: UInt16
  public var generation: UInt64
  public var evictedBirth: UInt64
  public var lossGeneration: UInt64

  static let length = 2 + 2 + 3 * 8

  public init(
    first: UInt16, count: UInt16, generation: UInt64, evictedBirth: UInt64,
    lossGeneration: UInt64
  ) {
    self.first = first
    self.count = count
    self.generation = generation
    self.evictedBirth = evictedBirth
    self.lossGeneration = lossGeneration
  }

  /// The next slots have the same fence.
  public func continues(with next: SlotFenceRow) -> Bool {
    Int(first) + Int(count) == Int(next.first) && generation == next.generation
      && evictedBirth == next.evictedBirth && lossGeneration == next.lossGeneration
  }
}

extension RecordAttributes {
  /// Bytes in front of a value in its row.
  static let rowLength = 17
}

extension SessionEntry {
  static let rowLength = 34
}

extension SlotRun {
  static let rowLength = 12
}

extension UnsafeRawBufferPointer {
  /// An integer in network byte order.
  func integer<Value: FixedWidthInteger>(_ offset: Int) -> Value {
    Value(bigEndian: loadUnaligned(fromByteOffset: offset, as: Value.self))
  }
}
