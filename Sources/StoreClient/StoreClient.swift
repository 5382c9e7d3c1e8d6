internal import NIOCore
internal import NIOPosix
internal import NIOSSL
public import Paxos
public import Sockets
public import StoreProtocol
public import StoreState
internal import Synchronization

/// A client of a store: reads and changes groups of keys.
///
/// Each group has a node that all clients ask first, chosen by the group's name; that one can change
/// it in one round trip. If it does not answer, the others are asked. Thread-safe.
public final class StoreClient: Sendable {
  public struct Options: Sendable {
    /// Where the nodes listen for clients; those of one cell, in any order.
    public var endpoints: [Endpoint]
    /// A request is given up after so many milliseconds; etcd's `--command-timeout`.
    public var timeoutMilliseconds: Int64 = 5_000
    /// A node that cannot be connected to in this time is passed over; etcd's `--dial-timeout`.
    public var dialTimeoutMilliseconds: Int64 = 2_000
    /// Certificate, key and authority, PEM files; nil: no encryption.
    public var tls: (certificate: String, key: String, authority: String)?
    public init(endpoints: [Endpoint]) { self.endpoints = endpoints }
  }

  private let options: Options
  private let group: any EventLoopGroup
  private let tls: NIOSSLContext?
  private let connections: Mutex<[Endpoint: Connecting]> = Mutex([:])
  /// Nodes that could not be reached, or have let a request wait until its time was over, and have not
  /// answered since.
  private let silent: Mutex<Set<Endpoint>> = Mutex([])

  private let isOpen = Mutex(true)

  private enum Connecting {
    case connecting(Task<StoreConnection, any Error>)
    case open(StoreConnection)
  }

  /// Throws if the certificates cannot be used; connects when there is something to ask.
  public convenience init(_ options: Options) throws(StoreClientError) {
    try self.init(options, on: MultiThreadedEventLoopGroup.singleton)
  }

  init(_ options: Options, on group: any EventLoopGroup) throws(StoreClientError) {
    self.options = options
    self.group = group
    do {
      tls = try options.tls.map { try Self.context($0.certificate, $0.key, $0.authority) }
    } catch { throw .unreachable("TLS: \(error)") }
  }

