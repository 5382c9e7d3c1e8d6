public import Configuration
internal import Controller
internal import ControllerCore
internal import Foundation
internal import Glibc
internal import Linearizability
internal import LoadGenerator
internal import Sockets
internal import Wire
internal import Workload

/// Runs the scenario of a testbed file: processes in the client namespaces record what they ask and
/// are told, while keys are promoted and demoted by force and faults come and go; then the histories
/// are merged and checked.
public struct ScenarioRun {
  private let scenario: TestbedFile.Scenario
  private let faults: [Fault]
  private let hashSeed: UInt64
  private var bed: Testbed
  private let keys: [String]
  private var random: RandomSource
  private var totals = SummedTotals()
  private var load = LoadSamples()
  private let interruption: Interruption

  /// All recorders name their keys so.
  private static let keyPrefix = "key-"

  /// - Throws: `noScenario` if the file has none.
  public init(
    _ file: TestbedFile, path: String, on bed: Testbed, interruption: Interruption
  ) throws(TestbedError) {
    guard let scenario = file.scenario else { throw .noScenario(file: path) }
    self.scenario = scenario
    faults = file.faults
    self.bed = bed
    self.interruption = interruption
    hashSeed = file.hashSeed
    // The very keys that the recorders use.
    let space = HistoryConfiguration(
      rack: bed.layout.rackEndpoint, keyCount: scenario.keys, keyPrefix: Self.keyPrefix
    ).keys
    keys = (0..<scenario.keys).map { String(decoding: space.key(ofRank: $0), as: UTF8.self) }
    random = RandomSource(seed: scenario.seed)
  }

  /// Records, merges into `history`, and checks.
  public mutating func run(
    history: String, progress: (String) -> Void = { _ in }
  ) throws(TestbedError) -> ScenarioReport {
    var report = ScenarioReport(history: history, name: bed.name)
    let pinned = try PinnedRecorders(scenario, on: bed)
    let start = MonotonicClock.now
    let recorders = try startRecorders(pinned)
    var schedule = FaultSchedule(faults, start: start)
    try record(recorders, since: start, &schedule, progress)
    report.duration = Double(MonotonicClock.now - start) / 1e9
    try schedule.endAll(&bed)
    if let last = try? bed.ask(.status).status { totals.take(last) }
    (report.promotions, report.demotions) = (totals.sum.promotions, totals.sum.demotions)
    report.givenUp = totals.sum.givenUp
    try pinned?.finish(&report, on: bed)
    progress("checking")
    try merge(into: history)
    let recorded = try check(&report)
    addOutcomes(&report)
    addFaults(&report, schedule, recorded, start: Int64(start))
    addShortcomings(&report)
    return report
  }

  private func part(_ number: Int) -> String { "\(bed.folder)/history-\(number).jsonl" }

  private mutating func startRecorders(
    _ pinned: PinnedRecorders?
  ) throws(TestbedError) -> [(role: String, child: ChildProcess)] {
    let clients = bed.layout.clients
    // With a duration, operations are not what ends it.
    let each =
      scenario.duration == nil
      ? (scenario.operations + scenario.processes - 1) / scenario.processes : 10_000_000
    var recorders: [(role: String, child: ChildProcess)] = []
    for number in 0..<scenario.processes {
      var arguments = pinned?.prefix(ofRecorder: number) ?? []
      arguments += [
        bed.executable, "load", "--json", "--rack", "\(bed.layout.rackAddress)",
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
      if let duration = scenario.duration { arguments += ["--duration", "\(duration)"] }
      if number < scenario.boundProcesses { arguments.append("--bind-clients") }
      let role = "load \(number)"
      let namespace = clients[number % clients.count].namespace
      recorders.append((role, try bed.start(role: role, namespace: namespace, arguments)))
    }
    return recorders
  }

  /// Until all recorders have ended.
  private mutating func record(
    _ recorders: [(role: String, child: ChildProcess)], since start: UInt64,
    _ schedule: inout FaultSchedule, _ progress: (String) -> Void
  ) throws(TestbedError) {
    let interval = UInt64(scenario.transitionsEveryMilliseconds) * 1_000_000
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
      try schedule.advance(&bed)
      let now = MonotonicClock.now
      guard now - start < timeLimit else {
        throw .run(
          "the operations were not done after \(timeLimit / 1_000_000_000) s: allow more with "
            + "scenario.time_limit_s, or ask for fewer with scenario.operations")
      }
      if interval > 0, now >= next, !schedule.isControllerAway {
        next = max(next + interval, now)
        try transition()
      }
      if now >= nextProgress {
        nextProgress = now + 500_000_000
        if !schedule.isControllerAway, let status = try? bed.ask(.status).status {
          totals.take(status)
          if let servers = try? bed.ask(.servers).servers { load.take(servers, at: now) }
        }
        progress("recording, \((now - start) / 1_000_000_000) s")
      }
      usleep(5_000)
    }
  }

