internal import CSockets
internal import Glibc

/// Room for datagrams that go between this process and the kernel in one system call. All of its
/// memory is taken at its start: filling, receiving and sending allocate nothing.
///
/// It is either filled by `receive` and read, or filled by `append` and sent. Not thread-safe.
public final class DatagramBatch {
  /// Datagrams that fit.
  public let capacity: Int
  /// Bytes of one datagram at most. A longer one is received cut to this length.
  public let datagramLengthMax: Int
  /// Datagrams in it. After a `send` that the kernel had no room for: those not yet sent.
  public var count: Int { end - first }
  public var isEmpty: Bool { first == end }
  public var isFull: Bool { end == capacity }
  /// Datagrams that the network refused while they were sent or awaited, as an unreachable or
  /// refusing receiver does. UDP promises nothing, so to the owner they are lost datagrams.
  public private(set) var refusals: UInt64 = 0
  /// The latest reason of a refusal.
  public private(set) var lastRefusal: SocketError?

  private var first = 0
  private var end = 0
  /// Places from here on are as they were at the start.
  private var used = 0
  private let stride: Int
  private let bytes: UnsafeMutableRawPointer
  private let datagrams: UnsafeMutablePointer<csockets_datagram>
  private let parts: UnsafeMutablePointer<iovec>
  private let addresses: UnsafeMutablePointer<sockaddr_in6>

  /// Room for an address of either kind.
  private static let addressLength = socklen_t(MemoryLayout<sockaddr_in6>.size)
  /// Datagrams of one system call at most, in the kernel.
  private static let callMax = 1_024

  /// Joins datagrams for sending; nil: each goes to the kernel on its own.
  private var joining: DatagramJoining?

  /// `capacity`: 1 to 1,024 datagrams; `datagramLengthMax`: bytes.
  ///
  /// `joinsDatagrams`: those of one length that follow each other to one receiver go through the
  /// kernel's protocol layers as one, which cuts them apart behind (UDP_SEGMENT, of Linux 4.18). It
  /// changes nothing for the receiver, and saves the sender most of its time. Where the kernel or
  /// the interface cannot do it, each goes on its own.
  public init(capacity: Int, datagramLengthMax: Int, joinsDatagrams: Bool = false) {
    precondition((1...Self.callMax).contains(capacity) && datagramLengthMax > 0)
    self.capacity = capacity
    self.datagramLengthMax = datagramLengthMax
    stride = (datagramLengthMax + 63) / 64 * 64
    bytes = .allocate(byteCount: stride * capacity, alignment: 64)
    // Never handed out as it came from the allocator, whatever a caller does.
    bytes.initializeMemory(as: UInt8.self, repeating: 0, count: stride * capacity)
    datagrams = .allocate(capacity: capacity)
    datagrams.initialize(repeating: csockets_datagram(), count: capacity)
    parts = .allocate(capacity: capacity)
    parts.initialize(repeating: iovec(), count: capacity)
    addresses = .allocate(capacity: capacity)
    addresses.initialize(repeating: sockaddr_in6(), count: capacity)
    for index in 0..<capacity {
      parts[index].iov_base = bytes + index * stride
      datagrams[index].header.msg_iov = parts + index
      datagrams[index].header.msg_iovlen = 1
      reset(index)
    }
    if joinsDatagrams { joining = DatagramJoining(capacity: capacity) }
  }

  deinit {
    bytes.deallocate()
    datagrams.deallocate()
    parts.deallocate()
    addresses.deallocate()
  }

  /// Forgets all datagrams in it.
  public func removeAll() { (first, end) = (0, 0) }

  // MARK: Receiving

  /// Takes what has arrived at the socket, at most `capacity` datagrams, in the place of what was
  /// in the batch; returns how many. 0: nothing is there now. Does not block.
  @discardableResult
  public func receive(from socket: UDPSocket) throws(SocketError) -> Int {
    for index in 0..<used { reset(index) }
    (first, end, used) = (0, 0, 0)
    // The kernel tells of a refused datagram once, in the place of an arrived one.
    for _ in 0..<8 {
      let received = csockets_receive(socket.descriptor, datagrams, UInt32(capacity), 0)
      if received >= 0 {
        (end, used) = (Int(received), Int(received))
        return end
      }
      let code = errno
      if code == EAGAIN || code == EINTR { return 0 }
      try refused(code, socket.remote, doing: "receive datagrams")
    }
    return 0
  }

