import ArgumentParser
import Controller
import Foundation
import Sockets
import Telemetry

/// `hotrack exporter`: a live page for people, and metrics for Prometheus.
struct ExporterCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "exporter",
    abstract: "Serve a live page of this host's racks, and their metrics, over HTTP.",
    discussion: """
      The page is at http://127.0.0.1:9518/ unless told otherwise, metrics for Prometheus at /metrics, \
      what the page shows as JSON at /racks.json. Asks the controllers when it is asked. It is a \
      process of its own, so that nobody who reads can hold up a rack. There is no encryption and no \
      password, and keys are named: think before you let other hosts read. docs/monitoring has a \
      Grafana dashboard and alert rules.

      Without --socket and --rack-name: all racks that run on this host.

      Exit codes: 0 ended by a signal, 1 it cannot listen, 64 wrong usage.
      """)

  @OptionGroup var control: ControlOptions

  @Option(help: ArgumentHelp("Where to listen.", valueName: "address:port"))
  var listen = "127.0.0.1:9518"

  @Option(help: "The hottest keys that get metrics of their own, for each rack; 0 to 1,000.")
  var keys = 20

  func validate() throws {
    guard (0...1_000).contains(keys) else { throw ValidationError("--keys: 0 to 1,000") }
    guard (try? Endpoint(parsing: listen, defaultPort: 9_518)) != nil else {
      throw ValidationError("--listen: an IPv4 address and a port, as in 127.0.0.1:9518")
    }
  }

  func run() throws {
    try reportingFailure("exporter") {
      let (control, keys) = (control, keys)
      let pages = MonitoringPages(
        metrics: { control.sockets().map { Self.rack($0, keys: keys) } },
        racks: { control.sockets().map { RackReport(name: $0.name, socket: $0.socket) } })
      let server = try HTTPServer(
        try Endpoint(parsing: listen, defaultPort: 9_518), handler: pages.answer)
      let signals = try StopSignals()
      let poll = try EventPoll()
      try poll.add(signals.stop.descriptor, token: 1)
      try poll.add(server.readiness, token: 2)
      print("page at http://\(server.endpoint)/, metrics at http://\(server.endpoint)/metrics")
      fflush(nil)
      var isStopped = false
      while !isStopped {
        try poll.wait(until: nil) { token, _ in
          if token == 1 { isStopped = true } else { server.accept() }
        }
      }
    }
  }

  /// What a controller says; one that does not answer is known by its socket's name.
  private static func rack(_ entry: (name: String, socket: String), keys: Int) -> MetricsText.Rack {
    do throws(ControlClientError) {
      let client = try ControlClient(socket: entry.socket)
      guard let status = try client.ask(ControlRequest(.status)).status else {
        return MetricsText.Rack(name: entry.name)
      }
      let servers = try client.ask(ControlRequest(.servers)).servers ?? []
      let hottest = try client.ask(ControlRequest(.keys, limit: keys)).keys ?? []
      return MetricsText.Rack(
        name: status.rack, status: status, servers: servers, keys: hottest)
    } catch {
      return MetricsText.Rack(name: entry.name)
    }
  }
}
