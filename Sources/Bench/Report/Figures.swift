internal import Foundation

/// Numbers as people read them.
public enum Figures {
  /// What a report says of rounds that the machine had disturbed; nothing if there were none.
  public static func repeatedRounds(_ count: Int) -> [String] {
    count == 0
      ? []
      : ["\(count) rounds were repeated because more than 1 in 1,000 requests got lost in them."]
  }

  /// A whole number with a comma between thousands.
  public static func count(_ value: Double) -> String {
    var text = ""
    for (index, digit) in String(Int(max(0, value).rounded())).reversed().enumerated() {
      if index > 0, index % 3 == 0 { text.append(",") }
      text.append(digit)
    }
    return String(text.reversed())
  }

  public static func fixed(_ value: Double, _ digits: Int) -> String {
    String(format: "%.\(digits)f", value)
  }

  /// Without zeros at the end.
  public static func short(_ value: Double) -> String { String(format: "%g", value) }

  /// A latency of so many microseconds; nil: that of an operation without an answer.
  public static func milliseconds(_ microseconds: Double?) -> String {
    guard let microseconds else { return "never" }
    return fixed(microseconds / 1e3, microseconds < 9_950 ? 2 : 1) + " ms"
  }
}
