internal import Paxos
internal import StoreState

/// What the simulation knows of one object, from the entries that replicas have learned: what its
/// log says, and so what everybody has to have been told.
struct ObjectReference {
  let id: ObjectID
  /// By entry; the first is the state before entry 1.
  private(set) var states: [GroupState]
  private(set) var values: [ValueID?] = [nil]
  private(set) var digests: [UInt64]
  /// By entry: the responses to its commands.
  private(set) var responses: [[Response]] = [[]]
  /// The entry and response of the first time that a stamped command was in the log.
  private var firsts: [SessionStamp: (entry: UInt64, response: Response)] = [:]
  /// Puts that took effect; every put of a simulation has a value of its own.
  private var puts: Set<[Bytes]> = []
  /// The newest entry whose effect, or absence of later effects, a client has been told of; with
  /// the times at which it rose.
  private(set) var told: [(time: UInt64, entry: UInt64)] = [(0, 0)]

  init(_ id: ObjectID, _ limits: GroupLimits) {
    self.id = id
    states = [GroupState(limits)]
    digests = [states[0].digest]
  }

  var newest: UInt64 { UInt64(states.count - 1) }
  var toldEntry: UInt64 { told[told.count - 1].entry }

  /// What clients had been told by a time.
  func toldEntry(by time: UInt64) -> UInt64 { told.last { $0.time <= time }?.entry ?? 0 }

  mutating func tell(_ entry: UInt64, at time: UInt64) {
    if entry > toldEntry { told.append((time, entry)) }
  }

  /// What an entry has done.
  struct Change {
    /// What is wrong with it.
    var problem: String?
    /// Leases that are gone, and the keys that went with them.
    var endedLeases: [UInt64] = []
    var endedKeys: [Bytes] = []
  }

  /// Takes the next entry.
  mutating func append(_ value: Value) -> Change {
    let entry = newest + 1
    var state = states[states.count - 1]
    let before = (revision: state.revision, leases: state.leases)
    var change = Change()
    responses.append(
      value.commands.map { command in
        let revision = state.revision
        let response = state.apply(command, entry: entry)
        if !command.action.isTransaction {
          change.endedKeys += state.events(after: revision).filter { $0.kind == .delete }.map(
            \.pair.key)
        }
        if var stamp = command.stamp {
          stamp.finished = 0
          if firsts[stamp] == nil { firsts[stamp] = (entry, response) }
        }
        return response
      })
    for event in state.events(after: before.revision) where event.kind == .put {
      if !puts.insert([event.pair.key, event.pair.value]).inserted {
        let text = String(decoding: event.pair.value, as: UTF8.self)
        change.problem = "\(id): the put of \(text) takes effect again in entry \(entry)"
      }
    }
    states.append(state)
    digests.append(state.digest)
    values.append(value.id)
    let left = Set(state.leases.map(\.id))
    change.endedLeases = before.leases.map(\.id).filter { !left.contains($0) }
    return change
  }

  /// The entry in which a stamped command took effect, and its response then.
  func first(_ stamp: SessionStamp) -> (entry: UInt64, response: Response)? {
    var stamp = stamp
    stamp.finished = 0
    return firsts[stamp]
  }
}

extension GroupState {
  /// What is still known of what happened after a revision.
  func events(after revision: UInt64) -> [StoreEvent] {
    let answer = answer(.events(.all, after: max(revision, compactedRevision)))
    guard case .events(let events, _) = answer else { return [] }
    return events
  }
}

extension Command.Action {
  var isTransaction: Bool {
    if case .transaction = self { true } else { false }
  }
}

/// What the simulation asserts while it runs.
struct StoreWatch {
  struct BallotOfEntry: Hashable {
    var object: ObjectID
    var entry: UInt64
    var ballot: Ballot
  }

  private struct Written {
    var entry: UInt64
    var ballot: Ballot
  }

  private(set) var references: [ObjectID: ObjectReference] = [:]
  private var voted: [BallotOfEntry: ValueID] = [:]
  /// By node and object: the newest ballot on disk.
  private var written: [[ObjectID: Written]]
  private let limits: GroupLimits

  init(nodes: Int, _ limits: GroupLimits) {
    written = Array(repeating: [:], count: nodes)
    self.limits = limits
  }

  mutating func withReference<Result>(
    _ id: ObjectID, _ body: (inout ObjectReference) -> Result
  ) -> Result {
    body(&references[id, default: ObjectReference(id, limits)])
  }

  func reference(_ id: ObjectID) -> ObjectReference {
    references[id] ?? ObjectReference(id, limits)
  }

  /// Forgets what a node had written, since it may have lost it.
  mutating func restart(_ node: Int) { written[node] = [:] }

