internal import ClientCore
public import Sockets
internal import Wire

/// A client of one rack.
///
/// ```swift
/// let client = try HotrackClient(rack: "10.0.0.1")
/// let version = try await client.set("greeting", "hello")
/// if let value = try await client.get("greeting") {
///   print(value.string ?? "not text", value.version)
/// }
/// do {
///   try await client.delete("greeting")
/// } catch .unknownOutcome(let reason) {
///   // The delete may have happened, or may yet: read before deciding what to do.
///   print("unknown: \(reason)")
/// }
/// client.close()
/// ```
///
/// Every key is one linearizable register: a read returns the newest value whose write had ended
/// when the read began, or a newer one. Requests are repeated under the same id until they are
/// answered or the time-out is over, and a write takes effect at most once however often it is
/// repeated. Where nobody can know whether a write took effect, it ends with
/// `HotrackError.unknownOutcome`; after any other error it has not and never will.
///
/// Thread-safe. Up to 64 requests are on their way at a time; more wait in order. One client has
/// one socket and one thread, and is meant to be shared; make several when that thread is busy.
///
/// Cancelling a task ends its request at once for the caller. What was already handed over goes on
/// until its time-out, so a cancelled write may still take effect.
public final class HotrackClient: Sendable {
  /// What can be chosen about a client.
  public struct Configuration: Sendable {
    /// How long a request is tried, the time it waits for others included. At least 1 millisecond.
    public var timeout: Duration
    /// Until the first repetition, while no round trip has been measured; about ten round trips
    /// once one has. At least 1 millisecond.
    public var firstRetry: Duration
    /// The longest wait between two repetitions. At least 1 millisecond.
    public var retryMax: Duration
    /// The rack's hash seed. With another seed than the rack's every request is refused.
    public var hashSeed: UInt64
    /// The network namespace of the client's socket; nil: the caller's. Needs CAP_SYS_ADMIN.
    public var namespace: NetworkNamespace?

    public init(
      timeout: Duration = .seconds(5), firstRetry: Duration = .milliseconds(20),
      retryMax: Duration = .seconds(1), hashSeed: UInt64 = 0, namespace: NetworkNamespace? = nil
    ) {
      self.timeout = timeout
      self.firstRetry = firstRetry
      self.retryMax = retryMax
      self.hashSeed = hashSeed
      self.namespace = namespace
    }
  }

  /// The rack's address.
  public let rack: Endpoint
  private let mailbox: Mailbox

  /// Opens a socket towards the rack; nothing is sent yet.
  ///
  /// Throws `HotrackError.socket` if there is no route to the rack, or no socket to be had.
  public init(rack: Endpoint, configuration: Configuration = Configuration()) throws(HotrackError) {
    self.rack = rack
    do throws(SocketError) {
      let mailbox = try Mailbox()
      self.mailbox = mailbox
      let loop = try ClientLoop(rack, configuration, mailbox)
      _ = try BackgroundThread(name: "hotrack-client", owning: loop) { $0.run() }
    } catch {
      throw .socket(error)
    }
  }

  /// As `init(rack:configuration:)`, for an address like "10.0.0.1" or "10.0.0.1:18516".
  public convenience init(rack: String, configuration: Configuration = Configuration())
    throws(HotrackError)
  {
    let endpoint: Endpoint
    do throws(SocketError) {
      endpoint = try Endpoint(parsing: rack, defaultPort: WireLimits.port)
    } catch {
      throw .socket(error)
    }
    try self.init(rack: endpoint, configuration: configuration)
  }

  deinit { mailbox.close() }

  /// The newest value of a key and its version; nil if it has none.
  ///
  /// `key`: 1 to 250 bytes. Throws all errors but `unknownOutcome`.
  public func get(_ key: [UInt8]) async throws(HotrackError) -> HotrackValue? {
    switch try await perform(.get(key: key)) {
    case .value(let bytes, let version): HotrackValue(bytes: bytes, version: version)
    default: nil
    }
  }

  /// Gives a key a value; returns the version under which it did.
  ///
  /// `key`: 1 to 250 bytes; key and value together at most 1,316. Throws all errors but `lost`.
  @discardableResult
  public func set(_ key: [UInt8], _ value: [UInt8]) async throws(HotrackError) -> UInt64 {
    try await write(.set(key: key, value: value))
  }

  /// Takes a key's value away, if it has one; returns the version under which it did.
  ///
  /// `key`: 1 to 250 bytes. Throws all errors but `lost`.
  @discardableResult
  public func delete(_ key: [UInt8]) async throws(HotrackError) -> UInt64 {
    try await write(.delete(key: key))
  }

  /// Ends the client. Unfinished requests end now: reads, and writes that were not yet handed over,
  /// with `closed`; other writes as unknown. Later requests end with `closed`. May be repeated.
  public func close() { mailbox.close() }

  private func write(_ request: ClientRequest) async throws(HotrackError) -> UInt64 {
    switch try await perform(request) {
    case .written(let version): version
    case let other: preconditionFailure("a write ended as \(other)")
    }
  }

  private func perform(_ request: ClientRequest) async throws(HotrackError) -> ClientOutcome {
    try await PendingRequest(request).result(through: mailbox).get()
  }
}

extension HotrackClient {
  /// As for bytes; the key is the text's UTF-8.
  public func get(_ key: String) async throws(HotrackError) -> HotrackValue? {
    try await get(Array(key.utf8))
  }

  /// As for bytes; key and value are the texts' UTF-8.
  @discardableResult
  public func set(_ key: String, _ value: String) async throws(HotrackError) -> UInt64 {
    try await set(Array(key.utf8), Array(value.utf8))
  }

  /// As for bytes; the key is the text's UTF-8.
  @discardableResult
  public func delete(_ key: String) async throws(HotrackError) -> UInt64 {
    try await delete(Array(key.utf8))
  }
}

/// A value as it was read.
public struct HotrackValue: Sendable, Equatable {
  public let bytes: [UInt8]
  /// Orders all writes of the key: the epoch of the directory in the high 16 bits, a counter below.
  public let version: UInt64

  public init(bytes: [UInt8], version: UInt64) {
    self.bytes = bytes
    self.version = version
  }

  /// The value as text; nil if it is not UTF-8.
  public var string: String? { String(validating: bytes, as: UTF8.self) }
}
