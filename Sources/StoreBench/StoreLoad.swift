internal import LoadGenerator
public import Paxos
internal import Sockets
public import StoreClient
internal import StoreState
internal import Synchronization

/// Clients that ask a store in closed loops: each sends its next request when it has the answer to
/// the one before.
public struct StoreLoad: Sendable {
  public struct Settings: Sendable {
    /// Closed loops.
    public var clients = 64
    public var seconds = 5.0
    /// Percent of operations that are reads.
    public var reads = 0
    public var mode = ReadMode.linearizable
    public var keys = 10_000
    public var valueLength = 256
    /// The keys are spread over so many groups.
    public var groups = 1
    /// Put every key once, and end.
    public var fills = false

    public init() {}
  }

  /// What came of it.
  public struct Result: Sendable, Encodable {
    public var operations = 0
    public var errors = 0
    public var seconds = 0.0
    public var perSecond = 0.0
    public var p50Us = 0.0
    public var p99Us = 0.0
  }

  private let settings: Settings

  public init(_ settings: Settings) { self.settings = settings }

  /// Runs it. Clients share the connections of as many `StoreClient`s as are given.
  public func run(_ stores: [StoreClient]) async -> Result {
    let start = MonotonicClock.now
    let end = start + UInt64(settings.seconds * 1e9)
    let tallies = await withTaskGroup(of: Tally.self) { group in
      for number in 0..<settings.clients {
        group.addTask { await loop(number, stores[number % stores.count], end) }
      }
      return await group.reduce(into: Tally()) { $0.add($1) }
    }
    let seconds = Double(MonotonicClock.now - start) / 1e9
    func microseconds(_ share: Double) -> Double {
      Double(tallies.latencies.quantile(share) ?? 0) / 1_000
    }
    return Result(
      operations: tallies.operations, errors: tallies.errors, seconds: seconds,
      perSecond: Double(tallies.operations) / seconds, p50Us: microseconds(0.5),
      p99Us: microseconds(0.99))
  }

  private struct Tally: Sendable {
    var operations = 0
    var errors = 0
    var latencies = LatencyHistogram()

    mutating func add(_ other: Tally) {
      operations += other.operations
      errors += other.errors
      latencies.add(other.latencies)
    }
  }

  private func loop(_ number: Int, _ store: StoreClient, _ end: UInt64) async -> Tally {
    var tally = Tally()
    var random = UInt64(number + 1) &* 0x9e37_79b9_7f4a_7c15
    func next(_ bound: Int) -> Int {
      random ^= random << 13
      random ^= random >> 7
      random ^= random << 17
      return Int(random % UInt64(bound))
    }
    let value = [UInt8](repeating: UInt8(ascii: "v"), count: settings.valueLength)
    var place = number
    while settings.fills ? place < settings.keys : MonotonicClock.now < end {
      let key = settings.fills ? place : next(settings.keys)
      place += settings.clients
      let isRead = !settings.fills && next(100) < settings.reads
      let began = MonotonicClock.now
      do throws(StoreClientError) {
        try await request(key, isRead ? nil : value, store)
        tally.operations += 1
        tally.latencies.record(MonotonicClock.now - began)
      } catch {
        tally.errors += 1
      }
    }
    return tally
  }

  private func request(
    _ key: Int, _ value: [UInt8]?, _ store: StoreClient
  ) async throws(StoreClientError) {
    let group = settings.groups == 1 ? "default" : "group-\(key % settings.groups)"
    let digits = "\(key)"
    let name = Array("key-\(String(repeating: "0", count: max(0, 8 - digits.count)))\(digits)".utf8)
    if let value {
      _ = try await store.propose(Command(.transaction(.put(name, value))), group: group)
    } else {
      _ = try await store.read(
        .range(KeyRange(name), limit: nil), group: group, settings.mode)
    }
  }
}
