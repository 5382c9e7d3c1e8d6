public import StoreState

/// A session with one group: each of its commands is done once, however often it has to be asked for,
/// at whatever node, over whatever connection. Commands may be under way at the same time, as many as
/// `SessionTable.resultsMax`; they are done in any order then.
///
/// The group remembers the session, not the node. It forgets the one that was used the longest ago when
/// there are too many (docs/store.md, "State machine"); then, and if an outcome could not be found out
/// in time, the session is over: that is an error, never a second execution.
public actor StoreSession {
  public nonisolated let group: String
  /// Its number in the group.
  public nonisolated let number: UInt64
  private let client: StoreClient
  private let patience: Duration
  private var next: UInt64 = 1
  private var outstanding: Set<UInt64> = []
  private var isOver = false

  private init(_ client: StoreClient, _ group: String, _ number: UInt64, _ patience: Duration) {
    self.client = client
    self.group = group
    self.number = number
    self.patience = patience
  }

  /// Opens a session. `patience`: a command whose answer does not come is asked for again for so long.
  /// An opening whose answer is lost is begun anew: a session that nobody uses does no harm.
  public static func open(
    _ client: StoreClient, group: String, patience: Duration = .seconds(30)
  ) async throws(StoreClientError) -> StoreSession {
    let deadline = ContinuousClock.now + patience
    while true {
      do throws(StoreClientError) {
        let change = try await client.propose(Command(.openSession), group: group)
        guard case .session(let number) = change.response else { throw .unexpectedReply }
        return StoreSession(client, group, number, patience)
      } catch {
        guard Self.isPassing(error), ContinuousClock.now < deadline else { throw error }
        try? await Task.sleep(for: .milliseconds(20))
      }
    }
  }

  /// Has a command done once.
  /// - Throws: `.store(.sessionLost)` if the session is over: whether the command was done is not known,
  ///   nor will be; `.outcomeUnknown` if that could not be found out in time, which ends the session as
  ///   well. Other errors say that it was not done.
  public func propose(
    _ action: Command.Action
  ) async throws(StoreClientError) -> StoreClient.Change {
    guard !isOver else { throw .store(.sessionLost) }
    guard outstanding.count < SessionTable.resultsMax else {
      throw .store(.tooManyOutstanding(limit: SessionTable.resultsMax))
    }
    let sequence = next
    next += 1
    outstanding.insert(sequence)
    defer { outstanding.remove(sequence) }
    let deadline = ContinuousClock.now + patience
    var mayBeDone = false
    while true {
      // What is below the oldest that is under way has its answer.
      let finished = outstanding.min() ?? sequence
      let stamp = SessionStamp(session: number, sequence: sequence, finished: finished)
      do throws(StoreClientError) {
        return try await client.propose(Command(action, stamp: stamp), group: group)
      } catch {
        if error == .store(.sessionLost) { isOver = true }
        if error == .outcomeUnknown { mayBeDone = true }
        guard Self.isPassing(error) else { throw error }
        guard ContinuousClock.now < deadline, !Task.isCancelled else {
          guard mayBeDone else { throw error }
          isOver = true
          throw .outcomeUnknown
        }
        try? await Task.sleep(for: .milliseconds(20))
      }
    }
  }

  /// Ends the session; the group forgets it.
  public func close() async {
    guard !isOver else { return }
    isOver = true
    _ = try? await client.propose(Command(.closeSession(number)), group: group)
  }

  /// Whether it makes sense to ask again.
  private static func isPassing(_ error: StoreClientError) -> Bool {
    switch error {
    case .unreachable, .outcomeUnknown, .unavailable, .overloaded: true
    default: false
    }
  }
}
