/// The protocols whose requests are understood.
public enum KeyProtocol: UInt8, Sendable, Encodable, CaseIterable, CustomStringConvertible {
  case hotrack = 0
  case memcached = 1
  case redis = 2

  /// As people and JSON name it.
  public var description: String {
    switch self {
    case .hotrack: "hotrack"
    case .memcached: "memcached"
    case .redis: "redis"
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }

  /// By its name.
  public init?(name: String) {
    guard let found = Self.allCases.first(where: { $0.description == name }) else { return nil }
    self = found
  }

  /// The port that its servers have unless told otherwise.
  public var usualPort: UInt16 {
    switch self {
    case .hotrack: 18_516
    case .memcached: 11_211
    case .redis: 6_379
    }
  }
}

/// Who is told of the requests that are found.
package protocol RequestSink {
  /// A request touches this key. The bytes are valid during the call.
  mutating func request(key: UnsafeRawBufferPointer, isRead: Bool)
  /// A request without a key that could be found.
  mutating func requestWithoutKey()
}

/// What a step of a parser came to.
enum ParserStep {
  /// So many bytes, at least one, are dealt with.
  case took(Int)
  /// More bytes are needed.
  case incomplete
  /// This is not the protocol: we no longer know where in the stream we are.
  case lost
}

/// Keys that are longer are not counted: of memcached and hotrack there are none, and a few in Redis.
let keyLengthMax = 1_024
/// A value may be so long: 512 MiB is Redis' own limit, and memcached's is 1 GiB.
let valueLengthMax = 1 << 30
