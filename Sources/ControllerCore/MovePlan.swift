internal import Directory
internal import Wire

/// A move of slots that is to begin.
struct WantedMove {
  let kind: SlotMove.Kind
  let from: UInt8
  let to: UInt8
  let runs: [SlotRun]
}

// Who is to have which slots, and which move comes next.
extension ControllerCore {
  /// Runs of slots in one move.
  private static let runsMax = 16

  /// Living servers that take part in all that is new: hot writes, copies. None only if none lives.
  var receivers: [UInt8] { living.filter { receiverMask & bit($0) != 0 } }
  var receiverMask: UInt32 { alive & ~spared == 0 ? alive : alive & ~spared }

  /// Living servers that may be given slots; never none, if any lives.
  var heirs: [UInt8] {
    let all = servers.filter { $0.phase == .alive }
    let wanted = all.filter { !$0.isDraining }
    return (wanted.isEmpty ? all : wanted).map(\.number)
  }

  var slotPlan: SlotPlan {
    SlotPlan(
      servers.filter { record in
        // Who has no room keeps what it has.
        record.phase == .alive && (record.isDraining || !record.totals.conditions.contains(.full))
      }.map { record in
        SlotPlan.Member(
          number: record.number, slots: slots.count(of: record.number),
          weight: record.isDraining ? 0 : record.slow.weight)
      })
  }

  /// Copies of hot keys go to receivers only.
  mutating func publishSpared() {
    let others =
      servers.filter { record in
        record.phase == .alive && (record.isDraining || record.slow.weight < 1)
      }.reduce(UInt32(0)) { $0 | bit($1.number) } & alive
    let out = servers.filter(\.isDraining).reduce(UInt32(0)) { $0 | bit($1.number) }
    if out != drained {
      drained = out
      publish(.setDrained(out))
    }
    // A slow server is better than one that is to leave; all of them are as good as none.
    let mask = [others, out & alive].first { $0 != alive } ?? 0
    guard mask != spared else { return }
    spared = mask
    publish(.setSpared(mask))
  }

  func isDraining(_ number: UInt8) -> Bool {
    servers.contains { $0.number == number && $0.isDraining }
  }

  private var isAnyDraining: Bool {
    servers.contains { $0.phase == .alive && $0.isDraining }
  }

  /// The backups, divided like the slots: they serve the reads.
  private var backupPlan: SlotPlan {
    SlotPlan(
      slotPlan.members.map {
        SlotPlan.Member(
          number: $0.number, slots: slots.backupCount(of: $0.number), weight: $0.weight)
      })
  }

  // MARK: What comes next

  /// Slots are to move, now or later.
  var isMoveDue: Bool { wantedMove(at: .max) != nil || isDropDue }

  /// The move that is to begin now; and whether it is one of several that make all even.
  mutating func nextMoveWanted() -> WantedMove? {
    let wanted = wantedMove(at: now)
    if slotPlan.next(slotsMax: { _ in 1 }) == nil { isBalancing = false }
    if backupPlan.next(slotsMax: { _ in 1 }) == nil { isBalancingBackups = false }
    switch wanted?.kind {
    case .home?, .exchange?: isBalancing = true
    case .backup(before: _?)?: isBalancingBackups = true
    case .backup(before: nil)?, nil: break
    }
    return wanted
  }

  /// First what has no second copy; then what a server that leaves has, and what is uneven.
  private func wantedMove(at time: UInt64) -> WantedMove? {
    if configuration.copies > 1, time >= nextRefill, let refill = wantedRefill() { return refill }
    guard time >= nextMove, configuration.policy.rebalances || isAnyDraining else { return nil }
    return wantedHomeMove() ?? wantedBackupMove()
  }

