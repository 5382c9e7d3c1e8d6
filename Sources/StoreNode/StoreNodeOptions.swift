public import Paxos
public import Sockets

/// What a node of a store is told.
public struct StoreNodeOptions: Sendable {
  /// A member of the cell, and where it is.
  public struct Peer: Sendable, Equatable {
    public var node: NodeID
    /// Members that fail together share a zone.
    public var zone: UInt16
    /// Where it listens for other nodes, and for clients.
    public var peerAddress: Endpoint
    public var clientAddress: Endpoint

    public init(node: NodeID, zone: UInt16 = 0, peerAddress: Endpoint, clientAddress: Endpoint) {
      self.node = node
      self.zone = zone
      self.peerAddress = peerAddress
      self.clientAddress = clientAddress
    }
  }

  /// Files with certificates, PEM.
  public struct TLS: Sendable, Equatable {
    public var certificate: String
    public var key: String
    /// Who has signed the certificates of those that may connect.
    public var authority: String

    public init(certificate: String, key: String, authority: String) {
      self.certificate = certificate
      self.key = key
      self.authority = authority
    }
  }

  /// The name of the cell: nodes and data of another are refused.
  public var cellName: String
  public var node: NodeID
  public var members: [Peer]
  public var quorums: QuorumSystem = .majority
  public var dataDirectory: String
  /// Between nodes, both sides show a certificate. Nil: no encryption.
  public var peerTLS: TLS?
  /// As above, for clients.
  public var clientTLS: TLS?
  /// Bytes of a segment of the log of votes.
  public var segmentLength = 64 << 20
  /// Seconds between two passes over all that is stored, to find damage; 0: none.
  public var scrubInterval: Int64 = 3_600
  /// Requests that may wait at this node.
  public var requestsMax = 65_536

  public init(cellName: String, node: NodeID, members: [Peer], dataDirectory: String) {
    self.cellName = cellName
    self.node = node
    self.members = members
    self.dataDirectory = dataDirectory
  }

  /// The number of the cell, made from its name (FNV-1a): what nodes compare.
  public var cell: UInt64 {
    cellName.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }
}

/// Why a node cannot start, and what to do.
public enum StoreNodeError: Error, Sendable, CustomStringConvertible {
  case noMember(NodeID)
  case cell(CellError)
  /// Another process uses the data directory.
  case inUse(String)
  /// The data directory belongs to another node or cell.
  case foreign(String)
  /// `init` where there is something already.
  case notEmpty(String)
  /// A snapshot is restored into a new cell only.
  case sameCell(String)
  case storage(String)
  case cannotListen(Endpoint, String)
  case tls(String)

  public var description: String {
    switch self {
    case .noMember(let node):
      "node \(node.rawValue) is no member of the cell: name it in the configuration"
    case .cell(let error): "\(error)"
    case .inUse(let directory): "another process uses \(directory): end it, or choose another"
    case .foreign(let words): words
    case .notEmpty(let directory):
      """
      \(directory) is in use by a node: initialising it again would forget votes; to give the node's \
      data up, remove the directory and start the node, and it recovers from the others
      """
    case .sameCell(let cell):
      """
      the snapshot is of cell \(cell) itself: give the cell another name in the configuration of all its \
      nodes, so that nodes and clients of the old one are not taken for its own
      """
    case .storage(let words): words
    case .cannotListen(let endpoint, let words): "cannot listen on \(endpoint): \(words)"
    case .tls(let words): "TLS: \(words)"
    }
  }
}
