internal import ControllerCore
internal import Directory
internal import Wire

/// The processors of the directory's host. Most packets are decided at one moment; some stop in the
/// middle of the decision code, and others, and the controller, come in between.
struct SimulatedProcessors {
  var random: SimulationRandom
  /// Packets that have stopped, by the order in which they came.
  var underWay: [Int: PacketUnderWay] = [:]
  /// Packets that may have stopped so far.
  var packetsBegun = 0
}

/// A packet in the middle of its decision.
struct PacketUnderWay {
  let from: RackEndpoint
  let returnPath: UInt64
  let decision: SteppedDecision
}

/// The directory of a simulated rack: where the data plane's text decides.
extension RackWorld {
  private static let versionOffset = 24
  private static let returnPathOffset = 40
  /// More accesses to shared memory than a decision makes.
  private static let stepsMax = 24

  func arriveAtDirectory(_ datagram: [UInt8], from: RackEndpoint) {
    guard !host.isDown else { return }
    let sender: Sender
    switch from {
    case .client:
      sender = .client
      sample(datagram)
    case .server(let number):
      sender = .server(UInt8(number))
      if let header = Self.header(of: datagram) { result.coverage.count(header) }
    default: return
    }
    guard isPausing() else {
      var datagram = datagram
      let returnPath = Self.returnPath(of: datagram)
      let decision = datagram.withUnsafeMutableBytes { memory.handle($0, from: sender) }
      decided(decision, datagram, from: from, returnPath: returnPath)
      return
    }
    let packet = PacketUnderWay(
      from: from, returnPath: Self.returnPath(of: datagram),
      decision: SteppedDecision(datagram, from: sender, in: memory))
    processors.packetsBegun += 1
    goOn(packet, number: processors.packetsBegun, mayPause: true)
  }

  /// Another processor of the directory's host goes on with its packet.
  func resume(_ number: Int) {
    guard let packet = processors.underWay.removeValue(forKey: number) else { return }
    goOn(packet, number: number, mayPause: processors.random.chance(0.5))
  }

  private func goOn(_ packet: PacketUnderWay, number: Int, mayPause: Bool) {
    let steps = mayPause ? processors.random.integer(in: 1...Self.stepsMax) : 0
    guard !packet.decision.advance(steps: steps) else {
      decided(
        packet.decision.decision, packet.decision.datagram, from: packet.from,
        returnPath: packet.returnPath)
      return
    }
    processors.underWay[number] = packet
    result.coverage.pauses += 1
    trace.record(
      at: scheduler.now, code: 5, values: UInt64(number), UInt64(steps),
      text: "directory: packet \(number) from \(packet.from) stops before its access \(steps)")
    scheduler.schedule(
      .resume(packet: number), after: processors.random.duration(in: scenario.pause))
  }

  private func isPausing() -> Bool {
    stage == .faulty && scenario.pausing > 0 && processors.random.chance(scenario.pausing)
  }

  private func decided(
    _ decision: DirectoryDecision, _ datagram: [UInt8], from: RackEndpoint, returnPath: UInt64
  ) {
    switch from {
    case .client(let number): requestDecided(decision, datagram, client: number)
    case .server(let number):
      reportDecided(decision, datagram, server: number, returnPath: returnPath)
    default: break
    }
  }

  private func requestDecided(
    _ decision: DirectoryDecision, _ datagram: [UInt8], client: Int
  ) {
    var datagram = datagram
    switch decision.verdict {
    case .steer(let server):
      let isRead = datagram[3] == Operation.get.rawValue
      if let entry = decision.entry {
        watch.count(entry, isRead: isRead)
        if isRead, watch.homes[Int(entry)] != server { result.coverage.hotReadsAway += 1 }
      }
      datagram.withUnsafeMutableBytes { bytes in
        bytes.storeBytes(
          of: UInt64(client + 1).bigEndian, toByteOffset: Self.returnPathOffset, as: UInt64.self)
        if isRead && !scenario.demandsVersions {
          bytes.storeBytes(of: 0, toByteOffset: Self.versionOffset, as: UInt64.self)
        }
      }
      send(datagram, from: .directory, to: .server(Int(server)))
    case .answer:
      // It is cut to the header, as the data plane does.
      datagram.removeSubrange(WireLimits.headerLength...)
      if let header = Self.header(of: datagram) { result.coverage.count(header) }
      send(datagram, from: .directory, to: .client(client))
    default: break
    }
  }

  private func reportDecided(
    _ decision: DirectoryDecision, _ datagram: [UInt8], server: Int, returnPath: UInt64
  ) {
    if let entry = decision.entry { checkEntry(entry) }
    switch decision.verdict {
    case .steer(let target): send(datagram, from: .directory, to: .server(Int(target)))
    case .forward:
      noteForwarded(datagram)
      if returnPath > 0 { send(datagram, from: .directory, to: .client(Int(returnPath) - 1)) }
    case .toController:
      guard let message = try? Message(datagram: datagram) else { return }
      give(.received(message, server: UInt8(server)))
    default: break
    }
  }

  private static func returnPath(of datagram: [UInt8]) -> UInt64 {
    datagram.withUnsafeBytes {
      UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: returnPathOffset, as: UInt64.self))
    }
  }

  /// What clients are shown, the completed version must not be below.
  private func noteForwarded(_ datagram: [UInt8]) {
    guard let header = Self.header(of: datagram) else { return }
    if header.status == .otherKey { give(.otherKeySeen(keyHash: header.keyHash)) }
    guard header.status == .ok || header.status == .notFound else { return }
    watch.shown(header.keyHash, header.version)
    if let entry = watch.place(of: header.keyHash) { checkEntry(entry) }
  }

  private func sample(_ datagram: [UInt8]) {
    // HELLO has no key.
    guard scenario.isAutomatic, watch.takesSample(),
      let message = try? Message(datagram: datagram), !message.key.isEmpty
    else { return }
    give(
      .sample(
        keyHash: message.header.keyHash, key: message.key, operation: message.header.operation,
        weight: watch.sampleInterval))
    give(.drained(now: controller.clock.reading(at: scheduler.now)))
  }

  static func header(of datagram: [UInt8]) -> Header? {
    datagram.withUnsafeBytes { try? Header(datagram: $0) }
  }
}
