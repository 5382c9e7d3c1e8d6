import Foundation
import Linearizability

/// Reads the logs of Jepsen's etcd test of 2014: processes read, write and compare-and-set one register
/// of small numbers. A line's time is its number.
enum JepsenLog {
  struct Malformed: Error { let line: Int }

  static func history(of text: String) throws -> History {
    var history = History()
    var pending: [UInt64: (start: Int64, function: String, argument: String)] = [:]
    var sequence: UInt64 = 0
    func end(_ process: UInt64, at time: Int64, _ type: String, _ result: String) throws {
      guard let call = pending.removeValue(forKey: process) else {
        throw Malformed(line: Int(time))
      }
      sequence += 1
      var kind = HistoryOperation.Kind.set
      var value: String?
      var condition = HistoryOperation.Condition.always
      var outcome: HistoryOperation.Outcome = type == ":ok" ? .ok : .unknown
      switch call.function {
      case ":read":
        kind = .get
        if type == ":ok" { (value, outcome) = result == "nil" ? (nil, .notFound) : (result, .ok) }
      case ":write": value = call.argument
      default:
        let values = call.argument.split { "[] ".contains($0) }.map(String.init)
        (condition, value) = (.holds(values[0]), values[1])
        // Only of a compare-and-set a failure is an answer: the register has another value.
        if type == ":fail" { outcome = .unequal }
      }
      try history.append(
        client: process, sequence: sequence, kind: kind, key: "register", value: value,
        condition: condition, version: 0, invoked: call.start, returned: time, outcome: outcome)
    }
    for (number, line) in text.split(separator: "\n").enumerated() {
      let fields = line.split(maxSplits: 6, whereSeparator: \.isWhitespace).map(String.init)
      guard fields.count == 7, fields[1] == "jepsen.util", let process = UInt64(fields[3]) else {
        throw Malformed(line: number)
      }
      let (type, function) = (fields[4], fields[5])
      let rest = fields[6].trimmingCharacters(in: .whitespaces)
      if type == ":invoke" {
        pending[process] = (Int64(number), function, rest)
      } else {
        try end(process, at: Int64(number), type, rest)
      }
    }
    for process in pending.keys.sorted() { try end(process, at: .max, ":info", "") }
    return history
  }
}
