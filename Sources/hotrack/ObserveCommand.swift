import ArgumentParser
import Capture
import Foundation
import Observe
import Sockets

/// `hotrack observe`: which keys are hot, from packets alone.
struct ObserveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "observe",
    abstract: "Find hot keys in the traffic of hotrack, memcached or Redis, without touching it.",
    discussion: """
      Captures on an interface, or reads a file of `tcpdump -w` (- for standard input), and says \
      which keys are asked for most, how skewed the load is, and what replicating the hottest keys \
      would gain. Needs no rack and no XDP. Understands hotrack (UDP), memcached's text, meta and \
      binary protocols (TCP and UDP) and Redis (RESP 2 and 3), on their usual ports (18516, 11211, \
      6379), on those that --port names, and on others where they can be recognized; not through \
      TLS.

      FILTER is libpcap's (`man pcap-filter`); without one, an interface is captured on those ports \
      only, and on all of them with --all-ports. On a terminal the picture is drawn every second \
      until Ctrl-C; otherwise the result is printed at the end only.

      Exit codes: 0 done, 1 it cannot be captured or read, 64 wrong usage.
      """)

  @Option(
    name: [.short, .long],
    help: ArgumentHelp("Capture on this interface; any: on all.", valueName: "name"))
  var interface: String?

  @Option(
    name: [.customShort("r"), .long],
    help: ArgumentHelp("Read this capture file (pcap or pcapng).", valueName: "file"))
  var read: String?

  @Option(help: "Rows in the table of keys.")
  var limit = 20

  @Option(help: "Stop after so many seconds. Default: at Ctrl-C.")
  var seconds: Double?

  @Option(
    help: """
      Let requests count less as time passes: one so many seconds ago weighs 1/e of one now. \
      Default: all since the start count the same.
      """)
  var window: Double?

  @Option(help: "Servers of the rack that the gain is computed for, 2 to 32.")
  var servers = 8

  @Option(
    help: ArgumentHelp(
      "A server's port and what it speaks, as in 7000=redis; may be given several times.",
      valueName: "port=protocol"))
  var port: [ObservedPort] = []

  @Flag(help: "Capture on all ports, and recognize the protocols.")
  var allPorts = false

  @Flag(help: "Also take packets for other hosts, as they come from a mirror port.")
  var promiscuous = false

  @Option(help: "Keys watched at the same time; more make small shares more exact.")
  var places = 16_384

  @Flag(help: "Print one JSON object at the end; with --watch one a line.")
  var json = false

  @Option(help: "Also print the result every so many seconds.")
  var watch: Double?

  @Argument(help: ArgumentHelp("Only these packets (pcap-filter).", valueName: "filter"))
  var filter: [String] = []

  func validate() throws {
    func check(_ holds: Bool, _ rule: String) throws {
      guard holds else { throw ValidationError(rule) }
    }
    try check(
      (interface == nil) != (read == nil), "name an interface (-i) or a file (-r), one of them")
    try check((1...100_000).contains(limit), "--limit: 1 to 100,000")
    try check((seconds ?? 1) > 0 && (seconds ?? 1) <= 1e7, "--seconds: more than 0")
    try check((0.1...1e7).contains(window ?? 1), "--window: 0.1 seconds or more")
    try check((2...32).contains(servers), "--servers: 2 to 32")
    try check((64...1_048_576).contains(places), "--places: 64 to 1,048,576")
    try check((0.1...86_400).contains(watch ?? 1), "--watch: 0.1 seconds to a day")
    try check(read == nil || seconds == nil, "--seconds is for an interface")
    try check(read == nil || watch == nil, "--watch is for an interface")
  }

  func run() throws {
    try reportingFailure("observe") {
      let capture = try open()
      guard let link = LinkType(number: capture.linkType) else {
        throw ObserveProblem.linkType(capture.linkType)
      }
      let observer = TrafficObserver(link: link, configuration: configuration)
      if capture.isFile {
        try readFile(capture, observer)
      } else {
        try watch(capture, observer)
      }
    }
  }

  private var configuration: TrafficObserver.Configuration {
    var configuration = TrafficObserver.Configuration()
    for entry in port { configuration.ports[entry.port] = entry.keyProtocol }
    configuration.places = places
    configuration.window = window
    return configuration
  }

  private func open() throws -> PacketCapture {
    let capture: PacketCapture
    if let read {
      capture = try PacketCapture(file: read)
    } else {
      var options = PacketCapture.Options()
      options.isPromiscuous = promiscuous
      capture = try PacketCapture(interface: interface ?? "", options: options)
    }
    if !filter.isEmpty {
      try capture.setFilter(filter.joined(separator: " "))
    } else if !capture.isFile {
      // What has no VLAN tags (`any`) has no filter for them either.
      do { try capture.setFilter(usualFilter(withTags: true)) } catch {
        try capture.setFilter(usualFilter(withTags: false))
      }
    }
    return capture
  }

  /// Lets the kernel drop what is of no interest, with and without VLAN tags.
  private func usualFilter(withTags: Bool) -> String {
    let ports = Set(KeyProtocol.allCases.map(\.usualPort) + port.map(\.port)).sorted()
    let these =
      allPorts ? "(tcp or udp)" : "(" + ports.map { "port \($0)" }.joined(separator: " or ") + ")"
    return withTags ? "\(these) or (vlan and \(these))" : these
  }

  private func readFile(_ capture: PacketCapture, _ observer: TrafficObserver) throws {
    var damage: CaptureError?
    let line = ProgressLine()
    defer { line.clear() }
    var total = 0
    do {
      while true {
        let count = try capture.read(limit: 65_536) { observer.take($0.bytes, time: $0.time) }
        guard count > 0 else { break }
        total += count
        line.show("\(total) packets")
      }
    } catch {
      // What was read until then is worth showing.
      damage = error
    }
    line.clear()
    try publish(observer.observation(servers: servers))
    if let damage { throw damage }
  }

  private func watch(_ capture: PacketCapture, _ observer: TrafficObserver) throws {
    let signals = try StopSignals()
    let poll = try EventPoll()
    try poll.add(signals.stop.descriptor, token: 1)
    try poll.add(capture.descriptor, token: 2)
    let screen = !json && watch == nil && LiveScreen.isPossible ? LiveScreen() : nil
    let begin = MonotonicClock.now
    let end = seconds.map { begin + UInt64($0 * 1e9) }
    let interval = UInt64((watch ?? 1) * 1e9)
    var next = begin + interval
    var isStopped = false
    while !isStopped {
      // libpcap may have packets that the descriptor says nothing of, so it is asked now and then.
      let now = MonotonicClock.now
      try poll.wait(until: min(now + 200_000_000, next, end ?? .max)) { token, _ in
        if token == 1 { isStopped = true }
      }
      try drain(capture, observer)
      let time = MonotonicClock.now
      if let end, time >= end { isStopped = true }
      guard time >= next, !isStopped else { continue }
      next += interval * (1 + (time - next) / interval)
      if let screen {
        let height = screen.size.height
        screen.show(picture(observation(capture, observer), height: height))
      } else if watch != nil {
        try publish(observation(capture, observer))
      }
    }
    screen?.leave()
    try publish(observation(capture, observer))
  }

  private func drain(_ capture: PacketCapture, _ observer: TrafficObserver) throws {
    // Not for ever: the screen wants to be drawn under any load.
    for _ in 0..<64 {
      let count = try capture.read(limit: 4_096) { observer.take($0.bytes, time: $0.time) }
      if count == 0 { return }
    }
  }

  private func observation(_ capture: PacketCapture, _ observer: TrafficObserver) -> Observation {
    var seen = observer.observation(servers: servers)
    let statistics = capture.statistics()
    seen.packets.dropped = statistics.droppedByKernel + statistics.droppedByInterface
    return seen
  }

  /// As many rows of keys as the terminal leaves room for.
  private func picture(_ seen: Observation, height: Int) -> [String] {
    let head = ["hotrack observe -i \(interface ?? "")   Ctrl-C ends it", ""]
    let others = ObservationText.lines(seen, keys: 0).count + head.count
    return head + ObservationText.lines(seen, keys: max(3, min(limit, height - others)))
  }

  private func publish(_ seen: Observation) throws {
    if json {
      try printJSON(seen.limited(to: limit))
    } else {
      print(ObservationText.lines(seen, keys: limit).joined(separator: "\n"))
    }
    fflush(nil)
  }
}

/// As in 7000=redis.
struct ObservedPort: ExpressibleByArgument {
  let port: UInt16
  let keyProtocol: KeyProtocol

  init?(argument: String) {
    let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
    guard parts.count == 2, let port = UInt16(parts[0]), port > 0,
      let keyProtocol = KeyProtocol(name: parts[1])
    else { return nil }
    (self.port, self.keyProtocol) = (port, keyProtocol)
  }
}

private enum ObserveProblem: Error, CustomStringConvertible {
  case linkType(Int32)

  var description: String {
    switch self {
    case .linkType(let number):
      """
      packets of this kind (link type \(number)) are not understood: capture on an Ethernet interface, \
      on lo, or on any
      """
    }
  }
}
