internal import CWebPage
internal import Sockets
internal import Synchronization

/// What is served over HTTP: the live page for people (`/`, with its files), what it shows
/// (`/racks.json`), and metrics for Prometheus (`/metrics`).
public final class MonitoringPages: Sendable {
  private struct Report {
    var made: UInt64
    var bytes: [UInt8]
  }

  /// For how long what the controllers have said is told again to others who ask.
  private static let reportAge: UInt64 = 250_000_000

  private let files: [String: HTTPResponse]
  private let report = Mutex<Report?>(nil)
  private let metrics: @Sendable () -> [MetricsText.Rack]
  private let racks: @Sendable () -> [RackReport]

  /// `metrics` and `racks` ask the controllers; both are called on several threads.
  public init(
    metrics: @escaping @Sendable () -> [MetricsText.Rack],
    racks: @escaping @Sendable () -> [RackReport]
  ) {
    self.metrics = metrics
    self.racks = racks
    var files: [String: HTTPResponse] = [:]
    for index in 0..<cwebpage_count() {
      let file = cwebpage_file(index)
      files[String(cString: file.path)] = HTTPResponse(
        contentType: String(cString: file.type),
        bytes: Array(UnsafeBufferPointer(start: file.bytes, count: file.length)))
    }
    self.files = files
  }

  /// The answer to a request.
  public func answer(_ request: HTTPRequest) -> HTTPResponse {
    switch request.path {
    case "/metrics":
      HTTPResponse(contentType: MetricsText.contentType, body: MetricsText.of(metrics()))
    case "/racks.json":
      HTTPResponse(contentType: "application/json", bytes: recentReport())
    case let path:
      files[path] ?? HTTPResponse(refusal: 404)
    }
  }

  /// However many pages are open, controllers are asked four times a second at most: who comes while
  /// they are asked waits for that answer.
  private func recentReport() -> [UInt8] {
    report.withLock { report in
      if let report, MonotonicClock.now < report.made + Self.reportAge { return report.bytes }
      let bytes = RackReport.json(racks())
      report = Report(made: MonotonicClock.now, bytes: bytes)
      return bytes
    }
  }
}
