import ArgumentParser
import Configuration
import Foundation

/// `hotrack config`: what may be in configuration files, and whether one is right.
struct ConfigCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config",
    abstract: "Check a configuration file, or show one with every key.",
    subcommands: [ConfigCheckCommand.self, ConfigExampleCommand.self])
}

/// `hotrack config check`.
struct ConfigCheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Say whether a rack file (or a testbed file) is right, and everything that is wrong.",
    discussion: """
      Checks the whole file without starting anything, and says everything that is wrong at once: \
      line and column, the path of the key, what was found and what was expected.

      Exit codes: 0 right, 1 wrong or unreadable, 64 wrong usage.
      """)

  @Argument(help: "The file.")
  var file: String

  @Flag(help: "It is a testbed file (docs/testing.md), not a rack file.")
  var testbed = false

  @Flag(help: "Print one JSON object.")
  var json = false

  func run() throws {
    do throws(ConfigurationError) {
      let summary: String
      if testbed {
        let read = try TestbedFile(file: file)
        summary = "testbed \(read.name): \(read.servers) servers, \(read.clients) clients"
      } else {
        let read = try RackFile(file: file)
        summary =
          "rack \(read.name) at \(read.address):\(read.port), servers "
          + read.servers.map { String($0.number) }.joined(separator: ", ")
      }
      if json {
        try? printJSON(Verdict(file: file, problems: []))
      } else {
        print("\(file) is right: \(summary)")
      }
    } catch {
      if json {
        try printJSON(Verdict(file: file, problems: error.problems.map(Problem.init)))
      } else {
        standardError(error.description)
      }
      throw ExitCode(1)
    }
  }

  /// What JSON says.
  struct Verdict: Encodable {
    var file: String
    var ok: Bool
    var problems: [Problem]

    init(file: String, problems: [Problem]) {
      (self.file, self.problems) = (file, problems)
      ok = problems.isEmpty
    }
  }

  struct Problem: Encodable {
    var text: String
    /// Where it is, if anywhere.
    var line: Int?
    var column: Int?
    /// Of keys and values.
    var path: String?
    var found: String?
    var expected: String?

    init(_ problem: ConfigurationProblem) {
      text = problem.description
      (line, column) = (problem.place?.line, problem.place?.column)
      switch problem.kind {
      case .unreadable, .syntax: break
      case .wrongValue(let path, let found, let expected):
        (self.path, self.found, self.expected) = (path, found, expected)
      case .missing(let path, let expected): (self.path, self.expected) = (path, expected)
      case .unknownKey(let path, _, _): self.path = path
      }
    }
  }
}

/// `hotrack config example`.
struct ConfigExampleCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "example",
    abstract: "Print a rack file that shows and explains every key.",
    discussion: "Keys that may be left out are comments, with what holds without them.")

  func run() { print(RackFile.example, terminator: "") }
}
