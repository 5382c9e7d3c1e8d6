/// How many slots each server is to be home of, and which move comes next: arithmetic alone, the
/// same for the same servers.
struct SlotPlan {
  /// A living server.
  struct Member: Equatable {
    var number: UInt8
    var slots: Int
    /// Its part of a full share; 0: it is to have none.
    var weight: Double
  }
  struct Move: Equatable {
    var from: UInt8
    var to: UInt8
    var slots: Int
  }

  /// As many slots as this part of a share too many do not set a rack in motion; but one that moves
  /// goes on until all is even, so that it does not stop and start at the edge.
  private static let tolerance = 0.05

  let members: [Member]
  /// By the order of the members; nil: nobody may have slots.
  let goals: [Int]?

  init(_ members: [Member]) {
    self.members = members
    let total = members.reduce(0) { $0 + $1.slots }
    let weights = members.reduce(0) { $0 + $1.weight }
    guard weights > 0 else {
      goals = nil
      return
    }
    let exact = members.map { Double(total) * $0.weight / weights }
    var goals = exact.map { Int($0) }
    // The largest remainders get what rounding has left; of equal ones, whoever has more slots now,
    // so that nothing moves without need.
    let order = members.indices.sorted { a, b in
      let (left, right) = (exact[a] - exact[a].rounded(.down), exact[b] - exact[b].rounded(.down))
      if abs(left - right) > 1e-9 { return left > right }
      if members[a].slots != members[b].slots { return members[a].slots > members[b].slots }
      return members[a].number < members[b].number
    }
    let left = total - goals.reduce(0, +)
    for index in order.filter({ members[$0].weight > 0 }).prefix(left) { goals[index] += 1 }
    self.goals = goals
  }

  func goal(of server: UInt8) -> Int? {
    guard let index = members.firstIndex(where: { $0.number == server }) else { return nil }
    return goals?[index]
  }

  /// Whether enough slots are elsewhere than they should be.
  var isUneven: Bool {
    guard let goals else { return false }
    return zip(members, goals).contains { member, goal in
      let excess = member.slots - goal
      return member.weight == 0
        ? excess > 0 : Double(excess) > max(1, Self.tolerance * Double(goal))
    }
  }

  /// From whoever has most too many to whoever lacks most; `slotsMax` at once. nil: all is even.
  /// Servers that are to have none come first.
  func next(slotsMax: (UInt8) -> Int) -> Move? {
    guard let goals else { return nil }
    let rows = zip(members, goals).map { (member: $0, excess: $0.slots - $1) }
    let givers = rows.filter { $0.excess > 0 }
    let takers = rows.filter { $0.excess < 0 }
    guard
      let from = givers.max(by: { a, b in
        (a.member.weight == 0 ? 1 : 0, a.excess, b.member.number)
          < (b.member.weight == 0 ? 1 : 0, b.excess, a.member.number)
      }),
      let to = takers.min(by: {
        ($0.excess, $0.member.number) < ($1.excess, $1.member.number)
      })
    else { return nil }
    let count = min(from.excess, -to.excess, max(1, slotsMax(from.member.number)))
    return Move(from: from.member.number, to: to.member.number, slots: count)
  }
}
