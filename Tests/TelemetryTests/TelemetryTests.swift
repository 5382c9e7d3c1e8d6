import Controller
import ControllerCore
import Foundation
import Glibc
import Sockets
import Testing

@testable import Telemetry

@Suite struct MetricsTextTests {
  private func rack() throws -> MetricsText.Rack {
    let report = try sampleRack()
    return MetricsText.Rack(
      name: "demo", status: report.status, servers: report.servers ?? [], keys: report.keys ?? [])
  }

  @Test func thePageHasTheRacksFigures() throws {
    let lines = MetricsText.of([try rack()]).split(separator: "\n")
    for line in [
      "hotrack_up{rack=\"demo\"} 1", "hotrack_requests_per_second{rack=\"demo\"} 12345.5",
      "hotrack_generation{rack=\"demo\"} 2", "hotrack_promotions_total{rack=\"demo\"} 12",
      "hotrack_dropped_packets_total{rack=\"demo\",reason=\"stale\"} 7",
      "hotrack_packets_total{rack=\"demo\",kind=\"request_cold_read\"} 5",
      "hotrack_server_alive{rack=\"demo\",server=\"1\"} 0",
      "hotrack_server_requests_total{rack=\"demo\",server=\"0\",operation=\"write\"} 12",
      "hotrack_key_replicas{rack=\"demo\",key=\"a\\\"b\\\\x0a\"} 2",
    ] { #expect(lines.contains { $0 == line }, "\(line)") }
  }

  @Test func aRackThatDoesNotAnswerIsDown() {
    let text = MetricsText.of([MetricsText.Rack(name: "gone")])
    #expect(
      text == """
        # HELP hotrack_up Whether the rack's controller answers.
        # TYPE hotrack_up gauge
        hotrack_up{rack="gone"} 0

        """)
  }

  /// What `promtool check metrics` looks at.
  @Test func namesFollowPrometheusConventions() throws {
    let text = MetricsText.of([try rack(), MetricsText.Rack(name: "gone")])
    var (types, family) = ([String: String](), "")
    var series: Set<String> = []
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      if words[0] == "#" {
        family = String(words[2])
        if words[1] == "TYPE" {
          #expect(types[family] == nil, "\(family) comes twice")
          types[family] = String(words[3])
        } else {
          #expect(words.count > 3 && line.hasSuffix("."), "\(family) has no help")
        }
        continue
      }
      let name = String(line.prefix { $0 != "{" })
      #expect(name == family, "\(name) stands with \(family)")
      #expect(name.wholeMatch(of: /hotrack_[a-z]+(_[a-z]+)*/) != nil, "\(name)")
      #expect((types[name] == "counter") == name.hasSuffix("_total"), "\(name)")
      #expect(
        !["_ms", "_us", "_ns", "_percent", "_kb", "_count", "_sum"].contains { name.hasSuffix($0) })
      #expect(series.insert(String(line.prefix { $0 != "}" })).inserted, "\(line) comes twice")
      #expect(line.split(separator: " ").last.flatMap { Double($0) } != nil, "\(line)")
    }
    #expect(types.count > 25)
  }

  /// Dashboard and alerts speak of nothing else.
  @Test func dashboardAndAlertsUseMetricsThatExist() throws {
    let text = MetricsText.of([try rack()])
    let folder = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../docs/monitoring").standardizedFileURL
    for name in ["grafana-dashboard.json", "prometheus-alerts.yml"] {
      let contents = try String(contentsOf: folder.appending(path: name), encoding: .utf8)
      let used = Set(contents.matches(of: /hotrack_[a-z_]+/).map { String($0.output) })
      #expect(used.count > 4)
      for metric in used {
        #expect(text.contains("# TYPE \(metric) "), "\(name): \(metric) does not exist")
      }
      if name.hasSuffix("json") {
        _ = try JSONSerialization.jsonObject(with: Data(contents.utf8))
      }
    }
  }
}

@Suite struct HTTPTests {
  @Test func requestsAreRead() throws {
    let read = try HTTPRequest.read(Array("GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
    #expect(read == HTTPRequest(method: "GET", path: "/metrics", host: "a"))
    #expect(try HTTPRequest.read(Array("GET / HTTP/1.1\r\nHost: a\r\n".utf8)) == nil)
  }

  @Test(arguments: [
    ("POST / HTTP/1.1\r\n\r\n", 405), ("GET /\r\n\r\n", 400), ("GET x HTTP/1.1\r\n\r\n", 400),
    ("\r\n\r\n", 400), ("GET / HTTP/2\r\n\r\n", 400), ("GET /\u{1} HTTP/1.1\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nX: " + String(repeating: "x", count: 9_000), 431),
    ("GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", 400),
  ])
  func othersAreRefused(_ text: String, _ status: Int) {
    #expect(throws: HTTPRequest.Refusal(status: status)) {
      try HTTPRequest.read(Array(text.utf8))
    }
  }

  @Test func pagesAreServed() throws {
    let server = try HTTPServer(Endpoint(.loopback, port: 0)) { request in
      HTTPResponse(body: "page \(request.path)\n")
    }
    let page = try ask(server, "GET /a HTTP/1.1\r\n\r\n")
    #expect(page.hasPrefix("HTTP/1.1 200 OK\r\n") && page.hasSuffix("\r\n\r\npage /a\n"))
    #expect(page.contains("Content-Length: 8\r\n"))
    let head = try ask(server, "HEAD /a HTTP/1.1\r\n\r\n")
    #expect(head.hasSuffix("\r\n\r\n"))
    #expect(try ask(server, "PUT /a HTTP/1.1\r\n\r\n").hasPrefix("HTTP/1.1 405 "))
    #expect(throws: SocketError.self) {
      try HTTPServer(server.endpoint) { _ in HTTPResponse(body: "") }
    }
  }

  /// A page elsewhere may let its own name lead to the reader's machine.
  @Test(arguments: [
    (nil, true), ("127.0.0.1:9518", true), ("localhost:9518", true), ("LOCALHOST", true),
    ("[::1]:9518", true), ("10.0.0.1", true), ("evil.example:9518", false), ("", false),
    ("localhost.evil.example", false), ("127.0.0.1.evil.example", false),
  ])
  func namesOfOtherMachinesAreTold(_ host: String?, _ isThis: Bool) throws {
    let server = try HTTPServer(Endpoint(.loopback, port: 0)) { _ in HTTPResponse(body: "secret") }
    let line = host.map { "Host: \($0)\r\n" } ?? ""
    let page = try ask(server, "GET / HTTP/1.1\r\nAccept: */*\r\n\(line)\r\n")
    #expect(page.hasPrefix("HTTP/1.1 \(isThis ? 200 : 421) "), "\(page)")
    #expect(page.contains("secret") == isThis)
  }

  @Test func whoeverOpensItToOthersMayNameItAsTheyLike() throws {
    let server = try HTTPServer(Endpoint(.any, port: 0)) { _ in HTTPResponse(body: "page") }
    #expect(try ask(server, "GET / HTTP/1.1\r\nHost: rack-1:9518\r\n\r\n").hasSuffix("page"))
  }
}
