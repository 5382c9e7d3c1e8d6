internal import ClientCore
internal import Sockets
internal import Wire
internal import Workload

/// Records a history: many logical clients, each with a client core of its own that retries as the
/// protocol says, put operations on few keys, one after the other, and what they asked and were
/// told is written down. Values are unique: "c3-17" is the 17th operation of client 3.
///
/// Belongs to the thread that runs it.
public final class HistoryRecorder {
  private struct Client {
    var core: ClientCore
    var coreID: UInt64
    var sequence: UInt64 = 0
    var kind = OperationKind.read
    var key: [UInt8] = []
    var value: [UInt8]?
    var invoked: UInt64 = 0
    var isBusy = false
    /// When the core wants to be called, at the latest.
    var deadline = UInt64.max
  }

  private let configuration: HistoryConfiguration
  private let port: RackPort
  private let writer: HistoryWriter
  private let stop: LoadStop
  private var clients: [Client] = []
  private var clientOfID: [UInt64: Int] = [:]
  private var stream: OperationStream
  private var arrivals: PoissonArrivals?
  /// When the next operation may begin, if their rate is limited; relative to the start.
  private var nextArrival: UInt64 = 0
  /// Clients without an operation, if the rate is limited: of each key, if clients are bound to keys,
  /// or all together.
  private var idle: [[Int]] = []
  private var report = HistoryReport()
  private var invokedCount = 0
  private var start: UInt64 = 0
  private var lastReturn: UInt64 = 0
  /// Anything came from the rack.
  private var hasHeard = false
  private var failure: LoadError?

  /// Opens the socket and the file, which is written anew. Throws `LoadError`.
  public init(_ configuration: HistoryConfiguration, path: String, stop: LoadStop = LoadStop())
    throws(LoadError)
  {
    precondition(configuration.clients > 0 && configuration.operations > 0)
    precondition(
      !configuration.bindsClients
        || configuration.rateMax != nil && configuration.clients >= configuration.keys.count)
    self.configuration = configuration
    self.stop = stop
    port = try RackPort(configuration.rack, in: configuration.namespace)
    writer = try HistoryWriter(path: path)
    var seeds = RandomSource(seed: configuration.seed)
    stream = OperationStream(
      popularity: configuration.popularity, keys: configuration.keys, mix: configuration.mix,
      valueLengths: .fixed(0), seed: seeds.next())
    arrivals = configuration.rateMax.map { PoissonArrivals(rate: $0, seed: seeds.next()) }
    makeClients()
  }

  private func makeClients() {
    let birth = RackPort.birthOffset + MonotonicClock.now / 1_000_000
    while clients.count < configuration.clients {
      let id = ClientIdentity.make(birth: birth, random: RackPort.entropy)
      guard clientOfID[id] == nil else { continue }
      let core = ClientCore(
        ClientConfiguration(
          client: id, hashSeed: configuration.hashSeed, timeoutMax: 500_000_000,
          deadline: configuration.deadline), randomSeed: RackPort.entropy)
      clientOfID[id] = clients.count
      clients.append(Client(core: core, coreID: id))
    }
  }

  /// Records until the configuration's operations are done or its time is over, and every operation
  /// under way has ended. `progress` gets what was recorded so far.
  ///
  /// Throws `LoadError`: when the rack does not answer at all, the file cannot be
  /// written, or the socket fails.
  public func run(progress: (HistoryReport) -> Void = { _ in }) throws(LoadError) -> HistoryReport {
    BackgroundThread.setTimerSlack(nanoseconds: 1)
    start = MonotonicClock.now
    var nextProgress = start + configuration.progressInterval
    if arrivals != nil {
      idle = Array(repeating: [], count: configuration.bindsClients ? configuration.keys.count : 1)
      for index in clients.indices.reversed() { rest(index) }
      takeArrival()
    } else {
      for index in clients.indices { invoke(index, stream.next(), now: start) }
    }
    while clients.contains(where: \.isBusy) || mayInvoke(now: MonotonicClock.now) {
      try port.flush()
      try port.waitForDatagrams(until: min(nextDeadline, nextProgress))
      try receive()
      let now = MonotonicClock.now
      advance(now: now)
      invokeDue(now: now)
      if let failure { throw failure }
      if !hasHeard, now - start > configuration.greetingTime { throw noAnswer }
      if now >= nextProgress {
        nextProgress += configuration.progressInterval
        progress(reportNow)
      }
    }
    try writer.finish()
    return reportNow
  }

  private var noAnswer: LoadError {
    port.refusal.map { .socket($0) }
      ?? .noAnswer(configuration.rack, seconds: Double(configuration.greetingTime) / 1e9)
  }

  private var reportNow: HistoryReport {
    var report = report
    report.timeouts = clients.reduce(0) { $0 + $1.core.timeouts }
    report.duration = Double(max(lastReturn, start) - start) / 1e9
    return report
  }

  // MARK: Operations

  private func mayInvoke(now: UInt64) -> Bool {
    guard invokedCount < configuration.operations, !stop.isStopped else { return false }
    return configuration.duration.map { now - min(start, now) < $0 } ?? true
  }

