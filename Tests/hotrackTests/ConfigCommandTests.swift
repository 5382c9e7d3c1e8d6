import Configuration
import Controller
import ControllerCore
import Foundation
import Testing

@testable import hotrack

/// `hotrack config` as a script sees it, and that what it shows is true.
@Suite struct ConfigCommandTests {
  private func file(_ text: String) throws -> String {
    let path = FileManager.default.temporaryDirectory.appending(path: "\(UUID()).toml")
    try Data(text.utf8).write(to: path)
    return path.path
  }

  @Test func theExampleIsRight() async throws {
    let example = try await hotrack(["config", "example"])
    #expect(example.code == 0 && example.text == RackFile.example)
    let path = try file(example.text)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let check = try await hotrack(["config", "check", path])
    #expect(check.code == 0)
    #expect(check.text == "\(path) is right: rack demo at 10.18.0.1:18516, servers 0, 1\n")
  }

  @Test func whatTheExampleShowsAsUsualIsUsual() throws {
    var (brief, full) = (
      ControllerOptions(try RackFile(text: RackFile.example, file: "example")),
      ControllerOptions(try RackFile(text: RackFile.exampleInFull, file: "in full"))
    )
    // What the files themselves say differs.
    (brief.settings, full.settings) = ([], [])
    // Plain values all the way down: their descriptions are as good as they are.
    #expect("\(brief)" == "\(full)")
  }

  @Test func theExampleShowsEveryKey() throws {
    var all = try RackFile(text: RackFile.exampleInFull, file: "in full")
    // As text a file has all the keys that are set.
    let written = Set(all.text.split(separator: "\n").compactMap { $0.split(separator: " ").first })
    #expect(written.isSuperset(of: ["minimum_rate", "window", "buckets", "choice", "mac"]))
    for key in written where !key.hasPrefix("[") {
      #expect(RackFile.exampleInFull.contains("\n\(key) = "), "\(key)")
    }
    all.policy = PolicySettings()
    for value in Mirror(
      reflecting: try RackFile(text: RackFile.exampleInFull, file: "in full").policy
    ).children {
      #expect("\(value.value)" != "nil", "\(value.label ?? "")")
    }
  }

  @Test func everythingThatIsWrongIsSaidAtOnce() async throws {
    let path = try file(
      RackFile.example.replacing("10.18.0.1", with: "10.18.0.300")
        .replacing("number = 1", with: "number = 99\nnumbr = 3"))
    defer { try? FileManager.default.removeItem(atPath: path) }
    let check = try await hotrack(["config", "check", path])
    #expect(check.code == 1)
    #expect(check.errors.contains("rack.address: found \"10.18.0.300\", expected the IPv4 address"))
    #expect(check.errors.contains("server[1].number: found 99, expected an integer from 0 to 31"))
    #expect(check.errors.contains("server[1].numbr: unknown key; did you mean `number`?"))
    let json = try await hotrack(["config", "check", "--json", path])
    #expect(json.code == 1 && json.text.contains("\"path\":\"server[1].number\""))
    #expect(json.text.contains("\"ok\":false"))
    let lines = RackFile.example.split(separator: "\n", omittingEmptySubsequences: false)
    let number = try #require(lines.firstIndex { $0.hasPrefix("address = ") }) + 1
    #expect(check.errors.hasPrefix("\(path):\(number):11: rack.address: "), "\(check.errors)")
    #expect(json.text.contains("\"line\":\(number)") && json.text.contains("\"column\":11"))
  }

  @Test func syntaxErrorsHaveLineAndColumn() async throws {
    let path = try file("[rack]\nname = \n")
    defer { try? FileManager.default.removeItem(atPath: path) }
    let check = try await hotrack(["config", "check", path])
    #expect(check.code == 1 && check.errors.hasPrefix("\(path):2:"), "\(check.errors)")
    let missing = try await hotrack(["config", "check", "/nonexistent.toml"])
    #expect(missing.code == 1 && missing.errors.contains("cannot be read"))
  }
}
