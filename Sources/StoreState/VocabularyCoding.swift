public import BinaryCoding

// The forms of commands and answers in bytes: in messages, in the log and in stored objects.
// Numbers of cases are never given a new meaning.

extension KeyRange: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    writer.string(key)
    writer.flag(end != nil)
    if let end { writer.string(end) }
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    key = try reader.string()
    end = try reader.flag() ? try reader.string() : nil
  }
}

extension KeyValue: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    writer.string(key)
    writer.string(value)
    writer.number(createRevision)
    writer.number(modRevision)
    writer.number(version)
    lease.encode(to: &writer)
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    key = try reader.string()
    value = try reader.string()
    createRevision = try reader.number()
    modRevision = try reader.number()
    version = try reader.small()
    lease = try UInt64?(from: &reader)
  }
}

/// At most so many elements, and zero for none that was asked for.
private func encode(_ limit: Int?, to writer: inout ByteWriter) {
  limit.map { UInt64(max(0, $0)) }.encode(to: &writer)
}

private func decodeLimit(_ reader: inout ByteReader) throws(MalformedBytes) -> Int? {
  try UInt64?(from: &reader).map { Int(clamping: $0) }
}

extension StoreOperation: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    switch self {
    case .put(let key, let value, let lease):
      writer.byte(1)
      writer.string(key)
      writer.string(value)
      lease.encode(to: &writer)
    case .delete(let range):
      writer.byte(2)
      range.encode(to: &writer)
    case .range(let range, let limit):
      writer.byte(3)
      range.encode(to: &writer)
      StoreState.encode(limit, to: &writer)
    }
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    switch try reader.byte() {
    case 1:
      self = .put(
        key: try reader.string(), value: try reader.string(), lease: try UInt64?(from: &reader))
    case 2: self = .delete(try KeyRange(from: &reader))
    case 3: self = .range(try KeyRange(from: &reader), limit: try decodeLimit(&reader))
    default: throw MalformedBytes(expected: "an operation")
    }
  }
}

extension Guard: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    writer.string(key)
    switch relation {
    case .equal: writer.byte(0)
    case .notEqual: writer.byte(1)
    case .less: writer.byte(2)
    case .greater: writer.byte(3)
    }
    switch target {
    case .version(let number):
      writer.byte(0)
      writer.number(number)
    case .createRevision(let number):
      writer.byte(1)
      writer.number(number)
    case .modRevision(let number):
      writer.byte(2)
      writer.number(number)
    case .value(let value):
      writer.byte(3)
      writer.string(value)
    }
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    key = try reader.string()
    switch try reader.byte() {
    case 0: relation = .equal
    case 1: relation = .notEqual
    case 2: relation = .less
    case 3: relation = .greater
    default: throw MalformedBytes(expected: "a relation")
    }
    switch try reader.byte() {
    case 0: target = .version(try reader.number())
    case 1: target = .createRevision(try reader.number())
    case 2: target = .modRevision(try reader.number())
    case 3: target = .value(try reader.string())
    default: throw MalformedBytes(expected: "the target of a guard")
    }
  }
}

extension Transaction: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    guards.encode(to: &writer)
    success.encode(to: &writer)
    failure.encode(to: &writer)
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    guards = try [Guard](from: &reader)
    success = try [StoreOperation](from: &reader)
    failure = try [StoreOperation](from: &reader)
  }
}

extension SessionStamp: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    writer.number(session)
    writer.number(sequence)
    writer.number(finished)
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    session = try reader.number()
    sequence = try reader.number()
    finished = try reader.number()
  }
}

extension Command: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    stamp.encode(to: &writer)
    switch action {
    case .transaction(let transaction):
      writer.byte(1)
      transaction.encode(to: &writer)
    case .openSession: writer.byte(2)
    case .closeSession(let id):
      writer.byte(3)
      writer.number(id)
    case .grantLease(let timeToLive):
      writer.byte(4)
      writer.number(timeToLive)
    case .keepAlive(let lease):
      writer.byte(5)
      writer.number(lease)
    case .revoke(let lease):
      writer.byte(6)
      writer.number(lease)
    case .expire(let lease, let renewals):
      writer.byte(7)
      writer.number(lease)
      writer.number(renewals)
    case .compact(let revision):
      writer.byte(8)
      writer.number(revision)
    }
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    stamp = try SessionStamp?(from: &reader)
    switch try reader.byte() {
    case 1: action = .transaction(try Transaction(from: &reader))
    case 2: action = .openSession
    case 3: action = .closeSession(try reader.number())
    case 4: action = .grantLease(timeToLive: try Lease.timeToLive(from: &reader))
    case 5: action = .keepAlive(lease: try reader.number())
    case 6: action = .revoke(lease: try reader.number())
    case 7: action = .expire(lease: try reader.number(), renewals: try reader.number())
    case 8: action = .compact(revision: try reader.number())
    default: throw MalformedBytes(expected: "a command")
    }
  }
}

