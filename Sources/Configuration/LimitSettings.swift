/// What a configuration file says about clients that ask too much (`[limits]`).
public struct LimitSettings: Sendable, Equatable {
  /// `requests_per_second` that are taken from one client address; 0: any number.
  public var requestsPerSecond = 0
  /// `burst`: requests of one client address that are taken at once, after it has been quiet.
  public var burst = 1000

  /// No limit.
  public init() {}

  init(_ reader: TableReader) {
    requestsPerSecond = reader.integer("requests_per_second", 0...1_000_000) ?? requestsPerSecond
    burst = reader.integer("burst", 1...1_000_000) ?? burst
    reader.finish()
  }

  /// The lines of a `[limits]` table; none if nothing differs from the usual.
  var lines: [String] {
    guard self != LimitSettings() else { return [] }
    return ["", "[limits]", "requests_per_second = \(requestsPerSecond)", "burst = \(burst)"]
  }
}
