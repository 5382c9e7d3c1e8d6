public import BinaryCoding

// The form of a group's state in bytes. What is read is as the state machine would have made it:
// ordered where it looks things up by halving.

extension GroupState: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    limits.encode(to: &writer)
    writer.number(revision)
    writer.number(compactedRevision)
    pairs.encode(to: &writer)
    leases.encode(to: &writer)
    Array(events.kept).encode(to: &writer)
    sessions.encode(to: &writer)
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    self.init(try GroupLimits(from: &reader))
    let revision = try reader.small()
    let compacted = try reader.number()
    let pairs = try [KeyValue](from: &reader)
    let leases = try [Lease](from: &reader)
    let events = try [StoreEvent](from: &reader)
    for (a, b) in zip(pairs, pairs.dropFirst())
    where !a.key.lexicographicallyPrecedes(b.key) {
      throw MalformedBytes(expected: "keys in their order")
    }
    for (a, b) in zip(leases, leases.dropFirst()) where a.id >= b.id {
      throw MalformedBytes(expected: "leases in their order")
    }
    for (a, b) in zip(events, events.dropFirst()) where a.revision > b.revision {
      throw MalformedBytes(expected: "events in their order")
    }
    restore(
      revision: revision, compacted: compacted, pairs: pairs, leases: leases, events: events,
      sessions: try SessionTable(from: &reader))
  }
}

extension GroupLimits: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    writer.number(UInt64(max(0, sessions)))
    writer.number(UInt64(max(0, events)))
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    self.init(
      sessions: Int(try reader.number(as: UInt32.self)),
      events: Int(try reader.number(as: UInt32.self)))
  }
}

extension SessionTable: BinaryCodable {
  public func encode(to writer: inout ByteWriter) {
    writer.number(opened)
    sessions.encode(to: &writer)
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    self.init()
    opened = try reader.small()
    sessions = try [Session](from: &reader)
    for (a, b) in zip(sessions, sessions.dropFirst()) where a.id >= b.id {
      throw MalformedBytes(expected: "sessions in their order")
    }
  }
}

extension SessionTable.Session: BinaryCodable {
  func encode(to writer: inout ByteWriter) {
    writer.number(id)
    writer.number(lastUsed)
    writer.number(finished)
    results.encode(to: &writer)
  }

  init(from reader: inout ByteReader) throws(MalformedBytes) {
    id = try reader.number()
    lastUsed = try reader.number()
    finished = try reader.number()
    results = try [SessionTable.Result](from: &reader)
  }
}

extension SessionTable.Result: BinaryCodable {
  func encode(to writer: inout ByteWriter) {
    writer.number(sequence)
    response.encode(to: &writer)
  }

  init(from reader: inout ByteReader) throws(MalformedBytes) {
    sequence = try reader.number()
    response = try Response(from: &reader)
  }
}
