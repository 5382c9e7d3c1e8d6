internal import Wire

/// Datagrams for the cores. Raw bytes seldom get past the first check, so most are dressed: what a
/// sender must know (magic, incarnation, lengths, hash) is set right, the rest is the input's.
extension FuzzInput {
  /// The next datagram, behind its length.
  mutating func datagram() -> [UInt8] { bytes(Int(short()) % (WireLimits.datagramLengthMax + 64)) }

  /// As `datagram`, with a header that is formally right, changed by `dress`. The key's length is a
  /// byte of the input; the value is the rest.
  mutating func dressedDatagram(hashSeed: UInt64?, _ dress: (inout Header) -> Void) -> [UInt8] {
    let keyLength = Int(byte()) % (WireLimits.keyLengthMax + 1)
    var bytes = datagram()
    let missing = WireLimits.headerLength - bytes.count
    if missing > 0 { bytes += Array(repeating: 0, count: missing) }
    bytes.removeLast(max(0, bytes.count - WireLimits.datagramLengthMax))
    let body = bytes.count - WireLimits.headerLength
    let key = min(keyLength, body)
    setFormallyRight(&bytes, keyLength: key, valueLength: body - key)
    guard var header = bytes.withUnsafeBytes({ try? Header(datagram: $0) }) else { return bytes }
    if let hashSeed {
      let keyBytes = Array(bytes[WireLimits.headerLength..<WireLimits.headerLength + key])
      header.keyHash = KeyHash.of(keyBytes, seed: hashSeed)
    }
    dress(&header)
    bytes.withUnsafeMutableBytes { header.encode(into: $0) }
    return bytes
  }

  /// Magic, protocol and lengths; and an operation and a status that exist.
  private func setFormallyRight(_ bytes: inout [UInt8], keyLength: Int, valueLength: Int) {
    func put(_ value: UInt16, _ offset: Int) {
      bytes[offset] = UInt8(value >> 8)
      bytes[offset + 1] = UInt8(value & 0xff)
    }
    put(WireLimits.magic, 0)
    bytes[2] = WireLimits.protocolVersion
    let operations = Operation.allCases
    if Operation(rawValue: bytes[3]) == nil {
      bytes[3] = operations[Int(bytes[3]) % operations.count].rawValue
    }
    bytes[4] %= UInt8(Status.allCases.count)
    let (part, parts) = (
      UInt16(bytes[112]) << 8 | UInt16(bytes[113]), UInt16(bytes[114]) << 8 | UInt16(bytes[115])
    )
    if part >= parts {
      put(0, 112)
      put(1, 114)
    }
    put(UInt16(keyLength), 116)
    put(UInt16(valueLength), 118)
  }
}
