import CHotrack
import DataPlane
import Directory
import Glibc
import Wire

/// The same rack twice: in the kernel and on the host, to be given the same frames.
///
/// Servers 0 to 3 live, each behind a port of its own; 4 is dead; 5 lives behind the clients' port. In
/// one-arm mode all of them do.
final class Rig: @unchecked Sendable {
  static let buckets = 16
  static let window: UInt32 = 1 << 10
  static let generation: UInt64 = 20
  /// Every hot entry's generation of promotion.
  static let since: UInt64 = 10
  static let completed = Version.first(ofEpoch: 1) + 1_000
  static let nextVersion = Version.first(ofEpoch: 1) + 1_500

  static let names = ["c0", "c1", "s0", "s1", "s2", "s3"]
  /// Silent but for what the tests send: without IPv6 there is no talk of neighbours.
  static let interfaceCommands =
    "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6\n"
    + names.enumerated().map { number, name in
      """
      ip link add ht-\(name) address 02:00:00:00:01:0\(number) type veth peer name ht-x\(name)
      ip link set ht-\(name) up
      ip link set ht-x\(name) up
      """
    }.joined(separator: "\n")

  static let isolation = Result {
    try Isolation(interfaceCommands)
  }
  static let shared = Result { () throws -> Rig in
    try isolation.get().run { try Rig(.switching) }
  }
  static let chained = Result { try isolated(.chained) }
  static let oneArm = Result { try isolated(.oneArm) }
  static let onTC = Result { try isolated(.switching, plane: .tc) }
  static let oneArmOnTC = Result { try isolated(.oneArm, plane: .tc) }
  static let dry = Result { try isolated(.switching, isDryRun: true) }
  static let ipv6 = Result { try isolated(.switching, isIPv6: true) }
  static let oneArmOnIPv6 = Result { try isolated(.oneArm, isIPv6: true) }
  static let ipv6OnTC = Result { try isolated(.switching, plane: .tc, isIPv6: true) }
  static let tagged = Result { try isolated(.switching, keys: RigKeys.one) }
  static let taggedTwice = Result { try isolated(.switching, keys: RigKeys.both) }
  static let taggedOnTC = Result { try isolated(.switching, plane: .tc, keys: RigKeys.one) }
  static let oneArmTagged = Result { try isolated(.oneArm, keys: RigKeys.one) }
  static let taggedOnIPv6 = Result { try isolated(.switching, isIPv6: true, keys: RigKeys.one) }
  static let taggedOnIPv6AndTC = Result {
    try isolated(.switching, plane: .tc, isIPv6: true, keys: RigKeys.one)
  }

  static let limited = Result { try isolated(.switching, limit: PacketTests.limit) }
  static let limitedOnTC = Result {
    try isolated(.switching, plane: .tc, limit: PacketTests.limit)
  }
  static let oneArmLimited = Result { try isolated(.oneArm, limit: PacketTests.limit) }
  static let limitedOnIPv6 = Result {
    try isolated(.switching, isIPv6: true, limit: PacketTests.limit)
  }
  static let limitedOnIPv6AndTC = Result {
    try isolated(.switching, plane: .tc, isIPv6: true, limit: PacketTests.limit)
  }
  static let dryLimited = Result {
    try isolated(.switching, isDryRun: true, limit: PacketTests.limit)
  }

  enum Kind { case switching, chained, oneArm }

  /// Two programs cannot share an interface: this one has the ports of its own namespace.
  private static func isolated(
    _ kind: Kind, plane: PlaneKind = .xdp, isDryRun: Bool = false, isIPv6: Bool = false,
    keys: RackKeys? = nil, limit: RequestLimit? = nil
  ) throws -> Rig {
    let isolation = try Isolation(interfaceCommands)
    let rig = try isolation.run {
      try Rig(kind, plane: plane, isDryRun: isDryRun, isIPv6: isIPv6, keys: keys, limit: limit)
    }
    rig.ownIsolation = isolation
    return rig
  }

  let kind: Kind
  let isIPv6: Bool
  let keys: RackKeys?

  let kernel: DataPlane
  let host: HostRack
  /// Interface numbers by name without the prefix.
  let interfaces: [String: UInt32]
  private(set) var hostSamples: [SampleRecord] = []
  private var ownIsolation: Isolation?

