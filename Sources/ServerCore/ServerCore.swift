public import Storage
public import Wire

/// One storage server of a rack: datagram in, datagrams out (docs/protocol.md §6). It has no socket,
/// clock or randomness of its own, and the same datagrams give the same answers.
///
/// Whatever arrives is hostile until checked: what is malformed, for another server or incarnation,
/// or a controller's message from elsewhere, changes nothing and is not answered.
///
/// Not thread-safe. Its tables are held by reference: use one copy of the value only. A client's
/// request allocates nothing once the tables have grown to what is stored.
public struct ServerCore {
  let configuration: ServerConfiguration
  private(set) var engine: any StorageEngine
  var sessions: SessionTable
  /// Where every change is written down; nil: nothing outlives the process.
  let journal: StateJournal?
  /// The engine, if it writes into the journal.
  private(set) var durable: DurableTable?
  /// What an earlier start has left, until ADMIT takes it or not; nil: nothing.
  public internal(set) var recovered: ServerRow?
  /// Slots of which values are missing among what an earlier start has left, until the rack has dealt
  /// with it (FLOOR). Ascending.
  public internal(set) var damagedSlots: [Int] = []
  /// What the rack's datagrams are tagged with; nil: they carry no tags.
  public var keys: RackKeys?
  /// What the storage allows.
  public var storage = StorageCondition.writable
  /// Told before the state of an earlier start, which the controller does not believe, is removed.
  public var onForgetting: (() -> Void)?

  /// Which start of the server this is, as far as the rack is concerned.
  public internal(set) var incarnation: UInt64
  /// The directory's epoch that the server is admitted to; 0: none yet.
  public internal(set) var epoch: UInt16 = 0
  /// Requests of older generations are refused.
  public internal(set) var floor: UInt64 = 0
  /// What PROBE reports.
  public internal(set) var totals = ProbeBody()
  /// Breaks the protocol on purpose, to test that tests notice.
  public var faults: ServerFaults = []
  /// Told of every first execution of a write; for the invariants of the simulator.
  public var onExecution: ((Execution) -> Void)?

  /// By key hash: a hash stands for one key at a time.
  var fences: [UInt64: KeyFence] = [:]
  var forgotten = ForgottenFences()
  var slots = OwnedSlots(count: WireLimits.slots)
  /// Servers that a hot key's write has to be on before it is answered.
  var copies = 1
  /// Servers that everything is to be on: 2 also while too few are there.
  var rackCopies = 1
  /// By key hash: what perhaps no other server has yet.
  var unconfirmed: [UInt64: Unconfirmed] = [:]
  /// By key hash: keys of own slots whose tombstone the backup may lack.
  var unsettledDeletes: [UInt64: [UInt8]] = [:]
  var floorParts = PartAssembly<FloorBody>()
  var slotsParts = PartAssembly<SlotsBody>()
  /// Of the newest message that gave it slots, whichever kind it was: of two servers that claim a
  /// slot, the next epoch's directory believes the one that was given it later. 0: it had no say in
  /// a rack yet.
  var slotsGeneration: UInt64 = 0
  /// That was in this epoch.
  var hasSlotsOfEpoch = false
  /// What the directory of this epoch still has to learn.
  var former = FormerKeys()
  /// Fences of the epoch before that are still written down: what the server knew then is what it
  /// offers after a restart, until it has its slots of this epoch.
  var formerRows: [UInt64] = []

  // Slots on their way (SlotMoves.swift).
  /// By slot: of the latest move in which it left or came.
  var slotFences: [Int: SlotFence] = [:]
  /// By slot: the latest move whose coming has dropped what was left over. What older requests were
  /// steered here for, when its key was hot, may be gone.
  var clearedSlots: [Int: UInt64] = [:]
  var leaving: LeavingSlots?
  var arriving: ArrivingSlots?
  /// The newest move heard of, and the latest that brought slots.
  var newestMove: UInt64 = 0
  var takenMove: UInt64 = 0
  var release = SlotRelease.none

  /// A server that stores its keys in memory.
  public init(_ configuration: ServerConfiguration) {
    self.init(
      configuration, engine: MemoryTable(expectedKeys: configuration.expectedKeys))
  }

  /// A server that stores its keys in `engine`, which nothing else uses.
  public init(_ configuration: ServerConfiguration, engine: any StorageEngine) {
    self.configuration = configuration
    self.engine = engine
    incarnation = configuration.incarnation
    journal = nil
    sessions = SessionTable(sessionsMax: configuration.sessionsMax)
  }

