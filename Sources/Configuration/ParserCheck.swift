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
      file: file, syntax: "a table's header begins with its name, as in [rack] or [[server]]",
      at: TextPlace(line: number + 1, column: line.count - rest.count + 1))
  }
}

/// What outside of strings and comments ends the process: some wrong dates and times, of which no
/// value of ours is one; braces that close a bracket; spaces that are not ASCII.
private func checkTokens(text: String, file: String) throws(ConfigurationError) {
  var reader = TokenReader(cursor: TextCursor(text))
  var open: [UInt8] = []
  while let token = reader.next() {
    let reason: String
    switch token.kind {
    case .dateOrTime: reason = "dates and times are no values here; a name like one wants quotes"
    case .notASCII: reason = "letters that are not ASCII want quotes"
    case .punctuation(let mark) where mark == UInt8(ascii: "[") || mark == UInt8(ascii: "{"):
      open.append(mark)
      continue
    case .punctuation(UInt8(ascii: "]")):
      guard open.popLast() == UInt8(ascii: "{") else { continue }
      reason = "a } is missing before this ]"
    case .punctuation(UInt8(ascii: "}")):
      guard open.popLast() == UInt8(ascii: "[") else { continue }
      reason = "a ] is missing before this }"
    case .punctuation, .other: continue
    }
    throw ConfigurationError(file: file, syntax: reason, at: token.place)
  }
}

/// Reads what is outside of strings and comments.
private struct TokenReader {
  var cursor: TextCursor

  struct Token {
    enum Kind {
      case dateOrTime, notASCII, other
      case punctuation(UInt8)
    }
    let kind: Kind
    let place: TextPlace
  }

  mutating func next() -> Token? {
    while let byte = cursor.next {
      let place = cursor.place
      switch byte {
      case UInt8(ascii: "#"): cursor.skipLine()
      case UInt8(ascii: "\""), UInt8(ascii: "'"): cursor.skipString()
      case _ where isOfBareKey(byte): return Token(kind: skipWord(), place: place)
      case 9, 10, 13, 32: cursor.advance()
      default:
        cursor.advance()
        return Token(kind: byte >= 0x80 ? .notASCII : .punctuation(byte), place: place)
      }
    }
    return nil
  }

  private mutating func skipWord() -> Token.Kind {
    let begin = cursor.position
    cursor.advance(while: isDigit)
    let mark = cursor.next
    let isLikeDate =
      cursor.position > begin && (mark == UInt8(ascii: "-") || mark == UInt8(ascii: ":"))
    cursor.advance(while: isOfBareKey)
    return isLikeDate ? .dateOrTime : .other
  }
}
