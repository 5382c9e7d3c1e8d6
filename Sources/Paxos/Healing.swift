/// What a replica that has lost its votes has learnt, on the way to being like any other again
/// (docs/store.md, "Lost disks").
struct Healing: Sendable {
  /// Names the questions for names: answers to those of an earlier start count for nothing, since
  /// they may be older than what was renounced.
  var attempt: Attempt
  /// Who counts nothing any more that this replica said before.
  var renouncedBy = NodeSet()
  /// By place: how far the names of a member are known.
  var lists: [List?]
  /// Objects before this one were asked about.
  var next = 0

  struct List: Sendable {
    /// Of the member; another start of it knows its objects in another order.
    var incarnation: UInt64
    var known: UInt64
    var isComplete: Bool
  }

  init(_ context: ReplicaContext) {
    attempt = Attempt(proposer: context.myself, number: 0)
    renouncedBy.insert(context.place)
    lists = Array(repeating: nil, count: context.cell.members.count)
  }

  /// Who has told the names of all its objects.
  var listedBy: NodeSet {
    var set = NodeSet()
    for (place, list) in lists.enumerated() where list?.isComplete == true { set.insert(place) }
    return set
  }
}

extension Replica {
  /// Names in one message.
  private static let namesMax = 256

  /// Whether a message is of the sender's latest life. If it is the first of that life, all answers
  /// from before are dropped: they rest on votes that are lost.
  mutating func isOfPresentLife(_ message: Message, _ place: Int) -> Bool {
    if context.faults.contains(.livesIgnored) { return true }
    guard message.life >= context.lives[place] else { return false }
    if message.life > context.lives[place] {
      context.lives[place] = message.life
      for index in objects.indices { objects[index].forgetAnswers(of: place) }
    }
    return true
  }

  /// Takes a message about healing.
  mutating func heal(_ message: Message, from node: NodeID, at place: Int) {
    switch message.body {
    case .renounce: tell(.renounced(life: message.life), node)
    case .renounced(let life): if life == context.life { healing?.renouncedBy.insert(place) }
    case .list(let attempt, let first):
      // Who has itself lost votes cannot tell all.
      guard !hasLostVotes else { return }
      let names = objects.dropFirst(Int(clamping: first)).prefix(Self.namesMax).map(\.id)
      tell(
        .names(
          attempt, of: context.myself.incarnation, from: first, names,
          count: UInt64(objects.count)), node)
    case .names(let attempt, let incarnation, let first, let names, let count):
      guard attempt == healing?.attempt else { return }
      take(names, from: first, of: count, incarnation, place)
      if healing?.lists[place]?.isComplete == false { askForNames(place) }
    default: break
    }
  }

  private mutating func take(
    _ names: [ObjectID], from first: UInt64, of count: UInt64, _ incarnation: UInt64, _ place: Int
  ) {
    var list =
      healing?.lists[place] ?? .init(incarnation: incarnation, known: 0, isComplete: false)
    if list.incarnation != incarnation {
      list = .init(incarnation: incarnation, known: 0, isComplete: false)
    }
    if first == list.known, !list.isComplete {
      for name in names { _ = self.place(of: name) }
      list.known += UInt64(names.count)
      list.isComplete = list.known >= count
    }
    healing?.lists[place] = list
  }

  private mutating func tell(_ body: Message.Body, _ node: NodeID) {
    context.answer(Message(ObjectID(""), body), to: node)
  }

  private mutating func askForNames(_ place: Int) {
    guard let healing else { return }
    let known = healing.lists[place]?.known ?? 0
    tell(.list(healing.attempt, from: known), context.cell.members[place].node)
  }

  /// First every other member has to renounce. What was chosen with this replica's help, or begun
  /// with its promise, is known by then to somebody in every set that meets all quorums: such a set
  /// is asked for the names of all objects, and then about each of them. When all have a floor, any
  /// other object is one that this replica has never voted on in a way that counts.
  mutating func continueHealing() {
    guard let healing else { return }
    let others = context.cell.members.indices.filter { $0 != context.place }
    guard healing.renouncedBy.count == context.cell.members.count else {
      for place in others where !healing.renouncedBy.contains(place) {
        tell(.renounce, context.cell.members[place].node)
      }
      return
    }
    let listedBy = healing.listedBy
    guard
      context.cell.meetsEveryQuorum(listedBy) || context.faults.contains(.unlistedAreNew)
    else {
      for place in others where !listedBy.contains(place) { askForNames(place) }
      return
    }
    var left = context.configuration.recoverBatch
    var next = healing.next
    while next < objects.count, left > 0 {
      if objects[next].floor == nil {
        change(next) { $0.recoverIfNeeded(&$1) }
        left -= 1
      }
      next += 1
    }
    self.healing?.next = next
    // What it has not asked about yet has no floor.
    if next == objects.count, objects.allSatisfy({ $0.floor != nil }) { self.healing = nil }
  }
}
