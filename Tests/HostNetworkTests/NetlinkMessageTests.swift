import Testing

@testable import HostNetwork

@Suite struct NetlinkMessageTests {
  private func bytes(_ message: NetlinkMessage) -> ArraySlice<UInt8> { message.encoded()[...] }

  @Test func messagesAreReadAsTheyAreWritten() {
    var first = NetlinkMessage(type: 28, flags: 5, sequence: 9, body: [1, 2, 3, 4])
    first.append(attribute: 1, [10, 0, 0, 1])
    first.append(attribute: 2, [1, 2, 3, 4, 5, 6])
    let second = NetlinkMessage(type: 3, flags: 2, sequence: 10, body: [0, 0, 0, 0])
    let read = NetlinkMessage.messages(in: bytes(first) + bytes(second))
    #expect(read == [first, second])
    let attributes = read[0].attributes(after: 4)
    #expect(attributes[1].map { Array($0) } == [10, 0, 0, 1])
    #expect(attributes[2].map { Array($0) } == [1, 2, 3, 4, 5, 6])
  }

  @Test func whatIsCutOffOrContradictsItselfIsLeftOut() {
    var message = NetlinkMessage(
      type: 28, flags: 0, sequence: 0, body: Array(repeating: 0, count: 12))
    message.body[0] = 2
    message.append(attribute: 1, [10, 0, 0, 1])
    message.append(attribute: 2, [1, 2, 3, 4, 5, 6])
    let whole = bytes(message)
    for length in 0..<whole.count {
      #expect(NetlinkMessage.messages(in: whole.prefix(length)).isEmpty)
      // A header that promises more, or less, than there is.
      var cut = Array(whole)
      cut[0] = UInt8(length)
      for message in NetlinkMessage.messages(in: cut[...]) {
        _ = Neighbour(message)
        _ = Route(message)
        _ = Link(message)
      }
    }
    for place in whole.indices {
      for value in [UInt8(0), 1, 3, 0x7f, 0xff] {
        var changed = Array(whole)
        changed[place] = value
        for message in NetlinkMessage.messages(in: changed[...]) { _ = Neighbour(message) }
      }
    }
  }

  @Test func neighboursOfTheKernel() {
    // RTM_NEWNEIGH as Linux 6 sends it, on a little-endian host.
    var message = NetlinkMessage(type: 28, flags: 0, sequence: 0, body: [2, 0, 0, 0])
    message.body.append(native: UInt32(7))
    message.body.append(native: UInt16(0x04))
    message.body += [0, 1]
    message.append(attribute: 1, [10, 18, 1, 1])
    message.append(attribute: 2, [2, 72, 84, 0, 1, 0])
    var neighbour = Neighbour(message)
    #expect(
      neighbour
        == Neighbour(
          interface: 7, address: [10, 18, 1, 1], mac: [2, 72, 84, 0, 1, 0], state: .stale))
    #expect(neighbour?.isValid == true)
    message.type = NetlinkMessage.Kind.deleteNeighbour
    neighbour = Neighbour(message)
    #expect(neighbour?.state == Neighbour.State.none && neighbour?.isValid == false)
    message.body[0] = 7
    #expect(Neighbour(message) == nil, "a bridge's table is none of ours")
    // An IPv6 address has 16 bytes.
    message.body[0] = 10
    #expect(Neighbour(message) == nil)
  }
}
