internal import CHotrack

/// Why bytes are not a datagram of this protocol.
public enum WireError: Error, Equatable, Sendable {
  /// Shorter than a header.
  case truncated(length: Int)
  case wrongMagic
  case otherProtocol(UInt8)
  /// An operation or a status that this version does not know.
  case unknownCode
  /// Lengths or part numbers contradict the datagram.
  case contradictoryLengths
}

/// The header of every datagram, in host byte order. `docs/protocol.md` says what each field means
/// in which message; `bpf/wire.h` where it lies.
public struct Header: Sendable, Equatable {
  public var operation: Operation
  public var status: Status = .ok
  public var server: UInt8 = WireLimits.noServer
  public var flags: Flags = []
  public var epoch: UInt16 = 0
  /// In replies: requests waiting at the server.
  public var load: UInt16 = 0
  /// Bit per server that is to get a copy.
  public var copyTargets: UInt32 = 0
  public var generation: UInt64 = 0
  /// Of the write or value; in a stamped read, the least acceptable one.
  public var version: UInt64 = 0
  public var incarnation: UInt64 = 0
  /// Where the request came from, opaque to servers, which echo it: MAC address and interface.
  public var returnPath: UInt64 = 0
  public var keyHash: UInt64 = 0
  public var client: UInt64 = 0
  public var sequence: UInt64 = 0
  /// Every sequence below it is finished at the client.
  public var acknowledged: UInt64 = 0
  /// The newest generation the client knew when it first sent this request.
  public var firstGeneration: UInt64 = 0
  /// The newest generation the client knew when it sent this datagram.
  public var knownGeneration: UInt64 = 0
  public var chain: UInt32 = 0
  /// One-arm mode: the client's UDP port; echoed by servers.
  public var returnPort: UInt16 = 0
  /// In replies: how late the server was, in units of 10 microseconds.
  public var lateness: UInt16 = 0
  public var part: UInt16 = 0
  public var parts: UInt16 = 1
  public var keyLength: UInt16 = 0
  public var valueLength: UInt16 = 0
  /// In a rack with a key: `RackKeys`. Put there when the rest of the header is.
  public var rackTag: UInt64 = 0
  /// One-arm mode: the client's address; echoed by servers.
  public var returnAddress: (UInt64, UInt64) = (0, 0)

  public init(_ operation: Operation) { self.operation = operation }

  /// Reads the header of a whole datagram and checks its form: magic, protocol, known codes, and
  /// lengths that add up to the datagram's.
  public init(datagram: UnsafeRawBufferPointer) throws(WireError) {
    guard datagram.count >= WireLimits.headerLength else {
      throw .truncated(length: datagram.count)
    }
    let raw = datagram.loadUnaligned(as: hotrack_header.self)
    guard UInt16(bigEndian: raw.magic) == WireLimits.magic else { throw .wrongMagic }
    guard raw.protocol == WireLimits.protocolVersion else { throw .otherProtocol(raw.protocol) }
    guard let operation = Operation(rawValue: raw.operation),
      let status = Status(rawValue: raw.status)
    else { throw .unknownCode }
    self.operation = operation
    self.status = status
    server = raw.server
    flags = Flags(rawValue: UInt16(bigEndian: raw.flags))
    epoch = UInt16(bigEndian: raw.epoch)
    load = UInt16(bigEndian: raw.load)
    copyTargets = UInt32(bigEndian: raw.copy_targets)
    generation = UInt64(bigEndian: raw.generation)
    version = UInt64(bigEndian: raw.version)
    incarnation = UInt64(bigEndian: raw.incarnation)
    returnPath = datagram.loadUnaligned(fromByteOffset: Self.returnPathOffset, as: UInt64.self)
    keyHash = UInt64(bigEndian: raw.key_hash)
    client = UInt64(bigEndian: raw.client)
    sequence = UInt64(bigEndian: raw.sequence)
    acknowledged = UInt64(bigEndian: raw.acknowledged)
    firstGeneration = UInt64(bigEndian: raw.first_generation)
    knownGeneration = UInt64(bigEndian: raw.known_generation)
    chain = UInt32(bigEndian: raw.chain)
    returnPort = UInt16(bigEndian: raw.return_port)
    lateness = UInt16(bigEndian: raw.lateness)
    part = UInt16(bigEndian: raw.part)
    parts = UInt16(bigEndian: raw.parts)
    keyLength = UInt16(bigEndian: raw.key_length)
    valueLength = UInt16(bigEndian: raw.value_length)
    rackTag = UInt64(bigEndian: raw.rack_tag)
    returnAddress = datagram.loadUnaligned(
      fromByteOffset: Self.returnAddressOffset, as: (UInt64, UInt64).self)
    guard keyLength <= WireLimits.keyLengthMax,
      datagram.count == WireLimits.headerLength + Int(keyLength) + Int(valueLength),
      datagram.count <= WireLimits.datagramLengthMax, part < parts
    else { throw .contradictoryLengths }
  }

