import ArgumentParser
import Controller
import Foundation
import Sockets

/// `hotrack events`: what has happened.
struct EventsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "events",
    abstract:
      "List what has happened in a rack: servers lost and returned, keys banned, and the like.",
    discussion: """
      Oldest first, with the time in UTC. The controller keeps at least the newest 1,000.

      \(ControlOptions.exitCodes)
      """)

  @OptionGroup var control: ControlOptions

  @Option(help: "Only events with a greater number.")
  var since: UInt64 = 0

  @Option(help: "So many at most, the newest.")
  var limit = 1000

  @Flag(help: "Go on, and print events as they happen, until Ctrl-C.")
  var follow = false

  @Option(
    help: ArgumentHelp("The same, but look only every so many seconds.", valueName: "seconds"))
  var watch: Double?

  @Flag(help: "Print one JSON object a line for each.")
  var json = false

  func validate() throws {
    guard (0.1...86_400).contains(watch ?? 1) else {
      throw ValidationError("--watch: 0.1 seconds to a day")
    }
  }

  func run() throws {
    try control.reporting("events") {
      let client = try control.client()
      var last = since
      try print(from: client, &last, limit: limit)
      guard follow || watch != nil else { return }
      let interval = UInt64((watch ?? 0.5) * 1e9)
      let signals = try StopSignals()
      let poll = try EventPoll()
      try poll.add(signals.stop.descriptor, token: 1)
      var isStopped = false
      while !isStopped {
        try poll.wait(until: MonotonicClock.now + interval) { _, _ in isStopped = true }
        try print(from: client, &last, limit: 1000)
      }
    }
  }

  private func print(from client: ControlClient, _ last: inout UInt64, limit: Int) throws {
    for event in try client.ask(ControlRequest(.events, since: last, limit: limit)).events ?? [] {
      if json {
        try printJSON(event)
      } else {
        Swift.print("\(event.number)  \(Self.time(event.time))  \(event.text)")
      }
      last = max(last, event.number)
    }
    fflush(nil)
  }

  /// As in 2026-01-31T12:00:00.123Z; of milliseconds since 1970.
  static func time(_ milliseconds: UInt64) -> String {
    let seconds = Date(timeIntervalSince1970: Double(milliseconds / 1_000)).formatted(.iso8601)
    return seconds.dropLast() + String(format: ".%03dZ", Int(milliseconds % 1_000))
  }
}
