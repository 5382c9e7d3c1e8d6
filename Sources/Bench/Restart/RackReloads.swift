internal import Configuration
internal import Controller
internal import ControllerCore
internal import Glibc
internal import Sockets
internal import Testbed

/// Rack files that follow one another: what an operator may change while a rack runs.
struct RackReloads {
  enum Step: String, CaseIterable {
    case policy = "policy"
    case drained = "a server drained"
    case removed = "the server removed"
    case added = "the server added anew"
  }

  static let steps = Step.allCases
  private var done = 0
  /// While it is not in the file.
  private var removed: RackFile.Server?

  /// Makes the next one, and waits until the rack is as it says. Throws if the controller refuses it.
  mutating func reload(
    _ bed: inout Testbed, _ interruption: Interruption
  ) throws -> RestartResult.Reload {
    let step = Self.steps[done % Self.steps.count]
    done += 1
    var file = try bed.rackFile()
    guard let last = file.servers.indices.last else { throw TestbedError.run("no server is left") }
    switch step {
    case .policy:
      file.policy.hotKeysMax = 300 + done
      file.policy.choice = file.policy.choice == .roundRobin ? .load : .roundRobin
    case .drained: file.servers[last].isDrained = true
    case .removed: removed = file.servers.removeLast()
    case .added:
      if var server = removed {
        server.isDrained = false
        file.servers.append(server)
      }
    }
    let begin = MonotonicClock.now
    let answer = try bed.reload(file)
    guard answer.ok else {
      throw TestbedError.run(
        "the controller refuses a rack file (\(step.rawValue)): \(answer.error ?? "")")
    }
    let answered = MonotonicClock.now
    try wait(bed, step, file, interruption)
    return RestartResult.Reload(
      what: step.rawValue, milliseconds: Double(answered - begin) / 1e6,
      secondsUntilSettled: Double(MonotonicClock.now - begin) / 1e9)
  }

  private func wait(
    _ bed: Testbed, _ step: Step, _ file: RackFile, _ interruption: Interruption
  ) throws {
    let limit = MonotonicClock.now + 60_000_000_000
    while true {
      try interruption.check()
      let servers = try bed.ask(.servers).servers ?? []
      let isDone =
        switch step {
        case .policy, .removed: servers.count == file.servers.count
        case .drained: servers.last?.phase == .drained
        case .added: servers.last.map { $0.phase == .alive && $0.slots > 0 } ?? false
        }
      if isDone && servers.count == file.servers.count { return }
      guard MonotonicClock.now < limit else {
        throw TestbedError.run("the rack is not as its file says after 60 s: \(step.rawValue)")
      }
      usleep(2_000)
    }
  }
}
