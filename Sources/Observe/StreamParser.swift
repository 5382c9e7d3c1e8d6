/// Finds requests in what one client sends to one server, cut into pieces of any size, of which some
/// may be missing. Its memory is bounded; it never believes a length to the point of waiting for
/// more than a piece of it.
package struct StreamParser: Sendable {
  private enum Dialect: UInt8 {
    case unknown, memcached, memcachedText, memcachedBinary, redis
  }

  private var dialect: Dialect
  /// We know where in the stream we are. Otherwise the next request that can be recognized counts.
  package private(set) var isSynchronized: Bool
  /// How often we did not know any more.
  package private(set) var losses = 0
  private var text = MemcachedText()
  private var redis = RedisStream()
  /// Bytes to come that belong to a value.
  private var skip = 0
  /// The start of what is not complete.
  private var carry: [UInt8] = []

  /// The longest piece that must be there as a whole: a key with what is around it.
  private static let pieceMax = 2_048

  /// `expected`: what is spoken on the server's port; nil: whatever is recognized.
  /// `fromStart`: the stream's first byte comes next.
  package init(_ expected: KeyProtocol?, fromStart: Bool) {
    switch expected {
    case .memcached: dialect = .memcached
    case .redis: dialect = .redis
    // hotrack's own protocol knows no streams.
    case .hotrack, nil: dialect = .unknown
    }
    isSynchronized = fromStart && dialect != .unknown
  }

  /// What is spoken, as soon as that is known.
  package var keyProtocol: KeyProtocol? {
    switch dialect {
    case .unknown: nil
    case .memcached, .memcachedText, .memcachedBinary: .memcached
    case .redis: .redis
    }
  }

  /// Whose request can be recognized at the start of these bytes, if it is not known yet.
  func recognizes(_ bytes: UnsafeRawBufferPointer) -> KeyProtocol? {
    switch dialect(at: bytes) {
    case .memcachedText, .memcachedBinary: .memcached
    case .redis: .redis
    default: nil
    }
  }

  /// The next bytes.
  package mutating func consume(_ bytes: UnsafeRawBufferPointer, _ sink: inout some RequestSink) {
    var rest = bytes
    while !rest.isEmpty {
      guard isSynchronized else {
        guard let start = recognize(rest) else { return }
        rest = rest.from(start)
        isSynchronized = true
        continue
      }
      if skip > 0 {
        let count = min(skip, rest.count)
        skip -= count
        rest = rest.from(count)
        continue
      }
      if carry.isEmpty {
        let used = parse(rest, &sink)
        rest = rest.from(used)
        guard isSynchronized, skip == 0, !rest.isEmpty else { continue }
        keep(rest)
        return
      }
      let before = carry.count
      let added = min(rest.count, Self.pieceMax - before)
      carry.append(contentsOf: rest.part(0, added))
      var joined: [UInt8] = []
      swap(&joined, &carry)
      let used = joined.withUnsafeBytes { parse($0, &sink) }
      if used > before {
        rest = rest.from(used - before)
      } else if isSynchronized {
        // Nothing of what is new was enough.
        rest = rest.from(added)
        joined.removeFirst(used)
        carry = joined
        if carry.count >= Self.pieceMax { loseTrack() }
      }
    }
  }

  /// Bytes of the stream that nobody will see.
  package mutating func passOver(_ count: Int) {
    guard isSynchronized else { return }
    if carry.isEmpty, skip >= count { skip -= count } else { loseTrack() }
  }

  private mutating func keep(_ rest: UnsafeRawBufferPointer) {
    if rest.count < Self.pieceMax { carry = Array(rest) } else { loseTrack() }
  }

  private mutating func loseTrack() {
    isSynchronized = false
    losses += 1
    skip = 0
    carry = []
    text = MemcachedText()
    redis = RedisStream()
  }

  /// Takes whole pieces, until one is incomplete or a value begins. Returns the bytes taken.
  private mutating func parse(
    _ bytes: UnsafeRawBufferPointer, _ sink: inout some RequestSink
  ) -> Int {
    var used = 0
    while used < bytes.count, skip == 0 {
      let rest = bytes.from(used)
      let step: ParserStep
      switch dialect {
      case .unknown: return used
      case .memcached:
        dialect = rest[0] == MemcachedBinary.magic ? .memcachedBinary : .memcachedText
        continue
      case .memcachedText: step = text.step(rest, skip: &skip, &sink)
      case .memcachedBinary: step = MemcachedBinary.step(rest, skip: &skip, &sink)
      case .redis: step = redis.step(rest, skip: &skip, &sink)
      }
      switch step {
      case .took(let count):
        precondition(count > 0, "a step takes something, or there would be no end")
        used += count
      case .incomplete: return used
      case .lost:
        loseTrack()
        // What follows may be recognized, though not this again.
        return used
      }
    }
    return used
  }

  // MARK: Finding the way back

  /// Where the first request begins that can be recognized, and whose it is.
  private mutating func recognize(_ bytes: UnsafeRawBufferPointer) -> Int? {
    var start = 0
    while start < bytes.count {
      if let found = dialect(at: bytes.from(start)) {
        dialect = found
        return start
      }
      guard let next = nextStart(bytes.from(start + 1)) else { return nil }
      start += 1 + next
    }
    return nil
  }

  private func dialect(at bytes: UnsafeRawBufferPointer) -> Dialect? {
    guard let first = bytes.first else { return nil }
    let isMemcached = dialect != .redis
    if first == MemcachedBinary.magic {
      return isMemcached && dialect != .memcachedText && MemcachedBinary.isRecognized(bytes)
        ? .memcachedBinary : nil
    }
    if first == UInt8(ascii: "*") {
      return (dialect == .redis || dialect == .unknown) && RedisStream.isRecognized(bytes)
        ? .redis : nil
    }
    guard isMemcached, dialect != .memcachedBinary, first >= 97, first <= 122 else { return nil }
    return MemcachedText.isRecognized(bytes) ? .memcachedText : nil
  }

  /// The next place where a request may begin: behind a line end, or at the binary protocol's mark.
  private func nextStart(_ bytes: UnsafeRawBufferPointer) -> Int? {
    switch dialect {
    case .memcachedBinary: return bytes.firstIndex(of: MemcachedBinary.magic)
    // A protocol that is not known begins where a segment does.
    case .unknown: return nil
    case .memcached, .memcachedText, .redis:
      guard let end = bytes.firstIndex(of: 10), end + 1 < bytes.count else { return nil }
      return end + 1
    }
  }
}
