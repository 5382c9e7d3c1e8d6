internal import ClientCore
internal import Wire
internal import Workload

/// One operation under way.
struct LoadRequest {
  var operation: WorkloadOperation
  var keyHash: UInt64
  /// When it was due.
  var due: UInt64
  /// It arrived in the measured time.
  var isMeasured: Bool
  /// It must take effect: tried again when refused or lost.
  var isPersistent = false
  fileprivate(set) var sequence: UInt64 = 0
  fileprivate(set) var firstGeneration: UInt64 = 0
  /// The known generation that its last attempt carried.
  fileprivate(set) var sentGeneration: UInt64 = 0
  /// When its last attempt was sent.
  fileprivate(set) var sentAt: UInt64 = 0
  fileprivate(set) var attempts = 0
  fileprivate(set) var refusals = 0
}

/// Names an operation under way.
struct LoadTicket: Hashable {
  fileprivate var lane: Int32
  fileprivate var sequence: UInt64
}

/// What a datagram from the rack means to the load.
enum LoadVerdict {
  /// Nothing: not a reply, or one that is not awaited any more.
  case ignored
  /// An answer to HELLO.
  case greeted
  case completed(LoadRequest)
  /// `busy`: ended.
  case shed(LoadRequest)
  /// Ended without effect, or with one that nobody can know.
  case failed(LoadRequest, Status)
  /// Has to be sent again at once: the rack asks for a newer known generation.
  case again(LoadTicket)
  /// Will be sent again when it is due.
  case later
}

/// The client's side of the protocol (docs/protocol.md, §4 and §7) for load that is measured: many
/// client ids, each with its window of 64 sequence numbers, and no retry of what is lost or shed.
/// What a transition refuses (`frozen`, `stale generation` and the like) is tried again, as the
/// protocol asks of every client, and the time that it takes is part of the latency.
///
/// It differs from `ClientCore` in what it is for: a retry would hide what is to be measured, and
/// tens of thousands of requests under way take no allocation each. Without input or output; not
/// thread-safe.
struct LoadLanes {
  private struct Lane {
    var client: UInt64
    var nextSequence: UInt64 = 1
    var acknowledged: UInt64 = 1
    var hasRoom: Bool { nextSequence - acknowledged < UInt64(WireLimits.outstandingMax) }
    /// Servers have forgotten it: nothing new is asked under this id.
    var isRetired = false
    /// It is in `withRoom`.
    var isListed = true
  }

  private struct Again {
    var time: UInt64
    var ticket: LoadTicket
  }

  private static let window = WireLimits.outstandingMax

  private let lanesMax: Int
  /// Milliseconds since 1970 at the time 0 of `now`.
  private var birthOffset: UInt64
  private var random: RandomSource
  private var lanes: [Lane] = []
  private var laneOfClient: [UInt64: Int32] = [:]
  /// A lane's window lies in a row; a sequence number of 0 marks a free place.
  private var requests: [LoadRequest] = []
  /// Lanes with room; the last is used first, so that few client ids are in use.
  private var withRoom: [Int32] = []
  /// In the order in which they were due; ended ones stay until they come to the head.
  private var expiry = TicketQueue()
  private var waiting: [Again] = []

  private(set) var outstanding = 0
  private var epoch: UInt16 = 0
  private(set) var knownGeneration: UInt64 = 0
  /// When the rack was last heard of; nil: never.
  private(set) var heardAt: UInt64?

  /// `birthOffset`: milliseconds since 1970 at the time 0 of the clock behind `now`. `randomSeed`
  /// drives client ids and jitter: no two processes may have the same.
  init(birthOffset: UInt64, randomSeed: UInt64, lanesMax: Int = 4_096) {
    self.birthOffset = birthOffset
    self.lanesMax = lanesMax
    random = RandomSource(seed: randomSeed)
  }

  subscript(ticket: LoadTicket) -> LoadRequest? {
    let request = requests[place(ticket)]
    return request.sequence == ticket.sequence ? request : nil
  }

  // MARK: Asking

  /// Takes an operation; nil: every client id has its window full. `due` ascends from call to call.
  mutating func begin(_ request: LoadRequest, now: UInt64) -> LoadTicket? {
    if withRoom.isEmpty { addLane(now: now) }
    guard let lane = withRoom.last else { return nil }
    var request = request
    request.sequence = lanes[Int(lane)].nextSequence
    request.firstGeneration = knownGeneration
    lanes[Int(lane)].nextSequence += 1
    let ticket = LoadTicket(lane: lane, sequence: request.sequence)
    requests[place(ticket)] = request
    if !lanes[Int(lane)].hasRoom {
      withRoom.removeLast()
      lanes[Int(lane)].isListed = false
    }
    outstanding += 1
    expiry.append(ticket)
    return ticket
  }

  /// The header of the next attempt, which is to be sent now; lengths are the sender's to fill in.
  mutating func header(of ticket: LoadTicket, now: UInt64 = 0) -> Header {
    let index = place(ticket)
    requests[index].sentAt = now
    requests[index].sentGeneration = knownGeneration
    requests[index].attempts += 1
    let request = requests[index]
    var header = Header(request.operation.kind.wire)
    header.flags = request.attempts > 1 ? [.retry] : []
    header.client = lanes[Int(ticket.lane)].client
    header.sequence = request.sequence
    header.acknowledged = lanes[Int(ticket.lane)].acknowledged
    header.keyHash = request.keyHash
    header.firstGeneration = request.firstGeneration
    header.knownGeneration = knownGeneration
    return header
  }

  /// A HELLO, to be sent at the start and when the rack was silent for long.
  mutating func hello(now: UInt64) -> Header {
    if lanes.isEmpty { addLane(now: now) }
    var header = Header(.hello)
    header.client = lanes[0].client
    header.sequence = lanes[0].nextSequence
    header.acknowledged = header.sequence
    return header
  }