  init(
    _ kind: Kind, image: BPFObject? = nil, plane: PlaneKind = .xdp, isDryRun: Bool = false,
    isIPv6: Bool = false, keys: RackKeys? = nil, limit: RequestLimit? = nil
  ) throws {
    self.kind = kind
    self.keys = keys
    self.isIPv6 = isIPv6
    let address = isIPv6 ? Place.onIPv6 : Place.mapped
    var interfaces: [String: UInt32] = [:]
    for name in Self.names {
      interfaces[name] = if_nametoindex("ht-\(name)")
    }
    self.interfaces = interfaces
    var configuration = RackConfiguration(address: address(Place.rack))
    configuration.neighbour = (address(Place.neighbour), WireLimits.port)
    configuration.isOneArm = kind == .oneArm
    configuration.isDryRun = isDryRun
    configuration.keys = keys
    configuration.limit = limit
    if kind == .chained {
      configuration.next = .init(
        address: Place.mapped(Place.next), port: WireLimits.port, interface: interfaces["c1"] ?? 0,
        mac: Place.nextMAC)
    }
    var planeConfiguration = DataPlaneConfiguration(rack: configuration, buckets: Self.buckets)
    planeConfiguration.kind = plane
    kernel = try DataPlane(image: image, configuration: planeConfiguration)
    host = HostRack(
      memory: DirectoryMemory(buckets: Self.buckets), configuration: configuration)
    for (number, name) in Self.names.enumerated() where kind != .oneArm || name == "c0" {
      try kernel.attach(interface: "ht-\(name)")
      host.addPort(interface: interfaces[name] ?? 0, mac: [2, 0, 0, 0, 1, UInt8(number)])
    }
    host.onSample = { [unowned self] hash, operation, weight, key, isCollision in
      hostSamples.append(
        SampleRecord(
          kind: isCollision ? .collision : .request, keyHash: hash,
          operation: Wire.Operation(rawValue: operation) ?? .get, weight: weight, key: key))
    }
    reset()
  }

  /// Runs a job where the interfaces are.
  func run<Value: Sendable>(_ job: @escaping @Sendable (Rig) throws -> Value) throws -> Value {
    try (ownIsolation ?? Self.isolation.get()).run { try job(self) }
  }

  /// Puts both directories back to where every case begins.
  func reset() {
    for memory in [kernel.memory, host.memory] { Self.setUp(memory, port(of:), interfaces, isIPv6) }
    hostSamples = []
    kernel.drainSamples { _ in }
  }

  /// Makes a change in both.
  func apply(_ change: DirectoryChange) {
    kernel.memory.apply(change)
    host.memory.apply(change)
  }

  /// Reports that the swap kept failing for, so far.
  var refused: UInt64 { kernel.counters()["drop_contended"] ?? 0 }

  func port(of server: UInt8) -> String {
    server == 5 || kind == .oneArm ? "c0" : "s\(min(server, 3))"
  }
  static func portMAC(_ name: String) -> [UInt8] {
    let number = names.firstIndex(of: name) ?? 0
    return [2, 0, 0, 0, 1, UInt8(number)]
  }

  private static func setUp(
    _ memory: DirectoryMemory, _ port: (UInt8) -> String, _ interfaces: [String: UInt32],
    _ isIPv6: Bool
  ) {
    let address = isIPv6 ? Place.onIPv6 : Place.mapped
    let raw = memory.raw.pointee
    memset(raw.buckets, 0, MemoryLayout<directory_bucket>.stride * buckets)
    memset(raw.details, 0, MemoryLayout<directory_detail>.stride * memory.capacity)
    memset(raw.loads, 0, MemoryLayout<directory_load>.stride * 32)
    memory.apply(
      .begin(epoch: 1, serverCount: 6, nextVersion: nextVersion, window: window))
    for server in UInt8(0)..<6 {
      memory.apply(
        .setServer(
          server,
          ServerPlace(
            incarnation: 1_000 + UInt64(server), interface: interfaces[port(server)] ?? 0,
            port: Place.serverPort(server), mac: Place.serverMAC(server),
            address: address(Place.server(server)))))
    }
    for (index, home) in [UInt8(0), 1, 2, 3, 4, 5].enumerated() {
      memory.apply(
        .setSlots(first: UInt16(index) * 2_048, count: 2_048, home: home, moving: false))
    }
    memory.apply(.setSlots(first: 12_288, count: 4_096, home: 1, moving: true))
    memory.apply(.setTargets(table: 0, servers: (0..<256).map { UInt8($0 % 4) }))
    memory.apply(.setTargets(table: 1, servers: Array(repeating: 4, count: 256)))
    memory.apply(.setAlive(0b101111))
    memory.apply(.setGeneration(generation))
    memory.apply(.setSampleInterval(0))
    memory.apply(.setServing(true))
    for key in TestKey.all { key.enter(memory) }
  }

