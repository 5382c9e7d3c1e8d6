public import Sockets

/// Why load cannot be put on a rack, and what to do about it.
public enum LoadError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The rack did not answer HELLO.
  case noAnswer(Endpoint, seconds: Double)
  /// It answered HELLO, and no operation after that.
  case nothingCompleted(Endpoint)
  /// The rack computes other key hashes.
  case otherSeed(UInt64)
  case socket(SocketError)
  /// The history's file cannot be written; the text is the system's.
  case cannotWrite(path: String, reason: String)

  /// What is wrong, and what the reader can do.
  public var description: String {
    switch self {
    case .noAnswer(let rack, let seconds):
      """
      the rack at \(rack) did not answer within \(seconds) s: check the address, that the rack's \
      controller runs (`hotrack servers`), and that this host or namespace has a route to it
      """
    case .nothingCompleted(let rack):
      """
      every operation on the rack at \(rack) was refused or lost: `hotrack servers` shows which \
      servers are alive; a lower --rate shows whether they are overloaded
      """
    case .otherSeed(let seed):
      """
      the servers compute other key hashes than those of seed \(seed): give the rack's hash seed \
      with --seed
      """
    case .socket(let error): error.description
    case .cannotWrite(let path, let reason):
      "\(path) cannot be written: \(reason); check the directory, its permissions and free space"
    }
  }
}
