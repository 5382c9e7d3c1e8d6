import ArgumentParser
import Configuration
import Controller
import Foundation

/// What the commands that ask a controller share: where it listens, and how they fail.
struct ControlOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The controller's control socket. Otherwise: the environment variable HOTRACK_SOCKET.",
      valueName: "path"))
  var socket: String?

  @Option(
    help: ArgumentHelp(
      "The rack's name. Without this and --socket: the only controller on this host.",
      valueName: "name"))
  var rackName: String?

  /// For the help of each command.
  static let exitCodes = "Exit codes: 0 done, 1 refused or no controller, 64 wrong usage."

  func validate() throws {
    if socket != nil, rackName != nil {
      throw ValidationError("--socket and --rack-name exclude each other")
    }
  }

  /// Asks; prints why there is no answer, and exits.
  func ask(_ command: String, _ request: ControlRequest) throws -> ControlAnswer {
    try reporting(command) { try client().ask(request) }
  }

  /// The names and control sockets of the racks that are meant: all of this host, unless one was named.
  func sockets() -> [(name: String, socket: String)] {
    if let socket { return [(socket, socket)] }
    if let rackName { return [(rackName, RackFile.defaultSocket(rackName))] }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/run/hotrack")) ?? []
    return names.sorted().map { ($0, RackFile.defaultSocket($0)) }
      .filter { FileManager.default.fileExists(atPath: $0.1) }
  }

  /// A connection to the controller that is meant.
  func client() throws -> ControlClient { try ControlClient(socket: path()) }

  /// Runs `body`; prints why there was no answer, and exits.
  func reporting<Value>(_ command: String, _ body: () throws -> Value) throws -> Value {
    do {
      return try body()
    } catch let error as ControlClientError {
      standardError("hotrack \(command): \(error)")
    } catch let error as NoSingleController {
      standardError("hotrack \(command): \(error.description)")
    }
    throw ExitCode(1)
  }

  private func path() throws(NoSingleController) -> String {
    if let socket { return socket }
    if let rackName { return RackFile.defaultSocket(rackName) }
    let environment = ProcessInfo.processInfo.environment["HOTRACK_SOCKET"]
    if let environment, !environment.isEmpty { return environment }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/run/hotrack")) ?? []
    let found = names.sorted().filter {
      FileManager.default.fileExists(atPath: RackFile.defaultSocket($0))
    }
    guard found.count == 1, let name = found.first else {
      throw NoSingleController(names: found)
    }
    return RackFile.defaultSocket(name)
  }
}

private struct NoSingleController: Error {
  let names: [String]

  var description: String {
    names.isEmpty
      ? """
      no controller is running at the usual place (/run/hotrack): start one with `hotrack \
      controller --config rack.toml`, or name its socket with --socket
      """
      : "several racks are here: choose one with --rack-name (\(names.joined(separator: ", ")))"
  }
}

/// One JSON value, as the control socket writes it.
func printJSON(_ value: some Encodable) throws {
  print(try textOfJSON(value))
}

/// The same as text.
func textOfJSON(_ value: some Encodable) throws -> String {
  let encoder = JSONEncoder()
  encoder.keyEncodingStrategy = .convertToSnakeCase
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  return String(decoding: try encoder.encode(value), as: UTF8.self)
}
