import Directory
import Wire

/// A frame to be built, field by field; whatever can be wrong can be set wrong.
struct Frame {
  enum Checksum {
    /// Zero: not computed.
    case none
    case full
    /// Only the pseudo-header's sum, as a sender's kernel leaves it for a device to complete.
    case leftToHardware
  }

  var destinationMAC: [UInt8] = [2, 0, 0, 0, 1, 0]
  var sourceMAC: [UInt8] = [2, 0, 0, 0, 9, 1]
  /// Type and tag of each VLAN header, outermost first.
  var tags: [(type: UInt16, tag: UInt16)] = []
  /// On IPv6 the addresses are those of `Place.onIPv6`.
  var isIPv6 = false
  /// The first byte of the destination, on IPv6.
  var firstHalf: UInt8 = 0xfd
  var etherType: UInt16 = 0x0800
  var versionAndLength: UInt8?
  /// IP options, or extension headers of IPv6, the first of which is of kind `protocolNumber`.
  var options: [UInt8] = []
  var ipLength: UInt16?
  var fragment: UInt16 = 0x4000
  var hops: UInt8 = 64
  var protocolNumber: UInt8 = 17
  var source: [UInt8] = Place.client
  var destination: [UInt8] = Place.rack
  var sourcePort: UInt16 = 40_000
  var destinationPort: UInt16 = WireLimits.port
  var udpLength: UInt16?
  var checksum = Checksum.none
  var payload: [UInt8] = []
  /// What comes behind the datagram: padding.
  var trailer: [UInt8] = []
  /// How much of the frame there is.
  var cutTo: Int?

  var bytes: [UInt8] {
    let target = [firstHalf] + Place.onIPv6(destination).dropFirst()
    var udp = big(sourcePort) + big(destinationPort)
    let length = udpLength ?? UInt16(8 + payload.count)
    udp += big(length) + [0, 0] + payload
    var pseudo =
      isIPv6
      ? Place.onIPv6(source) + target + [0, 0] + big(length) + [0, 0, 0, 17]
      : source + destination + [0, protocolNumber] + big(length)
    switch checksum {
    case .none: break
    case .full:
      let check = ~fold(udp + (udp.count % 2 == 1 ? [0] : []) + pseudo)
      udp.replaceSubrange(6..<8, with: big(check == 0 ? 0xffff : check))
    case .leftToHardware:
      udp.replaceSubrange(6..<8, with: big(fold(pseudo)))
    }
    pseudo = []
    if isIPv6 {
      var ip: [UInt8] = [versionAndLength ?? 0x60, 0, 0x12, 0x34]
      ip += big(ipLength ?? UInt16(options.count + udp.count)) + [protocolNumber, hops]
      ip += Place.onIPv6(source) + target + options
      return framed(ip + udp, etherType == 0x0800 ? 0x86dd : etherType)
    }
    let headerLength = 20 + options.count
    var ip: [UInt8] = [versionAndLength ?? UInt8(0x40 + headerLength / 4), 0]
    ip += big(ipLength ?? UInt16(headerLength + udp.count)) + [0x12, 0x34] + big(fragment)
    ip += [hops, protocolNumber, 0, 0] + source + destination + options
    ip.replaceSubrange(10..<12, with: big(~fold(ip)))
    return framed(ip + udp, etherType)
  }

  private func framed(_ packet: [UInt8], _ type: UInt16) -> [UInt8] {
    var frame = destinationMAC + sourceMAC
    for tag in tags { frame += big(tag.type) + big(tag.tag) }
    frame += big(type) + packet + trailer
    if let cutTo { frame.removeLast(max(0, frame.count - cutTo)) }
    return frame
  }

  /// An address of this frame as headers and the directory have it.
  func wire(_ address: [UInt8]) -> [UInt8] {
    isIPv6 ? Place.onIPv6(address) : Place.mapped(address)
  }
}

func big(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xff)] }

/// The one's complement sum of an even number of bytes (RFC 1071).
func fold(_ bytes: [UInt8]) -> UInt16 {
  var sum: UInt32 = 0
  for index in stride(from: 0, to: bytes.count - 1, by: 2) {
    sum += UInt32(bytes[index]) << 8 | UInt32(bytes[index + 1])
    sum = (sum & 0xffff) + (sum >> 16)
  }
  return UInt16(sum)
}

/// Are the checksums of an untagged or tagged IP and UDP frame right, computed from nothing?
func checksumsAreRight(_ frame: [UInt8]) -> Bool {
  var network = 14
  while frame[network - 2] == 0x81 || frame[network - 2] == 0x88 { network += 4 }
  if frame[network - 2] == 0x86 {
    let length = Int(frame[network + 44]) * 256 + Int(frame[network + 45])
    let udp = Array(frame[network + 40..<network + 40 + length])
    let pseudo = Array(frame[network + 8..<network + 40]) + [0, 17] + Array(udp[4..<6])
    return (udp[6] != 0 || udp[7] != 0)
      && fold(udp + (udp.count % 2 == 1 ? [0] : []) + pseudo) == 0xffff
  }
  let ip = Array(frame[network..<network + 20])
  let udp = Array(
    frame[network + 20..<network + 20 + Int(frame[network + 24]) * 256 + Int(frame[network + 25])])
  guard fold(ip) == 0xffff else { return false }
  guard udp[6] != 0 || udp[7] != 0 else { return true }
  let pseudo = Array(ip[12..<20]) + [0, 17] + Array(udp[4..<6])
  return fold(udp + (udp.count % 2 == 1 ? [0] : []) + pseudo) == 0xffff
}

/// Who is where in the tests' rack.
enum Place {
  static let rack: [UInt8] = [10, 0, 0, 1]
  static let client: [UInt8] = [10, 0, 9, 1]
  static let neighbour: [UInt8] = [10, 0, 7, 1]
  static let next: [UInt8] = [10, 0, 8, 1]
  static let nextMAC: [UInt8] = [2, 0, 0, 0, 8, 1]
  static func server(_ number: UInt8) -> [UInt8] { [10, 0, 2, number] }
  static func serverMAC(_ number: UInt8) -> [UInt8] { [2, 0, 0, 0, 2, number] }
  static func serverPort(_ number: UInt8) -> UInt16 { 18516 + UInt16(number) }
  /// Bytes as a header holds them.
  static func word(_ bytes: some Sequence<UInt8>) -> UInt64 {
    Array(bytes).withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
  }
  static func words(_ bytes: [UInt8]) -> (UInt64, UInt64) {
    (word(bytes[..<8]), word(bytes[8...]))
  }
  /// Everybody's address in a rack on IPv6: eight bytes of which differ from others'.
  static func onIPv6(_ ipv4: [UInt8]) -> [UInt8] {
    [0xfd, ipv4[3], 0, ipv4[2], 0, 0, 0, 0, 0, 0, 0, 0] + ipv4
  }
  static func mapped(_ ipv4: [UInt8]) -> [UInt8] {
    MappedAddress.ipv4(ipv4[0], ipv4[1], ipv4[2], ipv4[3])
  }
}
