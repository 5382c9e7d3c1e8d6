import Testing

@testable import Observe

@Suite struct FrameTests {
  private static let payload = "get abc\r\n"
  private static let length = payload.utf8.count

  private func transport(_ frame: [UInt8], _ link: LinkType = .ethernet) throws -> (
    payload: String, length: Int, source: UInt16, destination: UInt16
  ) {
    try frame.withUnsafeBytes { bytes in
      let found = try Frame.transport(in: bytes, link: link)
      return (
        String(decoding: found.payload, as: UTF8.self), found.payloadLength,
        found.flow.sourcePort, found.flow.destinationPort
      )
    }
  }

  @Test(arguments: [false, true], [[], [5], [5, 6]] as [[UInt16]])
  func versionsAndTags(_ isIPv6: Bool, _ vlans: [UInt16]) throws {
    let packets = Packets(isIPv6: isIPv6, vlans: vlans)
    for frame in [packets.segment(7, Self.payload), packets.datagram(Array(Self.payload.utf8))] {
      // Short frames are padded.
      let found = try transport(frame + [0, 0, 0, 0])
      #expect(found == (Self.payload, Self.length, 40_000, 11_211))
    }
  }

  @Test func otherLinkTypes() throws {
    let ip = Array(Packets().segment(7, Self.payload).dropFirst(14))
    #expect(try transport(ip, .raw).payload == Self.payload)
    #expect(try transport([2, 0, 0, 0] + ip, .family).payload == Self.payload)
    let cooked = [UInt8](repeating: 0, count: 14) + [8, 0] + ip
    #expect(try transport(cooked, .cooked).payload == Self.payload)
    let cooked2 = [8, 0] + [UInt8](repeating: 0, count: 18) + ip
    #expect(try transport(cooked2, .cooked2).payload == Self.payload)
    #expect(LinkType(number: 1) == .ethernet && LinkType(number: 127) == nil)
  }

  @Test func extensionHeadersOfIPv6() throws {
    var packets = Packets(isIPv6: true)
    packets.serverPort = 6_379
    let segment = Array(packets.segment(7, Self.payload).dropFirst(54))
    // Hop-by-hop options, destination options of 16 bytes, the only fragment.
    let options: [UInt8] = [60, 0, 1, 4, 0, 0, 0, 0, 44, 1] + [UInt8](repeating: 0, count: 14)
    let fragment: [UInt8] = [6, 0, 0, 0, 0, 0, 0, 1]
    let frame = packets.frame(0, toServer: true, options + fragment + segment)
    #expect(try transport(frame).payload == Self.payload)
    let later = packets.frame(44, toServer: true, [6, 0, 1, 0, 0, 0, 0, 1] + segment)
    #expect(throws: FrameRefusal.fragment) { try transport(later) }
    let endless = (0..<20).reduce([UInt8]()) { bytes, _ in bytes + [60, 0, 0, 0, 0, 0, 0, 0] }
    #expect(throws: FrameRefusal.otherProtocol) {
      try transport(packets.frame(60, toServer: true, endless))
    }
  }

  @Test func whatIsCutOffCountsAsMissing() throws {
    let frame = Packets().segment(7, Self.payload).dropLast(4)
    let found = try transport(Array(frame))
    #expect(found.payload == Self.payload.prefix(5) && found.length == Self.length)
  }

  @Test func everyPrefixOfAFrameIsTakenOrRefused() {
    for isIPv6 in [false, true] {
      let frame = Packets(isIPv6: isIPv6, vlans: [1]).segment(7, Self.payload)
      for length in 0..<frame.count - Self.length {
        #expect(throws: FrameRefusal.malformed) { try transport(Array(frame.prefix(length))) }
      }
    }
  }

  @Test func liesAreRefused() {
    let good = Packets().segment(7, Self.payload)
    for (offset, value, refusal) in [
      // Lengths of IP header, IP packet and TCP header; version; a later fragment; no IP; no TCP.
      (14, 0x42, FrameRefusal.malformed), (17, 10, .malformed), (46, 0x10, .malformed),
      (14, 0x65, .malformed), (21, 1, .fragment), (12, 0x77, .otherProtocol),
      (23, 1, .otherProtocol),
    ] as [(Int, UInt8, FrameRefusal)] {
      var frame = good
      frame[offset] = value
      #expect(throws: refusal, "byte \(offset)") { try transport(frame) }
    }
  }
}
