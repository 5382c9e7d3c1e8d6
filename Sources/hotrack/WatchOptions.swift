import ArgumentParser
import Foundation
import Sockets

/// For commands that show what is now: once, or again and again.
struct WatchOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Show it again every so many seconds, until Ctrl-C.", valueName: "seconds"))
  var watch: Double?

  func validate() throws {
    guard (0.1...86_400).contains(watch ?? 1) else {
      throw ValidationError("--watch: 0.1 seconds to a day")
    }
  }

  /// Prints what `body` makes, once; or at each interval: a terminal shows the newest only, unless it is
  /// JSON. `body` is given the seconds since the last time; nil: the first.
  func run(json: Bool, _ body: (Double?) throws -> String) throws {
    guard let watch else {
      print(try body(nil))
      return
    }
    let screen = json || !LiveScreen.isPossible ? nil : LiveScreen()
    defer { screen?.leave() }
    var last: UInt64?
    try every(seconds: watch) {
      let now = MonotonicClock.now
      let text = try body(last.map { Double(now - $0) / 1e9 })
      last = now
      if let screen {
        screen.show(text.components(separatedBy: "\n"))
      } else {
        print(text)
        fflush(nil)
      }
    }
  }

  /// Does it at once and at each interval, until SIGINT or SIGTERM.
  private func every(seconds: Double, _ body: () throws -> Void) throws {
    let signals = try StopSignals()
    let poll = try EventPoll()
    try poll.add(signals.stop.descriptor, token: 1)
    let interval = UInt64(seconds * 1e9)
    var next = MonotonicClock.now
    var isStopped = false
    while !isStopped {
      try body()
      next = max(next + interval, MonotonicClock.now)
      while !isStopped, MonotonicClock.now < next {
        try poll.wait(until: next) { _, _ in isStopped = true }
      }
    }
  }
}
