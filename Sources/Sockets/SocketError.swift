internal import Glibc

/// Why a socket cannot be had or used, and what to do about it.
public enum SocketError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The text is not an IP address with a port.
  case invalidEndpoint(String)
  /// Another socket has this port.
  case portInUse(Endpoint)
  /// No interface of this network namespace has the address.
  case addressNotAvailable(Endpoint)
  /// There is no route to the address, or the host behind it says so.
  case unreachable(Endpoint, code: Int32)
  /// A host answered that nothing listens on the port.
  case refused(Endpoint)
  /// A network namespace of this name does not exist.
  case noSuchNamespace(String)
  /// This process lacks privileges.
  case notPermitted(doing: String)
  /// The limit of open files is reached.
  case tooManyOpenFiles(doing: String)
  /// The kernel refused something else; `code` is its errno.
  case system(doing: String, code: Int32)

  /// What is wrong, and what the reader can do.
  public var description: String {
    switch self {
    case .invalidEndpoint(let text):
      "\"\(text)\" is not an IPv4 address, or one of IPv6, with or without a port: write it like "
        + "10.0.0.1:18516 or [fd00::1]:18516"
    case .portInUse(let endpoint):
      """
      UDP port \(endpoint.port) of \(endpoint.address) is in use: stop the process that has it \
      (`ss -ulpn 'sport = :\(endpoint.port)'` names it), or choose another port
      """
    case .addressNotAvailable(let endpoint):
      """
      no interface here has the address \(endpoint.address): `ip address` lists those there are; \
      choose one of them or add it
      """
    case .unreachable(let endpoint, let code):
      """
      \(endpoint.address) cannot be reached (\(Self.text(code))): check the address, and \
      `ip route get \(endpoint.address)`
      """
    case .refused(let endpoint):
      """
      nothing listens on UDP port \(endpoint.port) of \(endpoint.address): check address and port, \
      and that it has been started
      """
    case .noSuchNamespace(let name):
      "there is no network namespace \(name): `ip netns list` lists those there are"
    case .notPermitted(let doing):
      "not permitted to \(doing): run as root, or choose what needs no privileges"
    case .tooManyOpenFiles(let doing):
      "cannot \(doing): too many open files; raise the limit with `ulimit -n`"
    case .system(let doing, let code):
      "cannot \(doing): \(Self.text(code))"
    }
  }

  /// The kernel's errno; nil where the error was found before the kernel was asked.
  public var code: Int32? {
    switch self {
    case .invalidEndpoint: nil
    case .portInUse: EADDRINUSE
    case .addressNotAvailable: EADDRNOTAVAIL
    case .unreachable(_, let code), .system(_, let code): code
    case .refused: ECONNREFUSED
    case .noSuchNamespace: ENOENT
    case .notPermitted: EPERM
    case .tooManyOpenFiles: EMFILE
    }
  }

  /// The error for a failed system call; `endpoint` is what it was about.
  static func from(code: Int32, doing: String, endpoint: Endpoint? = nil) -> SocketError {
    switch (code, endpoint) {
    case (EADDRINUSE, let endpoint?): .portInUse(endpoint)
    case (EADDRNOTAVAIL, let endpoint?): .addressNotAvailable(endpoint)
    case (ENETUNREACH, let endpoint?), (EHOSTUNREACH, let endpoint?), (ENETDOWN, let endpoint?):
      .unreachable(endpoint, code: code)
    case (ECONNREFUSED, let endpoint?): .refused(endpoint)
    case (EPERM, _), (EACCES, _): .notPermitted(doing: doing)
    case (EMFILE, _), (ENFILE, _): .tooManyOpenFiles(doing: doing)
    default: .system(doing: doing, code: code)
    }
  }

  /// Errors that concern one datagram or a passing state of the network: for a protocol on UDP they
  /// are lost datagrams.
  static func isLoss(_ code: Int32) -> Bool {
    switch code {
    case ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ENETDOWN, EHOSTDOWN, EPERM, EMSGSIZE: true
    default: false
    }
  }

  private static func text(_ code: Int32) -> String { String(cString: strerror(code)) }
}
