internal import Foundation
internal import TextTables

/// An observation as people read it, in lines of at most 80 columns.
public enum ObservationText {
  private static let widthMax = 80

  /// All lines; `keys`: rows of the table of keys.
  public static func lines(_ seen: Observation, keys: Int) -> [String] {
    var lines = summary(seen)
    guard seen.requests > 0 else {
      return lines + ["", "No requests of hotrack, memcached or Redis were seen."]
    }
    lines += [""] + table(Array(seen.keys.prefix(keys)))
    if seen.servers.count > 1 { lines += [""] + servers(seen) }
    if let gain = seen.gain { lines += [""] + text(gain) }
    return lines
  }

  private static func summary(_ seen: Observation) -> [String] {
    var lines = [
      "packets   \(Numbers.thousands(Double(seen.packets.all))) in "
        + "\(String(format: "%.1f", seen.seconds)) s"
        + (seen.packets.dropped.map { ", \(Numbers.thousands(Double($0))) dropped" } ?? "")
    ]
    if seen.packets.malformed + seen.packets.fragments > 0 {
      lines.append(
        "          \(seen.packets.malformed) malformed, \(seen.packets.fragments) later fragments")
    }
    if seen.streams.gaps > 0 || seen.streams.forgotten > 0 {
      lines.append(
        "streams   \(Numbers.thousands(Double(seen.streams.missingBytes))) bytes missing in "
          + "\(seen.streams.gaps) gaps; \(seen.streams.forgotten) connections forgotten")
    }
    for count in seen.protocols {
      let all = count.reads + count.writes
      lines.append(
        pad(count.name.description, 10) + "\(Numbers.thousands(Double(all))) requests"
          + (all > 0 ? ", \(Numbers.percent(Double(count.reads) / Double(all))) reads" : "")
          + (count.withoutKey > 0
            ? "; \(Numbers.thousands(Double(count.withoutKey))) without a key" : ""))
    }
    guard seen.requests > 0 else { return lines }
    lines.append(
      "keys      about \(Numbers.thousands(seen.distinctKeys)); requests for the top "
        + seen.topShares.prefix(3).map { "\($0.keys): \(Numbers.percent($0.share))" }
        .joined(separator: ", "))
    lines.append("skew      " + text(seen.skew))
    return lines
  }

  private static func text(_ skew: Observation.Skew?) -> String {
    guard let skew else { return "too few requests for each of the hottest keys to say" }
    let from = "(from the \(skew.keys) hottest keys)"
    return skew.isZipf
      ? "Zipf alpha \(String(format: "%.2f", skew.alpha)) \(from)"
      : "not Zipf's (nearest: alpha \(String(format: "%.2f", skew.alpha)), off by up to "
        + "\(Numbers.percent(skew.distance)))"
  }

  private static func table(_ keys: [Observation.Key]) -> [String] {
    let table = TextTable(columns: [
      .init("KEY"), .init("PROTOCOL"), .init("REQUESTS", isNumber: true),
      .init("SHARE", isNumber: true), .init("NOW/S", isNumber: true),
      .init("MEAN/S", isNumber: true), .init("READS", isNumber: true),
    ])
    return table.lines(
      keys.map { key in
        [
          key.key, key.keyProtocol.description, Numbers.short(key.requests),
          Numbers.exactPercent(key.share), Numbers.short(key.temperature),
          Numbers.short(key.requestsPerSecond), Numbers.percent(key.readShare),
        ]
      }, shrinking: 0, to: widthMax)
  }

  private static func servers(_ seen: Observation) -> [String] {
    let table = TextTable(columns: [
      .init("SERVER"), .init("PROTOCOL"), .init("REQUESTS", isNumber: true),
      .init("SHARE", isNumber: true),
    ])
    let shown = seen.servers.prefix(8)
    var lines = table.lines(
      shown.map {
        [
          $0.address, $0.keyProtocol.description, Numbers.short(Double($0.requests)),
          Numbers.exactPercent($0.share),
        ]
      }, shrinking: 0, to: widthMax)
    let mean = seen.servers.reduce(0) { $0 + $1.share } / Double(seen.servers.count)
    if let busiest = seen.servers.first, mean > 0 {
      lines.append(
        "the busiest of \(seen.servers.count) servers has "
          + "\(String(format: "%.2f", busiest.share / mean)) times the mean")
    }
    return lines
  }

  private static func text(_ gain: ReplicationGain) -> [String] {
    let title =
      "With \(gain.servers) servers (computed), by the number of keys that are replicated:"
    let table = TextTable(columns: [
      .init("KEYS", isNumber: true), .init("REQUESTS", isNumber: true),
      .init("USABLE CAPACITY", isNumber: true), .init("TIMES PLAIN HASHING", isNumber: true),
    ])
    let plain = ["none", "-", Numbers.percent(gain.plainUsableCapacity), "1.00"]
    let steps = gain.steps.map { step in
      [
        String(step.keys), Numbers.percent(step.share), Numbers.percent(step.usableCapacity),
        String(format: "%.2f", step.factor),
      ]
    }
    let lines = [title] + table.lines([plain] + steps, shrinking: 0, to: widthMax)
    return gain.steps.isEmpty
      ? lines + ["No key is hot enough for replication to gain anything."] : lines
  }

  private static func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(1, width - text.count))
  }
}
