/// The state of one entity group: keys, leases, sessions and the newest events. A value: a copy is
/// a snapshot. It depends on the commands that were applied, and their order, alone.
public struct GroupState: Sendable, Equatable {
  /// Rises by one with every command that changes keys or leases.
  public private(set) var revision: UInt64 = 0
  /// Events up to this revision are gone.
  public private(set) var compactedRevision: UInt64 = 0
  public private(set) var sessions = SessionTable()
  /// In the order of their keys.
  private(set) var pairs: [KeyValue] = []
  /// In the order of their numbers.
  public private(set) var leases: [Lease] = []
  private(set) var events = EventLog()
  let limits: GroupLimits

  public init(_ limits: GroupLimits = GroupLimits()) { self.limits = limits }

  /// Takes over a state that was stored or sent; parts that are ordered come in their order.
  mutating func restore(
    revision: UInt64, compacted: UInt64, pairs: [KeyValue], leases: [Lease], events: [StoreEvent],
    sessions: SessionTable
  ) {
    self.revision = revision
    compactedRevision = compacted
    self.pairs = pairs
    self.leases = leases
    self.events = EventLog(events)
    self.sessions = sessions
  }

  /// Keys that exist.
  public var keyCount: Int { pairs.count }

  /// Applies a command that was chosen in an entry of the log.
  public mutating func apply(_ command: Command, entry: UInt64) -> Response {
    guard let stamp = command.stamp else { return execute(command.action, entry: entry) }
    switch sessions.admit(stamp, entry: entry) {
    case .known(let response): return response
    case .refused(let error): return .failed(error)
    case .unseen:
      let response = execute(command.action, entry: entry)
      sessions.remember(response, of: stamp)
      return response
    }
  }

  /// Answers a query from this state.
  public func answer(_ query: Query) -> Answer {
    switch query {
    case .range(let range, let limit):
      let (found, more) = find(range, limit: limit)
      return .range(found, more: more, revision: revision)
    case .events(let range, let after):
      if after < compactedRevision { return .failed(.compacted(compactedRevision)) }
      if after > revision { return .failed(.futureRevision(revision)) }
      return .events(
        events.after(after).filter { range.contains($0.pair.key) }, revision: revision)
    case .lease(let id):
      return leasePlace(id).map { .lease(leases[$0]) } ?? .failed(.leaseNotFound(id))
    }
  }

  /// About how long `digest` takes: keys and events that it looks at.
  public var digestLength: Int { pairs.count + events.count }

  /// Equal for replicas that have applied the same.
  public var digest: UInt64 {
    var hash = StateDigest()
    hash.mix(revision)
    hash.mix(compactedRevision)
    for pair in pairs { hash.mix(pair) }
    for lease in leases {
      hash.mix(lease.id)
      hash.mix(lease.timeToLive)
      hash.mix(lease.renewals)
    }
    for event in events.kept {
      hash.mix(event.revision)
      hash.mix(event.kind == .put ? 1 : 2)
      hash.mix(event.pair)
    }
    sessions.digest(into: &hash)
    return hash.value
  }

  /// The same without sessions: what a snapshot must not be. Tests break a store with it.
  public func withoutSessions() -> GroupState {
    var copy = self
    copy.sessions = SessionTable()
    return copy
  }

  // MARK: Commands

  private mutating func execute(_ action: Command.Action, entry: UInt64) -> Response {
    switch action {
    case .transaction(let transaction): return execute(transaction)
    case .openSession: return .session(sessions.open(entry: entry, limit: limits.sessions))
    case .closeSession(let id):
      sessions.close(id)
      return .done(revision: revision)
    case .grantLease(let timeToLive):
      revision += 1
      leases.append(Lease(id: revision, timeToLive: timeToLive))
      return .lease(revision)
    case .keepAlive(let id):
      guard let place = leasePlace(id) else { return .failed(.leaseNotFound(id)) }
      leases[place].renewals += 1
      return .done(revision: revision)
    case .revoke(let id):
      guard let place = leasePlace(id) else { return .failed(.leaseNotFound(id)) }
      end(leaseAt: place)
      return .done(revision: revision)
    case .expire(let id, let renewals):
      guard let place = leasePlace(id) else { return .failed(.leaseNotFound(id)) }
      if leases[place].renewals == renewals { end(leaseAt: place) }
      return .done(revision: revision)
    case .compact(let upTo):
      guard upTo <= revision else { return .failed(.futureRevision(revision)) }
      compact(upTo)
      return .done(revision: revision)
    }
  }

  private mutating func execute(_ transaction: Transaction) -> Response {
    let succeeded = transaction.guards.allSatisfy(holds)
    let operations = succeeded ? transaction.success : transaction.failure
    for case .put(_, _, let lease?) in operations where leasePlace(lease) == nil {
      return .failed(.leaseNotFound(lease))
    }
    let next = revision + 1
    var isChange = false
    let results = operations.map { operation -> OperationResult in
      switch operation {
      case .put(let key, let value, let lease):
        isChange = true
        return .put(previous: put(key, value, lease, revision: next))
      case .delete(let range):
        let deleted = delete(range, revision: next)
        if !deleted.isEmpty { isChange = true }
        return .deleted(deleted)
      case .range(let range, let limit):
        let (found, more) = find(range, limit: limit)
        return .range(found, more: more)
      }
    }
    if isChange {
      revision = next
      boundEvents()
    }
    return .transaction(succeeded: succeeded, results: results, revision: revision)
  }

