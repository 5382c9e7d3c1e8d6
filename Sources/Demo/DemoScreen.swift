internal import Foundation
internal import Glibc

/// Where the demonstration is shown: redrawn in place on a terminal, a few lines now and then
/// elsewhere, or nowhere.
final class DemoScreen {
  private let isTerminal: Bool
  private let isQuiet: Bool
  private let color: Bool
  /// Standard output; standard error if that is for the result as JSON.
  private let descriptor: Int32
  private var drawnLines = 0
  /// Whoever read the output is gone.
  private(set) var isBroken = false

  /// `forResult`: standard output is for JSON alone.
  init(forResult: Bool) {
    descriptor = forResult ? STDERR_FILENO : STDOUT_FILENO
    isTerminal = isatty(descriptor) == 1 && Self.variable("TERM") != "dumb"
    isQuiet = forResult && !isTerminal
    color = isTerminal && (Self.variable("NO_COLOR") ?? "").isEmpty
    // Output that nobody reads any more must not end us before we have cleaned up.
    signal(SIGPIPE, SIG_IGN)
  }

  /// Seconds between two frames.
  var interval: Double { isTerminal ? 0.5 : 4 }

  /// A step of the preparations, or a remark.
  func say(_ text: String) {
    guard !isQuiet else { return }
    if isTerminal {
      clear()
      write("\r\u{1b}[2K\(text)")
      drawnLines = 1
    } else {
      write(text + "\n")
    }
  }

  /// On a terminal every frame says it.
  func introduce(_ plan: DemoPlan) {
    if !isTerminal { for line in plan.title { say(line) } }
  }

  func show(_ frame: DemoFrame) {
    guard !isQuiet else { return }
    guard isTerminal else {
      write(DemoText.block(frame).joined(separator: "\n") + "\n")
      return
    }
    let lines = DemoText.screen(frame, color: color)
    let home = drawnLines > 1 ? "\u{1b}[\(drawnLines - 1)A" : ""
    // Each line's rest is cleared behind it: clearing everything first would flicker.
    let text = lines.map { $0 + "\u{1b}[K" }.joined(separator: "\n")
    write("\u{1b}[?25l\r\(home)\(text)\u{1b}[J")
    drawnLines = lines.count
  }

  /// Removes what was drawn.
  func clear() {
    guard isTerminal, drawnLines > 0 else { return }
    write("\r" + (drawnLines > 1 ? "\u{1b}[\(drawnLines - 1)A" : "") + "\u{1b}[J\u{1b}[?25h")
    drawnLines = 0
  }

  private func write(_ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty, !isBroken {
      let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR || errno == EAGAIN { continue }
      if count <= 0 { isBroken = true } else { bytes = bytes.dropFirst(count) }
    }
  }

  private static func variable(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
  }
}
