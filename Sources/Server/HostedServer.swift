internal import DurableStore
internal import Logging
internal import ServerCore
internal import Sockets
internal import Wire

/// One server on its socket. Not thread-safe: the loop's thread owns it.
final class HostedServer {
  let socket: UDPSocket
  let number: UInt8
  private let directory: Endpoint
  private var core: ServerCore
  private var output: SocketOutput
  private let queue: EmulatedQueue?
  private let storage: ServerStorage?
  private let logger: Logger
  /// Requests that found no room.
  private(set) var refusedBusy: UInt64 = 0

  /// Reads what an earlier start has left, and opens the socket.
  init(_ options: ServerOptions, logger: Logger) throws(ServerError) {
    number = options.number
    directory = options.directory
    self.logger = logger
    let configuration = ServerConfiguration(
      number: options.number, incarnation: options.incarnation, hashSeed: options.hashSeed,
      sessionsMax: options.sessionsMax, expectedKeys: options.expectedKeys,
      renewalSeed: .random(in: .min ... .max))
    do throws(StoreError) {
      storage = try Self.storage(options, logger)
      core = try storage?.load(configuration) ?? ServerCore(configuration)
    } catch {
      throw .store(error)
    }
    socket = try onSockets { () throws(SocketError) in
      try UDPSocket(
        bind: options.listen, bufferLength: options.bufferLength, in: options.namespace)
    }
    output = SocketOutput(socket: socket, directory: options.directory, storage: storage)
    queue = options.capacity.map {
      EmulatedQueue(
        operationsPerSecond: $0, capacity: options.queueMax,
        datagramLengthMax: WireLimits.datagramLengthMax)
    }
    keys = options.keys
    useKeys()
  }

  private static func storage(
    _ options: ServerOptions, _ logger: Logger
  ) throws(StoreError) -> ServerStorage? {
    guard case .rocksdb(let directory, let reserve) = options.engine else { return nil }
    var settings = DurableStore.Settings()
    settings.reserve = reserve
    return ServerStorage(
      try DurableStore(
        path: "\(directory)/server-\(options.number)",
        identity: DataIdentity(
          rack: "\(options.directory)", hashSeed: options.hashSeed, server: options.number),
        settings), logger: logger)
  }

  /// What the rack's datagrams are tagged with from now on.
  var keys: RackKeys? { didSet { useKeys() } }

  private func useKeys() {
    core.keys = keys
    output.keys = keys
  }

  /// Drops and counts what lacks the rack's tag.
  private func mayTake(_ datagram: UnsafeRawBufferPointer, from sender: Endpoint) -> Bool {
    if core.mayTake(datagram) { return true }
    if core.totals.wrongTags == 1 {
      logger.warning(
        """
        server \(number): a datagram from \(sender) without the rack's tag was dropped, as all such are: if \
        the rack has admitted no server of this key, look whether the key is the rack's
        """)
    }
    return false
  }

  var totals: ServerTotals {
    ServerTotals(
      core.totals, number: number, refusedBusy: refusedBusy, unsent: output.unsent,
      storage: storage?.totals)
  }

  /// When something is to be done; nil: nothing is.
  var nextDue: UInt64? {
    if hasUnsent { return 0 }
    guard let storage else { return queue?.nextDue }
    return min(queue?.nextDue ?? .max, storage.nextDue)
  }

  /// The kernel had no room for all answers; they are tried again in the next round.
  var hasUnsent: Bool { !output.isEmpty }

  // MARK: Receiving

  /// Takes what has arrived, through `batch`, and serves or queues it. At most so much that no
  /// socket keeps the others waiting: one batch; where answers wait for the disk, several, since one
  /// sync is then for all of them.
  func receive(through batch: DatagramBatch) throws(ServerError) {
    let now = queue == nil && storage == nil ? 0 : MonotonicClock.now
    for _ in 0..<(storage == nil ? 1 : Self.batchesPerCommit) {
      let count = try onSockets { () throws(SocketError) in try batch.receive(from: socket) }
      if queue == nil {
        serveAll(of: batch)
      } else {
        for index in 0..<count { enqueue(batch[index], from: batch.sender(index), now: now) }
      }
      if count < batch.capacity { break }
    }
    try answer(now: now)
  }

  /// Batches of datagrams whose changes share one sync, at most.
  private static let batchesPerCommit = 8

  /// Sends the answers, if what they tell of is durable.
  private func answer(now: UInt64) throws(ServerError) {
    if let storage {
      do throws(StoreError) {
        if try !storage.settle(&core, now: now) { output.removeAll() }
      } catch {
        throw .store(error)
      }
    }
    output.flush()
  }

