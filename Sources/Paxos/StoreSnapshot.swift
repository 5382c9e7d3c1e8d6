internal import StoreState

/// One object in a snapshot of a whole replica: all that a new cell needs of it. The values of its
/// last entries are left out.
public struct SnapshotRow: Sendable, Equatable {
  public var id: ObjectID
  public var snapshot: ObjectSnapshot

  public init(_ id: ObjectID, _ snapshot: ObjectSnapshot) {
    self.id = id
    self.snapshot = snapshot
  }
}

/// A snapshot of a replica that is being taken: every object as it was when it began. It costs
/// nothing to begin one; an object that changes before its turn has come is kept as it was.
struct SnapshotRun: Sendable {
  var number: UInt64
  /// Objects before this place have been handed out.
  var next = 0
  /// Objects that were there when it began.
  var count: Int
  /// By place: what has changed since.
  var kept: [Int: ObjectSnapshot] = [:]
}

extension Replica {
  /// Begins a snapshot of all objects as of now, and returns its number. While it is not ended it
  /// holds what changes.
  public mutating func beginSnapshot() -> UInt64 {
    snapshotsBegun += 1
    snapshots.append(SnapshotRun(number: snapshotsBegun, count: objects.count))
    return snapshotsBegun
  }

  /// The next objects of a snapshot, `rowsMax` at most (at least 1), in the order in which they were
  /// met; fewer if they are large, none at the end. Nil: there is no such snapshot (any more).
  public mutating func nextRows(ofSnapshot number: UInt64, rowsMax: Int) -> [SnapshotRow]? {
    guard let place = snapshots.firstIndex(where: { $0.number == number }) else { return nil }
    let isOld = !context.faults.contains(.snapshotInMotion)
    var rows: [SnapshotRow] = []
    var length = 0
    while snapshots[place].next < snapshots[place].count,
      rows.isEmpty || (rows.count < rowsMax && length < Self.rowsLengthMax)
    {
      let index = snapshots[place].next
      snapshots[place].next += 1
      let kept = snapshots[place].kept.removeValue(forKey: index)
      var snapshot = (isOld ? kept : nil) ?? objects[index].snapshot
      // What nobody has ever changed needs no row.
      guard snapshot.chosen > 0 else { continue }
      snapshot.suffix = []
      length += 1 + snapshot.state.digestLength
      rows.append(SnapshotRow(objects[index].id, snapshot))
    }
    return rows
  }

  /// Keys and events in one part, about.
  private static let rowsLengthMax = 8_192

  /// Lets go of a snapshot.
  public mutating func endSnapshot(_ number: UInt64) {
    snapshots.removeAll { $0.number == number }
  }

  /// Before an object changes.
  mutating func keepForSnapshots(_ index: Int) {
    for place in snapshots.indices
    where index >= snapshots[place].next && index < snapshots[place].count
      && snapshots[place].kept[index] == nil
    {
      snapshots[place].kept[index] = objects[index].snapshot
    }
  }
}

extension ObjectImage {
  /// What a node of a new cell begins with: the object of a snapshot, on which nobody has voted and
  /// for which nobody may skip phase 1. All nodes of the cell have to begin with the same.
  public init(restoring row: SnapshotRow) {
    var snapshot = row.snapshot
    snapshot.next = nil
    self.init(snapshot, floor: 0)
  }
}
