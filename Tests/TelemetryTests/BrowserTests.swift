import Foundation
import Sockets
import Testing

@testable import Telemetry

private let browser: String? = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin")
  .split(separator: ":").map { "\($0)/chromium" }
  .first { FileManager.default.isExecutableFile(atPath: $0) }

/// The live page in a browser, which runs its script: what is in the document after a few seconds.
@Suite(.enabled(if: browser != nil, "no browser: apt-get install chromium"))
struct BrowserTests {
  private struct Shown {
    var document: String
    /// What the browser has said of it, such as what its policy has kept it from.
    var complaints: [Substring]
  }

  private func show(_ racks: [RackReport], choices: String = "") async throws -> Shown {
    let pages = MonitoringPages(metrics: { [] }, racks: { racks })
    let server = try HTTPServer(Endpoint(.loopback, port: 0), handler: pages.answer)
    let acceptor = Acceptor(server)
    let folder = FileManager.default.temporaryDirectory.appending(path: "\(UUID())")
    defer { try? FileManager.default.removeItem(at: folder) }
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/timeout")
    process.arguments = [
      "60", try #require(browser), "--headless=new", "--no-sandbox", "--disable-gpu",
      "--no-first-run", "--user-data-dir=\(folder.path)", "--enable-logging=stderr",
      // Of its own clock: it does not wait for ours.
      "--virtual-time-budget=4000", "--dump-dom", "http://\(server.endpoint)/#\(choices)",
    ]
    let (output, errors) = (Pipe(), Pipe())
    (process.standardOutput, process.standardError) = (output, errors)
    let (document, said) = try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread {
        continuation.resume(
          with: Result {
            try process.run()
            let group = DispatchGroup()
            nonisolated(unsafe) var said = Data()
            DispatchQueue.global().async(group: group) {
              said = (try? errors.fileHandleForReading.readToEnd() ?? Data()) ?? Data()
            }
            let document = try output.fileHandleForReading.readToEnd() ?? Data()
            process.waitUntilExit()
            group.wait()
            return (document, said)
          })
      }
    }
    withExtendedLifetime(acceptor) {}
    let complaints = String(decoding: said, as: UTF8.self).split(separator: "\n")
      .filter { $0.contains("CONSOLE") }
    return Shown(document: String(decoding: document, as: UTF8.self), complaints: complaints)
  }

  @Test func hostileKeysAreTextAndNothingElse() async throws {
    let keys = [
      "<img src=x onerror=\"document.title='gone'\">", "\",\"version\":1,\"\\x00\\xff", "plain",
    ]
    let shown = try await show([try sampleRack(keys: keys)], choices: "order=name")
    let document = shown.document
    #expect(shown.complaints.isEmpty, "\(shown.complaints)")
    #expect(document.contains("<title>demo · hotrack</title>"))
    #expect(document.contains("class=\"pill good\">serving<"), "\(document)")
    #expect(document.contains(">&lt;img src=x onerror=\"document.title='gone'\"&gt;</th>"))
    #expect(document.contains(">\",\"version\":1,\"\\x00\\xff</th>"))
    // As an element it would be written with quotes.
    #expect(!document.contains("<img src=\"x\""))
    #expect(document.contains(">server 1 &lt;b&gt;was&lt;/b&gt; lost<"))
    // All 64 bits of a version.
    #expect(document.contains(">72:1</td>"))
    #expect(document.matches(of: /<i class="h6( home)?">/).count == 2 * keys.count + 1)
    #expect(document.contains("class=\"state-bad\">lost<"))
    let plain = try #require(document.firstRange(of: ">plain</th>"))
    let first = try #require(document.firstRange(of: ">\",\"version\""))
    #expect(first.lowerBound < plain.lowerBound)
  }

  @Test func racksThatDoNotAnswerAreShownToo() async throws {
    let gone = RackReport(name: "<gone>", socket: "/nonexistent/controller.socket")
    let shown = try await show([try sampleRack(), gone], choices: "rack=%3Cgone%3E&order=nonsense")
    #expect(shown.complaints.isEmpty, "\(shown.complaints)")
    #expect(shown.document.contains("class=\"pill bad\">no answer<"))
    #expect(shown.document.contains("Rack &lt;gone&gt;: no controller is running at /nonexistent"))
    #expect(shown.document.contains("<option value=\"demo\">demo</option>"))
  }
}
