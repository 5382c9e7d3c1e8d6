internal import Controller
internal import ControllerCore
internal import Foundation
internal import Glibc
internal import Linearizability
internal import LoadGenerator
internal import Sockets
internal import Synchronization
public import Testbed
internal import Wire
internal import Workload

/// Replaces the controller of a rack under load, again and again, by crash and by upgrade, in the
/// middle of transitions, and has it reload rack files; and counts what became of every packet and
/// every operation.
public struct RestartBench {
  private let plan: RestartPlan
  private let interruption: Interruption

  public init(_ plan: RestartPlan, interruption: Interruption) {
    (self.plan, self.interruption) = (plan, interruption)
  }

  /// One load without changes, then one with them, then one with reloads. Throws `TestbedError`, `LoadError`,
  /// `SocketError` or `ControlClientError`.
  public func run(progress: (String) -> Void = { _ in }) throws -> RestartResult {
    try BenchTestbed.with(plan.file, interruption: interruption, progress: progress) { bed in
      var random = RandomSource(seed: plan.seed)
      var changes: [RestartResult.Change] = []
      var reloads: [RestartResult.Reload] = []
      let quiet = try part("one controller", on: &bed, changes: 0, &random, progress) { _, _ in }
      let busy = try part(
        "\(plan.changes) changes", on: &bed, changes: plan.changes, &random, progress
      ) { bed, random in
        changes.append(try change(&bed, changes.count, &random))
      }
      var files = RackReloads()
      let reloading = try part(
        "\(plan.reloads) reloads", on: &bed, changes: plan.reloads, &random, progress
      ) { bed, _ in
        reloads.append(try files.reload(&bed, interruption))
      }
      return RestartResult(
        parts: [quiet, busy, reloading], changes: changes, reloads: reloads)
    }
  }

  private func change(
    _ bed: inout Testbed, _ done: Int, _ random: inout RandomSource
  ) throws -> RestartResult.Change {
    // What it has just accepted is under way when it is told to go.
    for _ in 0..<4 { forceTransition(bed, "changes-", &random) }
    let kind = done % 2 == 0 ? ControllerChange.crash : .upgrade
    let time = try bed.changeController(kind, interruption)
    let totals = try bed.ask(.status).status?.totals
    return RestartResult.Change(
      kind: kind, milliseconds: Double(time) / 1e6, resumed: totals?.resumed ?? 0)
  }

  private func part(
    _ name: String, on bed: inout Testbed, changes count: Int, _ random: inout RandomSource,
    _ progress: (String) -> Void, change: (inout Testbed, inout RandomSource) throws -> Void
  ) throws -> RestartResult.Part {
    let before = try PacketCounts(of: bed)
    // A part does not begin with what the one before has left.
    let prefix = name.split(separator: " ").last.map { "\($0)-" } ?? ""
    let recorders = try Recorders(plan, on: bed, prefix: prefix, seed: random.next())
    defer { recorders.stop() }
    let start = MonotonicClock.now
    let interval = UInt64(plan.seconds * 1e9) / UInt64(count + 1)
    var made = 0
    while !recorders.haveEnded {
      try interruption.check()
      forceTransition(bed, prefix, &random)
      usleep(UInt32(plan.transitionsEvery) * 1000)
      progress("\(name), \((MonotonicClock.now - start) / 1_000_000_000) s")
      guard made < count, MonotonicClock.now > start + UInt64(made + 1) * interval else { continue }
      made += 1
      try change(&bed, &random)
    }
    let reports = try recorders.reports()
    progress("checking")
    try rest(bed)
    var part = RestartResult.Part(
      name: name, balance: PacketBalance(from: before, to: try PacketCounts(of: bed)))
    part.seconds = reports.map(\.duration).max() ?? 0
    part.operations = reports.reduce(0) { $0 + $1.operations }
    part.operationsPerSecond = Double(part.operations) / max(part.seconds, 1e-9)
    part.unknown = reports.reduce(0) { $0 + $1.unknown }
    part.failed = reports.reduce(0) { $0 + $1.failed }
    part.timeouts = reports.reduce(0) { $0 + $1.timeouts }
    try judge(recorders.files, &part)
    return part
  }

  /// Until everything that was sent has arrived.
  private func rest(_ bed: Testbed) throws {
    let limit = MonotonicClock.now + 5_000_000_000
    repeat {
      usleep(300_000)
    } while try bed.ask(.status).status?.quiet != true && MonotonicClock.now < limit
  }

