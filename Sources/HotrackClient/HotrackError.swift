public import Sockets
public import Wire

/// Why a request did not succeed. The description says what happened and what can be done.
public enum HotrackError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A write may have taken effect, or may yet: nobody can know. Every other error means that the
  /// request had no effect and never will.
  case unknownOutcome(UnknownReason)
  /// The only server that held the value died. The key reads so until it is written again.
  case lost
  /// Nothing came back in time; a write was never sent. `hint` is what the network said meanwhile.
  case timedOut(rack: Endpoint, after: Duration, hint: SocketError?)
  /// The rack refuses this request, and would every time.
  case refused(Status)
  /// The key is empty or longer than 250 bytes; this is its length.
  case keyLength(Int)
  /// Key and value together are longer than 1,316 bytes; this is their length.
  case tooLarge(Int)
  /// The task was cancelled; a write was not sent.
  case cancelled
  /// The client was closed; a write was not sent.
  case closed
  /// The rack's address is not one, or the socket failed; a write was not sent.
  case socket(SocketError)

  /// Why the outcome of a write is unknown.
  public enum UnknownReason: Equatable, Sendable {
    /// It was sent, and no result came back in time.
    case timedOut(rack: Endpoint, after: Duration)
    /// The server that would know was lost.
    case ambiguous
    /// The servers have forgotten this client.
    case sessionLost
    /// The task was cancelled after it was handed over.
    case cancelled
    /// The client was closed after it was handed over.
    case closed
    /// The socket failed after it was handed over.
    case socket(SocketError)
  }

  /// What happened, and what the reader can do.
  public var description: String {
    switch self {
    case .unknownOutcome(let reason):
      """
      whether the write took effect is unknown: \(reason.text). Read the key before you write it \
      again
      """
    case .lost:
      """
      the only server that held this value died. Write the key again; until then it reads as lost
      """
    case .timedOut(let rack, let after, let hint):
      "no answer from the rack at \(rack) within \(after), and nothing was changed. "
        + (hint.map { "The network says: \($0)" }
          ?? "Check the address, and that the rack is up (`hotrack servers`)")
    case .refused(.wrongHash):
      """
      the rack refused the request: it has another hash seed. Give the client the seed from the \
      rack's configuration
      """
    case .refused(.unsupported):
      "the rack does not support this operation: use client and rack of the same release"
    case .refused(.tooLarge):
      "the server refused the request: key and value are too large for it. Store a shorter value"
    case .refused(let status):
      "the rack refused the request (\(status)): use client and rack of the same release"
    case .keyLength(let length):
      "a key has 1 to \(WireLimits.keyLengthMax) bytes, and this one \(length): choose another key"
    case .tooLarge(let length):
      """
      key and value have \(length) bytes together, and \(WireLimits.bodyLengthMax) fit: store a \
      shorter value, or divide it among several keys
      """
    case .cancelled: "the request was cancelled, and nothing was changed"
    case .closed: "the client is closed, and nothing was changed: make a new one"
    case .socket(let error): "\(error)"
    }
  }
}

extension HotrackError.UnknownReason {
  var text: String {
    switch self {
    case .timedOut(let rack, let after):
      "it was sent to \(rack), and no result came back within \(after)"
    case .ambiguous: "the server that would know was lost"
    case .sessionLost: "the servers have forgotten this client's latest requests"
    case .cancelled: "it was cancelled after it was sent"
    case .closed: "the client was closed after it was sent"
    case .socket(let error): "the client's socket failed after it was sent (\(error))"
    }
  }
}
