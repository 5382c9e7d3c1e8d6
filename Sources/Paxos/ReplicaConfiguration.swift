public import StoreState

/// What a replica has to know. Times in nanoseconds.
public struct ReplicaConfiguration: Sendable {
  public var cell: Cell
  /// This replica; a member of the cell.
  public var node: NodeID
  public var limits = GroupLimits()
  /// Unanswered messages are sent again after this.
  public var resend: UInt64 = 20_000_000
  /// Between attempts at an entry that others want too, at first; doubled with every failure, with
  /// jitter.
  public var backoff: UInt64 = 2_000_000
  public var backoffMax: UInt64 = 100_000_000
  /// A read waits so long for somebody else's round before it runs its own.
  public var readPatience: UInt64 = 5_000_000
  /// A request whose outcome is not known after this is answered `unknown`.
  public var patience: UInt64 = 2_000_000_000
  /// Commands in one value.
  public var batchMax = 64
  /// Values kept for those who lag; further back they get a snapshot.
  public var suffixMax = 16
  /// Between two announcements of what this replica has, to all others.
  public var announceInterval: UInt64 = 100_000_000
  /// Objects announced at one time.
  public var announceBatch = 1
  /// Objects that a replica which has lost its votes begins to recover in one such interval.
  public var recoverBatch = 256
  public var faults: PaxosFaults = []

  public init(cell: Cell, node: NodeID) {
    self.cell = cell
    self.node = node
  }
}

/// Rules that are broken on purpose, to see that tests notice.
public struct PaxosFaults: OptionSet, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The right to the next entry goes with the ballot that was chosen, not with the value.
  public static let fastByChosenBallot = PaxosFaults(rawValue: 1 << 0)
  /// A node keeps the right to the next entry when it starts again.
  public static let fastByNode = PaxosFaults(rawValue: 1 << 1)
  /// A proposer forgets that it has used round 0 for another value.
  public static let fastTwice = PaxosFaults(rawValue: 1 << 2)
  /// A replica that has lost its disk votes at once.
  public static let amnesiaIgnored = PaxosFaults(rawValue: 1 << 3)
  /// ... votes at the entry after the highest it has heard of.
  public static let voteAtFloor = PaxosFaults(rawValue: 1 << 4)
  /// An acceptor that is ahead promises, and does not say what was chosen.
  public static let promiseWithoutPrefix = PaxosFaults(rawValue: 1 << 5)
  /// Answers leave before the vote is durable.
  public static let answerBeforeSync = PaxosFaults(rawValue: 1 << 6)
  /// Promises are not written.
  public static let promiseNotLogged = PaxosFaults(rawValue: 1 << 7)
  /// A vote is given below a promise.
  public static let promiseIgnored = PaxosFaults(rawValue: 1 << 8)
  /// A proposer proposes its own value whatever was accepted before.
  public static let acceptedIgnored = PaxosFaults(rawValue: 1 << 9)
  /// A proposer adopts the first vote it hears of, not that of the highest ballot.
  public static let firstVoteAdopted = PaxosFaults(rawValue: 1 << 10)
  /// One vote less than a quorum chooses.
  public static let quorumOneShort = PaxosFaults(rawValue: 1 << 11)
  /// A read takes no notice of what was accepted and perhaps chosen.
  public static let readIgnoresVotes = PaxosFaults(rawValue: 1 << 12)
  /// A read does not ask anybody.
  public static let readAsksNobody = PaxosFaults(rawValue: 1 << 13)
  /// Answers to an earlier question count for the present one.
  public static let readReusesAttempt = PaxosFaults(rawValue: 1 << 14)
  /// Requests whose value was overtaken by a snapshot are proposed again.
  public static let overtakenProposedAgain = PaxosFaults(rawValue: 1 << 15)
  /// A snapshot for another replica holds no sessions.
  public static let snapshotWithoutSessions = PaxosFaults(rawValue: 1 << 16)
  /// A read is answered when its entry is chosen, whoever's round it was.
  public static let anyRoundServesRead = PaxosFaults(rawValue: 1 << 17)
  /// A replica that doubts its disk counts in another's recovery.
  public static let doubtfulAnswerCounts = PaxosFaults(rawValue: 1 << 18)
  /// A lease is ended by the clock of one replica, whether it was renewed or not.
  public static let expiryByClockAlone = PaxosFaults(rawValue: 1 << 19)
  /// Answers that a replica gave before it lost its votes still count.
  public static let livesIgnored = PaxosFaults(rawValue: 1 << 20)
  /// A replica that has lost its votes takes objects that it does not know of for new.
  public static let unlistedAreNew = PaxosFaults(rawValue: 1 << 21)
  /// A snapshot of a replica has objects as they are when their turn comes.
  public static let snapshotInMotion = PaxosFaults(rawValue: 1 << 22)
}
