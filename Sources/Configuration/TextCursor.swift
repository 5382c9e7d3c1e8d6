/// A place in the text of a file. Both count from 1, columns in characters.
public struct TextPlace: Sendable, Hashable, Comparable {
  public var line: Int
  public var column: Int

  public init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }

  public static func < (a: TextPlace, b: TextPlace) -> Bool {
    (a.line, a.column) < (b.line, b.column)
  }
}

/// Goes through the bytes of TOML, and knows where it is.
struct TextCursor {
  let bytes: [UInt8]
  private(set) var position = 0
  private(set) var place = TextPlace(line: 1, column: 1)

  init(_ text: String) { bytes = Array(text.utf8) }

  var isAtEnd: Bool { position >= bytes.count }

  /// The next byte; nil: there is none.
  var next: UInt8? { isAtEnd ? nil : bytes[position] }

  /// Whether these bytes come next.
  func isHere(_ mark: [UInt8]) -> Bool { bytes[position...].starts(with: mark) }

  /// Goes one byte further, unless at the end.
  mutating func advance() {
    guard let byte = next else { return }
    position += 1
    if byte == 10 {
      place = TextPlace(line: place.line + 1, column: 1)
    } else if next.map({ $0 & 0xc0 != 0x80 }) ?? true {
      // The bytes behind the first one of a character do not count.
      place.column += 1
    }
  }

  mutating func advance(while condition: (UInt8) -> Bool) {
    while let byte = next, condition(byte) { advance() }
  }

  mutating func skipLine() { advance { $0 != 10 } }

  /// Behind a string that begins here. One that is not closed is for the parser to report.
  mutating func skipString() {
    guard let mark = next else { return }
    let isLong = isHere([mark, mark, mark])
    let end = isLong ? [mark, mark, mark] : [mark]
    for _ in end { advance() }
    while let byte = next, !isHere(end), isLong || byte != 10 {
      let isEscape = mark == UInt8(ascii: "\"") && byte == UInt8(ascii: "\\")
      advance()
      if isEscape { advance() }
    }
    guard isHere(end) else { return }
    for _ in end { advance() }
    // The last marks of a long one may belong to it.
    if isLong { for _ in 0..<2 where next == mark { advance() } }
  }
}

func isDigit(_ byte: UInt8) -> Bool {
  (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
}

/// Letters, digits, underscores and dashes: what names consist of that have no quotes.
func isOfBareKey(_ byte: UInt8) -> Bool {
  (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || isDigit(byte)
    || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
}
