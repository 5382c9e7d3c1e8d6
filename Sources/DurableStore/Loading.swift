internal import Storage
internal import Wire

/// Reads the rows of a database that may be damaged: where values cannot be read it goes on behind
/// their slot, and notes the slots. Any other row that cannot be read makes everything unusable,
/// since nobody knows what it said.
struct Loading {
  /// The key to read from.
  private(set) var next: [UInt8] = []
  private(set) var isDone = false
  private(set) var rows = 0
  private(set) var damagedSlots: [Int] = []
  private(set) var damage: String?
  private(set) var unusable: String?

  /// The slot of the last value that was read.
  private var lastSlot = 0
  private var isInValues = true

  /// A row; false: it makes no sense to go on.
  mutating func take(
    _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ restore: (StateRow) -> Void
  ) -> Bool {
    guard key.first != StateRow.Kind.layout.rawValue else { return true }
    guard let row = StateRow(key: key, value: value) else {
      unusable = "there is a row that nobody wrote so"
      isDone = true
      return false
    }
    if case .value(_, let keyHash, _, _) = row {
      lastSlot = KeyHash.slot(keyHash)
    } else {
      isInValues = false
    }
    rows += 1
    restore(row)
    return true
  }

  /// There are no more rows.
  mutating func reachedEnd() { isDone = true }

  /// The next row cannot be read.
  mutating func met(damage reason: String) {
    damage = damage ?? reason
    guard isInValues else {
      unusable = reason
      isDone = true
      return
    }
    // The first slot that is not known to be damaged.
    let slot = max(lastSlot, (damagedSlots.last ?? -1) + 1)
    if slot < WireLimits.slots {
      damagedSlots.append(slot)
      lastSlot = slot + 1
      next = StateRow.firstKey(ofSlot: slot + 1)
    } else {
      // Behind the values: what can still not be read is none.
      isInValues = false
      next = [StateRow.Kind.session.rawValue]
    }
  }
}
