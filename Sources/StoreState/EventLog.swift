/// The newest events of a group, the oldest first. Forgetting moves nothing, most of the time: what is
/// forgotten is dropped when there is enough of it.
struct EventLog: Sendable, Equatable {
  private var all: [StoreEvent] = []
  private var forgotten = 0

  init(_ events: [StoreEvent] = []) { all = events }

  /// Those that are kept.
  var kept: ArraySlice<StoreEvent> { all[forgotten...] }
  var count: Int { all.count - forgotten }

  mutating func append(_ event: StoreEvent) { all.append(event) }

  /// Forgets events up to a revision.
  mutating func forget(upTo revision: UInt64) {
    while forgotten < all.count, all[forgotten].revision <= revision { forgotten += 1 }
    guard forgotten > 512, forgotten > all.count / 2 else { return }
    all.removeFirst(forgotten)
    forgotten = 0
  }

  /// Those after a revision.
  func after(_ revision: UInt64) -> ArraySlice<StoreEvent> {
    var (low, high) = (forgotten, all.count)
    while low < high {
      let middle = (low + high) / 2
      if all[middle].revision <= revision { low = middle + 1 } else { high = middle }
    }
    return all[low...]
  }

  static func == (a: EventLog, b: EventLog) -> Bool { a.kept == b.kept }
}
