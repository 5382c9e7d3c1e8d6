import Testing

@testable import Bench

@Suite struct PacketBalanceTests {
  @Test func countsOfAnInterfaceAreReadFromTheKernelsTable() {
    let table = """
      Inter-|   Receive                            |  Transmit
       face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo
          lo: 1 2 0 0 0 0 0 0 1 2 0 0 0 0 0 0
      ht-x-c0p: 900 11 1 2 0 0 0 0 800 13 4 8 0 0 0 0
      """
    var expected = InterfaceCounts(table, interface: "ht-x-c0p")
    #expect(expected?.received == 11 && expected?.sent == 13 && expected?.dropped == 15)
    expected = InterfaceCounts(table, interface: "ht-x-c0")
    #expect(expected == nil)
  }

  @Test func countsOfAProtocolAreReadByTheirNames() {
    let table = """
      Icmp: InMsgs OutMsgs
      Icmp: 3 4
      Udp: InDatagrams NoPorts InErrors
      Udp: 10 1 2
      UdpLite: InDatagrams NoPorts InErrors
      UdpLite: 7 8 9
      """
    #expect(PacketCounts.field("InErrors", of: "Udp", in: table) == 2)
    #expect(PacketCounts.field("OutMsgs", of: "Icmp", in: table) == 4)
    #expect(PacketCounts.field("None", of: "Udp", in: table) == 0)
    #expect(PacketCounts.field("InErrors", of: "Tcp", in: table) == 0)
  }
}
