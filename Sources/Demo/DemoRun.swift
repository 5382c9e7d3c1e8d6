internal import Controller
internal import Glibc
internal import LoadGenerator
internal import Sockets
public import Testbed
internal import Workload

/// The demonstration: a rack on a testbed, and the same load on it twice.
public struct DemoRun {
  private let plan: DemoPlan
  private let screen: DemoScreen
  private let interruption: Interruption

  /// Measurements that this machine was too busy for are repeated so often.
  private static let repetitions = 1

  /// With `forResult`, standard output is for the result as JSON.
  public init(_ plan: DemoPlan, forResult: Bool, interruption: Interruption) {
    self.plan = plan
    self.interruption = interruption
    screen = DemoScreen(forResult: forResult)
  }

  /// Builds the rack, shows both policies, and takes everything down again, also on failure.
  ///
  /// - Throws: `TestbedError`, `LoadError` or `ControlClientError`, each with a way out.
  public func run() throws -> DemoResult {
    screen.introduce(plan)
    let name = try DemoName()
    defer { name.release() }
    defer { screen.clear() }
    let bed = try Testbed.up(plan.testbed(name: name.name), interruption: interruption) {
      screen.say($0)
    }
    let result: DemoResult
    do {
      result = try compare(bed)
    } catch {
      // What went wrong first is what is told.
      try? Testbed.down(name: bed.name)
      throw error
    }
    screen.say("removing the testbed")
    try Testbed.down(name: bed.name)
    return result
  }

  private func compare(_ bed: Testbed) throws -> DemoResult {
    let plain = try phase(.plainHashing, bed)
    _ = try bed.ask(.automatic, on: true)
    let directory = try phase(.directory, bed)
    return DemoResult(plan, plainHashing: plain, directory: directory)
  }

  private func phase(_ policy: DemoPolicy, _ bed: Testbed) throws -> DemoPhase {
    var phase = try measure(policy, bed)
    for _ in 0..<Self.repetitions where !phase.load.isValid {
      screen.say("this machine was too busy for the measurement to count: once more")
      phase = try measure(policy, bed)
    }
    return phase
  }

  // MARK: One measurement

  private func measure(_ policy: DemoPolicy, _ bed: Testbed) throws -> DemoPhase {
    let client = try ControlClient(socket: bed.controlSocket)
    let load = try BackgroundLoad(configuration(policy, bed))
    var watch = ServerWatch()
    var nextFrame = ContinuousClock.now + .seconds(screen.interval)
    defer { load.stopAndWait() }
    while true {
      usleep(100_000)
      guard !interruption.isRequested, !screen.isBroken else { throw TestbedError.interrupted }
      let (progress, outcome) = load.state
      if let outcome {
        let report = try outcome.get()
        let hotKeys = try client.ask(.init(.status)).status?.hotKeys ?? 0
        return DemoPhase(load: report, askedPerSecond: watch.meanRates, hotKeys: hotKeys)
      }
      guard let progress else { continue }
      let servers = try client.ask(.init(.servers)).servers ?? []
      if progress.phase == .measuring {
        watch.add(servers, at: .now)
      }
      guard ContinuousClock.now >= nextFrame else { continue }
      nextFrame = ContinuousClock.now + .seconds(screen.interval)
      show(policy, progress, servers, try client.ask(.init(.keys)).keys ?? [])
    }
  }

  private func configuration(_ policy: DemoPolicy, _ bed: Testbed) -> LoadConfiguration {
    var load = LoadConfiguration(
      rack: TestbedLayout.rackEndpoint, keyCount: plan.keys, alpha: plan.alpha,
      keySeed: DemoPlan.keySeed)
    load.namespace = bed.layout.namespace(of: "c0").map { NetworkNamespace($0) }
    load.hashSeed = plan.hashSeed
    load.rate = plan.offered
    load.warmUp = UInt64(plan.warmUp * 1e9)
    load.duration = UInt64(plan.seconds * 1e9)
    // What was written the first time is still there the second time.
    load.fill = policy == .plainHashing ? plan.fill : 0
    load.mix = OperationMix(readShare: plan.readShare)
    load.valueLengths = .fixed(plan.valueLength)
    load.seed = plan.seed
    load.progressInterval = 500_000_000
    return load
  }

  private func show(
    _ policy: DemoPolicy, _ progress: LoadProgress, _ servers: [ControlServer],
    _ keys: [ControlKey]
  ) {
    let perSecond = 1 / max(progress.interval, 1e-3)
    screen.show(
      DemoFrame(
        plan: plan, policy: policy, phase: progress.phase.rawValue,
        elapsed: progress.phase == .filling ? 0 : progress.elapsed,
        duration: plan.warmUp + plan.seconds, completedPerSecond: progress.completedPerSecond,
        unansweredPerSecond: Double(progress.busy + progress.lost) * perSecond, p99: progress.p99,
        servers: servers.map {
          DemoFrame.Server(
            number: Int($0.number), asked: $0.readRate + $0.writeRate + $0.copyRate)
        }, hotKeys: keys.count,
        keys: keys.prefix(8).map {
          DemoFrame.Key(
            key: $0.key, rate: $0.rate, share: $0.share, replicas: $0.replicas.map(Int.init))
        }))
  }
}

/// What the directory has sent to each server while operations were measured.
private struct ServerWatch {
  private var first: (time: ContinuousClock.Instant, counts: [UInt64])?
  private var last: (time: ContinuousClock.Instant, counts: [UInt64])?

  mutating func add(_ servers: [ControlServer], at now: ContinuousClock.Instant) {
    let sample = (now, servers.map { $0.reads + $0.writes + $0.copies })
    if first == nil { first = sample }
    last = sample
  }

  var meanRates: [Double] {
    guard let first, let last, last.time > first.time else { return [] }
    let seconds = (last.time - first.time) / .seconds(1)
    return zip(first.counts, last.counts).map { Double($1 &- $0) / seconds }
  }
}
