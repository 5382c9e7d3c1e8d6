internal import Synchronization
public import Workload

/// A change of popularity that a load has made. Times are of `MonotonicClock`, in nanoseconds.
public struct LoadChange: Sendable, Hashable, Encodable {
  /// As in "hot-in 100".
  public var change: String
  /// When the load began, warm-up included: time 0 of its schedule.
  public var start: UInt64
  /// When the first operation of the new popularity was due.
  public var firstDue: UInt64
  /// When that operation was made; its datagram leaves after that, with the batch that it is in.
  public var firstSent: UInt64

  /// `firstDue`, in seconds since the load began.
  public var secondsDue: Double { Double(firstDue - start) / 1e9 }

  enum CodingKeys: String, CodingKey {
    case change
    case due = "first_due_s"
    case sent = "first_sent_s"
  }

  /// Times are in seconds since the load began.
  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: CodingKeys.self)
    try fields.encode(change, forKey: .change)
    try fields.encode(secondsDue, forKey: .due)
    try fields.encode(Double(firstSent - start) / 1e9, forKey: .sent)
  }
}

/// Changes of popularity in a running load: any thread asks for them, or sees which were made.
public final class LoadChanges: Sendable {
  private struct State {
    var requested: [PopularityChange] = []
    var made: [LoadChange] = []
  }

  private let state = Mutex(State())
  /// Spares the load the lock with every operation.
  private let isRequested = Atomic(false)

  public init() {}

  /// Asks for a change before the next operation. The precondition is that the load's keys can make
  /// it (`PopularityChange.isPossible`).
  public func request(_ change: PopularityChange) {
    state.withLock { $0.requested.append(change) }
    isRequested.store(true, ordering: .releasing)
  }

  /// The changes made so far, in their order: those asked for here and those of the schedule.
  public var all: [LoadChange] { state.withLock { $0.made } }

  var hasRequests: Bool { isRequested.load(ordering: .acquiring) }

  func takeRequests() -> [PopularityChange] {
    // Before they are taken: a request that comes in between is seen the next time.
    isRequested.store(false, ordering: .releasing)
    return state.withLock { state in
      defer { state.requested = [] }
      return state.requested
    }
  }

  func made(_ change: LoadChange) { state.withLock { $0.made.append(change) } }
}
