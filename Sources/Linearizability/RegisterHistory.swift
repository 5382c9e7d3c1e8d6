/// The operations of one key, prepared for deciding: what cannot matter is gone, and every
/// operation that is left is one on a single register.
struct RegisterHistory {
  /// An operation that took effect, once, between its invocation and its return.
  struct Operation {
    enum Action {
      case read
      case write
      /// Finds `expected` and writes `value`.
      case compareAndSet
      /// Finds another value than `value`: a compare-and-set that was refused.
      case differ
    }

    /// Its place among the history's operations.
    var index: Int
    var action: Action
    /// The number, among this key's values, of the one that it reads or writes; 0: absent.
    var value: Int
    /// Of a compare-and-set.
    var expected = RegisterHistory.anything
    var version: UInt64
    var invoked: Int64
    var returned: Int64

    var isWrite: Bool { action == .write || action == .compareAndSet }
    /// The value that the register must have; nil: it may have any, or more than one.
    var needed: Int? {
      switch action {
      case .read: value
      case .compareAndSet: expected
      case .write, .differ: nil
      }
    }
  }

  /// Writes whose outcome nobody knows, and which are alike: each may take effect at any moment
  /// after its invocation, or never.
  struct OptionalWrites {
    /// `anything`: they write whatever the register has.
    var expected: Int
    var value: Int
    /// Ascending.
    var invocations: [Int64]
  }

  static let anything = -1

  private(set) var operations: [Operation] = []
  private(set) var optionalWrites: [OptionalWrites] = []
  /// By value: how many of `operations` need it.
  private(set) var reads: [Int] = [0]
  /// By value: how many of `operations` and `optionalWrites` write it.
  private(set) var writes: [Int] = [0]
  /// By value: some operation can tell it from others.
  private var isTold: [Bool] = [false]
  /// By value: a compare-and-set may expect it.
  private(set) var isExpected: [Bool] = [false]
  /// There are compare-and-sets, refused ones among them.
  private(set) var hasConditions = false
  /// An operation has found the register to differ from a value.
  private(set) var hasDifferences = false

  private struct Unsettled {
    var operation: Operation
    var isSettled = false
  }

  /// `indices`: which operations of `history`, all of one key.
  init(_ history: History, _ indices: some Sequence<Int>) {
    var numbers: [Int32: Int] = [History.absent: 0]
    var firstRead: [Int64] = [.max]
    var unsettled: [Unsettled] = []
    for index in indices {
      let operation = history.operations[index]
      // A read has no effect: without an answer it says nothing. What failed has none either.
      if operation.outcome == .failed { continue }
      if operation.kind == .get && operation.outcome == .unknown { continue }
      var taken = Operation(
        index: index, action: .read, value: number(of: operation.value, &numbers, &firstRead),
        version: operation.version, invoked: operation.invoked, returned: operation.returned)
      if operation.isConditional {
        taken.expected = number(of: operation.expected, &numbers, &firstRead)
        taken.action = .compareAndSet
        hasConditions = true
        isTold[taken.expected] = true
      } else if operation.kind != .get {
        taken.action = .write
      }
      if operation.outcome == .unequal {
        (taken.action, taken.value, taken.expected) = (.differ, taken.expected, Self.anything)
        hasDifferences = true
      }
      if taken.isWrite { writes[taken.value] += 1 }
      if taken.action == .compareAndSet { isExpected[taken.expected] = true }
      guard operation.outcome.isCertain else {
        unsettled.append(Unsettled(operation: taken))
        continue
      }
      if let needed = taken.needed {
        reads[needed] += 1
        isTold[needed] = true
        firstRead[needed] = min(firstRead[needed], taken.returned)
      }
      operations.append(taken)
    }
    settle(&unsettled, firstRead)
    gather(unsettled)
  }

  private mutating func number(
    of value: Int32, _ numbers: inout [Int32: Int], _ firstRead: inout [Int64]
  ) -> Int {
    if let number = numbers[value] { return number }
    let number = reads.count
    numbers[value] = number
    reads.append(0)
    writes.append(0)
    isTold.append(false)
    isExpected.append(false)
    firstRead.append(.max)
    return number
  }

  /// An unknown write that is the only one of a value that was read did take effect, before the
  /// first such read returned.
  private mutating func settle(_ unsettled: inout [Unsettled], _ firstRead: [Int64]) {
    for index in unsettled.indices {
      var operation = unsettled[index].operation
      let value = operation.value
      guard value != 0, writes[value] == 1, reads[value] > 0 else { continue }
      operation.returned = max(firstRead[value], operation.invoked)
      if let needed = operation.needed { reads[needed] += 1 }
      operations.append(operation)
      unsettled[index].isSettled = true
    }
  }

  /// The others are told apart by what they do only. One that writes what nobody can tell apart is
  /// left out, as any linearization can do.
  private mutating func gather(_ unsettled: [Unsettled]) {
    struct Kind: Hashable {
      var expected: Int
      var value: Int
    }
    var places: [Kind: Int] = [:]
    for operation in unsettled.filter({ !$0.isSettled }).map(\.operation) {
      guard isTold[operation.value] || hasDifferences else {
        writes[operation.value] -= 1
        continue
      }
      let kind = Kind(expected: operation.expected, value: operation.value)
      if let place = places[kind] {
        optionalWrites[place].invocations.append(operation.invoked)
      } else {
        places[kind] = optionalWrites.count
        optionalWrites.append(
          OptionalWrites(
            expected: kind.expected, value: kind.value, invocations: [operation.invoked]))
      }
    }
    for place in optionalWrites.indices { optionalWrites[place].invocations.sort() }
  }

  /// Whether anything can tell this value from others that nothing can tell.
  func isDistinct(_ value: Int) -> Bool { isTold[value] || hasDifferences }

  /// Is there only one moment at which the register gets this value? Then it has to keep it until
  /// all that need it are done.
  func isWrittenOnce(_ value: Int) -> Bool { writes[value] == (value == 0 ? 0 : 1) }

  /// Invocations of deletes of unknown outcome, ascending.
  var unknownDeletes: [Int64] {
    optionalWrites.first { $0.value == 0 && $0.expected == Self.anything }?.invocations ?? []
  }
}
