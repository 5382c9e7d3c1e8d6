internal import Wire

/// The client's side of the protocol (docs/protocol.md, §4 and §7): request ids, retries, what is
/// known of the rack, and what may be said about the outcome. A value without input or output:
/// datagrams and times go in, effects come out. `now` is in nanoseconds and never goes back.
///
/// Not thread-safe; its owner calls it from one place.
public struct ClientCore: Sendable {
  private let configuration: ClientConfiguration
  private var random: SplitMix
  /// The last is the present one; the others only drain.
  private var sessions: [ClientSession]
  private var waiting: [WaitingRequest] = []
  private var waitingHead = 0
  private var born: UInt64?

  private var epoch: UInt16 = 0
  private var knownGeneration: UInt64 = 0
  private var heardAt: UInt64?
  /// When HELLO is sent again, while an answer to it is awaited.
  private var helloAgainAt: UInt64?
  private var helloAttempts = 0
  private var roundTrip: UInt64 = 0

  private struct WaitingRequest {
    let token: UInt64
    let request: ClientRequest
    let deadline: UInt64
  }

  /// `randomSeed` drives the jitter of retries and later client ids.
  public init(_ configuration: ClientConfiguration, randomSeed: UInt64) {
    self.configuration = configuration
    random = SplitMix(state: randomSeed)
    sessions = [ClientSession(client: configuration.client)]
  }

  /// Attempts again because no answer had come in time.
  public private(set) var timeouts = 0

  /// Requests that were submitted and have not ended.
  public var unfinished: Int {
    sessions.reduce(waiting.count - waitingHead) { $0 + $1.sequences.count }
  }

  /// The client id of new requests.
  public var client: UInt64 { sessions[sessions.count - 1].client }

  // MARK: Events

  /// Takes a request; its end is told as `.complete` with this token. Beyond 64 outstanding
  /// requests it waits inside, in order.
  public mutating func submit(_ request: ClientRequest, token: UInt64, now: UInt64)
    -> [ClientEffect]
  {
    var effects: [ClientEffect] = []
    born = born ?? now
    let (key, value) = (request.key, request.value)
    guard !key.isEmpty, key.count <= WireLimits.keyLengthMax else {
      return [.complete(token: token, .failed(.keyLength(key.count)))]
    }
    guard key.count + value.count <= WireLimits.bodyLengthMax else {
      return [.complete(token: token, .failed(.tooLarge(key.count + value.count)))]
    }
    waiting.append(
      WaitingRequest(token: token, request: request, deadline: now + configuration.deadline))
    admit(now: now, &effects)
    return effects
  }

  /// Takes what came from the rack. Anything that is not an awaited reply changes nothing.
  public mutating func receive(_ datagram: UnsafeRawBufferPointer, now: UInt64) -> [ClientEffect] {
    var effects: [ClientEffect] = []
    guard let header = try? Header(datagram: datagram), header.flags.contains(.reply),
      let index = sessions.firstIndex(where: { $0.client == header.client })
    else { return effects }
    if header.operation == .hello {
      guard helloAgainAt != nil, header.status == .ok, learn(from: header, now: now) else {
        return effects
      }
      helloAgainAt = nil
      helloAttempts = 0
      admit(now: now, &effects)
      return effects
    }
    guard let request = sessions[index][header.sequence],
      request.request.operation == header.operation, request.keyHash == header.keyHash,
      request.attempts > 0, learn(from: header, now: now)
    else { return effects }
    if request.attempts == 1 { measure(now - request.sentAt) }
    let value = datagram[(WireLimits.headerLength + Int(header.keyLength))...]
    onStatus(header, value: value, request, session: index, now: now, &effects)
    admit(now: now, &effects)
    return effects
  }