  private static func context(
    _ certificate: String, _ key: String, _ authority: String
  ) throws -> NIOSSLContext {
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(certificate).map {
      .certificate($0)
    }
    configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: key, format: .pem))
    configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(authority))
    configuration.certificateVerification = .noHostnameVerification
    return try NIOSSLContext(configuration: configuration)
  }

  /// Ends all connections.
  public func close() async {
    isOpen.withLock { $0 = false }
    let all = connections.withLock { connections in
      defer { connections = [:] }
      return connections
    }
    for state in all.values {
      switch state {
      case .open(let connection): connection.close()
      case .connecting(let task): if let connection = try? await task.value { connection.close() }
      }
    }
  }

  // MARK: Requests

  /// A change that was made, in this entry of the group's log.
  public struct Change: Sendable, Equatable {
    public var response: Response
    public var entry: UInt64
  }

  /// Has a command decided. Without a stamp it may have been done when this throws
  /// `.outcomeUnknown`; with one it is asked for again until the answer is there, and done once.
  public func propose(
    _ command: Command, group name: String
  ) async throws(StoreClientError) -> Change {
    let isRepeatable = command.stamp != nil
    let reply = try await ask(.propose(group: name, command), about: name, isRepeatable)
    switch reply {
    case .outcome(.response(.failed(let error), _)): throw .store(error)
    case .outcome(.response(let response, let entry)):
      return Change(response: response, entry: entry)
    default: throw .unexpectedReply
    }
  }

  /// An answer, and the entry of the group's log that it is as of.
  public struct Read: Sendable, Equatable {
    public var answer: Answer
    public var entry: UInt64
  }

  /// Reads from a group.
  public func read(
    _ query: Query, group name: String, _ mode: ReadMode = .linearizable
  ) async throws(StoreClientError) -> Read {
    let reply = try await ask(.read(group: name, query, mode), about: name, true)
    switch reply {
    case .outcome(.answer(.failed(let error), _)): throw .store(error)
    case .outcome(.answer(let answer, let entry)): return Read(answer: answer, entry: entry)
    default: throw .unexpectedReply
    }
  }

  /// Asks one node about itself.
  public func status(of endpoint: Endpoint) async throws(StoreClientError) -> NodeStatus {
    guard case .status(let status) = try await ask(.status, at: endpoint) else {
      throw .unexpectedReply
    }
    return status
  }

  /// The groups that one node has something of, after a name, in order.
  public func groups(
    at endpoint: Endpoint, after: String = "", limit: UInt64 = 1_000
  ) async throws(StoreClientError) -> [String] {
    let reply = try await ask(.groups(after: after, limit: limit), at: endpoint)
    guard case .groups(let names) = reply else { throw .unexpectedReply }
    return names
  }

  /// All that one node has of a group; nil: nothing.
  public func image(
    of group: String, at endpoint: Endpoint
  ) async throws(StoreClientError) -> ObjectImage? {
    let reply = try await ask(.image(group: group), at: endpoint)
    guard case .image(let image) = reply else { throw .unexpectedReply }
    return image
  }

  /// Takes a snapshot of all that one node has, as of one moment, without stopping it; gives the objects
  /// to `row` as they come. What the node has not heard of yet is not in it.
  public func snapshot(
    of endpoint: Endpoint, row: (SnapshotRow) throws -> Void
  ) async throws {
    let connection: StoreConnection
    do { connection = try await self.connection(to: endpoint) } catch {
      throw StoreClientError.unreachable("\(endpoint): \(error)")
    }
    var number: UInt64?
    while true {
      switch await connection.request(.snapshot(number), timeout: Self.snapshotTimeout) {
      case .success(.snapshot(let snapshot, let rows)):
        if rows.isEmpty { return }
        number = snapshot
        for next in rows { try row(next) }
      case .success(.refused(.noSnapshot)): throw StoreClientError.overloaded
      case .success: throw StoreClientError.unexpectedReply
      case .failure: throw StoreClientError.unreachable("\(endpoint) does not answer")
      }
    }
  }

  /// A part may have one large group.
  private static let snapshotTimeout = TimeAmount.seconds(120)

  /// What happens in a range of keys.
  public enum WatchEvent: Sendable, Equatable {
    /// Tells of everything after this revision.
    case began(after: UInt64)
    case changes([StoreEvent], revision: UInt64)
  }

  /// Tells of all changes in a range after a revision; nil: from now on. It goes on at another node
  /// when one is lost, and misses nothing. Ends with `.store(.compacted)` when what it would have to
  /// tell next is gone.
  public func watch(
    _ range: KeyRange, group name: String, after: UInt64?
  ) -> AsyncThrowingStream<WatchEvent, any Error> {
    AsyncThrowingStream { continuation in
      let task = Task {
        var revision = after
        var isFirst = true
        var failures = 0
        while !Task.isCancelled {
          for endpoint in order(for: name) {
            do {
              let connection = try await self.connection(to: endpoint)
              for try await event in Self.events(connection, range, name, revision) {
                failures = 0
                switch event {
                case .began(let after):
                  revision = revision ?? after
                  if !isFirst { continue }
                  isFirst = false
                case .changes(_, let newest): revision = newest
                }
                continuation.yield(event)
              }
            } catch StoreClientError.store(let error) {
              continuation.finish(throwing: StoreClientError.store(error))
              return
            } catch {
              forget(endpoint)
            }
            failures += 1
          }
          try? await Task.sleep(for: .milliseconds(min(1_000, 20 * failures)))
        }
        continuation.finish()
      }
      continuation.onTermination = { _ in task.cancel() }
    }
  }

  private static func events(
    _ connection: StoreConnection, _ range: KeyRange, _ name: String, _ after: UInt64?
  ) -> AsyncThrowingStream<WatchEvent, any Error> {
    AsyncThrowingStream { continuation in
      connection.channel.eventLoop.execute {
        let number = connection.send(.watch(group: name, range, after: after)) { reply in
          switch reply {
          case .success(.watching(let after)): continuation.yield(.began(after: after))
          case .success(.events(let events, let revision)):
            continuation.yield(.changes(events, revision: revision))
          case .success(.watchEnded(let error)):
            continuation.finish(throwing: StoreClientError.store(error))
            return false
          default:
            continuation.finish(throwing: StoreClientError.unreachable("the connection ended"))
            return false
          }
          return true
        }
        continuation.onTermination = { _ in
          // Where there is no connection there is no watch.
          guard connection.channel.isActive else { return }
          connection.channel.eventLoop.execute {
            connection.send(.cancel(number)) { _ in false }
          }
        }
      }
    }
  }

  // MARK: Nodes

  /// The nodes in the order in which they are asked about a group: the same at all clients.
  func order(for name: String) -> [Endpoint] {
    func weight(_ endpoint: Endpoint) -> UInt64 {
      var hash: UInt64 = 0xcbf2_9ce4_8422_2325
      for byte in "\(endpoint) \(name)".utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
      // The last bytes have to reach all bits.
      hash = (hash ^ (hash >> 32)) &* 0xd6e8_feb8_6659_fd93
      return hash ^ (hash >> 32)
    }
    let order = options.endpoints.map { (weight($0), $0) }.sorted { $0.0 > $1.0 }.map(\.1)
    let silent = silent.withLock { $0 }
    return silent.isEmpty
      ? order : order.filter { !silent.contains($0) } + order.filter(silent.contains)
  }

  /// Asks a node last from now on, until it has a read to answer that needs a quorum: one that stands
  /// still, or cannot be heard, or hears no others, would let every request wait that comes to it first.
  private func avoid(_ endpoint: Endpoint, askedAbout name: String) {
    guard silent.withLock({ $0.insert(endpoint).inserted }) else { return }
    let probe = StoreRequest.Body.read(
      group: name, .range(KeyRange([0]), limit: 1), .linearizable)
    Task { [weak self] in
      while let self, isOpen.withLock({ $0 }) {
        if let connection = try? await connection(to: endpoint),
          case .success(.outcome(.answer)) = await connection.request(
            probe, timeout: Self.probeTimeout)
        {
          break
        }
        try? await Task.sleep(for: .milliseconds(100))
      }
      _ = self?.silent.withLock { $0.remove(endpoint) }
    }
  }

  private static let probeTimeout = TimeAmount.milliseconds(500)

  private func connection(to endpoint: Endpoint) async throws -> StoreConnection {
    let state = connections.withLock { connections in
      if case .open(let connection)? = connections[endpoint], !connection.channel.isActive {
        connections[endpoint] = nil
      }
      if let state = connections[endpoint] { return state }
      let state = Connecting.connecting(
        Task { [group, tls, options] in
          try await StoreConnection.connect(
            to: endpoint, on: group, tls: tls,
            timeout: .milliseconds(options.dialTimeoutMilliseconds))
        })
      connections[endpoint] = state
      return state
    }
    switch state {
    case .open(let connection): return connection
    case .connecting(let task):
      do {
        let connection = try await task.value
        connections.withLock { connections in
          // Unless it was given up meanwhile.
          if case .connecting(task)? = connections[endpoint] {
            connections[endpoint] = .open(connection)
          }
        }
        return connection
      } catch {
        forget(endpoint)
        throw error
      }
    }
  }

  private func forget(_ endpoint: Endpoint) {
    connections.withLock { $0[endpoint] = nil }
  }

  private func ask(
    _ body: StoreRequest.Body, at endpoint: Endpoint
  ) async throws(StoreClientError) -> StoreReply.Body {
    let connection: StoreConnection
    do { connection = try await self.connection(to: endpoint) } catch {
      throw .unreachable("\(endpoint): \(error)")
    }
    switch await connection.request(body, timeout: .milliseconds(options.timeoutMilliseconds)) {
    case .success(let reply): return reply
    case .failure: throw .unreachable("\(endpoint) does not answer")
    }
  }

  /// Asks one node after the other, until the time is over. What is not repeatable is sent once,
  /// unless it is certain that it was not and will not be done.
  private func ask(
    _ body: StoreRequest.Body, about name: String, _ isRepeatable: Bool
  ) async throws(StoreClientError) -> StoreReply.Body {
    let deadline = NIODeadline.now() + .milliseconds(options.timeoutMilliseconds)
    var words = "none was given"
    var wasReached = false
    var mayBeDone = false
    var isSpaceLow = false
    var round = 0
    repeat {
      for endpoint in order(for: name) {
        let left = deadline - .now()
        guard left > .zero else { break }
        let connection: StoreConnection
        do { connection = try await self.connection(to: endpoint) } catch {
          words = "\(endpoint): \(error)"
          avoid(endpoint, askedAbout: name)
          continue
        }
        wasReached = true
        // A repeatable request does not wait for one node until the end.
        let timeout = isRepeatable ? min(left, .milliseconds(2_500)) : left
        let arrival = await connection.request(body, timeout: timeout)
        switch arrival {
        case .success(.outcome(.unavailable)): continue
        case .success(.outcome(.unknown)), .failure:
          if case .failure(.timeout) = arrival { avoid(endpoint, askedAbout: name) }
          guard isRepeatable else { throw .outcomeUnknown }
          if case .propose = body { mayBeDone = true }
        case .success(.refused(let reason)):
          switch reason {
          case .tooLarge: throw .tooLarge
          // Others may have room.
          case .noSpace: isSpaceLow = true
          case .overloaded, .noSnapshot: throw .overloaded
          }
        case .success(let reply): return reply
        }
      }
      if isSpaceLow, !mayBeDone { throw .noSpace }
      round += 1
      try? await Task.sleep(for: .milliseconds(min(200, 10 << min(round, 5))))
    } while NIODeadline.now() < deadline && !Task.isCancelled
    if mayBeDone { throw .outcomeUnknown }
    throw wasReached ? .unavailable : .unreachable(words)
  }
}
