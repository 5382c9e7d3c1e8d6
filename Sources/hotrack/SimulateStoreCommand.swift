import ArgumentParser
import Foundation
import Simulation

/// `hotrack simulate store`: whole Paxos stores under seeds.
struct SimulateStoreCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "store",
    abstract: "Simulate Paxos stores under many seeds and check what their clients saw.",
    discussion: """
      Each seed is a store of its own: three to six replicas with disks that lose what is not \
      synced, get damaged or are replaced, clocks that drift, a network that loses, doubles, delays \
      and is cut, replicas that die or stand still; then all is well, and everything has to end. \
      The same seed always does the same. A fault breaks the store on purpose, to see that the \
      checks notice:

      \(StoreFault.allCases.map { "  \($0.rawValue): \($0.summary)" }.joined(separator: "\n"))

      Exit codes: 0 no seed failed, 1 at least one did.
      """)

  @Option(help: "Seeds, as FIRST..LAST or one number.")
  var seeds = SeedRange(first: 1, last: 1000)

  @Option(help: "Seeds to simulate at the same time; by default one for each processor.")
  var jobs = ProcessInfo.processInfo.activeProcessorCount

  @Option(
    help: "Break the store in this way (see above); may be given several times.",
    transform: { name in
      guard let fault = StoreFault(rawValue: name) else {
        let names = StoreFault.allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError("there is no fault '\(name)'; choose one of \(names)")
      }
      return fault
    })
  var fault: [StoreFault] = []

  @Flag(help: "Print everything that happens; for one seed, or a few.")
  var trace = false

  @Flag(help: "Go on after a seed has failed.")
  var keepGoing = false

  @Flag(help: "Print the totals as one JSON object.")
  var json = false

  func validate() throws {
    guard jobs > 0 else { throw ValidationError("--jobs must be at least 1") }
    guard !trace || seeds.count <= 10 else {
      throw ValidationError(
        "--trace prints everything: give at most 10 seeds, as in --seeds 17..17")
    }
  }

  func run() async throws {
    var simulation = StoreSimulation()
    simulation.faults = fault
    simulation.detail = trace ? .all : .none
    let start = ContinuousClock.now
    let isTerminal = isatty(STDERR_FILENO) == 1 && !trace
    var done = 0
    let summary = await simulation.run(seeds: seeds.first...seeds.last, jobs: trace ? 1 : jobs) {
      result in
      done += 1
      if isTerminal && done % 20 == 0 { show("\r\(done) of \(seeds.count) seeds") }
      if trace {
        for line in result.trace { print(line) }
      }
      return keepGoing || result.failure == nil
    }
    if isTerminal { show("\r\u{1b}[K") }
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    if let seed = summary.failed.first, !json { explain(seed, simulation) }
    try report(summary, seconds)
    if summary.failures > 0 { throw ExitCode(1) }
  }

  /// Runs the failed seed with the least number again, to show how it ended.
  private func explain(_ seed: UInt64, _ simulation: StoreSimulation) {
    var simulation = simulation
    simulation.detail = .tail(trace ? 0 : 40)
    let result = simulation.run(seed: seed)
    guard let failure = result.failure else { return }
    print("seed \(seed) failed: \(failure.check.rawValue): \(failure.description)")
    if !trace {
      print("its last events, in microseconds of virtual time:")
      for line in result.trace { print(line) }
    }
    var command = "hotrack simulate store --seeds \(seed)..\(seed) --trace"
    for fault in fault { command += " --fault \(fault.rawValue)" }
    print("to see everything: \(command)")
  }

  private func report(_ summary: StoreSummary, _ seconds: Double) throws {
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      let report = StoreSummaryReport(summary, seconds: seconds, faults: fault)
      print(String(decoding: try encoder.encode(report), as: UTF8.self))
      return
    }
    let counts = summary.totals.counts.map { "\($0.count) \($0.name)" }
    print(counts.joined(separator: ", "))
    let seeds = Double(max(1, summary.seeds))
    let perSeed = summary.totals.perSeed.map {
      String(format: "%.1f ", Double($0.count) / seeds) + $0.name
    }
    print("per seed: " + perSeed.joined(separator: ", "))
    print(
      "\(summary.seeds) seeds, \(summary.failures) failed; "
        + String(format: "%.0f seeds/s", Double(summary.seeds) / max(seconds, 1e-9)))
  }

  private func show(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}

/// Totals as they are printed.
private struct StoreSummaryReport: Encodable {
  var seeds: Int
  var failures: Int
  var failedSeeds: [UInt64]
  var seconds: Double
  var seedsPerSecond: Double
  var faults: [String]
  /// How often what happened.
  var totals: [String: Int]

  init(_ summary: StoreSummary, seconds: Double, faults: [StoreFault]) {
    seeds = summary.seeds
    failures = summary.failures
    failedSeeds = summary.failed
    self.seconds = seconds
    seedsPerSecond = Double(summary.seeds) / max(seconds, 1e-9)
    self.faults = faults.map(\.rawValue)
    totals = Dictionary(
      uniqueKeysWithValues: summary.totals.counts.map { ($0.name, $0.count) })
  }
}
