/// What replicas tell each other about one object. Every message may be lost, repeated or late.
public struct Message: Sendable, Equatable {
  public var object: ObjectID
  public var body: Body
  /// Of the sender: the incarnation in which it last began without its votes; 0: it never did.
  /// What comes from an earlier life than one that is known counts for nothing.
  public var life: UInt64 = 0

  public init(_ object: ObjectID, _ body: Body) {
    self.object = object
    self.body = body
  }

  public enum Body: Sendable, Equatable {
    /// Phase 1. `previous`: the value chosen in the entry before, for those who have accepted it
    /// and not yet heard.
    case prepare(entry: UInt64, Ballot, previous: ValueID?)
    case promise(entry: UInt64, Ballot, accepted: Vote?)
    /// Phase 2.
    case accept(entry: UInt64, Vote, previous: ValueID?)
    case accepted(entry: UInt64, Ballot)
    /// The answer to prepare or accept where a higher ballot was promised.
    case refused(entry: UInt64, Ballot, promised: Ballot)
    /// `digest`: of the state after it, so that replicas can compare; nil: not worth it now.
    case chosen(entry: UInt64, ValueID, digest: UInt64?)
    /// Asks for what was chosen from this entry on.
    case fetch(from: UInt64)
    case entries(first: UInt64, [Value])
    case snapshot(ObjectSnapshot)
    /// Asks where the object stands.
    case query(Attempt)
    case status(Attempt, ObjectStatus)
    /// The sender has lost its votes, and asks that none of them counts any more. About no object, as
    /// are the following.
    case renounce
    /// What the receiver said before this life of it counts for nothing here, from now on.
    case renounced(life: UInt64)
    /// Asks for the names of all objects, from a place on in the order in which they were met.
    case list(Attempt, from: UInt64)
    /// Some of `count` names. The order is that of one incarnation of the sender.
    case names(Attempt, of: UInt64, from: UInt64, [ObjectID], count: UInt64)
  }
}

/// One attempt at asking; an answer to an earlier one counts for nothing.
public struct Attempt: Sendable, Hashable {
  public var proposer: Proposer
  public var number: UInt64

  public init(proposer: Proposer, number: UInt64) {
    self.proposer = proposer
    self.number = number
  }
}

/// Where an object stands at one replica.
public struct ObjectStatus: Sendable, Equatable {
  public var chosen: UInt64
  /// Whether anything was promised for the entry after it.
  public var hasPromised: Bool
  /// What was accepted for the entry after it.
  public var accepted: AcceptedID?
  /// The replica has not forgotten anything that matters.
  public var isVoting: Bool

  public struct AcceptedID: Sendable, Equatable {
    public var ballot: Ballot
    public var value: ValueID

    public init(ballot: Ballot, value: ValueID) {
      self.ballot = ballot
      self.value = value
    }
  }

  public init(chosen: UInt64, hasPromised: Bool, accepted: AcceptedID?, isVoting: Bool) {
    self.chosen = chosen
    self.hasPromised = hasPromised
    self.accepted = accepted
    self.isVoting = isVoting
  }
}
