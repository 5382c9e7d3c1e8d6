/// Makes a failing seed smaller: leaves out world faults, parts of the scenario, operations, clients,
/// servers, keys, transitions and time, as long as the same check fails. Every candidate is run, so
/// what it ends with fails for certain; it need not be the least that does.
public struct SimulationMinimizer: Sendable {
  public let seed: UInt64
  /// What it was given, with the limits found so far.
  public private(set) var simulation: RackSimulation
  /// The failure under those limits.
  public private(set) var result: SimulationResult
  /// Simulations run.
  public private(set) var runs = 0
  private let runsMax: Int

  /// Nil: the seed does not fail. `runsMax` bounds how long it takes.
  public init?(seed: UInt64, of simulation: RackSimulation, runsMax: Int = 2_000) {
    self.seed = seed
    self.simulation = simulation
    self.simulation.detail = .none
    self.runsMax = runsMax
    result = self.simulation.run(seed: seed)
    guard result.failure != nil else { return nil }
  }

  /// Tries until nothing can be left out any more. `progress` is told after each run.
  public mutating func minimize(progress: (SimulationMinimizer) -> Void = { _ in }) {
    var before: ScenarioLimits?
    while before != simulation.limits, runs < runsMax {
      before = simulation.limits
      endWithFailure(progress)
      dropWorldFaults(progress)
      for part in ScenarioPart.allCases where !simulation.limits.without.contains(part) {
        attempt(progress) { $0.without.append(part) }
      }
      let size = simulation.scenario(seed: seed)
      shrink(\.commands, from: min(size.commandsMax, size.operations), atLeast: 0, progress)
      shrink(\.servers, from: size.servers, atLeast: 1, progress)
      shrink(\.clients, from: size.clients, atLeast: 1, progress)
      shrink(\.keys, from: size.keys, atLeast: 1, progress)
      shrink(\.outstanding, from: size.outstanding, atLeast: 1, progress)
      shrink(\.operations, from: size.operations, atLeast: 1, progress)
      shrink(
        \.faultyMilliseconds, from: Int(min(size.faultyLimit, result.duration) / 1_000_000) + 1,
        atLeast: 0, progress)
    }
  }

  /// What comes after the failure plays no part in it.
  private mutating func endWithFailure(_ progress: (SimulationMinimizer) -> Void) {
    let needed = result.operations + 64
    if needed < simulation.scenario(seed: seed).operations {
      attempt(progress) { $0.operations = needed }
    }
  }

  /// Halves, quarters and so on of the world faults, down to single ones.
  private mutating func dropWorldFaults(_ progress: (SimulationMinimizer) -> Void) {
    var size = simulation.scenario(seed: seed).worldFaults.count
    while size > 0 {
      var start = 0
      while true {
        let kept = simulation.scenario(seed: seed).worldFaults.map(\.number)
        guard start < kept.count else { break }
        let end = min(start + size, kept.count)
        let isDropped = attempt(progress) {
          $0.worldFaults = Array(kept[..<start] + kept[end...])
        }
        if !isDropped { start = end }
      }
      size /= 2
    }
  }

  /// Makes one number smaller: a half, then by less and less.
  private mutating func shrink(
    _ path: WritableKeyPath<ScenarioLimits, Int?>, from value: Int, atLeast: Int,
    _ progress: (SimulationMinimizer) -> Void
  ) {
    var value = value
    var step = value - atLeast
    while step > 0 {
      let candidate = max(atLeast, value - step)
      if candidate < value, attempt(progress, { $0[keyPath: path] = candidate }) {
        value = candidate
        step = min(step, value - atLeast)
      } else {
        step /= 2
      }
    }
  }

  /// Keeps a change of the limits if the same check still fails.
  @discardableResult
  private mutating func attempt(
    _ progress: (SimulationMinimizer) -> Void, _ change: (inout ScenarioLimits) -> Void
  ) -> Bool {
    guard runs < runsMax else { return false }
    var candidate = simulation
    change(&candidate.limits)
    runs += 1
    let outcome = candidate.run(seed: seed)
    defer { progress(self) }
    guard outcome.failure?.check == result.failure?.check else { return false }
    simulation = candidate
    result = outcome
    return true
  }
}
