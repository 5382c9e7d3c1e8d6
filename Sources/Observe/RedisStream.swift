/// Redis' protocol (RESP), the client's side: an array of bulk strings for each command, or words on
/// a line. Clients write the same in RESP2 and RESP3. It takes an argument at a time, so a command
/// may be cut anywhere, and values are never looked at.
struct RedisStream: Sendable {
  /// Arguments of the command that are still to come, and all.
  private var argumentsLeft: Int32 = 0
  private var arguments: Int32 = 0
  private var command: RedisCommand?
  /// Keys behind `RedisCommand.countAt`.
  private var keyCount: Int32 = 0

  private static let argumentsMax = 1_048_576
  private static let lineLengthMax = 1_024
  /// A length with its sign and line end.
  private static let lengthLineMax = 16

  mutating func step(
    _ bytes: UnsafeRawBufferPointer, skip: inout Int, _ sink: inout some RequestSink
  ) -> ParserStep {
    guard let first = bytes.first else { return .incomplete }
    if argumentsLeft > 0 { return argument(bytes, skip: &skip, &sink) }
    if first == UInt8(ascii: "*") { return array(bytes, &sink) }
    return inline(bytes, &sink)
  }

  private mutating func array(
    _ bytes: UnsafeRawBufferPointer, _ sink: inout some RequestSink
  ) -> ParserStep {
    switch Self.lengthLine(bytes) {
    case .incomplete: return .incomplete
    case .none: return .lost
    case .some(let count, let length):
      guard count <= Self.argumentsMax else { return .lost }
      (arguments, argumentsLeft) = (Int32(count), Int32(count))
      (command, keyCount) = (nil, 0)
      return .took(length)
    }
  }

  private mutating func argument(
    _ bytes: UnsafeRawBufferPointer, skip: inout Int, _ sink: inout some RequestSink
  ) -> ParserStep {
    guard bytes[0] == UInt8(ascii: "$") else { return .lost }
    guard case .some(let length, let lineLength) = Self.lengthLine(bytes) else {
      if case .incomplete = Self.lengthLine(bytes) { return .incomplete }
      return .lost
    }
    guard length <= valueLengthMax else { return .lost }
    let index = Int(arguments - argumentsLeft)
    guard isLookedAt(index), length <= keyLengthMax else {
      if index == 0 { sink.requestWithoutKey() }
      argumentsLeft -= 1
      skip = length + 2
      return .took(lineLength)
    }
    // The argument and the end of its line in one piece.
    let end = lineLength + length + 2
    guard bytes.count >= end else { return .incomplete }
    guard bytes[end - 2] == 13, bytes[end - 1] == 10 else { return .lost }
    argumentsLeft -= 1
    take(bytes.part(lineLength, length), index, &sink)
    return .took(end)
  }

  /// Whether the argument at `index` is a name, a number of keys, or a key.
  private func isLookedAt(_ index: Int) -> Bool {
    guard index > 0 else { return true }
    guard let command else { return false }
    return index == command.countAt || isKey(index, command)
  }

  private func isKey(_ index: Int, _ command: RedisCommand) -> Bool {
    guard command.first > 0, index >= command.first else { return false }
    let last: Int
    if command.countAt > 0 {
      last = command.countAt + Int(keyCount)
    } else {
      last = command.last < 0 ? Int(arguments) + command.last : command.last
    }
    return index <= last && (index - command.first) % command.step == 0
  }

  private mutating func take(
    _ text: UnsafeRawBufferPointer, _ index: Int, _ sink: inout some RequestSink
  ) {
    guard index > 0 else {
      command = RedisCommand.named(text)
      if command.map({ $0.first == 0 }) ?? true { sink.requestWithoutKey() }
      return
    }
    guard let command else { return }
    if index == command.countAt {
      keyCount = Int32(clamping: number(text) ?? 0)
    } else if !text.isEmpty {
      let isRead: Bool
      switch command.access {
      case .read: isRead = true
      case .write: isRead = false
      case .writeFirst: isRead = index != command.first
      }
      sink.request(key: text, isRead: isRead)
    }
  }

  /// Words on a line, as people type them and health checks send them.
  private mutating func inline(
    _ bytes: UnsafeRawBufferPointer, _ sink: inout some RequestSink
  ) -> ParserStep {
    guard let end = bytes.prefix(Self.lineLengthMax).firstIndex(of: 10) else {
      return bytes.count >= Self.lineLengthMax ? .lost : .incomplete
    }
    let words = bytes[..<end].split(whereSeparator: { $0 == 32 || $0 == 13 })
    guard let name = words.first else { return .took(end + 1) }
    guard name.allSatisfy({ $0 | 32 >= 97 && $0 | 32 <= 122 || $0 == 95 }) else { return .lost }
    arguments = Int32(words.count)
    keyCount = 0
    for (index, word) in words.enumerated() where isLookedAt(index) {
      take(UnsafeRawBufferPointer(rebasing: word), index, &sink)
    }
    (arguments, command) = (0, nil)
    return .took(end + 1)
  }

  /// Whether a command stands at the start that one would know in the middle of anything: an array
  /// of which the first string is the name of a command.
  static func isRecognized(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.first == UInt8(ascii: "*"), case .some(let count, let length) = lengthLine(bytes),
      (1...argumentsMax).contains(count)
    else { return false }
    let rest = bytes.from(length)
    guard rest.first == UInt8(ascii: "$"), case .some(let size, let lineLength) = lengthLine(rest),
      (1...RedisCommand.nameLengthMax).contains(size), rest.count >= lineLength + size
    else { return false }
    return RedisCommand.named(rest.part(lineLength, size)) != nil
  }

  private enum LengthLine {
    case none
    case incomplete
    case some(Int, length: Int)
  }

  /// A mark, a number, and a line end.
  private static func lengthLine(_ bytes: UnsafeRawBufferPointer) -> LengthLine {
    guard let end = bytes.prefix(lengthLineMax).firstIndex(of: 10) else {
      return bytes.count >= lengthLineMax ? .none : .incomplete
    }
    guard end >= 3, bytes[end - 1] == 13, let value = number(bytes.part(1, end - 2)) else {
      return .none
    }
    return .some(value, length: end + 1)
  }
}
