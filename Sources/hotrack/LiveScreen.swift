import Foundation
import Glibc

/// A terminal that shows one picture which is drawn again and again, on the alternate screen: what was
/// there before is there afterwards.
final class LiveScreen {
  private var isOn = false

  /// Whether standard output is a terminal that can do that.
  static var isPossible: Bool {
    isatty(STDOUT_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"] ?? "dumb" != "dumb"
  }

  deinit { leave() }

  /// Columns and rows now.
  var size: (width: Int, height: Int) {
    var size = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0
    else { return (80, 24) }
    return (Int(size.ws_col), Int(size.ws_row))
  }

  /// Whether colours are wanted (https://no-color.org).
  static var hasColours: Bool {
    (ProcessInfo.processInfo.environment["NO_COLOR"] ?? "").isEmpty
  }

  /// Draws the lines over what was there; what does not fit is left out. `dress`: adds colours to a
  /// line that fits; given the line and its row, from 0.
  func show(_ lines: [String], dress: (String, Int) -> String = { line, _ in line }) {
    let (width, height) = size
    let shown = lines.prefix(height).enumerated().map { row, line in
      dress(String(line.prefix(width)), row) + "\u{1b}[K"
    }
    // A line end behind the last line would scroll.
    let picture = "\u{1b}[H" + shown.joined(separator: "\r\n") + "\u{1b}[J"
    write((isOn ? "" : "\u{1b}[?1049h\u{1b}[?25l") + picture)
    isOn = true
  }

  /// Brings back what was there before.
  func leave() {
    guard isOn else { return }
    write("\u{1b}[?25h\u{1b}[?1049l")
    isOn = false
  }

  private func write(_ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR || errno == EAGAIN { continue }
      guard count > 0 else { return }
      bytes = bytes.dropFirst(count)
    }
  }
}
