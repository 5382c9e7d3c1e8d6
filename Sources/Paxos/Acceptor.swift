/// The acceptor of one object: promises and votes for the open entry.
extension ObjectCore {
  mutating func prepare(
    _ entry: UInt64, _ ballot: Ballot, _ previous: ValueID?, from node: NodeID,
    _ context: inout ReplicaContext
  ) {
    settle(entry, previous, from: node, &context)
    if entry <= chosen, context.faults.contains(.promiseWithoutPrefix) {
      context.answer(Message(id, .promise(entry: entry, ballot, accepted: nil)), to: node)
      return
    }
    guard canVote(entry, from: node, &context) else { return }
    if let promised, promised > ballot {
      context.answer(Message(id, .refused(entry: entry, ballot, promised: promised)), to: node)
      return
    }
    if promised != ballot {
      promised = ballot
      if !context.faults.contains(.promiseNotLogged) {
        context.append(LogRecord(id, .promised(entry: entry, ballot)))
      }
    }
    context.answer(Message(id, .promise(entry: entry, ballot, accepted: accepted)), to: node)
  }

  mutating func accept(
    _ entry: UInt64, _ vote: Vote, _ previous: ValueID?, from node: NodeID,
    _ context: inout ReplicaContext
  ) {
    settle(entry, previous, from: node, &context)
    guard canVote(entry, from: node, &context) else { return }
    if let promised, promised > vote.ballot, !context.faults.contains(.promiseIgnored) {
      context.answer(
        Message(id, .refused(entry: entry, vote.ballot, promised: promised)), to: node)
      return
    }
    // Round 0 belongs to the proposer that the last value names, in that incarnation, alone.
    guard vote.ballot.round > 0 || isNamed(vote.ballot.proposer, context.faults) else { return }
    if accepted?.ballot != vote.ballot || context.faults.contains(.fastTwice) {
      promised = vote.ballot
      accepted = vote
      context.append(LogRecord(id, .accepted(entry: entry, vote)))
    }
    context.answer(Message(id, .accepted(entry: entry, vote.ballot)), to: node)
  }

  private func isNamed(_ proposer: Proposer, _ faults: PaxosFaults) -> Bool {
    if faults.contains(.fastByChosenBallot) { return true }
    if faults.contains(.fastByNode) { return snapshot.next?.node == proposer.node }
    return snapshot.next == proposer
  }

  /// Whether this replica may vote on an entry. If it is ahead it says what was chosen, since a
  /// promise that left that out would let the proposer choose again; if it is behind, it asks.
  private mutating func canVote(
    _ entry: UInt64, from node: NodeID, _ context: inout ReplicaContext
  ) -> Bool {
    if entry <= chosen {
      sendChosen(from: entry, to: node, &context)
      return false
    }
    if entry > open {
      fetch(from: node, &context)
      return false
    }
    return isVoting
  }

  /// The sender knows that this value was chosen before `entry`; so does this replica, if it has
  /// voted for it.
  private mutating func settle(
    _ entry: UInt64, _ previous: ValueID?, from node: NodeID, _ context: inout ReplicaContext
  ) {
    guard let previous, entry == open + 1, let vote = accepted, vote.value.id == previous else {
      return
    }
    learn(vote.value, &context)
  }
}
