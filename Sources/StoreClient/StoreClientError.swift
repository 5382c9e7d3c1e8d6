public import StoreState

/// Why a request to a store has not been answered as hoped, and what that means.
public enum StoreClientError: Error, Sendable, Equatable, CustomStringConvertible {
  /// No node could be reached; nothing was done.
  case unreachable(String)
  /// A change was sent, and its answer has not come: it was made, or will be, or never. With a
  /// session it can be asked for again.
  case outcomeUnknown
  /// Not enough nodes answered in time; nothing was done.
  case unavailable
  /// The store said no.
  case store(StoreError)
  /// The node's disk is full; etcd's NOSPACE.
  case noSpace
  case tooLarge
  case overloaded
  /// The node speaks another protocol.
  case unexpectedReply

  public var description: String {
    switch self {
    case .unreachable(let words): "no endpoint can be reached: \(words)"
    case .outcomeUnknown:
      "the request was sent, and no answer came: it may have been done or not; read to find out"
    case .unavailable: "request timed out: too few nodes answer; nothing was done"
    case .store(let error): "\(error)"
    case .noSpace: "a node's disk is full (no space), and no other could do it: make room"
    case .tooLarge:
      "request is too large: at most 1.5 MiB, keys of 4096 bytes, 128 operations and guards"
    case .overloaded: "too many requests wait at the node: try again later"
    case .unexpectedReply: "the node gave an answer to another question: versions do not match"
    }
  }
}
