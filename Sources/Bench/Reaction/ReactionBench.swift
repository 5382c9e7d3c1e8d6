internal import Controller
internal import Glibc
internal import LoadGenerator
public import Testbed

/// Measures how quickly a rack spreads the load of keys that have just become hot.
public struct ReactionBench {
  private let plan: ReactionPlan
  private let interruption: Interruption

  public init(_ plan: ReactionPlan, interruption: Interruption) {
    self.plan = plan
    self.interruption = interruption
  }

  /// Brings up the rack, measures, and takes everything down again, also on failure.
  ///
  /// - Throws: `TestbedError`, `LoadError` or `ControlClientError`, each with a way out.
  public func run(progress: (String) -> Void) throws -> ReactionResult {
    try BenchTestbed.with(plan.file, interruption: interruption, progress: { progress($0) }) {
      bed in
      var result = try measure(bed, progress)
      if !result.load.isValid {
        progress("the machine was too busy: once more")
        result = try measure(bed, progress)
        result.repeated = 1
      }
      return result
    }
  }

  private func measure(_ bed: Testbed, _ progress: (String) -> Void) throws -> ReactionResult {
    progress("filling")
    _ = try wait(for: try BackgroundLoad(plan.filling(namespace: bed.clientNamespace))) { _ in }
    let record = LoadRecord(
      capacity: Int(plan.rate * plan.interval * Double(plan.changes + 1) * 1.1))
    let client = try ControlClient(socket: bed.controlSocket)
    var promotions: [ControlPromotion] = []
    let report = try wait(
      for: try BackgroundLoad(plan.load(namespace: bed.clientNamespace, record: record))
    ) { now in
      if let now { progress("\(now.phase.rawValue), \(Int(now.completedPerSecond)) ops/s") }
      let since = promotions.last?.number ?? 0
      promotions += try client.ask(ControlRequest(.promotions, since: since)).promotions ?? []
    }
    return ReactionResult(plan, report: report, record: record, promotions: promotions)
  }

  /// Calls `look` now and then, the last time after the end.
  private func wait(
    for load: BackgroundLoad, _ look: (LoadProgress?) throws -> Void
  ) throws -> LoadReport {
    defer { load.stopAndWait() }
    while true {
      usleep(200_000)
      try interruption.check()
      let (progress, outcome) = load.state
      try look(progress)
      if let outcome { return try outcome.get() }
    }
  }
}
