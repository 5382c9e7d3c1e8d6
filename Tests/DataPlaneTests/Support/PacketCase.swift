import CHotrack
import DataPlane
import Directory
import Testing
import Wire

/// One kind of packet, what becomes of it, and what it is counted as. `docs/packets.md` has a row
/// for each.
struct PacketCase: Sendable, CustomTestStringConvertible {
  enum End: Sendable {
    /// To the kernel, untouched.
    case pass
    case drop
    /// Back to the sender as an answer without a body.
    case answer(Status)
    /// To this server; what else the directory stamps.
    case steer(UInt8, @Sendable (inout Header) -> Void)
    /// A copy, to this server.
    case copy(UInt8)
    /// A mirrored write or its acknowledgement, to this server, which is the only one it names.
    case mirror(UInt8)
    /// To the client, as from the rack.
    case forward
    /// To the next rack.
    case sendDown
  }
  /// What the packet makes of an entry.
  struct Move: Sendable {
    let key: TestKey
    let completed: UInt64
    let replicaSet: UInt32
  }

  let name: String
  var port = "c0"
  var frame: Frame
  var message: Message?
  let end: End
  let counter: String
  var move: Move?
  /// It is none of the rack's business, or refused: nothing at all may change by it.
  var changesNothing = false
  var isChained = false
  /// What is done to the directory first.
  var changes: [DirectoryChange] = []
  var linear: Int?

  var testDescription: String { name }

  /// How `docs/packets.md` puts it.
  var endDescription: String {
    switch end {
    case .pass: counter == "control" ? "to the controller" : "passes"
    case .drop: ["copy_ack", "copy_unneeded"].contains(counter) ? "ends here" : "dropped"
    case .answer(let status): "answered `\(status)`"
    case .steer: "steered"
    case .copy, .mirror: "steered"
    case .forward: "to its client"
    case .sendDown: "to the next rack"
    }
  }

  /// The whole frame that must come out; nil: none does.
  func expected(_ rig: Rig) -> [UInt8]? {
    var frame = frame
    let interface = rig.interfaces[port] ?? 0
    if frame.checksum == .leftToHardware { frame.checksum = .full }
    guard var message else {
      if case .pass = end { return self.frame.bytes }
      return nil
    }
    let fromPort = frame.sourceMAC
    switch end {
    case .pass: return self.frame.bytes
    case .drop: return nil
    case .answer(let status):
      swap(&frame.sourceMAC, &frame.destinationMAC)
      swap(&frame.source, &frame.destination)
      swap(&frame.sourcePort, &frame.destinationPort)
      frame.hops = 64
      frame.trailer = []
      frame.payload = answer(message, status).encoded()
      return frame.bytes
    case .steer(let server, let stamp):
      if rig.kind == .oneArm {
        message.header.returnAddress = Place.words(frame.wire(frame.source))
        message.header.returnPort = frame.sourcePort
      }
      message.header.returnPath = returnPath(fromPort, interface)
      message.header.generation = Rig.generation
      message.header.incarnation = 1_000 + UInt64(server)
      message.header.epoch = 1
      message.header.server = server
      stamp(&message.header)
      rewrite(&frame, to: server, rig)
    case .copy(let server):
      message.header.server = server
      message.header.copyTargets = 1 << UInt32(server)
      message.header.incarnation = 1_000 + UInt64(server)
      message.header.flags.insert(.replicated)
      rewrite(&frame, to: server, rig)
    case .mirror(let server):
      message.header.server = server
      message.header.copyTargets = 0
      message.header.incarnation = 1_000 + UInt64(server)
      rewrite(&frame, to: server, rig)
    case .forward:
      if rig.kind == .oneArm {
        frame.destination = Place.client
        frame.destinationPort = 40_000
        message.header.returnAddress = (0, 0)
        message.header.returnPort = 0
      }
      frame.destinationMAC = [2, 0, 0, 0, 9, 1]
      frame.sourceMAC = Rig.portMAC("c0")
      frame.source = Place.rack
      frame.sourcePort = WireLimits.port
      frame.hops -= 1
      message.header.returnPath = 0
      message.header.incarnation = 0
      message.header.copyTargets = 0
    case .sendDown:
      frame.destinationMAC = Place.nextMAC
      frame.sourceMAC = Rig.portMAC("c1")
      frame.source = Place.rack
      frame.sourcePort = WireLimits.port
      frame.destination = Place.next
      frame.destinationPort = WireLimits.port
      frame.hops -= 1
      var header = message.header
      header.server = 255
      header.flags = .forwarded
      header.epoch = 0
      header.load = 0
      header.generation = 0
      header.incarnation = 0
      header.returnPath = 0
      header.copyTargets = 0
      message.header = header
    }
    frame.payload = message.encoded()
    if let keys = rig.keys {
      switch end {
      case .steer, .copy, .mirror: keys.sign(&frame.payload, .toServer)
      default: break
      }
    }
    return frame.bytes
  }

  private func answer(_ request: Message, _ status: Status) -> Message {
    var header = request.header
    header.status = status
    header.flags.insert(.reply)
    header.epoch = 1
    header.generation = Rig.generation
    header.version = 0
    header.server = 255
    return Message(header)
  }

