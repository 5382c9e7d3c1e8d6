package import DataPlane
package import Directory
internal import Glibc
internal import Sockets
internal import Synchronization

/// What a controller needs of a data plane: the one in the kernel, or plain memory in tests.
package protocol DirectoryPlane: AnyObject, Sendable {
  /// Changed by the controller's thread only.
  var memory: DirectoryMemory { get }
  /// Requests for directory entries since the place was last reset, or ever.
  func entryCounts(_ entries: [UInt32]) -> [(reads: UInt64, writes: UInt64)]
  /// Gives `body` every waiting sample, and returns how many there were.
  func drainSamples(_ body: (SampleRecord) -> Void) -> Int
  /// Returns when every packet that was being handled has been. Called on a thread of its own.
  func awaitGrace()
  /// Packets by the name of what they were counted as.
  func packetCounts() -> [(name: String, packets: UInt64)]
  /// Packets by the processor that has handled them.
  func packetsByProcessor() -> [UInt64]
  /// For each of the 32 servers four counts: reads, writes and copies sent there, and replies.
  func steeredCounts() -> [UInt64]
  /// Where in the kernel it is.
  var kind: PlaneKind { get }
  /// How the program runs on each interface; nil: something has taken it off.
  func attachModes() -> [(interface: String, mode: AttachMode?)]
  /// Has the program handle what arrives at an interface, and says how it runs there.
  @discardableResult
  func attach(interface name: String) throws(DataPlaneError) -> AttachMode
  /// Takes the program off an interface.
  func detach(interface name: String) throws(DataPlaneError)
}

extension DataPlane: DirectoryPlane {
  package func packetCounts() -> [(name: String, packets: UInt64)] {
    counters().all.map { ($0.counter.description, $0.packets) }
  }

  package func steeredCounts() -> [UInt64] {
    serverCounts().flatMap { [$0.reads, $0.writes, $0.copies, $0.replies] }
  }
}

/// Waits for grace periods on a thread of its own, since they take milliseconds. Requests that
/// come while it waits share the next one.
final class GraceWaiter: Sendable {
  private let queue: GraceQueue
  private let thread: BackgroundThread
  /// Readable when there are finished tokens.
  var finished: WakeUp { queue.finished }

  init(_ plane: any DirectoryPlane) throws(SocketError) {
    let queue = try GraceQueue()
    self.queue = queue
    thread = try BackgroundThread(name: "grace") { queue.serve(plane) }
  }

  deinit {
    queue.ask { $0.isStopping = true }
    thread.join()
  }

  func wait(token: UInt64) { queue.ask { $0.waiting.append(token) } }

  /// The tokens whose grace period is over, in the order in which they were given.
  func takeFinished() -> [UInt64] {
    finished.clear()
    return queue.state.withLock { state in
      defer { state.finished = [] }
      return state.finished
    }
  }
}

private final class GraceQueue: Sendable {
  struct State {
    var waiting: [UInt64] = []
    var finished: [UInt64] = []
    var isStopping = false
  }

  let state = Mutex(State())
  let finished: WakeUp
  private let asked: WakeUp

  init() throws(SocketError) {
    finished = try WakeUp()
    asked = try WakeUp()
  }

  func ask(_ change: (inout State) -> Void) {
    state.withLock { change(&$0) }
    asked.signal()
  }

  func serve(_ plane: any DirectoryPlane) {
    while true {
      var descriptor = pollfd(fd: asked.descriptor, events: Int16(POLLIN), revents: 0)
      _ = poll(&descriptor, 1, -1)
      asked.clear()
      let (tokens, isStopping) = state.withLock { state in
        defer { state.waiting = [] }
        return (state.waiting, state.isStopping)
      }
      if isStopping { return }
      guard !tokens.isEmpty else { continue }
      plane.awaitGrace()
      state.withLock { $0.finished += tokens }
      finished.signal()
    }
  }
}
