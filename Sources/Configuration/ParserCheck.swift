/// Refuses what the parser (toml++ 3.4) ends the process at instead of reporting it.
func checkForParser(text: String, file: String) throws(ConfigurationError) {
  try checkHeaders(text: text, file: file)
  try checkTokens(text: text, file: file)
}

/// A table's header that does not begin with a name. A line of an array or a string may look like
/// one, but no value of ours has such lines.
private func checkHeaders(text: String, file: String) throws(ConfigurationError) {
  let bracket = UInt8(ascii: "[")
  let lines = text.utf8.split(separator: 10, omittingEmptySubsequences: false)
  for (number, line) in lines.enumerated() {
    func isSpace(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 }
    var rest = line.drop(while: isSpace)
    guard rest.popFirst() == bracket else { continue }
    if rest.first == bracket { rest.removeFirst() }
    rest = rest.drop(while: isSpace)
    // An empty name is for the parser to report.
    guard rest.first.map(isOfBareKey) != true, rest.first != UInt8(ascii: "]"),
      rest.first != UInt8(ascii: "\""), rest.first != UInt8(ascii: "'")
    else { continue }
    throw ConfigurationError(
      file: file,
      problems: [
        .syntax(
          line: number + 1, column: line.count - rest.count + 1,
          reason: "a table's header begins with its name, as in [rack] or [[server]]")
      ])
  }
}

/// What outside of strings and comments ends the process: some wrong dates and times, of which no
/// value of ours is one; braces that close a bracket; spaces that are not ASCII.
private func checkTokens(text: String, file: String) throws(ConfigurationError) {
  var reader = TokenReader(bytes: Array(text.utf8))
  var open: [UInt8] = []
  while let token = reader.next() {
    let reason: String
    switch token.kind {
    case .dateOrTime: reason = "dates and times are no values here; a name like one wants quotes"
    case .notASCII: reason = "letters that are not ASCII want quotes"
    case .punctuation(UInt8(ascii: "[")), .punctuation(UInt8(ascii: "{")):
      open.append(reader.bytes[token.position])
      continue
    case .punctuation(UInt8(ascii: "]")):
      guard open.popLast() == UInt8(ascii: "{") else { continue }
      reason = "a } is missing before this ]"
    case .punctuation(UInt8(ascii: "}")):
      guard open.popLast() == UInt8(ascii: "[") else { continue }
      reason = "a ] is missing before this }"
    case .punctuation, .other: continue
    }
    throw ConfigurationError(
      file: file, problems: [.syntax(line: token.line, column: token.column, reason: reason)])
  }
}

/// Reads what is outside of strings and comments.
private struct TokenReader {
  let bytes: [UInt8]
  private var position = 0
  private var line = 1
  private var lineStart = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  struct Token {
    enum Kind {
      case dateOrTime, notASCII, other
      case punctuation(UInt8)
    }
    let kind: Kind
    let position: Int
    /// Both from 1; columns count bytes.
    let line, column: Int
  }

  mutating func next() -> Token? {
    while position < bytes.count {
      let begin = position
      let column = begin - lineStart + 1
      let byte = bytes[position]
      switch byte {
      case UInt8(ascii: "#"):
        while position < bytes.count, bytes[position] != 10 { position += 1 }
      case UInt8(ascii: "\""), UInt8(ascii: "'"): skipString(byte)
      case _ where isOfBareKey(byte):
        return Token(kind: skipWord(), position: begin, line: line, column: column)
      case 0x80...:
        position += 1
        return Token(kind: .notASCII, position: begin, line: line, column: column)
      case 9, 10, 13, 32: advance()
      default:
        position += 1
        return Token(kind: .punctuation(byte), position: begin, line: line, column: column)
      }
    }
    return nil
  }

  private mutating func skipWord() -> Token.Kind {
    let begin = position
    while position < bytes.count, isDigit(bytes[position]) { position += 1 }
    let isLikeDate =
      position > begin && position < bytes.count
      && (bytes[position] == UInt8(ascii: "-") || bytes[position] == UInt8(ascii: ":"))
    while position < bytes.count, isOfBareKey(bytes[position]) { position += 1 }
    return isLikeDate ? .dateOrTime : .other
  }

  /// One that is not closed is for the parser to report.
  private mutating func skipString(_ mark: UInt8) {
    let isLong = isHere([mark, mark, mark])
    let end = isLong ? [mark, mark, mark] : [mark]
    position += end.count
    while position < bytes.count, !isHere(end), isLong || bytes[position] != 10 {
      let isEscape = mark == UInt8(ascii: "\"") && bytes[position] == UInt8(ascii: "\\")
      advance()
      if isEscape, position < bytes.count { advance() }
    }
    if isHere(end) { position += end.count }
  }

  private func isHere(_ mark: [UInt8]) -> Bool { bytes[position...].starts(with: mark) }

  private mutating func advance() {
    if bytes[position] == 10 { (line, lineStart) = (line + 1, position + 1) }
    position += 1
  }
}

private func isDigit(_ byte: UInt8) -> Bool {
  (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
}

private func isOfBareKey(_ byte: UInt8) -> Bool {
  (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || isDigit(byte)
    || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
}