  /// Promotes a key that is cold, and demotes one that is hot. A controller that is not there, or
  /// has changed its mind, does not matter.
  private func forceTransition(_ bed: Testbed, _ prefix: String, _ random: inout RandomSource) {
    guard let hot = try? bed.ask(.keys).keys else { return }
    let space = Recorders.configuration(plan, bed, 0, prefix: prefix, seed: 0).keys
    let all = (0..<plan.keys).map { String(decoding: space.key(ofRank: $0), as: UTF8.self) }
    let cold = all.filter { key in !hot.contains { $0.key == key } }
    if !cold.isEmpty {
      _ = try? bed.ask(.promote, key: cold[Int(random.next() % UInt64(cold.count))])
    }
    if hot.count > plan.keys / 2 {
      _ = try? bed.ask(.demote, key: hot[Int(random.next() % UInt64(hot.count))].key)
    }
  }

  private func judge(_ files: [String], _ part: inout RestartResult.Part) throws {
    var data = Data()
    for file in files { data += try Data(contentsOf: URL(filePath: file)) }
    let history = try data.withUnsafeBytes { try HistoryReader.history(of: $0) }
    var times = history.operations.filter(\.outcome.isCertain).map { $0.returned - $0.invoked }
    times.sort()
    func quantile(_ share: Double) -> Double {
      times.isEmpty
        ? 0 : Double(times[min(times.count - 1, Int(Double(times.count) * share))]) / 1e3
    }
    (part.p50, part.p99, part.largest) = (quantile(0.5), quantile(0.99), quantile(1))
    part.problem = VersionConsistency.problem(in: history)
    switch LinearizabilityChecker().check(history).verdict {
    case .linearizable: part.isLinearizable = part.problem == nil
    case .undecided(let key): part.problem = "undecided for \(key)"
    case .notLinearizable(let violation):
      part.problem = "not linearizable: \(violation.key)"
    }
  }
}

/// Threads in the client namespaces that record what they ask and are told.
private final class Recorders {
  private final class Outcome: Sendable {
    let result = Mutex<Result<HistoryReport, any Error>?>(nil)
  }

  let files: [String]
  private var threads: [(outcome: Outcome, thread: BackgroundThread)] = []
  private let stopping = LoadStop()

  init(_ plan: RestartPlan, on bed: Testbed, prefix: String, seed: UInt64) throws {
    let count = plan.clients * RestartPlan.threadsEach
    files = (0..<count).map { "\(bed.folder)/\(prefix)\($0).jsonl" }
    for (number, file) in files.enumerated() {
      let configuration = Self.configuration(
        plan, bed, number, prefix: prefix, seed: seed &+ UInt64(number))
      let outcome = Outcome()
      let stopping = stopping
      let thread = try BackgroundThread(name: "recorder \(number)") {
        let result = Result { () throws -> HistoryReport in
          try HistoryRecorder(configuration, path: file, stop: stopping).run()
        }
        outcome.result.withLock { $0 = result }
      }
      threads.append((outcome, thread))
    }
  }

  static func configuration(
    _ plan: RestartPlan, _ bed: Testbed, _ number: Int, prefix: String, seed: UInt64
  ) -> HistoryConfiguration {
    let clients = bed.layout.clients
    var configuration = HistoryConfiguration(
      rack: TestbedLayout.rackEndpoint, keyCount: plan.keys, alpha: plan.zipf,
      keyPrefix: prefix)
    configuration.namespace = NetworkNamespace(clients[number % clients.count].namespace)
    configuration.clients = plan.clientsEach
    configuration.firstClient = number * plan.clientsEach
    configuration.operations = .max
    configuration.duration = UInt64(plan.seconds * 1e9)
    configuration.rateMax = plan.rate / Double(plan.clients * RestartPlan.threadsEach)
    configuration.mix = OperationMix(readShare: plan.readShare, deleteShare: plan.deleteShare)
    configuration.seed = seed
    return configuration
  }

  var haveEnded: Bool { threads.allSatisfy { $0.outcome.result.withLock { $0 != nil } } }

  func reports() throws -> [HistoryReport] {
    try threads.map { try $0.outcome.result.withLock { $0 }?.get() ?? HistoryReport() }
  }

  func stop() {
    stopping.stop()
    for (_, thread) in threads { thread.join() }
    threads = []
  }
}