  /// Nanoseconds for the recording. With a duration, what is under way at its end may take its time.
  private var timeLimit: UInt64 {
    UInt64(max(Double(scenario.timeLimit), (scenario.duration ?? 0) + 30) * 1e9)
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
      // A controller that has just been started again may not answer yet.
      if faults.isEmpty { throw .run("a transition could not be forced: \(error)") }
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

  private func check(_ report: inout ScenarioReport) throws(TestbedError) -> History {
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
    return history
  }

  /// What only the recorders know: why outcomes are unknown, or operations failed.
  private func addOutcomes(_ report: inout ScenarioReport) {
    for member in bed.state.members where member.role.hasPrefix("load ") {
      let lines = FileManager.default.contents(atPath: member.log)?.split(separator: 0x0a) ?? []
      guard let last = lines.last(where: { $0.first == UInt8(ascii: "{") }),
        let recorded = try? JSONDecoder().decode(HistoryReport.self, from: last)
      else { continue }
      report.ambiguous += recorded.ambiguous
      report.lost += recorded.lost
    }
  }

  // MARK: Faults

  /// Seconds at the end of the recording in which every key has to be served.
  private static let settled = 5.0

  private func addFaults(
    _ report: inout ScenarioReport, _ schedule: FaultSchedule, _ history: History, start: Int64
  ) {
    guard !faults.isEmpty else { return }
    let gaps = ServiceGaps(history)
    let records = schedule.records.filter { $0.begun != nil }
    func seconds(_ time: UInt64) -> Double { Double(Int64(time) - start) / 1e9 }
    // Not the last completed operation: a rack that does not come back completes none.
    let end = start + Int64(min(report.duration, scenario.duration ?? report.duration) * 1e9)
    let begins = records.map { Int64($0.begun ?? 0) } + [end]
    // The first second is for sockets and sessions that begin.
    report.quiet = ServiceGapReport(gaps, from: start + 1_000_000_000, to: begins[0])
    for (index, record) in records.enumerated() {
      // Faults that begin together share what follows.
      let next = begins[(index + 1)...].first { $0 > begins[index] + 500_000_000 } ?? end
      report.faults.append(
        FaultReport(
          kind: record.fault.kind.name, target: record.fault.target.description,
          description: record.fault.description, begin: seconds(record.begun ?? 0),
          end: record.ended.map(seconds),
          frames: record.counts.map {
            FaultReport.Frames(
              seen: $0.seen, lost: $0.lost, duplicated: $0.duplicated, delayed: $0.delayed)
          },
          withoutService: ServiceGapReport(
            gaps, struck: keys(atHomeOf: record.fault.target), hot: record.hot,
            from: begins[index], to: next),
          load: loadShare(record)))
      if case .link = record.fault.kind, let counts = record.counts,
        counts.lost + counts.duplicated + counts.delayed == 0
      {
        report.shortcomings.append("\(record.fault) has touched none of \(counts.seen) frames")
      }
    }
    if records.count < faults.count {
      report.shortcomings.append("\(faults.count - records.count) faults never began")
    }
    let isOver = records.allSatisfy { record in
      record.ended.map { end - Int64($0) > Int64(Self.settled * 1e9) } ?? false
    }
    let unserved = gaps.unserved(since: end - Int64(Self.settled * 1e9))
    if isOver, !unserved.isEmpty {
      report.shortcomings.append(
        "in the last \(Int(Self.settled)) s, after all faults, \(unserved.count) keys were not "
          + "served: \(unserved.prefix(5).joined(separator: ", "))")
    }
  }

  private func loadShare(_ record: FaultSchedule.Record) -> LoadShareReport? {
    guard case .slow = record.fault.kind, case .server(let number) = record.fault.target,
      let begun = record.begun, let ended = record.ended
    else { return nil }
    return load.report(ofServer: number, begin: begun, end: ended)
  }

  /// By the controller's division of slots at the start of a rack.
  private func keys(atHomeOf target: Fault.Target) -> [String] {
    guard case .server(let number) = target else { return [] }
    return keys.filter { key in
      let slot = KeyHash.slot(KeyHash.of(Array(key.utf8), seed: hashSeed))
      return slot * bed.layout.servers.count / WireLimits.slots == number
    }
  }

  private func addShortcomings(_ report: inout ScenarioReport) {
    if report.operations < scenario.operations {
      report.shortcomings.append(
        "\(report.operations) operations were recorded, \(scenario.operations) were asked for")
    }
    if scenario.nothingLost, report.lost > 0 {
      report.shortcomings.append("\(report.lost) reads were answered lost: nothing was to be lost")
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

/// What controllers have counted, one after the other: each begins at zero.
private struct SummedTotals {
  private(set) var sum = ControllerTotals()
  private var before = ControllerTotals()
  private var process: Int32 = 0

  mutating func take(_ status: ControlStatus) {
    if status.process != process { (before, process) = (sum, status.process) }
    sum.promotions = before.promotions + status.totals.promotions
    sum.demotions = before.demotions + status.totals.demotions
    sum.givenUp = before.givenUp + status.totals.givenUp
  }
}
