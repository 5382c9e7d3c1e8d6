import ArgumentParser
import Bench
import Configuration
import Foundation
import Testbed

/// `hotrack testbed run`.
struct TestbedRunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Bring a testbed up, run its scenario, check the history, take it down.",
    discussion: """
      The history has one JSON object for each operation. `hotrack check` checks it once more. \
      Several files are run one after the other; then a table says what came of them.

      Exit codes: 0 linearizable, with all that was asked for; 1 one was not so, or could not run.
      """)

  @Argument(help: "Testbed files with a [scenario].")
  var files = ["testbed/linearizability.toml"]

  @Option(
    help: ArgumentHelp(
      "Where to leave the history, of one file. Default: nowhere.", valueName: "file"))
  var history: String?

  @Option(help: "Operations, instead of the file's.")
  var operations: Int?

  @Option(
    help: ArgumentHelp(
      "Where to leave history and logs of runs that are not good. Default: nowhere.",
      valueName: "folder"))
  var failures: String?

  @Option(
    help: ArgumentHelp(
      """
      Also write the table into this page, between its lines `<!-- bench faults -->` and \
      `<!-- /bench faults -->`.
      """, valueName: "file"))
  var report: String?

  @Flag(help: "Print one JSON object for each file.")
  var json = false

  func validate() throws {
    guard (1...10_000_000).contains(operations ?? 1) else {
      throw ValidationError("--operations: 1 to 10,000,000")
    }
    guard !files.isEmpty else { throw ValidationError("name at least one testbed file") }
    guard history == nil || files.count == 1 else {
      throw ValidationError("--history: with one file only")
    }
  }

  func run() throws {
    try reportingFailure("testbed run") {
      if let report { try ReportPage(file: report).check("faults") }
      var bedFiles: [(path: String, file: TestbedFile)] = []
      // Whatever is wrong with a file, it is better known now than after an hour.
      for path in files {
        var file = try TestbedFile(file: path)
        guard file.scenario != nil else { throw TestbedError.noScenario(file: path) }
        if let operations { file.scenario?.operations = operations }
        bedFiles.append((path, file))
      }
      try requireWritable(history)
      let interruption = Interruption()
      defer { interruption.cancel() }
      var table = ScenarioTable()
      for (path, file) in bedFiles {
        if files.count > 1, !json { print("\n== \(path)") }
        do {
          let result = try record(file, path: path, interruption)
          if json { try printJSON(result) } else { print(result.text) }
          table.add(result)
        } catch TestbedError.interrupted {
          throw TestbedError.interrupted
        } catch {
          guard files.count > 1 else { throw error }
          standardError("hotrack testbed run: \(path): \(error)")
          table.addFailure(of: file.name, "\(error)")
        }
        fflush(nil)
      }
      if files.count > 1, !json { print("\n\(table.table.text)") }
      if let report {
        let command = "hotrack testbed run " + files.joined(separator: " ")
        let section = ReportSection(
          command: command, tables: [table.table], remarks: table.remarks,
          machine: MachineDescription.current().text)
        try ReportPage(file: report).write("faults", section.markdown)
      }
      guard table.isGood else { throw ExitCode(1) }
    }
  }

  private func record(
    _ bedFile: TestbedFile, path: String, _ interruption: Interruption
  ) throws -> ScenarioReport {
    let line = ProgressLine()
    defer { line.clear() }
    let bed = try Testbed.up(bedFile, interruption: interruption) { line.show($0) }
    do {
      var run = try ScenarioRun(bedFile, path: path, on: bed, interruption: interruption)
      let report = try run.run(history: history ?? "\(bed.folder)/history.jsonl") {
        line.show("\(bed.name): \($0)")
      }
      if !report.isGood { keep(bed) }
      try Testbed.down(name: bed.name)
      return report
    } catch {
      if !interruption.isRequested { keep(bed) }
      try? Testbed.down(name: bed.name)
      throw error
    }
  }

  /// A copy of the testbed's files, which go away with it.
  private func keep(_ bed: Testbed) {
    guard let failures else { return }
    let place = URL(filePath: failures).appending(path: bed.name)
    let files = FileManager.default
    try? files.createDirectory(atPath: failures, withIntermediateDirectories: true)
    try? files.removeItem(at: place)
    try? files.createDirectory(at: place, withIntermediateDirectories: true)
    for name in (try? files.contentsOfDirectory(atPath: bed.folder)) ?? []
    where name.hasSuffix(".log") || name.hasSuffix(".jsonl") || name.hasSuffix(".toml") {
      try? files.copyItem(
        at: URL(filePath: bed.folder).appending(path: name), to: place.appending(path: name))
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
