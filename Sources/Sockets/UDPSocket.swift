internal import CSockets
internal import Glibc

/// A UDP socket on IPv4 or IPv6, as its addresses are, that never blocks and never fragments. Closed when it is released.
///
/// Thread-safe as far as the kernel's calls are; a `DatagramBatch` belongs to one thread.
public final class UDPSocket: Sendable {
  /// For an `EventPoll`. Stays the socket's own: not to be closed.
  public let descriptor: Int32
  /// Where it is bound, with the port that the kernel has chosen.
  public let local: Endpoint
  /// The only endpoint it talks to, if it is connected.
  public let remote: Endpoint?

  /// Opens and binds a socket.
  ///
  /// - Parameters:
  ///   - local: the address and port to bind; port 0 lets the kernel choose.
  ///   - remote: if not nil, the socket sends only there and receives only from there.
  ///   - bufferLength: bytes of the kernel's receive and send buffer each. Beyond the system's limit
  ///     (net.core.rmem_max) it takes CAP_NET_ADMIN; without it the limit is used.
  ///   - sharesPort: several sockets of one user may bind the same port; the kernel spreads the
  ///     senders over them (SO_REUSEPORT).
  ///   - namespace: where the socket lives; nil: in the network namespace of the caller.
  /// - Throws: `portInUse`, `addressNotAvailable`, `unreachable`, `notPermitted` and others.
  public init(
    bind local: Endpoint = .any, connect remote: Endpoint? = nil, bufferLength: Int? = nil,
    sharesPort: Bool = false, in namespace: NetworkNamespace? = nil
  ) throws(SocketError) {
    let open: @Sendable () throws(SocketError) -> Int32 = { () throws(SocketError) in
      try Self.open(local, remote, bufferLength, sharesPort)
    }
    let descriptor = if let namespace { try namespace.perform(open) } else { try open() }
    self.descriptor = descriptor
    self.remote = remote
    self.local = Self.boundEndpoint(descriptor)
  }

  deinit { close(descriptor) }

  /// Bytes the kernel keeps for this socket until they are received, its own overhead included
  /// (about 1,300 bytes for a small datagram).
  public var receiveBufferLength: Int {
    var (value, length): (Int32, socklen_t) = (0, socklen_t(MemoryLayout<Int32>.size))
    getsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &value, &length)
    return Int(value)
  }

  /// Sends one datagram; false if the kernel has no room for it now.
  ///
  /// `to` is needed unless the socket is connected. For more than a few datagrams use a
  /// `DatagramBatch`.
  @discardableResult
  public func send(_ bytes: UnsafeRawBufferPointer, to endpoint: Endpoint? = nil)
    throws(SocketError) -> Bool
  {
    let sent: Int
    if var address = endpoint?.socketAddress {
      sent = withUnsafeBytes(of: &address) { address in
        sendto(
          descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL),
          address.assumingMemoryBound(to: sockaddr.self).baseAddress,
          endpoint?.socketAddressLength ?? 0)
      }
    } else {
      sent = Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
    }
    guard sent < 0 else { return true }
    if errno == EAGAIN || errno == ENOBUFS { return false }
    throw .from(code: errno, doing: "send a datagram", endpoint: endpoint ?? remote)
  }

  private static func open(
    _ local: Endpoint, _ remote: Endpoint?, _ bufferLength: Int?, _ sharesPort: Bool
  ) throws(SocketError) -> Int32 {
    var local = local
    // Any address of the kind that the other end has.
    if local.address == .any, remote?.address.isIPv6 == true { local.address = .anyIPv6 }
    let isIPv6 = local.address.isIPv6
    let kind = Int32(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = socket(isIPv6 ? AF_INET6 : AF_INET, kind, 0)
    guard descriptor >= 0 else { throw .from(code: errno, doing: "open a UDP socket") }
    do throws(SocketError) {
      if sharesPort { set(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) }
      // A datagram too long for the path is an error here, not a fragment that no one reassembles.
      if isIPv6 {
        set(descriptor, Int32(IPPROTO_IPV6), IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO)
        set(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1)
      } else {
        set(descriptor, Int32(IPPROTO_IP), IP_MTU_DISCOVER, IP_PMTUDISC_DO)
      }
      if let bufferLength { setBuffers(descriptor, bufferLength) }
      try withAddress(local) { bind(descriptor, $0, $1) }
        .orThrow("bind UDP port \(local.port) of \(local.address)", local)
      if let remote {
        try withAddress(remote) { connect(descriptor, $0, $1) }
          .orThrow("connect to \(remote)", remote)
      }
    } catch {
      close(descriptor)
      throw error
    }
    return descriptor
  }

  /// These can only fail for want of privileges, and then the kernel's limit will do.
  private static func setBuffers(_ descriptor: Int32, _ length: Int) {
    let length = Int32(clamping: length)
    for (force, plain) in [(SO_RCVBUFFORCE, SO_RCVBUF), (SO_SNDBUFFORCE, SO_SNDBUF)]
    where !set(descriptor, SOL_SOCKET, force, length) {
      set(descriptor, SOL_SOCKET, plain, length)
    }
  }

  @discardableResult
  private static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32)
    -> Bool
  {
    var value = value
    return setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0
  }

  private static func withAddress(
    _ endpoint: Endpoint, _ call: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> CallResult {
    withUnsafePointer(to: endpoint.socketAddress) { address in
      address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        CallResult(code: call($0, endpoint.socketAddressLength) == 0 ? 0 : errno)
      }
    }
  }

  private static func boundEndpoint(_ descriptor: Int32) -> Endpoint {
    var (address, length) = (sockaddr_in6(), socklen_t(MemoryLayout<sockaddr_in6>.size))
    withUnsafeMutablePointer(to: &address) { address in
      address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        // It cannot fail: the descriptor is a bound socket.
        _ = getsockname(descriptor, $0, &length)
      }
    }
    return Endpoint(address)
  }
}

private struct CallResult {
  let code: Int32

  func orThrow(_ doing: String, _ endpoint: Endpoint) throws(SocketError) {
    guard code == 0 else { throw .from(code: code, doing: doing, endpoint: endpoint) }
  }
}
