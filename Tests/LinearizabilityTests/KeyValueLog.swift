import Foundation
import Linearizability

/// Reads Porcupine's histories of a key-value store: clients put, get and append to strings. A line's
/// time is its number.
///
/// The checker knows registers, not strings that grow. A get that contains what an append has added says
/// what was there before: the append is a compare-and-set from that to both together. What no get contains
/// has left no trace: it is a set to a value that nobody finds. Some order explains the one history if and
/// only if it explains the other.
///
/// A few clients write the same twice, far apart. Where it cannot be told which of the two a get has found,
/// there is a history for either case.
enum KeyValueLog {
  struct Malformed: Error { let line: Int }

  private struct Line {
    var process: UInt64
    var isInvocation: Bool
    var function: String
    var key: String
    var value: String
  }

  /// The history is linearizable if one of these is.
  static func histories(of text: String) throws -> [History] {
    let lines = try text.split(separator: "\n").enumerated().map { number, line in
      guard let parsed = parse(line) else { throw Malformed(line: number) }
      return parsed
    }
    return try whatWasThere(lines).map { try history(lines, $0) }
  }

  private static func history(_ lines: [Line], _ before: [Int: String]) throws -> History {
    var history = History()
    var pending: [UInt64: Int] = [:]
    var sequence: UInt64 = 0
    func end(_ process: UInt64, at time: Int64, _ result: String?) throws {
      guard let start = pending.removeValue(forKey: process) else {
        throw Malformed(line: Int(time))
      }
      let call = lines[start]
      sequence += 1
      var kind = HistoryOperation.Kind.set
      var value: String? = call.value
      var condition = HistoryOperation.Condition.always
      var outcome: HistoryOperation.Outcome = result == nil ? .unknown : .ok
      switch call.function {
      case "get":
        kind = .get
        // Absent is empty to these clients.
        value = result == "" ? nil : result
        if result == "" { outcome = .notFound }
      case "append":
        if let prefix = before[start] {
          condition = .holds(prefix.isEmpty ? nil : prefix)
          value = prefix + call.value
        } else {
          value = "never found: line \(start)"
        }
      default: break
      }
      try history.append(
        client: process, sequence: sequence, kind: kind, key: call.key, value: value,
        condition: condition, version: 0, invoked: Int64(start), returned: time, outcome: outcome)
    }
    for (number, line) in lines.enumerated() {
      if line.isInvocation {
        pending[line.process] = number
      } else {
        try end(line.process, at: Int64(number), line.value)
      }
    }
    for process in pending.keys.sorted() { try end(process, at: .max, nil) }
    return history
  }

  /// By the line of an append: what was there before it, if a get tells. All ways there are to see it.
  private static func whatWasThere(_ lines: [Line]) throws -> [[Int: String]] {
    struct Written: Hashable { var key, value: String }
    var writes: [Written: [Int]] = [:]
    var found: [Written: [(before: String, line: Int)]] = [:]
    for (number, line) in lines.enumerated() {
      if line.isInvocation {
        if line.function != "get" {
          writes[Written(key: line.key, value: line.value), default: []].append(number)
        }
      } else if line.function == "get" {
        var prefix = ""
        // Each piece is "x CLIENT NUMBER y".
        for piece in line.value.split(separator: "y") {
          let written = Written(key: line.key, value: piece + "y")
          if found[written, default: []].allSatisfy({ $0.before != prefix }) {
            found[written, default: []].append((prefix, number))
          }
          prefix += written.value
        }
      }
    }
    var ways: [[Int: String]] = [[:]]
    for (written, places) in writes.sorted(by: { $0.value[0] < $1.value[0] }) {
      guard places.count <= 2 else { throw Malformed(line: places[2]) }
      let first = places[0]
      let prefixes = found[written] ?? []
      guard places.count == 2 else {
        if let only = prefixes.first {
          for way in ways.indices { ways[way][first] = only.before }
        }
        continue
      }
      let second = places[1]
      // A put leaves nothing before it.
      func mayBe(_ place: Int, _ prefix: (before: String, line: Int)) -> Bool {
        place < prefix.line && (lines[place].function == "append" || prefix.before.isEmpty)
      }
      var choices: [[Int: String]] = []
      for one in prefixes where mayBe(first, one) {
        if let other = prefixes.first(where: { $0.before != one.before && mayBe(second, $0) }) {
          choices.append([first: one.before, second: other.before])
        } else if prefixes.count == 1 {
          choices.append([first: one.before])
        }
      }
      if prefixes.count == 1, mayBe(second, prefixes[0]) {
        choices.append([second: prefixes[0].before])
      }
      guard !choices.isEmpty else {
        // Nobody has found it; or what was found nobody has written, whatever it is taken for.
        continue
      }
      ways = ways.flatMap { way in choices.map { way.merging($0) { $1 } } }
      guard ways.count <= 1_024 else { throw Malformed(line: second) }
    }
    return ways
  }

  /// `{:process 0, :type :invoke, :f :append, :key "4", :value "x 0 1 y"}`
  private static func parse(_ line: Substring) -> Line? {
    let fields = line.dropFirst().dropLast().components(separatedBy: ", ")
    func value(_ index: Int, _ name: String) -> String? {
      guard fields.count == 5, fields[index].hasPrefix(name + " ") else { return nil }
      return fields[index].dropFirst(name.count + 1).trimmingCharacters(in: ["\"", ":"])
    }
    guard let process = value(0, ":process").flatMap(UInt64.init), let type = value(1, ":type"),
      let function = value(2, ":f"), let key = value(3, ":key"), let bytes = value(4, ":value"),
      ["invoke", "ok"].contains(type), ["get", "put", "append"].contains(function)
    else { return nil }
    return Line(
      process: process, isInvocation: type == "invoke", function: function, key: key, value: bytes)
  }
}
