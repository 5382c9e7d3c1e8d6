import Wire

/// Packets that are malformed, cut short, forged, or none of the rack's business. None of them
/// changes anything in the directory's memory.
enum RefusalCases {
  static let all: [PacketCase] =
    (foreign + broken + forgedByClients + forgedServers + strayServers).map { $0.changingNothing() }

  private static let set = TestKey.hot.request(.set, value: [1, 2, 3])
  private static let get = TestKey.hot.request(.get)
  private static let newer = Rig.completed + 1

  private static func raw(
    _ name: String, _ end: PacketCase.End, _ counter: String, from port: String = "c0",
    _ change: (inout Frame) -> Void
  ) -> PacketCase {
    var frame = Frame()
    frame.payload = set.encoded()
    change(&frame)
    return PacketCase(name: name, port: port, frame: frame, end: end, counter: counter)
  }

  /// A request with bytes of its header changed.
  private static func bytes(
    _ name: String, _ counter: String, of message: Message = set, _ changes: [(Int, UInt8)]
  ) -> PacketCase {
    raw(name, .drop, counter) { frame in
      frame.payload = message.encoded()
      for (place, byte) in changes { frame.payload[place] = byte }
    }
  }

  private static func forged(
    _ name: String, _ counter: String, of message: Message = set,
    _ change: (inout Header) -> Void
  ) -> PacketCase {
    var message = message
    change(&message.header)
    return .client(name, message, .drop, counter)
  }

  private static func ipv6(
    _ name: String, _ end: PacketCase.End, _ counter: String, _ change: (inout Frame) -> Void
  ) -> PacketCase {
    raw(name, end, counter) { frame in
      frame.isIPv6 = true
      frame.checksum = .full
      change(&frame)
    }.changingNothing()
  }

  /// An extension header of eight bytes: what comes next, and the offset and flags of a fragment.
  private static func extensionHeader(_ next: UInt8, fragment: UInt16 = 0) -> [UInt8] {
    [next, 0] + big(fragment) + [1, 2, 3, 4]
  }

  /// What only a rack on IPv6 can meet.
  static let onIPv6: [PacketCase] = [
    ipv6("IP version 4 in an IPv6 frame", .pass, "pass") { $0.versionAndLength = 0x45 },
    ipv6("frame that ends in the IPv6 header", .pass, "pass") { $0.cutTo = 50 },
    ipv6("ICMPv6", .pass, "pass") { $0.protocolNumber = 58 },
    ipv6("TCP behind an extension header to the rack's port", .pass, "pass") {
      $0.protocolNumber = 60
      $0.options = extensionHeader(6)
    },
    ipv6("extension header between strangers", .pass, "pass") {
      $0.protocolNumber = 0
      $0.options = extensionHeader(17)
      $0.source = [10, 0, 44, 1]
      $0.destination = [10, 0, 55, 1]
    },
    ipv6("frame that ends in an extension header", .pass, "pass") {
      $0.protocolNumber = 0
      $0.options = extensionHeader(17)
      $0.cutTo = 60
    },
    ipv6("later IPv6 fragment for the rack", .pass, "pass") {
      $0.protocolNumber = 44
      $0.options = extensionHeader(17, fragment: 8)
    },
    ipv6("first IPv6 fragment for the rack", .drop, "drop_fragment") {
      $0.protocolNumber = 44
      $0.options = extensionHeader(17, fragment: 1)
    },
    ipv6("first IPv6 fragment behind another extension header", .drop, "drop_fragment") {
      $0.protocolNumber = 0
      $0.options = extensionHeader(44) + extensionHeader(17, fragment: 1)
    },
    ipv6("extension headers for the rack", .drop, "drop_ip_options") {
      $0.protocolNumber = 0
      $0.options = extensionHeader(43) + extensionHeader(60) + extensionHeader(17)
    },
    ipv6("long extension header for a server's own address", .drop, "drop_ip_options") {
      $0.protocolNumber = 60
      $0.options = [17, 2] + Array(repeating: 0, count: 22)
      $0.destination = Place.server(1)
      $0.destinationPort = Place.serverPort(1)
    },
    ipv6("datagram on IPv6 without a checksum", .drop, "drop_malformed") { $0.checksum = .none },
    ipv6("IPv6 length beyond the UDP length", .drop, "drop_malformed") {
      $0.ipLength = UInt16(8 + set.encoded().count + 1)
      $0.trailer = [0, 0]
    },
    ipv6("IPv6 length short of the UDP length", .drop, "drop_malformed") {
      $0.ipLength = UInt16(8 + set.encoded().count - 1)
    },
    ipv6("address that differs from the rack's in its first half alone", .pass, "pass") {
      $0.destination = [10, 0, 0, 1]
      $0.firstHalf = 0xfc
    },
  ]

