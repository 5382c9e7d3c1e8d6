public import Sockets

/// The store file (`store.toml`): what `hotrack store serve` is told about its cell. All nodes may
/// have the same file, and be told apart by `--node`.
public struct StoreFile: Sendable, Equatable {
  /// `[[member]]`: one node of the cell.
  public struct Member: Sendable, Equatable {
    /// Unique in the cell, and never given to another node later.
    public var node: Int
    /// Members with the same number fail together.
    public var zone: Int
    /// Where it listens for other nodes, and for clients.
    public var peer: Endpoint
    public var client: Endpoint

    public init(node: Int, zone: Int = 0, peer: Endpoint, client: Endpoint) {
      self.node = node
      self.zone = zone
      self.peer = peer
      self.client = client
    }
  }

  /// Certificates, PEM files.
  public struct TLS: Sendable, Equatable {
    public var certificate: String
    public var key: String
    public var authority: String
  }

  /// Lower-case letters, digits and dashes; data of a cell of another name is refused.
  public var cell: String
  /// Which member this is; nil: the command line says it.
  public var node: Int?
  /// Where this node keeps its data; nil: the command line says it.
  public var data: String?
  /// MiB of a segment of the log of votes.
  public var segmentMiB: Int
  /// Seconds between two passes over all that is stored, to find damage; 0: none.
  public var scrubSeconds: Int
  public var members: [Member]
  public var peerTLS: TLS?
  public var clientTLS: TLS?

  /// Reads and checks a store file.
  /// - Throws: everything that is wrong with it, at once.
  public init(file: String) throws(ConfigurationError) {
    self = try Self(text: try readText(file: file), file: file)
  }

  /// As `init(file:)`, from text; `file` is the name for messages.
  public init(text: String, file: String) throws(ConfigurationError) {
    self = try readDocument(text: text, file: file) { Self($0) }
  }

  private init(_ document: TableReader) {
    let store = document.requiredTable("store")
    cell =
      store?.requiredString("cell", plainNameExpected) { isPlainName($0, length: 1...32) } ?? ""
    node = store?.integer("node", 1...65_535)
    data = store?.string("data", "an absolute path") { $0.hasPrefix("/") }
    segmentMiB = store?.integer("segment_mib", 1...1_024) ?? 64
    scrubSeconds = store?.integer("scrub_seconds", 0...31_536_000) ?? 3_600
    store?.finish()
    peerTLS = document.table("peer_tls").map { TLS($0) }
    clientTLS = document.table("client_tls").map { TLS($0) }
    if document.node("member") == nil {
      document.missing("member", "at least one member, each written [[member]]")
    }
    let readers = document.tables("member")
    members = readers.map { Member($0) }
    for (index, (member, reader)) in zip(members, readers).enumerated() where member.node > 0 {
      if members[..<index].contains(where: { $0.node == member.node }) {
        reader.wrong("node", shown: "\(member.node)", "a number that no other member has")
      }
    }
    if let node, !members.contains(where: { $0.node == node }) {
      store?.wrong("node", shown: "\(node)", "the number of a member")
    }
  }
}

extension StoreFile.TLS {
  init(_ reader: TableReader) {
    func path(_ key: String) -> String {
      reader.requiredString(key, "the path of a PEM file") { !$0.isEmpty }
    }
    certificate = path("certificate")
    key = path("key")
    authority = path("authority")
    reader.finish()
  }
}

extension StoreFile.Member {
  init(_ reader: TableReader) {
    node = reader.requiredInteger("node", 1...65_535, placeholder: -1)
    zone = reader.integer("zone", 0...65_535) ?? 0
    peer = reader.endpoint("peer", defaultPort: 2380)
    client = reader.endpoint("client", defaultPort: 2379)
    reader.finish()
  }
}

extension TableReader {
  fileprivate func endpoint(_ key: String, defaultPort: UInt16) -> Endpoint {
    required(
      key, "an address, with or without a port, such as \"10.0.0.1:\(defaultPort)\"",
      placeholder: .any
    ) { node in
      guard case .string(let text) = node else { return nil }
      return try? Endpoint(parsing: text, defaultPort: defaultPort)
    }
  }
}
