internal import StoreState

/// One ballot of this replica.
struct Proposal: Sendable {
  var entry: UInt64
  var ballot: Ballot
  /// When it began: it tells nothing of what was answered later.
  var began: UInt64
  var isPhase2 = false
  /// What is proposed in phase 2.
  var value: Value?
  /// Who has promised, or voted in phase 2.
  var answers = NodeSet()
  var refusals = NodeSet()
  /// The vote of the highest ballot that promises have told of.
  var highestVote: Vote?
  var resendAt: UInt64
  /// Reads that began before it.
  var reads: [ObjectCore.WaitingRead]
}

/// The proposer of one object.
extension ObjectCore {
  mutating func propose(
    _ request: RequestID, _ command: Command, _ context: inout ReplicaContext
  ) {
    recoverIfNeeded(&context)
    let deadline = context.now + context.configuration.patience
    queue.append(WaitingCommand(request: request, command: command, deadline: deadline))
    pursue(&context)
  }

  /// This replica lost its disk, and cannot vote before one more entry is chosen: it sees to that.
  var isDriven: Bool {
    guard let floor else { return false }
    return chosen < floor
  }

  /// Begins a ballot if there is something to propose, and none is under way.
  mutating func pursue(_ context: inout ReplicaContext) {
    guard proposal == nil, retryAt == nil else { return }
    guard own != nil || !queue.isEmpty || !roundReads.isEmpty || isDriven else { return }
    if own == nil && !queue.isEmpty { takeOwn(&context) }
    var proposal = Proposal(
      entry: open,
      ballot: Ballot(
        round: 0, zone: context.cell.members[context.place].zone, proposer: context.myself),
      began: context.now, resendAt: context.now + context.configuration.resend, reads: roundReads)
    roundReads = []
    if let own, mayUseRound0(context) {
      highestRound = 0
      proposal.isPhase2 = true
      proposal.value = own.value
    } else {
      proposal.ballot.round =
        max(highestRound ?? 0, promised?.round ?? 0, accepted?.ballot.round ?? 0) + 1
      highestRound = proposal.ballot.round
      context.counts.phase1 += 1
    }
    self.proposal = proposal
    resend(&context)
  }

  private func mayUseRound0(_ context: ReplicaContext) -> Bool {
    let faults = context.faults
    if faults.contains(.fastTwice) {
      return snapshot.next == context.myself && (promised?.round ?? 0) == 0
    }
    guard highestRound == nil, promised == nil else { return false }
    if faults.contains(.fastByChosenBallot) { return ownBallotChosen }
    if faults.contains(.fastByNode) { return snapshot.next?.node == context.myself.node }
    return snapshot.next == context.myself
  }

  private mutating func takeOwn(_ context: inout ReplicaContext) {
    let taken = Array(queue.prefix(context.configuration.batchMax))
    queue.removeFirst(taken.count)
    own = OwnValue(
      entry: open,
      value: Value(
        id: context.nextValueID(), next: context.myself, commands: taken.map(\.command)),
      waiting: taken)
  }

  /// Sends the present phase to those who have not answered.
  mutating func resend(_ context: inout ReplicaContext) {
    guard var proposal else { return }
    proposal.resendAt = context.now + context.configuration.resend
    self.proposal = proposal
    let body: Message.Body
    if proposal.isPhase2, let value = proposal.value {
      body = .accept(
        entry: proposal.entry, Vote(ballot: proposal.ballot, value: value),
        previous: snapshot.chosenID)
    } else {
      body = .prepare(entry: proposal.entry, proposal.ballot, previous: snapshot.chosenID)
    }
    for (place, member) in context.cell.members.enumerated()
    where !proposal.answers.contains(place) {
      context.send(Message(id, body), to: member.node)
    }
  }

  mutating func onPromise(
    _ entry: UInt64, _ ballot: Ballot, _ vote: Vote?, from node: NodeID,
    _ context: inout ReplicaContext
  ) {
    guard var proposal, proposal.entry == entry, proposal.ballot == ballot, !proposal.isPhase2,
      let place = context.cell.place(of: node)
    else { return }
    proposal.answers.insert(place)
    if let vote {
      let isHigher = vote.ballot > proposal.highestVote?.ballot ?? vote.ballot
      if proposal.highestVote == nil
        || (isHigher && !context.faults.contains(.firstVoteAdopted))
      {
        proposal.highestVote = vote
      }
    }
    self.proposal = proposal
    if context.cell.isPhase1Quorum(proposal.answers) { beginPhase2(&context) }
  }

  private mutating func beginPhase2(_ context: inout ReplicaContext) {
    guard var proposal else { return }
    if let vote = proposal.highestVote, !context.faults.contains(.acceptedIgnored) {
      proposal.value = vote.value
    } else if let own {
      proposal.value = own.value
    } else if !isDriven {
      // Nobody had voted: nothing was chosen here before the ballot began, so reads are answered.
      self.proposal = nil
      freshAsOf = max(freshAsOf ?? 0, proposal.began)
      context.counts.roundReads += proposal.reads.count
      serve(proposal.reads, &context)
      pursue(&context)
      return
    } else {
      proposal.value = Value(id: context.nextValueID(), next: context.myself, commands: [])
    }
    proposal.isPhase2 = true
    proposal.answers = NodeSet()
    proposal.refusals = NodeSet()
    self.proposal = proposal
    resend(&context)
  }

  mutating func onAccepted(
    _ entry: UInt64, _ ballot: Ballot, from node: NodeID, _ context: inout ReplicaContext
  ) {
    guard var proposal, proposal.entry == entry, proposal.ballot == ballot, proposal.isPhase2,
      let value = proposal.value, let place = context.cell.place(of: node)
    else { return }
    proposal.answers.insert(place)
    self.proposal = proposal
    var votes = proposal.answers
    if context.faults.contains(.quorumOneShort),
      let other = context.cell.members.indices.first(
        where: { !votes.contains($0) })
    {
      votes.insert(other)
    }
    guard context.cell.isPhase2Quorum(votes) else { return }
    if ballot.round == 0 {
      context.counts.fastRounds += 1
    } else {
      context.counts.slowRounds += 1
    }
    for member in context.cell.members where member.node != context.myself.node {
      context.send(
        Message(id, .chosen(entry: entry, value.id, digest: nil)), to: member.node)
    }
    learn(value, isOwnRound: true, &context)
  }

  mutating func onRefused(
    _ entry: UInt64, _ ballot: Ballot, _ promised: Ballot, from node: NodeID,
    _ context: inout ReplicaContext
  ) {
    guard var proposal, proposal.entry == entry, proposal.ballot == ballot,
      let place = context.cell.place(of: node)
    else { return }
    context.counts.refusals += 1
    highestRound = max(highestRound ?? 0, promised.round)
    proposal.refusals.insert(place)
    self.proposal = proposal
    if !context.cell.canDoWithout(proposal.refusals, phase2: proposal.isPhase2) {
      retreat(&context)
    }
  }

  /// Gives the ballot up; a higher one follows after a while.
  mutating func retreat(_ context: inout ReplicaContext) {
    guard let proposal else { return }
    self.proposal = nil
    roundReads.insert(contentsOf: proposal.reads, at: 0)
    retryAt = context.now + context.backoff(failures: failures)
    failures += 1
  }
}
