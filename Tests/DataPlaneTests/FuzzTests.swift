import DataPlane
import Directory
import Glibc
import Testing
import Wire

/// A small generator of reproducible numbers (SplitMix64).
struct SeededNumbers: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

@Suite(.enabled(if: geteuid() == 0, "needs root: XDP programs, network namespaces"), .serialized)
struct FuzzTests {
  /// Frames of all kinds with random damage, while the directory goes through random changes: the
  /// kernel and the host must do the same with each, and stay the same.
  @Test(arguments: UInt64(1)...4, [false, true])
  func theKernelAndTheHostAgreeOnRandomFrames(seed: UInt64, isIPv6: Bool) throws {
    let rig = try (isIPv6 ? Rig.ipv6 : Rig.shared).get()
    let failure: String? = try rig.run { rig in
      var numbers = SeededNumbers(state: seed)
      var fuzz = Fuzz(rig: rig, numbers: numbers)
      rig.reset()
      for round in 0..<5_000 {
        if round % 20 == 0 { fuzz.change() }
        if let failure = try fuzz.frame() { return "seed \(seed), frame \(round): \(failure)" }
      }
      numbers = fuzz.numbers
      // What damage leaves of the frames must still go everywhere.
      return fuzz.counted.count >= 20 ? nil : "only \(fuzz.counted.sorted()) were reached"
    }
    #expect(failure == nil)
  }
}

private struct Fuzz {
  let rig: Rig
  var numbers: SeededNumbers
  private let cases = DecisionCases.requests + DecisionCases.reports + RefusalCases.all
  private var generation = Rig.generation
  private(set) var counted: Set<String> = []

  init(rig: Rig, numbers: SeededNumbers) {
    self.rig = rig
    self.numbers = numbers
  }

  /// One random change of both directories.
  mutating func change() {
    let key = TestKey.all.filter { $0.mode != nil }.randomElement(using: &numbers) ?? .hot
    let changes: [DirectoryChange] =
      switch Int.random(in: 0..<8, using: &numbers) {
      case 0: [.setMode(entry: key.entry, .hot)]
      case 1: [.setMode(entry: key.entry, .removing)]
      case 2: [.setAlive(UInt32.random(in: 0..<64, using: &numbers))]
      case 3: [.rebase(entry: key.entry)]
      case 4: [.setGeneration(generation + 1)]
      case 5: [.forgetServer(entry: key.entry, server: 1)]
      case 6: [.setCopies(entry: key.entry, UInt8.random(in: 0..<7, using: &numbers))]
      default: [.setAlive(0b101111), .setServing(Bool.random(using: &numbers) || true)]
      }
    if case .setGeneration = changes[0] { generation += 1 }
    for change in changes { rig.apply(change) }
  }

  /// One random frame to both. What differs, if anything does.
  mutating func frame() throws -> String? {
    guard let packet = cases.randomElement(using: &numbers) else { return nil }
    var frame = packet.frame
    frame.isIPv6 = rig.isIPv6
    frame.checksum = [.none, .full, .leftToHardware].randomElement(using: &numbers) ?? .none
    if Bool.random(using: &numbers) { frame.tags = [] }
    var bytes = frame.bytes
    for _ in 0..<Int.random(in: 0...3, using: &numbers) where !bytes.isEmpty {
      // Most of the damage where it hurts: behind the Ethernet header, before the key.
      let place = Int.random(in: 0..<min(bytes.count, 190), using: &numbers)
      bytes[place] = UInt8.random(in: 0...255, using: &numbers)
    }
    if Int.random(in: 0..<10, using: &numbers) == 0 {
      bytes.removeLast(Int.random(in: 0...max(0, bytes.count - 14), using: &numbers))
    }
    if Int.random(in: 0..<10, using: &numbers) == 0 {
      bytes += (0..<Int.random(in: 1...300, using: &numbers)).map { _ in 7 }
    }
    let port =
      Int.random(in: 0..<10, using: &numbers) == 0
      ? (Rig.names.randomElement(using: &numbers) ?? "c0") : packet.port
    let linear =
      Int.random(in: 0..<4, using: &numbers) == 0
      ? Int.random(in: 14...bytes.count, using: &numbers) : nil
    let outcome = try rig.handle(bytes, from: port, linear: linear, snapshots: false)
    counted.insert(outcome.counter)
    guard !outcome.differences.isEmpty else { return nil }
    return "\(packet.name) from \(port), linear \(linear ?? -1): \(outcome.differences) \(bytes)"
  }
}
