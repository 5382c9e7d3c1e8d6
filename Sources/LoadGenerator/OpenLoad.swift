internal import Sockets
internal import Wire
internal import Workload

/// Open-loop load: operations arrive as a Poisson process at a given rate and do not wait for
/// answers, as the requests of many independent users do; a slow rack meets a growing crowd, and
/// the wait counts. One thread sends and receives, in batches at each tick.
///
/// Belongs to the thread that runs it.
public final class OpenLoad {
  private let configuration: LoadConfiguration
  private let port: RackPort
  private var lanes: LoadLanes
  private var tally: LoadTally
  private var stream: OperationStream
  private var arrivals: PoissonArrivals
  private let stop: LoadStop
  private let changes: LoadChanges
  private var scheduled: PopularitySchedule.Iterator?

  private var phase = LoadProgress.Phase.warmingUp
  /// Due time of the first operation.
  private var start: UInt64 = 0
  /// Relative to the start; taken from `arrivals`, not yet sent.
  private var nextArrival: UInt64 = 0
  private var measuredEnd: UInt64 = 0
  private var nextProgress: UInt64 = 0
  private var nextHello: UInt64 = 0
  private var seedIsWrong = false
  /// Keys of ranks below it were begun in the fill; those that got lost are in `fillAgain`.
  private var filled = 0
  private var fillAgain: [Int] = []

  /// Opens the socket. `changes` takes and tells of changes of popularity while the load runs.
  /// Throws `LoadError.socket`.
  public init(
    _ configuration: LoadConfiguration, stop: LoadStop = LoadStop(),
    changes: LoadChanges = LoadChanges()
  ) throws(LoadError) {
    precondition(configuration.rate > 0 && configuration.tick > 0)
    precondition(
      configuration.keys.keyLength + configuration.valueLengths.longest <= WireLimits.bodyLengthMax,
      "key and value fit a datagram")
    self.configuration = configuration
    self.stop = stop
    self.changes = changes
    scheduled = configuration.changes?.makeIterator()
    port = try RackPort(configuration.rack, in: configuration.namespace)
    lanes = LoadLanes(birthOffset: RackPort.birthOffset, randomSeed: RackPort.entropy)
    tally = LoadTally(limit: configuration.limit)
    var seeds = RandomSource(seed: configuration.seed)
    stream = OperationStream(
      popularity: configuration.popularity, keys: configuration.keys, mix: configuration.mix,
      valueLengths: configuration.valueLengths, seed: seeds.next())
    arrivals = PoissonArrivals(rate: configuration.rate, seed: seeds.next())
  }

  /// Runs it once, from the fill to the last answer, and returns what was measured. `progress` is
  /// called on this thread and should be quick: the load waits for it.
  ///
  /// Throws `LoadError`: when the rack does not answer at all, has another hash seed, or a socket
  /// fails.
  public func run(progress: (LoadProgress) -> Void = { _ in }) throws(LoadError) -> LoadReport {
    BackgroundThread.setTimerSlack(nanoseconds: 1)
    try greet()
    if configuration.fill > 0 { try fill(progress) }
    start = MonotonicClock.now + configuration.tick
    measuredEnd = configuration.warmUp + configuration.duration
    nextArrival = arrivals.next()
    nextProgress = start + configuration.progressInterval
    var nextTick = start
    while true {
      try port.sleep(until: nextTick)
      var now = MonotonicClock.now
      nextTick = max(nextTick + configuration.tick, now)
      try receive()
      now = MonotonicClock.now
      sendAgain(now: now)
      lanes.expire(dueBefore: now - min(configuration.timeout, now)) {
        tally.timedOut($0)
        configuration.record?.ended($0)
      }
      if stop.isStopped { measuredEnd = min(measuredEnd, now - min(start, now)) }
      try sendArrivals()
      try keepHearing(now: now)
      try port.flush()
      tell(progress, now: now)
      if nextArrival >= measuredEnd, lanes.outstanding == 0 { break }
    }
    tell(progress, now: MonotonicClock.now, isLast: true)
    let measured = measuredEnd - min(configuration.warmUp, measuredEnd)
    return tally.report(
      duration: measured, latenessMax: configuration.latenessMax, changes: changes.all)
  }

