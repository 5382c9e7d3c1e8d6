import CIsolation
import DataPlane
import Directory
import DirectoryRace
import Glibc
import Synchronization
import Testing
import Wire

/// The program on two processors at once, with reports for one key.
@Suite(
  .enabled(if: geteuid() == 0, "needs root: XDP programs, network namespaces"),
  .enabled(if: sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1, "needs two processors"), .serialized)
struct ProcessorRaceTests {
  private static let first = Version.first(ofEpoch: 1) + 2_003
  private static let key = TestKey(home: 0, number: 4, mode: .hot, replicaSet: 0b11)

  @Test func reportsOnTwoProcessorsNeverTearLoseOrTurnBack() throws {
    #expect(try race(.rack, rounds: 5, live: false) == nil)
  }

  @Test func twoPlainStoresInThePlaceOfTheSwapAreFoundInTheKernel() throws {
    #expect(try race(.rackTorn, rounds: 200, live: false) != nil)
  }

  /// Frames that really arrive on two interfaces, each sent from its own processor.
  @Test func liveFramesOnTwoProcessorsNeverTearLoseOrTurnBack() throws {
    #expect(try race(.rack, rounds: 5, live: true) == nil)
  }

  // Seldom are two live frames handled in the same nanoseconds: it may take many rounds.
  @Test func twoPlainStoresAreFoundWithLiveFrames() throws {
    #expect(try race(.rackTorn, rounds: 3_000, live: true) != nil)
  }

  private func race(_ image: BPFObject, rounds: Int, live: Bool) throws -> String? {
    let isolation = try Isolation(Rig.interfaceCommands)
    return try isolation.run {
      let rig = try Rig(.switching, image: image)
      let memory = rig.kernel.memory
      memory.apply(.begin(epoch: 1, serverCount: 6, nextVersion: Self.first, window: 1 << 30))
      memory.apply(
        .makeHot(
          entry: Self.key.entry, completed: Self.first - 1, replicaSet: 0b11, since: 1, home: 0,
          copies: 0, targets: 0))
      isolation_pin(-1)
      let arrivals = Arrivals(rig)
      let settle: @Sendable () -> Void = { arrivals.wait(within: 0) }
      let reporter: @Sendable (UInt8) -> DirectoryRace.Reporter = { server in
        isolation_pin(Int32(server))
        guard live else { return Self.reporter(rig, server) }
        return arrivals.reporter(server, Self.frame(server))
      }
      return DirectoryRace.run(
        memory, entry: Self.key.entry, first: Self.first, rounds: rounds, versions: 20_000,
        settle: live ? settle : nil, reporter: reporter)
    }
  }

  static func frame(_ server: UInt8) -> [UInt8] {
    var frame = Frame()
    frame.sourceMAC = Place.serverMAC(server)
    frame.source = Place.server(server)
    frame.sourcePort = Place.serverPort(server)
    frame.payload = key.from(server, .copyAck, version: 0).encoded()
    return frame.bytes
  }

  static func reporter(_ rig: Rig, _ server: UInt8) -> DirectoryRace.Reporter {
    var frame = frame(server)
    let interface = rig.interfaces["s\(server)"] ?? 0
    return { version in
      setVersion(of: &frame, version)
      let before = rig.refused
      _ = try? rig.kernel.run(frame: frame, ingress: interface)
      // One refused under contention leaves no trace; it may have been the other's.
      return rig.refused == before
    }
  }

  static func setVersion(of frame: inout [UInt8], _ version: UInt64) {
    for byte in 0..<8 {
      frame[14 + 28 + 24 + byte] = UInt8(truncatingIfNeeded: version >> UInt64(56 - 8 * byte))
    }
  }
}

/// What was sent, and how much of it has arrived.
private final class Arrivals: Sendable {
  private let sent = Atomic<Int>(0)
  private let rig: Rig

  init(_ rig: Rig) { self.rig = rig }

  func reporter(_ server: UInt8, _ frame: [UInt8]) -> DirectoryRace.Reporter {
    let socket = isolation_frame_socket(if_nametoindex("ht-xs\(server)"))
    var frame = frame
    return { [self] version in
      ProcessorRaceTests.setVersion(of: &frame, version)
      sent.add(1, ordering: .relaxed)
      while send(socket, frame, frame.count, 0) < 0 && errno == ENOBUFS {}
      // The queue of a virtual interface is short, and what does not fit is gone.
      if version % 64 < 4 || version % 4 == 3 { wait(within: 64) }
      return true
    }
  }

  /// Waits until no more than so many frames are under way, or nothing has come for long.
  func wait(within: Int) {
    var (last, idle) = (0, 0)
    while idle < 1_000_000 {
      let counted = rig.kernel.counters().all.reduce(0) { $0 + Int($1.packets) }
      if sent.load(ordering: .relaxed) - counted <= within { return }
      idle = counted == last ? idle + 1 : 0
      last = counted
      sched_yield()
    }
  }
}
