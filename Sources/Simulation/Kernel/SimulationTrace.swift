/// What happened: always as one number, so that two runs can be compared, and on demand as text.
public struct SimulationTrace: Sendable {
  /// How much text to keep.
  public enum Detail: Sendable, Equatable {
    case none
    /// The last so many lines.
    case tail(Int)
    case all
  }

  private let detail: Detail
  private var kept: [String] = []
  private var start = 0

  /// Different for runs that differ in anything that was recorded.
  public private(set) var hash: UInt64 = 0x9e37_79b9_7f4a_7c15
  /// Events recorded.
  public private(set) var count = 0

  public init(_ detail: Detail) { self.detail = detail }

  /// Records an event: `code` and `values` identify it; `text` is for people.
  public mutating func record(
    at time: UInt64, code: UInt64, values first: UInt64 = 0, _ second: UInt64 = 0,
    text: @autoclosure () -> String
  ) {
    count += 1
    mix(time)
    mix(code)
    mix(first)
    mix(second)
    switch detail {
    case .none: return
    case .all: kept.append(line(time, text()))
    case .tail(let length):
      if kept.count < length {
        kept.append(line(time, text()))
      } else if length > 0 {
        kept[start] = line(time, text())
        start = (start + 1) % length
      }
    }
  }

  /// The lines kept, oldest first.
  public var lines: [String] { Array(kept[start...] + kept[..<start]) }

  private mutating func mix(_ value: UInt64) {
    hash = (hash ^ value) &* 0xff51_afd7_ed55_8ccd
    hash ^= hash >> 32
  }

  private func line(_ time: UInt64, _ text: String) -> String {
    let micros = String(time / 1000)
    let padded = String(repeating: " ", count: max(0, 9 - micros.count)) + micros
    let nanos = String(time % 1000)
    return padded + "." + String(repeating: "0", count: 3 - nanos.count) + nanos + " " + text
  }
}
