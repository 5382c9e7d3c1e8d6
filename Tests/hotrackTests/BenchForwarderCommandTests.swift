import Foundation
import Testing

/// `hotrack bench forwarder` as a script sees it.
@Suite struct BenchForwarderCommandTests {
  private struct Printed: Decodable {
    struct Result: Decodable {
      var system: String
      var operation: String
      var opsPerSecond: Double
      var p50Us: Double
      var p99Us: Double
      var directoryRatio: Double
    }
    var results: [Result]
  }

  @Test(.enabled(if: geteuid() == 0, "needs root: it builds network namespaces"))
  func everySystemIsMeasured() async throws {
    let run = try await hotrack(
      [
        "bench", "forwarder", "--rounds", "1", "--seconds", "0.05", "--keys", "500",
        "--servers", "1", "--window", "8", "--json",
      ], environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"])
    try #require(run.code == 0, "\(run.errors)")
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let printed = try decoder.decode(Printed.self, from: Data(run.output))
    #expect(
      printed.results.map { "\($0.system) \($0.operation)" } == [
        "directory get", "forwarder get", "forwarder_joining get",
        "directory set", "forwarder set", "forwarder_joining set",
      ])
    for result in printed.results {
      #expect(result.opsPerSecond > 0)
      #expect(result.p50Us > 0 && result.p50Us <= result.p99Us)
      #expect(result.directoryRatio > 0)
    }
  }

  @Test func unusableSizesAreRefused() async throws {
    for arguments in [["--servers", "33"], ["--window", "5"], ["--seconds", "0"]] {
      let run = try await hotrack(["bench", "forwarder"] + arguments)
      #expect(run.code == 64)
    }
  }
}
