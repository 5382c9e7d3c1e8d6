internal import Foundation

/// Numbers as people read them.
public enum Numbers {
  /// A count or rate in at most six places, as in 7, 12345, 123k, 45.6M.
  public static func short(_ value: Double) -> String {
    let value = max(0, value)
    switch value {
    case ..<99_999.5: return String(Int(value.rounded()))
    case ..<999_500: return String(format: "%.0fk", value / 1e3)
    case ..<999_500_000: return String(format: "%.1fM", value / 1e6)
    default: return String(format: "%.1fG", value / 1e9)
    }
  }

  /// As in 5.3% and 42%.
  public static func percent(_ share: Double) -> String {
    share > 0 && share < 0.0995
      ? String(format: "%.1f%%", share * 100) : String(format: "%.0f%%", share * 100)
  }

  /// With two places behind the point.
  public static func exactPercent(_ share: Double) -> String {
    String(format: "%.2f%%", share * 100)
  }

  /// A whole number with a comma between thousands.
  public static func thousands(_ value: Double) -> String {
    let digits = String(Int(min(max(0, value), 1e18).rounded()))
    var text = ""
    for (index, digit) in digits.reversed().enumerated() {
      if index > 0, index % 3 == 0 { text.append(",") }
      text.append(digit)
    }
    return String(text.reversed())
  }
}
