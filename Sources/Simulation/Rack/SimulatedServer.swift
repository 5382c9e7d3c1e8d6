internal import ServerCore
internal import Wire

/// One server of a simulated rack: the core, and what it wants sent.
final class SimulatedServer {
  let number: Int
  let incarnation: UInt64
  /// It has died and not been started again.
  var isDown = false
  private var core: ServerCore
  private var output = CollectedOutput()

  init(
    number: Int, incarnation: UInt64, _ scenario: RackScenario, faults: SimulationFaults
  ) {
    self.number = number
    self.incarnation = incarnation
    let configuration = ServerConfiguration(
      number: UInt8(number), incarnation: incarnation,
      hashSeed: SimulatedKeys.hashSeed, sessionsMax: scenario.sessionsMax, expectedKeys: 16)
    core = ServerCore(configuration)
    core.faults = faults.server
  }

  /// Takes a datagram; returns the datagrams that it answers with, all of which pass the directory.
  func receive(_ datagram: [UInt8], fromController: Bool, isBusy: Bool) -> [[UInt8]] {
    output.datagrams.removeAll(keepingCapacity: true)
    datagram.withUnsafeBytes { bytes in
      if isBusy {
        core.refuseBusy(bytes, load: 0, lateness: 0, output: &output)
      } else {
        core.receive(
          bytes, fromDirectory: fromController, load: 0, lateness: 0, output: &output)
      }
    }
    return output.datagrams
  }

  /// The version that it stores of a key; 0: none.
  func storedVersion(of key: SimulatedKeys.Key) -> UInt64 {
    core.stored(key.bytes)?.version ?? 0
  }
}

private struct CollectedOutput: ServerOutput {
  var datagrams: [[UInt8]] = []

  mutating func send(
    _ header: Header, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer,
    to: ServerDestination
  ) {
    datagrams.append(Message(header, key: Array(key), value: Array(value)).encoded())
  }
}

extension RackWorld {
  func arriveAtServer(_ number: Int, _ datagram: [UInt8], fromController: Bool) {
    guard !servers[number].isDown else { return }
    let isRequest = !fromController && datagram[3] <= Operation.hello.rawValue
    let isBusy = isRequest && stage == .faulty && random.chance(scenario.busy)
    let answers = servers[number].receive(
      datagram, fromController: fromController, isBusy: isBusy)
    for answer in answers {
      checkAnswer(answer)
      send(answer, from: .server(number), to: .directory)
    }
    checkAllEntries()
  }

  /// A server dies now and then; at least one is left.
  func scheduleCrash() {
    guard crashesLeft > 0, stage == .faulty, random.chance(0.02) else { return }
    let living = servers.indices.filter { !servers[$0].isDown }
    guard living.count > 1 else { return }
    crashesLeft -= 1
    scheduler.schedule(
      .crash(server: random.element(of: living)), after: random.duration(in: 0...1_000_000))
  }

  func crash(_ server: Int) {
    guard stage == .faulty, !servers[server].isDown else { return }
    servers[server].isDown = true
    result.crashes += 1
    trace.record(at: scheduler.now, code: 6, values: UInt64(server), text: "server \(server) dies")
    scheduler.schedule(.restart(server: server), after: random.duration(in: scenario.away))
  }

  /// Replaces a server by one that knows nothing.
  func restart(_ server: Int) {
    let incarnation = random.next() | 1
    servers[server] = SimulatedServer(
      number: server, incarnation: incarnation, scenario, faults: faults)
    trace.record(
      at: scheduler.now, code: 7, values: UInt64(server), incarnation,
      text: "server \(server) starts again")
  }

  /// A write takes effect under one version at most, however often it is sent.
  private func checkAnswer(_ datagram: [UInt8]) {
    guard let header = Self.header(of: datagram), header.operation.isWrite,
      header.flags.contains(.reply), header.status == .ok
    else { return }
    let request = RackWatch.Request(client: header.client, sequence: header.sequence)
    if let first = watch.effect(request, header.version) {
      fail(
        .atMostOnce,
        "request \(header.sequence) of client \(header.client) took effect under versions "
          + "\(first) and \(header.version)")
    }
  }
}
