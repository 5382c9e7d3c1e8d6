public import Configuration
internal import Controller
internal import ControllerCore
internal import Foundation
internal import Glibc
internal import Linearizability
internal import LoadGenerator
internal import Workload

/// What the run of a scenario has shown.
public struct ScenarioReport: Sendable, Equatable, Encodable {
  public enum Verdict: String, Sendable, Encodable {
    case linearizable
    case notLinearizable = "not linearizable"
    /// The checker has reached its limit of steps on some key.
    case undecided
  }

  /// Seconds that were recorded.
  public var duration = 0.0
  public var operations = 0
  public var reads = 0
  public var writes = 0
  public var deletes = 0
  /// Operations whose outcome their client does not know.
  public var unknown = 0
  public var failed = 0
  public var keys = 0
  /// As the controller has counted them.
  public var promotions = 0
  public var demotions = 0
  /// Transitions that the controller gave up.
  public var givenUp = 0
  public var verdict = Verdict.undecided
  /// The key that the verdict is about, if it is not a good one, and its contradictory operations.
  public var key: String?
  public var contradiction: [String] = []
  /// What else the run has not fulfilled: fewer operations than asked for, no transitions.
  public var shortcomings: [String] = []
  /// The merged history.
  public var history: String

  public var isGood: Bool { verdict == .linearizable && shortcomings.isEmpty }
}

/// Runs the scenario of a testbed file: processes in the client namespaces record what they ask and
/// are told, while keys are promoted and demoted by force; then the histories are merged and checked.
public struct ScenarioRun {
  private let scenario: TestbedFile.Scenario
  private let hashSeed: UInt64
  private var bed: Testbed
  private let keys: [String]
  private var random: RandomSource
  private let interruption: Interruption

  /// All recorders name their keys so.
  private static let keyPrefix = "key-"

  /// - Throws: `noScenario` if the file has none.
  public init(
    _ file: TestbedFile, path: String, on bed: Testbed, interruption: Interruption
  ) throws(TestbedError) {
    guard let scenario = file.scenario else { throw .noScenario(file: path) }
    self.scenario = scenario
    self.bed = bed
    self.interruption = interruption
    hashSeed = file.hashSeed
    // The very keys that the recorders use.
    let space = HistoryConfiguration(
      rack: TestbedLayout.rackEndpoint, keyCount: scenario.keys, keyPrefix: Self.keyPrefix
    ).keys
    keys = (0..<scenario.keys).map { String(decoding: space.key(ofRank: $0), as: UTF8.self) }
    random = RandomSource(seed: scenario.seed)
  }

  /// Records, merges into `history`, and checks.
  public mutating func run(
    history: String, progress: (String) -> Void = { _ in }
  ) throws(TestbedError) -> ScenarioReport {
    var report = ScenarioReport(history: history)
    let start = ContinuousClock.now
    let recorders = try startRecorders()
    try forceTransitions(while: recorders, since: start, progress)
    report.duration = Double((ContinuousClock.now - start) / .milliseconds(1)) / 1e3
    if let totals = try? bed.ask(.status).status?.totals {
      (report.promotions, report.demotions) = (totals.promotions, totals.demotions)
      report.givenUp = totals.givenUp
    }
    progress("checking")
    try merge(into: history)
    try check(&report)
    addShortcomings(&report)
    return report
  }

  private func part(_ number: Int) -> String { "\(bed.folder)/history-\(number).jsonl" }

  private mutating func startRecorders() throws(TestbedError) -> [(
    role: String, child: ChildProcess
  )] {
    let clients = bed.layout.clients
    let each = (scenario.operations + scenario.processes - 1) / scenario.processes
    var recorders: [(role: String, child: ChildProcess)] = []
    for number in 0..<scenario.processes {
      var arguments = [
        bed.executable, "load", "--json", "--rack", "\(TestbedLayout.rackAddress)",
        "--history", part(number), "--operations", "\(each)", "--clients", "\(scenario.clients)",
        "--first-client", "\(number * scenario.clients)", "--key-prefix", Self.keyPrefix,
        "--keys", "\(scenario.keys)", "--zipf", "\(scenario.zipf)",
        "--read-share", "\(scenario.readShare)", "--delete-share", "\(scenario.deleteShare)",
        "--seed", "\(hashSeed)",
        "--load-seed", "\((scenario.seed &+ UInt64(number)) & UInt64(Int64.max))",
      ]
      if let rate = scenario.rate {
        arguments += ["--rate", "\(rate / Double(scenario.processes))"]
      }
      let role = "load \(number)"
      let namespace = clients[number % clients.count].namespace
      recorders.append((role, try bed.start(role: role, namespace: namespace, arguments)))
    }
    return recorders
  }

  /// Until all recorders have ended.
  private mutating func forceTransitions(
    while recorders: [(role: String, child: ChildProcess)], since start: ContinuousClock.Instant,
    _ progress: (String) -> Void
  ) throws(TestbedError) {
    let interval = Duration.milliseconds(scenario.transitionsEveryMilliseconds)
    var next = start + interval
    var nextProgress = start
    while true {
      try interruption.check()
      let ended = recorders.map(\.child.exitStatus)
      for (recorder, status) in zip(recorders, ended) where (status ?? 0) != 0 {
        throw bed.failure(
          role: recorder.role, what: "has ended with status \(status ?? 0)")
      }
      if ended.allSatisfy({ $0 != nil }) { return }
      let now = ContinuousClock.now
      guard now - start < .seconds(scenario.timeLimit) else {
        throw .run(
          "the operations were not done after \(scenario.timeLimit) s: allow more with "
            + "scenario.time_limit_s, or ask for fewer with scenario.operations")
      }
      if interval > .zero, now >= next {
        next = max(next + interval, now)
        try transition()
      }
      if now >= nextProgress {
        nextProgress = now + .milliseconds(500)
        let seconds = (now - start).components.seconds
        progress("recording \(scenario.operations) operations, \(seconds) s")
      }
      usleep(5_000)
    }
  }

