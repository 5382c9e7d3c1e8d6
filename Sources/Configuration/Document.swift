internal import Glibc
internal import TOMLKit

/// A TOML value, detached from the parser.
enum Node {
  case table([Entry])
  case array([Node])
  case string(String)
  case integer(Int)
  case number(Double)
  case bool(Bool)
  /// Dates and times, which no key of ours takes.
  case other(String)

  /// How an error message shows it.
  var shown: String {
    switch self {
    case .table: "a table"
    case .array(let elements):
      elements.count > 4
        ? "an array of \(elements.count)"
        : "[\(elements.map(\.shown).joined(separator: ", "))]"
    case .string(let text): "\"\(text)\""
    case .integer(let value): String(value)
    case .number(let value): String(value)
    case .bool(let value): String(value)
    case .other(let text): text
    }
  }
}

/// A key of a table with its value.
struct Entry {
  var key: String
  var value: Node
}

/// Reads the bytes of a file as UTF-8.
func readText(file: String) throws(ConfigurationError) -> String {
  func unreadable(_ reason: String) -> ConfigurationError {
    ConfigurationError(file: file, problems: [.unreadable(reason: reason)])
  }
  guard let stream = fopen(file, "r") else {
    throw unreadable(String(cString: strerror(errno)))
  }
  defer { fclose(stream) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 65_536)
  while true {
    let count = fread(&buffer, 1, buffer.count, stream)
    if count == 0 { break }
    bytes.append(contentsOf: buffer[..<count])
    guard bytes.count <= 1 << 20 else { throw unreadable("it is larger than 1 MiB") }
  }
  guard ferror(stream) == 0 else {
    throw unreadable("it is not a regular file, or reading failed")
  }
  guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
    throw unreadable("it is not UTF-8 text")
  }
  return text
}

/// Parses TOML; `file` is only the name for messages.
func parse(text: String, file: String) throws(ConfigurationError) -> Node {
  try checkForParser(text: text, file: file)
  do {
    return node(of: try TOMLTable(string: text))
  } catch let error as TOMLParseError {
    let place = error.source.begin
    throw ConfigurationError(
      file: file,
      problems: [
        .syntax(line: place.line, column: place.column, reason: oneSentence(error.description))
      ])
  } catch {
    throw ConfigurationError(
      file: file, problems: [.syntax(line: 1, column: 1, reason: "\(error)")])
  }
}

/// The parser's message without line breaks.
private func oneSentence(_ text: String) -> String {
  text.split(whereSeparator: \.isNewline).joined(separator: " ")
}

private func node(of table: TOMLTable) -> Node {
  var entries: [Entry] = []
  for key in table.keys {
    guard let value = table[key] else { continue }
    entries.append(Entry(key: key, value: node(of: value)))
  }
  return .table(entries)
}

private func node(of value: some TOMLValueConvertible) -> Node {
  switch value.type {
  case .table: value.table.map(node(of:)) ?? .other("a table")
  case .array: value.array.map { .array($0.map { node(of: $0) }) } ?? .other("an array")
  case .string: value.string.map(Node.string) ?? .other("a string")
  case .int: value.int.map(Node.integer) ?? .other("an integer")
  case .double: value.double.map(Node.number) ?? .other("a number")
  case .bool: value.bool.map(Node.bool) ?? .other("true or false")
  case .date, .time, .dateTime: .other("a date or time (\(value.debugDescription))")
  }
}
