import DataPlane
import Directory
import Glibc
import Testing
import Wire

// Loading programs and making interfaces takes root: elsewhere these tests are skipped.
@Suite(.enabled(if: geteuid() == 0, "needs root: XDP programs, network namespaces"), .serialized)
struct PacketTests {
  @Test(arguments: DecisionCases.requests + DecisionCases.reports)
  func aPacketOfTheRackIsHandledAsDocumented(_ packet: PacketCase) throws {
    try check(packet)
  }

  @Test(arguments: RefusalCases.all)
  func aPacketThatIsWrongOrNotOursMovesNothing(_ packet: PacketCase) throws {
    try check(packet)
  }

  /// The same decisions with complete checksums, with checksums left to hardware, behind VLAN tags,
  /// with padding, and in frames whose body lies in a second buffer.
  @Test(arguments: DecisionCases.requests + DecisionCases.reports, FrameShape.allCases)
  func theShapeOfTheFrameChangesNothing(_ packet: PacketCase, _ shape: FrameShape) throws {
    try check(shape.applied(to: packet))
  }

  @Test func thereAreFortyKindsOfBadPacketsAtLeast() {
    #expect(RefusalCases.all.count >= 40)
    let names =
      (DecisionCases.requests + DecisionCases.reports + RefusalCases.all
      + RefusalCases.onIPv6 + RefusalCases.withoutTheTag).map(\.name)
    #expect(Set(names).count == names.count)
  }

  @Test(arguments: DecisionCases.requests + DecisionCases.reports, FrameShape.allCases)
  func inOneArmModeEverythingGoesByTheRack(_ packet: PacketCase, _ shape: FrameShape) throws {
    guard !packet.isChained else { return }
    try check(shape.applied(to: packet.inOneArmMode()), in: Rig.oneArm)
  }

  /// The TC program is another object with the same text.
  @Test(
    arguments: DecisionCases.requests + DecisionCases.reports,
    [FrameShape.complete, .tagged, .padded])
  func onTCTheSameBecomesOfIt(_ packet: PacketCase, _ shape: FrameShape) throws {
    guard !packet.isChained else { return }
    try check(shape.applied(to: packet.sentTo(Rig.onTC)), in: Rig.onTC)
    try check(shape.applied(to: packet.inOneArmMode(in: Rig.oneArmOnTC)), in: Rig.oneArmOnTC)
  }

  @Test(arguments: RefusalCases.all)
  func onTCTheSameIsRefused(_ packet: PacketCase) throws {
    // A run without packets takes no less than an IP header, nor a frame in parts.
    guard !packet.isChained, packet.linear == nil, packet.frame.bytes.count >= 34 else { return }
    try check(packet, in: Rig.onTC)
  }

  @Test(arguments: DecisionCases.requests + RefusalCases.all)
  func aDryRunCountsTheSameAndTouchesNothing(_ packet: PacketCase) throws {
    guard !packet.isChained else { return }
    let outcome = try Rig.dry.get().run { rig in
      rig.reset()
      for change in packet.changes { rig.apply(change) }
      return try rig.handle(packet.frame.bytes, from: packet.port, linear: packet.linear)
    }
    #expect(outcome.differences == [])
    #expect(outcome.counter == packet.counter)
    #expect(outcome.action == .pass && outcome.frame == packet.frame.bytes)
  }

  @Test(arguments: DecisionCases.requests + DecisionCases.reports, FrameShape.allCases)
  func onIPv6TheSameBecomesOfIt(_ packet: PacketCase, _ shape: FrameShape) throws {
    guard let packet = packet.onIPv6() else { return }
    try check(shape.applied(to: packet.sentTo(Rig.ipv6)), in: Rig.ipv6)
    let place = Rig.oneArmOnIPv6
    try check(shape.applied(to: packet.inOneArmMode(in: place)), in: place)
    // On TC nobody looks like a sender whose device is to complete the checksum.
    guard [.complete, .tagged, .padded].contains(shape) else { return }
    try check(shape.applied(to: packet.sentTo(Rig.ipv6OnTC)), in: Rig.ipv6OnTC)
  }

  @Test(arguments: RefusalCases.all + RefusalCases.onIPv6)
  func onIPv6TheSameIsRefused(_ packet: PacketCase) throws {
    guard let packet = packet.frame.isIPv6 ? packet : packet.onIPv6() else { return }
    try check(packet, in: Rig.ipv6)
    guard packet.linear == nil, packet.frame.bytes.count >= 54 else { return }
    try check(packet, in: Rig.ipv6OnTC)
  }