  /// A backup for slots that have none, where fewest are.
  private func wantedRefill() -> WantedMove? {
    let heirs = heirs
    guard !slots.haveBackups, heirs.count > 1 else { return nil }
    let goal = WireLimits.slots / heirs.count + 1
    for home in heirs {
      let others = heirs.filter { $0 != home }
      guard
        let to = others.min(by: {
          (slots.backupCount(of: $0), $0) < (slots.backupCount(of: $1), $1)
        })
      else { continue }
      // Not more than its share, so that the next go to others; unless all have theirs.
      let room = goal - slots.backupCount(of: to)
      let runs = slots.lastRuns(
        count: min(slotsPerMove(home), room > 0 ? room : WireLimits.slots), runsMax: Self.runsMax
      ) { slots.home($0) == home && slots.backup($0) == nil }
      guard !runs.isEmpty else { continue }
      return WantedMove(kind: .backup(before: nil), from: home, to: to, runs: runs)
    }
    return nil
  }

  /// From whoever has most slots too many to whoever lacks most. Not to the backup of what moves, if
  /// there is another way: it would be without a second copy until another backup has it. Where there
  /// is none, home and backup change their parts.
  private func wantedHomeMove() -> WantedMove? {
    let plan = slotPlan
    guard plan.isUneven || isBalancing, let next = plan.next(slotsMax: { slotsPerMove($0) })
    else { return nil }
    let isLeaving = isDraining(next.from)
    func runs(to: UInt8, where isWanted: (UInt8?) -> Bool) -> [SlotRun] {
      slots.lastRuns(count: next.slots, runsMax: Self.runsMax) {
        slots.home($0) == next.from && isWanted(slots.backup($0))
      }
    }
    let others = isLeaving ? heirs.filter { $0 != next.from && $0 != next.to } : []
    for to in [next.to] + others {
      let runs = runs(to: to) { $0 != to }
      if !runs.isEmpty { return WantedMove(kind: .home, from: next.from, to: to, runs: runs) }
    }
    let rest = runs(to: next.to) { $0 == next.to }
    guard !rest.isEmpty else { return nil }
    return WantedMove(
      kind: isLeaving ? .home : .exchange, from: next.from, to: next.to, runs: rest)
  }

  /// The same with backups, which get what they are to have from the home.
  private func wantedBackupMove() -> WantedMove? {
    guard configuration.copies > 1 else { return nil }
    let plan = backupPlan
    guard plan.isUneven || isBalancingBackups,
      let next = plan.next(slotsMax: { slotsPerMove($0) })
    else { return nil }
    let others =
      isDraining(next.from) ? heirs.filter { $0 != next.from && $0 != next.to } : []
    for to in [next.to] + others {
      for home in living.reversed() where home != to {
        let runs = slots.lastRuns(count: next.slots, runsMax: Self.runsMax) {
          slots.home($0) == home && slots.backup($0) == next.from
        }
        guard !runs.isEmpty else { continue }
        return WantedMove(kind: .backup(before: next.from), from: home, to: to, runs: runs)
      }
    }
    return nil
  }

  /// So many that about the wanted number of keys move.
  private func slotsPerMove(_ number: UInt8) -> Int {
    let policy = configuration.policy
    guard let record = servers.first(where: { $0.number == number }) else { return 1 }
    let kept = slots.count(of: number) + slots.backupCount(of: number)
    let keysPerSlot = Double(record.totals.keys) / Double(max(1, kept))
    guard keysPerSlot > 0 else { return policy.movedSlotsMax }
    return min(policy.movedSlotsMax, max(1, Int(Double(policy.movedKeys) / keysPerSlot)))
  }

  // MARK: The last server

  /// A backup is to go, and there is nobody else who could be one.
  private var isDropDue: Bool {
    heirs.count == 1
      && servers.contains {
        $0.phase == .alive && $0.isDraining && slots.backupCount(of: $0.number) > 0
          && slots.count(of: $0.number) == 0
      }
  }

  /// The slots that such servers are backup of go on with one copy. All are told before the directory
  /// steers anything by it.
  mutating func dropBackups() {
    guard isDropDue, move == nil, recovery == nil else { return }
    let out = servers.filter {
      $0.phase == .alive && $0.isDraining && slots.count(of: $0.number) == 0
    }.map(\.number)
    publish(.noteMoving(out.reduce(0) { $0 | bit($1) }))
    slots.leave(out)
    for row in slots.taken { publish(row, moving: true) }
    _ = raiseGeneration()
    settleMove()
  }
}
