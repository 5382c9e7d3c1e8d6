internal import ControllerCore
internal import Directory
internal import Wire

/// A controller whose servers answer as they should, or anything else.
enum ControllerFuzzing {
  static func run(_ bytes: UnsafeRawBufferPointer) {
    var input = FuzzInput(bytes)
    let rack = FuzzedRack()
    while !input.isEmpty {
      let how = input.byte()
      switch how % 8 {
      case 0: rack.answerRightly(Int(how / 8))
      case 1: rack.wait(UInt64(input.short()))
      case 2: rack.command(input.byte(), key: input.bytes(1 + Int(how / 8) % 3))
      case 3: rack.sample(key: input.bytes(1), weight: UInt32(input.short()))
      case 4: rack.grace()
      case 5: rack.deliver(input.datagram(), from: how / 8 % 3)
      default: rack.answerAnyhow(&input, how / 8)
      }
    }
  }
}

private final class FuzzedRack {
  private var core: ControllerCore
  private let memory = DirectoryMemory(buckets: 4)
  private var now: UInt64 = 1_000_000_000
  /// Sent and not answered yet, oldest first.
  private var asked: [Message] = []
  private var graces: [UInt64] = []
  private static let servers = UInt8(3)

  init() {
    var places: [UInt8: ServerPlace] = [:]
    for number in 0..<Self.servers {
      places[number] = ServerPlace(
        incarnation: 0, interface: 10 + UInt32(number), port: WireLimits.port,
        mac: [2, 0, 0, 0, 0, number], address: Array(repeating: number, count: 16))
    }
    core = ControllerCore(
      ControllerConfiguration(epoch: 1, servers: places, window: 1 << 10, capacity: 16))
    handle(.start(now: now))
    // Until it serves: PROBE, ADMIT and SLOTS_SET of each.
    for _ in 0..<3 * Int(Self.servers) { answerRightly(0) }
  }

  private func handle(_ event: ControllerEvent) {
    for effect in core.handle(event) {
      switch effect {
      case .publish(let change): memory.apply(change)
      case .send(let message, let server):
        let read = try? Message(datagram: message.encoded())
        require(
          read?.key == message.key && read?.value == message.value
            && read?.header.operation == message.header.operation, "an order can be read")
        require(server < Self.servers, "an order is for a server of the rack")
        asked.append(message)
        if asked.count > 64 { asked.removeFirst() }
      case .awaitGrace(let token): graces.append(token)
      case .reserveVersions(let count, let token):
        handle(.versionsReserved(token: token, first: memory.reserveVersions(count)))
      case .notice(let notice): _ = notice.description
      }
    }
  }

  private static func incarnation(_ number: UInt8) -> UInt64 { 1_000 + UInt64(number) }

  /// What the server that was asked says of itself, in answer to what.
  private static func sign(_ header: inout Header, asked: Header) {
    header.server = asked.server
    header.incarnation = incarnation(asked.server % servers)
    header.sequence = asked.sequence
    header.keyHash = asked.keyHash
    header.part = asked.part
    header.parts = asked.parts
    header.epoch = 1
    if let answer = Operation(rawValue: asked.operation.rawValue + 1), !asked.operation.isRequest {
      header.operation = answer
    }
  }

  func answerRightly(_ index: Int) {
    guard !asked.isEmpty else { return }
    let question = asked.remove(at: index % asked.count)
    guard question.header.operation != .copyOrder else { return }
    var header = question.header.reply(.ok)
    header.flags = []
    Self.sign(&header, asked: question.header)
    var value: [UInt8] = []
    switch question.header.operation {
    // A server that was not admitted yet has no epoch.
    case .probe:
      header.epoch = core.state.serving ? 1 : 0
      value = ProbeBody().encoded()
    case .fence:
      header.parts = 1
      header.part = 0
      value = FenceAckBody(entries: []).encoded()
    case .slotsMove:
      guard let order = try? MoveBody(decoding: question.value) else { return }
      var body = MoveAckBody(move: order.move)
      body.isScanned = true
      value = body.encoded()
    default: break
    }
    receive(Message(header, key: question.key, value: value).encoded(), from: header.server)
  }

  /// An answer to one of the questions, of which the input decides the rest.
  func answerAnyhow(_ input: inout FuzzInput, _ index: UInt8) {
    let question = asked.isEmpty ? nil : asked[Int(index) % asked.count]
    let how = input.byte()
    let datagram = input.dressedDatagram(hashSeed: nil) { header in
      guard let question else { return }
      let (part, parts, incarnation) = (header.part, header.parts, header.incarnation)
      let epoch = header.epoch
      Self.sign(&header, asked: question.header)
      if how & 1 != 0 { (header.part, header.parts) = (part, parts) }
      if how & 2 != 0 { header.incarnation = incarnation }
      if how & 4 != 0 { header.epoch = epoch }
    }
    receive(datagram, from: question?.header.server ?? index % Self.servers)
  }

  func deliver(_ datagram: [UInt8], from server: UInt8) { receive(datagram, from: server) }

  private func receive(_ datagram: [UInt8], from server: UInt8) {
    guard let message = try? Message(datagram: datagram) else { return }
    handle(.received(message, server: server))
  }

  /// Milliseconds.
  func wait(_ time: UInt64) {
    now += time * 1_000_000
    let readings = core.entriesInUse.map(memory.reading(ofEntry:))
    handle(.tick(now: now, entries: readings, nextVersion: memory.nextVersion))
  }

  /// Shells refuse keys without a byte before the core sees them.
  func command(_ which: UInt8, key: [UInt8]) {
    guard !key.isEmpty else { return }
    let hash = KeyHash.of(key, seed: 7)
    guard which < 0x80 else {
      handle(.command(which & 4 == 0 ? .drain(which % 4) : .add(which % 4)))
      return
    }
    let commands: [ControllerCommand] = [
      .promote(keyHash: hash, key: key), .demote(keyHash: hash), .demoteAll,
      .retarget(keyHash: hash), .floor, .setAutomatic(which & 8 != 0),
    ]
    handle(.command(commands[Int(which) % commands.count]))
  }

  func sample(key: [UInt8], weight: UInt32) {
    guard !key.isEmpty else { return }
    handle(
      .sample(
        keyHash: KeyHash.of(key, seed: 7), key: key, operation: weight & 1 == 0 ? .get : .set,
        weight: weight))
    handle(.drained(now: now))
  }

  func grace() {
    guard !graces.isEmpty else { return }
    handle(.graceElapsed(token: graces.removeFirst()))
  }
}
