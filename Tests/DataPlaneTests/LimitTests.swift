import DataPlane
import Directory
import Testing
import Wire

/// A rack with a rate limit, in every form of the program.
extension PacketTests {
  /// So slow that nothing comes back while a test runs.
  static let limit = RequestLimit(interval: 3_600_000_000_000, burst: 3)
  private static let places = [
    Rig.limited, Rig.limitedOnTC, Rig.limitedOnIPv6, Rig.limitedOnIPv6AndTC, Rig.oneArmLimited,
  ]

  private static func request(from host: UInt8, in rig: Rig) -> [UInt8] {
    var frame = Frame()
    frame.isIPv6 = rig.isIPv6
    frame.source = [10, 0, 9, host]
    frame.checksum = .full
    frame.payload = TestKey.hot.request(.get).encoded()
    return frame.bytes
  }

  @Test func whoAsksTooMuchIsDroppedAndOthersAreNot() throws {
    for place in Self.places {
      let rig = try place.get()
      try rig.run { rig in
        rig.reset()
        func counter(from host: UInt8) throws -> String {
          let outcome = try rig.handle(Self.request(from: host, in: rig), from: "c0")
          #expect(outcome.differences == [])
          return outcome.counter
        }
        // Others than in other tests of this place.
        let (flood, quiet) = (UInt8(77), UInt8(78))
        for _ in 0..<3 { try #expect(counter(from: flood) == "hot_read") }
        for _ in 0..<20 { try #expect(counter(from: flood) == "drop_rate_limit") }
        for _ in 0..<3 { try #expect(counter(from: quiet) == "hot_read") }
        try #expect(counter(from: quiet) == "drop_rate_limit")
        try #expect(counter(from: flood) == "drop_rate_limit")

        // Each is told of once at first, and by its whole address.
        var told: [SampleRecord] = []
        rig.kernel.drainSamples { told.append($0) }
        let refused = told.filter { $0.kind == .refused }
        let addresses = [flood, quiet].map { host in
          rig.isIPv6 ? Place.onIPv6([10, 0, 9, host]) : Place.mapped([10, 0, 9, host])
        }
        #expect(Set(refused.map(\.key)) == Set(addresses) && refused.allSatisfy { $0.weight > 0 })
      }
    }
  }

  /// Replies, copies and answers to the controller are not counted to anybody's limit, nor what is none of ours.
  @Test(arguments: DecisionCases.reports + RefusalCases.foreign)
  func onlyClientsHaveALimit(_ packet: PacketCase) throws {
    guard !packet.isChained else { return }
    for _ in 0..<4 { try check(packet.sentTo(Rig.limited), in: Rig.limited) }
  }

  @Test func anHourLaterThereIsRoomForOneMore() throws {
    let rig = try Rig.limited.get()
    rig.reset()
    rig.host.forgetClients()
    func isDropped() -> Bool {
      var frame = Self.request(from: 79, in: rig)
      return rig.host.handle(&frame, ingress: rig.interfaces["c0"] ?? 0) == .drop
    }
    let hour = Self.limit.interval
    rig.host.now = 5 * hour
    for _ in 0..<3 { #expect(!isDropped()) }
    #expect(isDropped())
    rig.host.now += hour - 1
    #expect(isDropped())
    rig.host.now += 1
    #expect(!isDropped() && isDropped())
    // No more than the burst is saved up.
    rig.host.now += 100 * hour
    for _ in 0..<3 { #expect(!isDropped()) }
    #expect(isDropped())
    rig.host.forgetClients()
    rig.host.now = 1
  }

  /// A dry run says what would be dropped.
  @Test func aDryRunCountsWhatWouldBeBeyondTheLimit() throws {
    let rig = try Rig.dryLimited.get()
    try rig.run { rig in
      rig.reset()
      var counted: [String] = []
      for _ in 0..<4 {
        let outcome = try rig.handle(Self.request(from: 80, in: rig), from: "c0")
        #expect(outcome.action == .pass)
        counted.append(outcome.counter)
      }
      #expect(counted == ["hot_read", "hot_read", "hot_read", "drop_rate_limit"])
    }
  }
}
