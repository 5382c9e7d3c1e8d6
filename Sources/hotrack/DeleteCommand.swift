import ArgumentParser
import HotrackClient

/// `hotrack delete KEY`
struct DeleteCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete",
    abstract: "Take a key's value away.",
    discussion: """
      Prints the version of the delete. It is done whether or not the key had a value.

      \(RequestOptions.exitCodes)
      """)

  @Argument(help: "The key, 1 to 250 bytes.")
  var key: String

  @OptionGroup var options: RequestOptions

  func run() async throws {
    try await options.run("delete", key: key) { client in
      .init(.ok, version: try await client.delete(key))
    } show: { result in
      print("version \(result.version ?? 0)")
    }
  }
}
