internal import Directory
internal import Wire

/// The rack recovers from the loss of servers: what they held is lost, their slots get new homes. Or
/// from a move of slots that was cut short by a server's going away, or its controller's end: nobody is
/// lost then.
struct Recovery: Sendable {
  enum Stage: Sendable {
    /// Packets that still see the lost servers as living are being finished.
    case grace
    /// No server lives.
    case alone
    /// The new homes are told their slots.
    case slots
  }
  var lost: [UInt8]
  var stage = Stage.grace
  /// Tells the grace period of this attempt from an earlier one's.
  var attempt: UInt64
  /// Whatever they had answered for, another server has too.
  var isCovered: Bool
  /// Slots that nobody else had.
  var slotsLost = 0
}

extension ControllerCore {
  /// Takes servers out of the rack: at once for the directory, then out of every replica set, then
  /// out of the slots and the write targets.
  mutating func lose(_ numbers: [UInt8]) {
    let isCovered = recovery == nil && numbers.count == 1 && areKeysOnTwo
    // Before anything shows it: a successor has to go on with it.
    let losing = (recovery?.lost ?? []).reduce(numbers.reduce(0) { $0 | bit($1) }) { $0 | bit($1) }
    publish(.noteLosing(losing))
    for index in servers.indices where numbers.contains(servers[index].number) {
      notice(.serverLost(servers[index].number, incarnation: servers[index].incarnation))
      servers[index].phase = .lost
      servers[index].probesFrom = lastSequence
      servers[index].isReturning = false
      servers[index].slotsTask = nil
      alive &= ~bit(servers[index].number)
    }
    totals.serversLost += numbers.count
    // From here on nothing that they say counts, and nothing is sent to them.
    publish(.setAlive(alive))
    noteAway()
    abortBatch()
    abortMove()
    publishSpared()
    slots.leave(numbers)
    let attempt = newToken()
    recovery = Recovery(
      lost: ((recovery?.lost ?? []) + numbers.filter { recovery?.lost.contains($0) != true })
        .sorted(), attempt: attempt, isCovered: isCovered)
    afterGrace([.recover(attempt: attempt)])
  }

  /// No packet sees the lost servers as living any more: their bits leave the words, and their
  /// slots are frozen before the generation of the loss is known to anyone.
  mutating func recoveryGraceElapsed(_ attempt: UInt64) {
    guard let recovery, recovery.attempt == attempt, recovery.stage == .grace else { return }
    for entry in entries.inOrder {
      for server in recovery.lost { publish(.forgetServer(entry: entry.index, server: server)) }
    }
    if alive == 0 && !isAnyAway { loseAllKeys() }
    // What has a second server goes on there.
    for row in slots.taken { publish(row, moving: true) }
    let orphaned = slots.markLost(generation: generation + 1)
    for run in orphaned {
      publish(.noteSlotLoss(first: run.first, count: run.count, generation: generation + 1))
      publish(
        .setSlots(first: run.first, count: run.count, home: recovery.lost[0], moving: true))
    }
    publish(.noteLoss(generation: generation + 1))
    lossGeneration = raiseGeneration()
    if !recovery.isCovered || !orphaned.isEmpty { unsafeLoss = lossGeneration }
    self.recovery?.slotsLost = orphaned.reduce(0) { $0 + Int($1.count) }
    self.recovery?.stage = .alone
    driveRecovery()
  }

  /// No server is left: every key's value is lost with its slot's, and needs no entry.
  private mutating func loseAllKeys() {
    for entry in entries.inOrder {
      removeEntry(entry.keyHash)
      totals.keysLost += 1
      notice(.keyLost(keyHash: entry.keyHash, key: entry.key))
    }
  }

  /// A move of slots was cut short: who is home of which is what the directory says, and what is
  /// frozen goes on as soon as all living servers know it. Servers that are away are told when they
  /// come back; whoever is home of the slots was told of it later than they.
  mutating func settleMove() {
    for index in servers.indices where servers[index].phase == .alive { sendSlots(index) }
    recovery = Recovery(lost: [], stage: .slots, attempt: newToken(), isCovered: false)
  }

  mutating func driveRecovery() {
    guard let recovery else { return }
    if recovery.stage == .alone {
      if alive == 0 { joinReadyServers() }
      guard alive != 0 else { return }
      slots.settle(on: heirs)
      for index in servers.indices where servers[index].phase == .alive { sendSlots(index) }
      self.recovery?.stage = .slots
    }
    guard self.recovery?.stage == .slots,
      !servers.contains(where: { $0.phase == .alive && $0.slotsTask != nil })
    else { return }
    for row in slots.arrive() { publish(row, moving: false) }
    if configuration.copies > 1 { disownLost(recovery.lost) }
    publish(.noteLosing(0))
    publish(.noteMoving(0))
    if !recovery.lost.isEmpty {
      notice(
        .slotsMoved(
          from: recovery.lost, lost: recovery.slotsLost, lossGeneration: lossGeneration))
    }
    self.recovery = nil
    if faults.contains(.plainTargetChange) { makeTargets() }
    // Leftovers of the lost servers' keys are forgotten soon.
    floorWanted = true
  }
}
