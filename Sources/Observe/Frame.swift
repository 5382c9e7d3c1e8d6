/// The two ends of a datagram or segment. Addresses of IPv4 are written as in IPv6 (::ffff:a.b.c.d).
package struct FlowKey: Hashable, Sendable {
  package var sourceHigh: UInt64 = 0
  package var sourceLow: UInt64 = 0
  package var destinationHigh: UInt64 = 0
  package var destinationLow: UInt64 = 0
  package var sourcePort: UInt16 = 0
  package var destinationPort: UInt16 = 0

  package init() {}

  /// Of what comes back.
  var reversed: FlowKey {
    var key = self
    swap(&key.sourceHigh, &key.destinationHigh)
    swap(&key.sourceLow, &key.destinationLow)
    swap(&key.sourcePort, &key.destinationPort)
    return key
  }

  /// Multiply and fold; good enough to spread flows over a table.
  var spread: UInt64 {
    func fold(_ hash: UInt64, _ word: UInt64, _ factor: UInt64) -> UInt64 {
      let product = (hash ^ word).multipliedFullWidth(by: factor)
      return product.high ^ product.low
    }
    var hash = UInt64(sourcePort) << 16 | UInt64(destinationPort)
    hash = fold(hash, sourceHigh, 0x9e37_79b9_7f4a_7c15)
    hash = fold(hash, sourceLow, 0xbf58_476d_1ce4_e5b9)
    hash = fold(hash, destinationHigh, 0x94d0_49bb_1331_11eb)
    hash = fold(hash, destinationLow, 0xd6e8_feb8_6659_fd93)
    return hash
  }
}

/// What of a frame is a segment or a datagram.
package struct Transport {
  package enum Kind { case tcp, udp }

  package var kind: Kind
  package var flow: FlowKey
  /// As far as it was captured.
  package var payload: UnsafeRawBufferPointer
  /// Bytes of the payload that were sent; those that were not captured count.
  package var payloadLength: Int
  /// TCP only.
  package var sequence: UInt32 = 0
  package var acknowledgment: UInt32 = 0
  package var flags: UInt8 = 0

  static let fin: UInt8 = 1
  static let syn: UInt8 = 2
  static let rst: UInt8 = 4
  static let ack: UInt8 = 16
}

/// Why a frame is of no use.
package enum FrameRefusal: Error, Equatable {
  /// Neither IPv4 nor IPv6, or neither TCP nor UDP in it.
  case otherProtocol
  /// A later part of a datagram in several parts.
  case fragment
  /// It contradicts itself, or was cut off inside its headers.
  case malformed
}

