import ArgumentParser
import Foundation
import HotrackClient
import Wire

/// `hotrack set KEY VALUE`
struct SetCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "set",
    abstract: "Give a key a value.",
    discussion: """
      Prints the version of the write. With VALUE `-` the value is what standard input holds, to \
      the byte: `printf hello | hotrack set greeting -` stores 5 bytes. A value that begins with a \
      dash comes after `--`: `hotrack set number -- -1`.

      \(RequestOptions.exitCodes)
      """)

  @Argument(help: "The key, 1 to 250 bytes.")
  var key: String

  @Argument(help: "The value, or `-` for standard input; key and value at most 1316 bytes.")
  var value: String

  @OptionGroup var options: RequestOptions

  func run() async throws {
    let bytes: [UInt8]
    do {
      bytes = value == "-" ? try Self.standardInput() : Array(value.utf8)
    } catch {
      standardError("hotrack set: standard input cannot be read: \(error.localizedDescription)")
      throw ExitCode(2)
    }
    try await options.run("set", key: key) { client in
      .init(.ok, value: bytes, version: try await client.set(Array(key.utf8), bytes))
    } show: { result in
      print("version \(result.version ?? 0)")
    }
  }

  /// All of it, or as much as shows that it is too long.
  private static func standardInput() throws -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count <= WireLimits.bodyLengthMax,
      let more = try FileHandle.standardInput.read(upToCount: 65_536), !more.isEmpty
    {
      bytes += more
    }
    return bytes
  }
}