  private func rewrite(_ frame: inout Frame, to server: UInt8, _ rig: Rig) {
    frame.destinationMAC = Place.serverMAC(server)
    frame.sourceMAC = Rig.portMAC(rig.port(of: server))
    frame.destination = Place.server(server)
    frame.destinationPort = Place.serverPort(server)
    if rig.kind == .oneArm {
      frame.source = Place.rack
      frame.sourcePort = WireLimits.port
    }
    frame.hops -= 1
  }

  private func returnPath(_ mac: [UInt8], _ interface: UInt32) -> UInt64 {
    let place = UInt16(interface % UInt32(PLANE_PORTS)) + 1
    return Place.word(mac + big(place))
  }

  var expectedAction: FrameAction {
    switch end {
    case .pass: .pass
    case .drop: .drop
    case .answer, .steer, .copy, .mirror, .forward, .sendDown: .redirect
    }
  }
}

/// Builders of the usual frames.
extension PacketCase {
  /// From a client, or whoever is behind the clients' port.
  static func client(
    _ name: String, _ message: Message, _ end: End, _ counter: String,
    _ change: (inout PacketCase) -> Void = { _ in }
  ) -> PacketCase {
    var frame = Frame()
    frame.payload = message.encoded()
    var result = PacketCase(name: name, frame: frame, message: message, end: end, counter: counter)
    change(&result)
    return result
  }

  /// From a server, to a client unless changed.
  static func server(
    _ number: UInt8, _ name: String, _ message: Message, _ end: End, _ counter: String,
    _ change: (inout PacketCase) -> Void = { _ in }
  ) -> PacketCase {
    var message = message
    if message.header.returnPath == 0, let rig = try? Rig.shared.get() {
      let place = UInt16((rig.interfaces["c0"] ?? 0) % UInt32(PLANE_PORTS)) + 1
      let path: [UInt8] = [2, 0, 0, 0, 9, 1] + big(place)
      message.header.returnPath = path.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    }
    var frame = Frame()
    frame.destinationMAC = Rig.portMAC("s\(min(number, 3))")
    frame.sourceMAC = Place.serverMAC(number)
    frame.source = Place.server(number)
    frame.sourcePort = Place.serverPort(number)
    if message.header.operation.isRequest && message.header.flags.contains(.reply) {
      frame.destination = Place.client
      frame.destinationPort = 40_000
    } else if [
      .copy, .copyAck, .slotCopy, .slotCopyAck, .mirror, .mirrorAck, .set, .delete,
    ].contains(message.header.operation) {
      frame.destination = Place.rack
    } else {
      frame.destination = Place.rack
      frame.destinationPort = WireLimits.controlPort
    }
    frame.payload = message.encoded()
    var result = PacketCase(
      name: name, port: number == 5 ? "c0" : "s\(min(number, 3))", frame: frame, message: message,
      end: end, counter: counter)
    change(&result)
    return result
  }

  /// The same in one-arm mode: all behind one port, and servers' replies go to the rack.
  func inOneArmMode(in place: Result<Rig, any Error> = Rig.oneArm) -> PacketCase {
    var result = sentTo(place)
    result.port = "c0"
    result.frame.destinationMAC = Rig.portMAC("c0")
    guard var message = result.message, message.header.flags.contains(.reply),
      message.header.operation.isRequest
    else { return result }
    message.header.returnAddress = Place.words(result.frame.wire(Place.client))
    message.header.returnPort = 40_000
    result.message = message
    result.frame.payload = message.encoded()
    result.frame.destination = Place.rack
    result.frame.destinationPort = WireLimits.port
    return result
  }

  /// The same with IPv6 addresses, which takes a checksum. nil: it is about IPv4, or about half a frame.
  func onIPv6() -> PacketCase? {
    let namesAddress = changes.contains { if case .setServer = $0 { true } else { false } }
    guard !isChained, !namesAddress, frame.options.isEmpty, frame.fragment == 0x4000,
      frame.versionAndLength == nil, frame.ipLength == nil, frame.etherType == 0x0800,
      frame.protocolNumber == 17, frame.cutTo == nil
    else { return nil }
    var result = self
    result.frame.isIPv6 = true
    if result.frame.checksum == .none { result.frame.checksum = .full }
    return result
  }

  /// The same where the clients' interface has another number: it stands in the way back of replies,
  /// unless that is wrong on purpose.
  func sentTo(_ place: Result<Rig, any Error>) -> PacketCase {
    var result = self
    let mac: [UInt8] = [2, 0, 0, 0, 9, 1]
    guard var message, let rig = try? place.get(), let usual = try? Rig.shared.get(),
      message.header.returnPath == returnPath(mac, usual.interfaces["c0"] ?? 0)
    else { return result }
    message.header.returnPath = returnPath(mac, rig.interfaces["c0"] ?? 0)
    result.message = message
    result.frame.payload = message.encoded()
    return result
  }

  /// Refused or not ours: nothing changes.
  func changingNothing() -> PacketCase {
    var result = self
    result.changesNothing = true
    return result
  }
}
