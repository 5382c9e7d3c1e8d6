internal import StoreState

/// One attempt to learn what a replica that lost its disk may have done before.
struct RecoveryAttempt: Sendable {
  var id: Attempt
  var statuses: [ObjectStatus?]
  var resendAt: UInt64
}

/// Learning what others know of one object.
extension ObjectCore {
  mutating func onChosen(
    _ entry: UInt64, _ value: ValueID, _ digest: UInt64?, from node: NodeID,
    _ context: inout ReplicaContext
  ) {
    if entry == open, let vote = accepted, vote.value.id == value {
      learn(vote.value, &context)
    } else if entry >= open {
      fetch(from: node, &context)
    } else if let digest, entry == chosen {
      if digest == snapshot.state.digest {
        context.counts.compared += 1
      } else {
        context.effects.append(.diverged(id, entry: entry, node))
      }
    } else if digest != nil, let chosenID = snapshot.chosenID {
      // The sender has announced what it has, and is behind.
      context.send(Message(id, .chosen(entry: chosen, chosenID, digest: nil)), to: node)
    }
  }

  /// Asks a replica that is ahead for what it has.
  mutating func fetch(from node: NodeID, _ context: inout ReplicaContext) {
    guard node != context.myself.node, fetchAgainAt <= context.now else { return }
    fetchAgainAt = context.now + context.configuration.resend
    context.send(Message(id, .fetch(from: open)), to: node)
  }

  /// Sends what was chosen from an entry on: the values if they are still kept, else everything.
  func sendChosen(from first: UInt64, to node: NodeID, _ context: inout ReplicaContext) {
    guard first > 0, first <= chosen, node != context.myself.node else { return }
    let count = chosen - first + 1
    if count <= UInt64(snapshot.suffix.count) {
      context.send(
        Message(id, .entries(first: first, snapshot.suffix.suffix(Int(count)))), to: node)
      return
    }
    var sent = snapshot
    if context.faults.contains(.snapshotWithoutSessions) {
      sent.state = sent.state.withoutSessions()
    }
    context.send(Message(id, .snapshot(sent)), to: node)
  }

  mutating func onEntries(
    _ first: UInt64, _ values: [Value], _ context: inout ReplicaContext
  ) {
    guard first <= open, open - first < UInt64(values.count) else { return }
    fetchAgainAt = 0
    let new = values.dropFirst(Int(open - first))
    for (index, value) in zip(new.indices, new) {
      isLearningMore = index < new.endIndex - 1
      learn(value, &context)
    }
  }

  mutating func onSnapshot(_ received: ObjectSnapshot, _ context: inout ReplicaContext) {
    guard received.chosen > chosen else { return }
    fetchAgainAt = 0
    context.append(LogRecord(id, .installed(received)))
    context.counts.snapshotsInstalled += 1
    snapshot = received
    promised = nil
    accepted = nil
    ownBallotChosen = false
    context.effects.append(.installed(id, entry: chosen))
    overtakeOwn(&context)
    closeEntry(isOwnRound: false, &context)
  }

  /// The snapshot has passed the entry that own commands were proposed for. Only if the value of
  /// that entry can still be seen, and is another, are they known to be without effect.
  private mutating func overtakeOwn(_ context: inout ReplicaContext) {
    guard let own else { return }
    self.own = nil
    let age = chosen - own.entry
    let isVisible = age < UInt64(snapshot.suffix.count)
    let isOther =
      isVisible && snapshot.suffix[snapshot.suffix.count - 1 - Int(age)].id != own.value.id
    if isOther || context.faults.contains(.overtakenProposedAgain) {
      queue.insert(contentsOf: own.waiting.filter { $0.deadline < .max }, at: 0)
      return
    }
    for waiting in own.waiting {
      if let request = waiting.request { context.reply(request, .unknown) }
    }
  }

  // MARK: Recovery

  /// A member has lost its votes: what it said before counts for nothing that is still being decided.
  mutating func forgetAnswers(of place: Int) {
    proposal?.answers.remove(place)
    proposal?.refusals.remove(place)
    if reading?.target == nil { reading?.statuses[place] = nil }
    recovery?.statuses[place] = nil
  }

  /// Begins to ask the others if this replica has lost what it knew of the object.
  mutating func recoverIfNeeded(_ context: inout ReplicaContext) {
    guard floor == nil, recovery == nil else { return }
    recovery = RecoveryAttempt(
      id: context.nextAttempt(),
      statuses: Array(repeating: nil, count: context.cell.members.count), resendAt: 0)
    askForRecovery(&context)
  }

  mutating func askForRecovery(_ context: inout ReplicaContext) {
    guard var recovery else { return }
    recovery.resendAt = context.now + context.configuration.resend
    self.recovery = recovery
    for (place, member) in context.cell.members.enumerated()
    where place != context.place && recovery.statuses[place] == nil {
      context.send(Message(id, .query(recovery.id)), to: member.node)
    }
  }

  /// Any quorum that this replica was part of, or has heard of, has another member among those
  /// that answered. So what was chosen with its help is seen: let m be the highest entry that any
  /// of them knows of. It may have voted at m + 1 as well, without phase 1 and so without a trace
  /// elsewhere, but not at m + 2, since that opens only when m + 1 is chosen. So it votes above
  /// m + 1 only; and counts in another's recovery only when it is there.
  mutating func onRecoveryStatus(
    _ status: ObjectStatus, at place: Int, _ context: inout ReplicaContext
  ) {
    guard place != context.place,
      status.isVoting || context.faults.contains(.doubtfulAnswerCounts)
    else { return }
    recovery?.statuses[place] = status
    guard let statuses = recovery?.statuses else { return }
    var answered = NodeSet()
    var highest: UInt64 = 0
    var ahead = (place: place, chosen: status.chosen)
    for (place, status) in statuses.enumerated() {
      guard let status else { continue }
      answered.insert(place)
      highest = max(highest, status.chosen + (status.hasPromised ? 1 : 0))
      if status.chosen > ahead.chosen { ahead = (place, status.chosen) }
    }
    guard context.cell.meetsEveryPhase2Quorum(answered) else { return }
    recovery = nil
    let floor = highest + (context.faults.contains(.voteAtFloor) ? 0 : 1)
    self.floor = floor
    context.append(LogRecord(id, .floor(floor)))
    context.counts.recovered += 1
    if ahead.chosen > chosen { fetch(from: context.cell.members[ahead.place].node, &context) }
    pursue(&context)
  }
}
