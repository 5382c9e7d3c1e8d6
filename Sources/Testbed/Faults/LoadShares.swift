internal import Controller

/// How much of the load one server had, before a fault struck it and while it lasted.
public struct LoadShareReport: Sendable, Equatable, Encodable {
  /// Shares of all requests that the directory steered, 0...1: in the five seconds before the fault,
  /// and in its last five.
  public var before: Double
  public var atEnd: Double
  /// Slots that it was home of.
  public var slotsBefore: Int
  public var slotsAtEnd: Int

  enum CodingKeys: String, CodingKey {
    case before
    case atEnd = "at_end"
    case slotsBefore = "slots_before"
    case slotsAtEnd = "slots_at_end"
  }
}

extension LoadShareReport: CustomStringConvertible {
  public var description: String {
    func percent(_ share: Double) -> String { "\(fixed(share * 100, 1)) %" }
    return "of all requests \(percent(before)) before, \(percent(atEnd)) at its end; "
      + "slots \(slotsBefore), then \(slotsAtEnd)"
  }
}

/// What the controller has counted for each server, looked at now and then.
struct LoadSamples {
  private struct Sample {
    var time: UInt64
    /// Requests steered to each server since the controller's start, and its slots.
    var requests: [UInt64]
    var slots: [Int]
  }

  private static let window: UInt64 = 5_000_000_000
  private var samples: [Sample] = []

  mutating func take(_ servers: [ControlServer], at time: UInt64) {
    let sorted = servers.sorted { $0.number < $1.number }
    samples.append(
      Sample(
        time: time, requests: sorted.map { $0.reads + $0.writes }, slots: sorted.map(\.slots)))
  }

  /// nil: too little is known.
  func report(ofServer number: Int, begin: UInt64, end: UInt64) -> LoadShareReport? {
    guard let before = share(number, upTo: begin), let atEnd = share(number, upTo: end) else {
      return nil
    }
    return LoadShareReport(
      before: before.share, atEnd: atEnd.share, slotsBefore: before.slots, slotsAtEnd: atEnd.slots)
  }

  private func share(_ number: Int, upTo end: UInt64) -> (share: Double, slots: Int)? {
    let inside = samples.filter { $0.time <= end && $0.time + Self.window >= end }
    guard let first = inside.first, let last = inside.last,
      first.requests.count == last.requests.count, last.requests.indices.contains(number)
    else { return nil }
    // A controller that was started in between has begun to count anew.
    let counts = zip(first.requests, last.requests).map { $1 >= $0 ? $1 - $0 : 0 }
    let all = counts.reduce(0, +)
    guard all > 0 else { return nil }
    return (Double(counts[number]) / Double(all), last.slots[number])
  }
}