  // MARK: Sending

  private func sendArrivals() throws(LoadError) {
    var now = MonotonicClock.now
    var sinceClock = 0
    while nextArrival < measuredEnd, start + nextArrival <= now, try port.hasRoom() {
      let due = start + nextArrival
      arrive(due: due, isMeasured: nextArrival >= configuration.warmUp, now: now)
      nextArrival = arrivals.next()
      sinceClock += 1
      if sinceClock == 64 {
        now = MonotonicClock.now
        sinceClock = 0
      }
    }
  }

  private func arrive(due: UInt64, isMeasured: Bool, now: UInt64) {
    changePopularity(due: due)
    let operation = stream.next()
    tally.offered(isMeasured: isMeasured)
    // The first generation of a write must not be old (docs/protocol.md, §7).
    let isSilent = operation.kind != .read && silence(now: now) > 1_000_000_000
    let request = LoadRequest(
      operation: operation, keyHash: keyHash(of: operation), due: due,
      isMeasured: isMeasured)
    guard !isSilent, let ticket = lanes.begin(request, now: now) else {
      tally.notSent(isMeasured: isMeasured)
      return
    }
    send(ticket)
    if isMeasured { tally.sent(lag: now - due) }
  }

  /// Makes the changes that come before the operation that is due at `due`. By due times, not by
  /// the clock: a seed gives the same operations however late this process is.
  private func changePopularity(due: UInt64) {
    while let change = scheduled?.next(upTo: due - start) { make(change, due: due) }
    guard changes.hasRequests else { return }
    for change in changes.takeRequests() { make(change, due: due) }
  }

  private func make(_ change: PopularityChange, due: UInt64) {
    stream.change(change)
    changes.made(
      LoadChange(
        change: change.description, start: start, firstDue: due, firstSent: MonotonicClock.now))
  }

  private func keyHash(of operation: WorkloadOperation) -> UInt64 {
    withUnsafeTemporaryAllocation(byteCount: configuration.keys.keyLength, alignment: 8) { room in
      configuration.keys.writeKey(ofNumber: operation.key, into: room)
      return KeyHash.of(UnsafeRawBufferPointer(room), seed: configuration.hashSeed)
    }
  }

  /// Puts the next attempt into the batch. Without room there it is a lost datagram.
  private func send(_ ticket: LoadTicket) {
    guard let request = lanes[ticket] else { return }
    let now = configuration.record == nil ? 0 : MonotonicClock.now
    var header = lanes.header(of: ticket, now: now)
    let (keyLength, valueLength) = (configuration.keys.keyLength, request.operation.valueLength)
    header.keyLength = UInt16(keyLength)
    header.valueLength = UInt16(valueLength)
    port.append { room in
      header.encode(into: room)
      let body = UnsafeMutableRawBufferPointer(rebasing: room[WireLimits.headerLength...])
      configuration.keys.writeKey(ofNumber: request.operation.key, into: body)
      UnsafeMutableRawBufferPointer(rebasing: body[keyLength..<keyLength + valueLength])
        .initializeMemory(as: UInt8.self, repeating: UInt8(ascii: "v"))
      return WireLimits.headerLength + keyLength + valueLength
    }
  }

  private func sendAgain(now: UInt64) {
    lanes.takeDue(now: now) { lanes, ticket in again.append(ticket) }
    sendWaitingAgain()
  }

  /// Kept for its memory.
  private var again: [LoadTicket] = []

  private func sendWaitingAgain() {
    for ticket in again {
      if let request = lanes[ticket] { tally.sentAgain(isMeasured: request.isMeasured) }
      send(ticket)
    }
    again.removeAll(keepingCapacity: true)
  }

  // MARK: Receiving

