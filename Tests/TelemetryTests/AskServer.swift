import Foundation
import Glibc
import Sockets
import Synchronization
import Testing

@testable import Telemetry

/// What the server answers to these bytes.
func ask(_ server: HTTPServer, _ text: String) throws -> String {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  defer { close(descriptor) }
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = server.endpoint.port.bigEndian
  address.sin_addr.s_addr = (server.endpoint.address.ipv4 ?? 0).bigEndian
  let code = withUnsafePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
    }
  }
  try #require(code == 0)
  server.accept()
  let bytes = Array(text.utf8)
  send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
  var (answer, part) = ([UInt8](), [UInt8](repeating: 0, count: 4_096))
  while case let count = recv(descriptor, &part, part.count, 0), count > 0 {
    answer += part[..<count]
  }
  return String(decoding: answer, as: UTF8.self)
}

/// Takes connections on a thread of its own for as long as it is kept.
final class Acceptor: Sendable {
  private let isEnded: Shared

  private final class Shared: Sendable {
    let flag = Atomic(false)
  }

  init(_ server: HTTPServer) {
    let isEnded = Shared()
    self.isEnded = isEnded
    Thread.detachNewThread {
      while !isEnded.flag.load(ordering: .relaxed) {
        var waiting = pollfd(fd: server.readiness, events: Int16(POLLIN), revents: 0)
        if poll(&waiting, 1, 50) > 0 { server.accept() }
      }
    }
  }

  deinit { isEnded.flag.store(true, ordering: .relaxed) }
}
