public import DurableStore
public import Sockets

/// Why a server cannot begin, or go on.
public enum ServerError: Error, Equatable, Sendable, CustomStringConvertible {
  case socket(SocketError)
  case store(StoreError)

  /// What is wrong, and what the reader can do.
  public var description: String {
    switch self {
    case .socket(let error): error.description
    case .store(let error): error.description
    }
  }
}

/// Does something with sockets.
func onSockets<Result>(
  _ body: () throws(SocketError) -> Result
) throws(ServerError) -> Result {
  do throws(SocketError) {
    return try body()
  } catch {
    throw .socket(error)
  }
}
