internal import CHotrack
internal import Directory
internal import Glibc
internal import ServerCore
internal import Wire

/// One case of the packet loops' benchmark.
public struct BenchResult: Sendable, Codable {
  /// What was done with each datagram.
  public var name: String
  /// CPU time of this thread per datagram, the least of several rounds.
  public var nanosecondsPerDatagram: Double
  /// The same, divided by the baseline's: decoding the datagram's header and doing nothing.
  public var ratioToDecode: Double
  /// Growth of the heap over a round, per datagram. 0 where nothing is allocated and kept.
  public var heapBytesPerDatagram: Double

  enum CodingKeys: String, CodingKey {
    case name
    case nanosecondsPerDatagram = "ns_per_datagram"
    case ratioToDecode = "ratio_to_decode"
    case heapBytesPerDatagram = "heap_bytes_per_datagram"
  }
}

/// Measures what a server and the directory's host build do per datagram, without sockets, against
/// decoding alone in the same run.
public struct PacketLoopBench {
  private let datagramsPerRound: Int
  private let rounds: Int
  private let keys = 4_096

  /// `datagramsPerRound`: at least 1,000; the least of `rounds` rounds counts.
  public init(datagramsPerRound: Int = 200_000, rounds: Int = 7) {
    precondition(datagramsPerRound >= 1_000 && rounds >= 1)
    self.datagramsPerRound = datagramsPerRound
    self.rounds = rounds
  }

  /// Runs all cases; `progress` is told the name of each before it begins.
  public func run(progress: (String) -> Void = { _ in }) -> [BenchResult] {
    var results: [BenchResult] = []
    func add(
      _ name: String, _ body: (UnsafeMutableRawBufferPointer, Int) -> Void,
      _ operation: Wire.Operation
    ) {
      progress(name)
      let (nanoseconds, heap) = measure(operation, body)
      let baseline = results.first?.nanosecondsPerDatagram ?? nanoseconds
      results.append(
        BenchResult(
          name: name, nanosecondsPerDatagram: nanoseconds,
          ratioToDecode: baseline > 0 ? nanoseconds / baseline : 1, heapBytesPerDatagram: heap))
    }
    var checksum: UInt64 = 0
    add(
      "decode",
      { datagram, _ in
        if let header = try? Header(datagram: UnsafeRawBufferPointer(datagram)) {
          checksum &+= header.keyHash
        }
      }, .set)
    let server = ServerUnderTest()
    for index in 0..<keys { server.serve(.set, datagram(.set, index), sequence: UInt64(index + 1)) }
    var sequence = UInt64(keys)
    add(
      "server_get",
      { datagram, _ in
        sequence += 1
        server.serve(.get, datagram, sequence: sequence)
      }, .get)
    add(
      "server_set",
      { datagram, _ in
        sequence += 1
        server.serve(.set, datagram, sequence: sequence)
      }, .set)
    let directory = DirectoryUnderTest(hotKeys: keys / 2, hash: hash)
    for (name, operation, isHot) in [
      ("directory_cold_read", Wire.Operation.get, false), ("directory_hot_read", .get, true),
      ("directory_cold_write", .set, false), ("directory_hot_write", .set, true),
    ] {
      add(
        name,
        { datagram, index in
          directory.steer(datagram, self.hash(index % (keys / 2) + (isHot ? 0 : keys / 2)))
        },
        operation)
    }
    precondition(checksum != 0, "the baseline was not optimized away")
    return results
  }

  private func hash(_ index: Int) -> UInt64 { KeyHash.of(key(index), seed: 0) }

  private func key(_ index: Int) -> [UInt8] {
    let digits = Array(String(index).utf8)
    return Array("k".utf8) + Array(repeating: UInt8(ascii: "0"), count: 8 - digits.count) + digits
  }

  private func datagram(_ operation: Wire.Operation, _ index: Int) -> UnsafeMutableRawBufferPointer
  {
    var header = Header(operation)
    header.client = 1 << 40
    header.keyHash = hash(index)
    let bytes = Message(
      header, key: key(index), value: operation == .set ? Array(repeating: 7, count: 128) : []
    ).encoded()
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
    copy.copyBytes(from: bytes)
    return copy
  }

