/// Decides registers whose values are each written once, without searching.
///
/// After P. Gibbons and E. Korach ("Testing shared memories", 1997): a value's *zone* lies between
/// the first return and the last invocation of its write and reads. If the return comes first, the
/// register has the value all the time between (a *forward* zone); otherwise there is a moment that
/// lies in all of these operations, and they fit any such moment (a *backward* zone). The history
/// is linearizable exactly if no two forward zones overlap and none has a backward zone inside.
///
/// A value that is written more than once has no zone, nor has absence where there are deletes; but
/// none of its writes can lie inside a forward zone of another value either. That is no longer the
/// whole truth, only a part of it: what contradicts itself then is not linearizable.
enum ValueZones {
  enum Result {
    case linearizable
    /// These operations (places in the register's) contradict each other.
    case contradiction([Int])
    case unknown
  }

  private struct Zone {
    var write: Int?
    /// The operation that returns first, and the one that is invoked last.
    var first: Int
    var last: Int
    var firstReturn: Int64
    var lastInvocation: Int64

    var isForward: Bool { firstReturn < lastInvocation }

    init(of operation: RegisterHistory.Operation, _ place: Int, isWrite: Bool) {
      (write, first, last) = (isWrite ? place : nil, place, place)
      (firstReturn, lastInvocation) = (operation.returned, operation.invoked)
    }

    mutating func add(_ operation: RegisterHistory.Operation, _ place: Int) {
      // Rather a read than its write, which may have no return of its own.
      if operation.returned <= firstReturn { (first, firstReturn) = (place, operation.returned) }
      if operation.invoked > lastInvocation { (last, lastInvocation) = (place, operation.invoked) }
    }

    /// Operations that make it what it is.
    var operations: [Int] { [write, first, last].compactMap { $0 } }
  }

  static func decide(_ register: RegisterHistory) -> Result {
    guard !register.hasConditions else { return .unknown }
    let operations = register.operations
    var zones = [Zone?](repeating: nil, count: register.reads.count)
    var others: [Zone] = []
    for (place, operation) in operations.enumerated() where operation.isWrite {
      let zone = Zone(of: operation, place, isWrite: true)
      if operation.value != 0, register.isWrittenOnce(operation.value) {
        zones[operation.value] = zone
      } else {
        others.append(zone)
      }
    }
    for (place, operation) in operations.enumerated() where !operation.isWrite {
      let value = operation.value
      if zones[value] != nil {
        if let write = zones[value]?.write, operation.returned < operations[write].invoked {
          return .contradiction([write, place])
        }
        zones[value]?.add(operation, place)
      } else if value == 0, register.isWrittenOnce(0) {
        // Absent from the beginning on.
        zones[0] = Zone(of: operation, place, isWrite: false)
        zones[0]?.firstReturn = .min
      } else if register.writes[value] == 0 {
        return .contradiction([place])
      }
    }
    if let contradiction = contradiction(between: zones.compactMap { $0 } + others) {
      return .contradiction(contradiction)
    }
    // Deletes are all alike, and each by itself, if nobody finds the register absent.
    let isWhole =
      register.optionalWrites.isEmpty
      && register.writes.dropFirst().allSatisfy { $0 <= 1 }
      && (register.writes[0] == 0 || register.reads[0] == 0)
    return isWhole ? .linearizable : .unknown
  }

  private static func contradiction(between zones: [Zone]) -> [Int]? {
    let forward = zones.filter(\.isForward).sorted { $0.firstReturn < $1.firstReturn }
    for (zone, next) in zip(forward, forward.dropFirst())
    where next.firstReturn < zone.lastInvocation {
      return zone.operations + next.operations
    }
    // None overlaps another, so the last that begins before is the only one that can be around.
    for zone in zones where !zone.isForward {
      var (low, high) = (0, forward.count)
      while low < high {
        let middle = (low + high) / 2
        if forward[middle].firstReturn < zone.lastInvocation {
          low = middle + 1
        } else {
          high = middle
        }
      }
      if low > 0, zone.firstReturn < forward[low - 1].lastInvocation {
        return zone.operations + forward[low - 1].operations
      }
    }
    return nil
  }
}