  /// A server that writes every change of its state into `journal`. Nobody may get an answer before
  /// what was written by then is durable.
  public init(_ configuration: ServerConfiguration, journal: StateJournal) {
    self.configuration = configuration
    incarnation = configuration.incarnation
    self.journal = journal
    let durable = DurableTable(expectedKeys: configuration.expectedKeys, journal: journal)
    self.durable = durable
    engine = durable
    sessions = SessionTable(sessionsMax: configuration.sessionsMax, journal: journal)
  }

  /// Empty tables, in place of those of a durable server.
  mutating func makeTables() {
    guard let journal else { return }
    let durable = DurableTable(expectedKeys: configuration.expectedKeys, journal: journal)
    self.durable = durable
    engine = durable
    sessions = SessionTable(sessionsMax: configuration.sessionsMax, journal: journal)
  }

  /// Whether a datagram carries the rack's tag, in a rack with a key. One that does not is counted, and
  /// must not be given to the server. To be asked of all that comes from a network, before anything else.
  public mutating func mayTake(_ datagram: UnsafeRawBufferPointer) -> Bool {
    guard let keys, !keys.areOf(datagram, .toServer) else { return true }
    totals.wrongTags += 1
    return false
  }

  /// Serves one datagram. `fromDirectory`: its source is the directory's address, as the
  /// controller's messages' must be. `load`: requests waiting; `lateness`: how late the server is,
  /// in 10 microseconds; both go into replies. `origin`: who sent it, for `ServerDestination.origin`.
  public mutating func receive(
    _ datagram: UnsafeRawBufferPointer, fromDirectory: Bool, load: UInt16, lateness: UInt16,
    origin: RequestOrigin = RequestOrigin(), output: inout some ServerOutput
  ) {
    guard
      let arrival = Arrival(datagram, load: load, lateness: lateness, origin: origin),
      isForUs(arrival.header)
    else { return }
    guard !refuseForStorage(arrival, &output) else { return }
    let operation = arrival.header.operation
    if operation.isRequest {
      if operation != .hello { serve(arrival, &output) }
    } else if operation == .copy {
      storeCopy(arrival, &output)
    } else if operation == .slotCopy {
      storeSlotCopy(arrival, &output)
    } else if operation == .slotCopyAck {
      slotCopyAcknowledged(arrival)
    } else if operation == .mirror {
      storeMirror(arrival, &output)
    } else if operation == .mirrorAck {
      deleteAcknowledged(arrival)
    } else if fromDirectory {
      obey(arrival, &output)
    }
  }

  /// Answers a request for which there is no room, without serving it; a copy is dropped.
  public mutating func refuseBusy(
    _ datagram: UnsafeRawBufferPointer, load: UInt16, lateness: UInt16 = 0,
    output: inout some ServerOutput
  ) {
    guard let arrival = Arrival(datagram, load: load, lateness: lateness),
      isForUs(arrival.header), arrival.isWellFormedRequest, arrival.header.epoch == epoch
    else { return }
    let fence = fence(of: arrival)
    refuse(arrival, .busy, fence: fence.isForThisKey ? fence.generation : 0, &output)
  }

  /// Whether a datagram says that it is a copy or mirrored write to store; it is not checked.
  public static func isCopy(_ datagram: UnsafeRawBufferPointer) -> Bool {
    guard datagram.count > WireLimits.operationOffset else { return false }
    let operation = datagram[WireLimits.operationOffset]
    return operation == Operation.copy.rawValue || operation == Operation.mirror.rawValue
  }

  /// How a server of emulated capacity serves a datagram.
  public static func service(of datagram: UnsafeRawBufferPointer) -> ServiceClass {
    guard let header = try? Header(datagram: datagram), !header.flags.contains(.reply) else {
      return .atOnce
    }
    if header.operation == .copy || header.operation == .mirror { return .copy }
    return header.operation.isRequest ? .request : .atOnce
  }

  /// What is stored of a key, with its bytes copied: for tests and invariants.
  public func stored(
    _ key: [UInt8]
  ) -> (version: UInt64, kind: StoredRecord.Kind, value: [UInt8])? {
    key.withUnsafeBytes { bytes in
      engine.find(bytes, keyHash: KeyHash.of(bytes, seed: configuration.hashSeed)).map {
        ($0.version, $0.kind, Array($0.value))
      }
    }
  }

  /// Whether it is home of a slot, as far as it knows: for invariants.
  public func isHome(ofSlot slot: Int) -> Bool { slots.contains(slot) }

  /// Whether it is backup of a slot, as far as it knows: for invariants.
  public func isBackup(ofSlot slot: Int) -> Bool { slots.isBackup(slot, since: .max) }

