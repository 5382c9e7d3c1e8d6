import ArgumentParser
import Foundation
import Simulation

/// `hotrack simulate`. It has no options of its own: those that a command shares with one of its
/// subcommands are taken for the command's, wherever they stand.
struct SimulateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate",
    abstract: "Simulate racks or stores under many seeds and check what their clients saw.",
    discussion: "Without a subcommand, racks.",
    subcommands: [SimulateRackCommand.self, SimulateStoreCommand.self],
    defaultSubcommand: SimulateRackCommand.self)
}

/// `hotrack simulate [rack]`: whole racks under seeds, with everything that can go wrong on the way.
struct SimulateRackCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rack",
    abstract: "Simulate racks under many seeds and check what their clients saw.",
    discussion: """
      Each seed is a rack of its own: servers, clients, keys, a load, a network that loses, doubles, \
      delays and holds datagrams back, transitions at any moment, and world faults: partitions, \
      clogged links, processes that stand still or die, slow servers, clocks that drift. Then the \
      faults end, and everything has to finish. The same seed always does the same. A fault \
      (--fault) breaks the protocol on purpose, to see that the checks notice:

      \(SimulationFault.allCases.map { "  \($0.rawValue): \($0.summary)" }.joined(separator: "\n"))

      Exit codes: 0 no seed failed, 1 at least one did.
      """)

  @Option(help: "Seeds, as FIRST..LAST or one number.")
  var seeds = SeedRange(first: 1, last: 1000)

  @Option(help: "Seeds to simulate at the same time; by default one for each processor.")
  var jobs = ProcessInfo.processInfo.activeProcessorCount

  @Flag(help: "Print everything that happens; for one seed, or a few.")
  var trace = false

  @Flag(help: "Make the first seed that fails smaller, and print the command that replays it.")
  var minimize = false

  @Flag(help: "Go on after a seed has failed.")
  var keepGoing = false

  @Flag(help: "Print the totals as one JSON object.")
  var json = false

  @OptionGroup var options: SimulateOptions

  func validate() throws {
    guard jobs > 0 else { throw ValidationError("--jobs must be at least 1") }
    guard !trace || seeds.count <= 10 else {
      throw ValidationError(
        "--trace prints everything: give at most 10 seeds, as in --seeds 17..17")
    }
  }

  func run() async throws {
    var simulation = options.simulation
    simulation.detail = trace ? .all : .none
    let start = ContinuousClock.now
    let progress = SimulationProgress(seeds: seeds.count, isShown: !trace)
    let totals = await simulation.run(seeds: seeds.first...seeds.last, jobs: trace ? 1 : jobs) {
      result in
      progress.count(result)
      if trace {
        for line in result.trace { print(line) }
      }
      return keepGoing || result.failure == nil
    }
    progress.clear()
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    var replay: String?
    if let seed = totals.failed.first {
      simulation = minimize ? minimized(seed, simulation, progress) : simulation
      replay = command(seed, simulation)
      if !json { explain(seed, simulation) }
    }
    try report(totals, seconds, replay: replay)
    if totals.failures > 0 { throw ExitCode(1) }
  }

  private func minimized(
    _ seed: UInt64, _ simulation: RackSimulation, _ progress: SimulationProgress
  ) -> RackSimulation {
    guard var minimizer = SimulationMinimizer(seed: seed, of: simulation) else {
      return simulation
    }
    minimizer.minimize { progress.show("minimizing seed \(seed): \($0.runs) runs") }
    progress.clear()
    if !json {
      print(
        "seed \(seed) minimized in \(minimizer.runs) runs: it fails after "
          + "\(minimizer.result.events) events, \(minimizer.result.operations) operations")
    }
    return minimizer.simulation
  }

  private func command(_ seed: UInt64, _ simulation: RackSimulation) -> String {
    "hotrack simulate --seeds \(seed)..\(seed) --trace"
      + SimulateOptions.arguments(of: simulation)
  }

  /// Runs the failed seed with the least number again, to show how it ended.
  private func explain(_ seed: UInt64, _ simulation: RackSimulation) {
    var simulation = simulation
    simulation.detail = .tail(trace ? 0 : 40)
    let result = simulation.run(seed: seed)
    guard let failure = result.failure else { return }
    print("seed \(seed) failed: \(failure.check.rawValue): \(failure.description)")
    if !trace {
      print("its last events, in microseconds of virtual time:")
      for line in result.trace { print(line) }
    }
    print("to see everything: \(command(seed, simulation))")
    if !minimize { print("to see less of the same: add --minimize") }
  }

  private func report(_ totals: SimulationTotals, _ seconds: Double, replay: String?) throws {
    if json {
      let summary = SimulationSummary(
        totals, seconds: seconds, faults: options.fault, replay: replay)
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      print(String(decoding: try encoder.encode(summary), as: UTF8.self))
      return
    }
    let rate = 1 / max(seconds, 1e-9)
    print(
      "\(totals.seeds) seeds, \(totals.operations) operations (\(totals.unknown) unknown), "
        + "\(totals.transitions) transitions, \(totals.floors) floors, "
        + "\(totals.worldFaults) world faults, \(totals.crashes) crashes, "
        + "\(totals.events) events; \(totals.failures) failed; "
        + String(
          format: "%.1f s, %.0f seeds/s, %.0f operations/s", seconds,
          Double(totals.seeds) * rate, Double(totals.operations) * rate))
  }
}

