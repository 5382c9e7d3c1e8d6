internal import Glibc

/// The few calls that local (Unix domain) stream sockets need.
enum LocalSocket {
  /// What fits the kernel's address structure.
  static let pathLengthMax = 107

  static func open() -> Int32 {
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    return socket(AF_UNIX, kind, 0)
  }

  /// Calls bind or connect with the path; returns 0 or errno.
  static func call(
    _ function: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32, _ descriptor: Int32,
    path: String
  ) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    guard path.utf8.count <= pathLengthMax else { return ENAMETOOLONG }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafePointer(to: address) { address in
      address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        function(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 ? 0 : errno
      }
    }
  }
}

/// The path at which a controller listens. Other users cannot connect (mode 0600); the file goes
/// away with this object.
package final class ControlListener {
  package let path: String
  let descriptor: Int32
  /// Which file we made, so that we remove no other.
  private let file: (device: UInt, number: UInt)

  /// Listens; the socket that a dead controller has left behind is replaced.
  package init(path: String) throws(ControllerError) {
    self.path = path
    guard path.utf8.count <= LocalSocket.pathLengthMax else {
      throw .socketPathTooLong(path: path)
    }
    makeDirectories(of: path)
    let descriptor = LocalSocket.open()
    guard descriptor >= 0 else { throw .socket(path: path, doing: "open", code: errno) }
    // The mode that bind gives the file, from its first moment.
    fchmod(descriptor, 0o600)
    do throws(ControllerError) {
      try Self.bind(descriptor, path)
      guard listen(descriptor, 64) == 0 else {
        throw .socket(path: path, doing: "listen on", code: errno)
      }
    } catch {
      close(descriptor)
      throw error
    }
    self.descriptor = descriptor
    var status = stat()
    stat(path, &status)
    file = (UInt(status.st_dev), UInt(status.st_ino))
  }

  deinit {
    var status = stat()
    if stat(path, &status) == 0, UInt(status.st_dev) == file.device,
      UInt(status.st_ino) == file.number
    {
      unlink(path)
    }
    close(descriptor)
  }

  private static func bind(_ descriptor: Int32, _ path: String) throws(ControllerError) {
    let code = LocalSocket.call(Glibc.bind, descriptor, path: path)
    if code == 0 { return }
    guard code == EADDRINUSE else { throw .socket(path: path, doing: "create", code: code) }
    try removeStale(path)
    let again = LocalSocket.call(Glibc.bind, descriptor, path: path)
    guard again == 0 else { throw .socket(path: path, doing: "create", code: again) }
  }

  private static func removeStale(_ path: String) throws(ControllerError) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else { throw .notASocket(path: path) }
    let probe = LocalSocket.open()
    defer { close(probe) }
    let code = LocalSocket.call(connect, probe, path: path)
    // Refused: nobody listens any more. Anything else means that somebody may.
    guard code == ECONNREFUSED || code == ENOENT else {
      throw code == 0 || code == EAGAIN
        ? .controllerRunning(socket: path) : .socket(path: path, doing: "look at", code: code)
    }
    unlink(path)
  }
}
