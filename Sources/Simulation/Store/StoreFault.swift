internal import Paxos

/// Ways to break the Paxos store on purpose. A simulation that does not notice one is not good
/// enough.
public enum StoreFault: String, Sendable, CaseIterable {
  case fastByChosenBallot = "fast-by-chosen-ballot"
  case fastByNode = "fast-by-node"
  case fastTwice = "fast-twice"
  case amnesiaIgnored = "amnesia-ignored"
  case voteAtFloor = "vote-at-floor"
  case doubtfulAnswerCounts = "doubtful-answer-counts"
  case livesIgnored = "lives-ignored"
  case unlistedAreNew = "unlisted-are-new"
  case damageTakenForTear = "damage-taken-for-tear"
  case promiseWithoutPrefix = "promise-without-prefix"
  case answerBeforeSync = "answer-before-sync"
  case promiseNotLogged = "promise-not-logged"
  case promiseIgnored = "promise-ignored"
  case acceptedIgnored = "accepted-ignored"
  case firstVoteAdopted = "first-vote-adopted"
  case quorumOneShort = "quorum-one-short"
  case readIgnoresVotes = "read-ignores-votes"
  case readAsksNobody = "read-asks-nobody"
  case readReusesAttempt = "read-reuses-attempt"
  case anyRoundServesRead = "any-round-serves-read"
  case overtakenProposedAgain = "overtaken-proposed-again"
  case noSessions = "no-sessions"
  case sessionsInMemory = "sessions-in-memory"
  case snapshotWithoutSessions = "snapshot-without-sessions"
  case snapshotInMotion = "snapshot-in-motion"
  case appliedApart = "applied-apart"
  case expiryByClockAlone = "expiry-by-clock-alone"

  /// What is wrong, in one line.
  public var summary: String {
    switch self {
    case .fastByChosenBallot: "the right to skip phase 1 goes with the chosen ballot, not the value"
    case .fastByNode: "a node keeps the right to skip phase 1 when it starts again"
    case .fastTwice: "round 0 of an entry is used for two values"
    case .amnesiaIgnored: "a replica that has lost its disk votes at once"
    case .voteAtFloor: "a replica that has lost its disk votes on the entry after the highest known"
    case .doubtfulAnswerCounts: "a replica in doubt counts when reads and recoveries ask"
    case .livesIgnored: "answers that a replica gave before it lost its disk still count"
    case .unlistedAreNew: "a replica that has lost its disk takes objects it does not know for new"
    case .damageTakenForTear: "a damaged log is cut like a torn one, and the replica goes on voting"
    case .promiseWithoutPrefix: "an acceptor that is ahead promises without saying what was chosen"
    case .answerBeforeSync: "answers leave before the vote is durable"
    case .promiseNotLogged: "promises are not written"
    case .promiseIgnored: "a vote is given below a promise"
    case .acceptedIgnored: "a proposer proposes its own value whatever was accepted before"
    case .firstVoteAdopted: "a proposer adopts the first vote it hears of, not the highest"
    case .quorumOneShort: "one vote less than a quorum chooses"
    case .readIgnoresVotes: "a read takes no notice of votes that may have chosen"
    case .readAsksNobody: "a linearizable read is answered from the replica's own state"
    case .readReusesAttempt: "answers to an earlier question count for the present read"
    case .anyRoundServesRead: "a read that waits for a round is answered by anybody's"
    case .overtakenProposedAgain: "commands that a snapshot has overtaken are proposed again"
    case .noSessions: "a client's retry is a new command"
    case .sessionsInMemory: "sessions are lost when a replica starts again"
    case .snapshotWithoutSessions: "a snapshot for another replica holds no sessions"
    case .snapshotInMotion: "a snapshot of a replica has objects as they are when their turn comes"
    case .appliedApart: "state and applied entry are not written as one"
    case .expiryByClockAlone: "a lease is ended by one replica's clock, renewed or not"
    }
  }

  /// Those that a replica itself makes; the others are of disks and clients.
  var ofReplica: PaxosFaults {
    switch self {
    case .fastByChosenBallot: .fastByChosenBallot
    case .fastByNode: .fastByNode
    case .fastTwice: .fastTwice
    case .amnesiaIgnored: .amnesiaIgnored
    case .voteAtFloor: .voteAtFloor
    case .doubtfulAnswerCounts: .doubtfulAnswerCounts
    case .livesIgnored: .livesIgnored
    case .unlistedAreNew: .unlistedAreNew
    case .promiseWithoutPrefix: .promiseWithoutPrefix
    case .answerBeforeSync: .answerBeforeSync
    case .promiseNotLogged: .promiseNotLogged
    case .promiseIgnored: .promiseIgnored
    case .acceptedIgnored: .acceptedIgnored
    case .firstVoteAdopted: .firstVoteAdopted
    case .quorumOneShort: .quorumOneShort
    case .readIgnoresVotes: .readIgnoresVotes
    case .readAsksNobody: .readAsksNobody
    case .readReusesAttempt: .readReusesAttempt
    case .anyRoundServesRead: .anyRoundServesRead
    case .overtakenProposedAgain: .overtakenProposedAgain
    case .snapshotWithoutSessions: .snapshotWithoutSessions
    case .snapshotInMotion: .snapshotInMotion
    case .expiryByClockAlone: .expiryByClockAlone
    case .damageTakenForTear, .noSessions, .sessionsInMemory, .appliedApart: []
    }
  }
}
