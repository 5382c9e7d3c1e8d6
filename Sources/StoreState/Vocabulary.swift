/// Keys and values are bytes; keys are ordered by them, as in etcd.
public typealias Bytes = [UInt8]

/// One key, or the keys from one up to another.
public struct KeyRange: Sendable, Hashable {
  public var key: Bytes
  /// The first key that is no part of the range; nil: only `key` itself is.
  public var end: Bytes?

  public init(_ key: Bytes, end: Bytes? = nil) {
    self.key = key
    self.end = end
  }

  /// Every key of the group.
  public static let all = KeyRange([], end: [])

  /// All keys that begin with `prefix`; an empty prefix means all keys.
  public init(prefix: Bytes) {
    key = prefix
    end = []
    // The least key above all with this prefix: the last byte that can rise, raised.
    for index in prefix.indices.reversed() where prefix[index] < 0xff {
      end = Array(prefix[..<index]) + [prefix[index] + 1]
      break
    }
  }

  /// An empty `end` is above every key.
  public func contains(_ other: Bytes) -> Bool {
    guard let end else { return other == key }
    return !other.lexicographicallyPrecedes(key)
      && (end.isEmpty || other.lexicographicallyPrecedes(end))
  }
}

/// A key with its value and where it comes from; etcd's words.
public struct KeyValue: Sendable, Hashable {
  public var key: Bytes
  public var value: Bytes
  /// The revision in which the key came into being, the last time.
  public var createRevision: UInt64
  /// The revision of its last put.
  public var modRevision: UInt64
  /// Puts since it came into being, that one included.
  public var version: UInt64
  /// The key goes when this lease does.
  public var lease: UInt64?
}

/// What a transaction does to a group, one after the other.
public enum StoreOperation: Sendable, Hashable {
  /// `lease`: an existing lease, or nil. A put replaces the key's lease too.
  case put(key: Bytes, value: Bytes, lease: UInt64?)
  case delete(KeyRange)
  /// `limit`: at most so many pairs, in the order of their keys; nil: all.
  case range(KeyRange, limit: Int?)
}

/// A guard of a transaction: true if what the key has relates so to what is named. A key that does
/// not exist has version and revisions 0, and no value: that is unequal to every value, and neither
/// less nor greater.
public struct Guard: Sendable, Hashable {
  public enum Target: Sendable, Hashable {
    case version(UInt64)
    case createRevision(UInt64)
    case modRevision(UInt64)
    case value(Bytes)
  }

  public enum Relation: Sendable, Hashable { case equal, notEqual, less, greater }

  public var key: Bytes
  public var relation: Relation
  public var target: Target

  public init(_ key: Bytes, _ relation: Relation, _ target: Target) {
    self.key = key
    self.relation = relation
    self.target = target
  }
}

/// Guards, then one of two lists of operations: MultiOp of "Paxos Made Live" (Chandra, Griesemer,
/// Redstone; PODC 2007), etcd's transaction. All of it takes effect in one revision, or nothing.
public struct Transaction: Sendable, Hashable {
  /// All have to hold; without any they do.
  public var guards: [Guard]
  public var success: [StoreOperation]
  public var failure: [StoreOperation]

  public init(
    guards: [Guard] = [], success: [StoreOperation], failure: [StoreOperation] = []
  ) {
    self.guards = guards
    self.success = success
    self.failure = failure
  }

  public static func put(_ key: Bytes, _ value: Bytes, lease: UInt64? = nil) -> Transaction {
    Transaction(success: [.put(key: key, value: value, lease: lease)])
  }

  public static func delete(_ key: Bytes) -> Transaction {
    Transaction(success: [.delete(KeyRange(key))])
  }

  /// Puts `value` if the key has `expected` (nil: if it does not exist); else shows what it has.
  public static func compareAndSwap(
    _ key: Bytes, expected: Bytes?, value: Bytes
  ) -> Transaction {
    Transaction(
      guards: [Guard(key, .equal, expected.map { .value($0) } ?? .version(0))],
      success: [.put(key: key, value: value, lease: nil)],
      failure: [.range(KeyRange(key), limit: nil)])
  }
}

