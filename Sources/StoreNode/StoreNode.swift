internal import BinaryCoding
internal import Dispatch
internal import Glibc
public import Logging
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import Paxos
internal import SegmentLog
public import Sockets
internal import StoreFrames
internal import StoreProtocol
internal import StoreState
internal import Synchronization

/// A node of a store: the Paxos core on files and sockets. All of it runs on one event loop, but for
/// writing the log and storing objects, which have threads of their own.
///
/// What comes in one turn of the loop is worked off together: the messages that follow from it are
/// one write to each peer, the votes one write and sync of the log. While a sync is under way what
/// comes next is gathered for the one after.
///
/// Its parts are in files of their own: clients in StoreNodeClients.swift, the log and stored
/// objects in StoreNodeStorage.swift, a full disk in StoreNodeSpace.swift.
public final class StoreNode: @unchecked Sendable {
  // Unchecked: after `start` everything is used on the event loop only.
  let options: StoreNodeOptions
  let log: Logger
  let group: MultiThreadedEventLoopGroup
  let eventLoop: any EventLoop
  var identity: NodeIdentity
  /// Records up to here say that all is made good that was lost.
  var healedPosition: UInt64?
  var replica: Replica
  private var links: [PeerLink] = []
  private var linkOfNode: [NodeID: Int] = [:]
  private var listeners: [any Channel] = []
  private var accepted: [ObjectIdentifier: any Channel] = [:]
  private var isFlushScheduled = false
  private var timerAt: UInt64?
  private(set) var isStopping = false
  private let onFailure: @Sendable (String) -> Void

  // Clients.
  var connections: [UInt64: ClientConnection] = [:]
  var connectionsMade: UInt64 = 0
  var dirtyConnections: [ClientConnection] = []
  var requests: [RequestID: (connection: UInt64, request: UInt64, group: ObjectID)] = [:]
  var requestsMade: UInt64 = 0
  var watches: [ObjectID: [Watch]] = [:]
  var changedGroups: Set<ObjectID> = []
  var diverged: [String] = []
  var snapshotsTaken = 0
  let snapshotQueue = DispatchQueue(label: "hotrack.store.snapshots", qos: .utility)

  // Storage.
  let writer: VoteWriter
  let rows: StateRows
  let rowsQueue = DispatchQueue(label: "hotrack.store.rows", qos: .utility)
  private let lock: DirectoryLock
  var pending = LogBatch()
  var pendingPosition: UInt64 = 0
  /// When the first of what is pending came.
  var pendingSince: UInt64 = 0
  var isWriting = false
  /// What is pending is to be written although nothing waits for it.
  var mustWrite = false
  var isLazyWriteScheduled = false
  var removeBefore: UInt64?
  /// Empty, with memory.
  var spareBatch = LogBatch()
  var writtenPosition: UInt64 = 0
  var segments: ClosedRange<UInt64>
  var isSpaceLow = false
  /// By object: the segment that its oldest record that is not stored lies in, or an earlier one.
  var unstored: [ObjectID: UInt64] = [:]
  var storing: StoringRun?
  /// It goes on when the disk has room.
  var isStoringHeldBack = false
  var scrub = Scrub()
  /// Messages to other nodes.
  var messagesSent: UInt64 = 0
  var syncTimes = SyncTimes()
  var storedObjects: UInt64 = 0

  /// Starts a node: opens its data, listens, and connects to the others.
  ///
  /// `onFailure` is called, once, when the node cannot go on: a write or sync of its log has failed.
  /// The process must end then without doing anything more.
  public static func start(
    _ options: StoreNodeOptions, log: Logger,
    onFailure: @escaping @Sendable (String) -> Void
  ) async throws(StoreNodeError) -> StoreNode {
    guard let own = options.members.first(where: { $0.node == options.node }) else {
      throw .noMember(options.node)
    }
    let background = DispatchQueue(label: "hotrack.store.spare", qos: .utility)
    let opened = try DataDirectory.open(options, incarnation: incarnationNow()) { work in
      background.async(execute: work)
    }
    if let loss = opened.loss {
      log.warning("votes are lost, they are recovered from the others: \(loss)")
    }
    let peerTLS = try TLSContexts(options.peerTLS)
    let clientTLS = try TLSContexts(options.clientTLS)
    let node: StoreNode
    do {
      node = try StoreNode(options, opened, log: log, onFailure: onFailure)
    } catch {
      throw .cell(error)
    }
    do {
      try await node.listen(own.peerAddress, peerTLS?.server) { try $0.acceptPeer($1) }
      try await node.listen(own.clientAddress, clientTLS?.server) { try $0.acceptClient($1) }
    } catch {
      await node.stop()
      throw error
    }
    do {
      try await node.eventLoop.submit { node.begin(peerTLS?.client) }.get()
    } catch {
      throw .storage("\(error)")
    }
    return node
  }

