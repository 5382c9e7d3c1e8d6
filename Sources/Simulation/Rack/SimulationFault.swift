internal import ControllerCore
internal import Directory
internal import ServerCore

/// A deliberate fault of the protocol, by name: the simulator has to find each of them, or it is
/// not good enough.
public enum SimulationFault: String, Sendable, CaseIterable {
  case readRepliesIgnored = "read-replies-ignored"
  case retryAnywhere = "retry-anywhere"
  case errorsMove = "errors-move"
  case sinceIgnored = "since-ignored"
  case generationBeforeEntry = "generation-before-entry"
  case onlyHomeFenced = "only-home-fenced"
  case noSessionSync = "no-session-sync"
  case plainTargetChange = "plain-target-change"
  case noSecondGeneration = "no-second-generation"
  case hotBeforeSync = "hot-before-sync"
  case replayIsHolder = "replay-is-holder"
  case requestGeneration = "request-generation"
  case noSession = "no-session"
  case lastArrivalKept = "last-arrival-kept"
  case fenceIgnored = "fence-ignored"
  case knownGenerationIgnored = "known-generation-ignored"
  case copyKeepsGeneration = "copy-keeps-generation"
  case floorNotRaised = "floor-not-raised"
  case lateFloorObeyed = "late-floor-obeyed"
  case incarnationIgnored = "incarnation-ignored"
  case flaggedPasses = "flagged-passes"
  case joinsAtOnce = "joins-at-once"
  case graceSkipped = "grace-skipped"
  case generationLate = "generation-late"
  case adoptionKeepsGeneration = "adoption-keeps-generation"
  case adoptionForgetsUnfinished = "adoption-forgets-unfinished"
  case adoptionAssumesTargets = "adoption-assumes-targets"
  case adoptionSkipsGrace = "adoption-skips-grace"
  case adoptionForgetsLoss = "adoption-forgets-loss"
  case adoptionForgetsMove = "adoption-forgets-move"
  case unrecordedPasses = "unrecorded-passes"
  case copyRestamped = "copy-restamped"
  case replayRestamped = "replay-restamped"
  case oneBase = "one-base"
  case tornWord = "torn-word"
  case notFrozen = "not-frozen"
  case writeReplyGeneration = "write-reply-generation"
  case lossIgnored = "loss-ignored"
  case evictionIgnored = "eviction-ignored"
  case leftoversKept = "leftovers-kept"
  case returningBelieved = "returning-believed"
  case absenceIsOldest = "absence-is-oldest"
  case lostKeyPromoted = "lost-key-promoted"
  case rebootForgets = "reboot-forgets"
  case rebootDoesNotFence = "reboot-does-not-fence"
  case learnsBeforeAdmitting = "learns-before-admitting"
  case homeLeftBehind = "home-left-behind"
  case withoutSessions = "without-sessions"
  case restBelieved = "rest-believed"
  case answersUnsynced = "answers-unsynced"
  case stallUnnoticed = "stall-unnoticed"
  case damageUnnoticed = "damage-unnoticed"
  case adoptionForgetsAway = "adoption-forgets-away"
  case hotFirst = "hot-first"
  case sinceFirst = "since-first"
  case slotFenceIgnored = "slot-fence-ignored"
  case slotsNotFrozen = "slots-not-frozen"
  case slotTombstonesStay = "slot-tombstones-stay"
  case slotSessionsStay = "slot-sessions-stay"
  case slotChangesMissed = "slot-changes-missed"
  case slotLeftoversKept = "slot-leftovers-kept"
  case oldHomeAnswers = "old-home-answers"
  case mirrorNotAwaited = "mirror-not-awaited"
  case unconfirmedShown = "unconfirmed-shown"
  case mirrorForgetsSession = "mirror-forgets-session"
  case syncToHomeOnly = "sync-to-home-only"
  case backupBelievedEmpty = "backup-believed-empty"
  case homeAnswersAlone = "home-answers-alone"

