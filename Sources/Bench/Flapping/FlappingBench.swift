internal import Controller
internal import ControllerCore
internal import Glibc
internal import LoadGenerator
public import Testbed

/// Measures whether a load whose hot keys alternate makes the directory swing.
public struct FlappingBench {
  private let plan: FlappingPlan
  private let interruption: Interruption
  /// Measurements that the machine was too busy for are repeated so often.
  private static let repetitions = 2

  public init(_ plan: FlappingPlan, interruption: Interruption) {
    self.plan = plan
    self.interruption = interruption
  }

  /// Brings up the rack, measures, and takes everything down again, also on failure.
  ///
  /// - Throws: `TestbedError`, `LoadError` or `ControlClientError`, each with a way out.
  public func run(progress: (String) -> Void) throws -> FlappingResult {
    try BenchTestbed.with(plan.file, interruption: interruption, progress: { progress($0) }) {
      bed in
      var cases: [FlappingResult.Case] = []
      for clock in plan.clocks {
        for factor in plan.factors {
          cases.append(try measure(bed, clock, factor, fill: cases.isEmpty, progress))
        }
      }
      return FlappingResult(plan, cases)
    }
  }

  private func measure(
    _ bed: Testbed, _ clock: FlappingPlan.Clock, _ factor: Double, fill: Bool,
    _ progress: (String) -> Void
  ) throws -> FlappingResult.Case {
    let phase = plan.phase(clock, factor)
    let title = "\(clock.rawValue) x \(factor)"
    try setAutomatic(false, bed)
    let home = try load(bed, phase, fill: fill) { progress("\(title), home: \($0)") }
    try setAutomatic(true, bed)
    let before = try watch(bed)
    let replicated = try load(bed, phase, fill: false) { progress("\(title), replicated: \($0)") }
    let after = try watch(bed)
    return FlappingResult.Case(
      plan, clock: clock, factor: factor, home: home, replicated: replicated, before, after)
  }

  private func load(
    _ bed: Testbed, _ phase: Double, fill: Bool, _ progress: (String) -> Void
  ) throws -> LoadReport {
    var report: LoadReport
    var repetitions = 0
    repeat {
      let load = try BackgroundLoad(
        plan.load(phase: phase, fill: fill, namespace: bed.clientNamespace))
      defer { load.stopAndWait() }
      while true {
        usleep(50_000)
        try interruption.check()
        let (now, outcome) = load.state
        if let now { progress("\(now.phase.rawValue), \(Int(now.completedPerSecond)) ops/s") }
        guard let outcome else { continue }
        report = try outcome.get()
        break
      }
      repetitions += 1
    } while !report.isValid && repetitions <= Self.repetitions
    return report
  }

  /// Returns when no key is hot, if none is to be.
  private func setAutomatic(_ isOn: Bool, _ bed: Testbed) throws {
    _ = try bed.ask(.automatic, on: isOn)
    guard !isOn else { return }
    _ = try bed.ask(.demoteAll)
    let limit = ContinuousClock.now + .seconds(30)
    while let status = try bed.ask(.status).status, status.hotKeys > 0 || !status.quiet {
      usleep(20_000)
      try interruption.check()
      guard ContinuousClock.now < limit else {
        throw TestbedError.run(
          "\(status.hotKeys) keys are still hot 30 s after all were to be demoted; run it again")
      }
    }
  }

  private func watch(_ bed: Testbed) throws -> FlappingResult.Reading {
    let status = try bed.ask(.status).status
    return FlappingResult.Reading(
      uptime: status?.uptimeSeconds ?? 0, promotions: status?.totals.promotions ?? 0,
      demotions: status?.totals.demotions ?? 0,
      keys: try ControlClient(socket: bed.controlSocket)
        .ask(ControlRequest(.promotions, limit: 100_000)).promotions?.map(\.keyHash) ?? [])
  }
}
