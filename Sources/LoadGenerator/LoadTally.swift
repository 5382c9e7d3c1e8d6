internal import Wire
internal import Workload

/// Counts what becomes of operations: those of the measured time for the report, all of them for
/// the display.
struct LoadTally {
  private struct Counts {
    var offered: UInt64 = 0
    var completed: UInt64 = 0
    var busy: UInt64 = 0
    var timedOut: UInt64 = 0
    var failed: UInt64 = 0
    var notSent: UInt64 = 0
    var completedByServer = [UInt64](repeating: 0, count: WireLimits.serversMax)
    var busyByServer = [UInt64](repeating: 0, count: WireLimits.serversMax)
    var latencies = LatencyHistogram()

    mutating func removeAll() {
      (offered, completed, busy, timedOut, failed, notSent) = (0, 0, 0, 0, 0, 0)
      for server in completedByServer.indices {
        completedByServer[server] = 0
        busyByServer[server] = 0
      }
      latencies.removeAll()
    }
  }

  private let limit: UInt64
  private var measured = Counts()
  private var recent = Counts()
  private var completedWithinLimit: UInt64 = 0
  private var attemptsAgain: UInt64 = 0
  private var sendLags = LatencyHistogram()
  private var serverLateness = LatencyHistogram()
  private var recentSince: UInt64 = 0

  init(limit: UInt64) { self.limit = limit }

  private mutating func count(_ isMeasured: Bool, _ change: (inout Counts) -> Void) {
    change(&recent)
    if isMeasured { change(&measured) }
  }

  mutating func offered(isMeasured: Bool) { count(isMeasured) { $0.offered += 1 } }

  mutating func sent(lag: UInt64) { sendLags.record(lag) }

  mutating func sentAgain(isMeasured: Bool) { if isMeasured { attemptsAgain += 1 } }

  mutating func completed(_ request: LoadRequest, by reply: Header, now: UInt64) {
    let latency = now - min(request.due, now)
    let server = Int(reply.server)
    count(request.isMeasured) {
      $0.completed += 1
      if server < $0.completedByServer.count { $0.completedByServer[server] += 1 }
      $0.latencies.record(latency)
    }
    guard request.isMeasured else { return }
    if latency <= limit { completedWithinLimit += 1 }
    serverLateness.record(UInt64(reply.lateness) * 10_000)
  }

  mutating func shed(_ request: LoadRequest, by reply: Header) {
    let server = Int(reply.server)
    count(request.isMeasured) {
      $0.busy += 1
      if server < $0.busyByServer.count { $0.busyByServer[server] += 1 }
      $0.latencies.recordEndless()
    }
  }

  mutating func failed(_ request: LoadRequest) {
    count(request.isMeasured) {
      $0.failed += 1
      $0.latencies.recordEndless()
    }
  }

  mutating func timedOut(_ request: LoadRequest) {
    count(request.isMeasured) {
      $0.timedOut += 1
      $0.latencies.recordEndless()
    }
  }

  mutating func notSent(isMeasured: Bool) {
    count(isMeasured) {
      $0.notSent += 1
      $0.latencies.recordEndless()
    }
  }

  /// What happened since the last call.
  mutating func takeProgress(_ phase: LoadProgress.Phase, start: UInt64, now: UInt64)
    -> LoadProgress
  {
    defer {
      recent.removeAll()
      recentSince = now
    }
    let since = max(recentSince, start)
    return LoadProgress(
      phase: phase, elapsed: Double(now - min(start, now)) / 1e9,
      interval: Double(now - min(since, now)) / 1e9, offered: recent.offered,
      completed: recent.completed, busy: recent.busy,
      lost: recent.timedOut + recent.failed + recent.notSent,
      completedByServer: recent.completedByServer, p50: recent.latencies.quantile(0.5),
      p99: recent.latencies.quantile(0.99))
  }

  /// `duration`: of the measured time, in nanoseconds.
  func report(duration: UInt64, latenessMax: UInt64, changes: [LoadChange]) -> LoadReport {
    let seconds = max(Double(duration) / 1e9, 1e-9)
    let beyond = measured.offered - min(completedWithinLimit, measured.offered)
    let lag = sendLags.quantile(0.99) ?? 0
    let lateness = serverLateness.quantile(0.99) ?? 0
    let latencies = measured.latencies
    return LoadReport(
      duration: seconds, offeredPerSecond: Double(measured.offered) / seconds,
      completedPerSecond: Double(measured.completed) / seconds, offered: measured.offered,
      completed: measured.completed, busy: measured.busy, timedOut: measured.timedOut,
      failed: measured.failed, notSent: measured.notSent, attemptsAgain: attemptsAgain,
      limitMicroseconds: Double(limit) / 1e3, beyondLimit: beyond,
      beyondLimitShare: measured.offered > 0 ? Double(beyond) / Double(measured.offered) : 0,
      p50Microseconds: latencies.quantile(0.5).map { Double($0) / 1e3 },
      p99Microseconds: latencies.quantile(0.99).map { Double($0) / 1e3 },
      p999Microseconds: latencies.quantile(0.999).map { Double($0) / 1e3 },
      largestMicroseconds: Double(latencies.largest) / 1e3, servers: servers(seconds),
      sendLagP99Microseconds: Double(lag) / 1e3,
      serverLatenessP99Microseconds: Double(lateness) / 1e3, isValid: lag + lateness <= latenessMax,
      changes: changes)
  }

  private func servers(_ seconds: Double) -> [LoadReport.Server] {
    measured.completedByServer.indices.compactMap { server in
      let (completed, busy) = (measured.completedByServer[server], measured.busyByServer[server])
      guard completed > 0 || busy > 0 else { return nil }
      return LoadReport.Server(
        server: server, completed: completed, completedPerSecond: Double(completed) / seconds,
        busy: busy)
    }
  }
}
