import Controller
import ControllerCore
import DataPlane
import Directory
import Foundation
import Logging
import Sockets
import Synchronization
import Wire

@testable import Controller

/// A directory in plain memory, with samples and counts that the test makes up.
final class FakePlane: DirectoryPlane {
  let memory = DirectoryMemory(buckets: 64)
  let samples = Mutex<[SampleRecord]>([])
  let graces = Mutex(0)
  /// Interfaces that a reload has attached.
  let attached = Mutex<[String]>([])

  func entryCounts(_ entries: [UInt32]) -> [(reads: UInt64, writes: UInt64)] {
    entries.map { _ in (0, 0) }
  }

  func drainSamples(_ body: (SampleRecord) -> Void) -> Int {
    let taken = samples.withLock { samples in
      defer { samples = [] }
      return samples
    }
    for sample in taken { body(sample) }
    return taken.count
  }

  func awaitGrace() { graces.withLock { $0 += 1 } }

  func packetCounts() -> [(name: String, packets: UInt64)] {
    [("hot_read", 5), ("drop_malformed", 2)]
  }

  func packetsByProcessor() -> [UInt64] { [3, 4] }

  /// Different everywhere, so that mixing them up shows.
  func steeredCounts() -> [UInt64] { (0..<128).map { 1000 + UInt64($0) } }

  var kind: PlaneKind { .tc }

  func attachModes() -> [(interface: String, mode: AttachMode?)] {
    [("s0", .native), ("s1", .generic), ("s2", nil)]
  }

  func attach(interface name: String) throws(DataPlaneError) -> AttachMode {
    if name == "none" { throw .noSuchInterface(name) }
    attached.withLock { $0.append(name) }
    return .native
  }

  func detach(interface name: String) throws(DataPlaneError) {
    attached.withLock { $0.removeAll { $0 == name } }
  }
}

/// A controller's loop on a thread of its own, on loopback and plain memory.
final class TestController {
  let plane = FakePlane()
  let scratch: Scratch
  let controlEndpoint: Endpoint
  let socket: String
  /// What it was started with.
  let options: ControllerOptions
  private let stop: WakeUp
  private let thread: BackgroundThread
  private let failure: Failure

  private final class Failure: Sendable {
    let error = Mutex<(any Error)?>(nil)
  }

  /// `change` sets what differs from the usual policy and times.
  init(
    servers: [UInt8: Endpoint], change: (inout ControllerOptions) -> Void = { _ in },
    reload: WakeUp? = nil,
    readOptions: (@Sendable () throws(ReloadRefusal) -> ControllerOptions)? = nil
  ) throws {
    scratch = try Scratch()
    socket = scratch["socket"]
    stop = try WakeUp()
    failure = Failure()
    let datagrams = try UDPSocket(bind: Endpoint(.loopback, port: 0))
    controlEndpoint = datagrams.local
    var options = ControllerOptions(
      name: "test", rack: Endpoint(.loopback, port: 9), controlPort: controlEndpoint.port,
      interfaces: ["lo"], buckets: 64, stateFile: scratch["state"], socket: socket,
      servers: servers.sorted { $0.key < $1.key }.map {
        .init(number: $0.key, endpoint: $0.value, interface: "lo", mac: [0, 0, 0, 0, 0, 0])
      })
    options.times.probe = 20_000_000
    change(&options)
    self.options = options
    let (plane, stop, failure) = (plane, stop, failure)
    let started = DispatchSemaphore(value: 0)
    thread = try BackgroundThread(name: "controller") { [options] in
      do {
        let listener = try ControlListener(path: options.socket)
        let core = ControllerCore(options.core(epoch: 3, places: try options.serverPlaces()))
        let loop = try ControllerLoop(
          options, core: core, plane: plane, socket: datagrams, listener: listener, stop: stop,
          reload: reload, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
          onServing: {})
        loop.readOptions = readOptions
        try loop.begin()
        started.signal()
        try loop.run()
      } catch {
        failure.error.withLock { $0 = error }
        started.signal()
      }
    }
    started.wait()
  }

  deinit { end() }

  /// Stops it and waits for its end.
  func end() {
    stop.signal()
    thread.join()
  }

  /// What made the loop end by itself.
  var error: (any Error)? { failure.error.withLock { $0 } }

  func ask(_ request: ControlRequest) throws -> ControlAnswer {
    try ControlClient(socket: socket).ask(request)
  }

  func status() throws -> ControlStatus {
    guard let status = try ask(ControlRequest(.status)).status else { throw Missing() }
    return status
  }

  func keys() throws -> [ControlKey] {
    guard let keys = try ask(ControlRequest(.keys)).keys else { throw Missing() }
    return keys
  }

  func servers() throws -> [ControlServer] {
    guard let servers = try ask(ControlRequest(.servers)).servers else { throw Missing() }
    return servers
  }

  func events() throws -> [String] {
    guard let events = try ask(ControlRequest(.events)).events else { throw Missing() }
    return events.map(\.text)
  }

  struct Missing: Error {}
}

/// Waits for a condition that other threads bring about. The limit is for a test that fails.
func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
  let limit = MonotonicClock.now + 20_000_000_000
  while MonotonicClock.now < limit {
    if try condition() { return true }
    usleep(2000)
  }
  return false
}

/// A plain connection to a control socket, for what a `ControlClient` would not do.
final class RawReader {
  let descriptor: Int32

  init(_ path: String) throws {
    descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    guard LocalSocket.call(connect, descriptor, path: path) == 0 else {
      throw ControlClientError.noController(socket: path)
    }
    var limit = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(
      descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(descriptor) }

  /// False: the other end is gone.
  @discardableResult
  func write(_ bytes: [UInt8]) -> Bool {
    send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
  }

  @discardableResult
  func write(_ text: String) -> Bool { write(Array(text.utf8)) }

  /// The next `count` lines; fewer if the other end closes.
  func lines(_ count: Int) -> [String] {
    var bytes: [UInt8] = []
    while bytes.count(where: { $0 == UInt8(ascii: "\n") }) < count {
      var part = [UInt8](repeating: 0, count: 65_536)
      let length = recv(descriptor, &part, part.count, 0)
      guard length > 0 else { break }
      bytes += part[..<length]
    }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  /// The other end has closed the connection.
  var isClosed: Bool {
    var byte: UInt8 = 0
    return recv(descriptor, &byte, 1, 0) == 0
  }
}
