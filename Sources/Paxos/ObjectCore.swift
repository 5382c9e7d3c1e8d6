internal import StoreState

/// One object at one replica: acceptor, learner, proposer and reader of its log. The log is kept as
/// what was chosen, applied, and one pending entry after it: an entry opens only when the one before
/// it is chosen, and is voted on only by replicas that know what was chosen.
///
/// Its parts are in files of their own: votes in Acceptor.swift, proposing in Proposing.swift, reads
/// in Reading.swift, catching up and recovering in CatchingUp.swift.
struct ObjectCore: Sendable {
  let id: ObjectID

  // Durable.
  var snapshot: ObjectSnapshot
  /// For the entry after the snapshot's; so is `accepted`.
  var promised: Ballot?
  var accepted: Vote?
  /// See `ObjectImage.floor`.
  var floor: UInt64?

  // Of this incarnation only.
  var proposal: Proposal?
  /// The value with own commands for the open entry. It stays the same for all attempts at it.
  var own: OwnValue?
  var queue: [WaitingCommand] = []
  /// Reads that wait for a round of this replica that begins after them.
  var roundReads: [WaitingRead] = []
  /// The highest round that was used or heard of for the open entry; nil: none.
  var highestRound: UInt32?
  var failures = 0
  /// Nothing is proposed before.
  var retryAt: UInt64?
  var reading: ReadAttempt?
  var waitingReads: [WaitingRead] = []
  /// When all that was answered by then was known here; nil: never.
  var freshAsOf: UInt64?
  var recovery: RecoveryAttempt?
  /// What others have is being fetched; it is not asked for again before.
  var fetchAgainAt: UInt64 = 0
  var leases = LeaseClock()
  /// More entries follow at once: there is no point in proposing for the next.
  var isLearningMore = false
  /// Whether its vote was for a ballot of its own when the last entry was chosen: no reason to do
  /// anything, except for `PaxosFaults.fastByChosenBallot`.
  var ownBallotChosen = false

  struct WaitingCommand: Sendable {
    /// Nil: nobody waits for the response.
    var request: RequestID?
    var command: Command
    /// When it is given up.
    var deadline: UInt64
  }

  struct WaitingRead: Sendable {
    var request: RequestID
    var query: Query
    var began: UInt64
    var deadline: UInt64
  }

  struct OwnValue: Sendable {
    var entry: UInt64
    var value: Value
    var waiting: [WaitingCommand]
  }

  init(_ id: ObjectID, _ image: ObjectImage) {
    self.id = id
    snapshot = image.snapshot
    promised = image.promised
    accepted = image.accepted
    floor = image.floor
  }

  var chosen: UInt64 { snapshot.chosen }
  /// The entry that is open.
  var open: UInt64 { snapshot.chosen + 1 }

  /// Whether nothing is forgotten that could matter: whatever this replica had promised or accepted
  /// before it lost its disk was for entries that are chosen, and known here, by now.
  var isVoting: Bool {
    guard let floor else { return false }
    return chosen >= floor
  }

  var image: ObjectImage {
    var image = ObjectImage(snapshot, floor: floor)
    image.promised = promised
    image.accepted = accepted
    return image
  }

  mutating func receive(_ body: Message.Body, from node: NodeID, _ context: inout ReplicaContext) {
    recoverIfNeeded(&context)
    switch body {
    case .prepare(let entry, let ballot, let previous):
      prepare(entry, ballot, previous, from: node, &context)
    case .accept(let entry, let vote, let previous):
      accept(entry, vote, previous, from: node, &context)
    case .promise(let entry, let ballot, let vote):
      onPromise(entry, ballot, vote, from: node, &context)
    case .accepted(let entry, let ballot): onAccepted(entry, ballot, from: node, &context)
    case .refused(let entry, let ballot, let promised):
      onRefused(entry, ballot, promised, from: node, &context)
    case .chosen(let entry, let value, let digest):
      onChosen(entry, value, digest, from: node, &context)
    case .fetch(let first): sendChosen(from: first, to: node, &context)
    case .entries(let first, let values): onEntries(first, values, &context)
    case .snapshot(let snapshot): onSnapshot(snapshot, &context)
    case .query(let attempt):
      context.answer(Message(id, .status(attempt, status)), to: node)
    case .status(let attempt, let status): onStatus(attempt, status, from: node, &context)
    case .renounce, .renounced, .list, .names: break
    }
  }

  var status: ObjectStatus {
    ObjectStatus(
      chosen: chosen, hasPromised: promised != nil,
      accepted: accepted.map { .init(ballot: $0.ballot, value: $0.value.id) },
      isVoting: isVoting)
  }

  // MARK: Learning

  /// Takes the value that was chosen for the open entry, and goes on to the next.
  /// `isOwnRound`: a ballot of this replica was accepted by a quorum.
  mutating func learn(_ value: Value, isOwnRound: Bool = false, _ context: inout ReplicaContext) {
    let entry = open
    let isKnown = accepted?.value.id == value.id
    context.append(
      LogRecord(id, .chosen(entry: entry, value.id, value: isKnown ? nil : value)))
    ownBallotChosen = isKnown && accepted?.ballot.proposer == context.myself
    let responses = apply(value, suffixMax: context.configuration.suffixMax)
    context.effects.append(.learned(id, entry: entry, value))
    finishOwn(value, responses, &context)
    closeEntry(isOwnRound: isOwnRound, &context)
  }

