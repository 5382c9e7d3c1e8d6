internal import ServerCore
internal import Wire

/// One server of a simulated rack: the core, and what it wants sent.
final class SimulatedServer {
  let number: Int
  /// It has died and not been started again.
  var isDown = false
  /// How long it takes for each datagram, in nanoseconds; 0: no time.
  var service: UInt64 = 0
  /// When it has served what waits there, and how much that is.
  var busyUntil: UInt64 = 0
  var queued = 0
  private var core: ServerCore
  private var output = CollectedOutput()

  init(
    number: Int, incarnation: UInt64, _ scenario: RackScenario, faults: SimulationFaults
  ) {
    self.number = number
    let configuration = ServerConfiguration(
      number: UInt8(number), incarnation: incarnation,
      hashSeed: SimulatedKeys.hashSeed, sessionsMax: scenario.sessionsMax, expectedKeys: 16)
    core = ServerCore(configuration)
    core.faults = faults.server
  }

  /// A new one with every start, also when it has to begin anew while it runs.
  var incarnation: UInt64 { core.incarnation }

  /// Takes a datagram; returns the datagrams that it answers with, all of which pass the directory.
  func receive(_ datagram: [UInt8], fromController: Bool, isBusy: Bool) -> [[UInt8]] {
    let load = UInt16(min(queued, 1000))
    output.datagrams.removeAll(keepingCapacity: true)
    datagram.withUnsafeBytes { bytes in
      if isBusy {
        core.refuseBusy(bytes, load: load, lateness: 0, output: &output)
      } else {
        core.receive(
          bytes, fromDirectory: fromController, load: load, lateness: 0, output: &output)
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
  /// Datagrams that wait at a slow server, at most.
  private static let queueMax = 48

  func arriveAtServer(_ number: Int, _ datagram: [UInt8], fromController: Bool) {
    let server = servers[number]
    guard !server.isDown else { return }
    guard server.service > 0 || server.queued > 0 else {
      answer(number, datagram, fromController: fromController)
      return
    }
    // It takes its time, and serves in order.
    guard server.queued < Self.queueMax else {
      if !fromController { answer(number, datagram, fromController: false, isFull: true) }
      return
    }
    server.queued += 1
    server.busyUntil = max(server.busyUntil, scheduler.now) + server.service
    scheduler.schedule(
      .serve(number, datagram, fromController: fromController), at: server.busyUntil)
  }

  /// A slow server comes to a datagram that has waited; a server that has started again since has
  /// not got it.
  func serve(_ number: Int, _ datagram: [UInt8], fromController: Bool) {
    guard servers[number].queued > 0 else { return }
    servers[number].queued -= 1
    answer(number, datagram, fromController: fromController)
  }

  private func answer(
    _ number: Int, _ datagram: [UInt8], fromController: Bool, isFull: Bool = false
  ) {
    let isRequest = !fromController && datagram[3] <= Operation.hello.rawValue
    let isBusy = isRequest && stage == .faulty && random.chance(scenario.busy)
    let answers = servers[number].receive(
      datagram, fromController: fromController, isBusy: isBusy || isFull)
    for answer in answers {
      checkAnswer(answer)
      send(answer, from: .server(number), to: .directory)
    }
    checkEntries(after: datagram)
  }

  /// A server dies with all it holds; at least one is left. Returns whether it did.
  func crash(_ server: Int) -> Bool {
    guard !servers[server].isDown, servers.count(where: { !$0.isDown }) > 1 else { return false }
    servers[server].isDown = true
    result.crashes += 1
    return true
  }

  /// Replaces a server by one that knows nothing.
  func restart(_ server: Int) {
    let incarnation = random.next() | 1
    world.serversPaused[server] = 0
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
