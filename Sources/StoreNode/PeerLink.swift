internal import BinaryCoding
internal import Glibc
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import Paxos
internal import Sockets
internal import StoreFrames
internal import StoreProtocol

/// The connection by which a node sends to another one; what comes back arrives on that one's own.
/// Messages that cannot be sent are lost, as messages may be. Confined to the node's event loop.
final class PeerLink: @unchecked Sendable {
  // Unchecked: everything happens on the event loop.
  let peer: StoreNodeOptions.Peer
  private let greeting: StoreGreeting
  private let eventLoop: any EventLoop
  private let tls: NIOSSLContext?
  private let log: Logger
  private var channel: (any Channel)?
  private var out = ByteWriter()
  private var isClosed = false
  private var failures = 0

  /// A connection is given up, and made again, when the other side's kernel has not acknowledged for so
  /// many milliseconds what was sent.
  private static let silenceMax = 3_000
  /// Bytes that wait for a peer that does not take them; more is lost.
  private static let waitingMax = 64 << 20

  init(
    _ peer: StoreNodeOptions.Peer, greeting: StoreGreeting, eventLoop: any EventLoop,
    tls: NIOSSLContext?, log: Logger
  ) {
    self.peer = peer
    self.greeting = greeting
    self.eventLoop = eventLoop
    self.tls = tls
    self.log = log
  }

  var isConnected: Bool { channel != nil }

  func connect() {
    guard !isClosed else { return }
    let address: SocketAddress
    do {
      address = try SocketAddress(
        ipAddress: "\(peer.peerAddress.address)", port: Int(peer.peerAddress.port))
    } catch {
      log.error("node \(peer.node.rawValue): \(error)")
      return
    }
    ClientBootstrap(group: eventLoop)
      .connectTimeout(.seconds(1))
      .channelOption(ChannelOptions.tcpOption(.tcp_nodelay), value: 1)
      // After a cut, TCP alone would wait as long again as the cut has lasted.
      .channelOption(
        ChannelOptions.tcpOption(.init(rawValue: TCP_USER_TIMEOUT)), value: Self.silenceMax
      )
      .channelOption(
        ChannelOptions.writeBufferWaterMark, value: .init(low: 4 << 20, high: 16 << 20)
      )
      .channelInitializer { [tls] channel in
        channel.eventLoop.makeCompletedFuture {
          if let tls {
            try channel.pipeline.syncOperations.addHandler(
              NIOSSLClientHandler(context: tls, serverHostname: nil))
          }
        }
      }
      .connect(to: address)
      .whenComplete { [self] result in
        switch result {
        case .success(let channel): connected(channel)
        case .failure(let error): ended(error)
        }
      }
  }

  private func connected(_ channel: any Channel) {
    guard !isClosed else {
      channel.close(promise: nil)
      return
    }
    failures = 0
    log.info("connected to node \(peer.node.rawValue) at \(peer.peerAddress)")
    self.channel = channel
    out = ByteWriter()
    var buffer = channel.allocator.buffer(capacity: 64)
    buffer.writeFrame(greeting.encoded)
    channel.writeAndFlush(buffer, promise: nil)
    channel.closeFuture.whenComplete { [self] _ in
      self.channel = nil
      ended(nil)
    }
  }

  private func ended(_ error: (any Error)?) {
    guard !isClosed else { return }
    if failures == 0 {
      let reason = error.map { ": \($0)" } ?? ""
      log.notice(
        "node \(peer.node.rawValue) at \(peer.peerAddress) is not connected, and tried again\(reason)"
      )
    }
    failures += 1
    let wait = min(1_000, 50 << min(failures, 5))
    eventLoop.scheduleTask(in: .milliseconds(Int64(wait))) { [self] in connect() }
  }

  /// Puts a message into the next frame.
  func send(_ message: Message) {
    guard channel != nil, out.bytes.count < Self.waitingMax else { return }
    message.encode(to: &out)
  }

  /// Sends what has been put together as one frame.
  func flush() {
    guard !out.bytes.isEmpty, let channel, channel.isWritable else { return }
    var buffer = channel.allocator.buffer(
      capacity: out.bytes.count + FrameCutter.prefixLength)
    buffer.writeFrame(out.bytes)
    out.bytes.removeAll(keepingCapacity: out.bytes.count < 1 << 20)
    channel.writeAndFlush(buffer, promise: nil)
  }

  func close() {
    isClosed = true
    channel?.close(promise: nil)
  }
}
