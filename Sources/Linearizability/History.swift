/// What clients asked of a store and what they were told: the input of the checker.
///
/// Keys and values are kept once each and named by number, so that a history of millions of
/// operations fits in memory. Not thread-safe while it is being filled.
public struct History: Sendable {
  /// The value number of "no value".
  public static let absent: Int32 = -1
  /// Of what is written: whatever the register had before.
  public static let anything: Int32 = -2

  public private(set) var operations: [HistoryOperation] = []
  public private(set) var keys = StringTable()
  public private(set) var values = StringTable()

  public init() {}

  /// Appends one operation. `condition`: of a set that is to happen only if the register has that
  /// value (a compare-and-set). Throws what is wrong with it.
  public mutating func append(
    client: UInt64, sequence: UInt64, kind: HistoryOperation.Kind, key: String, value: String?,
    condition: HistoryOperation.Condition = .always,
    version: UInt64, invoked: Int64, returned: Int64, outcome: HistoryOperation.Outcome
  ) throws(HistoryError) {
    switch (kind, outcome) {
    case (.get, _) where condition != .always, (.delete, _) where condition != .always:
      throw .contradiction("only a set has a condition")
    case (_, .unequal) where condition == .always:
      throw .contradiction("only a compare-and-set is refused as unequal")
    case (.get, .ok) where value == nil:
      throw .contradiction("a get that is ok has a value; not_found is the one without")
    case (.get, .notFound) where value != nil:
      throw .contradiction("a get that is not_found has no value")
    case (.set, _) where value == nil:
      throw .contradiction("a set has a value")
    case (.set, .notFound), (.delete, .notFound):
      throw .contradiction("a write is ok, unknown or failed; a delete is ok without a value too")
    default: break
    }
    if outcome.isCertain {
      guard returned >= invoked else {
        throw .contradiction("return_ns is not before invoke_ns")
      }
    }
    let expected =
      switch condition {
      case .always: Self.anything
      case .holds(let value): value.map { values.number(of: $0) } ?? Self.absent
      }
    operations.append(
      HistoryOperation(
        client: client, sequence: sequence, kind: kind, outcome: outcome, key: keys.number(of: key),
        value: kind == .delete ? Self.absent : value.map { values.number(of: $0) } ?? Self.absent,
        expected: expected, version: version, invoked: invoked, returned: returned))
  }

  /// One operation for people to read.
  public func description(of operation: HistoryOperation) -> String {
    let key = keys[operation.key]
    let value = operation.value == Self.absent ? "nothing" : "\"\(values[operation.value])\""
    let action =
      switch (operation.kind, operation.outcome) {
      case (.get, .ok): "get \(key) -> \(value)"
      case (.get, .notFound): "get \(key) -> not found"
      case (.get, _): "get \(key)"
      case (.set, .unequal): "set \(key) = \(value) if it is \(expected(operation)) -> it is not"
      case (.set, _) where operation.isConditional:
        "set \(key) = \(value) if it is \(expected(operation))"
      case (.set, _): "set \(key) = \(value)"
      case (.delete, _): "delete \(key)"
      }
    let end = operation.outcome.isCertain ? "\(operation.returned)" : operation.outcome.rawValue
    return "[\(operation.invoked) .. \(end)] client \(operation.client) #\(operation.sequence) "
      + "\(action)" + (operation.version == 0 ? "" : " (version \(operation.version))")
  }

  private func expected(_ operation: HistoryOperation) -> String {
    operation.expected == Self.absent ? "nothing" : "\"\(values[operation.expected])\""
  }
}

/// One operation of a history, as its client saw it.
public struct HistoryOperation: Sendable, Equatable {
  public enum Kind: String, Sendable, CaseIterable { case get, set, delete }

  public enum Outcome: String, Sendable, CaseIterable {
    case ok
    /// Of a get: there was no value.
    case notFound = "not_found"
    /// It may take effect at any moment after its invocation, or never.
    case unknown
    /// It has no effect and never will.
    case failed
    /// Of a compare-and-set: the register had another value, and keeps it.
    case unequal

    /// The client was told the result.
    public var isCertain: Bool { self == .ok || self == .notFound || self == .unequal }
  }

  /// What must be so for a set to happen.
  public enum Condition: Sendable, Equatable {
    case always
    /// The register has this value; nil: none.
    case holds(String?)
  }

  public var client: UInt64
  public var sequence: UInt64
  public var kind: Kind
  public var outcome: Outcome
  /// Number of the key in the history's `keys`.
  public var key: Int32
  /// Number of the value in the history's `values`, or `History.absent`.
  public var value: Int32
  /// Of a set: the number of the value that the register must have, or `History.absent`, or
  /// `History.anything`, the usual case.
  public var expected: Int32
  /// The store's version of the value; 0: not known. Never proof of anything, only a hint.
  public var version: UInt64
  /// Times in any one unit, nanoseconds as a rule.
  public var invoked: Int64
  public var returned: Int64

  /// It is a compare-and-set.
  public var isConditional: Bool { expected != History.anything }
}

/// Why an operation does not belong in a history.
public enum HistoryError: Error, Equatable, Sendable, CustomStringConvertible {
  case contradiction(String)

  public var description: String {
    switch self {
    case .contradiction(let rule): "expected that \(rule)"
    }
  }
}

/// Strings by number.
public struct StringTable: Sendable {
  private var strings: [String] = []
  private var numbers: [String: Int32] = [:]

  public init() {}

  public var count: Int { strings.count }
  public subscript(number: Int32) -> String { strings[Int(number)] }

  mutating func number(of string: String) -> Int32 {
    if let number = numbers[string] { return number }
    let number = Int32(strings.count)
    strings.append(string)
    numbers[string] = number
    return number
  }
}
