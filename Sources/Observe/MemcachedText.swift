/// memcached's text protocol, the client's side, with its meta commands. It takes a word at a time,
/// so a request may be cut anywhere.
struct MemcachedText: Sendable {
  private enum State: UInt8 {
    case command
    /// The rest of the line are keys.
    case keys
    /// One word, then keys (`gat`).
    case wordThenKeys
    /// A key, and nothing more that matters.
    case key
    /// A key, flags, time, then the value's length; or after the key the length at once (`ms`).
    case storage
    case restOfLine
  }

  private var state = State.command
  private var isRead = false
  /// The next word's place behind the command.
  private var word: UInt8 = 0
  /// The value's length stands there.
  private var lengthWord: UInt8 = 0
  /// Of the line so far.
  private var lineLength: UInt32 = 0
  private var valueLength: Int?

  private static let lineLengthMax = 65_536
  private static let keyLengthMax = 250
  private static let verbLengthMax = 16

  /// `skip`: bytes behind those taken that belong to a value.
  mutating func step(
    _ bytes: UnsafeRawBufferPointer, skip: inout Int, _ sink: inout some RequestSink
  ) -> ParserStep {
    let step =
      switch state {
      case .command: command(bytes, &sink)
      case .restOfLine: restOfLine(bytes, skip: &skip)
      default: argument(bytes, skip: &skip, &sink)
      }
    if case .took(let count) = step, state != .command {
      lineLength += UInt32(clamping: count)
      if lineLength > Self.lineLengthMax { return .lost }
    }
    return step
  }

  private mutating func command(
    _ bytes: UnsafeRawBufferPointer, _ sink: inout some RequestSink
  ) -> ParserStep {
    guard let end = bytes.prefix(Self.verbLengthMax + 1).firstIndex(where: { $0 <= 32 }) else {
      return bytes.count > Self.verbLengthMax ? .lost : .incomplete
    }
    guard Self.endsWord(bytes[end]) else { return .lost }
    guard let verb = Verb(bytes.part(0, end)) else {
      // An empty line is none.
      guard end == 0, bytes[0] == 13 || bytes[0] == 10 else { return .lost }
      return .took(1)
    }
    (word, lineLength, valueLength) = (0, 0, nil)
    isRead = verb.isRead
    lengthWord = verb.lengthWord
    switch verb.form {
    case .keys: state = .keys
    case .wordThenKeys: state = .wordThenKeys
    case .key: state = .key
    case .storage: state = .storage
    case .none:
      sink.requestWithoutKey()
      state = .restOfLine
    }
    return .took(end)
  }

  private mutating func argument(
    _ bytes: UnsafeRawBufferPointer, skip: inout Int, _ sink: inout some RequestSink
  ) -> ParserStep {
    guard let start = bytes.firstIndex(where: { $0 != 32 }) else {
      return bytes.isEmpty ? .incomplete : .took(bytes.count)
    }
    if bytes[start] == 13 || bytes[start] == 10 {
      state = .restOfLine
      return start > 0 ? .took(start) : restOfLine(bytes, skip: &skip)
    }
    let room = bytes.from(start)
    guard let end = room.prefix(Self.keyLengthMax + 1).firstIndex(where: { $0 <= 32 }) else {
      return room.count > Self.keyLengthMax ? .lost : .incomplete
    }
    defer { word = word == .max ? word : word + 1 }
    // Nor is there a word of no bytes: what begins it is no blank.
    guard Self.endsWord(room[end]), end > 0 else { return .lost }
    let text = room.part(0, end)
    switch state {
    case .keys: sink.request(key: text, isRead: isRead)
    case .wordThenKeys: state = .keys
    case .key:
      sink.request(key: text, isRead: isRead)
      state = .restOfLine
    case .storage where word == 0: sink.request(key: text, isRead: isRead)
    case .storage where word == lengthWord:
      guard let length = number(text), length <= Observe.valueLengthMax else { return .lost }
      valueLength = length
      state = .restOfLine
    default: break
    }
    return .took(start + end)
  }