  /// Copies first: a hot key is not spread again before they are stored. The queue of a real server
  /// is what is left to do of what has arrived.
  private func serveAll(of batch: DatagramBatch) {
    var left = batch.count
    func serve(copies: Bool) {
      for index in 0..<batch.count where ServerCore.isCopy(batch[index]) == copies {
        left -= 1
        guard mayTake(batch[index], from: batch.sender(index)) else { continue }
        self.serve(batch[index], from: batch.sender(index), load: left, lateness: 0)
      }
    }
    serve(copies: true)
    serve(copies: false)
  }

  /// Serves what is due by now in the emulated queue, and looks after the storage.
  func serveDue(now: UInt64) throws(ServerError) {
    if let queue {
      while queue.serveFirst(
        dueBy: now,
        { datagram, sender, due in
          serve(
            datagram, from: sender, load: queue.count,
            lateness: UInt16(clamping: (now - due) / 10_000))
        })
      {}
    }
    try answer(now: now)
  }

  private func enqueue(_ datagram: UnsafeRawBufferPointer, from sender: Endpoint, now: UInt64) {
    guard let queue, mayTake(datagram, from: sender) else { return }
    let service = ServerCore.service(of: datagram)
    guard service != .atOnce else {
      serve(datagram, from: sender, load: queue.count, lateness: 0)
      return
    }
    guard !queue.append(datagram, from: sender, isCopy: service == .copy, now: now) else {
      return
    }
    refusedBusy += 1
    output.sender = sender
    core.refuseBusy(datagram, load: UInt16(clamping: queue.count), output: &output)
  }

  private func serve(
    _ datagram: UnsafeRawBufferPointer, from sender: Endpoint, load: Int, lateness: UInt16
  ) {
    output.sender = sender
    core.receive(
      datagram, fromDirectory: sender.address == directory.address,
      load: UInt16(clamping: load), lateness: lateness,
      origin: RequestOrigin(
        high: sender.address.high, low: sender.address.low, port: sender.port),
      output: &output)
  }
}

/// Sends what a core wants sent, in batches.
private struct SocketOutput: ServerOutput {
  /// The source of the datagram that is being served.
  var sender = Endpoint.any
  /// Answers that the kernel had no room for and that found no room here either: lost datagrams.
  private(set) var unsent: UInt64 = 0
  /// Sign all that is sent.
  var keys: RackKeys?

  private let socket: UDPSocket
  private let directory: Endpoint
  private let storage: ServerStorage?
  private let batch: DatagramBatch

  /// `storage`: what has to be durable before an answer leaves.
  init(socket: UDPSocket, directory: Endpoint, storage: ServerStorage?) {
    self.socket = socket
    self.directory = directory
    self.storage = storage
    batch = DatagramBatch(
      capacity: storage == nil ? 64 : 1024, datagramLengthMax: WireLimits.datagramLengthMax,
      joinsDatagrams: true)
  }

  var isEmpty: Bool { batch.isEmpty }

  mutating func send(
    _ header: Header, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer,
    to destination: ServerDestination
  ) {
    if batch.isFull {
      if storage?.settleInRound() == false { removeAll() }
      flush()
    }
    let receiver =
      switch destination {
      case .sender: sender
      case .directory: directory
      case .origin(let origin):
        Endpoint(IPAddress(high: origin.high, low: origin.low), port: origin.port)
      }
    let isAdded = batch.append(to: receiver) { room in
      header.encode(into: room)
      let keyEnd = WireLimits.headerLength + key.count
      UnsafeMutableRawBufferPointer(rebasing: room[WireLimits.headerLength..<keyEnd])
        .copyMemory(from: key)
      UnsafeMutableRawBufferPointer(rebasing: room[keyEnd...]).copyMemory(from: value)
      keys?.sign(room, .fromServer)
      return keyEnd + value.count
    }
    if !isAdded { unsent += 1 }
  }

  /// Drops all answers: they tell of what is not durable. Clients ask again.
  mutating func removeAll() {
    unsent += UInt64(batch.count)
    batch.removeAll()
  }

  /// Hands over to the kernel what it has room for. A datagram that it refuses for good is a lost
  /// one, as any datagram may be: the client asks again.
  mutating func flush() {
    guard !batch.isEmpty else { return }
    do {
      try batch.send(on: socket)
    } catch {
      unsent += UInt64(batch.count)
      batch.removeAll()
    }
  }
}