  /// What is due to be sent again.
  mutating func takeDue(now: UInt64, _ send: (inout LoadLanes, LoadTicket) -> Void) {
    var index = 0
    while index < waiting.count {
      guard waiting[index].time <= now else {
        index += 1
        continue
      }
      let ticket = waiting[index].ticket
      waiting.swapAt(index, waiting.count - 1)
      waiting.removeLast()
      if self[ticket] != nil { send(&self, ticket) }
    }
  }

  /// Ends what was due before `time` and has no answer.
  mutating func expire(dueBefore time: UInt64, _ lost: (LoadRequest) -> Void) {
    while let ticket = expiry.first {
      if let request = self[ticket] {
        guard request.due < time else { return }
        end(ticket)
        lost(request)
      }
      expiry.removeFirst()
    }
  }

  // MARK: Answers

  mutating func receive(_ header: Header, now: UInt64) -> LoadVerdict {
    guard header.flags.contains(.reply), let lane = laneOfClient[header.client] else {
      return .ignored
    }
    if header.operation == .hello {
      return header.status == .ok && learn(from: header, now: now) ? .greeted : .ignored
    }
    let ticket = LoadTicket(lane: lane, sequence: header.sequence)
    guard header.sequence != 0, let request = self[ticket],
      request.operation.kind.wire == header.operation, request.keyHash == header.keyHash,
      learn(from: header, now: now)
    else { return .ignored }
    switch header.status {
    case .ok, .notFound:
      end(ticket)
      return .completed(request)
    case .busy where !request.isPersistent:
      end(ticket)
      return .shed(request)
    case .staleGeneration where knownGeneration > request.sentGeneration:
      return .again(ticket)
    case .frozen, .staleGeneration, .behind, .wrongServer, .otherKey, .staleEpoch, .busy:
      sendLater(ticket, now: now)
      return .later
    // Only late duplicates of finished requests are told so.
    case .finished: return .ignored
    case .sessionLost:
      retire(lane, evictedBirth: header.version, now: now)
      end(ticket)
      return .failed(request, .sessionLost)
    case .tooLarge, .malformed, .unsupported, .wrongHash, .ambiguous, .lost:
      end(ticket)
      return .failed(request, header.status)
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

  /// A transition takes a few round trips: the first wait is about one, each further one twice the
  /// last, up to 20 ms.
  private mutating func sendLater(_ ticket: LoadTicket, now: UInt64) {
    let index = place(ticket)
    let doubled = UInt64(200_000) << UInt64(min(requests[index].refusals, 6))
    requests[index].refusals += 1
    let time = now + doubled + random.next() % doubled
    waiting.append(Again(time: time, ticket: ticket))
  }

  // MARK: Lanes

  private func place(_ ticket: LoadTicket) -> Int {
    Int(ticket.lane) * Self.window + Int(ticket.sequence % UInt64(Self.window))
  }

  private mutating func end(_ ticket: LoadTicket) {
    requests[place(ticket)].sequence = 0
    outstanding -= 1
    let index = Int(ticket.lane)
    while lanes[index].acknowledged < lanes[index].nextSequence {
      let first = LoadTicket(lane: ticket.lane, sequence: lanes[index].acknowledged)
      if self[first] != nil { break }
      lanes[index].acknowledged += 1
    }
    guard !lanes[index].isListed, !lanes[index].isRetired, lanes[index].hasRoom else { return }
    lanes[index].isListed = true
    withRoom.append(ticket.lane)
  }

  private mutating func addLane(now: UInt64) {
    guard lanes.count < lanesMax else { return }
    let lane = Int32(lanes.count)
    let client = ClientIdentity.make(birth: birthOffset + now / 1_000_000, random: random.next())
    // A taken id is one in millions; without a new lane the operation is counted as not sent.
    guard laneOfClient[client] == nil else { return }
    laneOfClient[client] = lane
    lanes.append(Lane(client: client))
    let free = LoadRequest(
      operation: WorkloadOperation(kind: .read, key: 0, valueLength: 0), keyHash: 0, due: 0,
      isMeasured: false)
    requests.append(contentsOf: repeatElement(free, count: Self.window))
    withRoom.append(lane)
  }

  /// New ids are younger than the newest that the servers have forgotten.
  private mutating func retire(_ lane: Int32, evictedBirth: UInt64, now: UInt64) {
    guard !lanes[Int(lane)].isRetired else { return }
    lanes[Int(lane)].isRetired = true
    lanes[Int(lane)].isListed = false
    withRoom.removeAll { $0 == lane }
    // Births have 42 bits; whatever a reply says, time goes on from there without overflow.
    let newest = min(evictedBirth, 1 << 42 - 2)
    birthOffset = max(birthOffset, newest + 1 - min(now / 1_000_000, newest))
  }
}

extension OperationKind {
  var wire: Wire.Operation {
    switch self {
    case .read: .get
    case .write: .set
    case .delete: .delete
    }
  }
}

/// First in, first out; its memory grows to the most it ever held.
private struct TicketQueue {
  private var tickets: [LoadTicket] = []
  private var head = 0

  var first: LoadTicket? { head < tickets.count ? tickets[head] : nil }

  mutating func append(_ ticket: LoadTicket) {
    // Moving what is left is paid for by what has gone.
    if tickets.count == tickets.capacity, head * 2 >= tickets.count { compact() }
    tickets.append(ticket)
  }

  mutating func removeFirst() {
    head += 1
    if head == tickets.count { compact() }
  }

  private mutating func compact() {
    tickets.removeSubrange(0..<head)
    head = 0
  }
}
