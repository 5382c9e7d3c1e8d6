import ArgumentParser
import Foundation
import HotrackClient
import Sockets
import Wire

/// What `hotrack get`, `set` and `delete` share: the rack's address, and how they report.
struct RequestOptions: ParsableArguments {
  @OptionGroup var rack: RackOptions

  @Option(help: "Give up after so many seconds.")
  var timeout = 5.0

  @Flag(help: "Print one JSON object: key, value (or value_base64), version, outcome, error.")
  var json = false

  /// For the help of each command.
  static let exitCodes = """
    Exit codes: 0 done, 1 not found, 2 failed (nothing was changed), 3 the outcome of a write is \
    unknown (it may have taken effect, or may yet), 64 wrong usage.
    """

  func validate() throws {
    guard timeout >= 0.001, timeout <= 86_400 else {
      throw ValidationError("--timeout \(timeout): give 0.001 to 86400 seconds")
    }
  }

  /// Runs one request, prints its report, and exits accordingly.
  ///
  /// `show` prints what was asked for in words; nothing is shown as text of what was not found.
  func run(
    _ command: String, key: String, _ request: (HotrackClient) async throws -> RequestReport.Result,
    show: (RequestReport.Result) -> Void
  ) async throws {
    let configuration = HotrackClient.Configuration(timeout: .seconds(timeout), hashSeed: rack.seed)
    do {
      let client = try HotrackClient(rack: rack.endpoint(), configuration: configuration)
      defer { client.close() }
      let result = try await request(client)
      if json { RequestReport(key: key, result).print() } else { show(result) }
      if result.outcome == .notFound { throw ExitCode(1) }
    } catch let error as HotrackError {
      let outcome = RequestReport.Outcome(error)
      if json { RequestReport(key: key, .init(outcome), error: "\(error)").print() }
      standardError("hotrack \(command): \(error)")
      throw ExitCode(outcome == .unknown ? 3 : 2)
    }
  }
}

/// The end of one request as `--json` prints it.
struct RequestReport: Encodable {
  enum Outcome: String, Encodable {
    case ok, unknown, failed
    case notFound = "not_found"

    init(_ error: HotrackError) {
      if case .unknownOutcome = error { self = .unknown } else { self = .failed }
    }
  }

  struct Result {
    var outcome: Outcome
    var value: [UInt8]?
    var version: UInt64?

    init(_ outcome: Outcome, value: [UInt8]? = nil, version: UInt64? = nil) {
      (self.outcome, self.value, self.version) = (outcome, value, version)
    }
  }

  let key: String
  let outcome: Outcome
  /// If it is UTF-8; else `valueBase64`.
  let value: String?
  let valueBase64: String?
  let version: UInt64?
  let error: String?

  init(key: String, _ result: Result, error: String? = nil) {
    self.key = key
    outcome = result.outcome
    version = result.version
    self.error = error
    value = result.value.flatMap { String(validating: $0, as: UTF8.self) }
    valueBase64 = value == nil ? result.value.map { Data($0).base64EncodedString() } : nil
  }

  func print() {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    guard let data = try? encoder.encode(self) else {
      preconditionFailure("strings and numbers can be encoded")
    }
    Swift.print(String(decoding: data, as: UTF8.self))
  }
}

func standardError(_ line: String, terminator: String = "\n") {
  FileHandle.standardError.write(Data("\(LogOutput.failure(line))\(terminator)".utf8))
}
