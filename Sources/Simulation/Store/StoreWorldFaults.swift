internal import Paxos

/// What goes wrong in a simulated store.
extension StoreWorld {
  func worldFault() {
    guard stage == .faulty else { return }
    scheduler.schedule(.worldFault, after: random.duration(in: scenario.faultInterval))
    let choices = StoreScenario.WorldFault.allCases.flatMap { fault in
      Array(repeating: fault, count: scenario.weights[fault] ?? 0)
    }
    let fault = random.element(of: choices)
    let node = random.integer(in: 0...nodes.count - 1)
    let duration = random.duration(in: 1_000_000...scenario.faultInterval.upperBound)
    switch fault {
    case .crash: crash(node, disk: fault)
    case .wipe, .damage:
      guard mayLoseDisk(node) else { return }
      crash(node, disk: fault)
    case .pause:
      guard nodes[node].replica != nil else { return }
      nodes[node].pausedUntil = scheduler.now + duration
      record(8, UInt64(node), duration, text: "node \(node) stands still for \(duration / 1000) us")
    case .partition:
      let side = nodes.indices.map { _ in random.chance(0.5) }
      cut { side[$0] != side[$1] }
      record(8, 100, 0, text: "partition: \(nodes.indices.filter { side[$0] }) is on one side")
      scheduler.schedule(.mend(number: partitions), after: duration)
    case .mute:
      cut { from, _ in from == node }
      record(8, 101, UInt64(node), text: "node \(node) is not heard by other replicas")
      scheduler.schedule(.mend(number: partitions), after: duration)
    }
    result.totals.worldFaults += 1
  }

  private func cut(_ isCut: (Int, Int) -> Bool) {
    partitions += 1
    for from in nodes.indices {
      for to in nodes.indices { self.isCut[from][to] = from != to && isCut(from, to) }
    }
  }

  func mend() {
    partitions += 1
    for from in nodes.indices {
      for to in nodes.indices { isCut[from][to] = false }
    }
    record(9, text: "all links are mended")
  }

  /// Whether the store can make good what this replica would lose: enough others have lost nothing,
  /// or have made it good, for objects too that nobody has written yet.
  private func mayLoseDisk(_ node: Int) -> Bool {
    let doubtful = nodes.indices.filter { other in
      let disk = nodes[other].disk
      if disk.hasLostVotes { return true }
      // It may have got over its doubts in what is not durable yet, and lose that.
      guard let replica = nodes[other].replica, replica.position == disk.syncedPosition else {
        return disk.life != 0
      }
      return objectIDs.contains { !replica.isVoting(on: $0) }
    }
    return cell.outlives(lossOf: Set(doubtful + [node]).sorted().map { NodeID(UInt16($0)) })
  }

  private func crash(_ node: Int, disk fault: StoreScenario.WorldFault) {
    guard nodes[node].replica != nil else { return }
    collect(node)
    nodes[node].replica = nil
    nodes[node].disk.crash(&random)
    result.totals.crashes += 1
    switch fault {
    case .wipe:
      nodes[node].disk.wipe()
      result.totals.disksLost += 1
    case .damage:
      let isTaken = faults.contains(.damageTakenForTear)
      if nodes[node].disk.damage(&random, isTakenForTear: isTaken) { result.totals.disksLost += 1 }
    default: break
    }
    record(7, UInt64(node), UInt64(fault.rawValue), text: "node \(node) dies (\(fault))")
    let away = random.duration(in: 1_000_000...2 * scenario.faultInterval.upperBound)
    scheduler.schedule(.start(node: node), after: away)
  }
}
