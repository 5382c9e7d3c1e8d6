import Foundation
import ScriptedRack
import Sockets
import Testing
import Wire

@Suite(.timeLimit(.minutes(2))) struct LoadCommandTests {
  private let short = ["--duration", "0.3", "--warm-up", "0", "--rate", "1000"]

  @Test func jsonHasEveryFieldOfAMeasurement() async throws {
    try await ScriptedRack.running { rack in
      let run = try await hotrack(
        ["load", "--json", "--rack", rack.endpoint.description, "--read-ratio", "0.5"] + short)
      // 3: measured, on a machine that was too busy for it to count.
      #expect(run.code == 0 || run.code == 3)
      let object = try run.object
      #expect(object["completed"] as? String == object["offered"] as? String)
      #expect(object["valid"] as? String == (run.code == 0 ? "1" : "0"))
      let fields = [
        "attempts_again", "beyond_limit", "beyond_limit_share", "busy", "changes",
        "completed",
        "completed_ops_per_s", "duration_s", "failed", "latency_max_us", "latency_p50_us",
        "latency_p999_us", "latency_p99_us", "limit_us", "not_sent", "offered",
        "offered_ops_per_s", "send_lag_p99_us", "server_lateness_p99_us", "servers", "timed_out",
        "valid", "workload",
      ]
      #expect(object.keys.sorted() == fields)
    }
  }

  @Test func aProfileSaysWhatItIsAndHowItIsMapped() async throws {
    try await ScriptedRack.running { rack in
      let options = ["load", "--rack", rack.endpoint.description, "--profile", "cluster18"] + short
      let run = try await hotrack(options)
      #expect(run.text.hasPrefix("workload   cluster18: "))
      #expect(run.text.contains("keys of 18 bytes, values of 37; alpha 2.0994"))
      #expect(run.text.contains("CC BY 4.0") && run.text.contains("add, cas sent as SET"))
      #expect(
        rack.received.filter { $0.header.operation == .get }.allSatisfy { $0.key.count == 18 })
      let workload = try #require(try await hotrack(options + ["--json"]).object["workload"])
      #expect("\(workload)".contains("gets is sent as GET"))
    }
  }

  @Test func popularityChangesAsOftenAsAskedFor() async throws {
    try await ScriptedRack.running { rack in
      let run = try await hotrack(
        [
          "load", "--rack", rack.endpoint.description, "--keys", "1000", "--change", "alternate",
          "--change-keys", "10", "--change-every-ms", "50",
        ] + short)
      // At 50, 100, ... 250 ms of 300.
      #expect(run.text.contains("popularity changed 5 times: hot-in 10 at 0.05"))
    }
  }

  @Test func allProfilesAreListed() async throws {
    let run = try await hotrack(["profiles"])
    #expect(run.code == 0)
    let names = run.text.split(separator: "\n").compactMap { $0.split(separator: " ").first }
    #expect(
      names.count { $0.hasPrefix("ycsb-") } == 5 && names.count { $0.hasPrefix("cluster") } == 53)
    #expect(run.text.contains("not published: cluster5;"))
  }

  @Test func theTableNamesTheServersAndTheirShares() async throws {
    try await ScriptedRack.running { rack in
      let run = try await hotrack(["load", "--rack", rack.endpoint.description] + short)
      #expect(run.text.contains("completed ") && run.text.contains("p99.9 "))
      #expect(run.text.contains("server       ops/s   share     busy"))
      #expect(run.errors.isEmpty)
    }
  }

  @Test func aLoadThatIsRefusedAltogetherIsAnErrorWithTheCountsPrinted() async throws {
    let script: ScriptedRack.Script = { header, _ in
      header.operation == .hello ? .serve : .refuse(.busy)
    }
    try await ScriptedRack.running(script) { rack in
      let run = try await hotrack(
        ["load", "--json", "--fill", "0", "--rack", rack.endpoint.description] + short)
      #expect(run.code == 1 && run.errors.contains("refused or lost"))
      let object = try run.object
      #expect(object["busy"] as? String == object["offered"] as? String)
      #expect(object["latency_p50_us"] as? String == "<null>")
    }
  }

  @Test func aHistoryIsRecordedAndCheckReadsIt() async throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent(
      "hotrack-\(UUID().uuidString).jsonl"
    ).path
    defer { try? FileManager.default.removeItem(atPath: path) }
    try await ScriptedRack.running { rack in
      let run = try await hotrack([
        "load", "--rack", rack.endpoint.description, "--history", path, "--operations", "500",
        "--clients", "5", "--keys", "3",
      ])
      #expect(run.code == 0 && run.text.hasPrefix("recorded 500 operations"))
      let check = try await hotrack(["check", path])
      #expect(check.code == 0 && check.text == "linearizable: 500 operations on 3 keys\n")
    }
  }

  @Test func whatIsWrongIsSaidInOneSentenceWithAWayOut() async throws {
    let closed = try UDPSocket(bind: Endpoint(.loopback, port: 0)).local
    let silent = try await hotrack(["load", "--rack", closed.description])
    #expect(silent.code == 1 && silent.errors.contains("nothing listens on UDP port"))
    let noRack = try await hotrack(["load"])
    #expect(noRack.code == 64 && noRack.errors.contains("--rack 10.0.0.1"))
    for (option, value) in [
      ("--zipf", "3.5"), ("--keys", "0"), ("--rate", "0"), ("--read-share", "1.5"),
      ("--clients", "0"), ("--limit", "2000"), ("--duration", "nan"),
      ("--profile", "cluster5"), ("--profile", "cluster43"), ("--profile", "cluster55"),
      ("--ycsb", "E"), ("--key-size", "251"), ("--value-size", "9-3"), ("--change", "cold"),
    ] {
      let run = try await hotrack(["load", "--rack", "127.0.0.1", option, value])
      #expect(run.code == 64 && run.errors.contains(option))
    }
  }
}
