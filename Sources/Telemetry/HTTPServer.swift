internal import Glibc
public import Sockets
internal import Synchronization

/// Serves pages over HTTP to a few readers: one thread for each connection, sixteen at most, each with
/// five seconds; more are answered 503. Meant for localhost: there is no encryption, and everyone who
/// can connect may read. There it answers nobody who knows it by the name of another machine.
public final class HTTPServer: Sendable {
  public typealias Handler = @Sendable (HTTPRequest) -> HTTPResponse

  private static let connectionsMax = 16
  private static let seconds = 5

  /// Where it listens: the port is the one that the kernel chose, if 0 was asked for.
  public let endpoint: Endpoint
  private let descriptor: Int32
  private let handler: Handler
  private let isLocal: Bool
  private let connections = Atomic<Int>(0)

  /// Begins to listen. `handler` is called on several threads.
  public init(_ endpoint: Endpoint, handler: @escaping Handler) throws(SocketError) {
    guard let ipv4 = endpoint.address.ipv4 else {
      throw .system(doing: "serve HTTP at an IPv6 address", code: EAFNOSUPPORT)
    }
    self.handler = handler
    isLocal = ipv4 >> 24 == 127
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = socket(AF_INET, kind, 0)
    guard descriptor >= 0 else { throw .system(doing: "open a socket", code: errno) }
    self.descriptor = descriptor
    var yes: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, 4)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = endpoint.port.bigEndian
    address.sin_addr.s_addr = ipv4.bigEndian
    let size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, size) }
    }
    var length = size
    guard code == 0, listen(descriptor, 64) == 0,
      withUnsafeMutablePointer(
        to: &address,
        {
          $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            getsockname(descriptor, $0, &length)
          }
        }) == 0
    else {
      let code = errno
      close(descriptor)
      throw .system(doing: "listen on \(endpoint)", code: code)
    }
    self.endpoint = Endpoint(endpoint.address, port: UInt16(bigEndian: address.sin_port))
  }

  deinit { close(descriptor) }

  /// Readable when someone wants to connect.
  public var readiness: Int32 { descriptor }

  /// Takes one connection that waits, and answers it on a thread of its own.
  public func accept() {
    let connection = accept4(descriptor)
    guard connection >= 0 else { return }
    guard connections.add(1, ordering: .relaxed).newValue <= Self.connectionsMax else {
      Self.send(HTTPResponse(refusal: 503).bytes(), connection)
      finish(connection)
      return
    }
    do throws(SocketError) {
      _ = try BackgroundThread(name: "http") { [self] in
        serve(connection)
        finish(connection)
      }
    } catch {
      finish(connection)
    }
  }

  private func accept4(_ descriptor: Int32) -> Int32 {
    let connection = Glibc.accept(descriptor, nil, nil)
    guard connection >= 0 else { return connection }
    _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
    var limit = timeval(tv_sec: Self.seconds, tv_usec: 0)
    let length = socklen_t(MemoryLayout<timeval>.size)
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, length)
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &limit, length)
    return connection
  }

  private func finish(_ connection: Int32) {
    shutdown(connection, Int32(SHUT_RDWR))
    close(connection)
    connections.subtract(1, ordering: .relaxed)
  }

  private func serve(_ connection: Int32) {
    let deadline = MonotonicClock.now + UInt64(Self.seconds) * 1_000_000_000
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 2_048)
    do throws(HTTPRequest.Refusal) {
      while MonotonicClock.now < deadline {
        let count = recv(connection, &part, part.count, 0)
        guard count > 0 else { return }
        bytes += part[..<count]
        guard let request = try HTTPRequest.read(bytes) else { continue }
        guard !isLocal || request.namesThisMachine else { throw HTTPRequest.Refusal(status: 421) }
        Self.send(handler(request).bytes(isHead: request.method == "HEAD"), connection)
        return
      }
    } catch {
      Self.send(HTTPResponse(refusal: error.status).bytes(), connection)
    }
  }

  private static func send(_ bytes: [UInt8], _ connection: Int32) {
    var first = 0
    while first < bytes.count {
      let sent = bytes[first...].withUnsafeBytes {
        Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard sent > 0 else { return }
      first += sent
    }
  }
}