  static let foreign: [PacketCase] = [
    raw("empty Ethernet frame", .pass, "pass") { $0.cutTo = 14 },
    raw("ARP", .pass, "pass") { $0.etherType = 0x0806 },
    raw("IPv6", .pass, "pass") { $0.etherType = 0x86dd },
    raw("three VLAN tags", .pass, "pass") {
      $0.tags = [(0x88a8, 1), (0x8100, 2), (0x8100, 3)]
    },
    raw("frame that ends in a VLAN tag", .pass, "pass") {
      $0.tags = [(0x8100, 2)]
      $0.cutTo = 16
    },
    raw("frame that ends in the IP header", .pass, "pass") { $0.cutTo = 30 },
    raw("frame that ends in the UDP header", .pass, "pass") { $0.cutTo = 38 },
    raw("IP version 5 in an IPv4 frame", .pass, "pass") { $0.versionAndLength = 0x55 },
    raw("IP header shorter than an IP header", .pass, "pass") { $0.versionAndLength = 0x44 },
    raw("ICMP", .pass, "pass") { $0.protocolNumber = 1 },
    raw("TCP to the rack's port", .pass, "pass") { $0.protocolNumber = 6 },
    raw("other datagram to the rack's port", .pass, "pass") {
      $0.payload = Array("hello, is this DNS?".utf8) + Array(repeating: 0, count: 200)
    },
    raw("other datagram to the control port", .pass, "pass") {
      $0.destinationPort = WireLimits.controlPort
      $0.payload = Array(repeating: 1, count: 200)
    },
    raw("empty datagram to the rack's port", .pass, "pass") { $0.payload = [] },
    raw("datagram of one byte with the magic as padding", .pass, "pass") {
      $0.udpLength = 9
    },
    raw("our magic to another port of the rack's address", .pass, "pass") {
      $0.destinationPort = 53
    },
    raw("our magic between strangers", .pass, "pass") {
      $0.source = [10, 0, 44, 1]
      $0.destination = [10, 0, 55, 1]
    },
    raw("reply of another rack, to one of its clients", .pass, "pass") {
      $0.source = [10, 0, 44, 1]
      $0.sourcePort = WireLimits.port
      $0.destination = Place.client
      $0.payload = TestKey.hot.from(9, .set, version: newer).encoded()
    },
    raw("truncated datagram with our magic between strangers", .pass, "pass") {
      $0.destination = [10, 0, 55, 1]
      $0.payload = Array(set.encoded().prefix(50))
    },
    raw("later IP fragment for the rack", .pass, "pass") { $0.fragment = 0x2010 },
    raw("first IP fragment between strangers", .pass, "pass") {
      $0.fragment = 0x2000
      $0.destination = [10, 0, 55, 1]
    },
    raw("IP options between strangers", .pass, "pass") {
      $0.options = [1, 1, 1, 0]
      $0.destination = [10, 0, 55, 1]
    },
  ]

