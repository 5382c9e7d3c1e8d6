internal import Foundation

/// Numbers as people read them.
enum Text {
  /// A whole number with a comma between thousands.
  static func count(_ value: Double) -> String {
    var text = ""
    for (index, digit) in String(Int(max(0, value).rounded())).reversed().enumerated() {
      if index > 0, index % 3 == 0 { text.append(",") }
      text.append(digit)
    }
    return String(text.reversed())
  }

  static func fixed(_ value: Double, _ digits: Int) -> String {
    String(format: "%.\(digits)f", value)
  }

  /// Without zeros at the end.
  static func short(_ value: Double) -> String { String(format: "%g", value) }

  /// A latency in nanoseconds; nil: that of an operation without an answer.
  static func time(_ nanoseconds: UInt64?) -> String {
    guard let nanoseconds else { return "no answer" }
    let milliseconds = Double(nanoseconds) / 1e6
    return milliseconds < 1_000
      ? fixed(milliseconds, milliseconds < 10 ? 2 : 1) + " ms" : fixed(milliseconds / 1e3, 2) + " s"
  }

  /// Ascending numbers with runs drawn together, as in "0-3,7".
  static func runs(_ numbers: [Int]) -> String {
    var runs: [ClosedRange<Int>] = []
    for number in numbers {
      if let last = runs.last, last.upperBound + 1 == number {
        runs[runs.count - 1] = last.lowerBound...number
      } else {
        runs.append(number...number)
      }
    }
    guard !runs.isEmpty else { return "none" }
    return runs.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
      .joined(separator: ",")
  }
}

extension String {
  /// With blanks at the end up to a length.
  func padded(to length: Int) -> String {
    self + String(repeating: " ", count: max(0, length - count))
  }
}
