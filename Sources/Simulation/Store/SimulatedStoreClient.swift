internal import Paxos
internal import StoreState

/// What a client of the simulated store asks for.
enum StoreRequest {
  /// `isStamped`: part of the client's session, so that it may be sent again.
  case command(Command.Action, isStamped: Bool)
  case query(Query, ReadMode)
}

/// A client: one request at a time, asked of one replica after the other until it is answered.
struct SimulatedStoreClient {
  let number: Int
  /// The replica it asks first.
  var node: Int
  var clock: SimulatedClock
  var sessions: [ObjectID: UInt64] = [:]
  var sequences: [ObjectID: UInt64] = [:]
  var pending: Pending?
  var requests = 0
  /// By object: the lease it holds, and until when it may believe so, on its clock.
  var leases: [ObjectID: (id: UInt64, until: UInt64)] = [:]
  /// By object: the newest revision whose events it has seen.
  var watched: [ObjectID: UInt64] = [:]
  /// What it reads once more at the end.
  var finalReads: [ObjectID] = []

  struct Pending {
    /// Of this client; an answer to an earlier one counts for nothing.
    var number: Int
    var object: ObjectID
    var request: StoreRequest
    var stamp: SessionStamp?
    /// For the history.
    var invoked: Int64
    var invokedAt: UInt64
    /// On the client's clock.
    var sentAt: UInt64
    /// What any client had been told of the object when it began.
    var toldEntry: UInt64
    var attempts = 0
  }

  /// What is sent to a replica.
  func command(_ pending: Pending) -> Command? {
    guard case .command(let action, _) = pending.request else { return nil }
    return Command(action, stamp: pending.stamp)
  }
}
