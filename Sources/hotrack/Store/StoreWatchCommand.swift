import ArgumentParser
import Foundation
import StoreClient
import StoreState

/// `hotrack store watch KEY`
struct StoreWatchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "watch",
    abstract: "Print changes of keys as they happen.",
    discussion: """
      Prints PUT or DELETE, the key and the value, a line each, as etcdctl does, until it is \
      interrupted. If changes that it would have to print next are gone it ends with an error: \
      nothing is left out in silence.

      \(StoreOptions.exitCodes)
      """)

  @OptionGroup var range: RangeOptions
  @OptionGroup var group: GroupOption
  @OptionGroup var options: StoreOptions

  @Option(help: "Begin with the changes of this revision; else with the next one.")
  var rev: UInt64?

  @Option(help: "End after so many changes.")
  var count: Int?

  func run() async throws {
    try await options.run { client in
      var left = count ?? .max
      let after = rev.map { $0 == 0 ? 0 : $0 - 1 }
      for try await event in client.watch(range.range, group: group.group, after: after) {
        guard case .changes(let changes, let revision) = event else { continue }
        for change in changes where left > 0 {
          show(change, revision)
          left -= 1
        }
        if left == 0 { return }
      }
    }
  }

  private func show(_ event: StoreEvent, _ revision: UInt64) {
    if options.json {
      StoreText.json(
        Report(
          type: event.kind == .put ? "PUT" : "DELETE", revision: event.revision,
          kv: PairJSON(event.pair, keysOnly: event.kind == .delete)))
      return
    }
    StoreText.line(event.kind == .put ? "PUT" : "DELETE")
    StoreText.line(event.pair.key)
    StoreText.line(event.kind == .put ? event.pair.value : [])
  }

  private struct Report: Encodable {
    var type: String
    var revision: UInt64
    var kv: PairJSON
  }
}
