/// Some members of a cell, by their places in it.
struct NodeSet: Hashable, Sendable {
  private(set) var bits: UInt64 = 0

  /// Members of a cell, at most.
  static let placesMax = 64

  init() {}
  init(bits: UInt64) { self.bits = bits }
  /// The first `count` places.
  init(first count: Int) { bits = count >= 64 ? .max : (1 << UInt64(count)) - 1 }

  var isEmpty: Bool { bits == 0 }
  var count: Int { bits.nonzeroBitCount }

  func contains(_ place: Int) -> Bool { bits >> UInt64(place) & 1 == 1 }
  func isSuperset(of other: NodeSet) -> Bool { other.bits & ~bits == 0 }
  func isDisjoint(with other: NodeSet) -> Bool { bits & other.bits == 0 }
  func subtracting(_ other: NodeSet) -> NodeSet { NodeSet(bits: bits & ~other.bits) }
  func intersection(_ other: NodeSet) -> NodeSet { NodeSet(bits: bits & other.bits) }

  mutating func insert(_ place: Int) { bits |= 1 << UInt64(place) }
  mutating func remove(_ place: Int) { bits &= ~(1 << UInt64(place)) }
}
