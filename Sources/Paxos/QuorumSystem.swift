/// Which sets of members may promise (phase 1) and which may choose (phase 2). Safety needs one
/// thing: every phase 1 quorum meets every phase 2 quorum (H. Howard, D. Malkhi and
/// A. Spiegelman: Flexible Paxos, 2016).
public enum QuorumSystem: Sendable, Equatable {
  /// More than half of the members, in both phases.
  case majority
  /// A grid of zones (A. Ailijiang and others: WPaxos, 2017). Outlives the loss of
  /// `nodeFailures` members in each zone, and of `zoneFailures` zones as far as phase 2 goes.
  /// Phase 2 takes `nodeFailures + 1` members in each of `zoneFailures + 1` zones; phase 1 all but
  /// `nodeFailures` members in all but `zoneFailures` zones.
  case grid(nodeFailures: Int, zoneFailures: Int)
  /// Any sets; what contains one of them is a quorum as well.
  case sets(phase1: [[NodeID]], phase2: [[NodeID]])
}

/// Why a cell cannot be formed, and what to change.
public enum CellError: Error, Equatable, Sendable, CustomStringConvertible {
  case memberCount(Int)
  case duplicateMember(NodeID)
  case unknownMember(NodeID)
  case noQuorums(phase: Int)
  case emptyQuorum(phase: Int)
  /// These two have no member in common: two values could be chosen.
  case disjoint(phase1: [NodeID], phase2: [NodeID])
  case grid(zone: UInt16, members: Int, nodeFailures: Int)
  case gridZones(zones: Int, zoneFailures: Int)

  public var description: String {
    func list(_ nodes: [NodeID]) -> String {
      "{" + nodes.map { "\($0.rawValue)" }.joined(separator: ", ") + "}"
    }
    switch self {
    case .memberCount(let count):
      return "a cell has 1 to \(NodeSet.placesMax) members, not \(count)"
    case .duplicateMember(let node): return "node \(node.rawValue) is named twice; name it once"
    case .unknownMember(let node):
      return "a quorum names node \(node.rawValue), which is no member; add it or take it out"
    case .noQuorums(let phase): return "phase \(phase) has no quorums; name at least one"
    case .emptyQuorum(let phase): return "a quorum of phase \(phase) is empty; name its members"
    case .disjoint(let first, let second):
      return "phase 1 quorum \(list(first)) and phase 2 quorum \(list(second)) have no member in "
        + "common: two values could be chosen; every such pair needs one"
    case .grid(let zone, let members, let failures):
      return "zone \(zone) has \(members) members: it cannot do without \(failures); "
        + "nodeFailures must be 0 to \(members - 1)"
    case .gridZones(let zones, let failures):
      return "with \(zones) zones, zoneFailures must be 0 to \(zones - 1), not \(failures)"
    }
  }
}

/// A member of a cell.
public struct Member: Sendable, Hashable {
  public var node: NodeID
  /// Members that fail together, or are near to each other.
  public var zone: UInt16

  public init(_ node: NodeID, zone: UInt16 = 0) {
    self.node = node
    self.zone = zone
  }
}

/// The replicas that decide together, and their quorums, checked.
public struct Cell: Sendable, Equatable {
  /// In the order of their numbers.
  public let members: [Member]
  public let quorums: QuorumSystem
  private let rule: Rule
  private let everyone: NodeSet

  private enum Rule: Equatable {
    case count(phase1: Int, phase2: Int)
    /// `zones`: the members of each.
    case grid(zones: [NodeSet], nodeFailures: Int, zoneFailures: Int)
    case sets(phase1: [NodeSet], phase2: [NodeSet])
  }

  /// Throws if two quorums that have to meet do not.
  public init(_ members: [Member], _ quorums: QuorumSystem = .majority) throws(CellError) {
    let members = members.sorted { $0.node < $1.node }
    guard 1...NodeSet.placesMax ~= members.count else { throw .memberCount(members.count) }
    for (a, b) in zip(members, members.dropFirst()) where a.node == b.node {
      throw .duplicateMember(a.node)
    }
    self.members = members
    self.quorums = quorums
    everyone = NodeSet(first: members.count)
    switch quorums {
    case .majority:
      let majority = members.count / 2 + 1
      rule = .count(phase1: majority, phase2: majority)
    case .grid(let nodeFailures, let zoneFailures):
      rule = try Self.grid(members, nodeFailures, zoneFailures)
    case .sets(let phase1, let phase2): rule = try Self.sets(members, phase1, phase2)
    }
  }

