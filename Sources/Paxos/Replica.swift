public import StoreState

/// What a replica finds on its disk.
public struct DurableState: Sendable, Equatable {
  /// Objects as they were stored, each as one.
  public var images: [(id: ObjectID, image: ObjectImage)] = []
  /// The log of votes, from some position on that is not after any image's.
  public var records: [LogRecord] = []
  /// Votes may be missing that were given: the disk is new, or damaged otherwise than by a torn
  /// tail. Once true, it stays true for what was not recovered since.
  public var hasLostVotes = false
  /// The incarnation in which this replica last began without its votes, whether that has been made
  /// good or not; 0: it never did, or it does now.
  public var life: UInt64 = 0

  public init() {}

  public static func == (a: DurableState, b: DurableState) -> Bool {
    a.records == b.records && a.hasLostVotes == b.hasLostVotes && a.life == b.life
      && a.images.elementsEqual(b.images) { $0.id == $1.id && $0.image == $1.image }
  }
}

/// One replica of a Paxos store: all its objects, each with a log of its own. A value without input
/// or output: messages, requests, times and completed writes go in, effects come out. `now` is in
/// nanoseconds on a clock that never goes back; safety does not depend on it.
///
/// Not thread-safe; its owner calls it from one place.
public struct Replica: Sendable {
  /// Who decides together.
  public var cell: Cell { context.cell }
  var context: ReplicaContext
  var objects: [ObjectCore] = []
  private var places: [ObjectID: Int] = [:]
  /// See Healing.swift; nil: there is nothing to make good.
  var healing: Healing?
  /// See StoreSnapshot.swift.
  var snapshots: [SnapshotRun] = []
  var snapshotsBegun: UInt64 = 0
  private var deadlines = DeadlineQueue()
  private var announceAt: UInt64 = 0
  private var announceNext = 0

  /// `incarnation`: never used before by this node, whatever became of its disk. `randomSeed` drives
  /// the jitter of attempts. Throws if the node is no member of its cell.
  public init(
    _ configuration: ReplicaConfiguration, incarnation: UInt64, randomSeed: UInt64,
    from durable: DurableState = DurableState(), now: UInt64 = 0
  ) throws(CellError) {
    guard let place = configuration.cell.place(of: configuration.node) else {
      throw .unknownMember(configuration.node)
    }
    context = ReplicaContext(
      configuration, incarnation: incarnation, place: place, randomSeed: randomSeed,
      life: durable.hasLostVotes && durable.life == 0 ? incarnation : durable.life)
    if durable.hasLostVotes, !configuration.faults.contains(.amnesiaIgnored) {
      healing = Healing(context)
    }
    for (id, image) in durable.images {
      places[id] = objects.count
      objects.append(ObjectCore(id, image))
    }
    for record in durable.records {
      let index = self.place(of: record.object)
      objects[index].replay(record.body, suffixMax: configuration.suffixMax)
    }
    for index in objects.indices where !hasLostVotes && objects[index].floor == nil {
      objects[index].floor = 0
    }
    context.now = now
    for index in objects.indices {
      objects[index].followLeases(&context)
      if objects[index].isDriven { objects[index].retryAt = now }
      deadlines.set(objects[index].deadline, of: index)
    }
  }

  /// Whether there may be objects that this replica has voted on and does not know of. When it has
  /// become false, and all records up to `position` are durable, what was lost is made good.
  public var hasLostVotes: Bool { healing != nil }

  public var counts: ReplicaCounts { context.counts }
  /// The records that were asked to be written so far.
  public var position: UInt64 { context.position }
  /// The records that a message waits for; nil: none does, and what was appended since may become
  /// durable with what comes next.
  public var awaitedPosition: UInt64? { context.awaitedPosition }
  public var objectCount: Int { objects.count }
  /// Objects this replica knows of, in the order in which it met them.
  public var objectIDs: [ObjectID] { objects.map(\.id) }

  /// The state of an object as far as this replica knows it; nil: it knows nothing of it.
  public func state(of id: ObjectID) -> GroupState? {
    places[id].map { objects[$0].snapshot.state }
  }

  /// The newest entry of an object that this replica knows to be chosen; 0: none.
  public func chosen(of id: ObjectID) -> UInt64 { places[id].map { objects[$0].chosen } ?? 0 }

  /// Whether this replica's votes on an object count: it has lost nothing, or made it good.
  public func isVoting(on id: ObjectID) -> Bool {
    places[id].map { objects[$0].isVoting } ?? !hasLostVotes
  }

  /// All there is to store of an object, as of now; nil: nothing.
  public func image(of id: ObjectID) -> ObjectImage? { places[id].map { objects[$0].image } }

  // MARK: Events

  /// Proposes a command; how it ended is told as `.reply`.
  public mutating func propose(
    _ request: RequestID, _ object: ObjectID, _ command: Command, now: UInt64
  ) -> [ReplicaEffect] {
    step(now) { $0.change(object) { $0.propose(request, command, &$1) } }
  }

  /// Reads; the answer is told as `.reply`.
  public mutating func read(
    _ request: RequestID, _ object: ObjectID, _ query: Query, _ mode: ReadMode = .linearizable,
    now: UInt64
  ) -> [ReplicaEffect] {
    step(now) { $0.change(object) { $0.read(request, query, mode, &$1) } }
  }

