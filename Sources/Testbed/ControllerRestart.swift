package import Configuration
package import Controller
internal import DataPlane
internal import Glibc
internal import Sockets

/// How a testbed's controller is replaced by another one.
package enum ControllerChange: String, Sendable, CaseIterable, Codable {
  /// It dies at any moment (SIGKILL), and the next one begins.
  case crash
  /// It is told to stop (SIGTERM); the next one puts a program of its own on every interface.
  case upgrade
}

extension Testbed {
  /// Takes away the data plane that its controllers have left for their successors, if there is one.
  static func removeDataPlane(of name: String) throws(TestbedError) {
    // A killed process is a zombie as soon as its first thread has ended; the others may hold its
    // files for a while.
    let limit = ContinuousClock.now + .seconds(5)
    while PinDirectory.exists(rack: name) {
      do throws(DataPlaneError) {
        return try PinDirectory(rack: name).remove()
      } catch {
        guard case .pinsTaken = error, ContinuousClock.now < limit else {
          throw .run("\(error)")
        }
        usleep(5_000)
      }
    }
  }

  /// The process that runs as the testbed's controller, as it was started last.
  package var controllerProcess: ProcessIdentity? {
    state.members.first { $0.role == "controller" }?.identity
  }

  /// Writes a new rack file and has the running controller read it. Returns its answer, be it a refusal.
  package func reload(_ rack: RackFile) throws -> ControlAnswer {
    try TestbedFolder.write(rack.text, to: "\(folder)/rack.toml")
    return try ControlClient(socket: controlSocket).exchange(ControlRequest(.reload))
  }

  /// The rack file as it is.
  package func rackFile() throws(ConfigurationError) -> RackFile {
    try RackFile(file: "\(folder)/rack.toml")
  }

  /// Ends the controller and starts another one, which goes on with the directory that is running.
  /// Returns how long nobody had it, in nanoseconds: from the signal until the next one answers.
  package mutating func changeController(
    _ change: ControllerChange, _ interruption: Interruption? = nil
  ) throws(TestbedError) -> UInt64 {
    guard let old = controllerProcess else { throw .run("the testbed has no controller") }
    let begin = MonotonicClock.now
    old.signal(change == .crash ? SIGKILL : SIGTERM)
    if !ProcessTable.end([old], patience: 10).isEmpty {
      throw .run("the controller (process \(old.process)) does not end")
    }
    let child = try start(
      role: "controller", namespace: layout.directoryNamespace,
      [executable, "controller", "--config", "\(folder)/rack.toml"]
        + (change == .upgrade ? ["--replace-program"] : []))
    try wait(
      for: "the next controller answers", seconds: 20, while: [("controller", child)],
      interruption
    ) {
      (try? ask(.status).status)?.process == child.identity.process
    }
    return MonotonicClock.now - begin
  }
}