  /// Higher than at any earlier start, also if the data directory is lost: seconds, and chance.
  private static func incarnationNow() -> UInt64 {
    let chance = UInt64.random(in: 0..<(1 << 24))
    return UInt64(max(0, time(nil))) << 24 | chance
  }

  private init(
    _ options: StoreNodeOptions, _ opened: DataDirectory.Opened, log: Logger,
    onFailure: @escaping @Sendable (String) -> Void
  ) throws(CellError) {
    self.options = options
    self.log = log
    self.onFailure = onFailure
    group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    eventLoop = group.next()
    identity = opened.identity
    writer = VoteWriter(opened.log)
    rows = opened.rows
    lock = opened.lock
    segments = opened.log.firstSegment...opened.log.lastSegment
    let cell = try Cell(
      options.members.map { Member($0.node, zone: $0.zone) }, options.quorums)
    var configuration = ReplicaConfiguration(cell: cell, node: options.node)
    configuration.resend = 100_000_000
    configuration.batchMax = 256
    configuration.announceBatch = 32
    replica = try Replica(
      configuration, incarnation: opened.identity.incarnation,
      randomSeed: opened.identity.incarnation, from: opened.durable, now: MonotonicClock.now)
    // All that was replayed lies in segments that are still there.
    for record in opened.durable.records { unstored[record.object] = segments.lowerBound }
  }

  private func begin(_ tls: NIOSSLContext?) {
    let greeting = StoreGreeting(cell: options.cell, node: UInt64(options.node.rawValue))
    for peer in options.members where peer.node != options.node {
      linkOfNode[peer.node] = links.count
      let link = PeerLink(
        peer, greeting: greeting, eventLoop: eventLoop, tls: tls, log: log)
      links.append(link)
      link.connect()
    }
    scheduleTimer()
    scheduleFirstScrub()
    watchSpace()
  }

  /// Where clients connect; the port that was chosen if it was 0.
  public var clientAddress: Endpoint {
    options.members.first { $0.node == options.node }?.clientAddress ?? .any
  }

  /// Ends the node. What was acknowledged is on its disk at any time.
  public func stop() async {
    try? await eventLoop.submit { [self] in
      isStopping = true
      for link in links { link.close() }
      for listener in listeners { listener.close(promise: nil) }
      for channel in accepted.values { channel.close(promise: nil) }
    }.get()
    // Writes that are under way have their files until they end.
    await writer.finish()
    for queue in [rowsQueue, snapshotQueue] {
      await withCheckedContinuation { done in queue.async { done.resume() } }
    }
    try? await group.shutdownGracefully()
  }

  func fail(_ words: String) {
    guard !isStopping else { return }
    isStopping = true
    log.critical("\(words)")
    onFailure(words)
  }

  // MARK: Connections

