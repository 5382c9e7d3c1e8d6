/// How much one client address may ask of a rack.
public struct RequestLimit: Sendable, Equatable {
  /// Nanoseconds between two requests in the long run, above 0.
  public var interval: UInt64
  /// Requests at once, after the client has been quiet; at least 1.
  public var burst: Int

  /// Precondition: `interval` and `burst` above 0, and their product below 2^62.
  public init(interval: UInt64, burst: Int) {
    precondition(
      interval > 0 && burst > 0 && Int(interval).multipliedFullWidth(by: burst).high == 0)
    self.interval = interval
    self.burst = burst
  }

  /// Precondition: 1...1,000,000 requests per second, and as many at once.
  public init(requestsPerSecond: Int, burst: Int) {
    self.init(interval: UInt64(1_000_000_000 / requestsPerSecond), burst: burst)
  }

  /// Requests per second in the long run.
  public var requestsPerSecond: Double { 1e9 / Double(interval) }
}
