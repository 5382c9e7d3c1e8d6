import Foundation
import Sockets
import Testing

/// `hotrack bench server` as a script sees it.
@Suite struct BenchServerCommandTests {
  private struct Printed: Decodable {
    struct Result: Decodable {
      var system: String
      var operation: String
      var opsPerSecond: Double
      var opsPerCpuSecond: Double
      var errorShare: Double
    }
    struct Ratio: Decodable { var opsPerCpuSecond: Double }
    var results: [Result]
    var ratios: [Ratio]
  }

  private static var canRun: Bool {
    let tools = ["memcached", "setpriv", "taskset"]
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    return BackgroundThread.processors.count >= 2
      && tools.allSatisfy { tool in
        folders.contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(tool)") }
      }
  }

  @Test(.enabled(if: canRun, "needs memcached, setpriv, taskset and two processors"))
  func bothSystemsAreMeasured() async throws {
    let run = try await hotrack([
      "bench", "server", "--rounds", "1", "--seconds", "0.05", "--keys", "500", "--sockets", "2",
      "--window", "8", "--json",
    ])
    try #require(run.code == 0, "\(run.errors)")
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let printed = try decoder.decode(Printed.self, from: Data(run.output))
    #expect(
      printed.results.map { "\($0.system) \($0.operation)" } == [
        "hotrack get", "memcached get", "hotrack set", "memcached set",
      ])
    for result in printed.results {
      #expect(result.opsPerSecond > 0)
      #expect(result.opsPerCpuSecond > 0)
      #expect(result.errorShare <= 0.001)
    }
    #expect(printed.ratios.count == 2)
  }

  @Test func unusableSizesAreRefused() async throws {
    for arguments in [["--window", "3"], ["--value-length", "2000"], ["--rounds", "0"]] {
      let run = try await hotrack(["bench", "server"] + arguments)
      #expect(run.code == 64)
    }
  }
}