  /// Lets time pass: retries what is due and gives up what is late.
  public mutating func advance(to now: UInt64) -> [ClientEffect] {
    var effects: [ClientEffect] = []
    for index in sessions.indices {
      for sequence in sessions[index].sequences {
        guard let request = sessions[index][sequence] else { continue }
        if request.deadline <= now {
          giveUp(request, sequence, session: index, &effects)
        } else if request.sendAt <= now {
          if request.attempts > 0, !request.isRefused { timeouts += 1 }
          send(sequence, session: index, now: now, &effects)
        }
      }
    }
    expireWaiting(now: now, &effects)
    if let again = helloAgainAt, again <= now { sendHello(now: now, &effects) }
    dropDrained()
    admit(now: now, &effects)
    return effects
  }

  /// When `advance` has something to do next; nil: nothing is under way.
  public var nextDeadline: UInt64? {
    var next: UInt64?
    func consider(_ time: UInt64) { next = min(next ?? time, time) }
    for session in sessions {
      for sequence in session.sequences {
        guard let request = session[sequence] else { continue }
        consider(min(request.deadline, request.sendAt))
      }
    }
    // Deadlines of waiting requests ascend.
    if waitingHead < waiting.count { consider(waiting[waitingHead].deadline) }
    if let helloAgainAt { consider(helloAgainAt) }
    return next
  }

  // MARK: Replies

  private mutating func onStatus(
    _ header: Header, value: Slice<UnsafeRawBufferPointer>, _ request: OpenRequest,
    session index: Int, now: UInt64, _ effects: inout [ClientEffect]
  ) {
    let isWrite = header.operation.isWrite
    func end(_ outcome: ClientOutcome, _ core: inout ClientCore) {
      core.sessions[index].finish(header.sequence)
      effects.append(.complete(token: request.token, outcome))
    }
    switch header.status {
    case .ok:
      end(
        isWrite
          ? .written(version: header.version) : .value(Array(value), version: header.version), &self
      )
    case .notFound: end(.notFound(version: header.version), &self)
    case .tooLarge, .malformed, .unsupported, .wrongHash:
      end(.failed(.refused(header.status)), &self)
    case .lost: isWrite ? retryLater(header.sequence, index, now) : end(.failed(.lost), &self)
    case .ambiguous: end(.unknown(.ambiguous), &self)
    case .sessionLost:
      end(.unknown(.sessionLost), &self)
      if index == sessions.count - 1 { beginSession(evictedBirth: header.version, now: now) }
    case .staleGeneration where knownGeneration > request.sentGeneration:
      send(header.sequence, session: index, now: now, &effects)
    // Only late duplicates of finished requests are told so.
    case .finished: break
    case .staleGeneration, .frozen, .behind, .busy, .wrongServer, .otherKey, .staleEpoch:
      retryLater(header.sequence, index, now)
    }
  }

  /// Takes in epoch and generation. False: the reply is of an older epoch and counts for nothing.
  private mutating func learn(from header: Header, now: UInt64) -> Bool {
    guard header.epoch >= epoch else { return false }
    if header.epoch > epoch {
      epoch = header.epoch
      knownGeneration = 0
    }
    knownGeneration = max(knownGeneration, header.generation)
    heardAt = now
    return true
  }

  /// Smooths round trips as TCP does (RFC 6298, gain 1/8).
  private mutating func measure(_ time: UInt64) {
    roundTrip = roundTrip == 0 ? max(time, 1) : roundTrip - roundTrip / 8 + time / 8
  }

  /// A refusal asks for patience: a round trip with jitter, doubled with each refusal in a row.
  private mutating func retryLater(_ sequence: UInt64, _ index: Int, _ now: UInt64) {
    let base = max(roundTrip, 50_000)
    let jitter = random.next() % base
    sessions[index].update(sequence) { request in
      let doubled = (base / 2 + jitter) << UInt64(min(request.refusals, 16))
      request.refusals += 1
      request.isRefused = true
      request.sendAt = now + min(doubled, configuration.timeoutMax)
    }
  }

  // MARK: Sending