  /// Gives a frame to both; says what the kernel did, and how the host differs, if it does.
  func handle(
    _ frame: [UInt8], from port: String, linear: Int? = nil, snapshots: Bool = true
  ) throws -> Outcome {
    let interface = interfaces[port] ?? 0
    let (counters, hostCounters) = (kernel.counters(), host.counters)
    let before = snapshots ? Memory(kernel.memory) : nil
    let (action, output) = try kernel.run(frame: frame, ingress: interface, linear: linear)
    var hostFrame = frame
    let hostAction = host.handle(&hostFrame, ingress: interface, linear: linear)
    let after = snapshots ? Memory(kernel.memory) : nil
    var differences: [String] = []
    let same: Bool =
      switch (action, hostAction) {
      case (.pass, .pass), (.drop, .drop), (.redirect, .transmit), (.redirect, .send): true
      case (.transmit, .transmit), (.transmit, .send): kind == .oneArm
      default: false
      }
    if !same { differences.append("kernel \(action), host \(hostAction)") }
    if action != .drop && output != hostFrame { differences.append("frames differ") }
    if !Memory.areSame(kernel.memory, host.memory) { differences.append("memories differ") }
    let now = kernel.counters()
    let counted = DirectoryCounter.all.filter { now[$0] != counters[$0] }
    let total = DirectoryCounter.all.reduce(0) { $0 + now[$1] - counters[$1] }
    let hostNow = host.counters
    for counter in DirectoryCounter.all
    where now[counter] - counters[counter]
      != hostNow[Int(counter.rawValue)] - hostCounters[Int(counter.rawValue)]
    {
      differences.append("counter \(counter) differs")
    }
    if total != 1 { differences.append("counted \(total) times: \(counted)") }
    var target: UInt32?
    if case .send(let interface) = hostAction { target = interface }
    return Outcome(
      action: action, frame: output, counter: counted.first?.description ?? "none",
      interface: target, before: before, after: after, differences: differences)
  }
}

struct Outcome: Sendable {
  let action: FrameAction
  let frame: [UInt8]
  let counter: String
  /// Where the host build sent it.
  let interface: UInt32?
  /// The kernel's memory before and after, if asked for.
  let before: Memory?
  let after: Memory?
  let differences: [String]
}

/// All of a directory's memory at one moment, but for the loads, which are told apart.
struct Memory: Equatable, Sendable {
  let control: [UInt8]
  let entries: [UInt8]
  let tables: [UInt8]
  let loads: [UInt8]

  init(_ memory: DirectoryMemory) {
    let raw = memory.raw.pointee
    func bytes<T>(_ start: UnsafeMutablePointer<T>, _ count: Int) -> [UInt8] {
      Array(UnsafeRawBufferPointer(start: start, count: MemoryLayout<T>.stride * count))
    }
    control = bytes(raw.control, 1)
    entries = bytes(raw.buckets, memory.capacity / 4) + bytes(raw.details, memory.capacity)
    tables =
      bytes(raw.slots, WireLimits.slots) + bytes(raw.servers, 32)
      + bytes(raw.targets, Int(DIRECTORY_TARGETS * DIRECTORY_TARGET_TABLES))
    loads = bytes(raw.loads, 32)
  }

  /// As `==` of two, without copies.
  static func areSame(_ first: DirectoryMemory, _ second: DirectoryMemory) -> Bool {
    let (a, b) = (first.raw.pointee, second.raw.pointee)
    func same<T>(
      _ one: UnsafeMutablePointer<T>, _ other: UnsafeMutablePointer<T>, _ count: Int
    ) -> Bool {
      memcmp(one, other, MemoryLayout<T>.stride * count) == 0
    }
    return same(a.control, b.control, 1) && same(a.buckets, b.buckets, first.capacity / 4)
      && same(a.details, b.details, first.capacity) && same(a.slots, b.slots, WireLimits.slots)
      && same(a.servers, b.servers, 32) && same(a.loads, b.loads, 32)
      && same(a.targets, b.targets, Int(DIRECTORY_TARGETS * DIRECTORY_TARGET_TABLES))
  }
}
