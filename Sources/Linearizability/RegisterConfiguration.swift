/// What a register may have gone through so far.
struct Configuration {
  /// The value's number, or that of values that nothing tells apart.
  var state = 0
  /// Of the operations under way, those that have been linearized.
  var done: SlotSet
  /// The kinds of the writes of unknown outcome that have been used, as often as they were, ascending.
  private(set) var usedKinds: [UInt32] = []

  /// Of a register that is absent. `slots`: operations under way at a time, at most.
  init(slots: Int) { done = SlotSet(slots: slots) }

  /// How many of a kind were used.
  func used(_ kind: Int) -> Int { usedKinds.isEmpty ? 0 : usedKinds.count { $0 == UInt32(kind) } }

  mutating func use(_ kind: Int) {
    let place = usedKinds.firstIndex { $0 > UInt32(kind) } ?? usedKinds.count
    usedKinds.insert(UInt32(kind), at: place)
  }

  /// Whether the other has used all that this one has, kind by kind.
  func hasUsedNoMore(than other: Configuration) -> Bool {
    guard usedKinds.count <= other.usedKinds.count else { return false }
    var theirs = other.usedKinds[...]
    for kind in usedKinds {
      while let first = theirs.first, first < kind { theirs.removeFirst() }
      guard theirs.popFirst() == kind else { return false }
    }
    return true
  }

  /// Memory that it takes, in words, about.
  var words: Int { 16 + done.words + usedKinds.count / 2 }
}

/// A set of small numbers; without memory of its own up to 63.
struct SlotSet: Hashable {
  private var low: UInt64 = 0
  private var high: [UInt64]

  init(slots: Int) { high = slots <= 64 ? [] : Array(repeating: 0, count: (slots - 1) / 64) }

  var words: Int { high.count }

  func contains(_ slot: Int) -> Bool {
    let word = slot < 64 ? low : high[slot >> 6 - 1]
    return word >> UInt64(slot & 63) & 1 == 1
  }

  mutating func insert(_ slot: Int) {
    if slot < 64 { low |= 1 << UInt64(slot) } else { high[slot >> 6 - 1] |= 1 << UInt64(slot & 63) }
  }

  mutating func remove(_ slot: Int) {
    if slot < 64 {
      low &= ~(1 << UInt64(slot))
    } else {
      high[slot >> 6 - 1] &= ~(1 << UInt64(slot & 63))
    }
  }
}

/// Configurations without those that another one makes needless: that have gone through the same,
/// and have used more writes of unknown outcome for it.
struct ConfigurationSet {
  private struct Place: Hashable {
    var state: Int
    var done: SlotSet
  }

  private var found: [Configuration?] = []
  /// The last one of each place, and by index the one before it (-1: none).
  private var last: [Place: Int] = [:]
  private var before: [Int] = []
  private var work: [Int] = []

  init(_ configurations: [Configuration]) {
    for configuration in configurations { insert(configuration) }
  }

  /// With those that were made needless since.
  var count: Int { found.count }
  var all: [Configuration] { found.compactMap { $0 } }

  /// One that was inserted since it was last asked for, until there is none.
  mutating func next() -> Configuration? {
    while let index = work.popLast() {
      if let configuration = found[index] { return configuration }
    }
    return nil
  }

  mutating func insert(_ configuration: Configuration) {
    let place = Place(state: configuration.state, done: configuration.done)
    let newest = last[place] ?? -1
    var index = newest
    while index >= 0 {
      if let other = found[index] {
        if other.hasUsedNoMore(than: configuration) { return }
        if configuration.hasUsedNoMore(than: other) { found[index] = nil }
      }
      index = before[index]
    }
    last[place] = found.count
    before.append(newest)
    work.append(found.count)
    found.append(configuration)
  }
}
