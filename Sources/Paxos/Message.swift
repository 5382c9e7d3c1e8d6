/// What replicas tell each other about one object. Every message may be lost, repeated or late.
public struct Message: Sendable, Equatable {
  public var object: ObjectID
  public var body: Body

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
