import DataPlane
import Directory
import Testing
import Wire

/// A rack with a key, in every form of the program.
extension PacketTests {
  /// What servers say is tagged before it is sent, and what goes to them is expected to be.
  @Test(arguments: DecisionCases.requests + DecisionCases.reports)
  func inARackWithAKeyTheSameBecomesOfIt(_ packet: PacketCase) throws {
    guard !packet.isChained else { return }
    try check(packet.sentTo(Rig.tagged).signed(), in: Rig.tagged)
    try check(packet.sentTo(Rig.taggedOnTC).signed(), in: Rig.taggedOnTC)
    let place = Rig.oneArmTagged
    try check(packet.inOneArmMode(in: place).signed(), in: place)
    guard let packet = packet.onIPv6() else { return }
    for place in [Rig.taggedOnIPv6, Rig.taggedOnIPv6AndTC] {
      try check(packet.sentTo(place).signed(), in: place)
    }
  }

  @Test(
    arguments: DecisionCases.requests + DecisionCases.reports,
    [FrameShape.complete, .leftToHardware, .twiceTagged, .split])
  func theShapeOfATaggedFrameChangesNothing(_ packet: PacketCase, _ shape: FrameShape) throws {
    guard !packet.isChained else { return }
    try check(shape.applied(to: packet.sentTo(Rig.tagged)).signed(), in: Rig.tagged)
  }

  @Test(arguments: RefusalCases.withoutTheTag)
  func whatLacksTheRacksTagMovesNothing(_ packet: PacketCase) throws {
    for place in [Rig.tagged, Rig.taggedOnTC] { try check(packet, in: place) }
    let packet = try #require(packet.onIPv6())
    for place in [Rig.taggedOnIPv6, Rig.taggedOnIPv6AndTC] { try check(packet, in: place) }
  }

  /// Who is refused anyway is refused for the same reason.
  @Test(arguments: RefusalCases.foreign + RefusalCases.forgedByClients + RefusalCases.forgedServers)
  func aKeyDoesNotChangeWhatClientsAndStrangersGet(_ packet: PacketCase) throws {
    guard !packet.isChained else { return }
    try check(packet, in: Rig.tagged)
  }

  @Test func tagsOfTheKeyThatIsOnItsWayInOrOutAreTakenAsWell() throws {
    let reply = try #require(
      DecisionCases.reports.first { packet in
        if case .forward = packet.end { !packet.isChained } else { false }
      })
    let other = RigKeys.other
    try check(reply.sentTo(Rig.taggedTwice).signed(), in: Rig.taggedTwice)
    try check(reply.sentTo(Rig.taggedTwice).signed(other), in: Rig.taggedTwice)
  }
}

/// The tests' keys.
enum RigKeys {
  static let one = keys(Array(0..<16))
  static let other = keys(Array(100..<116))
  static let both = keys(Array(0..<16) + Array(100..<116))

  private static func keys(_ bytes: [UInt8]) -> RackKeys {
    guard let keys = RackKeys(bytes) else { preconditionFailure("16 bytes, or 32") }
    return keys
  }
}

extension PacketCase {
  /// The same with the rack's tag, if it is from a server.
  func signed(_ keys: RackKeys = RigKeys.one) -> PacketCase {
    guard let header = message?.header, header.server != WireLimits.noServer else { return self }
    var result = self
    keys.sign(&result.frame.payload, .fromServer)
    return result
  }
}

extension RefusalCases {
  /// From the place of a server in a rack with a key.
  private static func untagged(
    _ name: String, _ operation: Wire.Operation = .set,
    _ tag: @Sendable (inout [UInt8]) -> Void = { _ in }
  ) -> PacketCase {
    .server(
      1, name,
      TestKey.hot.from(1, operation, version: Rig.completed + 1) {
        if !operation.isRequest { $0.copyTargets = 1 }
      }, .drop, "drop_rack_tag"
    ) { tag(&$0.frame.payload) }
  }

  /// What only a rack with a key refuses.
  static let withoutTheTag: [PacketCase] =
    [
      untagged("reply without a tag"),
      untagged("COPY without a tag", .copy),
      untagged("COPY_ACK without a tag", .copyAck),
      untagged("MIRROR without a tag", .mirror),
      untagged("SLOT_COPY without a tag", .slotCopy),
      untagged("FENCE_ACK without a tag", .fenceAck),
      untagged("PROBE_ACK without a tag", .probeAck),
      untagged("reply with a wrong tag") {
        RigKeys.one.sign(&$0, .fromServer)
        $0[119] ^= 1
      },
      untagged("reply with the tag of another rack") { RigKeys.other.sign(&$0, .fromServer) },
      untagged("FENCE_ACK with the tag of another rack", .fenceAck) {
        RigKeys.other.sign(&$0, .fromServer)
      },
      untagged("reply with the tag of what goes to a server") { RigKeys.one.sign(&$0, .toServer) },
      untagged("reply whose version was changed after it was tagged") {
        RigKeys.one.sign(&$0, .fromServer)
        $0[31] &+= 1
      },
      untagged("COPY whose target was changed after it was tagged", .copy) {
        RigKeys.one.sign(&$0, .fromServer)
        $0[15] ^= 4
      },
      .client(
        "request with a tag", TestKey.hot.request(.set, value: [1]) { $0.rackTag = 1 }, .drop,
        "drop_forged_stamp"),
    ].map { $0.changingNothing() }
}
