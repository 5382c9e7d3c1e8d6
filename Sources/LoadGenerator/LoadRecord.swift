internal import Workload

/// Which server answered each measured request of a load, request by request.
///
/// Belongs to the load while it runs, and to its owner afterwards.
public final class LoadRecord: @unchecked Sendable {
  /// A measured request that has come to its end.
  public struct Request: Sendable, Hashable {
    /// No server has answered it, as far as is known.
    public static let noServer: UInt8 = 255

    /// When the attempt that was answered left for the rack: nanoseconds of `MonotonicClock`.
    public var sent: UInt64
    /// When the answer was read; 0 without an answer.
    public var answered: UInt64
    /// The number of its key.
    public var key: Int32
    public var server: UInt8

    public init(sent: UInt64, answered: UInt64, key: Int32, server: UInt8) {
      (self.sent, self.answered, self.key, self.server) = (sent, answered, key, server)
    }
  }

  /// In the order in which they ended.
  public private(set) var requests: [Request] = []

  /// `capacity`: requests for which there is room at once, so that none waits for memory.
  public init(capacity: Int) { requests.reserveCapacity(capacity) }

  func answered(_ request: LoadRequest, by server: UInt8, now: UInt64) {
    add(request, server, now)
  }

  func ended(_ request: LoadRequest) { add(request, Request.noServer, 0) }

  private func add(_ request: LoadRequest, _ server: UInt8, _ now: UInt64) {
    guard request.isMeasured else { return }
    requests.append(
      Request(
        sent: request.sentAt, answered: now,
        key: Int32(truncatingIfNeeded: request.operation.key),
        server: server))
  }
}
