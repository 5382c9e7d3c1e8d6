internal import StoreState

/// One attempt to find out what reads have to see.
struct ReadAttempt: Sendable {
  var id: Attempt
  var began: UInt64
  var reads: [ObjectCore.WaitingRead]
  /// By place; nil: no answer yet.
  var statuses: [ObjectStatus?]
  var resendAt: UInt64
  /// The entry that the answer has to include, once it is known.
  var target: UInt64?
  /// When to stop waiting for somebody else's round; nil: nothing is in the way.
  var roundAt: UInt64?
}

/// Reads of one object: by asking a quorum (docs/store.md, "Reads"), or in a round of their own
/// where somebody else's is under way and does not end.
extension ObjectCore {
  mutating func read(
    _ request: RequestID, _ query: Query, _ mode: ReadMode, _ context: inout ReplicaContext
  ) {
    recoverIfNeeded(&context)
    let isFresh =
      switch mode {
      case .serializable: true
      case .boundedStale(let age):
        freshAsOf.map { context.now - min(context.now, $0) <= age } ?? false
      case .linearizable: context.faults.contains(.readAsksNobody)
      }
    if isFresh {
      context.counts.localReads += 1
      context.reply(request, .answer(snapshot.state.answer(query), entry: chosen))
      return
    }
    waitingReads.append(
      WaitingRead(
        request: request, query: query, began: context.now,
        deadline: context.now + context.configuration.patience))
    beginReading(&context)
  }

  /// Begins an attempt for all reads that wait; those that come later wait for the next, since its
  /// answers may be older than they.
  private mutating func beginReading(_ context: inout ReplicaContext) {
    guard reading == nil, !waitingReads.isEmpty else { return }
    let attempt =
      context.faults.contains(.readReusesAttempt)
      ? Attempt(proposer: context.myself, number: 0) : context.nextAttempt()
    reading = ReadAttempt(
      id: attempt, began: context.now, reads: waitingReads,
      statuses: Array(repeating: nil, count: context.cell.members.count),
      resendAt: context.now + context.configuration.resend)
    waitingReads = []
    context.broadcast(Message(id, .query(attempt)))
  }

  mutating func onStatus(
    _ attempt: Attempt, _ status: ObjectStatus, from node: NodeID,
    _ context: inout ReplicaContext
  ) {
    guard let place = context.cell.place(of: node) else { return }
    if recovery?.id == attempt { onRecoveryStatus(status, at: place, &context) }
    guard reading?.id == attempt, reading?.target == nil else { return }
    // What a replica does not remember it cannot deny.
    guard status.isVoting || context.faults.contains(.doubtfulAnswerCounts) else { return }
    reading?.statuses[place] = status
    evaluate(&context)
  }

  /// What the answers so far say.
  private enum Evidence {
    case incomplete
    /// Everything that was answered before the attempt began is in entries up to this one.
    case settled(UInt64)
    /// As above; the value of that entry is known to be chosen by its votes only.
    case chosenByVotes(UInt64, ValueID)
    /// An entry may have been chosen, or may not.
    case open
  }

  private func evidence(_ reading: ReadAttempt, _ context: ReplicaContext) -> Evidence {
    var answered = NodeSet()
    var newest: UInt64 = 0
    for (place, status) in reading.statuses.enumerated() {
      guard let status else { continue }
      answered.insert(place)
      newest = max(newest, status.chosen)
    }
    guard context.cell.meetsEveryPhase2Quorum(answered) else { return .incomplete }
    if context.faults.contains(.readIgnoresVotes) { return .settled(newest) }
    var withoutVote = NodeSet()
    var votes: [(vote: ObjectStatus.AcceptedID, by: NodeSet)] = []
    for (place, status) in reading.statuses.enumerated() {
      guard let status else { continue }
      guard status.chosen == newest, let vote = status.accepted else {
        withoutVote.insert(place)
        continue
      }
      if let index = votes.firstIndex(where: { $0.vote.ballot == vote.ballot }) {
        votes[index].by.insert(place)
      } else {
        var by = NodeSet()
        by.insert(place)
        votes.append((vote, by))
      }
    }
    if let chosen = votes.first(where: { context.cell.isPhase2Quorum($0.by) }) {
      return .chosenByVotes(newest + 1, chosen.vote.value)
    }
    // Every quorum has a member that had not voted when it was asked: nothing more was chosen then.
    return context.cell.meetsEveryPhase2Quorum(withoutVote) ? .settled(newest) : .open
  }

  private mutating func evaluate(_ context: inout ReplicaContext) {
    guard let reading else { return }
    switch evidence(reading, context) {
    case .incomplete: return
    case .settled(let entry): self.reading?.target = entry
    case .chosenByVotes(let entry, let value):
      self.reading?.target = entry
      for member in context.cell.members {
        context.send(Message(id, .chosen(entry: entry, value, digest: nil)), to: member.node)
      }
    case .open:
      self.reading?.roundAt = reading.roundAt ?? context.now + context.configuration.readPatience
      return
    }
    self.reading?.roundAt = nil
    fetchTarget(&context)
    continueReading(&context)
  }

  /// Answers reads whose target this replica has reached.
  mutating func continueReading(_ context: inout ReplicaContext) {
    guard let reading, let target = reading.target, target <= chosen else { return }
    self.reading = nil
    freshAsOf = max(freshAsOf ?? 0, reading.began)
    context.counts.quorumReads += reading.reads.count
    serve(reading.reads, &context)
    beginReading(&context)
  }

  mutating func serve(_ reads: [WaitingRead], _ context: inout ReplicaContext) {
    for read in reads {
      context.reply(read.request, .answer(snapshot.state.answer(read.query), entry: chosen))
    }
  }

  private mutating func fetchTarget(_ context: inout ReplicaContext) {
    guard let reading, let target = reading.target, target > chosen else { return }
    // Whoever has it; by votes, any of the voters once it has heard that the entry is chosen.
    let holder = reading.statuses.indices.first { place in
      place != context.place
        && reading.statuses[place].map { status in
          status.chosen >= target || (status.chosen + 1 == target && status.accepted != nil)
        } ?? false
    }
    if let holder { fetch(from: context.cell.members[holder].node, &context) }
  }

  mutating func advanceReading(_ context: inout ReplicaContext) {
    if let roundAt = reading?.roundAt, roundAt <= context.now, let reads = reading?.reads {
      reading = nil
      roundReads += reads
      beginReading(&context)
    }
    guard let reading, reading.resendAt <= context.now else { return }
    self.reading?.resendAt = context.now + context.configuration.resend
    if reading.target != nil {
      fetchTarget(&context)
    } else {
      for (place, member) in context.cell.members.enumerated()
      where reading.statuses[place] == nil {
        context.send(Message(id, .query(reading.id)), to: member.node)
      }
    }
  }
}