  private func takeArrival() { nextArrival = arrivals?.next() ?? 0 }

  /// A client has nothing to do until something arrives.
  private func rest(_ index: Int) {
    idle[configuration.bindsClients ? index % idle.count : 0].append(index)
  }

  /// With a limited rate: begins what has come due, as long as a client is idle.
  private func invokeDue(now: UInt64) {
    guard arrivals != nil else { return }
    while start + nextArrival <= now, mayInvoke(now: now) {
      if configuration.bindsClients {
        let operation = stream.next()
        if let index = idle[operation.key].popLast() { invoke(index, operation, now: now) }
      } else {
        guard let index = idle[0].popLast() else { return }
        invoke(index, stream.next(), now: now)
      }
      takeArrival()
    }
  }

  private func invoke(_ index: Int, _ operation: WorkloadOperation, now: UInt64) {
    invokedCount += 1
    let key = configuration.keys.key(ofNumber: operation.key)
    clients[index].sequence += 1
    clients[index].kind = operation.kind
    clients[index].key = key
    clients[index].value = nil
    clients[index].isBusy = true
    let request: ClientRequest
    switch operation.kind {
    case .read: request = .get(key: key)
    case .delete: request = .delete(key: key)
    case .write:
      let value = Array("c\(configuration.firstClient + index)-\(clients[index].sequence)".utf8)
      clients[index].value = value
      request = .set(key: key, value: value)
    }
    clients[index].invoked = now
    let token = clients[index].sequence
    perform(clients[index].core.submit(request, token: token, now: now), index, now: now)
  }

  /// Does what a core asks for, and has its client go on when its operation has ended.
  private func perform(_ effects: [ClientEffect], _ index: Int, now: UInt64) {
    var outcome: ClientOutcome?
    for effect in effects {
      switch effect {
      case .send(let datagram):
        port.append { room in
          room.copyBytes(from: datagram)
          return datagram.count
        }
      case .complete(_, let ended): outcome = ended
      }
    }
    let id = clients[index].core.client
    if id != clients[index].coreID {
      // The old id stays: late answers to it are still this core's to judge.
      clients[index].coreID = id
      clientOfID[id] = index
    }
    if let outcome {
      record(outcome, of: index, now: now)
      clients[index].isBusy = false
      if arrivals != nil {
        rest(index)
      } else if mayInvoke(now: now) {
        invoke(index, stream.next(), now: now)
      }
    }
    clients[index].deadline = clients[index].core.nextDeadline ?? .max
  }

  private func record(_ outcome: ClientOutcome, of index: Int, now: UInt64) {
    let client = clients[index]
    var (value, version, returned): ([UInt8]?, UInt64?, UInt64?) = (client.value, nil, now)
    let word: StaticString
    switch outcome {
    case .value(let read, let itsVersion):
      (word, value, version) = ("ok", read, itsVersion)
      report.ok += 1
    case .written(let itsVersion):
      (word, version) = ("ok", itsVersion)
      report.ok += 1
    case .notFound(let itsVersion):
      (word, version) = ("not_found", itsVersion)
      report.notFound += 1
    case .failed(let reason):
      (word, returned) = ("failed", nil)
      report.failed += 1
      if reason == .lost { report.lost += 1 }
      if reason == .refused(.wrongHash) { failure = .otherSeed(configuration.hashSeed) }
    case .unknown(let reason):
      (word, returned) = ("unknown", nil)
      report.unknown += 1
      if reason == .ambiguous { report.ambiguous += 1 }
      if reason == .sessionLost { report.sessionLost += 1 }
    }
    let kind: StaticString
    switch client.kind {
    case .read: (kind, report.gets) = ("get", report.gets + 1)
    case .write: (kind, report.sets) = ("set", report.sets + 1)
    case .delete: (kind, report.deletes) = ("delete", report.deletes + 1)
    }
    report.operations += 1
    lastReturn = now
    do throws(LoadError) {
      try writer.append(
        client: configuration.firstClient + index, sequence: client.sequence, kind: kind,
        key: client.key, value: value,
        version: version, invoked: client.invoked, returned: returned, outcome: word)
    } catch { failure = error }
  }

  // MARK: Datagrams and time

  private func receive() throws(LoadError) {
    try port.receive { datagram, now in
      guard let header = try? Header(datagram: datagram), let index = clientOfID[header.client]
      else { return }
      hasHeard = true
      perform(clients[index].core.receive(datagram, now: now), index, now: now)
    }
  }

  private func advance(now: UInt64) {
    for index in clients.indices where clients[index].deadline <= now {
      perform(clients[index].core.advance(to: now), index, now: now)
    }
  }

  private var nextDeadline: UInt64 {
    var next = UInt64.max
    for index in clients.indices { next = min(next, clients[index].deadline) }
    let isAnyIdle = configuration.bindsClients || idle.first?.isEmpty == false
    if arrivals != nil, isAnyIdle, invokedCount < configuration.operations {
      next = min(next, start + nextArrival)
    }
    return next
  }
}
