public import NIOCore

/// Cuts what comes on a connection into frames, and gives each to a closure, on the connection's
/// event loop. `atEnd` is told once how the connection ended; nil: the other side has closed it.
public final class FrameCutter: ChannelInboundHandler {
  public typealias InboundIn = ByteBuffer

  /// Bytes before the contents of a frame.
  public static let prefixLength = 4

  private let frameMax: Int
  private let onFrame: (UnsafeRawBufferPointer) throws -> Void
  private let onEnd: ((any Error)?) -> Void
  private var rest: ByteBuffer?
  private var hasEnded = false

  public init(
    frameMax: Int, onFrame: @escaping (UnsafeRawBufferPointer) throws -> Void,
    atEnd: @escaping ((any Error)?) -> Void
  ) {
    self.frameMax = frameMax
    self.onFrame = onFrame
    onEnd = atEnd
  }

  public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var buffer = unwrapInboundIn(data)
    if var rest {
      self.rest = nil
      rest.writeBuffer(&buffer)
      buffer = rest
    }
    while !hasEnded,
      let length = buffer.getInteger(
        at: buffer.readerIndex, endianness: .little, as: UInt32.self)
    {
      guard Int(length) <= frameMax else {
        return end(FrameError.tooLong(Int(length), limit: frameMax), context)
      }
      let whole = Self.prefixLength + Int(length)
      guard buffer.readableBytes >= whole else { break }
      do {
        try buffer.withUnsafeReadableBytes {
          try onFrame(UnsafeRawBufferPointer(rebasing: $0[Self.prefixLength..<whole]))
        }
      } catch {
        return end(error, context)
      }
      buffer.moveReaderIndex(forwardBy: whole)
    }
    if buffer.readableBytes > 0, !hasEnded {
      // Nothing else holds its memory then, so that more can be appended to it.
      buffer.discardReadBytes()
      rest = buffer
    }
  }

  public func errorCaught(context: ChannelHandlerContext, error: any Error) {
    end(error, context)
  }

  public func channelInactive(context: ChannelHandlerContext) {
    if !hasEnded {
      hasEnded = true
      onEnd(nil)
    }
    context.fireChannelInactive()
  }

  private func end(_ error: any Error, _ context: ChannelHandlerContext) {
    guard !hasEnded else { return }
    hasEnded = true
    onEnd(error)
    context.close(promise: nil)
  }
}

/// Why a connection is given up.
public enum FrameError: Error, Equatable, CustomStringConvertible {
  case tooLong(Int, limit: Int)

  public var description: String {
    switch self {
    case .tooLong(let length, let limit): "a frame of \(length) bytes; at most \(limit) are taken"
    }
  }
}

extension ByteBuffer {
  /// Appends a frame with the bytes that `write` appends.
  public mutating func writeFrame(_ contents: [UInt8]) {
    writeInteger(UInt32(contents.count), endianness: .little)
    writeBytes(contents)
  }
}
