/// What a client core is told at its start. Times are in nanoseconds.
public struct ClientConfiguration: Sendable {
  /// The first client id: see `ClientIdentity`.
  public var client: UInt64
  /// The rack's hash seed.
  public var hashSeed: UInt64
  /// Until the first retry, while no round trip has been measured.
  public var timeoutInitial: UInt64
  /// The longest wait between two attempts.
  public var timeoutMax: UInt64
  /// From submission until a request is given up.
  public var deadline: UInt64
  /// A write is preceded by HELLO when nothing was heard of the rack for so long: its first
  /// generation must not be old (docs/protocol.md, §7).
  public var silenceMax: UInt64

  public init(
    client: UInt64, hashSeed: UInt64 = 0, timeoutInitial: UInt64 = 20_000_000,
    timeoutMax: UInt64 = 1_000_000_000, deadline: UInt64 = 5_000_000_000,
    silenceMax: UInt64 = 1_000_000_000
  ) {
    precondition(client != 0, "a client id is not 0")
    self.client = client
    self.hashSeed = hashSeed
    self.timeoutInitial = timeoutInitial
    self.timeoutMax = timeoutMax
    self.deadline = deadline
    self.silenceMax = silenceMax
  }
}

/// A client id holds its time of birth, so that a server which has evicted sessions can tell a new
/// client from a forgotten one.
public enum ClientIdentity {
  static let randomBits: UInt64 = 22
  static let birthMax: UInt64 = .max >> randomBits

  /// `birth`: milliseconds since 1970; `random`: any bits, of which 22 are used.
  public static func make(birth: UInt64, random: UInt64) -> UInt64 {
    let id = birth << randomBits | random & (1 << randomBits - 1)
    return id == 0 ? 1 : id
  }

  /// Milliseconds since 1970.
  public static func birth(of client: UInt64) -> UInt64 { client >> randomBits }
}