  /// CPU nanoseconds and heap bytes per datagram of the best round, over datagrams for all keys.
  private func measure(
    _ operation: Wire.Operation, _ body: (UnsafeMutableRawBufferPointer, Int) -> Void
  ) -> (nanoseconds: Double, heapBytes: Double) {
    let datagrams = (0..<keys).map { datagram(operation, $0) }
    defer { for datagram in datagrams { datagram.deallocate() } }
    for index in 0..<datagramsPerRound { body(datagrams[index % keys], index % keys) }
    var best = Double.infinity
    var heap = Double.infinity
    for _ in 0..<rounds {
      let (heapBefore, timeBefore) = (hotrack_heap_bytes(), threadTime())
      for index in 0..<datagramsPerRound { body(datagrams[index % keys], index % keys) }
      let (time, bytes) = (threadTime() - timeBefore, hotrack_heap_bytes())
      best = min(best, Double(time) / Double(datagramsPerRound))
      heap = min(heap, (Double(bytes) - Double(heapBefore)) / Double(datagramsPerRound))
    }
    return (best, max(0, heap))
  }

  private func threadTime() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}

/// Counts what a server sends, instead of sending it.
private struct CountingOutput: ServerOutput {
  var sent: UInt64 = 0
  mutating func send(
    _ header: Header, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer,
    to destination: ServerDestination
  ) { sent += 1 }
}

/// An admitted server that is home of all slots.
private final class ServerUnderTest {
  private var core = ServerCore(
    ServerConfiguration(number: 0, incarnation: 5, hashSeed: 0, expectedKeys: 16_384))
  private var output = CountingOutput()

  init() {
    for (operation, value) in [
      (Wire.Operation.admit, []),
      (.slotsSet, SlotsBody(runs: [SlotRun(first: 0, count: 16_384)], keyHashes: []).encoded()),
    ] {
      var header = Header(operation)
      header.server = 0
      header.incarnation = 5
      header.epoch = 1
      header.generation = 1
      header.sequence = 1
      Message(header, value: value).encoded().withUnsafeBytes {
        core.receive($0, fromDirectory: true, load: 0, lateness: 0, output: &output)
      }
    }
  }

  /// Stamps the datagram as the directory would and serves it.
  func serve(
    _ operation: Wire.Operation, _ datagram: UnsafeMutableRawBufferPointer, sequence: UInt64
  ) {
    guard var header = try? Header(datagram: UnsafeRawBufferPointer(datagram)) else { return }
    header.server = 0
    header.incarnation = 5
    header.epoch = 1
    header.generation = 2
    header.knownGeneration = 2
    header.firstGeneration = 2
    header.sequence = sequence
    header.acknowledged = sequence
    header.version = operation == .get ? 0 : Version.first(ofEpoch: 1) + sequence
    header.encode(into: datagram)
    core.receive(
      UnsafeRawBufferPointer(datagram), fromDirectory: false, load: 0, lateness: 0,
      output: &output)
  }
}

/// A directory of eight servers on the host.
private final class DirectoryUnderTest {
  private let memory = DirectoryMemory(buckets: 4_096)

  init(hotKeys: Int, hash: (Int) -> UInt64) {
    let version = Version.first(ofEpoch: 1)
    memory.apply(.begin(epoch: 1, serverCount: 8, nextVersion: version, window: 1 << 30))
    for server in UInt8(0)..<8 {
      memory.apply(
        .setSlots(first: UInt16(server) * 2_048, count: 2_048, home: server, moving: false))
    }
    memory.apply(.setTargets(table: 0, servers: (0..<256).map { UInt8($0 % 8) }))
    memory.apply(.setAlive(0xff))
    memory.apply(.setGeneration(1))
    memory.apply(.setServing(true))
    var placement = EntryPlacement(capacity: memory.capacity)
    for index in 0..<hotKeys {
      guard let entry = placement.take(hash(index)) else { continue }
      memory.apply(.insert(entry: entry, keyHash: hash(index), home: 0))
      memory.apply(
        .makeHot(
          entry: entry, completed: version, replicaSet: 0xff, since: 1, home: 0, copies: 3,
          targets: 0))
    }
  }

  func steer(_ datagram: UnsafeMutableRawBufferPointer, _ keyHash: UInt64) {
    // The directory has stamped the last round's datagram: as the client sent it, again.
    guard var header = try? Header(datagram: UnsafeRawBufferPointer(datagram)) else { return }
    let operation = header.operation
    let lengths = (header.keyLength, header.valueLength)
    header = Header(operation)
    (header.keyLength, header.valueLength) = lengths
    header.client = 7
    header.keyHash = keyHash
    header.encode(into: datagram)
    let result = memory.handle(datagram, from: .client)
    guard case .steer = result.verdict else { preconditionFailure("\(result)") }
  }
}