  static let broken: [PacketCase] = [
    raw("first IP fragment for the rack", .drop, "drop_fragment") { $0.fragment = 0x2000 },
    raw("first IP fragment for a server's own address", .drop, "drop_fragment") {
      $0.fragment = 0x2000
      $0.destination = Place.server(1)
      $0.destinationPort = Place.serverPort(1)
    },
    raw("first IP fragment of a server's reply", .drop, "drop_fragment", from: "s1") {
      $0.fragment = 0x2000
      $0.source = Place.server(1)
      $0.sourcePort = Place.serverPort(1)
      $0.destination = Place.client
    },
    raw("IP options for the rack", .drop, "drop_ip_options") { $0.options = [1, 1, 1, 0] },
    raw("IP options for the control port", .drop, "drop_ip_options") {
      $0.options = [1, 1, 1, 1, 1, 1, 1, 0]
      $0.destinationPort = WireLimits.controlPort
    },
    raw("datagram of the magic alone", .drop, "drop_truncated") { $0.payload = [0x48, 0x54] },
    raw("datagram that ends in the header", .drop, "drop_truncated") {
      $0.payload = Array(set.encoded().prefix(135))
    },
    raw("frame that ends in the header", .drop, "drop_truncated") { $0.cutTo = 14 + 28 + 100 },
    raw("frame that ends in the value", .drop, "drop_truncated") {
      $0.cutTo = 14 + 28 + 136 + 6
    },
    raw("UDP length beyond the frame", .drop, "drop_truncated") { $0.udpLength = 1_000 },
    raw("UDP length that only the header fits in", .drop, "drop_malformed") {
      $0.udpLength = 8 + 136
      $0.ipLength = 28 + 136
    },
    raw("IP length beyond the UDP length", .drop, "drop_malformed") {
      $0.ipLength = UInt16(28 + $0.payload.count + 1)
      $0.trailer = [0]
    },
    raw("IP length short of the UDP length", .drop, "drop_malformed") {
      $0.ipLength = UInt16(28 + $0.payload.count - 1)
    },
    raw("a byte behind the value", .drop, "drop_malformed") { $0.payload.append(0) },
    bytes("protocol version 0", "drop_protocol", [(2, 0)]),
    bytes("protocol version 2", "drop_protocol", [(2, 2)]),
    bytes("status that does not exist", "drop_malformed", [(4, 17)]),
    bytes("key longer than 250 bytes", "drop_malformed", [(108, 0), (109, 251)]),
    bytes("key and value longer than the datagram", "drop_malformed", [(110, 5)]),
    bytes("lengths that wrap round", "drop_malformed", [(110, 0xff), (111, 0xff)]),
    raw("value longer than any datagram", .drop, "drop_malformed") { frame in
      frame.payload = TestKey.hot.request(.set, value: Array(repeating: 1, count: 1_400)).encoded()
    },
    bytes("no parts", "drop_malformed", [(107, 0)]),
    bytes("part beyond the parts", "drop_malformed", [(105, 1)]),
    raw("SET without a key", .drop, "drop_malformed") { frame in
      frame.payload = Message(set.header, value: [1]).encoded()
    },
    forged("key hash 0", "drop_malformed") { $0.keyHash = 0 },
    forged("client id 0", "drop_malformed") { $0.client = 0 },
    forged("64 requests outstanding", "drop_malformed") { $0.acknowledged = $0.sequence &- 64 },
    forged("acknowledged beyond the sequence", "drop_malformed") {
      $0.acknowledged = $0.sequence + 1
    },
    raw("GET with a value", .drop, "drop_malformed") { frame in
      frame.payload = Message(get.header, key: [1], value: [1]).encoded()
    },
    raw("DELETE with a value", .drop, "drop_malformed") { frame in
      frame.payload =
        Message(TestKey.hot.request(.delete).header, key: [1], value: [1]).encoded()
    },
    raw("HELLO with a key", .drop, "drop_malformed") { frame in
      frame.payload = Message(DecisionCases.hello.header, key: [1]).encoded()
    },
  ]

