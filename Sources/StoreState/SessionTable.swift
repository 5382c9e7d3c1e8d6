/// The sessions of one group, part of its replicated state: a result is kept with the effect it
/// belongs to, in the same entry, in the same snapshot.
///
/// Everything here depends on the log alone, never on time: all replicas evict the same session at
/// the same entry.
public struct SessionTable: Sendable, Equatable {
  struct Session: Sendable, Equatable {
    var id: UInt64
    /// The entry that used it last.
    var lastUsed: UInt64
    /// Sequences below are finished.
    var finished: UInt64 = 1
    /// In the order of their sequences.
    var results: [Result] = []
  }

  struct Result: Sendable, Equatable {
    var sequence: UInt64
    var response: Response
  }

  /// Sessions of one group; one more evicts the one that was used the longest ago.
  public static let sessionsMax = 64
  /// Results of one session that its client has not acknowledged.
  public static let resultsMax = 64

  /// In the order in which they were opened, so by number as well.
  var sessions: [Session] = []
  var opened: UInt64 = 0

  /// Sessions that are open.
  public var count: Int { sessions.count }

  enum Standing: Equatable {
    case unseen
    case known(Response)
    case refused(StoreError)
  }

  /// What is to be done with a stamped command.
  mutating func admit(_ stamp: SessionStamp, entry: UInt64) -> Standing {
    guard let place = place(of: stamp.session) else { return .refused(.sessionLost) }
    sessions[place].lastUsed = entry
    sessions[place].finished = max(sessions[place].finished, stamp.finished)
    let finished = sessions[place].finished
    sessions[place].results.removeAll { $0.sequence < finished }
    guard stamp.sequence >= finished else { return .refused(.sequenceFinished) }
    if let result = sessions[place].results.first(where: { $0.sequence == stamp.sequence }) {
      return .known(result.response)
    }
    guard sessions[place].results.count < Self.resultsMax else {
      return .refused(.tooManyOutstanding(limit: Self.resultsMax))
    }
    return .unseen
  }

  mutating func remember(_ response: Response, of stamp: SessionStamp) {
    guard let place = place(of: stamp.session) else { return }
    let after = sessions[place].results.firstIndex { $0.sequence > stamp.sequence }
    sessions[place].results.insert(
      Result(sequence: stamp.sequence, response: response),
      at: after ?? sessions[place].results.count)
  }

  /// Opens a session; evicts another if there are too many.
  mutating func open(entry: UInt64, limit: Int) -> UInt64 {
    if sessions.count >= limit {
      var oldest = 0
      for place in sessions.indices where sessions[place].lastUsed < sessions[oldest].lastUsed {
        oldest = place
      }
      sessions.remove(at: oldest)
    }
    opened += 1
    sessions.append(Session(id: opened, lastUsed: entry))
    return opened
  }

  mutating func close(_ session: UInt64) {
    if let place = place(of: session) { sessions.remove(at: place) }
  }

  private func place(of session: UInt64) -> Int? {
    var (low, high) = (0, sessions.count)
    while low < high {
      let middle = (low + high) / 2
      if sessions[middle].id < session { low = middle + 1 } else { high = middle }
    }
    return low < sessions.count && sessions[low].id == session ? low : nil
  }

  func digest(into hash: inout StateDigest) {
    hash.mix(opened)
    for session in sessions {
      hash.mix(session.id)
      hash.mix(session.lastUsed)
      hash.mix(session.finished)
      for result in session.results {
        hash.mix(result.sequence)
        hash.mix(result.response)
      }
    }
  }
}
