import ArgumentParser
import Configuration
import Foundation
import Testbed

/// `hotrack testbed run`.
struct TestbedRunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Bring a testbed up, run its scenario, check the history, take it down.",
    discussion: """
      The history has one JSON object for each operation. `hotrack check` checks it once more.

      Exit codes: 0 linearizable, with as many operations as asked for; 1 not so, or it could not run.
      """)

  @Argument(help: "A testbed file with a [scenario].")
  var file = "testbed/linearizability.toml"

  @Option(help: ArgumentHelp("Where to leave the history. Default: nowhere.", valueName: "file"))
  var history: String?

  @Option(help: "Operations, instead of the file's.")
  var operations: Int?

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard (1...10_000_000).contains(operations ?? 1) else {
      throw ValidationError("--operations: 1 to 10,000,000")
    }
  }

  func run() throws {
    try reportingFailure("testbed run") {
      var bedFile = try TestbedFile(file: file)
      guard bedFile.scenario != nil else { throw TestbedError.noScenario(file: file) }
      if let operations { bedFile.scenario?.operations = operations }
      try requireWritable(history)
      let report = try record(bedFile)
      if json { try printJSON(report) } else { print(report.text) }
      guard report.isGood else { throw ExitCode(1) }
    }
  }

  private func record(_ bedFile: TestbedFile) throws -> ScenarioReport {
    let line = ProgressLine()
    defer { line.clear() }
    let interruption = Interruption()
    defer { interruption.cancel() }
    let bed = try Testbed.up(bedFile, interruption: interruption) { line.show($0) }
    do {
      var run = try ScenarioRun(bedFile, path: file, on: bed, interruption: interruption)
      let report = try run.run(history: history ?? "\(bed.folder)/history.jsonl") {
        line.show($0)
      }
      try Testbed.down(name: bed.name)
      return report
    } catch {
      try? Testbed.down(name: bed.name)
      throw error
    }
  }

  /// Better now than after a minute.
  private func requireWritable(_ path: String?) throws {
    guard let path else { return }
    guard FileManager.default.createFile(atPath: path, contents: nil) else {
      throw TestbedError.run("\(path) cannot be written: choose another file for --history")
    }
  }
}