  private func holds(_ condition: Guard) -> Bool {
    let pair = pairPlace(condition.key).map { pairs[$0] }
    switch condition.target {
    case .version(let number): return relates(pair?.version ?? 0, condition.relation, number)
    case .createRevision(let number):
      return relates(pair?.createRevision ?? 0, condition.relation, number)
    case .modRevision(let number):
      return relates(pair?.modRevision ?? 0, condition.relation, number)
    case .value(let value):
      guard let pair else { return condition.relation == .notEqual }
      switch condition.relation {
      case .equal: return pair.value == value
      case .notEqual: return pair.value != value
      case .less: return pair.value.lexicographicallyPrecedes(value)
      case .greater: return value.lexicographicallyPrecedes(pair.value)
      }
    }
  }

  private func relates(_ a: UInt64, _ relation: Guard.Relation, _ b: UInt64) -> Bool {
    switch relation {
    case .equal: a == b
    case .notEqual: a != b
    case .less: a < b
    case .greater: a > b
    }
  }

  // MARK: Keys

  private mutating func put(
    _ key: Bytes, _ value: Bytes, _ lease: UInt64?, revision: UInt64
  ) -> KeyValue? {
    var pair = KeyValue(
      key: key, value: value, createRevision: revision, modRevision: revision, version: 1,
      lease: lease)
    let place = lowerBound(key)
    guard place < pairs.count, pairs[place].key == key else {
      pairs.insert(pair, at: place)
      events.append(StoreEvent(kind: .put, revision: revision, pair: pair))
      return nil
    }
    let previous = pairs[place]
    pair.createRevision = previous.createRevision
    pair.version = previous.version + 1
    pairs[place] = pair
    events.append(StoreEvent(kind: .put, revision: revision, pair: pair))
    return previous
  }

  private mutating func delete(_ range: KeyRange, revision: UInt64) -> [KeyValue] {
    let places = self.places(range)
    let deleted = Array(pairs[places])
    pairs.removeSubrange(places)
    for pair in deleted {
      events.append(StoreEvent(kind: .delete, revision: revision, pair: pair))
    }
    return deleted
  }

  private func find(_ range: KeyRange, limit: Int?) -> (pairs: [KeyValue], more: Bool) {
    let places = self.places(range)
    let count = min(places.count, max(0, limit ?? .max))
    return (Array(pairs[places].prefix(count)), count < places.count)
  }

  private func places(_ range: KeyRange) -> Range<Int> {
    let first = lowerBound(range.key)
    guard let end = range.end else {
      return first..<(first < pairs.count && pairs[first].key == range.key ? first + 1 : first)
    }
    return first..<max(first, end.isEmpty ? pairs.count : lowerBound(end))
  }

  private func lowerBound(_ key: Bytes) -> Int {
    var (low, high) = (0, pairs.count)
    while low < high {
      let middle = (low + high) / 2
      if pairs[middle].key.lexicographicallyPrecedes(key) {
        low = middle + 1
      } else {
        high = middle
      }
    }
    return low
  }

  private func pairPlace(_ key: Bytes) -> Int? {
    let place = lowerBound(key)
    return place < pairs.count && pairs[place].key == key ? place : nil
  }

  // MARK: Leases and events

  private func leasePlace(_ id: UInt64) -> Int? {
    var (low, high) = (0, leases.count)
    while low < high {
      let middle = (low + high) / 2
      if leases[middle].id < id { low = middle + 1 } else { high = middle }
    }
    return low < leases.count && leases[low].id == id ? low : nil
  }

  /// The lease goes, with its keys, in one revision.
  private mutating func end(leaseAt place: Int) {
    let id = leases.remove(at: place).id
    revision += 1
    for pair in pairs where pair.lease == id {
      events.append(StoreEvent(kind: .delete, revision: revision, pair: pair))
    }
    pairs.removeAll { $0.lease == id }
    boundEvents()
  }

  private mutating func compact(_ upTo: UInt64) {
    guard upTo > compactedRevision else { return }
    compactedRevision = upTo
    events.forget(upTo: upTo)
  }

  /// Forgets the oldest revisions beyond the limit, whole ones.
  private mutating func boundEvents() {
    guard events.count > limits.events else { return }
    let excess = events.count - limits.events
    compact(events.kept[events.kept.startIndex + excess - 1].revision)
  }
}

/// What one group may hold; the same on all replicas, or they would come apart.
public struct GroupLimits: Sendable, Equatable {
  /// Open sessions.
  public var sessions: Int
  /// Events kept for watchers.
  public var events: Int

  public init(sessions: Int = SessionTable.sessionsMax, events: Int = 1024) {
    self.sessions = sessions
    self.events = events
  }
}
