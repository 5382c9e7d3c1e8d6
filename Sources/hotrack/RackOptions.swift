import ArgumentParser
import Foundation
import Sockets
import Wire

/// Which rack a command talks to: shared by all commands that are its clients.
struct RackOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The rack's address. Without this option: the environment variable HOTRACK_RACK.",
      valueName: "address[:port]"))
  var rack: String?

  @Option(help: "The rack's hash seed, as in its configuration.")
  var seed: UInt64 = 0

  func validate() throws { _ = try endpoint() }

  func endpoint() throws -> Endpoint {
    let environment = ProcessInfo.processInfo.environment["HOTRACK_RACK"]
    guard let text = rack ?? environment, !text.isEmpty else {
      throw ValidationError(
        "no rack: give its address with --rack 10.0.0.1, or set the environment variable HOTRACK_RACK"
      )
    }
    do {
      return try Endpoint(parsing: text, defaultPort: WireLimits.port)
    } catch {
      throw ValidationError("\(rack == nil ? "HOTRACK_RACK" : "--rack"): \(error)")
    }
  }
}
