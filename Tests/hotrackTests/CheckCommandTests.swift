import ArgumentParser
import Foundation
import Testing

@testable import hotrack

@Suite struct CheckCommandTests {
  private static let start =
    #"{"client":1,"seq":1,"op":"set","key":"k","value":"a","version":1,"invoke_ns":1,"return_ns":2,"outcome":"ok"}"#

  private func exitCode(of text: String, _ options: [String] = []) throws -> Int32 {
    let file = FileManager.default.temporaryDirectory
      .appendingPathComponent("hotrack-check-\(UUID().uuidString).jsonl")
    try Data(text.utf8).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    return try exitCode(ofFile: file.path, options)
  }

  private func exitCode(ofFile path: String, _ options: [String] = []) throws -> Int32 {
    let command = try CheckCommand.parse([path] + options)
    do {
      try command.run()
      return 0
    } catch let code as ExitCode {
      return code.rawValue
    }
  }

  @Test("The exit code is the verdict", arguments: [[], ["--json"]])
  func verdicts(_ options: [String]) throws {
    let read =
      #"{"client":1,"seq":2,"op":"get","key":"k","value":"VALUE","version":1,"invoke_ns":3,"return_ns":4,"outcome":"ok"}"#
    let good = Self.start + "\n" + read.replacing("VALUE", with: "a") + "\n"
    let bad = Self.start + "\n" + read.replacing("VALUE", with: "b") + "\n"
    #expect(try exitCode(of: good, options) == 0)
    #expect(try exitCode(of: bad, options) == 1)
    #expect(try exitCode(of: "", options) == 0)
  }

  @Test("What needs more steps than allowed is undecided")
  func undecided() throws {
    // Each value twice, or it would be decided without a search.
    var lines: [String] = []
    for number in 0..<8 {
      lines.append(
        #"{"client":\#(number),"seq":1,"op":"set","key":"k","value":"\#(number % 4)","invoke_ns":0,"return_ns":100,"outcome":"ok"}"#
      )
      lines.append(
        #"{"client":\#(number),"seq":2,"op":"get","key":"k","value":"\#(number % 4)","invoke_ns":0,"return_ns":100,"outcome":"ok"}"#
      )
    }
    let text = lines.joined(separator: "\n")
    #expect(try exitCode(of: text, ["--step-limit", "2"]) == 2)
    #expect(try exitCode(of: text) == 0)
  }

  @Test("A file that is missing or not a history is not a verdict")
  func badInput() throws {
    #expect(try exitCode(ofFile: "/nonexistent/history.jsonl") == 2)
    #expect(try exitCode(of: Self.start + "\nnonsense\n") == 2)
  }

  @Test("Seeds are one number or a range in order")
  func seedRanges() {
    #expect(SeedRange(argument: "17")?.count == 1)
    #expect(SeedRange(argument: "3..12")?.count == 10)
    for wrong in ["", "..", "1..", "..2", "5..2", "a..b", "1..2..3", "-1..2"] {
      #expect(SeedRange(argument: wrong) == nil, "\(wrong)")
    }
  }
}
