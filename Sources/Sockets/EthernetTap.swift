internal import CSockets
internal import Glibc

/// An Ethernet interface whose other end is this program (TAP): what the host sends out of it is
/// received here, and what is sent here arrives at the host. It goes away when it is released, or
/// with the process.
///
/// Belongs to one thread.
public final class EthernetTap {
  /// For an `EventPoll`: readable when there is a frame.
  public let descriptor: Int32
  private let frame: UnsafeMutableRawBufferPointer

  /// The longest frame, of an interface without large offloads.
  private static let frameLengthMax = 65_536

  /// Makes the interface in the calling thread's network namespace; it is not up yet. `name` has at
  /// most 15 bytes and is free. Needs CAP_NET_ADMIN.
  public init(name: String) throws(SocketError) {
    descriptor = csockets_tap_create(name)
    frame = .allocate(byteCount: Self.frameLengthMax, alignment: 16)
    guard descriptor >= 0 else { throw .from(code: errno, doing: "make the interface \(name)") }
  }

  deinit {
    frame.deallocate()
    if descriptor >= 0 { close(descriptor) }
  }

  /// The next frame, in memory that is good until the next call; nil: there is none now.
  public func receive() throws(SocketError) -> UnsafeRawBufferPointer? {
    let length = read(descriptor, frame.baseAddress, frame.count)
    if length >= 0 { return UnsafeRawBufferPointer(rebasing: frame[..<length]) }
    // EIO: the interface is down; what is not there cannot be received.
    if errno == EAGAIN || errno == EINTR || errno == EIO { return nil }
    throw .from(code: errno, doing: "receive a frame")
  }

  /// Gives the host a frame. A frame that it does not take is lost, as on a wire.
  public func send(_ bytes: UnsafeRawBufferPointer) {
    _ = write(descriptor, bytes.baseAddress, bytes.count)
  }
}
