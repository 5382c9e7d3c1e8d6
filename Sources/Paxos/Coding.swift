public import BinaryCoding
internal import StoreState

// The forms of ballots, values, records and messages in bytes. Numbers of cases are never given a
// new meaning.

extension NodeID: BinaryCodable {
  public func encode(to writer: inout ByteWriter) { writer.number(UInt64(rawValue)) }
  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    self.init(try reader.number(as: UInt16.self))
  }
}

extension Proposer: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    node.encode(to: &writer)
    writer.wide(incarnation)
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    self.init(node: try NodeID(from: &reader), incarnation: try reader.wide())
  }
}

extension Ballot: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    writer.number(UInt64(round))
    writer.number(UInt64(zone))
    proposer.encode(to: &writer)
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    self.init(
      round: try reader.number(as: UInt32.self), zone: try reader.number(as: UInt16.self),
      proposer: try Proposer(from: &reader))
    // Every ballot has a higher one.
    guard round < .max / 2 else { throw MalformedBytes(expected: "a ballot") }
  }
}

extension ObjectID: BinaryCodable {
  public func encode(to writer: inout ByteWriter) { writer.text(name) }
  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    self.init(try reader.text())
  }
}

extension ValueID: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    proposer.encode(to: &writer)
    writer.number(number)
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    self.init(proposer: try Proposer(from: &reader), number: try reader.number())
  }
}

extension Value: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    id.encode(to: &writer)
    next.encode(to: &writer)
    commands.encode(to: &writer)
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    self.init(
      id: try ValueID(from: &reader), next: try Proposer(from: &reader),
      commands: try [Command](from: &reader))
  }
}

extension Vote: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    ballot.encode(to: &writer)
    value.encode(to: &writer)
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    self.init(ballot: try Ballot(from: &reader), value: try Value(from: &reader))
  }
}

extension ObjectSnapshot: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    writer.number(chosen)
    chosenID.encode(to: &writer)
    next.encode(to: &writer)
    state.encode(to: &writer)
    suffix.encode(to: &writer)
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    let chosen = try reader.small()
    let chosenID = try ValueID?(from: &reader)
    let next = try Proposer?(from: &reader)
    let state = try GroupState(from: &reader)
    let suffix = try [Value](from: &reader)
    guard UInt64(suffix.count) <= chosen else {
      throw MalformedBytes(expected: "no more values than entries")
    }
    self.init(chosen: chosen, chosenID: chosenID, next: next, state: state, suffix: suffix)
  }
}

extension SnapshotRow: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    id.encode(to: &writer)
    snapshot.encode(to: &writer)
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    self.init(try ObjectID(from: &reader), try ObjectSnapshot(from: &reader))
  }
}

extension ObjectImage: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    snapshot.encode(to: &writer)
    promised.encode(to: &writer)
    accepted.encode(to: &writer)
    floor.encode(to: &writer)
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    snapshot = try ObjectSnapshot(from: &reader)
    promised = try Ballot?(from: &reader)
    accepted = try Vote?(from: &reader)
    floor = try reader.flag() ? try reader.small() : nil
  }
}

extension LogRecord: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    object.encode(to: &writer)
    switch body {
    case .promised(let entry, let ballot):
      writer.byte(1)
      writer.number(entry)
      ballot.encode(to: &writer)
    case .accepted(let entry, let vote):
      writer.byte(2)
      writer.number(entry)
      vote.encode(to: &writer)
    case .chosen(let entry, let id, let value):
      writer.byte(3)
      writer.number(entry)
      id.encode(to: &writer)
      value.encode(to: &writer)
    case .installed(let snapshot):
      writer.byte(4)
      snapshot.encode(to: &writer)
    case .floor(let floor):
      writer.byte(5)
      writer.number(floor)
    }
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    object = try ObjectID(from: &reader)
    switch try reader.byte() {
    case 1: body = .promised(entry: try reader.number(), try Ballot(from: &reader))
    case 2: body = .accepted(entry: try reader.number(), try Vote(from: &reader))
    case 3:
      body = .chosen(
        entry: try reader.number(), try ValueID(from: &reader), value: try Value?(from: &reader))
    case 4: body = .installed(try ObjectSnapshot(from: &reader))
    case 5: body = .floor(try reader.small())
    default: throw MalformedBytes(expected: "a record")
    }
  }
}

extension Attempt: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    proposer.encode(to: &writer)
    writer.number(number)
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    self.init(proposer: try Proposer(from: &reader), number: try reader.number())
  }
}

