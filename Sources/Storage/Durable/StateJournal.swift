public import Wire

/// Writes every change of a server's state down as rows (`StateRow` has their form). Nothing is
/// allocated for a value or a session's result. Not thread-safe.
public final class StateJournal {
  /// Hashes of the keys whose values have changed since `settled()`.
  public private(set) var unsettled: [UInt64] = []

  private let rows: any RowStore
  private let keyRoom: UnsafeMutableRawBufferPointer
  private let valueRoom: UnsafeMutableRawBufferPointer

  /// A journal that writes into `rows`.
  public init(_ rows: any RowStore) {
    self.rows = rows
    keyRoom = .allocate(byteCount: 1 + 8 + WireLimits.keyLengthMax, alignment: 8)
    valueRoom = .allocate(
      byteCount: RecordAttributes.rowLength + WireLimits.bodyLengthMax, alignment: 8)
  }

  deinit {
    keyRoom.deallocate()
    valueRoom.deallocate()
  }

  /// Everything written so far is durable.
  public func settled() { unsettled.removeAll(keepingCapacity: true) }

  /// This is stored of a key from now on.
  public func store(
    _ key: UnsafeRawBufferPointer, keyHash: UInt64, value: UnsafeRawBufferPointer,
    _ attributes: RecordAttributes
  ) {
    unsettled.append(keyHash)
    var row = RowWriter(valueRoom)
    row.add(attributes.kind.rawValue)
    row.add(attributes.version)
    row.add(attributes.generation)
    if attributes.kind == .value { row.add(value) }
    rows.put(valueKey(key, keyHash), row.bytes)
  }

  /// Nothing is stored of a key any more.
  public func remove(_ key: UnsafeRawBufferPointer, keyHash: UInt64) {
    unsettled.append(keyHash)
    rows.remove(valueKey(key, keyHash))
  }

  private func valueKey(_ key: UnsafeRawBufferPointer, _ keyHash: UInt64) -> UnsafeRawBufferPointer
  {
    var row = RowWriter(keyRoom)
    row.add(StateRow.Kind.value.rawValue)
    row.add(keyHash)
    row.add(key)
    return row.bytes
  }

  /// A result that a session holds, and the client's acknowledged mark. It takes the place of the one
  /// 64 sequence numbers before, which is below the mark.
  func session(_ entry: SessionEntry, mark: UInt64, keyHash: UInt64) {
    var key = RowWriter(keyRoom)
    key.add(StateRow.Kind.session.rawValue)
    key.add(entry.client)
    key.add(UInt8(entry.sequence % UInt64(WireLimits.outstandingMax)))
    var row = RowWriter(valueRoom)
    row.add(mark)
    row.add(entry.sequence)
    row.add(entry.version)
    row.add(keyHash)
    row.add(entry.operation.rawValue)
    row.add(entry.status.rawValue)
    rows.put(key.bytes, row.bytes)
  }

  /// A client's session is gone.
  func removeSession(ofClient client: UInt64) {
    var first = RowWriter(keyRoom)
    first.add(StateRow.Kind.session.rawValue)
    first.add(client)
    var end = RowWriter(valueRoom)
    end.add(StateRow.Kind.session.rawValue)
    end.add(client)
    end.add(UInt8(WireLimits.outstandingMax))
    rows.removeRange(first.bytes, end.bytes)
  }

  /// The fence of a key hash; nil: it has none.
  public func fence(_ keyHash: UInt64, _ fence: FenceRow?) {
    var key = RowWriter(keyRoom)
    key.add(StateRow.Kind.fence.rawValue)
    key.add(keyHash)
    guard let fence else {
      rows.remove(key.bytes)
      return
    }
    var row = RowWriter(valueRoom)
    row.add(fence.generation)
    row.add(fence.lossGeneration)
    row.add(fence.evictedBirth)
    row.add(fence.evictedGeneration)
    row.add(fence.countsFrom)
    fence.key.withUnsafeBytes { row.add($0) }
    rows.put(key.bytes, row.bytes)
  }

