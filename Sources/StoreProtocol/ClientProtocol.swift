public import BinaryCoding
public import Paxos
public import StoreState

/// What clients and nodes of a store say to each other on a connection: frames, each a length in
/// four bytes (little-endian) and so many bytes. The first frame of either side is a greeting; then
/// the client sends requests, each with a number of its choice, and the node answers them in any
/// order under that number.
public enum StoreProtocolLimits {
  public static let version: UInt64 = 2
  /// Bytes of a client's frame: as in etcd, a request has at most 1.5 MiB.
  public static let requestMax = 3 << 19
  /// Bytes of a node's frame.
  public static let replyMax = 1 << 30
  /// Bytes of the name of a group.
  public static let groupNameMax = 256
  /// Bytes of a key.
  public static let keyMax = 4_096
  /// Operations and guards of a transaction.
  public static let operationsMax = 128
  /// Snapshots that a node takes at one time.
  public static let snapshotsMax = 4
}

/// The first frame on a connection, from either side.
public struct StoreGreeting: BinaryCodable, Sendable, Equatable {
  private static let magic: UInt64 = 0x3152_5453_5448  // "HTSTR1"
  public var version: UInt64
  /// Of the cell; 0 from a client that takes any.
  public var cell: UInt64
  /// The node that speaks, or the one that is meant; 0 from a client.
  public var node: UInt64

  public init(version: UInt64 = StoreProtocolLimits.version, cell: UInt64, node: UInt64) {
    self.version = version
    self.cell = cell
    self.node = node
  }

  public func encode(to writer: inout ByteWriter) {
    writer.wide(Self.magic)
    writer.number(version)
    writer.wide(cell)
    writer.number(node)
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    guard try reader.wide() == Self.magic else {
      throw MalformedBytes(expected: "the greeting of a store")
    }
    version = try reader.number()
    cell = try reader.wide()
    node = try reader.number()
  }
}

/// A client's request.
public struct StoreRequest: BinaryCodable, Sendable, Equatable {
  public enum Body: Sendable, Equatable {
    case propose(group: String, Command)
    case read(group: String, Query, ReadMode)
    /// Tells of all changes in a range after a revision (nil: from now on) until it is cancelled.
    case watch(group: String, KeyRange, after: UInt64?)
    /// Ends the watch with this request number.
    case cancel(UInt64)
    case status
    /// The names of groups after one, in order; of this node alone.
    case groups(after: String, limit: UInt64)
    /// All that this node has of a group.
    case image(group: String)
    /// Begins a snapshot of all that this node has (nil), or asks for the next part of one that this
    /// connection has begun; it ends with the last part, or the connection.
    case snapshot(UInt64?)
  }

  public var number: UInt64
  public var body: Body

  public init(number: UInt64, _ body: Body) {
    self.number = number
    self.body = body
  }

  public func encode(to writer: inout ByteWriter) {
    writer.number(number)
    switch body {
    case .propose(let group, let command):
      writer.byte(1)
      writer.text(group)
      command.encode(to: &writer)
    case .read(let group, let query, let mode):
      writer.byte(2)
      writer.text(group)
      query.encode(to: &writer)
      switch mode {
      case .linearizable: writer.byte(0)
      case .serializable: writer.byte(1)
      case .boundedStale(let age):
        writer.byte(2)
        writer.number(age)
      }
    case .watch(let group, let range, let after):
      writer.byte(3)
      writer.text(group)
      range.encode(to: &writer)
      after.encode(to: &writer)
    case .cancel(let watch):
      writer.byte(4)
      writer.number(watch)
    case .status: writer.byte(5)
    case .groups(let after, let limit):
      writer.byte(6)
      writer.text(after)
      writer.number(limit)
    case .image(let group):
      writer.byte(7)
      writer.text(group)
    case .snapshot(let number):
      writer.byte(8)
      number.encode(to: &writer)
    }
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    number = try reader.number()
    switch try reader.byte() {
    case 1: body = .propose(group: try Self.group(&reader), try Command(from: &reader))
    case 2:
      body = .read(
        group: try Self.group(&reader), try Query(from: &reader), try Self.mode(&reader))
    case 3:
      body = .watch(
        group: try Self.group(&reader), try KeyRange(from: &reader),
        after: try UInt64?(from: &reader))
    case 4: body = .cancel(try reader.number())
    case 5: body = .status
    case 6: body = .groups(after: try reader.text(), limit: try reader.number())
    case 7: body = .image(group: try Self.group(&reader))
    case 8: body = .snapshot(try UInt64?(from: &reader))
    default: throw MalformedBytes(expected: "a request")
    }
  }

