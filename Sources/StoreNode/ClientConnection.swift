internal import BinaryCoding
internal import NIOCore
internal import Paxos
internal import StoreFrames
internal import StoreProtocol
internal import StoreState

/// A client's connection. Confined to the node's event loop.
final class ClientConnection {
  let channel: any Channel
  let number: UInt64
  var hasGreeted = false
  private var out: ByteBuffer
  /// Groups that are watched through it.
  var watchedGroups: Set<ObjectID> = []
  /// Snapshots that it has begun and not ended.
  var snapshots: [UInt64] = []

  /// Bytes of answers that a client has not taken; with more it is given up.
  private static let waitingMax = 256 << 20

  init(_ channel: any Channel, number: UInt64) {
    self.channel = channel
    self.number = number
    out = channel.allocator.buffer(capacity: 4_096)
  }

  /// Puts a frame with an answer to what is to be sent next. True: there was nothing yet.
  @discardableResult
  func put(_ contents: some BinaryCodable) -> Bool { put(encoded: contents.encoded) }

  /// As `put`, with what was encoded elsewhere.
  @discardableResult
  func put(encoded contents: [UInt8]) -> Bool {
    let isFirst = out.readableBytes == 0
    out.writeFrame(contents)
    return isFirst
  }

  func flush() {
    guard out.readableBytes > 0 else { return }
    guard channel.isWritable || out.readableBytes < Self.waitingMax else {
      channel.close(promise: nil)
      return
    }
    channel.writeAndFlush(out, promise: nil)
    // The channel holds the old memory until it is written.
    out = channel.allocator.buffer(capacity: 4_096)
  }
}

/// A client that wants to know what happens in a range of keys.
struct Watch {
  var connection: ClientConnection
  /// Of the request that has begun it.
  var request: UInt64
  var range: KeyRange
  /// It was told of everything up to this revision.
  var revision: UInt64
}