  /// Takes a message from another member; from anybody else it changes nothing.
  public mutating func receive(
    _ message: Message, from node: NodeID, now: UInt64
  ) -> [ReplicaEffect] {
    guard let place = context.cell.place(of: node) else { return [] }
    return step(now) { replica in
      guard replica.isOfPresentLife(message, place) else { return }
      switch message.body {
      case .renounce, .renounced, .list, .names: replica.heal(message, from: node, at: place)
      default: replica.change(message.object) { $0.receive(message.body, from: node, &$1) }
      }
    }
  }

  /// All records up to a position are durable.
  public mutating func synced(through position: UInt64, now: UInt64) -> [ReplicaEffect] {
    step(now) { $0.context.synced(through: position) }
  }

  /// Lets time pass.
  public mutating func advance(to now: UInt64) -> [ReplicaEffect] {
    step(now) { replica in
      while let index = replica.deadlines.next(dueBy: now) {
        replica.change(index) { $0.advance(&$1) }
      }
      replica.announce()
    }
  }

  /// When `advance` has something to do next; nil: nothing, until something happens.
  public var nextDeadline: UInt64? {
    let hasTurns = !objects.isEmpty || hasLostVotes
    guard let deadline = deadlines.first else { return hasTurns ? announceAt : nil }
    return hasTurns ? min(deadline, announceAt) : deadline
  }

  // MARK: Steps

  private mutating func step(
    _ now: UInt64, _ body: (inout Replica) -> Void
  ) -> [ReplicaEffect] {
    context.now = max(context.now, now)
    body(&self)
    while !context.local.isEmpty {
      let messages = context.local
      context.local = []
      for message in messages {
        change(message.object) { [node = context.myself.node] in
          $0.receive(message.body, from: node, &$1)
        }
      }
    }
    defer { context.effects = [] }
    return context.effects
  }

  private mutating func change(
    _ id: ObjectID, _ body: (inout ObjectCore, inout ReplicaContext) -> Void
  ) {
    change(place(of: id), body)
  }

  mutating func change(
    _ index: Int, _ body: (inout ObjectCore, inout ReplicaContext) -> Void
  ) {
    if !snapshots.isEmpty { keepForSnapshots(index) }
    body(&objects[index], &context)
    deadlines.set(objects[index].deadline, of: index)
  }

  /// Where an object is in `objects`; it is put there if this replica has not met it before.
  mutating func place(of id: ObjectID) -> Int {
    if let place = places[id] { return place }
    let place = objects.count
    places[id] = place
    objects.append(
      ObjectCore(
        id,
        ObjectImage(
          ObjectSnapshot(context.configuration.limits), floor: hasLostVotes ? nil : 0)))
    return place
  }

  /// Tells all others what this replica has of some objects, in turn: who has missed the end of
  /// something hears of it, and states are compared.
  private mutating func announce() {
    guard announceAt <= context.now, !objects.isEmpty || hasLostVotes else { return }
    continueHealing()
    var length = 0
    for _ in 0..<min(context.configuration.announceBatch, objects.count) {
      announceNext = announceNext < objects.count ? announceNext : 0
      announce(objects[announceNext])
      length += objects[announceNext].snapshot.state.digestLength
      announceNext += 1
      if length > Self.announcedLengthMax { break }
    }
    // Groups with many keys take long to compare, and are compared less often.
    let intervals = UInt64(1 + length / Self.announcedLengthMax)
    announceAt = context.now + context.configuration.announceInterval * intervals
  }

  /// Keys and events that may be compared in one interval.
  private static let announcedLengthMax = 4_096

  private mutating func announce(_ object: ObjectCore) {
    guard let value = object.snapshot.chosenID else { return }
    let message = Message(
      object.id,
      .chosen(entry: object.chosen, value, digest: object.snapshot.state.digest))
    for member in context.cell.members where member.node != context.myself.node {
      context.send(message, to: member.node)
    }
  }
}

/// The deadlines of objects that have one, the earliest first.
struct DeadlineQueue: Sendable {
  private struct Item {
    var time: UInt64
    var index: Int
  }

  /// A binary heap; items that no longer say what `times` says are dropped when they come up.
  private var heap: [Item] = []
  private var times: [UInt64?] = []

  var first: UInt64? { heap.first?.time }

  mutating func set(_ time: UInt64?, of index: Int) {
    while times.count <= index { times.append(nil) }
    guard times[index] != time else { return }
    times[index] = time
    if let time { push(Item(time: time, index: index)) }
    dropOutdated()
  }

  /// Takes an object whose deadline has come.
  mutating func next(dueBy now: UInt64) -> Int? {
    guard let item = heap.first, item.time <= now else { return nil }
    times[item.index] = nil
    pop()
    dropOutdated()
    return item.index
  }

  private mutating func dropOutdated() {
    while let item = heap.first, times[item.index] != item.time { pop() }
  }

  private static func isBefore(_ a: Item, _ b: Item) -> Bool {
    (a.time, a.index) < (b.time, b.index)
  }

  private mutating func push(_ item: Item) {
    heap.append(item)
    var child = heap.count - 1
    while child > 0, Self.isBefore(item, heap[(child - 1) / 2]) {
      heap[child] = heap[(child - 1) / 2]
      child = (child - 1) / 2
    }
    heap[child] = item
  }

  private mutating func pop() {
    guard let last = heap.popLast(), !heap.isEmpty else { return }
    var parent = 0
    while true {
      var least = 2 * parent + 1
      guard least < heap.count else { break }
      if least + 1 < heap.count, Self.isBefore(heap[least + 1], heap[least]) { least += 1 }
      guard Self.isBefore(heap[least], last) else { break }
      heap[parent] = heap[least]
      parent = least
    }
    heap[parent] = last
  }
}
