internal import Configuration
internal import Glibc
internal import Sockets
internal import Synchronization

/// Processes of a testbed that are killed, stopped and started again.
extension Testbed {
  /// The processes that a fault strikes.
  func members(of target: Fault.Target) throws(TestbedError) -> [TestbedState.Member] {
    let found: [TestbedState.Member]
    switch target {
    case .server(let number):
      found = state.members.filter { $0.role == "server \(number)" }
      if found.isEmpty, state.members.contains(where: { $0.role == "servers" }) {
        throw .run("one process hosts all servers of \(name) (one_process): it has no \(target)")
      }
    case .controller, .directory: found = state.members.filter { $0.role == "controller" }
    case .client(let number):
      // As `ScenarioRun` spreads the processes that record.
      found = state.members.filter { member in
        let words = member.role.split(separator: " ")
        return words.first == "load"
          && words.last.flatMap { Int($0) }.map { $0 % layout.clients.count == number } == true
      }
    case .servers, .clients, .nodes: found = []
    }
    guard !found.isEmpty else { throw .run("no process of \(name) belongs to \(target)") }
    return found
  }

  /// Ends a target's processes without warning.
  func killProcesses(_ target: Fault.Target) throws(TestbedError) {
    let members = try members(of: target)
    for member in members { member.identity.signal(SIGKILL) }
    let limit = ContinuousClock.now + .seconds(5)
    while members.contains(where: \.identity.isAlive) {
      for child in children.all { child.collect() }
      guard ContinuousClock.now < limit else {
        throw .run("\(target) does not end, in spite of SIGKILL")
      }
      usleep(1_000)
    }
  }

  /// Starts those of a target's processes that do not run, as they were started before.
  mutating func startProcesses(_ target: Fault.Target) throws(TestbedError) {
    for member in try members(of: target) where !member.identity.isAlive {
      try start(role: member.role, namespace: member.namespace, member.arguments)
    }
  }

  /// Stops a target's processes, or has them go on.
  func setStopped(_ isStopped: Bool, _ target: Fault.Target) throws(TestbedError) {
    for member in try members(of: target) {
      member.identity.signal(isStopped ? SIGSTOP : SIGCONT)
    }
  }
}

/// Lets processes run only part of the time, while it lives and until `end`.
final class SlowProcesses: Sendable {
  /// A slice of running and one of standing still, together.
  private static let period = 20_000.0  // microseconds

  private let isOver = Atomic(false)
  private let thread = Mutex<BackgroundThread?>(nil)

  init(_ processes: [ProcessIdentity], share: Double) throws(TestbedError) {
    let running = UInt32(Self.period * share)
    let standing = UInt32(Self.period) - running
    do throws(SocketError) {
      let thread = try BackgroundThread(name: "slow") { [self] in
        BackgroundThread.setTimerSlack(nanoseconds: 1)
        while !isOver.load(ordering: .acquiring) {
          for process in processes { process.signal(SIGSTOP) }
          usleep(standing)
          for process in processes { process.signal(SIGCONT) }
          usleep(running)
        }
      }
      self.thread.withLock { $0 = thread }
    } catch {
      throw .run("\(error)")
    }
  }

  func end() {
    isOver.store(true, ordering: .releasing)
    thread.withLock { $0 }?.join()
  }
}
