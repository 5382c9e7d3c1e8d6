public import BinaryCoding

/// What a node tells of itself.
public struct NodeStatus: BinaryCodable, Sendable, Equatable {
  /// Another member, as this node sees it.
  public struct Peer: BinaryCodable, Sendable, Equatable {
    public var node: UInt64
    public var isConnected: Bool

    public init(node: UInt64, isConnected: Bool) {
      self.node = node
      self.isConnected = isConnected
    }

    public func encode(to writer: inout ByteWriter) {
      writer.number(node)
      writer.flag(isConnected)
    }

    public init(from reader: inout ByteReader) throws(MalformedBytes) {
      node = try reader.number()
      isConnected = try reader.flag()
    }
  }

  /// A count, time or size, with its unit in its name.
  public struct Figure: BinaryCodable, Sendable, Equatable {
    public var name: String
    public var value: UInt64

    public init(_ name: String, _ value: UInt64) {
      self.name = name
      self.value = value
    }

    public func encode(to writer: inout ByteWriter) {
      writer.text(name)
      writer.number(value)
    }

    public init(from reader: inout ByteReader) throws(MalformedBytes) {
      name = try reader.text()
      value = try reader.number()
    }
  }

  public var cell: UInt64
  public var node: UInt64
  public var incarnation: UInt64
  /// It has lost its disk, and does not yet vote on everything again.
  public var isRecovering: Bool
  /// Its disk is full: it takes no more changes.
  public var isSpaceLow: Bool
  /// Groups in which it has found another state than another node has, after the same entry.
  public var diverged: [String]
  /// What it has found damaged on its disk since its start.
  public var damaged: [String]
  public var peers: [Peer]
  /// Since its start.
  public var figures: [Figure]

  public init(
    cell: UInt64, node: UInt64, incarnation: UInt64, isRecovering: Bool, isSpaceLow: Bool,
    diverged: [String], damaged: [String], peers: [Peer], figures: [Figure]
  ) {
    self.cell = cell
    self.node = node
    self.incarnation = incarnation
    self.isRecovering = isRecovering
    self.isSpaceLow = isSpaceLow
    self.diverged = diverged
    self.damaged = damaged
    self.peers = peers
    self.figures = figures
  }

  public func encode(to writer: inout ByteWriter) {
    writer.wide(cell)
    writer.number(node)
    writer.wide(incarnation)
    writer.flag(isRecovering)
    writer.flag(isSpaceLow)
    for list in [diverged, damaged] {
      writer.number(UInt64(list.count))
      for name in list { writer.text(name) }
    }
    peers.encode(to: &writer)
    figures.encode(to: &writer)
  }

  public init(from reader: inout ByteReader) throws(MalformedBytes) {
    cell = try reader.wide()
    node = try reader.number()
    incarnation = try reader.wide()
    isRecovering = try reader.flag()
    isSpaceLow = try reader.flag()
    diverged = []
    for _ in 0..<(try reader.count()) { diverged.append(try reader.text()) }
    damaged = []
    for _ in 0..<(try reader.count()) { damaged.append(try reader.text()) }
    peers = try [Peer](from: &reader)
    figures = try [Figure](from: &reader)
  }
}
