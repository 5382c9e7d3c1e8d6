import CHotrack
import CIsolation
import Directory
import Glibc
import Testing
import Wire

@testable import DataPlane

/// A data plane that outlives the process that has made it: here, the object.
@Suite(
  .enabled(if: geteuid() == 0, "needs root: XDP programs, network namespaces"), .serialized)
struct PlaneAdoptionTests {
  private static let rack = "test-adoption-\(getpid())"
  private static let configuration = DataPlaneConfiguration(
    rack: RackConfiguration(address: MappedAddress.ipv4(10, 0, 0, 1)), buckets: 16)
  private static let hash: UInt64 = 0x1234_5678_9abc_def0

  /// Interfaces of their own for the job, and no pins after it.
  private func isolated(_ job: @escaping @Sendable () throws -> Void) throws {
    defer { try? PinDirectory(rack: Self.rack).remove() }
    try Isolation(Rig.interfaceCommands).run(job)
  }

  /// As a controller leaves it that is killed: with an entry, and serving.
  private static func begin(
    _ image: BPFObject = .rack, interfaces: [String] = ["ht-c0", "ht-s0"], isServing: Bool = true
  ) throws {
    let pins = try PinDirectory(rack: rack)
    let plane = try DataPlane(image: image, configuration: configuration, pins: pins)
    #expect(!plane.isAdopted)
    plane.memory.apply(.begin(epoch: 3, serverCount: 2, nextVersion: 77, window: 1 << 10))
    plane.memory.apply(.setGeneration(9))
    plane.memory.apply(.noteEntry(entry: 4, EntryNote(key: [1, 2, 3], isPinned: true)))
    plane.memory.apply(.insert(entry: 4, keyHash: hash, home: 0))
    for interface in interfaces { try plane.attach(interface: interface) }
    if isServing { plane.memory.apply(.setServing(true)) }
  }

  /// The numbers of the programs on the interfaces, as the system's own tool shows them; 0: none.
  private static func programs(_ interfaces: [String] = ["ht-c0", "ht-s0"]) -> [Int] {
    interfaces.map { interface in
      guard let pipe = popen("ip link show \(interface)", "r") else { return -1 }
      defer { pclose(pipe) }
      var text = [CChar](repeating: 0, count: 4096)
      fread(&text, 1, text.count - 1, pipe)
      let words = String(decoding: text.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        .split(whereSeparator: \.isWhitespace)
      guard let mark = words.firstIndex(of: "prog/xdp"), mark + 2 < words.count else { return 0 }
      return Int(words[mark + 2]) ?? -1
    }
  }

  @Test func itGoesOnWithoutAProcessAndIsTakenUpAgain() throws {
    try isolated {
      try Self.begin()
      let before = Self.programs()
      #expect(!before.contains(0))
      do {
        let pins = try PinDirectory(rack: Self.rack)
        let plane = try DataPlane(configuration: Self.configuration, pins: pins)
        #expect(plane.isAdopted)
        let contents = plane.memory.contents()
        #expect(contents.epoch == 3 && contents.generation == 9 && contents.nextVersion == 77)
        #expect(contents.serving && contents.window == 1 << 10)
        #expect(contents.entries.map(\.keyHash) == [Self.hash])
        #expect(contents.entries[0].note == EntryNote(key: [1, 2, 3], isPinned: true))
        // The same version: its program stays.
        #expect(try !plane.adopt())
        #expect(Self.programs() == before)
        #expect(plane.interfaces.sorted() == ["ht-c0", "ht-s0"])
        try plane.attach(interface: "ht-s1")
        try plane.detach(interface: "ht-s0")
        #expect(Self.programs() == [before[0], 0])
      }
      #expect(Self.programs(["ht-c0", "ht-s1"]) == [before[0], before[0]])
      let pins = try PinDirectory(rack: Self.rack)
      #expect(PinDirectory.racks().contains(Self.rack))
      try pins.remove()
      #expect(!PinDirectory.racks().contains(Self.rack))
      #expect(Self.programs(["ht-c0", "ht-s1"]) == [0, 0])
    }
  }

  @Test func anotherProgramTakesItsPlaceAndKeepsItsMemory() throws {
    try isolated {
      try Self.begin(.rackTorn)
      let before = Self.programs()
      let pins = try PinDirectory(rack: Self.rack)
      let plane = try DataPlane(configuration: Self.configuration, pins: pins)
      // Nothing has changed yet.
      #expect(Self.programs() == before)
      #expect(try plane.adopt())
      let after = Self.programs()
      #expect(after[0] == after[1] && after[0] != before[0] && after[0] != 0)
      #expect(plane.memory.contents().entries.map(\.keyHash) == [Self.hash])
      // It works on the very memory.
      let interface = if_nametoindex("ht-c0")
      var header = Header(.hello)
      (header.client, header.sequence, header.acknowledged) = (5, 1, 1)
      let counted = plane.counters()["hello"] ?? 0
      var frame = Frame()
      frame.payload = Message(header).encoded()
      _ = try plane.run(frame: frame.bytes, ingress: interface)
      #expect(plane.counters()["hello"] ?? 0 == counted + 1)
    }
  }

  @Test func theSameProgramIsReplacedIfAskedFor() throws {
    try isolated {
      try Self.begin()
      let before = Self.programs()
      let pins = try PinDirectory(rack: Self.rack)
      let plane = try DataPlane(
        configuration: Self.configuration, pins: pins, replacingProgram: true)
      #expect(try plane.adopt())
      #expect(Self.programs()[0] != before[0])
    }
  }

  @Test func onTCItGoesOnAsWellAndIsNotMistaken() throws {
    try isolated {
      var onTC = Self.configuration
      onTC.kind = .tc
      do {
        let pins = try PinDirectory(rack: Self.rack)
        let plane = try DataPlane(configuration: onTC, pins: pins)
        plane.memory.apply(.begin(epoch: 3, serverCount: 2, nextVersion: 77, window: 1 << 10))
        try plane.attach(interface: "ht-c0")
        plane.memory.apply(.setServing(true))
      }
      #expect(PinDirectory.attachedPrograms().values.contains(Self.rack))
      do {
        // Which kind it is need not be said.
        let pins = try PinDirectory(rack: Self.rack)
        let plane = try DataPlane(
          configuration: Self.configuration, pins: pins, replacingProgram: true)
        #expect(plane.isAdopted && plane.kind == .tc)
        #expect(try plane.adopt())
        #expect(plane.attachModes().map(\.mode) == [.tc])
        try plane.detach(interface: "ht-c0")
        #expect(Self.programs(["ht-c0"]) == [0])
        try plane.attach(interface: "ht-c0")
      }
      var onXDP = Self.configuration
      onXDP.kind = .xdp
      let pins = try PinDirectory(rack: Self.rack)
      let error = #expect(throws: DataPlaneError.self) {
        _ = try DataPlane(configuration: onXDP, pins: pins)
      }
      #expect(try #require(error).description.contains("it runs on TC, and XDP is asked for"))
    }
  }