  private func receive() throws(LoadError) {
    try port.receive { datagram, now in
      guard let header = try? Header(datagram: datagram) else { return }
      switch lanes.receive(header, now: now) {
      case .ignored, .greeted, .later: break
      case .again(let ticket): again.append(ticket)
      case .completed(let request):
        tally.completed(request, by: header, now: now)
        configuration.record?.answered(request, by: header.server, now: now)
      case .shed(let request):
        tally.shed(request, by: header)
        configuration.record?.ended(request)
      case .failed(let request, let status):
        if status == .wrongHash { seedIsWrong = true }
        tally.failed(request)
        configuration.record?.ended(request)
      }
    }
    sendWaitingAgain()
    if seedIsWrong { throw .otherSeed(configuration.hashSeed) }
  }

  // MARK: Before and beside the load

  private func greet() throws(LoadError) {
    let begin = MonotonicClock.now
    while lanes.heardAt == nil {
      let now = MonotonicClock.now
      if now - begin > configuration.greetingTime {
        if let refusal = port.refusal { throw .socket(refusal) }
        throw .noAnswer(configuration.rack, seconds: Double(configuration.greetingTime) / 1e9)
      }
      try sayHello(now: now, every: 50_000_000)
      try port.flush()
      try port.waitForDatagrams(until: now + 10_000_000)
      try receive()
    }
  }

  private func sayHello(now: UInt64, every interval: UInt64) throws(LoadError) {
    guard now >= nextHello else { return }
    nextHello = now + interval
    let header = lanes.hello(now: now)
    port.append { room in
      header.encode(into: room)
      return WireLimits.headerLength
    }
  }

  /// Since the rack was last heard of, which may be a little after `now` was read.
  private func silence(now: UInt64) -> UInt64 { now - min(lanes.heardAt ?? 0, now) }

  /// Asks for the rack's generation before half of the silence that writes must not exceed.
  private func keepHearing(now: UInt64) throws(LoadError) {
    guard silence(now: now) > 500_000_000 else { return }
    try sayHello(now: now, every: 50_000_000)
  }

  /// Writes the most popular keys, a few at a time, until all have a value.
  private func fill(_ progress: (LoadProgress) -> Void) throws(LoadError) {
    phase = .filling
    start = MonotonicClock.now
    nextProgress = start + configuration.progressInterval
    let count = min(configuration.fill, configuration.keys.count)
    while (filled < count || !fillAgain.isEmpty || lanes.outstanding > 0) && !stop.isStopped {
      let now = MonotonicClock.now
      while lanes.outstanding < 256, let key = nextToFill(count), try port.hasRoom() {
        let operation = WorkloadOperation(
          kind: .write, key: key, valueLength: configuration.valueLengths.longest)
        let request = LoadRequest(
          operation: operation, keyHash: keyHash(of: operation), due: now, isMeasured: false,
          isPersistent: true)
        guard let ticket = lanes.begin(request, now: now) else {
          fillAgain.append(key)
          break
        }
        send(ticket)
      }
      try port.flush()
      try port.waitForDatagrams(until: now + configuration.tick)
      try receive()
      sendAgain(now: MonotonicClock.now)
      lanes.expire(dueBefore: now - min(configuration.timeout, now)) {
        fillAgain.append($0.operation.key)
      }
      try keepHearing(now: now)
      tell(progress, now: now)
      if silence(now: now) > configuration.greetingTime {
        throw .noAnswer(configuration.rack, seconds: Double(configuration.greetingTime) / 1e9)
      }
    }
    // What the display has not shown of the fill is not part of the load.
    _ = tally.takeProgress(.filling, start: start, now: MonotonicClock.now)
  }

  /// A key to write, of the `count` most popular ones at the beginning.
  private func nextToFill(_ count: Int) -> Int? {
    if let key = fillAgain.popLast() { return key }
    guard filled < count else { return nil }
    filled += 1
    return configuration.keys.number(ofRank: filled - 1)
  }

  private func tell(_ progress: (LoadProgress) -> Void, now: UInt64, isLast: Bool = false) {
    guard now >= nextProgress || isLast else { return }
    while nextProgress <= now { nextProgress += configuration.progressInterval }
    if phase != .filling || measuredEnd > 0 {
      let elapsed = now - min(start, now)
      phase =
        elapsed < configuration.warmUp
        ? .warmingUp : elapsed < measuredEnd ? .measuring : .draining
    }
    progress(tally.takeProgress(phase, start: start, now: now))
  }
}