  /// Who the server is, and what holds for all of its keys.
  public func server(_ server: ServerRow) {
    var key = RowWriter(keyRoom)
    key.add(StateRow.Kind.server.rawValue)
    var row = RowWriter(valueRoom)
    row.add(server.epoch)
    row.add(server.incarnation)
    row.add(server.floor)
    row.add(server.forgottenLoss)
    row.add(server.forgottenBirth)
    row.add(server.forgottenGeneration)
    row.add(server.slotsGeneration)
    rows.put(key.bytes, row.bytes)
  }

  /// The slots that the server is home of.
  public func slots(_ runs: [SlotRun]) {
    var key = RowWriter(keyRoom)
    key.add(StateRow.Kind.slots.rawValue)
    // Rare, and as long as it has to be.
    var bytes: [UInt8] = []
    bytes.reserveCapacity(runs.count * SlotRun.rowLength)
    for run in runs {
      Swift.withUnsafeBytes(of: run.first.bigEndian) { bytes.append(contentsOf: $0) }
      Swift.withUnsafeBytes(of: run.count.bigEndian) { bytes.append(contentsOf: $0) }
      Swift.withUnsafeBytes(of: run.lossGeneration.bigEndian) { bytes.append(contentsOf: $0) }
    }
    bytes.withUnsafeBytes { rows.put(key.bytes, $0) }
  }

  /// The fences of slots that have moved.
  public func slotFences(_ rows: [SlotFenceRow]) {
    var key = RowWriter(keyRoom)
    key.add(StateRow.Kind.slotFences.rawValue)
    guard !rows.isEmpty else {
      self.rows.remove(key.bytes)
      return
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(rows.count * SlotFenceRow.length)
    for row in rows {
      Swift.withUnsafeBytes(of: row.first.bigEndian) { bytes.append(contentsOf: $0) }
      Swift.withUnsafeBytes(of: row.count.bigEndian) { bytes.append(contentsOf: $0) }
      for field in [row.generation, row.evictedBirth, row.lossGeneration] {
        Swift.withUnsafeBytes(of: field.bigEndian) { bytes.append(contentsOf: $0) }
      }
    }
    bytes.withUnsafeBytes { self.rows.put(key.bytes, $0) }
  }

  /// Slots of which values are missing; none: nothing is.
  public func damaged(_ slots: [Int]) {
    var key = RowWriter(keyRoom)
    key.add(StateRow.Kind.damaged.rawValue)
    guard !slots.isEmpty else {
      rows.remove(key.bytes)
      return
    }
    let bytes = slots.flatMap {
      [UInt8(truncatingIfNeeded: $0 >> 8), UInt8(truncatingIfNeeded: $0)]
    }
    bytes.withUnsafeBytes { rows.put(key.bytes, $0) }
  }

  /// The newest birth of a client whose session was evicted.
  func evictedBirth(_ birth: UInt64) {
    var key = RowWriter(keyRoom)
    key.add(StateRow.Kind.evicted.rawValue)
    var row = RowWriter(valueRoom)
    row.add(birth)
    rows.put(key.bytes, row.bytes)
  }

  /// The server knows nothing any more.
  public func removeEverything() {
    unsettled.removeAll(keepingCapacity: true)
    var first = RowWriter(keyRoom)
    first.add(UInt8(0))
    var end = RowWriter(valueRoom)
    end.add(UInt8.max)
    rows.removeRange(first.bytes, end.bytes)
  }
}

/// Writes integers in network byte order, one behind the other.
private struct RowWriter {
  private let room: UnsafeMutableRawBufferPointer
  private var length = 0

  init(_ room: UnsafeMutableRawBufferPointer) { self.room = room }

  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: room[..<length]) }

  mutating func add<Value: FixedWidthInteger>(_ value: Value) {
    room.storeBytes(of: value.bigEndian, toByteOffset: length, as: Value.self)
    length += MemoryLayout<Value>.size
  }

  mutating func add(_ bytes: UnsafeRawBufferPointer) {
    UnsafeMutableRawBufferPointer(rebasing: room[length...]).copyMemory(from: bytes)
    length += bytes.count
  }
}