/// How far it has come, on a terminal. Used from one place at a time.
private final class SimulationProgress {
  private let seeds: UInt64
  private let isShown: Bool
  private let start = ContinuousClock.now
  private var shownAt: ContinuousClock.Instant
  private var done = 0
  private var operations = 0

  init(seeds: UInt64, isShown: Bool) {
    self.seeds = seeds
    self.isShown = isShown && isatty(STDERR_FILENO) == 1
    shownAt = start
  }

  func count(_ result: SimulationResult) {
    done += 1
    operations += result.operations
    guard isShown, ContinuousClock.now - shownAt > .milliseconds(200) else { return }
    let rate = 1 / max((ContinuousClock.now - start) / .seconds(1), 1e-9)
    let left = Double(seeds - UInt64(done)) / (Double(done) * rate)
    show(
      "\(done) of \(seeds) seeds, "
        + String(
          format: "%.0f seeds/s, %.0f operations/s, %.0f s left", Double(done) * rate,
          Double(operations) * rate, left))
  }

  func show(_ text: String) {
    guard isShown else { return }
    shownAt = .now
    FileHandle.standardError.write(Data("\r\u{1b}[K\(text)".utf8))
  }

  func clear() {
    if isShown { FileHandle.standardError.write(Data("\r\u{1b}[K".utf8)) }
  }
}

/// Totals as they are printed.
private struct SimulationSummary: Encodable {
  var seeds: Int
  var operations: Int
  var unknown: Int
  var transitions: Int
  var floors: Int
  var worldFaults: Int
  var crashes: Int
  var reboots: Int
  var events: Int
  var failures: Int
  var failedSeeds: [UInt64]
  var seconds: Double
  var seedsPerSecond: Double
  var operationsPerSecond: Double
  /// On average.
  var serversPerSeed: Double
  var operationsPerSeed: Double
  var transitionsPerSeed: Double
  var faults: [String]
  /// Replays the failed seed with the least number.
  var replay: String?
  /// How often what happened.
  var coverage: [String: Int]

  init(
    _ totals: SimulationTotals, seconds: Double, faults: [SimulationFault], replay: String?
  ) {
    seeds = totals.seeds
    operations = totals.operations
    unknown = totals.unknown
    transitions = totals.transitions
    floors = totals.floors
    worldFaults = totals.worldFaults
    crashes = totals.crashes
    reboots = totals.reboots
    events = totals.events
    failures = totals.failures
    failedSeeds = totals.failed
    self.seconds = seconds
    let rate = 1 / max(seconds, 1e-9)
    seedsPerSecond = Double(totals.seeds) * rate
    operationsPerSecond = Double(totals.operations) * rate
    let share = 1 / Double(max(1, totals.seeds))
    serversPerSeed = Double(totals.servers) * share
    operationsPerSeed = Double(totals.operations) * share
    transitionsPerSeed = Double(totals.transitions) * share
    coverage = Dictionary(
      uniqueKeysWithValues: (totals.coverage.counts + totals.coverage.takeOvers).map {
        ($0.name, $0.count)
      })
    self.faults = faults.map(\.rawValue)
    self.replay = replay
  }
}
