internal import Foundation
internal import Glibc
internal import Synchronization

/// Why a controller did not answer, and what to do about it.
public enum ControlClientError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Nothing listens there.
  case noController(socket: String)
  /// The socket belongs to another user.
  case notPermitted(socket: String)
  /// The connection broke, or no answer came in time.
  case broken(socket: String, code: Int32)
  /// What came is not an answer.
  case notUnderstood(socket: String)
  /// The controller's words.
  case refused(String)

  /// What is wrong, and what the reader can do.
  public var description: String {
    switch self {
    case .noController(let socket):
      """
      no controller is running at \(socket): start one with `hotrack controller --config \
      rack.toml`, or name the socket of another with --socket
      """
    case .notPermitted(let socket):
      "not permitted to use \(socket): run as the controller's user, or as root"
    case .broken(let socket, let code) where code == EAGAIN:
      "the controller at \(socket) does not answer: see whether its process is stopped"
    case .broken(let socket, let code):
      """
      the controller at \(socket) went away (\(String(cString: strerror(code)))): see its log, \
      and ask again
      """
    case .notUnderstood(let socket):
      "what listens at \(socket) is no controller of this version: use the same hotrack for both"
    case .refused(let why):
      "the controller refuses: \(why)"
    }
  }
}

/// Asks a controller over its control socket. Calls block, for at most about five seconds;
/// thread-safe.
public final class ControlClient: Sendable {
  /// Where the controller listens.
  public let socket: String
  private let descriptor: Int32
  /// What came after the last answer; and one request at a time.
  private let rest = Mutex<[UInt8]>([])

  /// Bytes of an answer at most.
  private static let answerLengthMax = 64 << 20

  /// Connects to the controller that listens at this path.
  public init(socket: String) throws(ControlClientError) {
    self.socket = socket
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
    descriptor = Glibc.socket(AF_UNIX, kind, 0)
    guard descriptor >= 0 else { throw .broken(socket: socket, code: errno) }
    var limit = timeval(tv_sec: 5, tv_usec: 0)
    let length = socklen_t(MemoryLayout<timeval>.size)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, length)
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, length)
    switch LocalSocket.call(connect, descriptor, path: socket) {
    case 0: break
    case ENOENT, ECONNREFUSED, ENOTDIR, ENAMETOOLONG, ENOTSOCK:
      throw .noController(socket: socket)
    case EACCES, EPERM: throw .notPermitted(socket: socket)
    case let code: throw .broken(socket: socket, code: code)
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Asks, and returns the answer, which is not a refusal.
  public func ask(_ request: ControlRequest) throws(ControlClientError) -> ControlAnswer {
    let answer = try exchange(request)
    guard answer.ok else { throw .refused(answer.error ?? "no reason given") }
    return answer
  }

  /// Asks, and returns the answer, be it a refusal.
  public func exchange(_ request: ControlRequest) throws(ControlClientError) -> ControlAnswer {
    guard var line = try? ControlCoding.encoder().encode(request) else {
      throw .refused("the request cannot be written")
    }
    line.append(UInt8(ascii: "\n"))
    let bytes = [UInt8](line)
    let result = rest.withLock { rest in
      Result { () throws(ControlClientError) in
        try send(bytes)
        return try receiveLine(&rest)
      }
    }
    guard let answer = ControlAnswer(line: try result.get()) else {
      throw .notUnderstood(socket: socket)
    }
    return answer
  }

  private func send(_ bytes: [UInt8]) throws(ControlClientError) {
    var first = 0
    while first < bytes.count {
      let sent = bytes[first...].withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if sent < 0 && errno == EINTR { continue }
      guard sent > 0 else { throw .broken(socket: socket, code: errno) }
      first += sent
    }
  }

  private func receiveLine(_ bytes: inout [UInt8]) throws(ControlClientError) -> [UInt8] {
    var part = [UInt8](repeating: 0, count: 65_536)
    var searched = 0
    while true {
      if let end = bytes[searched...].firstIndex(of: UInt8(ascii: "\n")) {
        defer { bytes.removeFirst(end + 1) }
        return Array(bytes[..<end])
      }
      searched = bytes.count
      guard bytes.count <= Self.answerLengthMax else { throw .notUnderstood(socket: socket) }
      let length = recv(descriptor, &part, part.count, 0)
      if length < 0 && errno == EINTR { continue }
      guard length > 0 else {
        throw .broken(socket: socket, code: length == 0 ? ECONNRESET : errno)
      }
      bytes += part[..<length]
    }
  }
}
