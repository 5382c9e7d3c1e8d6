public import Wire

/// What a client can ask for. Keys have 1 to 250 bytes; key and value together at most 1,316.
public enum ClientRequest: Sendable, Equatable {
  case get(key: [UInt8])
  case set(key: [UInt8], value: [UInt8])
  case delete(key: [UInt8])

  var key: [UInt8] {
    switch self {
    case .get(let key), .set(let key, _), .delete(let key): key
    }
  }

  var value: [UInt8] {
    guard case .set(_, let value) = self else { return [] }
    return value
  }

  var operation: Operation {
    switch self {
    case .get: .get
    case .set: .set
    case .delete: .delete
    }
  }
}

/// How a request ended.
public enum ClientOutcome: Sendable, Equatable {
  /// A read found this value.
  case value([UInt8], version: UInt64)
  /// A read found nothing; `version` is that of the delete, or 0.
  case notFound(version: UInt64)
  /// A write took effect, under this version.
  case written(version: UInt64)
  /// The request had no effect and never will.
  case failed(ClientFailure)
  /// A write may have taken effect, or may yet: nobody can know.
  case unknown(UnknownReason)
}

/// Why a request had no effect.
public enum ClientFailure: Sendable, Equatable {
  /// The key is empty or longer than 250 bytes.
  case keyLength(Int)
  /// Key and value are longer than one datagram holds.
  case tooLarge(Int)
  /// The rack refused it with a status that is the same every time.
  case refused(Status)
  /// A read of a value whose only holder died; it reads `lost` until it is written again.
  case lost
  /// Nothing came back in time. Of a write: it was never sent.
  case timedOut
}

/// Why the outcome of a write is unknown.
public enum UnknownReason: Sendable, Equatable {
  /// It was sent, and no result came back in time.
  case timedOut
  /// The server that would know was lost.
  case ambiguous
  /// The servers have forgotten this client.
  case sessionLost
}

/// What the owner of a client core has to do, in order.
public enum ClientEffect: Sendable, Equatable {
  /// Send this datagram to the rack.
  case send([UInt8])
  /// The request submitted with this token has ended.
  case complete(token: UInt64, ClientOutcome)
}