  /// Writes the header to the start of `bytes`, which has room for it.
  public func encode(into bytes: UnsafeMutableRawBufferPointer) {
    var raw = hotrack_header()
    raw.magic = WireLimits.magic.bigEndian
    raw.protocol = WireLimits.protocolVersion
    raw.operation = operation.rawValue
    raw.status = status.rawValue
    raw.server = server
    raw.flags = flags.rawValue.bigEndian
    raw.epoch = epoch.bigEndian
    raw.load = load.bigEndian
    raw.copy_targets = copyTargets.bigEndian
    raw.generation = generation.bigEndian
    raw.version = version.bigEndian
    raw.incarnation = incarnation.bigEndian
    raw.key_hash = keyHash.bigEndian
    raw.client = client.bigEndian
    raw.sequence = sequence.bigEndian
    raw.acknowledged = acknowledged.bigEndian
    raw.first_generation = firstGeneration.bigEndian
    raw.known_generation = knownGeneration.bigEndian
    raw.chain = chain.bigEndian
    raw.return_port = returnPort.bigEndian
    raw.lateness = lateness.bigEndian
    raw.part = part.bigEndian
    raw.parts = parts.bigEndian
    raw.key_length = keyLength.bigEndian
    raw.value_length = valueLength.bigEndian
    raw.rack_tag = rackTag.bigEndian
    bytes.storeBytes(of: raw, as: hotrack_header.self)
    bytes.storeBytes(of: returnPath, toByteOffset: Self.returnPathOffset, as: UInt64.self)
    bytes.storeBytes(of: returnAddress.0, toByteOffset: Self.returnAddressOffset, as: UInt64.self)
    bytes.storeBytes(
      of: returnAddress.1, toByteOffset: Self.returnAddressOffset + 8, as: UInt64.self)
  }

  private static let returnPathOffset = 40
  private static let returnAddressOffset = 120

  public static func == (a: Header, b: Header) -> Bool {
    withUnsafeTemporaryAllocation(
      byteCount: 2 * WireLimits.headerLength, alignment: 8
    ) { room in
      let first = UnsafeMutableRawBufferPointer(rebasing: room[..<WireLimits.headerLength])
      let second = UnsafeMutableRawBufferPointer(rebasing: room[WireLimits.headerLength...])
      a.encode(into: first)
      b.encode(into: second)
      return first.elementsEqual(second)
    }
  }
}

extension Header {
  /// The header of the reply to this request: what servers echo is kept, the rest is clear.
  public func reply(_ status: Status) -> Header {
    var reply = self
    reply.status = status
    reply.flags = .reply
    reply.copyTargets = 0
    reply.keyLength = 0
    reply.valueLength = 0
    reply.load = 0
    reply.lateness = 0
    reply.part = 0
    reply.parts = 1
    return reply
  }
}
