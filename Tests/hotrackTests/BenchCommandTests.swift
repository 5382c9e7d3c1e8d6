import ArgumentParser
import Bench
import Foundation
import Testing
import Workload

@testable import hotrack

@Suite struct BenchCommandTests {
  @Test func theReportedCommandLeavesOutWhereItGoes() {
    let typed = [
      "/usr/bin/hotrack", "bench", "rack", "--report", "p.md", "--alpha", "1.2", "--plot=x.svg",
      "--section", "rack-reads", "--json",
    ]
    #expect(BenchReportOptions.command(typed) == "hotrack bench rack --alpha 1.2")
  }

  @Test func theReportGoesIntoItsSection() async throws {
    let file = FileManager.default.temporaryDirectory
      .appendingPathComponent("hotrack-bench-\(UUID().uuidString).md")
    defer { try? FileManager.default.removeItem(at: file) }
    let page = "# Page\n\n<!-- bench here -->\nold\n<!-- /bench here -->\n"
    try Data(page.utf8).write(to: file)
    let command = ["bench", "loops", "--datagrams", "1000", "--rounds", "1"]
    let run = try await hotrack(command + ["--report", file.path, "--section", "here"])
    #expect(run.code == 0, "\(run.errors)")
    let written = try String(contentsOf: file, encoding: .utf8)
    #expect(written.contains("hotrack bench loops --datagrams 1000 --rounds 1\n"))
    #expect(written.contains("| decode "))
    #expect(!written.contains("\nold\n"))
    // No section of that name: said before anything is measured, and nothing is changed.
    let other = try await hotrack(command + ["--report", file.path])
    #expect(other.code == 1 && other.errors.contains("<!-- bench loops -->"))
    #expect(other.output.isEmpty)
    #expect(try String(contentsOf: file, encoding: .utf8) == written)
  }

  @Test(
    "Wrong policies are told the right ones",
    arguments: ["", "home,", "home,home", "hashing"])
  func policies(_ text: String) {
    #expect(throws: (any Error).self) {
      try BenchRackCommand.parse(["--policies", text])
    }
  }

  @Test func policiesKeepTheirOrder() throws {
    let command = try BenchRackCommand.parse(["--policies", "replicated,no-copies,home"])
    #expect(command.policies == [.replicated, .noCopies, .home])
  }

  @Test(
    "A profile that cannot be used is refused",
    arguments: [
      ["cluster55"], ["cluster5"], ["cluster43"], ["ycsb-f"],
      ["cluster52", "--read-ratio", "1"], ["cluster52", "--value-length", "10"],
    ])
  func profiles(_ words: [String]) {
    #expect(throws: (any Error).self) { try BenchRackCommand.parse(["--profile"] + words) }
  }

  @Test("A skew may be given beside the profile")
  func profileWithAlpha() throws {
    let command = try BenchRackCommand.parse(["--profile", "cluster1", "--alpha", "1.9"])
    #expect(command.profile?.name == "cluster1")
    _ = try BenchRackCommand.parse(["--profile", "cluster52"])
    _ = try BenchRackCommand.parse(["--profile", "ycsb-a"])
  }
}
