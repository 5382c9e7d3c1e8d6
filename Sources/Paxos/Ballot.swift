/// A replica's number in its cell.
public struct NodeID: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: UInt16
  public init(rawValue: UInt16) { self.rawValue = rawValue }
  public init(_ number: UInt16) { rawValue = number }

  public static func < (a: NodeID, b: NodeID) -> Bool { a.rawValue < b.rawValue }
}

/// A node between one start and the next. Every start has another incarnation, and none is ever
/// used twice: what a proposer has forgotten can then not be mistaken for what it does now.
public struct Proposer: Hashable, Sendable {
  public var node: NodeID
  public var incarnation: UInt64

  public init(node: NodeID, incarnation: UInt64) {
    self.node = node
    self.incarnation = incarnation
  }
}

/// Orders the attempts at one entry. No two proposers have the same ballot, and a proposer uses
/// each for one value at most.
public struct Ballot: Hashable, Comparable, Sendable {
  /// Round 0 is for the proposer that the entry before names, and needs no phase 1.
  public var round: UInt32
  public var zone: UInt16
  public var proposer: Proposer

  public init(round: UInt32, zone: UInt16, proposer: Proposer) {
    self.round = round
    self.zone = zone
    self.proposer = proposer
  }

  public static func < (a: Ballot, b: Ballot) -> Bool {
    (a.round, a.zone, a.proposer.node.rawValue, a.proposer.incarnation)
      < (b.round, b.zone, b.proposer.node.rawValue, b.proposer.incarnation)
  }
}