  /// The bytes of the datagram at `index`, 0 ..< count. Valid until the batch is next filled.
  public subscript(index: Int) -> UnsafeRawBufferPointer {
    precondition(index >= 0 && index < count)
    let length = min(Int(datagrams[first + index].length), datagramLengthMax)
    return UnsafeRawBufferPointer(start: place(first + index), count: length)
  }

  /// Who sent the datagram at `index`, 0 ..< count.
  public func sender(_ index: Int) -> Endpoint {
    precondition(index >= 0 && index < count)
    return Endpoint(addresses[first + index])
  }

  // MARK: Sending

  /// Adds a datagram: `fill` writes it into the room given to it (`datagramLengthMax` bytes) and
  /// returns its length. `endpoint` is needed unless the socket is connected.
  ///
  /// False, and nothing is called: the batch is full.
  @discardableResult
  public func append(
    to endpoint: Endpoint? = nil, _ fill: (UnsafeMutableRawBufferPointer) -> Int
  ) -> Bool {
    guard end < capacity else { return false }
    let room = UnsafeMutableRawBufferPointer(start: place(end), count: datagramLengthMax)
    let length = fill(room)
    precondition(length >= 0 && length <= datagramLengthMax)
    parts[end].iov_len = length
    datagrams[end].length = UInt32(length)
    if let endpoint {
      addresses[end] = endpoint.socketAddress
      datagrams[end].header.msg_name = UnsafeMutableRawPointer(addresses + end)
      datagrams[end].header.msg_namelen = endpoint.socketAddressLength
    } else {
      datagrams[end].header.msg_name = nil
      datagrams[end].header.msg_namelen = 0
    }
    end += 1
    used = max(used, end)
    return true
  }

  /// Adds a datagram with these bytes, at most `datagramLengthMax`.
  @discardableResult
  public func append(_ bytes: UnsafeRawBufferPointer, to endpoint: Endpoint? = nil) -> Bool {
    append(to: endpoint) { room in
      room.copyMemory(from: bytes)
      return bytes.count
    }
  }

  /// Sends what is in the batch, in order; returns how many datagrams were sent. Where the kernel
  /// has no room now, the rest stays in it, to be sent when the socket is writable. Datagrams that
  /// the network refuses are dropped and counted in `refusals`.
  @discardableResult
  public func send(on socket: UDPSocket) throws(SocketError) -> Int {
    var total = 0
    while first < end {
      let sent =
        if let joining { joining.send(datagrams, first..<end, socket.descriptor) } else {
          Int(
            csockets_send(
              socket.descriptor, datagrams + first, UInt32(end - first), Int32(MSG_NOSIGNAL)))
        }
      if sent >= 0 {
        first += sent
        total += sent
        continue
      }
      let code = errno
      if code == EAGAIN || code == ENOBUFS { return total }
      if code == EINTR { continue }
      if let joining, joining.isRefusal(code) {
        self.joining = nil
        continue
      }
      let endpoint =
        datagrams[first].header.msg_name == nil ? socket.remote : Endpoint(addresses[first])
      first += 1
      try refused(code, endpoint, doing: "send datagrams")
    }
    removeAll()
    return total
  }

  // MARK: Places

  private func place(_ index: Int) -> UnsafeMutableRawPointer { bytes + index * stride }

  /// Makes a place ready to receive.
  private func reset(_ index: Int) {
    parts[index].iov_len = datagramLengthMax
    datagrams[index].length = 0
    datagrams[index].header.msg_name = UnsafeMutableRawPointer(addresses + index)
    datagrams[index].header.msg_namelen = Self.addressLength
    datagrams[index].header.msg_flags = 0
  }

  private func refused(_ code: Int32, _ endpoint: Endpoint?, doing: String) throws(SocketError) {
    let error = SocketError.from(code: code, doing: doing, endpoint: endpoint)
    guard SocketError.isLoss(code) else { throw error }
    refusals += 1
    lastRefusal = error
  }
}
