internal import Controller
internal import ControllerCore
internal import Glibc
internal import LoadGenerator
internal import Testbed

/// What one load on a rack has shown.
struct RackProbe {
  var offered: Double
  var report: LoadReport
  /// Requests and copies that were sent to each server while it was measured, by number, per second.
  var serverRates: [Double]
  /// Copies among them, of all servers.
  var copyRate: Double
  /// Hot keys at the end.
  var hotKeys: Int
  /// Promotions and demotions while it was measured.
  var moves: Int
  var processors: ProcessorUse?
}

/// Puts loads on a testbed's rack, one after the other.
struct RackProber {
  let plan: RackPlan
  let bed: Testbed
  let interruption: Interruption
  private let client: ControlClient

  init(_ plan: RackPlan, bed: Testbed, interruption: Interruption) throws {
    (self.plan, self.bed, self.interruption) = (plan, bed, interruption)
    client = try ControlClient(socket: bed.controlSocket)
  }

  /// Writes the most popular keys, then lets a load go on until the set of hot keys has settled.
  func prepare(_ rate: Double, isPromoting: Bool, progress: (String) -> Void) throws {
    var load = plan.load(rate, on: bed, warmUp: 0, seconds: Self.settlingMax)
    load.fill = plan.fill
    let background = try BackgroundLoad(load)
    defer { background.stopAndWait() }
    var settled = Settling()
    while true {
      let (state, outcome) = try wait(background)
      if let outcome {
        _ = try outcome.get()
        return
      }
      guard let state, state.phase != .filling else {
        progress("giving the most popular keys their values")
        continue
      }
      let hotKeys = try status().hotKeys
      progress("keys get hot: \(hotKeys)")
      guard isPromoting else { return }
      if settled.isSettled(hotKeys, at: state.elapsed) { return }
    }
  }

  /// One load: the warm-up, then what is measured. With `toTheEnd` it is not cut short when it has
  /// clearly failed.
  func probe(
    _ rate: Double, warmUp: Double, seconds: Double, toTheEnd: Bool,
    progress: (LoadProgress) -> Void
  ) throws -> RackProbe {
    let load = plan.load(rate, on: bed, warmUp: warmUp, seconds: seconds)
    let roles = ["controller", "servers"].reduce(into: [String: Int32]()) {
      $0[$1] = bed.process($1)
    }
    let background = try BackgroundLoad(load)
    defer { background.stopAndWait() }
    var begin: Moment?
    var end: Moment?
    var unanswered: UInt64 = 0
    var seen = -1.0
    while true {
      let (state, outcome) = try wait(background)
      if let outcome {
        let report = try outcome.get()
        return try result(rate, report, begin, end ?? moment(roles))
      }
      guard let state, state.elapsed > seen else { continue }
      seen = state.elapsed
      progress(state)
      if state.phase == .measuring {
        if begin == nil { begin = try moment(roles) } else { unanswered += state.busy + state.lost }
        // What is certain to be too much need not be measured to the end.
        let allowed = 2 * plan.beyondLimitMax * rate * seconds
        if !toTheEnd, Double(unanswered) > allowed, state.elapsed > warmUp + 1 { background.end() }
      }
      // The last part of the measured time is not worth counting, its exact end is hard to meet.
      if state.phase == .measuring, end == nil, state.elapsed > warmUp + seconds - 0.6 {
        end = try moment(roles)
      }
    }
  }

  // MARK: Steps

  /// Hot keys may come and go for so long, in seconds.
  private static let settlingMax = 30.0

  private struct Moment {
    var time: ContinuousClock.Instant
    var servers: [ControlServer]
    var moves: Int
    var processors: ProcessorUse.Sample
  }

  private func moment(_ roles: [String: Int32]) throws -> Moment {
    let servers = try client.ask(ControlRequest(.servers)).servers ?? []
    let time = ContinuousClock.now
    let totals = try status().totals
    return Moment(
      time: time, servers: servers, moves: totals.promotions + totals.demotions,
      processors: .take(roles: roles))
  }

  private func status() throws -> ControlStatus {
    guard let status = try client.ask(ControlRequest(.status)).status else {
      throw TestbedError.run("the controller has answered without its status")
    }
    return status
  }

  private func wait(
    _ load: BackgroundLoad
  ) throws -> (LoadProgress?, Result<LoadReport, LoadError>?) {
    usleep(50_000)
    try interruption.check()
    let (progress, outcome) = load.state
    return (progress, outcome)
  }

  private func result(
    _ rate: Double, _ report: LoadReport, _ begin: Moment?, _ end: Moment
  ) throws -> RackProbe {
    guard let begin, end.time > begin.time else {
      // The machine was so busy that we have not seen the measuring begin.
      var report = report
      report.isValid = false
      return RackProbe(
        offered: rate, report: report, serverRates: [], copyRate: 0,
        hotKeys: try status().hotKeys, moves: 0, processors: nil)
    }
    let seconds = (end.time - begin.time) / .seconds(1)
    func rates(_ count: (ControlServer) -> UInt64) -> [Double] {
      zip(begin.servers, end.servers).map { Double(count($1) &- count($0)) / seconds }
    }
    return RackProbe(
      offered: rate, report: report, serverRates: rates { $0.reads + $0.writes + $0.copies },
      copyRate: rates(\.copies).reduce(0, +), hotKeys: try status().hotKeys,
      moves: end.moves - begin.moves,
      processors: ProcessorUse(from: begin.processors, to: end.processors))
  }
}

/// Whether the number of hot keys has come to rest.
struct Settling {
  /// Seconds without growth.
  private static let patience = 3.0
  /// Growth that is none: keys at the border come and go.
  private static let tolerance = 1.03

  private var most = 0
  private var since: Double?

  mutating func isSettled(_ hotKeys: Int, at time: Double) -> Bool {
    guard let since, Double(hotKeys) <= Double(most) * Self.tolerance else {
      most = hotKeys
      since = time
      return false
    }
    return time - since >= Self.patience
  }
}
