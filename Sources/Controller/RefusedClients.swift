internal import Sockets

/// Clients whose requests the data plane has dropped because of the rate limit: gathered, so that a
/// flood is one event, and not as many as it has packets or addresses.
struct RefusedClients {
  /// From the first refusal until it is told. Nanoseconds.
  static let gathering: UInt64 = 1_500_000_000
  /// Between two events at least. Nanoseconds.
  static let interval: UInt64 = 60_000_000_000
  /// Addresses that are kept apart, and those that are named.
  static let addressesMax = 1024
  static let namesMax = 3

  private var refused: [IPAddress: UInt64] = [:]
  /// Of addresses that there was no room for.
  private var others: UInt64 = 0
  private var due: UInt64?
  private var quietUntil: UInt64 = 0

  /// So many requests of a client (its address: 16 bytes, IPv4 as IPv4-mapped IPv6) were refused.
  mutating func add(_ address: [UInt8], _ count: UInt64, now: UInt64) {
    guard address.count == 16, let address = IPAddress(bytes: address) else { return }
    if refused[address] != nil || refused.count < Self.addressesMax {
      refused[address, default: 0] += count
    } else {
      others += count
    }
    due = due ?? max(now + Self.gathering, quietUntil)
  }

  /// What is to be told by now, if anything: who, and how many requests of it, most first.
  mutating func take(now: UInt64) -> String? {
    guard let due, due <= now else { return nil }
    let byCount = refused.sorted { ($1.value, "\($0.key)") < ($0.value, "\($1.key)") }
    let named = byCount.prefix(Self.namesMax).map { "\($0.key) (\($0.value) requests dropped)" }
    let rest = byCount.dropFirst(Self.namesMax)
    let restCount = rest.reduce(others) { $0 + $1.value }
    self.due = nil
    quietUntil = now + Self.interval
    refused = [:]
    others = 0
    let more = restCount > 0 ? " and others (\(restCount))" : ""
    return "beyond the rate limit: " + named.joined(separator: ", ") + more
  }
}