  /// What is left out or done wrong.
  public var summary: String {
    switch self {
    case .readRepliesIgnored: "a read reply does not move the directory"
    case .retryAnywhere: "a hot write's retry goes to another server"
    case .errorsMove: "an error reply moves the directory like a result"
    case .sinceIgnored: "replies from before the promotion move the directory"
    case .generationBeforeEntry: "the generation is published before the entry"
    case .onlyHomeFenced: "only the home server is fenced"
    case .noSessionSync: "SYNC carries no session entries"
    case .plainTargetChange: "write targets change without a transition"
    case .noSecondGeneration: "the generation does not rise at the end of a transition"
    case .hotBeforeSync: "an entry becomes hot before SYNC is acknowledged"
    case .replayIsHolder: "a replayed result counts its server as a holder"
    case .requestGeneration: "a reply's generation is taken from its request alone"
    case .noSession: "a server does not remember what it has executed"
    case .lastArrivalKept: "the write that arrives last is kept, whatever its version"
    case .fenceIgnored: "writes and copies from before the fence are taken"
    case .knownGenerationIgnored: "an unseen write is taken whatever generation its sender knew"
    case .copyKeepsGeneration: "an ordered copy carries its value's generation, not the order's"
    case .floorNotRaised: "a server forgets without raising its floor first"
    case .incarnationIgnored: "a server takes what was meant for an earlier start of it"
    case .flaggedPasses: "a replayed result passes before its version is completed"
    case .joinsAtOnce: "a returned server counts as alive without a grace period"
    case .graceSkipped: "what is freed is used again while packets under way may still know it"
    case .generationLate: "a request's generation is read after its entry"
    case .rebootForgets: "after a reboot of the directory, what was hot is not brought home"
    case .rebootDoesNotFence: "servers go on serving what an earlier directory has stamped"
    case .learnsBeforeAdmitting: "the same, until the new directory has learned what there is"
    case .homeLeftBehind: "after a reboot the home servers do not get newer values of others"
    case .withoutSessions: "after a reboot the home servers do not hear of others' sessions"
    case .restBelieved: "after a reboot nothing counts as lost with a server that is missing"
    case .mirrorNotAwaited: "a write is answered before a second server has it"
    case .unconfirmedShown: "reads are shown what perhaps no other server has"
    case .mirrorForgetsSession: "the second server of a write does not remember its result"
    case .backupBelievedEmpty: "a new backup is believed to have everything at once"
    case .homeAnswersAlone: "slots have a new backup or home, and the home until then is not told"
    case .syncToHomeOnly: "transitions bring the newest value to one server only"
    case .adoptionKeepsGeneration: "a controller takes over without raising the generation"
    case .adoptionForgetsUnfinished: "transitions under way are not taken over"
    case .adoptionAssumesTargets: "who takes over does not look which write targets are in use"
    case .adoptionSkipsGrace: "who takes over uses at once what was freed before"
    case .adoptionForgetsLoss: "losses of servers are not taken over"
    case .hotFirst: "an entry's mode says hot before what goes with it is there"
    case .sinceFirst: "older replies stop to count before the word says what they could"
    case .damageUnnoticed: "what a durable server cannot read of its disk was never there"
    case .adoptionForgetsAway: "servers that are waited for are not taken over"
    case .answersUnsynced: "a durable server answers before its changes are on the disk"
    case .stallUnnoticed: "a durable server answers although its disk had no room for its changes"
    case .adoptionForgetsMove: "moves of slots are not taken over"
    case .lateFloorObeyed: "a FLOOR that is not the newest makes a server forget"
    case .unrecordedPasses: "a reply that could not be recorded passes"
    case .copyRestamped: "a copy between servers gets a version of its own"
    case .replayRestamped: "a replayed result has the version of the retry"
    case .oneBase: "a rebase overwrites the base that the word uses"
    case .tornWord: "the state word is written by two plain stores"
    case .notFrozen: "writes go on while an entry is adding or removing"
    case .writeReplyGeneration: "only replies to writes carry the key's fence"
    case .lossIgnored: "unseen writes from before a loss are taken"
    case .evictionIgnored: "unseen writes of evicted clients are taken"
    case .leftoversKept: "a slot that is given after a loss keeps what is left over there"
    case .returningBelieved: "a server that has started again is believed to hold what it held"
    case .absenceIsOldest: "an absent key is promoted with the oldest version, not a fresh one"
    case .lostKeyPromoted: "a key whose value was lost is promoted as if it had none"
    case .slotFenceIgnored: "the homes of a moved slot take writes from before the move"
    case .slotsNotFrozen: "writes of a slot that moves are not frozen"
    case .slotTombstonesStay: "tombstones stay behind when a slot moves"
    case .slotSessionsStay: "session entries stay behind when a slot moves"
    case .slotChangesMissed: "what is written while a slot is copied is not copied again"
    case .slotLeftoversKept: "what the new home of a slot has left over passes for data"
    case .oldHomeAnswers: "the old home of a moved slot takes it for its own"
    }
  }
}

/// The faults of all parts of a rack.
struct SimulationFaults: Sendable {
  var directory: DirectoryFaults = []
  var server: ServerFaults = []
  var controller: ControllerFaults = []
  /// Grace periods end at once, whatever is under way.
  var isGraceSkipped = false
  /// Durable servers answer before their changes are on the disk.
  var answersUnsynced = false
  var stallUnnoticed = false
  /// They take what they cannot read for what was never there.
  var damageUnnoticed = false

  init(_ faults: some Sequence<SimulationFault>) {
    for fault in faults { insert(fault) }
  }

