internal import ServerCore
internal import Storage
internal import Wire

/// The disk of a durable server: rows, of which a crash leaves what was synced, and of what was not a
/// part from the start, as it was written down; of one datagram all or nothing.
final class SimulatedRowStore: RowStore {
  private enum Change {
    case put([UInt8], [UInt8])
    case remove([UInt8])
    case removeRange([UInt8], [UInt8])
  }

  enum Room {
    case plenty
    /// What has to be written can be.
    case little
    case none
  }

  var room = Room.plenty
  private var rows: [[UInt8]: [UInt8]] = [:]
  private var written: [Change] = []
  /// Changes up to each datagram since the last sync.
  private var boundaries: [Int] = []

  func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    written.append(.put(Array(key), Array(value)))
  }

  func remove(_ key: UnsafeRawBufferPointer) { written.append(.remove(Array(key))) }

  func removeRange(_ first: UnsafeRawBufferPointer, _ end: UnsafeRawBufferPointer) {
    written.append(.removeRange(Array(first), Array(end)))
  }

  /// Something may be lost by a crash.
  var isDirty: Bool { !written.isEmpty }

  /// A datagram has been dealt with: what it has changed belongs together.
  func endDatagram() {
    if written.count > boundaries.last ?? 0 { boundaries.append(written.count) }
  }

  /// What was written is durable.
  func sync() {
    apply(written.count)
    boundaries.removeAll(keepingCapacity: true)
  }

  private func apply(_ count: Int) {
    for change in written.prefix(count) {
      switch change {
      case .put(let key, let value): rows[key] = value
      case .remove(let key): rows[key] = nil
      case .removeRange(let first, let end):
        rows = rows.filter {
          $0.key.lexicographicallyPrecedes(first) || !$0.key.lexicographicallyPrecedes(end)
        }
      }
    }
    written.removeAll(keepingCapacity: true)
  }

  /// The process ends: of what was not synced, a part from the start is there.
  func crash(_ random: inout SimulationRandom) {
    if !boundaries.isEmpty {
      let whole = random.integer(in: 0...boundaries.count)
      apply(whole == 0 ? 0 : boundaries[whole - 1])
    }
    boundaries.removeAll()
  }

  /// Values turn out to be unreadable, of each slot that has any with this chance; returns these
  /// slots.
  func damageValues(_ chance: Double, _ random: inout SimulationRandom) -> [Int] {
    var slots: [Int] = []
    for key in orderedKeys where key.first == StateRow.Kind.value.rawValue && key.count > 8 {
      let hash = key[1...8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      let slot = KeyHash.slot(hash)
      if slots.last != slot, random.chance(chance) { slots.append(slot) }
      if slots.last == slot { rows[key] = nil }
    }
    return slots
  }

  /// Nothing can be relied on any more.
  func wipe() { rows = [:] }

  private var orderedKeys: [[UInt8]] {
    rows.keys.sorted { $0.lexicographicallyPrecedes($1) }
  }

  /// Gives a server what an earlier start of it has left, but for the values of these slots.
  func restore(_ core: inout ServerCore, damaged: [Int]) {
    for key in orderedKeys {
      key.withUnsafeBytes { bytes in
        rows[key]?.withUnsafeBytes { value in
          guard let row = StateRow(key: bytes, value: value) else {
            fatalError("a row that the server's own journal has written cannot be read")
          }
          core.restore(row)
        }
      }
    }
    core.finishRestoring(damaged: damaged)
    written.removeAll()
    guard !damaged.isEmpty else { return }
    rows = [:]
    core.recordEverything()
    sync()
  }
}