  /// Other control characters end nothing; they are no memcached.
  private static func endsWord(_ byte: UInt8) -> Bool { byte == 32 || byte == 13 || byte == 10 }

  private mutating func restOfLine(
    _ bytes: UnsafeRawBufferPointer, skip: inout Int
  ) -> ParserStep {
    guard let end = bytes.firstIndex(of: 10) else {
      return bytes.isEmpty ? .incomplete : .took(bytes.count)
    }
    if let valueLength { skip = valueLength + 2 }
    state = .command
    return .took(end + 1)
  }

  /// Whether a command stands at the start that one would know in the middle of anything: a verb
  /// with a key, and for a value its whole line.
  static func isRecognized(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let end = bytes.prefix(verbLengthMax).firstIndex(of: 32),
      let verb = Verb(bytes.part(0, end)), verb.form != .none
    else { return false }
    let rest = bytes.from(end + 1)
    let lineEnd = rest.prefix(4_096).firstIndex(of: 10)
    let line = rest.part(0, lineEnd ?? min(rest.count, 4_096))
    // A line of which the end is missing may only be one of keys.
    guard lineEnd != nil || verb.form == .keys else { return false }
    let words = line.split(whereSeparator: { $0 == 32 || $0 == 13 })
    guard let key = words.first, key.count <= keyLengthMax,
      line.allSatisfy({ $0 >= 32 && $0 != 127 || $0 == 13 })
    else { return false }
    guard verb.form == .storage else { return true }
    guard words.count > Int(verb.lengthWord) else { return false }
    return number(UnsafeRawBufferPointer(rebasing: words[Int(verb.lengthWord)])) != nil
  }

  /// What the commands do, and where their keys are.
  private struct Verb {
    enum Form { case keys, wordThenKeys, key, storage, none }
    var form: Form
    var isRead = false
    var lengthWord: UInt8 = 0

    init?(_ text: UnsafeRawBufferPointer) {
      // Eight bytes tell all that have a key apart.
      var packed: UInt64 = 0
      for byte in text.prefix(8) { packed = packed << 8 | UInt64(byte) }
      switch packed {
      case verb("get"), verb("gets"): (form, isRead) = (.keys, true)
      case verb("gat"), verb("gats"): (form, isRead) = (.wordThenKeys, true)
      case verb("mg"): (form, isRead) = (.key, true)
      case verb("set"), verb("add"), verb("cas"), verb("replace"), verb("append"), verb("prepend"):
        (form, lengthWord) = (.storage, 3)
      case verb("ms"): (form, lengthWord) = (.storage, 1)
      case verb("delete"), verb("incr"), verb("decr"), verb("touch"), verb("md"), verb("ma"):
        form = .key
      case verb("mn"), verb("me"), verb("stats"), verb("version"), verb("flush_al"),
        verb("verbosit"), verb("quit"), verb("slabs"), verb("lru"), verb("lru_craw"),
        verb("watch"), verb("cache_me"), verb("shutdown"), verb("debug"), verb("extstore"):
        form = .none
      default: return nil
      }
      guard form == .none || text.count <= 8 else { return nil }
    }
  }
}

/// A verb's first eight bytes as a number.
@inline(__always) private func verb(_ text: StaticString) -> UInt64 {
  var packed: UInt64 = 0
  for index in 0..<min(text.utf8CodeUnitCount, 8) {
    packed = packed << 8 | UInt64(text.utf8Start[index])
  }
  return packed
}

/// A decimal number without a sign, of at most ten digits.
func number(_ text: UnsafeRawBufferPointer) -> Int? {
  guard (1...10).contains(text.count) else { return nil }
  var value = 0
  for byte in text {
    guard byte >= 48, byte <= 57 else { return nil }
    value = value * 10 + Int(byte - 48)
  }
  return value
}
