internal import Linearizability

/// Time without service, from a recorded history: the longest time in which no operation of a set of
/// keys came to a certain end (`ok` or `not_found`). Pure; times in nanoseconds.
struct ServiceGaps {
  /// Of each key, when its operations ended, in order.
  private var completions: [String: [Int64]] = [:]

  init(_ history: History) {
    for number in 0..<history.keys.count { completions[history.keys[Int32(number)]] = [] }
    for operation in history.operations where operation.outcome.isCertain {
      completions[history.keys[operation.key], default: []].append(operation.returned)
    }
    for key in completions.keys { completions[key]?.sort() }
  }

  /// In alphabetical order.
  var keys: [String] { completions.keys.sorted() }

  /// The longest time between two ends of operations on any of the keys, from the last one before
  /// `begin` until `end`: what comes after it is another's.
  func longest(_ keys: some Sequence<String>, _ begin: Int64, _ end: Int64) -> Int64 {
    let times = keys.flatMap { key in
      let all = completions[key] ?? []
      let first = Self.firstIndex(all, after: begin)
      return all[max(0, first - 1)..<Self.firstIndex(all, after: end)]
    }.sorted()
    var previous = times.last { $0 <= begin } ?? begin
    var longest: Int64 = 0
    for time in times where time > begin {
      longest = max(longest, time - previous)
      previous = time
    }
    return max(longest, end - previous)
  }

  /// The key of these whose longest time without service is the longest.
  func worst(
    _ keys: some Sequence<String>, _ begin: Int64, _ end: Int64
  ) -> (key: String, gap: Int64)? {
    keys.map { (key: $0, gap: longest([$0], begin, end)) }.max { $0.gap < $1.gap }
  }

  /// Keys without a certain end of an operation from `begin` on.
  func unserved(since begin: Int64) -> [String] {
    keys.filter { (completions[$0]?.last ?? 0) < begin }
  }

  /// The index of the first of sorted times that is later.
  private static func firstIndex(_ times: [Int64], after moment: Int64) -> Int {
    var (low, high) = (0, times.count)
    while low < high {
      let middle = (low + high) / 2
      if times[middle] > moment { high = middle } else { low = middle + 1 }
    }
    return low
  }
}

/// Time without service in a part of a run, in milliseconds.
public struct ServiceGapReport: Sendable, Equatable, Encodable {
  /// In which no operation at all came to its end.
  public var all: Double
  /// ...no operation on a key whose home was a server that the fault struck, by the division of slots
  /// at the start; nil: it struck no single server, or no key is at home there.
  public var struck: Double?
  /// ...no operation on a key that was hot when the fault began; nil: none was.
  public var hot: Double?
  /// ...no operation on the key that fared worst.
  public var worstKey: Double
  public var worstKeyName: String

  enum CodingKeys: String, CodingKey {
    case all = "all_ms"
    case struck = "struck_server_ms"
    case hot = "hot_keys_ms"
    case worstKey = "worst_key_ms"
    case worstKeyName = "worst_key"
  }

  init?(
    _ gaps: ServiceGaps, struck: [String] = [], hot: [String] = [], from begin: Int64,
    to end: Int64
  ) {
    guard end > begin, let worst = gaps.worst(gaps.keys, begin, end) else { return nil }
    func milliseconds(_ keys: [String]) -> Double {
      Double(gaps.longest(keys, begin, end)) / 1e6
    }
    all = milliseconds(gaps.keys)
    self.struck = struck.isEmpty ? nil : milliseconds(struck)
    self.hot = hot.isEmpty ? nil : milliseconds(hot)
    worstKey = Double(worst.gap) / 1e6
    worstKeyName = worst.key
  }
}
