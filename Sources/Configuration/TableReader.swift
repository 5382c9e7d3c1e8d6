/// The problems found so far in one file.
final class ProblemList {
  private(set) var problems: [ConfigurationProblem] = []
  private let places: SourcePlaces

  init(places: SourcePlaces) { self.places = places }

  func add(_ kind: ConfigurationProblem.Kind) {
    let place =
      switch kind {
      case .unreadable, .syntax: TextPlace?.none
      case .wrongValue(let path, _, _): places.value(path)
      case .missing(let path, _), .unknownKey(let path, _, _): places.key(path)
      }
    problems.append(ConfigurationProblem(kind, at: place))
  }

  /// What was found, by place; what has none comes first.
  var sorted: [ConfigurationProblem] {
    let beginning = TextPlace(line: 0, column: 0)
    return problems.enumerated().sorted { a, b in
      (a.element.place ?? beginning, a.offset) < (b.element.place ?? beginning, b.offset)
    }.map(\.element)
  }
}

/// Takes typed values out of one table and notes whatever is wrong, instead of stopping at the
/// first. After the last key was asked for, `finish` reports the keys nobody asked for.
final class TableReader {
  /// The key path of this table; empty for the whole document.
  let path: String
  let list: ProblemList
  private let entries: [Entry]
  private var known: [String] = []

  init(path: String, entries: [Entry], list: ProblemList) {
    self.path = path
    self.entries = entries
    self.list = list
  }

  /// The key path of `key` in this table.
  func keyPath(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

  /// The value of a key, if it is there; the key is known from now on.
  func node(_ key: String) -> Node? {
    if !known.contains(key) { known.append(key) }
    return entries.first { $0.key == key }?.value
  }

  func wrong(_ key: String, _ found: Node, _ expected: String) {
    wrong(key, shown: found.shown, expected)
  }

  func wrong(_ key: String, shown: String, _ expected: String) {
    list.add(.wrongValue(path: keyPath(key), found: shown, expected: expected))
  }

  func missing(_ key: String, _ expected: String) {
    list.add(.missing(path: keyPath(key), expected: expected))
  }

  /// The general form: nil if the key is absent or wrong; a wrong one is noted.
  func value<Value>(_ key: String, _ expected: String, _ convert: (Node) -> Value?) -> Value? {
    guard let found = node(key) else { return nil }
    if let converted = convert(found) { return converted }
    wrong(key, found, expected)
    return nil
  }

  /// As `value`, and an absent key is noted too; `placeholder` stands in for both.
  func required<Value>(
    _ key: String, _ expected: String, placeholder: Value, _ convert: (Node) -> Value?
  ) -> Value {
    guard node(key) != nil else {
      missing(key, expected)
      return placeholder
    }
    return value(key, expected, convert) ?? placeholder
  }

  func integer(_ key: String, _ range: ClosedRange<Int>, _ what: String = "an integer") -> Int? {
    value(key, "\(what) from \(range.lowerBound) to \(range.upperBound)", integerIn(range))
  }

  func requiredInteger(
    _ key: String, _ range: ClosedRange<Int>, placeholder: Int
  ) -> Int {
    required(
      key, "an integer from \(range.lowerBound) to \(range.upperBound)",
      placeholder: placeholder, integerIn(range))
  }

  func number(_ key: String, _ range: ClosedRange<Double>) -> Double? {
    value(key, "a number from \(shown(range))", numberIn(range))
  }

  func requiredNumber(
    _ key: String, _ range: ClosedRange<Double>, placeholder: Double
  ) -> Double {
    required(
      key, "a number from \(shown(range))", placeholder: placeholder, numberIn(range))
  }

  func powerOfTwo(_ key: String, _ range: ClosedRange<Int>) -> Int? {
    value(key, "a power of two from \(range.lowerBound) to \(range.upperBound)") { node in
      guard case .integer(let value) = node, range.contains(value), value & (value - 1) == 0 else {
        return nil
      }
      return value
    }
  }

  func bool(_ key: String) -> Bool? {
    value(key, "true or false") { if case .bool(let value) = $0 { value } else { nil } }
  }

  func string(_ key: String, _ expected: String, _ isGood: (String) -> Bool) -> String? {
    value(key, expected) { if case .string(let text) = $0, isGood(text) { text } else { nil } }
  }

  func requiredString(_ key: String, _ expected: String, _ isGood: (String) -> Bool) -> String {
    required(key, expected, placeholder: "") {
      if case .string(let text) = $0, isGood(text) { text } else { nil }
    }
  }

  /// A table; nil if it is absent or something else.
  func table(_ key: String) -> TableReader? {
    value(key, "a table, written [\(keyPath(key))]") { node in
      guard case .table(let entries) = node else { return nil }
      return TableReader(path: keyPath(key), entries: entries, list: list)
    }
  }

  /// A table that must be there; an absent one reads as empty.
  func requiredTable(_ key: String) -> TableReader? {
    if node(key) == nil { missing(key, "a table, written [\(keyPath(key))]") }
    return table(key)
  }

  /// The tables of an array; elements that are none are noted and left out.
  func tables(_ key: String) -> [TableReader] {
    let expected = "tables, each written [[\(keyPath(key))]]"
    let elements: [Node]? = value(key, expected) {
      if case .array(let elements) = $0 { elements } else { nil }
    }
    var readers: [TableReader] = []
    for (index, element) in (elements ?? []).enumerated() {
      let name = "\(key)[\(index)]"
      if case .table(let entries) = element {
        readers.append(TableReader(path: keyPath(name), entries: entries, list: list))
      } else {
        wrong(name, element, "a table, written [[\(keyPath(key))]]")
      }
    }
    return readers
  }

  /// Reports every key that nobody asked for.
  func finish() {
    for key in entries.map(\.key) where !known.contains(key) {
      list.add(
        .unknownKey(
          path: keyPath(key), nearest: nearestName(to: key, among: known), known: known.sorted()))
    }
  }

  private func shown(_ range: ClosedRange<Double>) -> String {
    [range.lowerBound, range.upperBound].map { bound in
      bound == bound.rounded() ? String(Int(bound)) : String(bound)
    }.joined(separator: " to ")
  }

  private func numberIn(_ range: ClosedRange<Double>) -> (Node) -> Double? {
    { node in
      switch node {
      case .number(let number) where range.contains(number): number
      case .integer(let integer) where range.contains(Double(integer)): Double(integer)
      default: nil
      }
    }
  }

  private func integerIn(_ range: ClosedRange<Int>) -> (Node) -> Int? {
    { if case .integer(let value) = $0, range.contains(value) { value } else { nil } }
  }
}

/// Reads a whole document with `body` and throws if that found anything wrong.
func readDocument<Document>(
  text: String, file: String, _ body: (TableReader) -> Document
) throws(ConfigurationError) -> Document {
  guard case .table(let entries) = try parse(text: text, file: file) else {
    throw ConfigurationError(file: file, unreadable: "it holds no table")
  }
  let list = ProblemList(places: SourcePlaces(text))
  let reader = TableReader(path: "", entries: entries, list: list)
  let document = body(reader)
  reader.finish()
  guard list.problems.isEmpty else {
    throw ConfigurationError(file: file, problems: list.sorted)
  }
  return document
}

/// A name that may become part of file, interface and namespace names.
func isPlainName(_ text: String, length: ClosedRange<Int>) -> Bool {
  length.contains(text.utf8.count)
    && text.utf8.allSatisfy {
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: "-")
    }
    && text.utf8.first != UInt8(ascii: "-") && text.utf8.last != UInt8(ascii: "-")
}
