import Foundation
import Synchronization
import Testing

@testable import Telemetry

@Suite struct MonitoringPagesTests {
  private func get(_ pages: MonitoringPages, _ path: String) -> HTTPResponse {
    pages.answer(HTTPRequest(method: "GET", path: path))
  }

  @Test func reportsHaveTheFieldsOfTheControlSocket() throws {
    let report = try sampleRack(keys: ["<script>", "\u{202e}\"\\\u{1}"])
    let pages = MonitoringPages(metrics: { [] }, racks: { [report] })
    let answer = get(pages, "/racks.json")
    #expect(answer.status == 200 && answer.contentType == "application/json")
    let object = try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any]
    let racks = try #require(object?["racks"] as? [[String: Any]])
    #expect(racks.count == 1 && racks[0]["name"] as? String == "demo")
    let status = try #require(racks[0]["status"] as? [String: Any])
    #expect(status["uptime_seconds"] as? Double == 61.5)
    #expect((status["counters"] as? [String: Int])?["drop_stale"] == 7)
    let server = try #require((racks[0]["servers"] as? [[String: Any]])?.first)
    #expect(server["read_rate"] as? Double == 1 && server["phase"] as? String == "alive")
    let keys = try #require(racks[0]["keys"] as? [[String: Any]])
    #expect(keys.map { $0["key"] as? String } == ["<script>", "\u{202e}\"\\\u{1}"])
    #expect(keys[0]["read_share"] as? Double == 0.95 && keys[0]["key_hash"] != nil)
    let event = try #require((racks[0]["events"] as? [[String: Any]])?.first)
    #expect(event["time"] as? UInt64 == 1_700_000_000_000)
    // The page looks for versions in the text, since they have too many bits for its numbers.
    let text = String(decoding: answer.body, as: UTF8.self)
    #expect(text.contains("\"version\":\(72 << 48 + 1)"))
  }

  @Test func aRackThatDoesNotAnswerSaysWhy() throws {
    let gone = RackReport(name: "gone", socket: "/nonexistent/controller.socket")
    #expect(gone.status == nil && gone.keys == nil)
    let text = String(decoding: RackReport.json([gone]), as: UTF8.self)
    #expect(text.hasPrefix("{\"racks\":[{\"error\":\"no controller is running at /nonexistent"))
    #expect(text.hasSuffix("\"name\":\"gone\"}]}"))
  }

  /// However many there are that read.
  @Test func controllersAreAskedNowAndThen() throws {
    let asked = Counter()
    let pages = MonitoringPages(metrics: { [] }) {
      asked.count.add(1, ordering: .relaxed)
      return []
    }
    for _ in 0..<100 { #expect(get(pages, "/racks.json").body == Array("{\"racks\":[]}".utf8)) }
    #expect(asked.count.load(ordering: .relaxed) < 100)
  }

  private final class Counter: Sendable {
    let count = Atomic(0)
  }

  @Test func thePageHasItsFilesAndNothingElse() throws {
    let pages = MonitoringPages(metrics: { [MetricsText.Rack(name: "gone")] }, racks: { [] })
    let page = String(decoding: get(pages, "/").body, as: UTF8.self)
    #expect(page.hasPrefix("<!DOCTYPE html>") && page.hasSuffix("</html>\n"))
    let named = page.matches(of: /(?:src|href)="([^"#]+)"/).map { String($0.output.1) }
    #expect(named.contains("page.js") && named.contains("page.css"))
    for name in named {
      let answer = get(pages, "/\(name)")
      #expect(answer.status == 200 && !answer.body.isEmpty, "\(name)")
    }
    #expect(get(pages, "/page.js").contentType.hasPrefix("text/javascript"))
    #expect(get(pages, "/page.css").contentType.hasPrefix("text/css"))
    #expect(get(pages, "/nothing").status == 404)
    #expect(get(pages, "/../web/page.html").status == 404)
    // What the policy forbids would not work.
    #expect(page.matches(of: /<script(?! src=)|<style| style=| on[a-z]+=|https?:/).isEmpty)
    let script = String(decoding: get(pages, "/page.js").body, as: UTF8.self)
    for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
      #expect(!script.contains(word), "\(word)")
    }
  }

  @Test func answersForbidWhatAPageOfOursDoesNotDo() {
    let text = String(decoding: HTTPResponse(body: "x").bytes(), as: UTF8.self)
    #expect(text.contains("Content-Security-Policy: default-src 'none'; script-src 'self'; "))
    #expect(text.contains("frame-ancestors 'none'") && !text.contains("unsafe"))
    #expect(text.contains("X-Content-Type-Options: nosniff\r\n"))
  }
}