  /// The place of a member in `members`; nil: it is none.
  func place(of node: NodeID) -> Int? {
    // Cells are small; this beats a search.
    for place in members.indices where members[place].node == node { return place }
    return nil
  }

  func isPhase1Quorum(_ set: NodeSet) -> Bool {
    switch rule {
    case .count(let count, _): set.count >= count
    case .grid(let zones, let nodeFailures, let zoneFailures):
      zones.count { set.intersection($0).count >= $0.count - nodeFailures }
        >= zones.count - zoneFailures
    case .sets(let quorums, _): quorums.contains { set.isSuperset(of: $0) }
    }
  }

  func isPhase2Quorum(_ set: NodeSet) -> Bool {
    switch rule {
    case .count(_, let count): set.count >= count
    case .grid(let zones, let nodeFailures, let zoneFailures):
      zones.count { set.intersection($0).count > nodeFailures } > zoneFailures
    case .sets(_, let quorums): quorums.contains { set.isSuperset(of: $0) }
    }
  }

  /// Whether every phase 2 quorum has a member in `set`: what was chosen, somebody there has seen.
  func meetsEveryPhase2Quorum(_ set: NodeSet) -> Bool {
    !isPhase2Quorum(everyone.subtracting(set))
  }

  /// Whether every quorum of either phase has a member in `set`.
  func meetsEveryQuorum(_ set: NodeSet) -> Bool {
    let left = everyone.subtracting(set)
    return !isPhase1Quorum(left) && !isPhase2Quorum(left)
  }

  /// Whether a quorum can still come about without these.
  func canDoWithout(_ set: NodeSet, phase2: Bool) -> Bool {
    let left = everyone.subtracting(set)
    return phase2 ? isPhase2Quorum(left) : isPhase1Quorum(left)
  }

  /// Whether the cell goes on, and makes good what they have lost, if these lose their disks at one
  /// time.
  public func outlives(lossOf nodes: [NodeID]) -> Bool {
    var lost = NodeSet()
    for node in nodes { if let place = place(of: node) { lost.insert(place) } }
    let left = everyone.subtracting(lost)
    return isPhase1Quorum(left) && isPhase2Quorum(left) && meetsEveryPhase2Quorum(left)
  }

  private static func grid(
    _ members: [Member], _ nodeFailures: Int, _ zoneFailures: Int
  ) throws(CellError) -> Rule {
    var numbers: [UInt16] = []
    var zones: [NodeSet] = []
    for (place, member) in members.enumerated() {
      let zone = numbers.firstIndex(of: member.zone) ?? numbers.count
      if zone == numbers.count {
        numbers.append(member.zone)
        zones.append(NodeSet())
      }
      zones[zone].insert(place)
    }
    // Any Z - F zones and any F + 1 zones share one; in it, any n - f and any f + 1 members do.
    guard 0..<zones.count ~= zoneFailures else {
      throw .gridZones(zones: zones.count, zoneFailures: zoneFailures)
    }
    for (number, zone) in zip(numbers, zones) where !(0..<zone.count ~= nodeFailures) {
      throw .grid(zone: number, members: zone.count, nodeFailures: nodeFailures)
    }
    return .grid(zones: zones, nodeFailures: nodeFailures, zoneFailures: zoneFailures)
  }

  private static func sets(
    _ members: [Member], _ phase1: [[NodeID]], _ phase2: [[NodeID]]
  ) throws(CellError) -> Rule {
    func parse(_ quorums: [[NodeID]], phase: Int) throws(CellError) -> [NodeSet] {
      guard !quorums.isEmpty else { throw .noQuorums(phase: phase) }
      var sets: [NodeSet] = []
      for quorum in quorums {
        guard !quorum.isEmpty else { throw .emptyQuorum(phase: phase) }
        var set = NodeSet()
        for node in quorum {
          guard let place = members.firstIndex(where: { $0.node == node }) else {
            throw .unknownMember(node)
          }
          set.insert(place)
        }
        sets.append(set)
      }
      return sets
    }
    let (first, second) = (try parse(phase1, phase: 1), try parse(phase2, phase: 2))
    for (a, one) in first.enumerated() {
      for (b, two) in second.enumerated() where one.isDisjoint(with: two) {
        throw .disjoint(phase1: phase1[a], phase2: phase2[b])
      }
    }
    return .sets(phase1: first, phase2: second)
  }
}