  /// Promotes one key that is cold, and demotes one that is hot, if there are.
  private mutating func transition() throws(TestbedError) {
    do throws(ControlClientError) {
      let hot = try bed.ask(.keys).keys ?? []
      // Before the first demotion, half of the keys become hot.
      let demotable = hot.filter { $0.mode == .hot }.map(\.key).filter(keys.contains)
      let cold = keys.filter { key in !hot.contains { $0.key == key } }
      if let key = choose(cold) { try request(.promote, key) }
      if demotable.count * 2 >= keys.count, let key = choose(demotable) {
        try request(.demote, key)
      }
    } catch {
      throw .run("a transition could not be forced: \(error)")
    }
  }

  /// A refusal is no failure: the key may have changed its mode since it was looked at.
  private func request(
    _ command: ControlRequest.Command, _ key: String
  ) throws(ControlClientError) {
    do throws(ControlClientError) {
      _ = try bed.ask(command, key: key)
    } catch .refused {}
  }

  private mutating func choose(_ candidates: [String]) -> String? {
    candidates.isEmpty ? nil : candidates[Int(random.next() % UInt64(candidates.count))]
  }

  /// The order of lines does not matter: each has its times, from one clock for all namespaces.
  private func merge(into path: String) throws(TestbedError) {
    do {
      _ = FileManager.default.createFile(atPath: path, contents: nil)
      guard let output = FileHandle(forWritingAtPath: path) else {
        throw TestbedError.system(doing: "write \(path)", code: errno, reason: reason(errno))
      }
      for number in 0..<scenario.processes {
        let data = try Data(contentsOf: URL(filePath: part(number)), options: .mappedIfSafe)
        try output.write(contentsOf: data)
      }
      try output.close()
    } catch let error as TestbedError {
      throw error
    } catch {
      throw .run("the history could not be written to \(path): \(error.localizedDescription)")
    }
  }

  private func check(_ report: inout ScenarioReport) throws(TestbedError) {
    let history: History
    do {
      let data = try Data(contentsOf: URL(filePath: report.history), options: .mappedIfSafe)
      history = try data.withUnsafeBytes { try HistoryReader.history(of: $0) }
    } catch {
      throw .run("\(report.history) is not a history: \(error)")
    }
    for operation in history.operations {
      switch operation.kind {
      case .get: report.reads += 1
      case .set: report.writes += 1
      case .delete: report.deletes += 1
      }
      if operation.outcome == .unknown { report.unknown += 1 }
      if operation.outcome == .failed { report.failed += 1 }
    }
    let result = LinearizabilityChecker().check(history)
    (report.operations, report.keys) = (result.operations, result.keys)
    switch result.verdict {
    case .linearizable: report.verdict = .linearizable
    case .undecided(let key): (report.verdict, report.key) = (.undecided, key)
    case .notLinearizable(let violation):
      (report.verdict, report.key) = (.notLinearizable, violation.key)
      report.contradiction = violation.operations.map(history.description(of:))
    }
  }

  private func addShortcomings(_ report: inout ScenarioReport) {
    if report.operations < scenario.operations {
      report.shortcomings.append(
        "\(report.operations) operations were recorded, \(scenario.operations) were asked for")
    }
    // Half of the moments may fall into a transition that is still under way.
    if scenario.transitionsEveryMilliseconds > 0 {
      let due =
        Int(report.duration * 1e3) / scenario.transitionsEveryMilliseconds / 2
      if report.promotions < max(1, due) {
        report.shortcomings.append(
          "\(report.promotions) promotions took place, at least \(max(1, due)) were due")
      }
    }
  }
}

extension ScenarioReport {
  private static let contradictionLinesMax = 40

  /// For people.
  public var text: String {
    var lines = [
      "\(operations) operations on \(keys) keys in \(fixed(duration, 1)) s: \(reads) reads, "
        + "\(writes) writes, \(deletes) deletes; \(unknown) unknown, \(failed) failed",
      "\(promotions) promotions, \(demotions) demotions, \(givenUp) given up",
      "history: \(history)",
    ]
    switch verdict {
    case .linearizable: lines.append("linearizable: yes, every key")
    case .undecided: lines.append("linearizable: undecided, key \(key ?? "") needs more steps")
    case .notLinearizable:
      lines.append("linearizable: NO, key \(key ?? ""); no order explains these operations:")
      lines += contradiction.suffix(Self.contradictionLinesMax).map { "  " + $0 }
    }
    lines += shortcomings.map { "NOT ENOUGH: " + $0 }
    return lines.joined(separator: "\n")
  }
}

/// A number with so many decimals.
func fixed(_ number: Double, _ decimals: Int) -> String {
  String(format: "%.\(decimals)f", number)
}
