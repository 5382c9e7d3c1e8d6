internal import Paxos
internal import StoreState

/// What an object was when a snapshot began.
struct SnapshotMark: Equatable {
  var chosen: UInt64
  var digest: UInt64
}

/// Snapshots of whole replicas, taken in parts while these go on. A snapshot has to have every object
/// as it was when it began.
extension StoreWorld {
  func scheduleSnapshot() {
    guard let interval = scenario.snapshotInterval, stage == .faulty else { return }
    scheduler.schedule(.snapshot, after: snapshotRandom.duration(in: interval))
  }

  func beginSnapshot() {
    scheduleSnapshot()
    let node = snapshotRandom.integer(in: 0...nodes.count - 1)
    guard var replica = nodes[node].replica else { return }
    nodes[node].replica = nil
    let number = replica.beginSnapshot()
    var marks: [ObjectID: SnapshotMark] = [:]
    for object in objectIDs where replica.chosen(of: object) > 0 {
      marks[object] = mark(replica.chosen(of: object), replica.state(of: object))
    }
    nodes[node].replica = replica
    nodes[node].snapshots[number] = marks
    record(12, UInt64(node), number, text: "node \(node): snapshot \(number) begins")
    schedulePart(node, number)
  }

  private func mark(_ chosen: UInt64, _ state: GroupState?) -> SnapshotMark {
    SnapshotMark(chosen: chosen, digest: state?.digest ?? 0)
  }

  private func schedulePart(_ node: Int, _ number: UInt64) {
    scheduler.schedule(
      .snapshotPart(node: node, boot: nodes[node].boot, number: number),
      after: snapshotRandom.duration(in: 1_000_000...60_000_000))
  }

  func takeSnapshotPart(_ node: Int, _ number: UInt64) {
    guard var replica = nodes[node].replica else { return }
    nodes[node].replica = nil
    let rows = replica.nextRows(ofSnapshot: number, rowsMax: 1)
    if rows?.isEmpty == true { replica.endSnapshot(number) }
    nodes[node].replica = replica
    guard let rows else { return fail(.snapshot, "node \(node) has lost snapshot \(number)") }
    if rows.isEmpty {
      let missing = nodes[node].snapshots.removeValue(forKey: number)
      if missing?.isEmpty != true {
        fail(.snapshot, "snapshot \(number) of node \(node) leaves objects out")
      }
      result.totals.wholeSnapshots += 1
      return
    }
    for row in rows {
      let found = mark(row.snapshot.chosen, row.snapshot.state)
      let expected = nodes[node].snapshots[number]?.removeValue(forKey: row.id)
      guard found != expected else { continue }
      fail(
        .snapshot,
        "snapshot \(number) of node \(node) has \(row.id) as of entry \(found.chosen), and began at "
          + "entry \(expected?.chosen ?? 0)")
    }
    schedulePart(node, number)
  }
}
