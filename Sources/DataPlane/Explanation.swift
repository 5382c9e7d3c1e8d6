internal import Sockets
public import Wire

/// What a rack's running program does with a request of a client, found out by giving it one.
public struct Explanation: Sendable, Equatable {
  /// What became of the request.
  public enum Verdict: String, Sendable, Equatable, Encodable {
    /// It would have gone to a server.
    case steered
    /// The program has answered by itself: `status` says what.
    case answered
    case dropped
    /// To the kernel: it was not taken for a request to this rack.
    case passed
  }

  public var verdict: Verdict
  public var keyHash: UInt64
  public var slot: Int
  /// If steered: the server's number, and where it is ("10.0.0.1:18516").
  public var server: UInt8?
  public var address: String?
  /// By a directory entry, as a hot key; otherwise by the key's slot.
  public var isReplicated = false
  /// If steered: of a read the least version that the server must have (0: any), of a write its own.
  public var version: UInt64?
  public var generation: UInt64?
  /// Of a write: the servers that the server is to copy it to.
  public var copies: [UInt8] = []
  /// If answered.
  public var status: Status?

  /// Gives the program a request for the key: GET, or SET of an empty value, from an address that
  /// nobody has (192.0.2.1, RFC 5737; 2001:db8::1, RFC 3849), as if it came in by the interface of this index. Nothing is
  /// sent; the directory counts it as one request, and a write takes one version. `rack`: its address (4 or 16
  /// bytes) and port.
  public init(
    of operation: Wire.Operation, key: [UInt8], seed: UInt64,
    rack: (address: [UInt8], port: UInt16),
    by program: PinnedProgram, ingress: UInt32
  ) throws(DataPlaneError) {
    var header = Header(operation)
    keyHash = KeyHash.of(key, seed: seed)
    slot = KeyHash.slot(keyHash)
    header.keyHash = keyHash
    header.client = 1
    header.sequence = 1
    header.acknowledged = 1
    let frame = Self.frame(Message(header, key: key).encoded(), to: rack)
    let (action, after) = try program.run(frame: frame, ingress: ingress)
    let payload = Array(after.dropFirst(Self.headersLength(rack.address)))
    let stamped = payload.withUnsafeBytes { try? Header(datagram: $0) }
    switch action {
    case .redirect, .transmit:
      verdict = .answered
      status = stamped?.status
      guard let stamped, !stamped.flags.contains(.reply) else { return }
      verdict = .steered
      status = nil
      isReplicated = stamped.flags.contains(.replicated)
      server = stamped.server
      version = stamped.version
      generation = stamped.generation
      copies = (0..<UInt8(WireLimits.serversMax)).filter {
        stamped.copyTargets >> UInt32($0) & 1 == 1
      }
      address = Self.destination(of: after, like: rack.address)
    case .pass: verdict = .passed
    case .drop, .aborted: verdict = .dropped
    }
  }

  private static let ethernetLength = 14
  private static let udpLength = 8

  /// Ethernet, IP and UDP.
  private static func headersLength(_ address: [UInt8]) -> Int {
    ethernetLength + (address.count == 4 ? 20 : 40) + udpLength
  }

  private static func destination(of frame: [UInt8], like rack: [UInt8]) -> String? {
    let end = headersLength(rack) - udpLength
    guard frame.count >= end + 4,
      let address = IPAddress(bytes: Array(frame[end - rack.count..<end]))
    else { return nil }
    return Endpoint(address, port: UInt16(frame[end + 2]) << 8 | UInt16(frame[end + 3])).description
  }

  private static func frame(
    _ datagram: [UInt8], to rack: (address: [UInt8], port: UInt16)
  ) -> [UInt8] {
    let ethernet: [UInt8] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]
    let length = udpLength + datagram.count
    var udp = big(40_000, 2) + big(Int(rack.port), 2) + big(length, 2) + [0, 0]
    guard rack.address.count == 16 else {
      // No checksum of UDP: that is allowed, and the program leaves it so.
      var ip: [UInt8] = [0x45, 0] + big(20 + length, 2) + [0, 0, 0x40, 0, 64, 17, 0, 0]
      ip += [192, 0, 2, 1] + rack.address
      ip.replaceSubrange(10..<12, with: checksum(ip))
      return ethernet + [8, 0] + ip + udp + datagram
    }
    let source: [UInt8] = [0x20, 0x01, 0x0d, 0xb8] + Array(repeating: 0, count: 11) + [1]
    let ip: [UInt8] = [0x60, 0, 0, 0] + big(length, 2) + [17, 64] + source + rack.address
    let pseudo = source + rack.address + big(length, 4) + [0, 0, 0, 17]
    udp.replaceSubrange(6..<8, with: checksum(pseudo + udp + datagram))
    return ethernet + [0x86, 0xdd] + ip + udp + datagram
  }

  /// The checksum of the Internet protocols (RFC 1071); never 0, which means that there is none.
  private static func checksum(_ bytes: [UInt8]) -> [UInt8] {
    var sum = stride(from: 0, to: bytes.count, by: 2).reduce(0) {
      $0 + (Int(bytes[$1]) << 8 | ($1 + 1 < bytes.count ? Int(bytes[$1 + 1]) : 0))
    }
    while sum > 0xffff { sum = (sum & 0xffff) + sum >> 16 }
    return big(sum == 0xffff ? 0xffff : ~sum & 0xffff, 2)
  }

  private static func big(_ value: Int, _ count: Int) -> [UInt8] {
    (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }
}
