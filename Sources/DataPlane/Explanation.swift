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
  /// nobody has (192.0.2.1, RFC 5737), as if it came in by the interface of this index. Nothing is
  /// sent; the directory counts it as one request, and a write takes one version.
  public init(
    of operation: Wire.Operation, key: [UInt8], seed: UInt64, rack: (address: UInt32, port: UInt16),
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
    let payload = Array(after.dropFirst(Self.headersLength))
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
      address = Self.destination(of: after)
    case .pass: verdict = .passed
    case .drop, .aborted: verdict = .dropped
    }
  }

  /// Ethernet, IPv4 and UDP.
  private static let headersLength = 14 + 20 + 8

  private static func destination(of frame: [UInt8]) -> String? {
    guard frame.count >= headersLength else { return nil }
    let port = UInt16(frame[36]) << 8 | UInt16(frame[37])
    return frame[30..<34].map { String($0) }.joined(separator: ".") + ":\(port)"
  }

  private static func frame(
    _ datagram: [UInt8], to rack: (address: UInt32, port: UInt16)
  ) -> [UInt8] {
    let udpLength = 8 + datagram.count
    var ip: [UInt8] = [0x45, 0] + big(20 + udpLength, 2) + [0, 0, 0x40, 0, 64, 17, 0, 0]
    ip += [192, 0, 2, 1] + big(Int(rack.address), 4)
    let sum = stride(from: 0, to: ip.count, by: 2).reduce(0) {
      $0 + (Int(ip[$1]) << 8 | Int(ip[$1 + 1]))
    }
    let once = (sum & 0xffff) + sum >> 16
    let folded = (once & 0xffff) + once >> 16
    ip.replaceSubrange(10..<12, with: big(~folded & 0xffff, 2))
    let ethernet: [UInt8] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]
    // No checksum: that is allowed, and the program leaves it so.
    return ethernet + ip + big(40_000, 2) + big(Int(rack.port), 2) + big(udpLength, 2) + [0, 0]
      + datagram
  }

  private static func big(_ value: Int, _ count: Int) -> [UInt8] {
    (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }
}
