/// Reads histories from JSON lines:
/// `{"client","seq","op":"get|set|delete|cas","key","value","expected","version","invoke_ns",`
/// `"return_ns","outcome":"ok|not_found|unequal|unknown|failed"}`, in any order of the fields; others
/// are skipped. `value` may be null or missing where there is none, `expected` where it is not a
/// `cas` (compare-and-set) or one that expects no value, `version` where it is not known,
/// `return_ns` where the outcome is unknown or failed.
public enum HistoryReader {
  /// Where a file is not a history, and what was expected there.
  public struct Problem: Error, Equatable, Sendable, CustomStringConvertible {
    /// From 1.
    public var line: Int
    public var message: String
    public var description: String { "line \(line): \(message)" }
  }

  /// Reads a whole file's bytes. Empty lines are skipped.
  public static func history(of bytes: UnsafeRawBufferPointer) throws(Problem) -> History {
    var history = History()
    var number = 0
    var start = 0
    while start < bytes.count {
      number += 1
      var end = start
      while end < bytes.count && bytes[end] != UInt8(ascii: "\n") { end += 1 }
      let line = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
      start = end + 1
      if line.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }) { continue }
      do throws(LineError) {
        try append(line, to: &history)
      } catch {
        throw Problem(line: number, message: error.message)
      }
    }
    return history
  }

  /// As above, for text at hand.
  public static func history(of text: String) throws(Problem) -> History {
    let result = Array(text.utf8).withUnsafeBytes { bytes in
      Result { () throws(Problem) in try history(of: bytes) }
    }
    return try result.get()
  }

  private static func append(
    _ line: UnsafeRawBufferPointer, to history: inout History
  ) throws(LineError) {
    var fields = Fields()
    var scanner = JSONLineScanner(line)
    try scanner.object { name, scanner throws(LineError) in
      switch name {
      case "client": fields.client = try scanner.integer(name)
      case "seq": fields.sequence = try scanner.integer(name)
      case "op": fields.word = try scanner.word(name)
      case "key": fields.key = try scanner.string(name)
      case "value": fields.value = try scanner.stringOrNull(name)
      case "expected": fields.expected = try scanner.stringOrNull(name)
      case "version": fields.version = try scanner.integerOrNull(name) ?? 0
      case "invoke_ns": fields.invoked = try scanner.integer(name)
      case "return_ns": fields.returned = try scanner.integerOrNull(name)
      case "outcome": fields.outcome = try scanner.word(name)
      default: try scanner.skipValue(name)
      }
    }
    func required<Value>(_ value: Value?, _ name: String) throws(LineError) -> Value {
      guard let value else { throw LineError("expected a field \"\(name)\"") }
      return value
    }
    let outcome = try required(fields.outcome, "outcome")
    let invoked = try required(fields.invoked, "invoke_ns")
    let returned =
      outcome.isCertain ? try required(fields.returned, "return_ns") : fields.returned ?? invoked
    let client = try required(fields.client, "client")
    let sequence = try required(fields.sequence, "seq")
    let word = try required(fields.word, "op")
    let key = try required(fields.key, "key")
    do throws(HistoryError) {
      try history.append(
        client: client, sequence: sequence, kind: word.kind, key: key, value: fields.value,
        condition: word == .cas ? .holds(fields.expected) : .always,
        version: fields.version, invoked: invoked, returned: returned, outcome: outcome)
    } catch {
      throw LineError(error.description)
    }
  }

  /// What `op` says.
  private enum Word: String, CaseIterable {
    case get, set, delete, cas

    var kind: HistoryOperation.Kind {
      switch self {
      case .get: .get
      case .set, .cas: .set
      case .delete: .delete
      }
    }
  }

  private struct Fields {
    var client: UInt64?
    var sequence: UInt64?
    var word: Word?
    var key: String?
    var value: String?
    var expected: String?
    var version: UInt64 = 0
    var invoked: Int64?
    var returned: Int64?
    var outcome: HistoryOperation.Outcome?
  }
}