extension ObjectStatus: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    writer.number(chosen)
    writer.flag(hasPromised)
    writer.flag(isVoting)
    writer.flag(accepted != nil)
    accepted?.ballot.encode(to: &writer)
    accepted?.value.encode(to: &writer)
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    let chosen = try reader.small()
    let (hasPromised, isVoting) = (try reader.flag(), try reader.flag())
    let hasAccepted = try reader.flag()
    self.init(
      chosen: chosen, hasPromised: hasPromised,
      accepted: hasAccepted
        ? AcceptedID(ballot: try Ballot(from: &reader), value: try ValueID(from: &reader)) : nil,
      isVoting: isVoting)
  }
}

extension Message: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    object.encode(to: &writer)
    writer.flag(life != 0)
    if life != 0 { writer.wide(life) }
    switch body {
    case .prepare(let entry, let ballot, let previous):
      writer.byte(1)
      writer.number(entry)
      ballot.encode(to: &writer)
      previous.encode(to: &writer)
    case .promise(let entry, let ballot, let accepted):
      writer.byte(2)
      writer.number(entry)
      ballot.encode(to: &writer)
      accepted.encode(to: &writer)
    case .accept(let entry, let vote, let previous):
      writer.byte(3)
      writer.number(entry)
      vote.encode(to: &writer)
      previous.encode(to: &writer)
    case .accepted(let entry, let ballot):
      writer.byte(4)
      writer.number(entry)
      ballot.encode(to: &writer)
    case .refused(let entry, let ballot, let promised):
      writer.byte(5)
      writer.number(entry)
      ballot.encode(to: &writer)
      promised.encode(to: &writer)
    case .chosen(let entry, let value, let digest):
      writer.byte(6)
      writer.number(entry)
      value.encode(to: &writer)
      writer.flag(digest != nil)
      if let digest { writer.wide(digest) }
    case .fetch(let first):
      writer.byte(7)
      writer.number(first)
    case .entries(let first, let values):
      writer.byte(8)
      writer.number(first)
      values.encode(to: &writer)
    case .snapshot(let snapshot):
      writer.byte(9)
      snapshot.encode(to: &writer)
    case .query(let attempt):
      writer.byte(10)
      attempt.encode(to: &writer)
    case .status(let attempt, let status):
      writer.byte(11)
      attempt.encode(to: &writer)
      status.encode(to: &writer)
    case .renounce: writer.byte(12)
    case .renounced(let life):
      writer.byte(13)
      writer.wide(life)
    case .list(let attempt, let first):
      writer.byte(14)
      attempt.encode(to: &writer)
      writer.number(first)
    case .names(let attempt, let incarnation, let first, let names, let count):
      writer.byte(15)
      attempt.encode(to: &writer)
      writer.wide(incarnation)
      writer.number(first)
      names.encode(to: &writer)
      writer.number(count)
    }
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    object = try ObjectID(from: &reader)
    life = try reader.flag() ? try reader.wide() : 0
    let kind = try reader.byte()
    switch kind {
    case 1...8: body = try Self.body(kind, entry: try Self.entry(&reader), &reader)
    case 9: body = .snapshot(try ObjectSnapshot(from: &reader))
    case 10: body = .query(try Attempt(from: &reader))
    case 11: body = .status(try Attempt(from: &reader), try ObjectStatus(from: &reader))
    case 12: body = .renounce
    case 13: body = .renounced(life: try reader.wide())
    case 14: body = .list(try Attempt(from: &reader), from: try reader.number())
    case 15:
      body = .names(
        try Attempt(from: &reader), of: try reader.wide(), from: try reader.number(),
        try [ObjectID](from: &reader), count: try reader.number())
    default: throw MalformedBytes(expected: "a message")
    }
  }

  /// Entries are counted from 1, and always have one after them.
  private static func entry(_ reader: inout ByteReader) throws(MalformedBytes) -> UInt64 {
    let entry = try reader.small()
    guard entry > 0 else { throw MalformedBytes(expected: "an entry") }
    return entry
  }

  private static func body(
    _ kind: UInt8, entry: UInt64, _ reader: inout ByteReader
  ) throws(MalformedBytes) -> Body {
    switch kind {
    case 1: .prepare(entry: entry, try Ballot(from: &reader), previous: try ValueID?(from: &reader))
    case 2: .promise(entry: entry, try Ballot(from: &reader), accepted: try Vote?(from: &reader))
    case 3: .accept(entry: entry, try Vote(from: &reader), previous: try ValueID?(from: &reader))
    case 4: .accepted(entry: entry, try Ballot(from: &reader))
    case 5: .refused(entry: entry, try Ballot(from: &reader), promised: try Ballot(from: &reader))
    case 6:
      .chosen(
        entry: entry, try ValueID(from: &reader),
        digest: try reader.flag() ? try reader.wide() : nil)
    case 7: .fetch(from: entry)
    case 8: .entries(first: entry, try [Value](from: &reader))
    default: throw MalformedBytes(expected: "a message")
    }
  }
}
