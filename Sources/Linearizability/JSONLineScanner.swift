/// What is wrong with a line, and what was expected.
struct LineError: Error {
  var message: String
  init(_ message: String) { self.message = message }
}

/// Reads one flat JSON object (RFC 8259) without building a tree: histories have millions of lines.
struct JSONLineScanner {
  private let bytes: UnsafeRawBufferPointer
  private var position = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// Calls `field` with each name, standing before the value, which it must consume.
  mutating func object(
    _ field: (String, inout JSONLineScanner) throws(LineError) -> Void
  ) throws(LineError) {
    try expect("{", "an object such as {\"client\":1,...}")
    skipSpace()
    if peek() == UInt8(ascii: "}") {
      position += 1
    } else {
      while true {
        let name = try string("a field's name")
        try expect(":", "a colon after \"\(name)\"")
        try field(name, &self)
        skipSpace()
        let next = peek()
        guard next == UInt8(ascii: ",") || next == UInt8(ascii: "}") else {
          throw unexpected("a comma or } after \"\(name)\"")
        }
        position += 1
        if next == UInt8(ascii: "}") { break }
      }
    }
    skipSpace()
    guard position == bytes.count else { throw unexpected("the end of the line") }
  }

  mutating func integer<Value: FixedWidthInteger>(_ name: String) throws(LineError) -> Value {
    skipSpace()
    let start = position
    if peek() == UInt8(ascii: "-") { position += 1 }
    while let byte = peek(), byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") {
      position += 1
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    guard let value = Value(text), !isNumberContinued else {
      position = start
      throw unexpected("\"\(name)\" to be an integer from \(Value.min) to \(Value.max)")
    }
    return value
  }

  mutating func integerOrNull<Value: FixedWidthInteger>(
    _ name: String
  ) throws(LineError) -> Value? {
    try skipNull() ? nil : try integer(name)
  }

  mutating func string(_ name: String) throws(LineError) -> String {
    skipSpace()
    guard peek() == UInt8(ascii: "\"") else { throw unexpected("\"\(name)\" to be a string") }
    position += 1
    let start = position
    while let byte = peek(), byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
      position += 1
    }
    guard peek() == UInt8(ascii: "\\") else {
      guard peek() != nil else { throw LineError("expected the end of the string \"\(name)\"") }
      defer { position += 1 }
      return String(decoding: bytes[start..<position], as: UTF8.self)
    }
    return try escapedString(name, from: start)
  }

  mutating func stringOrNull(_ name: String) throws(LineError) -> String? {
    try skipNull() ? nil : try string(name)
  }

  /// One of an enumeration's words.
  mutating func word<Word: RawRepresentable<String> & CaseIterable>(
    _ name: String
  ) throws(LineError) -> Word {
    let text = try string(name)
    guard let word = Word(rawValue: text) else {
      let words = Word.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
      throw LineError("expected \"\(name)\" to be one of \(words), found \"\(text)\"")
    }
    return word
  }

  /// A field that means nothing to us: a string, a number, true, false or null.
  mutating func skipValue(_ name: String) throws(LineError) {
    skipSpace()
    if peek() == UInt8(ascii: "\"") {
      _ = try string(name)
      return
    }
    let start = position
    while let byte = peek(), byte != UInt8(ascii: ","), byte != UInt8(ascii: "}") {
      guard byte != UInt8(ascii: "{"), byte != UInt8(ascii: "[") else {
        throw unexpected("\"\(name)\" to be a plain value")
      }
      position += 1
    }
    guard position > start else { throw unexpected("a value for \"\(name)\"") }
  }

  private mutating func escapedString(
    _ name: String, from start: Int
  ) throws(LineError) -> String {
    var text = Array(bytes[start..<position])
    while let byte = peek() {
      position += 1
      if byte == UInt8(ascii: "\"") { return String(decoding: text, as: UTF8.self) }
      guard byte == UInt8(ascii: "\\") else {
        text.append(byte)
        continue
      }
      guard let escape = peek() else { break }
      position += 1
      switch escape {
      case UInt8(ascii: "n"): text.append(10)
      case UInt8(ascii: "t"): text.append(9)
      case UInt8(ascii: "r"): text.append(13)
      case UInt8(ascii: "b"): text.append(8)
      case UInt8(ascii: "f"): text.append(12)
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(escape)
      case UInt8(ascii: "u"): text.append(contentsOf: try unicodeEscape(name))
      default: throw LineError("expected a JSON escape in \"\(name)\"")
      }
    }
    throw LineError("expected the end of the string \"\(name)\"")
  }

  private mutating func unicodeEscape(_ name: String) throws(LineError) -> [UInt8] {
    var unit = try hexadecimal(name)
    if unit >> 10 == 0x36, peek() == UInt8(ascii: "\\") {
      position += 2
      unit = 0x10000 + (unit & 0x3ff) << 10 + (try hexadecimal(name)) & 0x3ff
    }
    guard let scalar = Unicode.Scalar(unit) else {
      throw LineError("expected a Unicode character in \"\(name)\"")
    }
    return Array(String(scalar).utf8)
  }

  private mutating func hexadecimal(_ name: String) throws(LineError) -> UInt32 {
    let end = position + 4
    guard end <= bytes.count,
      let value = UInt32(String(decoding: bytes[position..<end], as: UTF8.self), radix: 16)
    else { throw LineError("expected four hexadecimal digits in \"\(name)\"") }
    position = end
    return value
  }

  private mutating func skipNull() throws(LineError) -> Bool {
    skipSpace()
    guard peek() == UInt8(ascii: "n") else { return false }
    for byte in "null".utf8 {
      guard peek() == byte else { throw unexpected("null") }
      position += 1
    }
    return true
  }

  private var isNumberContinued: Bool {
    guard let byte = peek() else { return false }
    return byte == UInt8(ascii: ".") || byte | 0x20 == UInt8(ascii: "e")
  }

  private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = peek(), byte == 32 || byte == 9 || byte == 13 { position += 1 }
  }

  private mutating func expect(_ character: Unicode.Scalar, _ what: String) throws(LineError) {
    skipSpace()
    guard peek() == UInt8(ascii: character) else { throw unexpected(what) }
    position += 1
  }

  private func unexpected(_ expected: String) -> LineError {
    let rest = bytes[position..<min(position + 12, bytes.count)]
    let found = rest.isEmpty ? "the end of the line" : "'\(String(decoding: rest, as: UTF8.self))'"
    return LineError("expected \(expected), found \(found) in column \(position + 1)")
  }
}
