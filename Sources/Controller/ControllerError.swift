internal import Glibc

/// Why a controller cannot run, and what to do about it.
public enum ControllerError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The options contradict themselves.
  case options(String)
  /// An interface of the rack does not exist in this network namespace.
  case noSuchInterface(String)
  /// The state file cannot be read or written.
  case stateFile(path: String, doing: String, code: Int32)
  /// The state file is not one that a controller wrote.
  case stateFileCorrupt(path: String, reason: String)
  /// Another controller uses the state file.
  case stateFileTaken(path: String)
  /// A server was admitted to an epoch that this controller's is not newer than.
  case epochTooOld(path: String, server: UInt8, epoch: UInt16, own: UInt16)
  /// All 65,535 epochs were used.
  case epochsUsedUp(path: String)
  /// The directory that is running and what the controller is told contradict each other.
  case directoryDiffers(rack: String, reason: String)
  /// Another controller listens on the control socket.
  case controllerRunning(socket: String)
  /// The control socket cannot be had.
  case socket(path: String, doing: String, code: Int32)
  /// Something that is no socket has the control socket's path.
  case notASocket(path: String)
  /// The control socket's path is longer than the kernel allows.
  case socketPathTooLong(path: String)

  /// What is wrong, and what the reader can do.
  public var description: String {
    switch self {
    case .options(let what):
      what
    case .noSuchInterface(let name):
      "there is no interface \(name) in this network namespace: `ip link` lists those there are"
    case .stateFile(let path, let doing, let code):
      """
      cannot \(doing) the state file \(path) (\(Self.text(code))): it keeps the epoch over \
      restarts; name a file on a writable disk with --state
      """
    case .stateFileCorrupt(let path, let reason):
      """
      the state file \(path) is damaged (\(reason)): restore it, or write the two lines \
      "hotrack state 1" and "epoch N" into it, N being no less than any epoch this rack ever had
      """
    case .stateFileTaken(let path):
      "another controller is running with the state file \(path): stop it, or name another file"
    case .epochTooOld(let path, let server, let epoch, let own):
      """
      server \(server) has been admitted to epoch \(epoch) and this controller's is \(own): another \
      directory runs this rack, or \(path) is not the state file that the rack had. Restore \
      that; if it is lost, make sure that no other controller of this rack runs, and start again \
      after: printf 'hotrack state 1\\nepoch \(max(epoch, own))\\n' > \(path)
      """
    case .epochsUsedUp(let path):
      """
      all 65535 epochs are used up (\(path)): stop all servers and clients of this rack, delete \
      the file, and start them again empty
      """
    case .directoryDiffers(let rack, let reason):
      """
      the directory of rack \(rack) that is running cannot be taken over: \(reason). Correct the \
      rack file; or give the directory up: `hotrack detach \(rack)`, restart the servers, and start \
      the controller again
      """
    case .controllerRunning(let socket):
      "another controller is running: it listens on \(socket); stop it, or name another --socket"
    case .socket(let path, let doing, let code):
      """
      cannot \(doing) the control socket \(path) (\(Self.text(code))): name a path that this user \
      may create with --socket
      """
    case .notASocket(let path):
      "\(path) is in the way of the control socket and is no socket: name another with --socket"
    case .socketPathTooLong(let path):
      "the path of the control socket is longer than 107 bytes: \(path)"
    }
  }

  private static func text(_ code: Int32) -> String { String(cString: strerror(code)) }
}