  private mutating func insert(_ fault: SimulationFault) {
    switch fault {
    case .readRepliesIgnored: directory.insert(.readRepliesIgnored)
    case .retryAnywhere: directory.insert(.retryAnywhere)
    case .errorsMove: directory.insert(.errorsMove)
    case .sinceIgnored: directory.insert(.sinceIgnored)
    case .generationBeforeEntry: controller.insert(.generationBeforeEntry)
    case .onlyHomeFenced: controller.insert(.onlyHomeFenced)
    case .noSessionSync: controller.insert(.noSessionSync)
    case .plainTargetChange: controller.insert(.plainTargetChange)
    case .noSecondGeneration: controller.insert(.noSecondGeneration)
    case .hotBeforeSync: controller.insert(.hotBeforeSync)
    case .replayIsHolder: server.insert(.replayedResultIsHolder)
    case .requestGeneration: server.insert(.replyGenerationFromRequest)
    case .noSession: server.insert(.noSession)
    case .lastArrivalKept: server.insert(.lastArrivalKept)
    case .fenceIgnored: server.insert(.fenceIgnored)
    case .knownGenerationIgnored: server.insert(.knownGenerationIgnored)
    case .copyKeepsGeneration: server.insert(.copyCarriesOldGeneration)
    case .floorNotRaised: server.insert(.floorNotRaised)
    case .incarnationIgnored: server.insert(.incarnationIgnored)
    case .flaggedPasses: directory.insert(.flaggedPasses)
    case .joinsAtOnce: controller.insert(.joinsAtOnce)
    case .graceSkipped: isGraceSkipped = true
    case .generationLate: directory.insert(.generationLate)
    case .rebootForgets: controller.insert(.rebootForgets)
    case .rebootDoesNotFence: server.insert(.epochIgnored)
    case .learnsBeforeAdmitting: server.insert(.admittedLate)
    case .homeLeftBehind: controller.insert(.homeLeftBehind)
    case .withoutSessions: controller.insert(.rebootWithoutSessions)
    case .restBelieved: controller.insert(.rebootBelievesTheRest)
    case .mirrorNotAwaited: server.insert(.mirrorNotAwaited)
    case .unconfirmedShown: server.insert(.unconfirmedShown)
    case .mirrorForgetsSession: server.insert(.mirrorForgetsSession)
    case .syncToHomeOnly: controller.insert(.syncToHomeOnly)
    case .backupBelievedEmpty: controller.insert(.backupBelievedEmpty)
    case .homeAnswersAlone: controller.insert(.homeAnswersAlone)
    case .adoptionKeepsGeneration: controller.insert(.adoptionKeepsGeneration)
    case .adoptionForgetsUnfinished: controller.insert(.adoptionForgetsUnfinished)
    case .adoptionAssumesTargets: controller.insert(.adoptionAssumesTargets)
    case .adoptionSkipsGrace: controller.insert(.adoptionSkipsGrace)
    case .adoptionForgetsLoss: controller.insert(.adoptionForgetsLoss)
    case .answersUnsynced: answersUnsynced = true
    case .stallUnnoticed: stallUnnoticed = true
    case .hotFirst: directory.insert(.hotFirst)
    case .sinceFirst: directory.insert(.sinceFirst)
    case .damageUnnoticed: damageUnnoticed = true
    case .adoptionForgetsAway: controller.insert(.adoptionForgetsAway)
    case .adoptionForgetsMove: controller.insert(.adoptionForgetsMove)
    case .lateFloorObeyed: server.insert(.lateFloorObeyed)
    case .unrecordedPasses: directory.insert(.unrecordedPasses)
    case .copyRestamped: directory.insert(.copyRestamped)
    case .replayRestamped: server.insert(.replayRestamped)
    case .oneBase: directory.insert(.oneBase)
    case .tornWord: directory.insert(.tornWord)
    case .notFrozen: directory.insert(.notFrozen)
    case .writeReplyGeneration: server.insert(.fenceInWriteRepliesOnly)
    case .lossIgnored: server.insert(.lossIgnored)
    case .evictionIgnored: server.insert(.evictionIgnored)
    case .leftoversKept: server.insert(.leftoversKept)
    case .returningBelieved: controller.insert(.returningServerBelieved)
    case .absenceIsOldest: controller.insert(.absenceIsOldest)
    case .lostKeyPromoted: controller.insert(.lostKeyPromoted)
    case .slotFenceIgnored: server.insert(.slotFenceIgnored)
    case .slotsNotFrozen: controller.insert(.slotsNotFrozen)
    case .slotTombstonesStay: server.insert(.slotTombstonesStay)
    case .slotSessionsStay: server.insert(.slotSessionsStay)
    case .slotChangesMissed: server.insert(.slotChangesMissed)
    case .slotLeftoversKept: server.insert(.slotLeftoversKept)
    case .oldHomeAnswers: server.insert(.oldHomeAnswers)
    }
  }
}
