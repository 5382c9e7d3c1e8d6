import ArgumentParser
import Foundation
import HotrackClient

/// `hotrack get KEY`
struct GetCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "get",
    abstract: "Read the value of a key.",
    discussion: """
      Prints the value and a newline. Into a pipe or a file the value's bytes are written as they \
      are; on a terminal, bytes that are not printable text are shown as \\xNN. A key without a \
      value prints nothing on standard output.

      \(RequestOptions.exitCodes)
      """)

  @Argument(help: "The key, 1 to 250 bytes.")
  var key: String

  @Flag(help: "Write the value's bytes as they are, and no newline.")
  var raw = false

  @OptionGroup var options: RequestOptions

  func validate() throws {
    if raw, options.json { throw ValidationError("--raw and --json exclude each other") }
  }

  func run() async throws {
    try await options.run("get", key: key) { client in
      guard let value = try await client.get(key) else { return .init(.notFound) }
      return .init(.ok, value: value.bytes, version: value.version)
    } show: { result in
      guard let value = result.value else { return standardError("hotrack get: not found") }
      let newline: [UInt8] = raw ? [] : [UInt8(ascii: "\n")]
      let shown = !raw && isatty(STDOUT_FILENO) == 1 ? Array(Self.printable(value).utf8) : value
      FileHandle.standardOutput.write(Data(shown + newline))
    }
  }

  /// Stored bytes must not steer the terminal: all but printable text, newlines and tabs becomes
  /// \xNN.
  static func printable(_ bytes: [UInt8]) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      return bytes.map { escaped($0, unless: (0x20...0x7e).contains($0)) }.joined()
    }
    return text.unicodeScalars.map { scalar in
      let isControl = scalar.properties.generalCategory == .control
      guard isControl, scalar != "\n", scalar != "\t" else { return String(scalar) }
      return String(scalar).utf8.map { escaped($0, unless: false) }.joined()
    }.joined()
  }

  private static func escaped(_ byte: UInt8, unless isPrintable: Bool) -> String {
    guard !isPrintable else { return String(UnicodeScalar(byte)) }
    let digits = String(byte, radix: 16)
    return "\\x" + (digits.count == 1 ? "0" : "") + digits
  }
}
