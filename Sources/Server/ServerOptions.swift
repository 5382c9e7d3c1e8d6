public import Sockets
public import Wire

/// Where a server keeps its state.
public enum ServerEngine: Sendable, Equatable {
  /// It ends with the process.
  case memory
  /// In a RocksDB database in this directory, which is made if there is none. `reserve`: bytes of the
  /// disk that are kept for what has to be written when there is no room.
  case rocksdb(directory: String, reserve: UInt64)
}

/// Everything about one server that is to be run.
public struct ServerOptions: Sendable {
  /// Its number in the rack, 0...31.
  public var number: UInt8
  /// Where it listens.
  public var listen: Endpoint
  /// The rack's address: copies are sent there, and only from this address the controller's
  /// messages are taken.
  public var directory: Endpoint
  /// The rack's seed of the key hash.
  public var hashSeed: UInt64 = 0
  /// The rack's key; nil: it has none. Like all servers of the process.
  public var keys: RackKeys?
  /// Of this start of the server. Drawn at random, and never used again.
  public var incarnation = UInt64.random(in: 1...(.max))
  /// Where it keeps its state.
  public var engine = ServerEngine.memory
  /// Operations per second of an emulated server; nil: as fast as it can.
  public var capacity: Double?
  /// Datagrams that may wait at an emulated server; more are answered `busy`.
  public var queueMax = 200
  /// Nanoseconds: rounds of serving are at least this far apart, so that one wake-up serves what
  /// has come meanwhile. 0: each datagram at once. Servers of emulated capacity have their own.
  public var gathering: UInt64 = 0
  /// Clients whose sessions are remembered.
  public var sessionsMax = 65_536
  /// Keys for which there is room at the start; the table grows beyond.
  public var expectedKeys = 1024
  /// Bytes of the socket's buffers.
  public var bufferLength = 16 << 20
  /// Where the socket lives; nil: in the network namespace of this process. Needs CAP_SYS_ADMIN.
  public var namespace: NetworkNamespace?

  /// A real server.
  public init(number: UInt8, listen: Endpoint, directory: Endpoint) {
    precondition(Int(number) < WireLimits.serversMax, "a rack has at most 32 servers")
    self.number = number
    self.listen = listen
    self.directory = directory
  }
}

/// What a server has done since its start.
public struct ServerTotals: Sendable, Equatable, Codable {
  public var number: UInt8
  public var reads: UInt64
  public var writes: UInt64
  public var copiesStored: UInt64
  /// Requests answered with anything but ok and not found; those answered `busy` by a full queue
  /// included.
  public var refused: UInt64
  /// Requests and copies that found no room in the emulated queue.
  public var refusedBusy: UInt64
  /// Answers that the kernel had no room for.
  public var unsent: UInt64
  /// Datagrams that were dropped because they lacked the rack's tag.
  public var wrongTags: UInt64
  /// Of a durable server.
  public var storage: StorageTotals?

  init(
    _ body: ProbeBody, number: UInt8, refusedBusy: UInt64, unsent: UInt64,
    storage: StorageTotals?
  ) {
    self.number = number
    self.storage = storage
    reads = body.reads
    writes = body.writes
    copiesStored = body.copiesStored
    refused = body.refused
    wrongTags = body.wrongTags
    self.refusedBusy = refusedBusy
    self.unsent = unsent
  }
}

/// What a durable server has done on its disk since its start.
public struct StorageTotals: Sendable, Equatable, Codable {
  /// Synced writes, and the changes in them.
  public var commits: UInt64 = 0
  public var rows: UInt64 = 0
  /// How often the disk was full.
  public var full: UInt64 = 0
  /// How often damaged files were found, and written anew from memory.
  public var repairs: UInt64 = 0

  public init() {}
}