  /// Moves waiting requests into the window, and sends them.
  private mutating func admit(now: UInt64, _ effects: inout [ClientEffect]) {
    while waitingHead < waiting.count, sessions[sessions.count - 1].hasRoom {
      let next = waiting[waitingHead]
      if next.request.operation.isWrite, needsHello(now: now) {
        if helloAgainAt == nil { sendHello(now: now, &effects) }
        return
      }
      waitingHead += 1
      let sequence = sessions[sessions.count - 1].add(
        OpenRequest(
          token: next.token, request: next.request,
          keyHash: KeyHash.of(next.request.key, seed: configuration.hashSeed),
          deadline: next.deadline))
      send(sequence, session: sessions.count - 1, now: now, &effects)
    }
    if waitingHead > 64, waitingHead * 2 > waiting.count {
      waiting.removeFirst(waitingHead)
      waitingHead = 0
    }
  }

  private func needsHello(now: UInt64) -> Bool {
    guard let heardAt else { return true }
    return now - heardAt > configuration.silenceMax
  }

  private mutating func send(
    _ sequence: UInt64, session index: Int, now: UInt64, _ effects: inout [ClientEffect]
  ) {
    let wait = timeout(attempt: sessions[index][sequence]?.attempts ?? 0)
    let known = knownGeneration
    sessions[index].update(sequence) { request in
      if request.attempts == 0 { request.firstGeneration = known }
      request.sentGeneration = known
      request.sentAt = now
      request.sendAt = now + wait
      request.attempts += 1
      request.isRefused = false
    }
    guard let request = sessions[index][sequence] else { return }
    var header = Header(request.request.operation)
    header.flags = request.attempts > 1 ? [.retry] : []
    header.client = sessions[index].client
    header.sequence = sequence
    header.acknowledged = sessions[index].acknowledged
    header.keyHash = request.keyHash
    header.firstGeneration = request.firstGeneration
    header.knownGeneration = known
    effects.append(
      .send(Message(header, key: request.request.key, value: request.request.value).encoded()))
  }

  private mutating func sendHello(now: UInt64, _ effects: inout [ClientEffect]) {
    helloAgainAt = now + timeout(attempt: helloAttempts)
    helloAttempts += 1
    var header = Header(.hello)
    header.client = client
    header.sequence = sessions[sessions.count - 1].nextSequence
    header.acknowledged = header.sequence
    effects.append(.send(Message(header).encoded()))
  }

  /// About ten round trips, doubled with each attempt, with jitter so that clients spread.
  private mutating func timeout(attempt: Int) -> UInt64 {
    let first = roundTrip == 0 ? configuration.timeoutInitial : max(roundTrip * 10, 1_000_000)
    let doubled = min(first << UInt64(min(attempt, 16)), configuration.timeoutMax)
    return doubled + random.next() % (doubled / 4 + 1)
  }

  // MARK: Ends

  private mutating func giveUp(
    _ request: OpenRequest, _ sequence: UInt64, session index: Int,
    _ effects: inout [ClientEffect]
  ) {
    sessions[index].finish(sequence)
    let outcome: ClientOutcome =
      request.request.operation.isWrite && request.attempts > 0
      ? .unknown(.timedOut) : .failed(.timedOut)
    effects.append(.complete(token: request.token, outcome))
  }

  private mutating func expireWaiting(now: UInt64, _ effects: inout [ClientEffect]) {
    while waitingHead < waiting.count, waiting[waitingHead].deadline <= now {
      effects.append(.complete(token: waiting[waitingHead].token, .failed(.timedOut)))
      waitingHead += 1
    }
    if waitingHead == waiting.count { helloAgainAt = nil }
  }

  /// Servers have forgotten this client: what comes from now on has a new id, born now, and after
  /// the newest client they have forgotten (whose clock may be fast).
  private mutating func beginSession(evictedBirth: UInt64, now: UInt64) {
    let elapsed = (now - (born ?? now)) / 1_000_000
    let birth =
      max(
        ClientIdentity.birth(of: configuration.client) + elapsed,
        min(evictedBirth, ClientIdentity.birthMax - 1)) + 1
    sessions.append(
      ClientSession(client: ClientIdentity.make(birth: birth, random: random.next())))
  }

  private mutating func dropDrained() {
    while sessions.count > 1, sessions[0].isDrained { sessions.removeFirst() }
  }
}

/// Steele, Lea and Flood: Fast splittable pseudorandom number generators (OOPSLA 2014).
struct SplitMix: Sendable {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