  private func listen(
    _ endpoint: Endpoint, _ tls: NIOSSLContext?,
    _ accept: @escaping @Sendable (StoreNode, any Channel) throws -> Void
  ) async throws(StoreNodeError) {
    do {
      let channel = try await ServerBootstrap(group: group)
        .serverChannelOption(ChannelOptions.backlog, value: 1_024)
        .serverChannelOption(ChannelOptions.socketOption(.so_reuseaddr), value: 1)
        .childChannelOption(ChannelOptions.tcpOption(.tcp_nodelay), value: 1)
        // Who has vanished without a word is noticed within a minute.
        .childChannelOption(ChannelOptions.socketOption(.so_keepalive), value: 1)
        .childChannelOption(ChannelOptions.tcpOption(.init(rawValue: TCP_KEEPIDLE)), value: 30)
        .childChannelOption(ChannelOptions.tcpOption(.init(rawValue: TCP_KEEPINTVL)), value: 10)
        .childChannelOption(ChannelOptions.tcpOption(.init(rawValue: TCP_KEEPCNT)), value: 3)
        .childChannelOption(
          ChannelOptions.recvAllocator, value: AdaptiveRecvByteBufferAllocator()
        )
        .childChannelInitializer { [self] channel in
          channel.eventLoop.makeCompletedFuture {
            if let tls {
              try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls))
            }
            try accept(self, channel)
            accepted[ObjectIdentifier(channel)] = channel
            channel.closeFuture.whenComplete { [self] _ in
              accepted[ObjectIdentifier(channel)] = nil
            }
          }
        }
        .bind(host: "\(endpoint.address)", port: Int(endpoint.port)).get()
      try await eventLoop.submit { [self] in listeners.append(channel) }.get()
    } catch {
      throw .cannotListen(endpoint, "\(error)")
    }
  }

  private func acceptPeer(_ channel: any Channel) throws {
    var peer: NodeID?
    let cutter = FrameCutter(frameMax: 1 << 30) { [unowned self] bytes in
      guard let node = peer else {
        peer = try greetedPeer(bytes)
        return
      }
      var reader = ByteReader(bytes)
      while !reader.isAtEnd { receive(try Message(from: &reader), from: node) }
    } atEnd: { [log] error in
      if let error { log.warning("a peer's connection is given up: \(error)") }
    }
    try channel.pipeline.syncOperations.addHandler(cutter)
  }

  private func greetedPeer(_ bytes: UnsafeRawBufferPointer) throws -> NodeID {
    let greeting = try StoreGreeting(decoding: bytes)
    guard greeting.cell == options.cell, greeting.version == StoreProtocolLimits.version,
      let number = UInt16(exactly: greeting.node), linkOfNode[NodeID(number)] != nil
    else {
      throw MalformedBytes(expected: "the greeting of a member of this cell")
    }
    return NodeID(number)
  }

  private func receive(_ message: Message, from node: NodeID) {
    if isSpaceLow, !message.body.isHarmlessWithoutSpace { return }
    step { $0.receive(message, from: node, now: $1) }
  }

  // MARK: Steps

  /// Lets the replica take an event, and carries out what it wants done.
  func step(_ event: (inout Replica, UInt64) -> [ReplicaEffect]) {
    for effect in event(&replica, MonotonicClock.now) { carryOut(effect) }
    scheduleFlush()
  }

  private func carryOut(_ effect: ReplicaEffect) {
    switch effect {
    case .append(let record, let position): append(record, position)
    case .send(let message, let node):
      messagesSent += 1
      if let index = linkOfNode[node] { links[index].send(message) }
    case .reply(let request, let outcome): reply(request, outcome)
    case .learned(let object, _, _), .installed(let object, _):
      if !watches.isEmpty, watches[object] != nil { changedGroups.insert(object) }
    case .diverged(let object, let entry, let node):
      guard diverged.count < 64, !diverged.contains(object.name) else { return }
      diverged.append(object.name)
      log.critical(
        "group \(object) has another state here than at node \(node.rawValue) after entry \(entry)")
    }
  }

  func scheduleFlush() {
    guard !isFlushScheduled else { return }
    isFlushScheduled = true
    eventLoop.execute { [self] in flush() }
  }

  /// At the end of a turn of the loop: everything that has come together goes out.
  private func flush() {
    isFlushScheduled = false
    guard !isStopping else { return }
    for link in links { link.flush() }
    noteHealing()
    writeLog()
    if !changedGroups.isEmpty { tellWatchers() }
    for connection in dirtyConnections { connection.flush() }
    dirtyConnections.removeAll(keepingCapacity: true)
    scheduleTimer()
  }

  private func scheduleTimer() {
    guard let deadline = replica.nextDeadline, deadline < timerAt ?? .max else { return }
    timerAt = deadline
    let now = MonotonicClock.now
    let wait = Int64(clamping: max(deadline, now) - now)
    eventLoop.scheduleTask(in: .nanoseconds(wait)) { [self] in
      guard timerAt == deadline, !isStopping else { return }
      timerAt = nil
      step { $0.advance(to: $1) }
    }
  }

  /// Whether the nodes that it is connected to make a quorum with it. Without one nothing can be decided:
  /// whoever asks is told so at once, and can ask another node.
  var isConnectedToQuorum: Bool {
    if links.allSatisfy(\.isConnected) { return true }
    return replica.cell.outlives(
      lossOf: links.filter { !$0.isConnected }.map(\.peer.node))
  }

  var peers: [NodeStatus.Peer] {
    links.map { .init(node: UInt64($0.peer.node.rawValue), isConnected: $0.isConnected) }
  }
}

extension Message.Body {
  /// Whether it makes a node write nothing, so that one whose disk is full can take it.
  fileprivate var isHarmlessWithoutSpace: Bool {
    switch self {
    case .query, .status, .fetch, .refused: true
    default: false
    }
  }
}