  static let forgedByClients: [PacketCase] = [
    bytes("operation 0", "drop_operation", [(3, 0)]),
    bytes("operation 9", "drop_operation", [(3, 9)]),
    bytes("operation 255", "drop_operation", [(3, 255)]),
    bytes("FENCE from a client", "drop_operation", [(3, 24)]),
    bytes("ADMIT from a client", "drop_operation", [(3, 34)]),
    bytes("LEARN from a client", "drop_operation", [(3, 38)]),
    bytes("RENEW from a client", "drop_operation", [(3, 40)]),
    bytes("COPY_ORDER from a client", "drop_operation", [(3, 18)]),
    forged("request with a version", "drop_forged_stamp") { $0.version = 5 },
    forged("request with a return address", "drop_forged_stamp") {
      $0.returnAddress = Place.words(Place.mapped(Place.client))
    },
    forged("request with a return port", "drop_forged_stamp") { $0.returnPort = 5 },
    forged("request with a generation", "drop_forged_stamp") { $0.generation = 5 },
    forged("request with an epoch", "drop_forged_stamp") { $0.epoch = 1 },
    forged("request with a server", "drop_forged_stamp") { $0.server = 1 },
    forged("request with an incarnation", "drop_forged_stamp") { $0.incarnation = 1_001 },
    forged("request with a load", "drop_forged_stamp") { $0.load = 1 },
    forged("request with copy targets", "drop_forged_stamp") { $0.copyTargets = 2 },
    forged("request with a return path", "drop_forged_stamp") { $0.returnPath = 1 },
    forged("request with a status", "drop_forged_stamp") { $0.status = .frozen },
    forged("request flagged replicated", "drop_forged_stamp") { $0.flags = .replicated },
    forged("request flagged not-holder", "drop_forged_stamp") { $0.flags = .notHolder },
    forged("request flagged lost", "drop_forged_stamp") { $0.flags = .lost },
    forged("forwarded write from a client", "drop_not_neighbour") {
      $0.flags = .forwarded
      $0.version = newer
    },
    neighbour("forwarded write from the neighbour's address, another port", "drop_not_neighbour") {
      $0.frame.sourcePort = 4_000
    },
    neighbour("forwarded write without a version", "drop_malformed") {
      var message = set
      message.header.flags = .forwarded
      $0.frame.payload = message.encoded()
    },
    neighbour("forwarded GET", "drop_malformed") {
      var message = get
      message.header.flags = .forwarded
      message.header.version = newer
      $0.frame.payload = message.encoded()
    },
    raw("request to a server's own address", .drop, "drop_bypass") {
      $0.destination = Place.server(1)
      $0.destinationPort = Place.serverPort(1)
    },
    raw("FENCE to a server's own address", .drop, "drop_bypass") {
      $0.destination = Place.server(1)
      $0.destinationPort = Place.serverPort(1)
      $0.payload[3] = 24
    },
    raw("request from a server's machine to another server", .drop, "drop_bypass", from: "s2") {
      $0.sourceMAC = Place.serverMAC(2)
      $0.source = Place.server(2)
      $0.destination = Place.server(1)
      $0.destinationPort = Place.serverPort(1)
    },
    raw("request to the control port", .drop, "drop_bypass") {
      $0.destinationPort = WireLimits.controlPort
    },
    raw("truncated request to a server's own address", .drop, "drop_truncated") {
      $0.destination = Place.server(1)
      $0.destinationPort = Place.serverPort(1)
      $0.payload = Array(set.encoded().prefix(100))
    },
  ]

  private static func neighbour(
    _ name: String, _ counter: String, _ change: (inout PacketCase) -> Void
  ) -> PacketCase {
    var message = set
    message.header.flags = .forwarded
    message.header.version = newer
    return .client(name, message, .drop, counter) {
      DecisionCases.fromNeighbour(&$0)
      change(&$0)
    }
  }

  private static func impostor(
    _ name: String, _ operation: Wire.Operation = .set,
    _ change: @Sendable (inout PacketCase) -> Void
  ) -> PacketCase {
    .server(
      1, name, TestKey.hot.from(1, operation, version: newer), .drop, "drop_not_a_server"
    ) { change(&$0) }
  }

