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
    ConfigurationError(file: file, unreadable: reason)
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
    return try node(of: try TOMLTable(string: text))
  } catch let error as TOMLParseError {
    let place = error.source.begin
    throw ConfigurationError(
      file: file, syntax: oneSentence(error.description),
      at: TextPlace(line: place.line, column: place.column))
  } catch {
    throw ConfigurationError(file: file, unreadable: "\(error)")
  }
}

/// The parser's message without line breaks.
private func oneSentence(_ text: String) -> String {
  text.split(whereSeparator: \.isNewline).joined(separator: " ")
}

/// The parser has a value that is none of ours, such as a date; these are refused before it.
private struct ForeignValue: Error, CustomStringConvertible {
  let description: String
}

private func node(of table: TOMLTable) throws(ForeignValue) -> Node {
  var entries: [Entry] = []
  for key in table.keys {
    guard let value = table[key] else { continue }
    entries.append(Entry(key: key, value: try node(of: value)))
  }
  return .table(entries)
}

private func node(of value: some TOMLValueConvertible) throws(ForeignValue) -> Node {
  if let table = value.table { return try node(of: table) }
  if let array = value.array {
    var elements: [Node] = []
    for element in array { elements.append(try node(of: element)) }
    return .array(elements)
  }
  if let text = value.string { return .string(text) }
  if let integer = value.int { return .integer(integer) }
  if let number = value.double { return .number(number) }
  if let bool = value.bool { return .bool(bool) }
  throw ForeignValue(description: "it has a value of a kind that is not used here")
}
