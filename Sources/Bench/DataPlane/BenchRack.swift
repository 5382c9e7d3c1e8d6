internal import CHotrack
internal import DataPlane
internal import Directory
internal import Wire

/// The rack that packets of a benchmark pass: where everyone is, its keys, and its packets.
struct BenchRack {
  static let servers: UInt8 = 8
  static let version = Version.first(ofEpoch: 1)
  static let generation: UInt64 = 20
  /// At ten million packets per second the controller would have this share sampled.
  static let sampleInterval: UInt32 = 256

  static let rack: [UInt8] = [10, 0, 0, 1]
  static let client: [UInt8] = [10, 0, 9, 1]
  static let clientMAC: [UInt8] = [2, 0, 0, 0, 9, 1]
  static func server(_ number: UInt8) -> [UInt8] { [10, 0, 2, number] }
  static func serverMAC(_ number: UInt8) -> [UInt8] { [2, 0, 0, 0, 2, number] }
  static func mapped(_ address: [UInt8]) -> [UInt8] {
    MappedAddress.ipv4(address[0], address[1], address[2], address[3])
  }

  static let configuration = RackConfiguration(address: mapped(rack))
  /// The key's text is the same in each packet: the directory knows keys by their hashes.
  static let key = Array("user:00000042".utf8)
  static let value = [UInt8](repeating: 7, count: 128)

  /// Key hashes, distinct and well mixed; `isHot`: of those with a directory entry.
  static func hash(_ index: Int, isHot: Bool) -> UInt64 {
    var x = UInt64(index) &* 2 &+ (isHot ? 1 : 2)
    x = (x ^ (x >> 30)) &* 0xbf58_476d_1ce4_e5b9
    x = (x ^ (x >> 27)) &* 0x94d0_49bb_1331_11eb
    return x ^ (x >> 31)
  }

  /// Buckets for so many hot keys: as many as a rack has by default up to 4,096, then a quarter full.
  static func buckets(forKeys keys: Int) -> Int { keys > 4_096 ? keys : 2_048 }

  /// A directory of eight living servers behind one interface.
  static func setUp(_ memory: DirectoryMemory, interface: UInt32) {
    memory.apply(
      .begin(epoch: 1, serverCount: UInt32(servers), nextVersion: version, window: 1 << 30))
    for number in 0..<servers {
      memory.apply(
        .setServer(
          number,
          ServerPlace(
            incarnation: incarnation(number), interface: interface, port: WireLimits.port,
            mac: serverMAC(number), address: mapped(server(number)))))
      memory.apply(
        .setSlots(first: UInt16(number) * 2_048, count: 2_048, home: number, moving: false))
    }
    memory.apply(.setTargets(table: 0, servers: (0..<256).map { UInt8($0) % servers }))
    memory.apply(.setAlive(1 << UInt32(servers) - 1))
    memory.apply(.setGeneration(generation))
    memory.apply(.setSampleInterval(sampleInterval))
    memory.apply(.setServing(true))
  }

  /// Enters hot keys; returns their places.
  static func enterKeys(_ count: Int, _ memory: DirectoryMemory) throws -> [UInt32] {
    var placement = EntryPlacement(capacity: memory.capacity)
    return try (0..<count).map { index in
      let hash = hash(index, isHot: true)
      guard let entry = placement.take(hash) else {
        throw DataPlaneError.configuration("the directory has no room for \(count) keys")
      }
      memory.apply(.insert(entry: entry, keyHash: hash, home: 0))
      return entry
    }
  }

  /// Puts every entry back to its first version, at every server; each write is to be copied thrice.
  static func resetKeys(_ entries: [UInt32], _ memory: DirectoryMemory) {
    for entry in entries {
      memory.apply(
        .makeHot(
          entry: entry, completed: version, replicaSet: 1 << UInt32(servers) - 1, since: 1, home: 0,
          copies: 3, targets: 0))
    }
  }

  static func incarnation(_ server: UInt8) -> UInt64 { 1_000 + UInt64(server) }
}

/// Frames of the benchmark's rack, with complete checksums.
enum BenchFrame {
  /// A request of the client.
  static func request(_ operation: Wire.Operation) -> [UInt8] {
    var header = Header(operation)
    header.keyHash = 1
    header.client = 1
    header.firstGeneration = BenchRack.generation
    header.knownGeneration = BenchRack.generation
    return bytes(
      from: (BenchRack.clientMAC, BenchRack.client, 40_000), to: (BenchRack.rack, WireLimits.port),
      Message(
        header, key: BenchRack.key, value: operation == .set ? BenchRack.value : []
      ).encoded())
  }

  /// What server 1 says to a request, or of a copy. `port`: of the interface that leads to the
  /// client, as the directory stamped it.
  static func report(_ operation: Wire.Operation, port: UInt32) -> [UInt8] {
    let isCopy = operation == .copyAck
    var header = Header(operation)
    header.flags = isCopy ? [] : .reply
    header.server = 1
    header.epoch = 1
    header.load = 3
    header.generation = BenchRack.generation
    header.incarnation = BenchRack.incarnation(1)
    header.keyHash = 1
    header.client = 1
    let path = BenchRack.clientMAC + big(UInt16(port + 1))
    header.returnPath = path.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    return bytes(
      from: (BenchRack.serverMAC(1), BenchRack.server(1), WireLimits.port),
      to: isCopy ? (BenchRack.rack, WireLimits.port) : (BenchRack.client, 40_000),
      Message(
        header, key: isCopy ? BenchRack.key : [], value: operation == .get ? BenchRack.value : []
      ).encoded())
  }

  /// A datagram of something else.
  static func foreign() -> [UInt8] {
    bytes(
      from: (BenchRack.clientMAC, BenchRack.client, 40_000), to: (BenchRack.rack, 53),
      [UInt8](repeating: 0x20, count: 200))
  }

  private static func bytes(
    from: (mac: [UInt8], address: [UInt8], port: UInt16), to: (address: [UInt8], port: UInt16),
    _ payload: [UInt8]
  ) -> [UInt8] {
    let length = UInt16(8 + payload.count)
    var udp = big(from.port) + big(to.port) + big(length) + [0, 0] + payload
    let check = ~sum(udp + from.address + to.address + [0, 17] + big(length))
    udp.replaceSubrange(6..<8, with: big(check == 0 ? 0xffff : check))
    var ip: [UInt8] =
      [0x45, 0] + big(UInt16(20 + udp.count)) + [0x12, 0x34, 0x40, 0, 64, 17, 0, 0]
    ip += from.address + to.address
    ip.replaceSubrange(10..<12, with: big(~sum(ip)))
    return [2, 0, 0, 0, 1, 0] + from.mac + [8, 0] + ip + udp
  }

  private static func big(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xff)] }

  /// The one's complement sum (RFC 1071).
  private static func sum(_ bytes: [UInt8]) -> UInt16 {
    var sum = bytes.enumerated().reduce(UInt32(0)) { sum, byte in
      sum + UInt32(byte.element) << (byte.offset % 2 == 0 ? 8 : 0)
    }
    while sum > 0xffff { sum = (sum & 0xffff) + (sum >> 16) }
    return UInt16(sum)
  }
}
