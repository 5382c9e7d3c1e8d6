import Logging
import Server
import Sockets

/// Real servers on loopback, numbered from 0.
final class Servers {
  let running: RunningServers
  let endpoints: [UInt8: Endpoint]

  init(_ count: UInt8) throws {
    var options: [ServerOptions] = []
    for number in 0..<count {
      var server = ServerOptions(
        number: number, listen: Endpoint(.loopback, port: 0),
        directory: Endpoint(.loopback, port: 9))
      server.bufferLength = 1 << 16
      options.append(server)
    }
    running = try RunningServers(
      options, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    endpoints = Dictionary(
      uniqueKeysWithValues: running.endpoints.enumerated().map { (UInt8($0), $1) })
  }

  deinit { running.stop() }
}
