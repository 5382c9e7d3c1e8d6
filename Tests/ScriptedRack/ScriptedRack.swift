public import Sockets
internal import Synchronization
public import Wire

/// A rack for tests of clients: one thread that answers HELLO, GET, SET and DELETE on a loopback
/// socket from a dictionary, and misbehaves as its script says.
/// Its replies say that they are of four servers, each of its share of the key hashes.
public final class ScriptedRack: Sendable {
  /// What becomes of one attempt at a request.
  public enum Fate: Sendable {
    case serve
    /// The datagram is lost on its way to the rack.
    case loseRequest
    /// It takes effect, and the reply is lost.
    case loseReply
    case serveAndReplyTwice
    /// A read is answered with the value before the newest write, as no rack may.
    case serveStale
    /// It has no effect and is answered with this status, and with this version.
    case refuse(Status, version: UInt64 = 0)
  }

  /// Decides on a request and the number of the attempt at it, from 1.
  public typealias Script = @Sendable (_ header: Header, _ attempt: Int) -> Fate

  private let socket: UDPSocket
  private let wakeUp: WakeUp
  private let log = Mutex<[Message]>([])
  private let ended = Mutex(false)
  private let script: Script
  private let thread = Mutex<BackgroundThread?>(nil)

  public init(_ script: @escaping Script = { _, _ in .serve }) throws {
    self.script = script
    socket = try UDPSocket(bind: Endpoint(.loopback, port: 0), bufferLength: 1 << 20)
    wakeUp = try WakeUp()
  }

  /// Starts answering. `end` must be called.
  public func start() throws {
    let loop = ScriptedLoop(script)
    let running = try BackgroundThread(name: "scripted-rack", owning: loop) { [self] loop in
      do {
        try run(loop)
      } catch {
        preconditionFailure("the rack's socket failed: \(error)")
      }
    }
    thread.withLock { $0 = running }
  }

  /// Runs `body` with a rack that answers meanwhile.
  public static func running<Value>(
    _ script: @escaping Script = { _, _ in .serve },
    _ body: (ScriptedRack) async throws -> Value
  ) async throws -> Value {
    let rack = try ScriptedRack(script)
    try rack.start()
    defer { rack.end() }
    return try await body(rack)
  }

  /// Where it listens.
  public var endpoint: Endpoint { socket.local }

  /// Every datagram that came, in order, lost ones included.
  public var received: [Message] { log.withLock { $0 } }

  /// Stops answering, and waits for the thread's end.
  public func end() {
    ended.withLock { $0 = true }
    wakeUp.signal()
    thread.withLock { $0 }?.join()
  }

  private func run(_ loop: ScriptedLoop) throws {
    let poll = try EventPoll()
    try poll.add(socket.descriptor, token: 0)
    try poll.add(wakeUp.descriptor, token: 1)
    let batch = DatagramBatch(capacity: 64, datagramLengthMax: WireLimits.datagramLengthMax)
    while !ended.withLock({ $0 }) {
      try poll.wait(until: nil) { _, _ in }
      for index in 0..<(try batch.receive(from: socket)) {
        let message = try Message(datagram: batch[index])
        log.withLock { $0.append(message) }
        for reply in loop.answer(message) {
          _ = try reply.encoded().withUnsafeBytes { try socket.send($0, to: batch.sender(index)) }
        }
      }
    }
  }
}

/// What a scripted rack stores.
private final class ScriptedLoop {
  private struct RequestID: Hashable {
    let client: UInt64
    let sequence: UInt64
    let isHello: Bool
  }

  private let script: ScriptedRack.Script
  private var stored: [[UInt8]: (value: [UInt8]?, version: UInt64)] = [:]
  /// What was stored before the newest write.
  private var overwritten: [[UInt8]: (value: [UInt8]?, version: UInt64)] = [:]
  private var version = Version.first(ofEpoch: 1)
  private var attempts: [RequestID: Int] = [:]
  private var results: [RequestID: Message] = [:]

  init(_ script: @escaping ScriptedRack.Script) { self.script = script }

  func answer(_ message: Message) -> [Message] {
    let header = message.header
    let id = RequestID(
      client: header.client, sequence: header.sequence, isHello: header.operation == .hello)
    attempts[id, default: 0] += 1
    switch script(header, attempts[id, default: 0]) {
    case .loseRequest: return []
    case .refuse(let status, let version): return [reply(to: header, status, version: version)]
    case .serve: return [serve(message, id)]
    case .serveStale:
      guard header.operation == .get else { return [serve(message, id)] }
      return [read(overwritten[message.key], header)]
    case .serveAndReplyTwice:
      let reply = serve(message, id)
      return [reply, reply]
    case .loseReply:
      _ = serve(message, id)
      return []
    }
  }

  /// A write that was served before gets its result again.
  private func serve(_ message: Message, _ id: RequestID) -> Message {
    if let result = results[id] { return result }
    let header = message.header
    switch header.operation {
    case .set, .delete:
      version += 1
      overwritten[message.key] = stored[message.key]
      stored[message.key] = (header.operation == .set ? message.value : nil, version)
      let result = reply(to: header, .ok, version: version)
      results[id] = result
      return result
    case .get: return read(stored[message.key], header)
    default: return reply(to: header, .ok)
    }
  }

  private func read(_ found: (value: [UInt8]?, version: UInt64)?, _ header: Header) -> Message {
    reply(
      to: header, found?.value == nil ? .notFound : .ok, version: found?.version ?? 0,
      value: found?.value ?? [])
  }

  private func reply(
    to header: Header, _ status: Status, version: UInt64 = 0, value: [UInt8] = []
  ) -> Message {
    var reply = header.reply(status)
    reply.server = UInt8(header.keyHash % 4)
    reply.epoch = 1
    reply.generation = 3
    reply.version = version
    return Message(reply, value: value)
  }
}
