/// Where in a file its keys and values are, by key path (`server[2].mac`). The parser does not tell.
///
/// For text that the parser has taken. Whatever it is given, it ends, and keeps a bounded number of
/// places: of what lies deeper or comes later than any key of ours, only what it is part of is known.
struct SourcePlaces {
  fileprivate(set) var keys: [String: TextPlace] = [:]
  fileprivate(set) var values: [String: TextPlace] = [:]

  fileprivate static let placesMax = 20_000
  fileprivate static let depthMax = 8

  init(_ text: String) {
    var scanner = PlaceScanner(cursor: TextCursor(text))
    scanner.scan()
    self = scanner.places
  }

  fileprivate init() {}

  /// Where the key is; of one that is not there, where the table or array is that it should be in.
  func key(_ path: String) -> TextPlace? { Self.nearest(path) { keys[$0] } }

  /// Where the value is; of one that is not there, as with `key`.
  func value(_ path: String) -> TextPlace? { Self.nearest(path) { values[$0] ?? keys[$0] } }

  private static func nearest(_ path: String, _ place: (String) -> TextPlace?) -> TextPlace? {
    var path = path[...]
    while !path.isEmpty {
      if let place = place(String(path)) { return place }
      // `a.b[3].c`, `a.b[3]`, `a.b`, `a`
      path = path[..<(path.lastIndex { $0 == "." || $0 == "[" } ?? path.startIndex)]
    }
    return nil
  }
}

private struct PlaceScanner {
  var cursor: TextCursor
  var places = SourcePlaces()
  /// The tables so far of each array that is written [[name]].
  private var tableCounts: [String: Int] = [:]
  /// The path of the table that the last header has begun.
  private var table: String? = ""

  init(cursor: TextCursor) { self.cursor = cursor }

  mutating func scan() {
    while true {
      skipBlank()
      guard let byte = cursor.next, places.keys.count < SourcePlaces.placesMax else { return }
      if byte == UInt8(ascii: "[") { scanHeader() } else { scanEntry(in: table, depth: 0) }
      // Only a comment can be left, in what the parser takes.
      cursor.skipLine()
    }
  }

  private mutating func scanHeader() {
    let place = cursor.place
    cursor.advance()
    let isArray = cursor.next == UInt8(ascii: "[")
    if isArray { cursor.advance() }
    var path: String?
    let names = scanNames()
    for (index, name) in names.enumerated() {
      let whole = joined(path ?? "", name)
      note(key: whole, place)
      let isLast = index == names.count - 1
      if isLast, isArray { tableCounts[whole, default: 0] += 1 }
      // Inside of such an array the last table so far is meant.
      path = tableCounts[whole].map { "\(whole)[\($0 - 1)]" } ?? whole
      if let path { note(key: path, place) }
    }
    table = path
  }

  /// `name = value`; `path`: of the table, nil: it is not worth knowing.
  private mutating func scanEntry(in path: String?, depth: Int) {
    let place = cursor.place
    var path = path
    for name in scanNames() {
      path = path.map { joined($0, name) }
      if let path { note(key: path, place) }
    }
    cursor.advance(while: isSpace)
    guard cursor.next == UInt8(ascii: "=") else { return }
    cursor.advance()
    cursor.advance(while: isSpace)
    scanValue(path, depth: depth)
  }

  private mutating func scanValue(_ path: String?, depth: Int) {
    if let path, places.values.count < SourcePlaces.placesMax, places.values[path] == nil {
      places.values[path] = cursor.place
    }
    let inner = depth < SourcePlaces.depthMax ? path : nil
    switch cursor.next {
    case UInt8(ascii: "\""), UInt8(ascii: "'"): cursor.skipString()
    case UInt8(ascii: "["): scanList(UInt8(ascii: "]"), inner, depth: depth, isArray: true)
    case UInt8(ascii: "{"): scanList(UInt8(ascii: "}"), inner, depth: depth, isArray: false)
    default: cursor.advance { ![10, 13, 35, 44, 93, 125].contains($0) }  // # , ] }
    }
  }

  /// The elements of an array, or the entries of a table within braces. What is nested deeper than
  /// the parser takes is not looked into.
  private mutating func scanList(_ end: UInt8, _ path: String?, depth: Int, isArray: Bool) {
    guard depth < 300 else { return }
    cursor.advance()
    var index = 0
    while true {
      skipBlank()
      guard let byte = cursor.next else { return }
      if byte == end {
        cursor.advance()
        return
      }
      let begin = cursor.position
      if byte != UInt8(ascii: ",") {
        if isArray {
          scanValue(path.map { "\($0)[\(index)]" }, depth: depth + 1)
          index += 1
        } else {
          scanEntry(in: path, depth: depth + 1)
        }
      }
      if cursor.position == begin { cursor.advance() }
    }
  }

  /// The names between points, without their quotes.
  private mutating func scanNames() -> [String] {
    var names: [String] = []
    while true {
      cursor.advance(while: isSpace)
      let begin = cursor.position
      switch cursor.next {
      case UInt8(ascii: "\""), UInt8(ascii: "'"):
        cursor.skipString()
        names.append(text(from: begin + 1, to: cursor.position - 1))
      case let byte? where isOfBareKey(byte):
        cursor.advance(while: isOfBareKey)
        names.append(text(from: begin, to: cursor.position))
      default: return names
      }
      cursor.advance(while: isSpace)
      guard cursor.next == UInt8(ascii: ".") else { return names }
      cursor.advance()
    }
  }

  private func text(from begin: Int, to end: Int) -> String {
    String(decoding: cursor.bytes[min(begin, end)..<end], as: UTF8.self)
  }

  private mutating func note(key path: String, _ place: TextPlace) {
    if places.keys.count < SourcePlaces.placesMax, places.keys[path] == nil {
      places.keys[path] = place
    }
  }

  private func joined(_ path: String, _ name: String) -> String {
    path.isEmpty ? name : "\(path).\(name)"
  }

  private mutating func skipBlank() {
    while let byte = cursor.next {
      switch byte {
      case 9, 10, 13, 32: cursor.advance()
      case UInt8(ascii: "#"): cursor.skipLine()
      default: return
      }
    }
  }

  private func isSpace(_ byte: UInt8) -> Bool { byte == 9 || byte == 32 }
}