  /// Its number, for the owners of several servers.
  public var number: UInt8 { configuration.number }

  // MARK: Checks that all messages share

  private func isForUs(_ header: Header) -> Bool {
    guard header.server == configuration.number, !header.flags.contains(.reply) else {
      return false
    }
    // A probe is how the controller learns the incarnation.
    return header.operation == .probe || header.incarnation == incarnation
      || faults.contains(.incarnationIgnored)
  }

  func hasRightHash(_ arrival: Arrival) -> Bool {
    KeyHash.of(arrival.key, seed: configuration.hashSeed) == arrival.header.keyHash
  }

  /// What the fence of the datagram's key hash says of its key.
  func fence(of arrival: Arrival) -> FenceReading {
    guard !fences.isEmpty, let fence = fences[arrival.header.keyHash] else {
      return FenceReading()
    }
    guard fence.isFor(arrival.key) else { return FenceReading(isForAnotherKey: true) }
    return FenceReading(
      isForThisKey: true, generation: fence.generation, coldVersion: fence.coldVersion,
      lossGeneration: fence.lossGeneration,
      evictedBirth: fence.evictedBirth, evictedGeneration: fence.evictedGeneration)
  }

  // MARK: Answers

  /// The generation of every reply: a read stamped before a promotion and answered after it must
  /// still move the directory.
  func replyGeneration(_ arrival: Arrival, fence: UInt64) -> UInt64 {
    if faults.contains(.replyGenerationFromRequest)
      || faults.contains(.fenceInWriteRepliesOnly) && arrival.header.operation == .get
    {
      return arrival.header.generation
    }
    return max(arrival.header.generation, fence)
  }

  /// The reply's header: the request's, with what this server fills in.
  func replyHeader(_ arrival: Arrival, _ status: Status, fence: UInt64) -> Header {
    var header = arrival.header.reply(status)
    header.server = configuration.number
    header.incarnation = incarnation
    header.load = arrival.load
    header.lateness = arrival.lateness
    header.generation = replyGeneration(arrival, fence: fence)
    return header
  }

  /// An answer that is not a result. It repeats the version that it was asked with.
  mutating func refuse(
    _ arrival: Arrival, _ status: Status, fence: UInt64 = 0, _ output: inout some ServerOutput
  ) {
    totals.refused += 1
    send(replyHeader(arrival, status, fence: fence), &output)
  }

  func send(
    _ header: Header, key: UnsafeRawBufferPointer = .init(start: nil, count: 0),
    value: UnsafeRawBufferPointer = .init(start: nil, count: 0),
    to destination: ServerDestination = .sender, _ output: inout some ServerOutput
  ) {
    var header = header
    header.keyLength = UInt16(key.count)
    header.valueLength = UInt16(value.count)
    output.send(header, key: key, value: value, to: destination)
  }
}

/// A datagram whose form is right.
struct Arrival {
  let header: Header
  let key: UnsafeRawBufferPointer
  let value: UnsafeRawBufferPointer
  let load: UInt16
  let lateness: UInt16
  let origin: RequestOrigin

  init?(
    _ datagram: UnsafeRawBufferPointer, load: UInt16, lateness: UInt16,
    origin: RequestOrigin = RequestOrigin()
  ) {
    guard let header = try? Header(datagram: datagram) else { return nil }
    self.header = header
    let keyEnd = WireLimits.headerLength + Int(header.keyLength)
    key = UnsafeRawBufferPointer(rebasing: datagram[WireLimits.headerLength..<keyEnd])
    value = UnsafeRawBufferPointer(rebasing: datagram[keyEnd...])
    self.load = load
    self.lateness = lateness
    self.origin = origin
  }

  /// What the directory lets through: anything else did not come from a client through it.
  var isWellFormedRequest: Bool {
    let reach = header.sequence &- header.acknowledged
    return header.operation.isRequest && header.operation != .hello && header.client != 0
      && header.status == .ok && !key.isEmpty && reach < UInt64(WireLimits.outstandingMax)
      && (header.operation.isWrite ? header.version != 0 : true)
      && (header.operation == .get || header.operation == .delete ? value.isEmpty : true)
  }
}

/// A copy of what a fence says, without its key.
struct FenceReading {
  var isForThisKey = false
  /// The hash stands for another key in the directory.
  var isForAnotherKey = false
  var generation: UInt64 = 0
  var coldVersion: UInt64 = 0
  var lossGeneration: UInt64 = 0
  var evictedBirth: UInt64 = 0
  var evictedGeneration: UInt64 = 0
}
