internal import Directory
internal import Wire

/// What a controller does that begins with a directory which another controller has left behind,
/// perhaps in the middle of something (docs/protocol.md §8, "Controller lost").
///
/// The directory goes on meanwhile. What the other one had published is seen by packets, so it is
/// brought to a safe state by the same steps as always, each of which may be repeated; what it had
/// only sent, or meant to do, is forgotten.
extension ControllerCore {
  mutating func adopt(_ time: UInt64, _ found: DirectoryContents) {
    precondition(found.epoch == configuration.epoch && found.serving, "nothing to go on with")
    begin(time)
    generation = found.generation
    nextVersion = found.nextVersion
    serving = true
    let losing = faults.contains(.adoptionForgetsLoss) ? 0 : found.losing
    // Who is waited for keeps its slots, also those that were about to move.
    let waitedFor = faults.contains(.adoptionForgetsAway) ? 0 : found.away
    slots = SlotTable(found.slots, living: (found.alive | waitedFor) & ~losing)
    lossGeneration = faults.contains(.adoptionForgetsLoss) ? 0 : found.lossGeneration
    unsafeLoss = lossGeneration
    bans = Dictionary(
      found.bans.filter { $0.keyHash != 0 && $0.until > time }.map { ($0.keyHash, $0.until) }
    ) { max($0, $1) }
    bansNoted = found.bans
    awayNoted = found.away
    adoptServers(found)
    let unfinished = adoptEntries(found)
    // From here on nothing that was sent or stamped before is as new.
    if !faults.contains(.adoptionKeepsGeneration) { _ = raiseGeneration() }
    publish(.setSampleInterval(policy.sampleInterval))
    publish(.setReadChoice(configuration.policy.readChoice))
    notice(.adopted(keys: entries.count, unfinished: unfinished))
    totals.adoptions = Int(truncatingIfNeeded: found.adoptions + 1)
    publish(.noteAdoptions(found.adoptions + 1))
    totals.resumed = unfinished
    giveUpAdding()
    // Places, tables and bases that the other one has freed may still be known to a packet.
    if !faults.contains(.adoptionSkipsGrace) {
      isAdopting = true
      afterGrace([.adopted])
    }
    // The rack kept two copies, and is to keep one.
    let hasForeignBackups = configuration.copies < 2 && slots.dropBackups()
    if hasForeignBackups {
      publish(.noteMoving(alive))
      for row in slots.taken { publish(row, moving: true) }
    }
    if losing != 0 {
      alive &= ~losing
      lose((0..<UInt8(WireLimits.serversMax)).filter { losing & bit($0) != 0 })
    } else if found.moving != 0 || hasForeignBackups, !faults.contains(.adoptionForgetsMove) {
      settleMove()
    }
    noteAway()
    nextMove = now + configuration.times.rebalance
    for index in servers.indices {
      servers[index].probesFrom = lastSequence
      probe(index)
    }
  }

  /// Who lives is what the directory says. Whether they still do, and in this incarnation, the
  /// probes tell.
  private mutating func adoptServers(_ found: DirectoryContents) {
    alive = found.alive
    publish(.setServerCount(max(found.serverCount, UInt32(servers.last?.number ?? 0) + 1)))
    (spared, drained) = (found.spared, found.drained)
    for index in servers.indices {
      let number = servers[index].number
      let known = found.servers[Int(number)]
      servers[index].isNotedAsDurable = found.durable & bit(number) != 0
      if servers[index].isNotedAsDurable { servers[index].totals.conditions = .durable }
      // One that the directory has never heard of is as the rack file says.
      if known.port != 0 { servers[index].isDraining = found.drained & bit(number) != 0 }
      if found.alive & bit(number) != 0 {
        servers[index].phase = .alive
        servers[index].incarnation = known.incarnation
        servers[index].lastHeard = now
      } else if found.away & bit(number) != 0, !faults.contains(.adoptionForgetsAway) {
        adoptAway(index, known.incarnation)
      } else if servers[index].isDraining {
        // Whether it was let go or lost is not known: it is to begin anew.
        servers[index].phase = .drained
        afterGrace([.forget(number)])
      } else if known.incarnation != 0 {
        servers[index].phase = .lost
        servers[index].incarnation = known.incarnation
      }
      var place = servers[index].place
      place.incarnation = known.incarnation
      if place != known { publish(.setServer(number, place)) }
    }
    publishSpared()
  }

  /// Goes on waiting for a server. It may have returned in the meantime, and been believed: the
  /// members tell under which name.
  private mutating func adoptAway(_ index: Int, _ incarnation: UInt64) {
    let starts = members.filter { $0.server == servers[index].number }.map(\.incarnation)
    servers[index].phase = .away
    servers[index].lastHeard = now
    servers[index].isReturning = true
    servers[index].predecessor = starts.first ?? incarnation
    servers[index].incarnation = starts.last ?? incarnation
    servers[index].admittedIncarnation = servers[index].incarnation
  }

  /// Takes the entries over as they are. Returns how many are in the middle of a transition.
  private mutating func adoptEntries(_ found: DirectoryContents) -> Int {
    var unfinished = 0
    var masks: [UInt8: UInt32] = [:]
    for known in found.entries {
      if known.mode != .hot { unfinished += 1 }
      if known.mode != .hot, faults.contains(.adoptionForgetsUnfinished) { continue }
      placement.occupy(known.entry)
      var entry = Entry(
        keyHash: known.keyHash, key: known.note.key, index: known.entry,
        home: slots.home(ofHash: known.keyHash), isPinned: known.note.isPinned)
      entry.mode = known.mode
      entry.copies = known.copies
      entry.degree = Int(known.copies) + 1
      entry.lossGeneration =
        faults.contains(.adoptionForgetsLoss) ? lossGeneration : known.note.lossGeneration
      // Rates are learnt anew before anything is decided by them.
      entry.hotSince = now
      entry.nextDegree = now + 2_000_000_000
      entry.nextCopyOrder = now + configuration.times.copyOrder
      if known.mode == .removing {
        entry.want = known.note.isLeaving ? .demote : .retarget
        entry.wantReason = .controllerChanged
      }
      if known.mode != .adding {
        entry.targets = known.targets
        let mask = found.targets[Int(known.targets)].reduce(0) { $0 | bit($1) }
        masks[known.targets] = mask
      }
      entries[known.keyHash] = entry
    }
    if faults.contains(.adoptionAssumesTargets) { return unfinished }
    targets = TargetTables(
      masks: masks, users: entries.inOrder.compactMap(\.targets), receivers: receiverMask)
    return unfinished
  }

  /// Keys that were being promoted: nobody has relied on their entries yet. The fences that they
  /// have left let everything pass that knows the generation of the adoption.
  private mutating func giveUpAdding() {
    for entry in entries.inOrder where entry.mode == .adding {
      totals.givenUp += 1
      notice(
        .givenUp(.promote, keyHash: entry.keyHash, key: entry.key, reason: .controllerChanged))
      removeEntry(entry.keyHash)
      let degree = max(1, min(3, living.count, configuration.policy.copiesMax + 1))
      requests.append(
        TransitionRequest(
          keyHash: entry.keyHash, key: entry.key, reason: entry.isPinned ? .command : .policy,
          degree: degree, copies: UInt8(degree - 1), time: now))
    }
  }
}
