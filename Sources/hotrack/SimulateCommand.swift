import ArgumentParser
import Foundation
import Simulation

/// `hotrack simulate`: whole racks under seeds, with everything that can go wrong on the way.
struct SimulateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate",
    abstract: "Simulate racks under many seeds and check what their clients saw.",
    discussion: """
      Each seed is a rack of its own: servers, clients, keys, a network that loses, doubles, delays \
      and holds datagrams back, and transitions at any moment. The same seed always does the same. \
      A fault breaks the protocol on purpose, to see that the checks notice:

      \(SimulationFault.allCases.map { "  \($0.rawValue): \($0.summary)" }.joined(separator: "\n"))

      Exit codes: 0 no seed failed, 1 at least one did.
      """)

  @Option(help: "Seeds, as FIRST..LAST or one number.")
  var seeds = SeedRange(first: 1, last: 1000)

  @Option(help: "Seeds to simulate at the same time; by default one for each processor.")
  var jobs = ProcessInfo.processInfo.activeProcessorCount

  @Option(
    help: "Break the protocol in this way (see above); may be given several times.",
    transform: { try named($0, "fault") })
  var fault: [SimulationFault] = []

  @Option(
    help: "Whether reads demand a version: always, never or by-seed.",
    transform: { try named($0, "way to demand") })
  var demand = RackSimulation.Demand.bySeed

  @Option(
    help: "Servers that die with all they hold, and come back: never or by-seed.",
    transform: { try named($0, "way to crash") })
  var crashes = RackSimulation.Crashes.never

  @Flag(help: "Check only what clients were told, not the state of directory and servers.")
  var clientsOnly = false

  @Flag(help: "Requests reach the directory at once, and once; the rest of the network stays bad.")
  var directRequests = false

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
    var simulation = RackSimulation()
    simulation.faults = fault
    simulation.crashes = crashes
    simulation.looksFromOutside = clientsOnly
    simulation.requestsAreDirect = directRequests
    simulation.demandsVersions = demand
    simulation.detail = trace ? .all : .none
    let start = ContinuousClock.now
    let isTerminal = isatty(STDERR_FILENO) == 1 && !trace
    var done = 0
    let totals = await simulation.run(seeds: seeds.first...seeds.last, jobs: trace ? 1 : jobs) {
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
    if let seed = totals.failed.first, !json { explain(seed, simulation) }
    try report(totals, seconds)
    if totals.failures > 0 { throw ExitCode(1) }
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
    var command = "hotrack simulate --seeds \(seed)..\(seed) --trace"
    for fault in fault { command += " --fault \(fault.rawValue)" }
    if crashes != .never { command += " --crashes \(crashes.rawValue)" }
    if clientsOnly { command += " --clients-only" }
    if directRequests { command += " --direct-requests" }
    if demand != .bySeed { command += " --demand \(demand.rawValue)" }
    print("to see everything: \(command)")
  }

  private func report(_ totals: SimulationTotals, _ seconds: Double) throws {
    let rate = Double(totals.seeds) / max(seconds, 1e-9)
    if json {
      let summary = SimulationSummary(totals, seconds: seconds, faults: fault)
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      print(String(decoding: try encoder.encode(summary), as: UTF8.self))
      return
    }
    print(
      "\(totals.seeds) seeds, \(totals.operations) operations (\(totals.unknown) unknown), "
        + "\(totals.transitions) transitions, \(totals.floors) floors, \(totals.crashes) crashes, \(totals.events) events; "
        + "\(totals.failures) failed; \(String(format: "%.0f", rate)) seeds/s")
  }

  private func show(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}

/// Totals as they are printed.
private struct SimulationSummary: Encodable {
  var seeds: Int
  var operations: Int
  var unknown: Int
  var transitions: Int
  var floors: Int
  var crashes: Int
  var events: Int
  var failures: Int
  var failedSeeds: [UInt64]
  var seconds: Double
  var seedsPerSecond: Double
  var faults: [String]
  /// How often what happened.
  var coverage: [String: Int]

  init(_ totals: SimulationTotals, seconds: Double, faults: [SimulationFault]) {
    seeds = totals.seeds
    operations = totals.operations
    unknown = totals.unknown
    transitions = totals.transitions
    floors = totals.floors
    crashes = totals.crashes
    events = totals.events
    failures = totals.failures
    failedSeeds = totals.failed
    self.seconds = seconds
    seedsPerSecond = Double(totals.seeds) / max(seconds, 1e-9)
    coverage = Dictionary(
      uniqueKeysWithValues: totals.coverage.counts.map { ($0.name, $0.count) })
    self.faults = faults.map(\.rawValue)
  }
}

/// FIRST..LAST, both included.
struct SeedRange: ExpressibleByArgument {
  var first: UInt64
  var last: UInt64
  var count: UInt64 { last - first + 1 }

  init(first: UInt64, last: UInt64) {
    self.first = first
    self.last = last
  }

  init?(argument: String) {
    let ends = argument.split(separator: "..", omittingEmptySubsequences: false).map { UInt64($0) }
    guard ends.count <= 2, let first = ends.first ?? nil, let last = ends.last ?? nil,
      first <= last, last < .max
    else { return nil }
    self.init(first: first, last: last)
  }

  var defaultValueDescription: String { "\(first)..\(last)" }
}

/// One of an enumeration's cases by its name, or a sentence that says which there are.
private func named<Value: RawRepresentable<String> & CaseIterable>(
  _ name: String, _ what: String
) throws -> Value {
  if let value = Value(rawValue: name) { return value }
  let names = Value.allCases.map(\.rawValue).joined(separator: ", ")
  throw ValidationError("there is no \(what) '\(name)'; choose one of \(names)")
}
