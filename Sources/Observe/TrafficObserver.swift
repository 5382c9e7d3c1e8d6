internal import Wire

/// Watches packets and keeps statistics of the keys that they ask for. Its memory is bounded, whatever
/// comes: so many keys, connections and servers, and no more. Not thread-safe.
public final class TrafficObserver {
  /// What it is to know and to keep.
  public struct Configuration: Sendable {
    /// Ports of servers, besides the usual ones; a port that is named here is of this protocol only.
    public var ports: [UInt16: KeyProtocol] = [:]
    /// Also recognize the protocols on other ports, by what is said.
    public var recognizes = true
    /// Keys watched at the same time; shares are exact to one part in as many of the traffic.
    public var places = 16_384
    /// Connections followed at the same time, a power of two.
    public var connections = 32_768
    /// Seconds; a request so long ago weighs 1/e of one that comes now. Nil: all weigh the same.
    public var window: Double?

    public init() {}
  }

  /// A stream whose first segments are of no known protocol is left alone.
  private static let unknownSegmentsMax: UInt8 = 8

  private let link: LinkType
  private let recognizes: Bool
  private let hasWindow: Bool
  /// Protocol of each port; 0xff: none that is known.
  private let ports: [UInt8]
  private let flows: FlowTable
  private var follower = StreamFollower()
  private var statistics: KeyStatistics
  private var seenRequests = RecentRequests()
  private var packets = PacketCounts()

  /// `link`: what all frames begin with.
  public init(link: LinkType, configuration: Configuration = Configuration()) {
    self.link = link
    recognizes = configuration.recognizes
    hasWindow = configuration.window != nil
    var ports = [UInt8](repeating: 0xff, count: 65_536)
    for keyProtocol in KeyProtocol.allCases {
      ports[Int(keyProtocol.usualPort)] = keyProtocol.rawValue
    }
    for (port, keyProtocol) in configuration.ports { ports[Int(port)] = keyProtocol.rawValue }
    self.ports = ports
    flows = FlowTable(capacity: configuration.connections)
    statistics = KeyStatistics(places: configuration.places, window: configuration.window)
  }

  /// Takes a frame; `time` in nanoseconds since 1970. Any bytes will do.
  public func take(_ frame: UnsafeRawBufferPointer, time: UInt64) {
    packets.all += 1
    statistics.advance(to: time)
    let transport: Transport
    do throws(FrameRefusal) {
      transport = try Frame.transport(in: frame, link: link)
    } catch {
      switch error {
      case .otherProtocol: packets.others += 1
      case .fragment: packets.fragments += 1
      case .malformed: packets.malformed += 1
      }
      return
    }
    if transport.kind == .tcp { segment(transport) } else { datagram(transport) }
  }

  /// What was seen until now. `servers`: of the rack that the gain is computed for, 2 ... 32.
  public func observation(servers: Int) -> Observation {
    Observation(
      statistics, packets, follower, connections: flows.count,
      connectionsForgotten: flows.forgotten, hasWindow: hasWindow, servers: servers)
  }

  private func keyProtocol(ofPort port: UInt16) -> KeyProtocol? {
    KeyProtocol(rawValue: ports[Int(port)])
  }

  // MARK: TCP

  private func segment(_ segment: Transport) {
    packets.segments += 1
    let expected = keyProtocol(ofPort: segment.flow.destinationPort)
    if expected == nil,
      keyProtocol(ofPort: segment.flow.sourcePort) != nil || follower.flowsWaiting > 0
    {
      acknowledge(segment)
      // What a server sends is no request.
      if keyProtocol(ofPort: segment.flow.sourcePort) != nil { return }
    }
    guard expected != nil || recognizes, expected != .hotrack else { return }
    let flow: UnsafeMutablePointer<FlowTable.Flow>
    if let found = flows.find(segment.flow) {
      flow = found
    } else {
      // Nothing to follow yet, or any more.
      guard segment.payloadLength > 0 || segment.flags & Transport.syn != 0 else { return }
      flow = begin(segment, expected)
    }
    flow.pointee.lastUse = packets.all
    if segment.flags & Transport.syn != 0 { restart(flow, segment, expected) }
    if segment.payloadLength > 0 { follow(flow, segment) }
    guard segment.flags & (Transport.fin | Transport.rst) != 0 else { return }
    follower.end(flow, &statistics)
    flows.remove(flow)
  }

  private func begin(
    _ segment: Transport, _ expected: KeyProtocol?
  ) -> UnsafeMutablePointer<FlowTable.Flow> {
    let flow = flows.take(segment.flow, forgetting: { follower.drop($0) })
    flow.pointee.expected = segment.sequence
    flow.pointee.parser = StreamParser(expected, fromStart: false)
    flow.pointee.server = .max
    return flow
  }

  private func restart(
    _ flow: UnsafeMutablePointer<FlowTable.Flow>, _ segment: Transport, _ expected: KeyProtocol?
  ) {
    follower.drop(flow)
    flow.pointee.expected = segment.sequence &+ 1
    flow.pointee.parser = StreamParser(expected, fromStart: true)
    flow.pointee.unknownSegments = 0
  }

