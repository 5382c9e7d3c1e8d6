/// The operations of one key, prepared for deciding: what cannot matter is gone, and every
/// operation that is left is a read or write of one register.
struct RegisterHistory {
  struct Operation {
    /// Its place among the history's operations.
    var index: Int
    var isWrite: Bool
    /// Its value's number among this key's; 0: absent.
    var value: Int
    var version: UInt64
    var invoked: Int64
    /// `Int64.max`: it may take effect at any moment, or never.
    var returned: Int64

    var isOptional: Bool { returned == .max }
  }

  private(set) var operations: [Operation] = []
  /// Invocations of deletes with unknown outcome, in order: one is as good as another.
  private(set) var unknownDeletes: [Int64] = []
  /// By value: how many of `operations` read and write it.
  private(set) var reads: [Int] = [0]
  private(set) var writes: [Int] = [0]

  /// `indices`: which operations of `history`, all of one key.
  init(_ history: History, _ indices: some Sequence<Int>) {
    var numbers: [Int32: Int] = [History.absent: 0]
    var firstRead: [Int64] = [.max]
    for index in indices {
      let operation = history.operations[index]
      // A read has no effect: without an answer it says nothing. What failed has none either.
      if operation.outcome == .failed { continue }
      if operation.kind == .get && operation.outcome == .unknown { continue }
      if operation.kind == .delete && operation.outcome == .unknown {
        unknownDeletes.append(operation.invoked)
        continue
      }
      let value = numbers[operation.value] ?? reads.count
      if value == reads.count {
        numbers[operation.value] = value
        reads.append(0)
        writes.append(0)
        firstRead.append(.max)
      }
      let isWrite = operation.kind != .get
      if isWrite {
        writes[value] += 1
      } else {
        reads[value] += 1
        firstRead[value] = min(firstRead[value], operation.returned)
      }
      operations.append(
        Operation(
          index: index, isWrite: isWrite, value: value, version: operation.version,
          invoked: operation.invoked,
          returned: operation.outcome.isCertain ? operation.returned : .max))
    }
    settleUnknownSets(firstRead)
    unknownDeletes.sort()
    if reads[0] == 0 { unknownDeletes = [] }
  }

  /// An unknown set that nobody read can be left out of any linearization. One that is the only
  /// writer of a value that was read did take effect, before the first such read returned.
  private mutating func settleUnknownSets(_ firstRead: [Int64]) {
    var kept: [Operation] = []
    kept.reserveCapacity(operations.count)
    for var operation in operations {
      if operation.isWrite && operation.isOptional {
        if reads[operation.value] == 0 {
          writes[operation.value] -= 1
          continue
        }
        if writes[operation.value] == 1 {
          operation.returned = max(firstRead[operation.value], operation.invoked)
        }
      }
      kept.append(operation)
    }
    operations = kept
  }

  /// Is this the one moment in which the register gets this value? Then it has to keep it until
  /// all of its reads are done.
  func isWrittenOnce(_ value: Int) -> Bool {
    value == 0 ? writes[0] == 0 && unknownDeletes.isEmpty : writes[value] == 1
  }
}