extension StoreError: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    switch self {
    case .sessionLost: writer.byte(1)
    case .sequenceFinished: writer.byte(2)
    case .tooManyOutstanding(let limit):
      writer.byte(3)
      writer.number(UInt64(max(0, limit)))
    case .leaseNotFound(let lease):
      writer.byte(4)
      writer.number(lease)
    case .compacted(let revision):
      writer.byte(5)
      writer.number(revision)
    case .futureRevision(let revision):
      writer.byte(6)
      writer.number(revision)
    }
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    switch try reader.byte() {
    case 1: self = .sessionLost
    case 2: self = .sequenceFinished
    case 3: self = .tooManyOutstanding(limit: Int(try reader.number(as: UInt32.self)))
    case 4: self = .leaseNotFound(try reader.number())
    case 5: self = .compacted(try reader.number())
    case 6: self = .futureRevision(try reader.number())
    default: throw MalformedBytes(expected: "an error")
    }
  }
}

extension OperationResult: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    switch self {
    case .put(let previous):
      writer.byte(1)
      previous.encode(to: &writer)
    case .deleted(let pairs):
      writer.byte(2)
      pairs.encode(to: &writer)
    case .range(let pairs, let more):
      writer.byte(3)
      pairs.encode(to: &writer)
      writer.flag(more)
    }
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    switch try reader.byte() {
    case 1: self = .put(previous: try KeyValue?(from: &reader))
    case 2: self = .deleted(try [KeyValue](from: &reader))
    case 3: self = .range(try [KeyValue](from: &reader), more: try reader.flag())
    default: throw MalformedBytes(expected: "a result")
    }
  }
}

extension Response: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    switch self {
    case .transaction(let succeeded, let results, let revision):
      writer.byte(1)
      writer.flag(succeeded)
      results.encode(to: &writer)
      writer.number(revision)
    case .session(let id):
      writer.byte(2)
      writer.number(id)
    case .lease(let id):
      writer.byte(3)
      writer.number(id)
    case .done(let revision):
      writer.byte(4)
      writer.number(revision)
    case .failed(let error):
      writer.byte(5)
      error.encode(to: &writer)
    }
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    switch try reader.byte() {
    case 1:
      self = .transaction(
        succeeded: try reader.flag(), results: try [OperationResult](from: &reader),
        revision: try reader.number())
    case 2: self = .session(try reader.number())
    case 3: self = .lease(try reader.number())
    case 4: self = .done(revision: try reader.number())
    case 5: self = .failed(try StoreError(from: &reader))
    default: throw MalformedBytes(expected: "a response")
    }
  }
}

extension StoreEvent: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    writer.byte(kind == .put ? 1 : 2)
    writer.number(revision)
    pair.encode(to: &writer)
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    switch try reader.byte() {
    case 1: kind = .put
    case 2: kind = .delete
    default: throw MalformedBytes(expected: "an event")
    }
    revision = try reader.number()
    pair = try KeyValue(from: &reader)
  }
}

extension Query: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    switch self {
    case .range(let range, let limit):
      writer.byte(1)
      range.encode(to: &writer)
      StoreState.encode(limit, to: &writer)
    case .events(let range, let after):
      writer.byte(2)
      range.encode(to: &writer)
      writer.number(after)
    case .lease(let id):
      writer.byte(3)
      writer.number(id)
    }
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    switch try reader.byte() {
    case 1: self = .range(try KeyRange(from: &reader), limit: try decodeLimit(&reader))
    case 2: self = .events(try KeyRange(from: &reader), after: try reader.number())
    case 3: self = .lease(try reader.number())
    default: throw MalformedBytes(expected: "a query")
    }
  }
}

extension Lease: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    writer.number(id)
    writer.number(timeToLive)
    writer.number(renewals)
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    id = try reader.number()
    timeToLive = try Self.timeToLive(from: &reader)
    renewals = try reader.small()
  }

  /// As in etcd, at most nine billion seconds: clocks that count nanoseconds can add it.
  static func timeToLive(from reader: inout ByteReader) throws(MalformedBytes) -> UInt64 {
    let time = try reader.number()
    guard time <= 9_000_000_000_000_000_000 else {
      throw MalformedBytes(expected: "a time to live of at most 9,000,000,000 s")
    }
    return time
  }
}

extension Answer: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    switch self {
    case .range(let pairs, let more, let revision):
      writer.byte(1)
      pairs.encode(to: &writer)
      writer.flag(more)
      writer.number(revision)
    case .events(let events, let revision):
      writer.byte(2)
      events.encode(to: &writer)
      writer.number(revision)
    case .lease(let lease):
      writer.byte(3)
      lease.encode(to: &writer)
    case .failed(let error):
      writer.byte(4)
      error.encode(to: &writer)
    }
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    switch try reader.byte() {
    case 1:
      self = .range(
        try [KeyValue](from: &reader), more: try reader.flag(), revision: try reader.number())
    case 2: self = .events(try [StoreEvent](from: &reader), revision: try reader.number())
    case 3: self = .lease(try Lease(from: &reader))
    case 4: self = .failed(try StoreError(from: &reader))
    default: throw MalformedBytes(expected: "an answer")
    }
  }
}
