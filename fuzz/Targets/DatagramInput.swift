internal import CHotrack
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
    // Otherwise hardly any input would get past the first check.
    guard var header = bytes.withUnsafeBytes({ try? Header(datagram: $0) }) else {
      require(false, "a dressed datagram's header can be read")
      return bytes
    }
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
    bytes.withUnsafeMutableBytes { all in
      var raw = all.loadUnaligned(as: hotrack_header.self)
      raw.magic = WireLimits.magic.bigEndian
      raw.protocol = WireLimits.protocolVersion
      let operations = Operation.allCases
      if Operation(rawValue: raw.operation) == nil {
        raw.operation = operations[Int(raw.operation) % operations.count].rawValue
      }
      raw.status %= UInt8(Status.allCases.count)
      if UInt16(bigEndian: raw.part) >= UInt16(bigEndian: raw.parts) {
        raw.part = 0
        raw.parts = UInt16(1).bigEndian
      }
      raw.key_length = UInt16(keyLength).bigEndian
      raw.value_length = UInt16(valueLength).bigEndian
      all.storeBytes(of: raw, as: hotrack_header.self)
    }
  }
}
