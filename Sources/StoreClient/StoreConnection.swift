internal import BinaryCoding
internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import Sockets
internal import StoreFrames
internal import StoreProtocol

/// One connection to a node. Requests are sent as they come, as many as there are; those of one turn
/// of the event loop are one write. Everything but `connect` happens on its event loop.
final class StoreConnection: @unchecked Sendable {
  // Unchecked: confined to the event loop.
  let channel: any Channel
  let endpoint: Endpoint
  private(set) var greeting: StoreGreeting?
  private var waiting: [UInt64: Waiting] = [:]
  private var isSweepScheduled = false
  private var next: UInt64 = 0
  private var buffer: ByteBuffer
  private var isFlushScheduled = false
  private(set) var isClosed = false

  enum RequestFailure: Error { case closed, timeout }
  typealias Arrival = Result<StoreReply.Body, RequestFailure>

  private struct Waiting {
    /// Is given what comes, and says whether there is more to come.
    var take: (Arrival) -> Bool
    /// Nil: it waits as long as the connection lives.
    var deadline: NIODeadline?
  }

  /// A connection is given up when the node's kernel has not acknowledged for so many milliseconds what
  /// was sent.
  private static let silenceMax = 5_000
  /// Between two looks for requests whose time is over.
  private static let sweepInterval = TimeAmount.milliseconds(20)

  private init(_ channel: any Channel, _ endpoint: Endpoint) {
    self.channel = channel
    self.endpoint = endpoint
    buffer = channel.allocator.buffer(capacity: 4_096)
  }

  /// Connects, and greets.
  static func connect(
    to endpoint: Endpoint, on group: any EventLoopGroup, tls: NIOSSLContext?,
    timeout: TimeAmount
  ) async throws -> StoreConnection {
    let eventLoop = group.next()
    let greeted = eventLoop.makePromise(of: Void.self)
    do {
      let channel = try await ClientBootstrap(group: eventLoop)
        .connectTimeout(timeout)
        .channelOption(ChannelOptions.tcpOption(.tcp_nodelay), value: 1)
        .channelOption(
          ChannelOptions.tcpOption(.init(rawValue: TCP_USER_TIMEOUT)), value: Self.silenceMax
        )
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            if let tls {
              try channel.pipeline.syncOperations.addHandler(
                NIOSSLClientHandler(context: tls, serverHostname: nil))
            }
          }
        }
        .connect(host: "\(endpoint.address)", port: Int(endpoint.port)).get()
      let connection = StoreConnection(channel, endpoint)
      try await eventLoop.submit { try connection.begin(greeted) }.get()
      eventLoop.scheduleTask(in: timeout) { greeted.fail(ChannelError.connectTimeout(timeout)) }
      try await greeted.futureResult.get()
      return connection
    } catch {
      greeted.fail(error)
      throw error
    }
  }

  private func begin(_ greeted: EventLoopPromise<Void>) throws {
    let cutter = FrameCutter(frameMax: StoreProtocolLimits.replyMax) { [unowned self] bytes in
      if greeting != nil { return try take(StoreReply(decoding: bytes)) }
      greeting = try StoreGreeting(decoding: bytes)
      greeted.succeed()
    } atEnd: { [self] error in
      greeted.fail(error ?? ChannelError.eof)
      end()
    }
    try channel.pipeline.syncOperations.addHandler(cutter)
    var hello = channel.allocator.buffer(capacity: 64)
    hello.writeFrame(StoreGreeting(cell: 0, node: 0).encoded)
    channel.writeAndFlush(hello, promise: nil)
    if !channel.isActive { end() }
  }

  private func take(_ reply: StoreReply) {
    guard let request = waiting.removeValue(forKey: reply.number) else { return }
    if request.take(.success(reply.body)) { waiting[reply.number] = request }
  }

  private func end() {
    guard !isClosed else { return }
    isClosed = true
    let ended = waiting
    waiting = [:]
    for number in ended.keys.sorted() { _ = ended[number]?.take(.failure(.closed)) }
  }

  private func sweep() {
    isSweepScheduled = false
    let now = NIODeadline.now()
    let late = waiting.filter { $0.value.deadline.map { $0 <= now } ?? false }.keys.sorted()
    for number in late {
      _ = waiting.removeValue(forKey: number)?.take(.failure(.timeout))
    }
    scheduleSweep()
  }

  private func scheduleSweep() {
    guard !isSweepScheduled, !isClosed, waiting.contains(where: { $0.value.deadline != nil }) else {
      return
    }
    isSweepScheduled = true
    channel.eventLoop.scheduleTask(in: Self.sweepInterval) { [self] in sweep() }
  }

  /// Sends a request. `take` is given what comes for it, and says whether there is more to come.
  /// Returns its number.
  @discardableResult
  func send(
    _ body: StoreRequest.Body, timeout: TimeAmount? = nil, _ take: @escaping (Arrival) -> Bool
  ) -> UInt64 {
    next += 1
    guard !isClosed else {
      _ = take(.failure(.closed))
      return next
    }
    waiting[next] = Waiting(take: take, deadline: timeout.map { .now() + $0 })
    if timeout != nil, !isSweepScheduled { scheduleSweep() }
    buffer.writeFrame(StoreRequest(number: next, body).encoded)
    if !isFlushScheduled {
      isFlushScheduled = true
      channel.eventLoop.execute { [self] in flush() }
    }
    return next
  }

  private func flush() {
    isFlushScheduled = false
    channel.writeAndFlush(buffer, promise: nil)
    buffer = channel.allocator.buffer(capacity: 4_096)
  }

  /// Sends a request that has one reply, from anywhere.
  func request(_ body: StoreRequest.Body, timeout: TimeAmount) async -> Arrival {
    await withCheckedContinuation { continuation in
      channel.eventLoop.execute { [self] in
        send(body, timeout: timeout) { arrival in
          continuation.resume(returning: arrival)
          return false
        }
      }
    }
  }

  func close() { channel.close(promise: nil) }
}
