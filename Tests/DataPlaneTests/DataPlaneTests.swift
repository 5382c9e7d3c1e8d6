import CBPF
import CHotrack
import CIsolation
import Directory
import Glibc
import Testing
import Wire

@testable import DataPlane

@Suite(.enabled(if: geteuid() == 0, "needs root: XDP programs, network namespaces"), .serialized)
struct DataPlaneTests {
  private static let configuration = DataPlaneConfiguration(
    rack: RackConfiguration(address: MappedAddress.ipv4(10, 0, 0, 1)), buckets: 16)

  /// A ceiling well below the kernel's limit of a million, so that growth is noticed.
  @Test(arguments: PlaneKind.allCases, [false, true])
  func theVerifierWalksFewEnoughInstructions(kind: PlaneKind, isIPv6: Bool) throws {
    var configuration = Self.configuration
    configuration.kind = kind
    if isIPv6 { configuration.rack.address = Place.onIPv6(Place.rack) }
    let walked = try DataPlane(configuration: configuration).verifiedInstructions()
    #expect(walked > 0 && walked < 400_000, "\(walked)")
  }

  @Test func anInterfaceThatDoesNotExistIsNamed() throws {
    let plane = try DataPlane(configuration: Self.configuration)
    #expect(throws: DataPlaneError.noSuchInterface("ht-none")) {
      try plane.attach(interface: "ht-none")
    }
    #expect(throws: DataPlaneError.interfaceNotAttached("ht-none")) {
      try plane.detach(interface: "ht-none")
    }
  }

  @Test func aTakenInterfaceIsRefusedAndFreeAgainAfterwards() throws {
    let isolation = try Isolation(Rig.interfaceCommands)
    try isolation.run {
      let first = try DataPlane(configuration: Self.configuration)
      try first.attach(interface: "ht-c0")
      let second = try DataPlane(configuration: Self.configuration)
      let error = #expect(throws: DataPlaneError.self) {
        try second.attach(interface: "ht-c0")
      }
      guard case .interfaceTaken("ht-c0", .some(let program)) = error, program.name == "rack",
        case .link(let number) = program.holder
      else {
        Issue.record("\(String(describing: error))")
        return
      }
      #expect(error?.description.contains("`bpftool link detach id \(number)`") == true)
      #expect(throws: DataPlaneError.interfaceTaken("ht-c0", by: nil)) {
        try first.attach(interface: "ht-c0")
      }
      try first.detach(interface: "ht-c0")
      #expect(first.interfaces == [])
      try second.attach(interface: "ht-c0")
      #expect(second.interfaces == ["ht-c0"])
    }
  }

  /// Somebody else's program, attached without a link as `ip link set … xdp` does, in either mode.
  @Test(arguments: [UInt32(XDP_FLAGS_DRV_MODE), UInt32(XDP_FLAGS_SKB_MODE)])
  func aForeignProgramIsNamedAndLeftAlone(mode: UInt32) throws {
    let isolation = try Isolation(Rig.interfaceCommands)
    try isolation.run {
      let interface = Int32(if_nametoindex("ht-c0"))
      // r0 = XDP_PASS; exit
      let code: [UInt64] = [UInt64(XDP_PASS.rawValue) << 32 | 0xb7, 0x95]
      let foreign = code.withUnsafeBytes { bytes in
        bpf_prog_load(
          BPF_PROG_TYPE_XDP, "theirs", "GPL",
          bytes.assumingMemoryBound(to: bpf_insn.self).baseAddress, code.count, nil)
      }
      try #require(foreign >= 0)
      defer { close(foreign) }
      try #require(bpf_xdp_attach(interface, foreign, mode, nil) == 0)
      let theirs = try #require(ForeignProgram.on(UInt32(interface)))
      #expect(theirs.name == "theirs" && theirs.holder == .interface)
      let plane = try DataPlane(configuration: Self.configuration)
      let error = #expect(throws: DataPlaneError.interfaceTaken("ht-c0", by: theirs)) {
        try plane.attach(interface: "ht-c0")
      }
      let text = try #require(error).description
      #expect(text.contains("number \(theirs.number) (theirs)"))
      #expect(text.contains("`ip link set ht-c0 xdp off`") && text.contains("plane = \"tc\""))
      #expect(plane.interfaces == [] && ForeignProgram.on(UInt32(interface)) == theirs)
      // Beside it there is room on TC.
      var configuration = Self.configuration
      configuration.kind = .tc
      let other = try DataPlane(configuration: configuration)
      #expect(try other.attach(interface: "ht-c0") == .tc)
      #expect(ForeignProgram.on(UInt32(interface)) == theirs)
    }
  }

  @Test func onTCItIsAttachedAndTakenOffAgain() throws {
    let isolation = try Isolation("ip link set lo up; " + Rig.interfaceCommands)
    try isolation.run {
      var configuration = Self.configuration
      configuration.kind = .tc
      let plane = try DataPlane(configuration: configuration)
      for name in ["lo", "ht-c0"] { #expect(try plane.attach(interface: name) == .tc) }
      #expect(plane.attachModes().map(\.mode) == [.tc, .tc])
      // On XDP a program would take segmentation offload from the other end of a veth.
      #expect(ForeignProgram.on(if_nametoindex("ht-c0")) == nil)
      try plane.detach(interface: "ht-c0")
      try plane.attach(interface: "ht-c0")
      try plane.detach(interface: "lo")
      #expect(plane.interfaces == ["ht-c0"])
      try shell("ip link delete ht-c0")
      #expect(plane.attachModes().map(\.mode) == [nil])
    }
  }

  @Test func whatSuitsTheInterfacesIsSeenFromThem() throws {
    let isolation = try Isolation("ip link set lo up; " + Rig.interfaceCommands)
    try isolation.run {
      #expect(PlaneKind.suiting(["lo"]).kind == .tc)
      // The other end of this pair would lose what is sent to it...
      #expect(DriverSupport.of(interface: "ht-c0")?.runsPrograms == true)
      #expect(DriverSupport.of(interface: "ht-c0")?.sendsRedirected == false)
      #expect(PlaneKind.suiting(["ht-c0"]).kind == .tc)
      // ...unless it runs a program.
      let other = try DataPlane(configuration: Self.configuration)
      try other.attach(interface: "ht-xc0")
      #expect(DriverSupport.of(interface: "ht-c0")?.sendsRedirected == true)
      #expect(PlaneKind.suiting(["ht-c0"]) == (.xdp, nil))
      #expect(PlaneKind.suiting(["ht-c0", "ht-s0"]).kind == .tc)
      #expect(DriverSupport.of(interface: "ht-none") == nil)
    }
  }

  @Test func closingTheDataPlaneDetachesIt() throws {
    let isolation = try Isolation(Rig.interfaceCommands)
    try isolation.run {
      do {
        let plane = try DataPlane(configuration: Self.configuration)
        try plane.attach(interface: "ht-c0")
      }
      try DataPlane(configuration: Self.configuration).attach(interface: "ht-c0")
    }
  }

  @Test func anInterfaceWithoutNativeModeRunsItInGenericMode() throws {
    let isolation = try Isolation("ip link set lo up; " + Rig.interfaceCommands)
    try isolation.run {
      let plane = try DataPlane(configuration: Self.configuration)
      #expect(try plane.attach(interface: "lo") == .generic)
      #expect(try plane.attach(interface: "ht-c0") == .native)
      let modes = plane.attachModes()
      #expect(modes.map(\.interface) == ["lo", "ht-c0"])
      #expect(modes.map(\.mode) == [.generic, .native])
      try plane.detach(interface: "lo")
      #expect(plane.interfaces == ["ht-c0"])
    }
  }

  @Test func wrongConfigurationsAreRefused() {
    var odd = Self.configuration
    odd.buckets = 3
    #expect(throws: DataPlaneError.self) { try DataPlane(configuration: odd) }
  }

  @Test func countsOfServersAndEntriesAreExact() throws {
    let rig = try Rig.shared.get()
    try rig.run { rig in
      rig.reset()
      let entry = TestKey.hot.entry
      rig.kernel.resetEntryCounts(entry)
      let before = rig.kernel.serverCounts()
      func client(_ message: Message) throws {
        var frame = Frame()
        frame.payload = message.encoded()
        _ = try rig.handle(frame.bytes, from: "c0")
      }
      for sequence in UInt64(1)...7 {
        try client(TestKey.hot.request(.get, sequence: sequence))
      }
      for sequence in UInt64(8)...12 {
        try client(TestKey.hot.request(.set, sequence: sequence))
      }
      let counts = rig.kernel.entryCounts([entry])[0]
      #expect(counts.reads == 7 && counts.writes == 5)
      let after = rig.kernel.serverCounts()
      #expect(after[2].reads - before[2].reads == 7)
      #expect((0..<32).reduce(0) { $0 + after[$1].writes - before[$1].writes } == 5)
      for server in 0..<6 {
        let host = rig.host.serverCounts(server)
        #expect(host.count == 4)
      }
      rig.kernel.resetEntryCounts(entry)
      #expect(rig.kernel.entryCounts([entry])[0] == (0, 0))
    }
  }

  @Test func oneOfSoManyRequestsIsSampledAndEveryCollisionIsTold() throws {
    let rig = try Rig.shared.get()
    try rig.run { rig in
      rig.reset()
      for memory in [rig.kernel.memory, rig.host.memory] { memory.apply(.setSampleInterval(3)) }
      for sequence in UInt64(1)...9 {
        var frame = Frame()
        frame.payload = TestKey.cold.request(.set, sequence: sequence).encoded()
        _ = try rig.handle(frame.bytes, from: "c0")
      }
      let collision = PacketCase.server(
        1, "", TestKey.hot.from(1, .get, .otherKey, version: 0), .forward, "read_reply")
      _ = try rig.handle(collision.frame.bytes, from: "s1")
      var samples: [SampleRecord] = []
      let drained = rig.kernel.drainSamples { samples.append($0) }
      let request = SampleRecord(
        kind: .request, keyHash: TestKey.cold.hash, operation: .set, weight: 3,
        key: TestKey.cold.bytes)
      let told = SampleRecord(
        kind: .collision, keyHash: TestKey.hot.hash, operation: .get, weight: 1, key: [])
      #expect(samples == [request, request, request, told])
      #expect(drained == 4 && rig.hostSamples == samples)
      #expect(rig.kernel.drainSamples { _ in } == 0)
    }
  }

  @Test func samplesOfAFullRingAreCountedAsLost() throws {
    let isolation = try Isolation(Rig.interfaceCommands)
    try isolation.run {
      var configuration = Self.configuration
      configuration.sampleRingBytes = Int(getpagesize())
      let plane = try DataPlane(configuration: configuration)
      try plane.attach(interface: "ht-c0")
      let memory = plane.memory
      memory.apply(
        .begin(
          epoch: 1, serverCount: 1, nextVersion: Version.first(ofEpoch: 1), window: 1 << 30))
      memory.apply(
        .setServer(
          0,
          ServerPlace(
            incarnation: 1, interface: if_nametoindex("ht-c0"), port: 1, mac: Place.serverMAC(0),
            address: Place.mapped(Place.server(0)))))
      memory.apply(.setAlive(1))
      memory.apply(.setSampleInterval(1))
      memory.apply(.setServing(true))
      let sent = 100
      for _ in 0..<sent {
        var frame = Frame()
        frame.payload = TestKey.cold.request(.get).encoded()
        let result = try plane.run(frame: frame.bytes, ingress: if_nametoindex("ht-c0"))
        #expect(result.action == .redirect)
      }
      let drained = plane.drainSamples { _ in }
      #expect(drained > 0 && drained < sent)
      #expect(plane.counters()["sample_lost"] == UInt64(sent - drained))
      #expect(plane.counters()["cold_read"] == UInt64(sent))
    }
  }

  @Test func readsOfAHotKeyGoToTheLessLoadedOfTwo() throws {
    let rig = try Rig.shared.get()
    try rig.run { rig in
      rig.reset()
      let before = rig.kernel.serverCounts()
      for sequence in UInt64(1)...500 {
        var frame = Frame()
        frame.payload = TestKey.hotSpread.request(.get, sequence: sequence).encoded()
        let outcome = try rig.handle(frame.bytes, from: "c0")
        #expect(outcome.differences == [])
      }
      let after = rig.kernel.serverCounts()
      // Nobody replies, so each server's load is what was steered to it: five servers, evenly.
      for server in [0, 1, 2, 3, 5] {
        let reads = after[server].reads - before[server].reads
        #expect(reads > 90 && reads < 110, "server \(server): \(reads)")
      }
      #expect(after[4].reads == before[4].reads)
    }
  }

  /// A program that is under way when the wait begins has ended when the wait ends.
  @Test func theGracePeriodWaitsForRunsUnderWay() throws {
    let plane = try DataPlane(configuration: Self.configuration)
    let lingering = try LingeringProgram()
    var proofs = 0
    for _ in 0..<100 where proofs < 3 {
      lingering.start()
      let wasUnderWay = !lingering.hasEnded
      plane.awaitGrace()
      #expect(lingering.hasEnded)
      if wasUnderWay { proofs += 1 }
      lingering.join()
    }
    #expect(proofs == 3, "the run had always ended before the wait began")
  }
}

@Suite struct DataPlaneErrorTests {
  @Test(arguments: [
    ("4.19.0-26-amd64", true), ("5.17.9", true), ("5.18.0", false), ("6.1.0-18-amd64", false),
    ("6.18.44+", false), ("10.0", false), ("3.2", true),
  ])
  func aKernelTooOldIsNamed(release: String, isTooOld: Bool) {
    let error = DataPlaneError.check(kernelRelease: release)
    #expect((error != nil) == isTooOld)
    if let error { #expect(error.description.contains(release)) }
  }

  @Test func missingCapabilitiesAreNamedWithTheWayOut() {
    #expect(DataPlaneError.notPermitted(doing: "load").description.contains("setcap cap_bpf"))
  }

  @Test func addressesAreReadFromText() {
    #expect(MappedAddress.ipv4("10.0.2.255")?.suffix(4) == [10, 0, 2, 255])
    for wrong in ["10.0.2", "10.0.2.256", "10.0.2.1.3", "10.0..1", "+1.2.3.4", "a.b.c.d", ""] {
      #expect(MappedAddress.ipv4(wrong) == nil)
    }
  }
}