  @Test func onlyOneHasIt() throws {
    try isolated {
      let first = try PinDirectory(rack: Self.rack)
      #expect(throws: DataPlaneError.pinsTaken(path: first.path, process: getpid())) {
        _ = try PinDirectory(rack: Self.rack)
      }
      withExtendedLifetime(first) {}
    }
  }

  @Test func whatHasNeverServedIsMadeAnew() throws {
    try isolated {
      try Self.begin(isServing: false)
      let pins = try PinDirectory(rack: Self.rack)
      let plane = try DataPlane(configuration: Self.configuration, pins: pins)
      #expect(!plane.isAdopted)
      #expect(plane.memory.contents().entries.isEmpty)
      // Its interfaces are free again.
      try plane.attach(interface: "ht-c0")
    }
  }

  @Test func whatCannotGoOnIsRefusedAndLeftAlone() throws {
    try isolated {
      try Self.begin()
      let before = Self.programs()
      var other = Self.configuration
      other.buckets = 32
      var elsewhere = Self.configuration
      elsewhere.rack.port = 99
      for configuration in [other, elsewhere] {
        let pins = try PinDirectory(rack: Self.rack)
        let error = #expect(throws: DataPlaneError.self) {
          _ = try DataPlane(configuration: configuration, pins: pins)
        }
        #expect(try #require(error).description.contains("hotrack detach \(Self.rack)"))
      }
      #expect(Self.programs() == before)
    }
  }

  @Test func memoryOfAnotherArrangementIsRefused() throws {
    try isolated {
      try Self.begin()
      do {
        let pins = try PinDirectory(rack: Self.rack)
        let plane = try DataPlane(configuration: Self.configuration, pins: pins)
        plane.shared.layout.pointee.identity &+= 1
      }
      let pins = try PinDirectory(rack: Self.rack)
      let error = #expect(throws: DataPlaneError.self) {
        _ = try DataPlane(configuration: Self.configuration, pins: pins)
      }
      guard case .anotherLayout = error else {
        Issue.record("\(String(describing: error))")
        return
      }
    }
  }

  @Test func aLinkWhoseInterfaceIsGoneIsForgotten() throws {
    try isolated {
      try Self.begin()
      try shell("ip link delete ht-s0")
      let pins = try PinDirectory(rack: Self.rack)
      let plane = try DataPlane(configuration: Self.configuration, pins: pins)
      _ = try plane.adopt()
      #expect(plane.interfaces == ["ht-c0"])
      #expect(pins.names().filter { $0.hasPrefix("link-") }.count == 1)
    }
  }
}