  private func follow(_ flow: UnsafeMutablePointer<FlowTable.Flow>, _ segment: Transport) {
    if flow.pointee.parser.keyProtocol == nil {
      guard flow.pointee.unknownSegments < Self.unknownSegmentsMax else { return }
      flow.pointee.unknownSegments += 1
      // Whose it is must be known before anything is counted.
      guard let recognized = flow.pointee.parser.recognizes(segment.payload) else {
        flow.pointee.expected =
          segment.sequence &+ UInt32(truncatingIfNeeded: segment.payloadLength)
        return
      }
      flow.pointee.server = statistics.server(segment.flow, recognized)
      statistics.begin(recognized, server: flow.pointee.server)
    } else if let keyProtocol = flow.pointee.parser.keyProtocol {
      if flow.pointee.server == .max {
        flow.pointee.server = statistics.server(segment.flow, keyProtocol)
      }
      statistics.begin(keyProtocol, server: flow.pointee.server)
    }
    // With SYN the data begins one later (TCP Fast Open).
    let sequence = segment.sequence &+ (segment.flags & Transport.syn != 0 ? 1 : 0)
    follower.segment(
      flow, sequence: sequence, bytes: segment.payload, length: segment.payloadLength, &statistics)
  }

  /// A segment the other way says what has arrived.
  private func acknowledge(_ segment: Transport) {
    guard follower.flowsWaiting > 0, segment.flags & Transport.ack != 0,
      let flow = flows.find(segment.flow.reversed), !flow.pointee.held.isEmpty,
      let keyProtocol = flow.pointee.parser.keyProtocol, flow.pointee.server != .max
    else { return }
    statistics.begin(keyProtocol, server: flow.pointee.server)
    follower.acknowledged(flow, segment.acknowledgment, &statistics)
  }

  // MARK: UDP

  private func datagram(_ datagram: Transport) {
    packets.datagrams += 1
    guard
      keyProtocol(ofPort: datagram.flow.sourcePort) == nil
        || keyProtocol(ofPort: datagram.flow.destinationPort) != nil
    else { return }
    switch keyProtocol(ofPort: datagram.flow.destinationPort) {
    case .hotrack: rackDatagrams(datagram)
    case .memcached: memcachedDatagram(datagram, isCertain: true)
    case .redis: return
    case nil:
      guard recognizes else { return }
      if datagram.payload.count >= 2, datagram.payload.short(0) == WireLimits.magic {
        rackDatagrams(datagram)
      } else {
        memcachedDatagram(datagram, isCertain: false)
      }
    }
  }

  /// hotrack's requests; on the sender's host several may stand in one packet still (UDP_SEGMENT).
  private func rackDatagrams(_ datagram: Transport) {
    var rest = datagram.payload
    while rest.count >= WireLimits.headerLength {
      let length =
        WireLimits.headerLength + Int(rest.short(WireLimits.keyLengthOffset))
        + Int(rest.short(WireLimits.keyLengthOffset + 2))
      // What was cut off, by the capture or in several parts, cannot be checked.
      guard length <= rest.count else { break }
      guard let header = try? Header(datagram: rest.part(0, length)) else { break }
      rackRequest(header, rest.part(0, length), datagram.flow)
      rest = rest.from(length)
    }
  }

  private func rackRequest(
    _ header: Header, _ bytes: UnsafeRawBufferPointer, _ flow: FlowKey
  ) {
    guard header.operation.isRequest, header.operation != .hello, !header.flags.contains(.reply),
      header.keyLength > 0
    else { return }
    // On the directory's host a request is seen twice: as the client sent it, and as it was steered.
    guard seenRequests.isNew(header) else {
      packets.repeatedRequests += 1
      return
    }
    statistics.begin(.hotrack, server: statistics.server(flow, .hotrack))
    statistics.request(
      key: bytes.part(WireLimits.headerLength, Int(header.keyLength)),
      isRead: !header.operation.isWrite)
  }

  private static let memcachedFrameLength = 8

  /// memcached's requests have a frame of their own: a number, which of how many datagrams, zeros.
  private func memcachedDatagram(_ datagram: Transport, isCertain: Bool) {
    let bytes = datagram.payload
    guard bytes.count > Self.memcachedFrameLength, bytes.short(2) == 0, bytes.short(4) == 1,
      bytes.short(6) == 0
    else { return }
    let request = bytes.from(Self.memcachedFrameLength)
    var parser = StreamParser(.memcached, fromStart: isCertain)
    guard isCertain || parser.recognizes(request) == .memcached else { return }
    statistics.begin(.memcached, server: statistics.server(datagram.flow, .memcached))
    parser.consume(request, &statistics)
  }
}

/// Packets, and what became of them.
struct PacketCounts {
  var all: UInt64 = 0
  var segments: UInt64 = 0
  var datagrams: UInt64 = 0
  var others: UInt64 = 0
  var fragments: UInt64 = 0
  var malformed: UInt64 = 0
  /// Requests of hotrack that were seen a second time, behind the directory.
  var repeatedRequests: UInt64 = 0
}

/// Remembers the last requests of hotrack, so that one that passes twice, before and behind the
/// directory, counts once. A client's retry counts again: it is load.
struct RecentRequests {
  private var recent = [UInt64](repeating: 0, count: 4_096)

  mutating func isNew(_ header: Header) -> Bool {
    // The last bit says on which side of the directory it was seen.
    let isSteered = header.incarnation != 0
    let product = (header.client ^ 0x9e37_79b9_7f4a_7c15)
      .multipliedFullWidth(by: header.sequence | 1 << 63)
    let name = (product.high ^ product.low) & ~1
    let place = Int(name >> 52)
    let before = recent[place]
    recent[place] = name | (isSteered ? 1 : 0)
    return before & ~1 != name || before == recent[place]
  }
}
