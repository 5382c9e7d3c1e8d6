import Testing

@Suite struct SimulateCommandTests {
  @Test("Totals say how much was simulated")
  func totals() async throws {
    let run = try await hotrack(["simulate", "--seeds", "1..6", "--jobs", "2", "--json"])
    #expect(run.code == 0 && run.errors.isEmpty)
    let object = try run.object
    #expect(object["seeds"] as? String == "6" && object["failures"] as? String == "0")
    for (name, least) in [
      ("serversPerSeed", 2.0), ("operationsPerSeed", 500), ("transitionsPerSeed", 2),
      ("operationsPerSecond", 1),
    ] {
      #expect(Double(object[name] as? String ?? "") ?? 0 >= least, "\(name)")
    }
  }

  @Test("Options after `simulate store` are its own")
  func storeOptions() async throws {
    let run = try await hotrack(["simulate", "store", "--seeds", "3..5", "--jobs", "1", "--json"])
    #expect(run.code == 0 && run.errors.isEmpty)
    let object = try run.object
    #expect(object["seeds"] as? String == "3" && object["failures"] as? String == "0")
  }

  /// The command that a run prints to see everything, without the program's name.
  private func replay(in run: Run) throws -> [String] {
    let prefix = "to see everything: hotrack "
    let line = try #require(
      run.text.split(separator: "\n").first { $0.hasPrefix(prefix) })
    return line.dropFirst(prefix.count).split(separator: " ").map(String.init)
  }

  @Test(
    "A failing seed says how it ended, and the command it prints fails in the same way",
    arguments: [[], ["--minimize"]])
  func replays(_ options: [String]) async throws {
    let run = try await hotrack(
      ["simulate", "--seeds", "1..50", "--fault", "errors-move", "--demand", "never"] + options)
    #expect(run.code == 1)
    let failed = try #require(run.text.split(separator: "\n").first { $0.contains(" failed: ") })
    #expect(run.text.contains("FAILED"))
    let again = try await hotrack(try replay(in: run))
    #expect(again.code == 1)
    #expect(again.text.split(separator: "\n").contains(failed))
  }

  @Test("World faults and parts can be chosen, and mistakes are explained")
  func choices() async throws {
    let run = try await hotrack(
      [
        "simulate", "--seeds", "1..3", "--world", "crash,pause", "--without", "loss", "--commands",
        "3", "--phase", "200", "--world-only", "none",
      ])
    #expect(run.code == 0, "\(run.errors)")
    for wrong in [["--world", "rain"], ["--without", "rain"], ["--servers", "0"]] {
      let refused = try await hotrack(["simulate"] + wrong)
      #expect(refused.code == 64 && refused.errors.contains(wrong[0]), "\(refused.errors)")
    }
  }
}
