import Foundation
import Sockets
import Testing
import Wire

/// Durable servers as processes: killed, and on disks that fill up or fail.
@Suite(.serialized, .timeLimit(.minutes(3))) struct DurableServerTests {
  @Test func whatWasAcknowledgedBeforeAKillIsThereAfterIt() async throws {
    try await onThread {
      let folder = TestFolder()
      let rack = try OneServerRack(data: folder.path)
      var random = SystemRandomNumberGenerator()
      for round in 1...4 {
        try rack.start()
        #expect(try rack.admit() == (round > 1))
        if round > 1 { try rack.checkEverything() }
        try rack.load(milliseconds: 100 + Int.random(in: 0..<150, using: &random))
        rack.kill()
        try rack.takeLateAnswers()
        #expect(rack.acknowledged > round * 50)
      }
      try rack.start()
      #expect(try rack.admit())
      try rack.checkEverything()
      #expect(rack.stop() == 0)
    }
  }

  @Test func aDirectoryInUseAndAForeignOneAreSaid() async throws {
    try await onThread {
      let folder = TestFolder()
      let rack = try OneServerRack(data: folder.path)
      try rack.start()
      let second = try OneServerRack(data: folder.path)
      #expect(throws: (any Error).self) { try second.start() }
      #expect(second.complaint.contains("another process uses \(folder.path)/server-3"))
      #expect(rack.stop() == 0)
      let other = try OneServerRack(data: folder.path, seed: 9)
      #expect(throws: (any Error).self) { try other.start() }
      #expect(other.complaint.contains("is the data of server 3 of the rack"))
    }
  }

  @Test(.enabled(if: geteuid() == 0, "mounting a small disk needs root"))
  func aFullDiskStopsWritesOnlyAndOnlyWhileItIsFull() async throws {
    try await onThread {
      let folder = TestFolder()
      let disk = try SmallDisk(at: folder.path, megabytes: 40)
      defer { disk.end() }
      let rack = try OneServerRack(data: folder.path, launcher: disk.launcher)
      try rack.start()
      _ = try rack.admit()
      try rack.load(milliseconds: 100)
      try disk.fill()
      #expect(try rack.waits(for: .busy))
      #expect(rack.complaint.contains("no room is left on the disk"))
      try rack.checkReads()
      // What was acknowledged while it was full is there after a kill, too.
      rack.kill()
      try rack.takeLateAnswers()
      try rack.start()
      #expect(try rack.admit())
      try rack.checkReads()
      #expect(try rack.waits(for: .busy))
      try disk.clear()
      #expect(try rack.waits(for: .ok))
      try rack.checkEverything()
      #expect(rack.stop() == 0)
    }
  }

  @Test func aFailedWriteEndsTheProcess() async throws {
    try await onThread {
      let folder = TestFolder()
      // A limit of the length of files: the only way to make a disk fail without one.
      let rack = try OneServerRack(
        data: folder.path, launcher: ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"])
      try rack.start()
      _ = try rack.admit()
      try rack.load(milliseconds: 50)
      let limit = Process()
      limit.executableURL = URL(fileURLWithPath: "/usr/bin/prlimit")
      limit.arguments = ["--pid", "\(rack.process)", "--fsize=8192"]
      try limit.run()
      limit.waitUntilExit()
      try rack.load(milliseconds: 50)
      #expect(rack.waitForEnd() == 1)
      #expect(rack.complaint.contains("what was written last may not be on the disk"))
      try rack.start()
      #expect(try rack.admit())
      try rack.checkEverything()
      #expect(rack.stop() == 0)
    }
  }
}

/// The server does not answer.
private struct Silence: Error {
  var said: String
}

/// A directory of one test.
private final class TestFolder {
  let path = NSTemporaryDirectory() + "hotrack-durable-\(UUID().uuidString)"

  init() {
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A small file system of its own, which only its own mount namespace sees.
private final class SmallDisk {
  private let holder = Process()
  private let path: String

  init(at path: String, megabytes: Int) throws {
    self.path = path
    holder.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
    holder.arguments = [
      "--mount", "sh", "-c",
      "mount -t tmpfs -o size=\(megabytes)m none '\(path)' && echo mounted && exec sleep 170",
    ]
    let output = Pipe()
    holder.standardOutput = output
    try holder.run()
    #expect(output.fileHandleForReading.availableData.count > 0, "the disk is mounted")
  }

  /// What runs a program so that it sees the disk.
  var launcher: [String] {
    ["nsenter", "--target", "\(holder.processIdentifier)", "--mount", "--"]
  }

  private var filler: String { "/proc/\(holder.processIdentifier)/root\(path)/filler" }

  /// Leaves no room at all.
  func fill() throws {
    let file = open(filler, O_WRONLY | O_CREAT, 0o644)
    try #require(file >= 0)
    defer { close(file) }
    for length in [65_536, 1] {
      let bytes = [UInt8](repeating: 1, count: length)
      while write(file, bytes, length) == length {}
    }
    #expect(errno == ENOSPC)
  }

  func clear() throws { try FileManager.default.removeItem(atPath: filler) }

  func end() {
    kill(holder.processIdentifier, SIGKILL)
    holder.waitUntilExit()
  }
}

/// A server's process, with the test as its directory, controller and clients.
private final class OneServerRack {
  private static let clients = 64
  private static let keys = 300

  /// A write of a client, and what is known of it.
  private struct Write {
    var sequence: UInt64 = 0
    var key = 0
    var version: UInt64 = 0
    var isAcknowledged = true
  }

  /// Writes that were answered `ok`.
  private(set) var acknowledged = 0
  private let socket: UDPSocket
  private let poll: EventPoll
  private let batch = DatagramBatch(capacity: 128, datagramLengthMax: 2048)
  private let server: Endpoint
  private let arguments: [String]
  private var child = Process()
  private let errorFile: String
  private let seed: UInt64
  private var incarnation: UInt64 = 0
  private var writes = [Write](repeating: Write(), count: clients)
  private var counter: UInt64 = 0
  /// Of each key, the newest version that was acknowledged.
  private var newest = [UInt64](repeating: 0, count: keys)
  /// Of the controller's steps: one for each start.
  private var generation: UInt64 = 1 << 48 | 1

  init(data: String, launcher: [String] = [], seed: UInt64 = 0) throws {
    socket = try UDPSocket(bind: Endpoint(.loopback, port: 0))
    poll = try EventPoll()
    try poll.add(socket.descriptor, token: 0)
    server = try UDPSocket(bind: Endpoint(.loopback, port: 0)).local
    self.seed = seed
    errorFile = NSTemporaryDirectory() + "hotrack-durable-\(UUID().uuidString).log"
    let executable = Bundle.main.bundleURL.appendingPathComponent("hotrack").path
    arguments =
      launcher + [
        executable, "server", "--number", "3", "--listen", "\(server)", "--directory",
        "127.0.0.1", "--engine", "rocksdb", "--data", data, "--reserve-mb", "8", "--seed",
        "\(seed)",
      ]
  }

  deinit {
    if child.isRunning { kill() }
    unlink(errorFile)
  }

  var process: Int32 { child.processIdentifier }

  /// What it has said on standard error.
  var complaint: String { (try? String(contentsOfFile: errorFile, encoding: .utf8)) ?? "" }

  // MARK: The process

  /// Starts it and waits for its greeting.
  func start() throws {
    child = Process()
    child.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    child.arguments = arguments
    let output = Pipe()
    child.standardOutput = output
    _ = FileManager.default.createFile(atPath: errorFile, contents: nil)
    child.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: errorFile))
    try child.run()
    guard output.fileHandleForReading.availableData.count > 0 else {
      child.waitUntilExit()
      throw Silence(said: complaint)
    }
  }

  func kill() {
    Foundation.kill(child.processIdentifier, SIGKILL)
    child.waitUntilExit()
  }

  func stop() -> Int32 {
    child.terminate()
    return waitForEnd()
  }

  func waitForEnd() -> Int32 {
    child.waitUntilExit()
    return child.terminationStatus
  }

  // MARK: Its controller

  /// Admits it with the state that it offers; returns whether it offers what we know of it.
  func admit() throws -> Bool {
    let answer = try ask(.probe) { $0.incarnation = 0 }
    let body = try ProbeBody(decoding: answer.value)
    #expect(body.conditions.contains(.durable) && !body.conditions.contains(.damaged))
    let isKnown = incarnation != 0 && body.recovered == incarnation
    #expect(body.recovered == incarnation)
    incarnation = answer.header.incarnation
    generation += 1
    _ = try ask(.admit) { $0.version = body.recovered }
    _ = try ask(
      .slotsSet,
      SlotsBody(runs: [SlotRun(first: 0, count: UInt16(WireLimits.slots))], keyHashes: [])
        .encoded())
    return isKnown
  }

  private func ask(
    _ operation: Wire.Operation, _ value: [UInt8] = [], _ change: (inout Header) -> Void = { _ in }
  ) throws -> Message {
    var header = header(operation)
    counter += 1
    header.sequence = counter
    change(&header)
    for _ in 0..<200 {
      try send(Message(header, value: value))
      let answers = try receive(milliseconds: 50)
      if let answer = answers.first(where: {
        $0.header.operation.rawValue == operation.rawValue + 1
      }) {
        return answer
      }
    }
    throw Silence(said: complaint)
  }

  private func header(_ operation: Wire.Operation) -> Header {
    var header = Header(operation)
    header.server = 3
    header.epoch = 1
    header.incarnation = incarnation
    header.generation = generation
    return header
  }

  // MARK: Its clients

  /// Writes as fast as it answers.
  func load(milliseconds: Int) throws {
    let end = MonotonicClock.now + UInt64(milliseconds) * 1_000_000
    while MonotonicClock.now < end {
      for client in 0..<Self.clients where writes[client].isAcknowledged {
        writes[client].sequence += 1
        counter += 1
        writes[client].version = 1 << 48 | counter
        writes[client].key = Int.random(in: 0..<Self.keys)
        writes[client].isAcknowledged = false
        try send(request(client))
      }
      try take(milliseconds: 20)
    }
  }

  /// Answers that it sent before it was killed.
  func takeLateAnswers() throws { try take(milliseconds: 20) }

  private func take(milliseconds: Int) throws {
    for answer in try receive(milliseconds: milliseconds)
    where answer.header.operation == .set && answer.header.status == .ok {
      let client = Int(answer.header.client >> 22) - 1
      guard answer.header.sequence == writes[client].sequence, !writes[client].isAcknowledged
      else { continue }
      #expect(answer.header.version == writes[client].version)
      writes[client].isAcknowledged = true
      acknowledged += 1
      newest[writes[client].key] = max(newest[writes[client].key], answer.header.version)
    }
  }

  /// The last write of a client, under another version if it is sent again.
  private func request(_ client: Int, version: UInt64? = nil) -> Message {
    let write = writes[client]
    var header = header(.set)
    let key = Array("key \(write.key)".utf8)
    header.keyHash = KeyHash.of(key, seed: seed)
    header.client = UInt64(client + 1) << 22
    header.sequence = write.sequence
    header.acknowledged = write.sequence
    header.version = version ?? write.version
    header.firstGeneration = generation
    header.knownGeneration = generation
    // The value says which version it is of.
    return Message(header, key: key, value: Array("\(write.version)".utf8))
  }

  /// Sends the last write of each client again: what was acknowledged has the result of the first
  /// time. Then reads everything.
  func checkEverything() throws {
    for client in writes.indices where writes[client].sequence > 0 {
      counter += 1
      let again = request(client, version: 1 << 48 | counter)
      let reply = try perform(again)
      #expect(reply.header.status == .ok)
      if writes[client].isAcknowledged {
        #expect(reply.header.version == writes[client].version)
      } else {
        // Executed the first time, or now.
        #expect([writes[client].version, again.header.version].contains(reply.header.version))
        writes[client].isAcknowledged = true
        newest[writes[client].key] = max(newest[writes[client].key], reply.header.version)
      }
    }
    try checkReads()
  }

  /// Every key has the newest acknowledged version, or one that is newer and was not acknowledged.
  func checkReads() throws {
    for key in 0..<Self.keys {
      var header = header(.get)
      let bytes = Array("key \(key)".utf8)
      header.keyHash = KeyHash.of(bytes, seed: seed)
      counter += 1
      header.client = UInt64(Self.clients + 1) << 22
      (header.sequence, header.acknowledged) = (counter, counter)
      let reply = try perform(Message(header, key: bytes))
      guard newest[key] > 0 else { continue }
      #expect(reply.header.status == .ok && reply.header.version >= newest[key], "key \(key)")
    }
  }

  /// Sends writes until one has this answer.
  func waits(for status: Status) throws -> Bool {
    let end = MonotonicClock.now + 15_000_000_000
    while MonotonicClock.now < end {
      try load(milliseconds: 10)
      for client in 0..<4 where !writes[client].isAcknowledged {
        let reply = try perform(request(client))
        if reply.header.status == .ok {
          writes[client].isAcknowledged = true
          newest[writes[client].key] = max(newest[writes[client].key], reply.header.version)
        }
        if reply.header.status == status { return true }
      }
      if status == .ok, writes.prefix(4).allSatisfy(\.isAcknowledged) { return true }
    }
    return false
  }

  private func perform(_ request: Message) throws -> Message {
    for _ in 0..<200 {
      try send(request)
      let replies = try receive(milliseconds: 50)
      if let reply = replies.first(where: {
        $0.header.flags.contains(.reply) && $0.header.client == request.header.client
          && $0.header.sequence == request.header.sequence
      }) {
        return reply
      }
    }
    throw Silence(said: complaint)
  }

  private func send(_ message: Message) throws {
    try message.encoded().withUnsafeBytes { _ = try socket.send($0, to: server) }
  }

  private func receive(milliseconds: Int) throws -> [Message] {
    try poll.wait(until: MonotonicClock.now + UInt64(milliseconds) * 1_000_000) { _, _ in }
    try batch.receive(from: socket)
    return (0..<batch.count).compactMap { try? Message(datagram: batch[$0]) }
  }
}

/// A task's thread must not wait for a process.
private func onThread(_ body: @escaping @Sendable () throws -> Void) async throws {
  try await withCheckedThrowingContinuation { continuation in
    Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
  }
}