  static let forgedServers: [PacketCase] = [
    impostor("reply from another server's port") { $0.port = "s2" },
    impostor("MIRROR from another server's port", .mirror) { $0.port = "s2" },
    impostor("reply from the clients' port") { $0.port = "c0" },
    impostor("reply from another MAC address") { $0.frame.sourceMAC = Place.serverMAC(2) },
    impostor("reply from another IP address") { $0.frame.source = Place.server(2) },
    impostor("reply from another UDP port") { $0.frame.sourcePort = 9 },
    impostor("reply that names another server") {
      $0.message?.header.server = 2
      $0.frame.payload[5] = 2
      $0.frame.source = Place.server(2)
    },
    impostor("reply as if from the rack itself") {
      $0.port = "c0"
      $0.frame.sourceMAC = [2, 0, 0, 0, 9, 9]
      $0.frame.source = Place.rack
      $0.frame.sourcePort = WireLimits.port
    },
    impostor("reply addressed to the rack, from a client") {
      $0.port = "c0"
      $0.frame.sourceMAC = [2, 0, 0, 0, 9, 9]
      $0.frame.source = Place.client
      $0.frame.destination = Place.rack
      $0.frame.destinationPort = WireLimits.port
    },
    impostor("COPY_ACK from a client", .copyAck) {
      $0.port = "c0"
      $0.frame.source = Place.client
    },
    impostor("COPY from a client", .copy) {
      $0.port = "c0"
      $0.frame.source = Place.client
    },
    impostor("MIRROR from a client", .mirror) {
      $0.port = "c0"
      $0.frame.source = Place.client
    },
    impostor("SLOT_COPY from a client", .slotCopy) {
      $0.port = "c0"
      $0.frame.source = Place.client
    },
    impostor("FENCE_ACK from a client", .fenceAck) {
      $0.port = "c0"
      $0.frame.source = Place.client
    },
    impostor("PROBE_ACK from another server's port", .probeAck) { $0.port = "s2" },
  ]

  private static func stray(
    _ name: String, _ counter: String, _ operation: Wire.Operation = .set, server: UInt8 = 1,
    header: (inout Header) -> Void, _ change: (inout PacketCase) -> Void = { _ in }
  ) -> PacketCase {
    .server(
      server, name, TestKey.hot.from(server, operation, version: newer, header), .drop, counter,
      change)
  }

  static let strayServers: [PacketCase] = [
    stray("reply of a dead server", "drop_not_a_living_server", server: 4, header: { _ in }),
    stray(
      "COPY_ACK of a dead server", "drop_not_a_living_server", .copyAck, server: 4, header: { _ in }
    ),
    stray(
      "COPY of a dead server", "drop_not_a_living_server", .copy, server: 4,
      header: {
        $0.copyTargets = 1
      }),
    stray(
      "reply of another incarnation", "drop_not_a_living_server", header: { $0.incarnation = 7 }),
    stray(
      "COPY_ACK of another incarnation", "drop_not_a_living_server", .copyAck,
      header: {
        $0.incarnation = 7
      }),
    stray("reply of another epoch", "drop_stale_epoch", header: { $0.epoch = 2 }),
    stray("COPY_ACK of another epoch", "drop_stale_epoch", .copyAck, header: { $0.epoch = 0 }),
    stray(
      "COPY of another epoch", "drop_stale_epoch", .copy,
      header: {
        $0.epoch = 2
        $0.copyTargets = 1
      }),
    stray("request that says it is from a server", "drop_operation", header: { $0.flags = [] }),
    stray("FENCE from a server", "drop_operation", .fence, header: { _ in }),
    stray("reply of a server to the rack's port", "drop_operation", header: { _ in }) {
      $0.frame.destination = Place.rack
      $0.frame.destinationPort = WireLimits.port
    },
    stray("COPY_ACK to the control port", "drop_operation", .copyAck, header: { _ in }) {
      $0.frame.destinationPort = WireLimits.controlPort
    },
    stray(
      "COPY straight to another server", "drop_operation", .copy, header: { $0.copyTargets = 1 }
    ) {
      $0.frame.destination = Place.server(0)
      $0.frame.destinationPort = Place.serverPort(0)
    },
    stray("FENCE_ACK to the rack's port", "drop_operation", .fenceAck, header: { _ in }) {
      $0.frame.destinationPort = WireLimits.port
    },
    stray("reply of another protocol version", "drop_protocol", header: { _ in }) {
      $0.frame.payload[2] = 9
    },
    stray("reply cut short", "drop_truncated", header: { _ in }) {
      $0.frame.payload = Array($0.frame.payload.prefix(120))
    },
  ]
}
