import ArgumentParser
import Controller
import Foundation
import Glibc
import Sockets
import TopView

/// `hotrack top`: a rack, live.
struct TopCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "top",
    abstract: "Watch a rack: load of each server, the hottest keys, drops, events.",
    discussion: """
      Keys: q end, p pause, k sort keys, s sort servers, ? help. Where standard output is no \
      terminal, one picture is printed. Without colours if NO_COLOR is set.

      \(ControlOptions.exitCodes)
      """)

  @OptionGroup var control: ControlOptions

  @Option(help: "Seconds between two pictures.")
  var interval = 1.0

  @Flag(help: "Print one picture of 80 columns and 24 lines, and end.")
  var once = false

  func validate() throws {
    guard (0.1...3_600).contains(interval) else {
      throw ValidationError("--interval: 0.1 seconds to an hour")
    }
  }

  func run() throws {
    try control.reporting("top") {
      let client = try control.client()
      if once || !LiveScreen.isPossible || isatty(STDIN_FILENO) != 1 {
        let lines = TopPicture.lines(
          try TopSnapshot(from: client), before: nil, seconds: 0, TopChoices(), width: 80,
          height: 24)
        print(lines.joined(separator: "\n"))
      } else {
        try watch(client)
      }
    }
  }

  private func watch(_ client: ControlClient) throws {
    let signals = try StopSignals()
    let poll = try EventPoll()
    try poll.add(signals.stop.descriptor, token: 1)
    try poll.add(STDIN_FILENO, token: 2)
    let keyboard = Keyboard()
    let screen = LiveScreen()
    defer {
      screen.leave()
      keyboard.restore()
    }
    var choices = TopChoices()
    var now = try TopSnapshot(from: client)
    var (taken, before, seconds) = (MonotonicClock.now, TopSnapshot?.none, 0.0)
    while true {
      let (width, height) = screen.size
      let lines = TopPicture.lines(
        now, before: before, seconds: seconds, choices, width: width, height: height)
      if LiveScreen.hasColours {
        screen.show(lines, dress: TopColours.dressed)
      } else {
        screen.show(lines)
      }
      var isEnded = false
      try poll.wait(until: taken + UInt64(interval * 1e9)) { token, _ in
        if token == 1 || !keyboard.pressed().allSatisfy({ choices.press($0) }) { isEnded = true }
      }
      if isEnded { return }
      let time = MonotonicClock.now
      guard time >= taken + UInt64(interval * 1e9) else { continue }
      if choices.isPaused {
        taken = time
        continue
      }
      (before, seconds) = (now, Double(time - taken) / 1e9)
      now = try TopSnapshot(from: client)
      taken = time
    }
  }
}

/// Keys as they are pressed, without being shown.
private final class Keyboard {
  private var settings = termios()

  init() {
    tcgetattr(STDIN_FILENO, &settings)
    var raw = settings
    raw.c_lflag &= ~tcflag_t(ICANON | ECHO)
    tcsetattr(STDIN_FILENO, TCSANOW, &raw)
  }

  func restore() { tcsetattr(STDIN_FILENO, TCSANOW, &settings) }

  /// What was pressed; nothing more coming counts as the end.
  func pressed() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = read(STDIN_FILENO, &bytes, bytes.count)
    return count > 0 ? Array(bytes.prefix(count)) : [4]
  }
}
