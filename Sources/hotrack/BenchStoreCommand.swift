import ArgumentParser
import Foundation
import StoreBench
import StoreClient

/// `hotrack bench store`: closed loops against a running store.
struct BenchStoreCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "store",
    abstract: "Measure a running store of `hotrack store`: puts and reads in closed loops.",
    discussion: """
      Every client sends its next request when it has the answer to the one before. dev/compare-store \
      starts three nodes, and three of etcd, and compares them with this.

      Exit codes: 0 measured, 1 requests failed, 2 no node can be reached, 64 usage.
      """)

  @OptionGroup var options: StoreOptions

  @Option(help: "Clients, 1 to 4096.")
  var clients = StoreLoad.Settings().clients

  @Option(help: "Connections that they share, to each node; by default each client has its own.")
  var connections: Int?

  @Option(help: "Seconds.")
  var seconds = StoreLoad.Settings().seconds

  @Option(help: "Percent of requests that are linearizable reads.")
  var reads = 0

  @Option(help: "Keys.")
  var keys = StoreLoad.Settings().keys

  @Option(help: "Bytes of a value.")
  var valueLength = StoreLoad.Settings().valueLength

  @Option(help: "Spread the keys over so many groups, each with a log of its own.")
  var groups = 1

  @Flag(help: "Put every key once, and end.")
  var fill = false

  func validate() throws {
    guard (1...4_096).contains(clients), (1...4_096).contains(connections ?? 1),
      (0.1...3_600).contains(seconds), (0...100).contains(reads),
      (1...100_000_000).contains(keys), (0...1_000_000).contains(valueLength),
      (1...10_000_000).contains(groups)
    else {
      throw ValidationError(
        "--clients and --connections must be 1 to 4096, --seconds 0.1 to 3600, --reads 0 to 100, "
          + "--keys 1 to 100000000, --value-length 0 to 1000000, --groups 1 to 10000000")
    }
  }

  func run() async throws {
    var settings = StoreLoad.Settings()
    (settings.clients, settings.seconds, settings.reads) = (clients, seconds, reads)
    (settings.keys, settings.valueLength, settings.groups) = (keys, valueLength, groups)
    settings.fills = fill
    let stores = try (0..<min(connections ?? clients, clients)).map { _ in try options.client() }
    let result = await StoreLoad(settings).run(stores)
    for store in stores { await store.close() }
    if options.json {
      StoreText.json(result)
    } else {
      StoreText.line(
        String(
          format: "%.0f/s (%d operations in %.1f s, %d failed), p50 %.0f us, p99 %.0f us",
          result.perSecond, result.operations, result.seconds, result.errors, result.p50Us,
          result.p99Us))
    }
    if result.operations == 0 { throw ExitCode(2) }
    if result.errors > 0 { throw ExitCode(1) }
  }
}