/// Makes a command take effect at most once, however often it is sent.
public struct SessionStamp: Sendable, Hashable {
  public var session: UInt64
  /// Numbered by the client, from 1.
  public var sequence: UInt64
  /// The client has the results of all sequences below this one; they are forgotten.
  public var finished: UInt64

  public init(session: UInt64, sequence: UInt64, finished: UInt64) {
    self.session = session
    self.sequence = sequence
    self.finished = finished
  }
}

/// A change of a group as it stands in the log.
public struct Command: Sendable, Hashable {
  public enum Action: Sendable, Hashable {
    case transaction(Transaction)
    /// The answer names the new session.
    case openSession
    case closeSession(UInt64)
    /// Time to live in nanoseconds, counted from when a replica applies this.
    case grantLease(timeToLive: UInt64)
    case keepAlive(lease: UInt64)
    case revoke(lease: UInt64)
    /// Proposed by a replica on whose clock the lease has run out; of no effect if it has been
    /// renewed since: `renewals` is how often it had been.
    case expire(lease: UInt64, renewals: UInt64)
    /// Forgets the events up to this revision.
    case compact(revision: UInt64)
  }

  public var stamp: SessionStamp?
  public var action: Action

  public init(_ action: Action, stamp: SessionStamp? = nil) {
    self.action = action
    self.stamp = stamp
  }
}

/// Why a command had no effect. Each is certain: it never will.
public enum StoreError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The session was closed or evicted, or never existed. The outcome of its requests that were
  /// under way can no longer be told; open another one.
  case sessionLost
  /// The client has said that it has the result of this sequence.
  case sequenceFinished
  /// Too many results of this session wait to be acknowledged.
  case tooManyOutstanding(limit: Int)
  case leaseNotFound(UInt64)
  /// The revision lies before what is kept; `compacted` is the last that is gone.
  case compacted(UInt64)
  /// The revision has not come yet.
  case futureRevision(UInt64)

  public var description: String {
    switch self {
    case .sessionLost:
      "the session is lost: what it had under way may have happened or not; open a new session"
    case .sequenceFinished: "this request was acknowledged as finished by its client"
    case .tooManyOutstanding(let limit):
      "more than \(limit) results wait for acknowledgement; acknowledge some first"
    case .leaseNotFound(let lease): "lease \(lease) is not there: it was revoked or has expired"
    case .compacted(let revision):
      "the revision has been compacted: the history begins after \(revision); read the keys anew"
    case .futureRevision(let revision): "the newest revision is \(revision)"
    }
  }
}

/// What one operation of a transaction showed.
public enum OperationResult: Sendable, Hashable {
  /// What the key had before.
  case put(previous: KeyValue?)
  case deleted([KeyValue])
  /// `more`: the limit left some out.
  case range([KeyValue], more: Bool)
}

/// What a command came to.
public enum Response: Sendable, Hashable {
  case transaction(succeeded: Bool, results: [OperationResult], revision: UInt64)
  case session(UInt64)
  /// The lease's number is its fencing token as well: greater than that of every earlier lease of
  /// the group.
  case lease(UInt64)
  case done(revision: UInt64)
  case failed(StoreError)
}

/// A change of one key, as watchers see it.
public struct StoreEvent: Sendable, Hashable {
  public enum Kind: Sendable, Hashable { case put, delete }

  public var kind: Kind
  public var revision: UInt64
  /// Of a delete: what was deleted.
  public var pair: KeyValue
}

/// A question that changes nothing.
public enum Query: Sendable, Hashable {
  case range(KeyRange, limit: Int?)
  /// Everything that happened in the range after a revision.
  case events(KeyRange, after: UInt64)
  case lease(UInt64)
}

/// The answer to a query.
public enum Answer: Sendable, Hashable {
  case range([KeyValue], more: Bool, revision: UInt64)
  case events([StoreEvent], revision: UInt64)
  case lease(Lease)
  case failed(StoreError)
}

/// A promise of time: keys that name it go when it does.
public struct Lease: Sendable, Hashable {
  public var id: UInt64
  /// Nanoseconds.
  public var timeToLive: UInt64
  public var renewals: UInt64 = 0
}
