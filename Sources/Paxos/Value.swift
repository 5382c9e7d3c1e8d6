public import StoreState

/// The name of an entity group: keys that share one log, and can be changed together.
public struct ObjectID: Hashable, Sendable, CustomStringConvertible {
  public var name: String
  public init(_ name: String) { self.name = name }
  public var description: String { name }
}

/// Tells values apart: no two proposals have the same.
public struct ValueID: Hashable, Sendable {
  public var proposer: Proposer
  public var number: UInt64

  public init(proposer: Proposer, number: UInt64) {
    self.proposer = proposer
    self.number = number
  }
}

/// What one entry of an object's log says.
public struct Value: Sendable, Equatable {
  public var id: ValueID
  /// Who may propose for the next entry without phase 1 (J. Baker and others: Megastore, 2011).
  /// Since one value at most is chosen for an entry, so is one such proposer for the next.
  public var next: Proposer
  /// Applied in this order. None: the entry only settles what was before it.
  public var commands: [Command]

  public init(id: ValueID, next: Proposer, commands: [Command]) {
    self.id = id
    self.next = next
    self.commands = commands
  }
}

/// A vote.
public struct Vote: Sendable, Equatable {
  public var ballot: Ballot
  public var value: Value

  public init(ballot: Ballot, value: Value) {
    self.ballot = ballot
    self.value = value
  }
}

/// An object up to an entry: enough for a replica to go on from there. `state` holds data and
/// sessions as of `chosen`: the three are one value, written and sent as one.
public struct ObjectSnapshot: Sendable, Equatable {
  /// The newest entry that is part of it.
  public var chosen: UInt64 = 0
  /// The value of that entry; nil before the first.
  public var chosenID: ValueID?
  /// Whom that value names.
  public var next: Proposer?
  public var state: GroupState
  /// The values of the last entries, the newest last.
  public var suffix: [Value] = []

  public init(_ limits: GroupLimits) { state = GroupState(limits) }

  init(
    chosen: UInt64, chosenID: ValueID?, next: Proposer?, state: GroupState, suffix: [Value]
  ) {
    self.chosen = chosen
    self.chosenID = chosenID
    self.next = next
    self.state = state
    self.suffix = suffix
  }
}

/// What a replica stores of an object, as one.
public struct ObjectImage: Sendable, Equatable {
  public var snapshot: ObjectSnapshot
  /// For the entry after the snapshot's.
  public var promised: Ballot?
  public var accepted: Vote?
  /// Votes are for entries above this one only; nil: this replica has lost what it knew, and has
  /// not yet asked the others.
  public var floor: UInt64?

  public init(_ snapshot: ObjectSnapshot, floor: UInt64?) {
    self.snapshot = snapshot
    self.floor = floor
  }
}

/// One record of a node's log of votes. Replayed in order, records give back what was there; they
/// are written with one sync for many, and nothing that tells of one leaves the node before it.
public struct LogRecord: Sendable, Equatable {
  public enum Body: Sendable, Equatable {
    case promised(entry: UInt64, Ballot)
    case accepted(entry: UInt64, Vote)
    /// `value` is left out where it is the one that was accepted.
    case chosen(entry: UInt64, ValueID, value: Value?)
    case installed(ObjectSnapshot)
    /// The replica had lost the object; from now on it votes above this entry.
    case floor(UInt64)
  }

  public var object: ObjectID
  public var body: Body

  public init(_ object: ObjectID, _ body: Body) {
    self.object = object
    self.body = body
  }
}
