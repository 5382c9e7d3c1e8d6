/// The picture of `hotrack top` in the terminal's own colours, so that it fits light ones and dark
/// ones. They say nothing that the text does not.
public enum TopColours {
  private static let bold = "\u{1b}[1m"
  private static let red = "\u{1b}[31m"
  private static let yellow = "\u{1b}[33m"
  private static let plain = "\u{1b}[0m"

  /// One line as `TopPicture` makes it; `row` counts from 0.
  public static func dressed(_ line: String, row: Int) -> String {
    if row == 0 {
      let alarm = "NOT SERVING"
      return bold + line.replacing(alarm, with: "\(red)\(alarm)\(plain)\(bold)") + plain
    }
    if line.hasPrefix("NO  STATE") || line.hasPrefix("KEY ") { return bold + line + plain }
    return withState(withBar(line))
  }

  /// The bar at the end of a server's line.
  private static func withBar(_ line: String) -> String {
    guard let begin = line.firstIndex(of: "█") else { return line }
    return "\(line[..<begin])\(yellow)\(line[begin...])\(plain)"
  }

  /// The second word of a server's line, unless all is well with it.
  private static func withState(_ line: String) -> String {
    let words = line.split(separator: " ", maxSplits: 2)
    guard words.count == 3, UInt8(words[0]) != nil,
      let state = ["lost": red, "away": yellow, "draining": yellow, "drained": yellow][words[1]]
    else { return line }
    let (before, after) = (line[..<words[1].startIndex], line[words[1].endIndex...])
    return "\(before)\(state)\(words[1])\(plain)\(after)"
  }
}
