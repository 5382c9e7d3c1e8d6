import Controller
import ControllerCore
import Foundation
import Glibc
import Sockets
import Testing

@testable import Telemetry

@Suite struct MetricsTextTests {
  private func rack() throws -> MetricsText.Rack {
    func ask(_ text: String) throws -> ControlAnswer {
      try #require(ControlAnswer(line: text.utf8), "\(text)")
    }
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    var totals = ControllerTotals()
    totals.promotions = 12
    let totalsText = String(decoding: try encoder.encode(totals), as: UTF8.self)
    let status = try ask(
      """
      {"ok":true,"status":{"rack":"demo","address":"10.18.0.1:18516","process":7,"uptime_seconds":61.5,
      "epoch":3,"generation":844424930131970,"serving":true,"automatic":true,"quiet":true,"rate":12345.5,
      "sample_interval":1,"hot_keys":1,"in_transition":0,"interfaces":{"eth0":"native"},"moving_slots":false,"slots_to_move":0,"slots_frozen_max_us":0,"servers_alive":2,
      "servers":2,"totals":\(totalsText),"counters":{"drop_stale":7,"request_cold_read":5},
      "packets_by_processor":[5]}}
      """)
    let servers = (0..<2).map { number in
      """
      {"number":\(number),"address":"10.18.1.1:18516","phase":"\(number == 0 ? "alive" : "lost")",
      "incarnation":"0123456789abcdef","load":1,"assumed_load":0,"slots":100,"slots_goal":100,"weight":1,"probe_us":50,"keys":10,"read_rate":1,
      "write_rate":1,"copy_rate":1,"reply_rate":1,"reads":11,"writes":12,"copies":13,"replies":14,
      "refused":15,"storage":"memory"}
      """
    }
    let key = """
      {"key":"a\\"b\\\\x0a","key_hex":"75","key_hash":"0000000000000001","mode":"hot","home":0,
      "replicas":[0,1],"version":1,"degree":2,"copies":1,"rate":2000,"read_share":0.95,"share":0.1}
      """
    return MetricsText.Rack(
      name: "demo", status: status.status,
      servers: try ask("{\"ok\":true,\"servers\":[\(servers.joined(separator: ","))]}").servers
        ?? [],
      keys: try ask("{\"ok\":true,\"keys\":[\(key)]}").keys ?? [])
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
    #expect(read == HTTPRequest(method: "GET", path: "/metrics"))
    #expect(try HTTPRequest.read(Array("GET / HTTP/1.1\r\nHost: a\r\n".utf8)) == nil)
  }

  @Test(arguments: [
    ("POST / HTTP/1.1\r\n\r\n", 405), ("GET /\r\n\r\n", 400), ("GET x HTTP/1.1\r\n\r\n", 400),
    ("\r\n\r\n", 400), ("GET / HTTP/2\r\n\r\n", 400), ("GET /\u{1} HTTP/1.1\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nX: " + String(repeating: "x", count: 9_000), 431),
  ])
  func othersAreRefused(_ text: String, _ status: Int) {
    #expect(throws: HTTPRequest.Refusal(status: status)) {
      try HTTPRequest.read(Array(text.utf8))
    }
  }

  private func ask(_ server: HTTPServer, _ text: String) throws -> String {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = server.endpoint.port.bigEndian
    address.sin_addr.s_addr = server.endpoint.address.rawValue.bigEndian
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try #require(code == 0)
    server.accept()
    let bytes = Array(text.utf8)
    send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    var (answer, part) = ([UInt8](), [UInt8](repeating: 0, count: 4_096))
    while case let count = recv(descriptor, &part, part.count, 0), count > 0 {
      answer += part[..<count]
    }
    return String(decoding: answer, as: UTF8.self)
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
}