  /// The change of the durable state, as in `replay`.
  mutating func apply(_ value: Value, suffixMax: Int) -> [Response] {
    let entry = open
    let responses = value.commands.map { snapshot.state.apply($0, entry: entry) }
    snapshot.chosen = entry
    snapshot.chosenID = value.id
    snapshot.next = value.next
    snapshot.suffix.append(value)
    if snapshot.suffix.count > suffixMax {
      snapshot.suffix.removeFirst(snapshot.suffix.count - suffixMax)
    }
    promised = nil
    accepted = nil
    return responses
  }

  /// Answers own commands if their value was the one; else they wait for the next entry, since
  /// what was chosen is another value, and theirs never will be.
  private mutating func finishOwn(
    _ value: Value, _ responses: [Response], _ context: inout ReplicaContext
  ) {
    guard let own, own.entry == chosen else { return }
    self.own = nil
    if own.value.id == value.id {
      for (waiting, response) in zip(own.waiting, responses) {
        if let request = waiting.request {
          context.reply(request, .response(response, entry: chosen))
        }
      }
    } else {
      queue.insert(contentsOf: own.waiting.filter { $0.deadline < .max }, at: 0)
    }
  }

  /// After the open entry was chosen, or a snapshot was installed.
  mutating func closeEntry(isOwnRound: Bool, _ context: inout ReplicaContext) {
    highestRound = nil
    failures = 0
    retryAt = nil
    let ended = proposal
    proposal = nil
    if let ended {
      if isOwnRound || context.faults.contains(.anyRoundServesRead) {
        freshAsOf = max(freshAsOf ?? 0, ended.began)
        serve(ended.reads, &context)
        context.counts.roundReads += ended.reads.count
      } else {
        roundReads.insert(contentsOf: ended.reads, at: 0)
      }
    }
    followLeases(&context)
    continueReading(&context)
    if !isLearningMore { pursue(&context) }
  }

  // MARK: Restart

  /// Applies a record that an earlier incarnation has written. Records that the image already
  /// contains change nothing.
  mutating func replay(_ body: LogRecord.Body, suffixMax: Int) {
    switch body {
    case .promised(let entry, let ballot) where entry == open:
      promised = max(promised ?? ballot, ballot)
    case .accepted(let entry, let vote) where entry == open:
      promised = max(promised ?? vote.ballot, vote.ballot)
      if vote.ballot >= accepted?.ballot ?? vote.ballot { accepted = vote }
    case .chosen(let entry, let id, let value) where entry == open:
      // The value is in the record, or in the vote before it.
      guard let value = value ?? accepted?.value, value.id == id else { return }
      _ = apply(value, suffixMax: suffixMax)
    case .installed(let installed) where installed.chosen > chosen:
      snapshot = installed
      promised = nil
      accepted = nil
    case .floor(let floor): self.floor = max(self.floor ?? 0, floor)
    default: break
    }
  }

  // MARK: Time

  /// When `advance` has something to do; nil: nothing is under way.
  var deadline: UInt64? {
    var next: UInt64?
    func consider(_ time: UInt64?) {
      if let time { next = min(next ?? time, time) }
    }
    consider(proposal?.resendAt)
    if proposal == nil { consider(retryAt) }
    consider(reading?.resendAt)
    consider(reading?.roundAt)
    consider(recovery?.resendAt)
    consider(leases.deadline)
    // The first of each waits the longest.
    consider(queue.first?.deadline)
    consider(waitingReads.first?.deadline)
    consider(roundReads.first?.deadline)
    consider(reading?.reads.first?.deadline)
    consider(proposal?.reads.first?.deadline)
    consider(own?.waiting.first { $0.deadline < .max }?.deadline)
    return next
  }

  mutating func advance(_ context: inout ReplicaContext) {
    giveUpLate(&context)
    if let again = recovery?.resendAt, again <= context.now { askForRecovery(&context) }
    advanceReading(&context)
    expireLeases(&context)
    if let again = retryAt, again <= context.now { retryAt = nil }
    if let proposal, proposal.resendAt <= context.now {
      // Those who have not answered may be unable to; a higher ballot asks those who have refused.
      if proposal.refusals.isEmpty { resend(&context) } else { retreat(&context) }
    }
    pursue(&context)
  }

  private mutating func giveUpLate(_ context: inout ReplicaContext) {
    let now = context.now
    for waiting in queue where waiting.deadline <= now {
      if let request = waiting.request { context.reply(request, .unavailable) }
    }
    queue.removeAll { $0.deadline <= now }
    if var own {
      for index in own.waiting.indices where own.waiting[index].deadline <= now {
        if let request = own.waiting[index].request { context.reply(request, .unknown) }
        own.waiting[index].request = nil
        own.waiting[index].deadline = .max
      }
      self.own = own
      if own.waiting.allSatisfy({ $0.deadline == .max }), !isDriven { abandonOwn() }
    }
    func drop(_ reads: inout [WaitingRead]) {
      for read in reads where read.deadline <= now { context.reply(read.request, .unavailable) }
      reads.removeAll { $0.deadline <= now }
    }
    drop(&waitingReads)
    drop(&roundReads)
    if var reading {
      drop(&reading.reads)
      self.reading = reading.reads.isEmpty ? nil : reading
    }
    if var proposal {
      drop(&proposal.reads)
      self.proposal = proposal
    }
  }

  /// Nobody waits for the own value any more. Votes for it may stay where they are: whoever comes
  /// next settles them.
  private mutating func abandonOwn() {
    own = nil
    if let proposal, proposal.reads.isEmpty { self.proposal = nil }
  }
}
