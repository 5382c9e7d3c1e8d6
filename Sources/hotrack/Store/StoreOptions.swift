import ArgumentParser
import Foundation
import Sockets
import StoreClient
import StoreState

/// What all commands that ask a store share.
struct StoreOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Nodes of the store, ADDRESS[:PORT] with commas between them (HOTRACK_STORE_ENDPOINTS).",
      valueName: "endpoints"))
  var endpoints: String?

  @Option(help: "Give up after so many seconds.")
  var commandTimeout = 5.0

  @Option(help: "Pass a node over that cannot be connected to in so many seconds.")
  var dialTimeout = 2.0

  @Option(help: ArgumentHelp("The client's certificate, a PEM file.", valueName: "file"))
  var cert: String?

  @Option(help: ArgumentHelp("The certificate's key, a PEM file.", valueName: "file"))
  var key: String?

  @Option(
    help: ArgumentHelp("Who has signed the nodes' certificates, a PEM file.", valueName: "file"))
  var cacert: String?

  @Flag(help: "Print JSON, one object a line; keys and values are in base64, as etcdctl's are.")
  var json = false

  static let exitCodes = """
    Exit codes: 0 done, 1 failed (nothing was changed), 2 no node can be reached, 3 the outcome of a \
    change is unknown (it may have taken effect, or may yet), 4 a comparison failed, 64 wrong usage.
    """

  func validate() throws {
    guard (0.001...86_400).contains(commandTimeout), (0.001...86_400).contains(dialTimeout) else {
      throw ValidationError("time-outs are 0.001 to 86400 seconds")
    }
    let tls = [cert, key, cacert].compactMap { $0 }
    guard tls.isEmpty || tls.count == 3 else {
      throw ValidationError("--cert, --key and --cacert belong together")
    }
    _ = try parsedEndpoints
  }

  var parsedEndpoints: [Endpoint] {
    get throws {
      let text =
        endpoints ?? ProcessInfo.processInfo.environment["HOTRACK_STORE_ENDPOINTS"]
        ?? "127.0.0.1:2379"
      return try text.split(separator: ",").map { part in
        do { return try Endpoint(parsing: String(part), defaultPort: 2379) } catch {
          throw ValidationError("\(error)")
        }
      }
    }
  }

  func client() throws -> StoreClient {
    var options = StoreClient.Options(endpoints: try parsedEndpoints)
    options.timeoutMilliseconds = Int64(commandTimeout * 1_000)
    options.dialTimeoutMilliseconds = Int64(dialTimeout * 1_000)
    if let cert, let key, let cacert { options.tls = (cert, key, cacert) }
    return try StoreClient(options)
  }

  /// Runs requests; an error ends the process with its words and exit code.
  func run(_ body: (StoreClient) async throws -> Void) async throws {
    do {
      let client = try client()
      do {
        try await body(client)
        await client.close()
      } catch {
        await client.close()
        throw error
      }
    } catch let error as StoreClientError {
      standardError("Error: \(error)")
      throw ExitCode(Self.exitCode(error))
    }
  }

  static func exitCode(_ error: StoreClientError) -> Int32 {
    switch error {
    case .unreachable: 2
    case .outcomeUnknown: 3
    default: 1
    }
  }
}

/// Which group of keys a command is about.
struct GroupOption: ParsableArguments {
  @Option(
    name: .shortAndLong,
    help: """
      The group of the key. Keys of one group share a log: they can be read, changed and watched \
      together. Different groups do not wait for each other.
      """)
  var group = "default"
}

/// Which keys a command is about: KEY, KEY to END, or all with a prefix.
struct RangeOptions: ParsableArguments {
  @Argument(help: "The key.")
  var key: String

  @Argument(help: "The end of a range of keys; it is no part of it.")
  var rangeEnd: String?

  @Flag(help: "All keys that begin with KEY.")
  var prefix = false

  @Flag(help: "All keys that are not less than KEY.")
  var fromKey = false

  func validate() throws {
    guard [prefix, fromKey, rangeEnd != nil].count(where: { $0 }) <= 1 else {
      throw ValidationError("give one of --prefix, --from-key and an end of the range")
    }
  }

  var range: KeyRange {
    let bytes = Array(key.utf8)
    if prefix { return KeyRange(prefix: bytes) }
    if fromKey { return KeyRange(bytes, end: []) }
    return KeyRange(bytes, end: rangeEnd.map { Array($0.utf8) })
  }
}

/// Output in etcdctl's form.
enum StoreText {
  static func write(_ bytes: [UInt8]) {
    FileHandle.standardOutput.write(Data(bytes))
  }

  static func line(_ text: String) { write(Array(text.utf8) + [UInt8(ascii: "\n")]) }

  /// The bytes of a key or value, and a newline; what a terminal would obey is shown as \xNN.
  static func line(_ bytes: [UInt8]) {
    let isTerminal = isatty(STDOUT_FILENO) == 1
    let shown = isTerminal ? Array(GetCommand.printable(bytes).utf8) : bytes
    write(shown + [UInt8(ascii: "\n")])
  }

  static func json(_ value: some Encodable) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    guard let data = try? encoder.encode(value) else {
      preconditionFailure("strings and numbers can be encoded")
    }
    line(String(decoding: data, as: UTF8.self))
  }

  /// Leases are shown as etcd shows them, in hexadecimal.
  static func lease(_ id: UInt64) -> String { String(id, radix: 16) }

  static func lease(parsing text: String) throws -> UInt64 {
    guard let id = UInt64(text, radix: 16), id > 0 else {
      throw ValidationError("\"\(text)\" is no lease: give its number in hexadecimal")
    }
    return id
  }
}

/// A key-value pair as etcdctl's JSON has it.
struct PairJSON: Encodable {
  var key: String
  var value: String?
  var createRevision: UInt64
  var modRevision: UInt64
  var version: UInt64
  var lease: UInt64?

  init(_ pair: KeyValue, keysOnly: Bool = false) {
    key = Data(pair.key).base64EncodedString()
    value = keysOnly ? nil : Data(pair.value).base64EncodedString()
    createRevision = pair.createRevision
    modRevision = pair.modRevision
    version = pair.version
    lease = pair.lease
  }
}

struct HeaderJSON: Encodable {
  var revision: UInt64
  /// The entry of the group's log.
  var entry: UInt64
}