  private static func group(_ reader: inout ByteReader) throws(MalformedBytes) -> String {
    let name = try reader.text()
    guard name.utf8.count <= StoreProtocolLimits.groupNameMax else {
      throw MalformedBytes(
        expected: "the name of a group, at most \(StoreProtocolLimits.groupNameMax) bytes")
    }
    return name
  }

  private static func mode(_ reader: inout ByteReader) throws(MalformedBytes) -> ReadMode {
    switch try reader.byte() {
    case 0: .linearizable
    case 1: .serializable
    case 2: .boundedStale(try reader.number(as: UInt64.self))
    default: throw MalformedBytes(expected: "a read mode")
    }
  }
}

/// A node's answer to the request with the same number.
public struct StoreReply: BinaryCodable, Sendable, Equatable {
  public enum Body: Sendable, Equatable {
    case outcome(Outcome)
    /// Not taken at all, and why.
    case refused(Refusal)
    /// The watch has begun: it tells of what comes after this revision.
    case watching(after: UInt64)
    case events([StoreEvent], revision: UInt64)
    /// The watch is over: what it would have to tell next is gone.
    case watchEnded(StoreError)
    case status(NodeStatus)
    case groups([String])
    /// Nil: this node has nothing of it.
    case image(ObjectImage?)
    /// A part of a snapshot with this number; no rows: that was all.
    case snapshot(UInt64, [SnapshotRow])
  }

  public enum Refusal: UInt8, Sendable, CaseIterable {
    /// The request breaks a limit.
    case tooLarge = 1
    /// The node's disk is full; etcd's NOSPACE.
    case noSpace = 2
    /// More requests wait than the node takes.
    case overloaded = 3
    /// There is no such snapshot, or too many are being taken.
    case noSnapshot = 4
  }

  public var number: UInt64
  public var body: Body

  public init(number: UInt64, _ body: Body) {
    self.number = number
    self.body = body
  }

  public func encode(to writer: inout ByteWriter) {
    writer.number(number)
    switch body {
    case .outcome(.response(let response, let entry)):
      writer.byte(1)
      response.encode(to: &writer)
      writer.number(entry)
    case .outcome(.answer(let answer, let entry)):
      writer.byte(2)
      answer.encode(to: &writer)
      writer.number(entry)
    case .outcome(.unknown): writer.byte(3)
    case .outcome(.unavailable): writer.byte(4)
    case .refused(let reason):
      writer.byte(5)
      writer.byte(reason.rawValue)
    case .watching(let after):
      writer.byte(6)
      writer.number(after)
    case .events(let events, let revision):
      writer.byte(7)
      events.encode(to: &writer)
      writer.number(revision)
    case .watchEnded(let error):
      writer.byte(8)
      error.encode(to: &writer)
    case .status(let status):
      writer.byte(9)
      status.encode(to: &writer)
    case .groups(let names):
      writer.byte(10)
      writer.number(UInt64(names.count))
      for name in names { writer.text(name) }
    case .image(let image):
      writer.byte(11)
      image.encode(to: &writer)
    case .snapshot(let number, let rows):
      writer.byte(12)
      writer.number(number)
      rows.encode(to: &writer)
    }
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    number = try reader.number()
    switch try reader.byte() {
    case 1:
      body = .outcome(.response(try Response(from: &reader), entry: try reader.number()))
    case 2: body = .outcome(.answer(try Answer(from: &reader), entry: try reader.number()))
    case 3: body = .outcome(.unknown)
    case 4: body = .outcome(.unavailable)
    case 5:
      guard let reason = Refusal(rawValue: try reader.byte()) else {
        throw MalformedBytes(expected: "a reason to refuse")
      }
      body = .refused(reason)
    case 6: body = .watching(after: try reader.number())
    case 7: body = .events(try [StoreEvent](from: &reader), revision: try reader.number())
    case 8: body = .watchEnded(try StoreError(from: &reader))
    case 9: body = .status(try NodeStatus(from: &reader))
    case 10:
      var names: [String] = []
      for _ in 0..<(try reader.count()) { names.append(try reader.text()) }
      body = .groups(names)
    case 11: body = .image(try ObjectImage?(from: &reader))
    case 12: body = .snapshot(try reader.number(), try [SnapshotRow](from: &reader))
    default: throw MalformedBytes(expected: "a reply")
    }
  }
}
