import Testing

@testable import Paxos

@Suite struct CellTests {
  private static func members(_ zones: [UInt16]) -> [Member] {
    zones.enumerated().map { Member(NodeID(UInt16($0.offset)), zone: $0.element) }
  }

  static let cells: [([UInt16], QuorumSystem)] = [
    ([0], .majority), ([0, 0, 0], .majority), ([0, 0, 0, 0], .majority),
    ([0, 0, 0, 0, 0], .majority),
    ([0, 0, 0, 1, 1, 1, 2, 2, 2], .grid(nodeFailures: 1, zoneFailures: 1)),
    ([0, 0, 0, 1, 1, 1, 2, 2, 2], .grid(nodeFailures: 1, zoneFailures: 0)),
    ([0, 0, 0, 1, 1, 1, 2, 2, 2], .grid(nodeFailures: 0, zoneFailures: 2)),
    ([0, 0, 1, 1, 1, 1, 2], .grid(nodeFailures: 0, zoneFailures: 1)),
    (
      [0, 0, 0],
      .sets(phase1: [[NodeID(0), NodeID(1), NodeID(2)]], phase2: [[NodeID(0)], [NodeID(2)]])
    ),
  ]

  @Test("Every phase 1 quorum meets every phase 2 quorum", arguments: cells)
  func quorumsMeet(_ zones: [UInt16], _ quorums: QuorumSystem) throws {
    let cell = try Cell(Self.members(zones), quorums)
    let everyone = NodeSet(first: zones.count)
    #expect(cell.isPhase1Quorum(everyone) && cell.isPhase2Quorum(everyone))
    for bits in 0..<(UInt64(1) << UInt64(zones.count)) {
      let set = NodeSet(bits: bits)
      let rest = everyone.subtracting(set)
      // Two quorums that do not meet would be part of a set and of its complement.
      #expect(!(cell.isPhase1Quorum(set) && cell.isPhase2Quorum(rest)))
      if cell.isPhase1Quorum(set) { #expect(cell.meetsEveryPhase2Quorum(set)) }
    }
  }

  @Test("The check above does see quorums that do not meet")
  func aGridOneShortIsSeen() throws {
    let cell = try Cell(
      Self.members([0, 0, 0, 1, 1, 1]), .grid(nodeFailures: 1, zoneFailures: 0))
    // Two of three in both zones promise, two in one zone choose. One less does not meet.
    let short = NodeSet(bits: 0b000_011 | 0b001_000)
    #expect(!cell.isPhase1Quorum(short))
    #expect(cell.isPhase2Quorum(NodeSet(bits: 0b110_000)))
    #expect(short.isDisjoint(with: NodeSet(bits: 0b110_000)))
  }

  @Test func setsThatDoNotMeetAreRefused() {
    #expect(throws: CellError.disjoint(phase1: [NodeID(0), NodeID(1)], phase2: [NodeID(2)])) {
      try Cell(
        Self.members([0, 0, 0]),
        .sets(
          phase1: [[NodeID(0), NodeID(2)], [NodeID(0), NodeID(1)]],
          phase2: [[NodeID(0)], [NodeID(2)]]))
    }
  }

  @Test func whatMakesNoCellIsRefused() {
    #expect(throws: CellError.memberCount(0)) { try Cell([]) }
    #expect(throws: CellError.memberCount(65)) {
      try Cell(Self.members(Array(repeating: 0, count: 65)))
    }
    #expect(throws: CellError.duplicateMember(NodeID(3))) {
      try Cell([Member(NodeID(3)), Member(NodeID(3))])
    }
    #expect(throws: CellError.unknownMember(NodeID(7))) {
      try Cell(Self.members([0]), .sets(phase1: [[NodeID(7)]], phase2: [[NodeID(0)]]))
    }
    #expect(throws: CellError.noQuorums(phase: 2)) {
      try Cell(Self.members([0]), .sets(phase1: [[NodeID(0)]], phase2: []))
    }
    #expect(throws: CellError.emptyQuorum(phase: 1)) {
      try Cell(Self.members([0]), .sets(phase1: [[]], phase2: [[NodeID(0)]]))
    }
    #expect(throws: CellError.grid(zone: 1, members: 1, nodeFailures: 1)) {
      try Cell(Self.members([0, 0, 1]), .grid(nodeFailures: 1, zoneFailures: 0))
    }
    #expect(throws: CellError.gridZones(zones: 2, zoneFailures: 2)) {
      try Cell(Self.members([0, 1]), .grid(nodeFailures: 0, zoneFailures: 2))
    }
  }

  @Test func howManyDisksMayBeLost() throws {
    let three = try Cell(Self.members([0, 0, 0]))
    #expect(three.outlives(lossOf: [NodeID(1)]))
    #expect(!three.outlives(lossOf: [NodeID(1), NodeID(2)]))
    let five = try Cell(Self.members([0, 0, 0, 0, 0]))
    #expect(five.outlives(lossOf: [NodeID(1), NodeID(2)]))
    #expect(!five.outlives(lossOf: [NodeID(1), NodeID(2), NodeID(3)]))
  }

  @Test func ballotsAreOrderedByRoundFirst() {
    func ballot(_ round: UInt32, _ zone: UInt16, _ node: UInt16, _ incarnation: UInt64) -> Ballot {
      Ballot(
        round: round, zone: zone, proposer: Proposer(node: NodeID(node), incarnation: incarnation))
    }
    let ascending = [
      ballot(0, 9, 9, 9), ballot(1, 0, 0, 7), ballot(1, 0, 1, 1), ballot(1, 0, 1, 2),
      ballot(1, 1, 0, 1), ballot(2, 0, 0, 0),
    ]
    #expect(ascending.shuffled().sorted() == ascending)
  }
}