/// Takes frames apart: VLAN tags, IPv4 and IPv6 with their options, TCP and UDP. No byte of a frame
/// is believed.
package enum Frame {
  private static let vlanTagsMax = 4
  private static let extensionsMax = 8

  package static func transport(
    in frame: UnsafeRawBufferPointer, link: LinkType
  ) throws(FrameRefusal) -> Transport {
    switch link {
    case .ethernet: return try ethernet(frame, typeOffset: 12)
    // The protocol stands at the end of its header of 16 bytes, as in Ethernet's.
    case .cooked: return try ethernet(frame, typeOffset: 14)
    case .cooked2:
      guard frame.count >= 20 else { throw .malformed }
      return try network(frame, from: 20, etherType: frame.short(0))
    case .raw: return try raw(frame, from: 0)
    case .family: return try raw(frame, from: 4)
    }
  }

  private static func ethernet(
    _ frame: UnsafeRawBufferPointer, typeOffset: Int
  ) throws(FrameRefusal) -> Transport {
    var offset = typeOffset
    for _ in 0...vlanTagsMax {
      guard frame.count >= offset + 2 else { throw .malformed }
      let type = frame.short(offset)
      switch type {
      case 0x8100, 0x88a8, 0x9100: offset += 4
      default: return try network(frame, from: offset + 2, etherType: type)
      }
    }
    throw .otherProtocol
  }

  private static func network(
    _ frame: UnsafeRawBufferPointer, from start: Int, etherType: UInt16
  ) throws(FrameRefusal) -> Transport {
    switch etherType {
    case 0x0800: return try ipv4(frame, from: start)
    case 0x86dd: return try ipv6(frame, from: start)
    // A tag inside a cooked frame.
    case 0x8100, 0x88a8:
      guard frame.count >= start + 4 else { throw .malformed }
      let inner = frame.short(start + 2)
      guard inner == 0x0800 || inner == 0x86dd else { throw .otherProtocol }
      return try network(frame, from: start + 4, etherType: inner)
    default: throw .otherProtocol
    }
  }

  private static func raw(
    _ frame: UnsafeRawBufferPointer, from start: Int
  ) throws(FrameRefusal) -> Transport {
    guard frame.count > start else { throw .malformed }
    switch frame[start] >> 4 {
    case 4: return try ipv4(frame, from: start)
    case 6: return try ipv6(frame, from: start)
    default: throw .otherProtocol
    }
  }

  private static func ipv4(
    _ frame: UnsafeRawBufferPointer, from start: Int
  ) throws(FrameRefusal) -> Transport {
    guard frame.count >= start + 20, frame[start] >> 4 == 4 else { throw .malformed }
    let headerLength = Int(frame[start] & 15) * 4
    guard headerLength >= 20, frame.count >= start + headerLength else { throw .malformed }
    var length = Int(frame.short(start + 2))
    // What the kernel joined or has not cut up yet may have no length.
    if length == 0 { length = frame.count - start }
    guard length >= headerLength else { throw .malformed }
    guard frame.short(start + 6) & 0x1fff == 0 else { throw .fragment }
    let isFirstPart = frame.short(start + 6) & 0x2000 != 0
    var flow = FlowKey()
    flow.sourceLow = 0xffff_0000_0000 | UInt64(frame.word(start + 12))
    flow.destinationLow = 0xffff_0000_0000 | UInt64(frame.word(start + 16))
    return try transport(
      frame, from: start + headerLength, length: length - headerLength,
      number: frame[start + 9], isFirstPart: isFirstPart, flow)
  }

  private static func ipv6(
    _ frame: UnsafeRawBufferPointer, from start: Int
  ) throws(FrameRefusal) -> Transport {
    guard frame.count >= start + 40, frame[start] >> 4 == 6 else { throw .malformed }
    var length = Int(frame.short(start + 4))
    if length == 0 { length = frame.count - start - 40 }
    var flow = FlowKey()
    flow.sourceHigh = frame.long(start + 8)
    flow.sourceLow = frame.long(start + 16)
    flow.destinationHigh = frame.long(start + 24)
    flow.destinationLow = frame.long(start + 32)
    var next = frame[start + 6]
    var offset = start + 40
    var isFirstPart = false
    for _ in 0...extensionsMax {
      let size: Int
      switch next {
      // Hop-by-hop options, routing, destination options; fragment; authentication.
      case 0, 43, 60:
        guard frame.count >= offset + 8 else { throw .malformed }
        size = 8 + 8 * Int(frame[offset + 1])
      case 44:
        guard frame.count >= offset + 8 else { throw .malformed }
        guard frame.short(offset + 2) & 0xfff8 == 0 else { throw .fragment }
        isFirstPart = frame.short(offset + 2) & 1 != 0
        size = 8
      case 51:
        guard frame.count >= offset + 8 else { throw .malformed }
        size = 8 + 4 * Int(frame[offset + 1])
      default:
        return try transport(
          frame, from: offset, length: length - (offset - start - 40), number: next,
          isFirstPart: isFirstPart, flow)
      }
      next = frame[offset]
      offset += size
      guard frame.count >= offset else { throw .malformed }
    }
    throw .otherProtocol
  }

  /// `length`: of the segment or datagram with its header, as IP says.
  private static func transport(
    _ frame: UnsafeRawBufferPointer, from start: Int, length: Int, number: UInt8,
    isFirstPart: Bool, _ flow: FlowKey
  ) throws(FrameRefusal) -> Transport {
    let end = min(frame.count, start + max(length, 0))
    let isTCP = number == 6
    guard isTCP || number == 17 else { throw .otherProtocol }
    guard end >= start + (isTCP ? 20 : 8) else { throw .malformed }
    let headerLength = isTCP ? Int(frame[start + 12] >> 4) * 4 : 8
    guard headerLength >= (isTCP ? 20 : 8), end >= start + headerLength else { throw .malformed }
    var payloadLength = length - headerLength
    if !isTCP {
      let said = Int(frame.short(start + 4))
      // 0: longer than a length says. More than is there: its first part, or a lie.
      guard said == 0 || said >= 8, said - 8 <= payloadLength || isFirstPart else {
        throw .malformed
      }
      if said != 0 { payloadLength = min(payloadLength, said - 8) }
    }
    var flow = flow
    flow.sourcePort = frame.short(start)
    flow.destinationPort = frame.short(start + 2)
    let captured = min(payloadLength, end - start - headerLength)
    var result = Transport(
      kind: isTCP ? .tcp : .udp, flow: flow,
      payload: frame.part(start + headerLength, captured), payloadLength: payloadLength)
    if isTCP {
      result.sequence = frame.word(start + 4)
      result.acknowledgment = frame.word(start + 8)
      result.flags = frame[start + 13]
    }
    return result
  }
}

/// Numbers in network byte order; whoever asks has checked the length.
extension UnsafeRawBufferPointer {
  func short(_ offset: Int) -> UInt16 {
    UInt16(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt16.self))
  }
  func word(_ offset: Int) -> UInt32 {
    UInt32(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }
  func long(_ offset: Int) -> UInt64 {
    UInt64(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }
  func part(_ offset: Int, _ count: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: self[offset..<offset + count])
  }
  func from(_ offset: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: self[offset...])
  }
}