  @Test func whoSpeaksIPv4IsNoneOfTheBusinessOfARackOnIPv6() throws {
    for packet in DecisionCases.requests.prefix(3) {
      var packet = packet
      let stranger = PacketCase(
        name: packet.name, frame: packet.frame, end: .pass, counter: "pass")
      try check(stranger, in: Rig.ipv6)
      packet.frame.isIPv6 = true
      try check(
        PacketCase(name: packet.name, frame: packet.frame, end: .pass, counter: "pass"),
        in: Rig.shared)
    }
  }

  @Test(arguments: RefusalCases.forgedByClients)
  func inOneArmModeForgedRequestsAreRefusedLikewise(_ packet: PacketCase) throws {
    try check(packet.inOneArmMode(), in: Rig.oneArm)
  }

  /// Past the rack, or back to nobody.
  @Test func inOneArmModeRepliesGoOnlyByTheRackAndToSomebody() throws {
    let reply = try #require(
      DecisionCases.reports.first { packet in
        if case .forward = packet.end { !packet.isChained } else { false }
      }
    ).inOneArmMode()
    var direct = reply
    direct.frame.destination = Place.client
    direct.frame.destinationPort = 40_000
    let (rig, stranger) = (try Rig.oneArm.get(), [UInt8]([2, 0, 0, 0, 9, 1]))
    var message = try #require(reply.message)
    message.header.returnPort = 0
    var toNobody = reply
    toNobody.frame.payload = message.encoded()
    var forged = reply
    forged.frame.sourceMAC = stranger
    for (frame, counter) in [
      (direct.frame, "drop_operation"), (toNobody.frame, "drop_no_return_path"),
      (forged.frame, "drop_not_a_server"),
    ] {
      let outcome = try rig.run { rig in
        rig.reset()
        return try rig.handle(frame.bytes, from: "c0")
      }
      #expect(outcome.differences == [])
      #expect(outcome.action == .drop && outcome.counter == counter)
    }
  }

  private func check(_ packet: PacketCase) throws {
    try check(packet, in: packet.isChained ? Rig.chained : Rig.shared)
  }

  func check(_ packet: PacketCase, in place: Result<Rig, any Error>) throws {
    let rig = try place.get()
    let outcome = try rig.run { rig in
      rig.reset()
      for change in packet.changes { rig.apply(change) }
      return try rig.handle(packet.frame.bytes, from: packet.port, linear: packet.linear)
    }
    #expect(outcome.differences == [], "the kernel and the host differ")
    #expect(outcome.counter == packet.counter)
    let sends: FrameAction =
      rig.kind == .oneArm && rig.kernel.kind == .xdp ? .transmit : .redirect
    #expect(outcome.action == (packet.expectedAction == .redirect ? sends : packet.expectedAction))
    if let expected = packet.expected(rig), outcome.action != .drop {
      #expect(outcome.frame == expected, "\(difference(outcome.frame, expected))")
      if outcome.action != .pass { #expect(checksumsAreRight(outcome.frame)) }
    }
    if packet.changesNothing { #expect(outcome.before == outcome.after) }
    if let move = packet.move {
      for memory in [rig.kernel.memory, rig.host.memory] {
        let reading = memory.reading(ofEntry: move.key.entry)
        #expect(reading.completed == move.completed && reading.replicaSet == move.replicaSet)
      }
    } else {
      #expect(outcome.before?.entries == outcome.after?.entries)
    }
    #expect(outcome.before?.tables == outcome.after?.tables)
  }

  private func difference(_ frame: [UInt8], _ expected: [UInt8]) -> String {
    guard frame.count == expected.count else { return "\(frame.count) and \(expected.count) bytes" }
    let places = frame.indices.filter { frame[$0] != expected[$0] }
    return places.map { "[\($0)] \(frame[$0]) for \(expected[$0])" }.joined(separator: ", ")
  }
}

/// How a frame can look around the same datagram.
enum FrameShape: CaseIterable, Sendable {
  case complete, leftToHardware, tagged, twiceTagged, padded, split, splitAndLeftToHardware

  func applied(to packet: PacketCase) -> PacketCase {
    var packet = packet
    switch self {
    case .complete: packet.frame.checksum = .full
    case .leftToHardware: packet.frame.checksum = .leftToHardware
    case .tagged:
      packet.frame.tags = [(0x8100, 7)]
      packet.frame.checksum = .full
    case .twiceTagged:
      packet.frame.tags = [(0x88a8, 7), (0x8100, 8)]
      packet.frame.checksum = .leftToHardware
    case .padded:
      packet.frame.trailer = [1, 2, 3, 4, 5, 6, 7]
      packet.frame.checksum = .full
    case .split, .splitAndLeftToHardware:
      packet.linear = 14 + (packet.frame.isIPv6 ? 48 : 28) + 136
      packet.frame.checksum = self == .split ? .full : .leftToHardware
    }
    return packet
  }
}