  /// Follows what a node writes. Returns what is wrong with it.
  mutating func write(
    _ record: LogRecord, by node: Int
  ) -> (check: StoreCheck, problem: String)? {
    let ballot: Ballot
    let entry: UInt64
    switch record.body {
    case .promised(let of, let promised): (entry, ballot) = (of, promised)
    case .accepted(let of, let vote):
      (entry, ballot) = (of, vote.ballot)
      let key = BallotOfEntry(object: record.object, entry: of, ballot: vote.ballot)
      let first = voted[key] ?? vote.value.id
      voted[key] = first
      if first != vote.value.id {
        return (
          .oneValuePerBallot,
          "\(record.object) entry \(of), ballot \(StoreText.of(vote.ballot)): votes for "
            + "\(StoreText.of(first)) and for \(StoreText.of(vote.value.id))"
        )
      }
    default: return nil
    }
    if let last = written[node][record.object], last.entry == entry, last.ballot > ballot {
      return (
        .ballotsFall,
        "node \(node), \(record.object) entry \(entry): \(StoreText.of(ballot)) is written after "
          + StoreText.of(last.ballot)
      )
    }
    written[node][record.object] = Written(entry: entry, ballot: ballot)
    return nil
  }
}

/// Texts of traces.
enum StoreText {
  static func of(_ ballot: Ballot) -> String {
    "\(ballot.round).\(ballot.proposer.node.rawValue)/\(ballot.proposer.incarnation)"
  }

  static func of(_ id: ValueID) -> String {
    "v\(id.proposer.node.rawValue)/\(id.proposer.incarnation)#\(id.number)"
  }

  static func of(_ value: Value) -> String {
    "\(of(value.id))[" + value.commands.map(of).joined(separator: "; ") + "]"
  }

  static func of(_ command: Command) -> String {
    let stamp = command.stamp.map { "s\($0.session)#\($0.sequence) " } ?? ""
    switch command.action {
    case .transaction(let transaction):
      let guards = transaction.guards.isEmpty ? "" : "if \(transaction.guards.count) guards "
      return stamp + guards + transaction.success.map(of).joined(separator: ", ")
    case .openSession: return "open session"
    case .closeSession(let id): return "close session \(id)"
    case .grantLease: return stamp + "grant lease"
    case .keepAlive(let lease): return stamp + "keep lease \(lease)"
    case .revoke(let lease): return stamp + "revoke lease \(lease)"
    case .expire(let lease, let renewals): return "expire lease \(lease) (renewed \(renewals))"
    case .compact(let revision): return "compact \(revision)"
    }
  }

  private static func of(_ operation: StoreOperation) -> String {
    switch operation {
    case .put(let key, let value, _):
      "put \(String(decoding: key, as: UTF8.self))=\(String(decoding: value, as: UTF8.self))"
    case .delete(let range): "delete \(String(decoding: range.key, as: UTF8.self))"
    case .range(let range, _): "range \(String(decoding: range.key, as: UTF8.self))"
    }
  }

  static func of(_ message: Message) -> String {
    let text: String
    switch message.body {
    case .prepare(let entry, let ballot, _): text = "prepare \(entry) \(of(ballot))"
    case .promise(let entry, let ballot, let vote):
      text =
        "promise \(entry) \(of(ballot))"
        + (vote.map { " voted \(of($0.ballot)) \(of($0.value.id))" } ?? "")
    case .accept(let entry, let vote, _):
      text = "accept \(entry) \(of(vote.ballot)) \(of(vote.value))"
    case .accepted(let entry, let ballot): text = "accepted \(entry) \(of(ballot))"
    case .refused(let entry, let ballot, let promised):
      text = "refused \(entry) \(of(ballot)), promised \(of(promised))"
    case .chosen(let entry, let id, let digest):
      text = "\(digest == nil ? "chosen" : "announce") \(entry) \(of(id))"
    case .fetch(let first): text = "fetch from \(first)"
    case .entries(let first, let values):
      text = "entries \(first)..<\(first + UInt64(values.count))"
    case .snapshot(let snapshot): text = "snapshot \(snapshot.chosen)"
    case .query(let attempt): text = "query #\(attempt.number)"
    case .status(let attempt, let status):
      text =
        "status #\(attempt.number): chosen \(status.chosen)"
        + (status.accepted.map { ", voted \(of($0.ballot)) \(of($0.value))" } ?? "")
        + (status.isVoting ? "" : ", not voting")
    case .renounce: text = "renounce"
    case .renounced(let life): text = "renounced before \(life)"
    case .list(let attempt, let first): text = "list #\(attempt.number) from \(first)"
    case .names(let attempt, _, let first, let names, let count):
      text = "names #\(attempt.number): \(names.count) from \(first) of \(count)"
    }
    return "\(message.object) \(text)"
  }
}
