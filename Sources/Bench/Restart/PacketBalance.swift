internal import Controller
internal import Glibc
internal import Sockets
internal import Testbed

/// Packets of a testbed's rack, as each of those counts them that they pass.
struct PacketCounts {
  /// By clients, into their links; without what their kernels say of answers that nobody waits for.
  var sent: UInt64 = 0
  /// By clients, out of their links.
  var received: UInt64 = 0
  /// At any interface, in any namespace: dropped or in error.
  var droppedByInterfaces: UInt64 = 0
  /// At the sockets of clients and servers: no room, wrong checksum.
  var droppedBySockets: UInt64 = 0
  /// By the data plane, by what they were.
  var plane: [String: UInt64] = [:]

  /// At this moment. The testbed should be at rest, or they are not of the same one.
  init(of bed: Testbed) throws {
    for node in bed.layout.nodes {
      let texts = try NetworkNamespace(node.namespace).perform { () throws(SocketError) in
        [Self.read("/proc/thread-self/net/dev"), Self.read("/proc/thread-self/net/snmp")]
      }
      guard let link = InterfaceCounts(texts[0], interface: node.interface) else {
        throw TestbedError.run("\(node.interface) has no counts in \(node.namespace)")
      }
      if node.kind == .client {
        sent += link.sent - Self.field("OutMsgs", of: "Icmp", in: texts[1])
        received += link.received
      }
      droppedByInterfaces += link.dropped
      droppedBySockets += Self.field("InErrors", of: "Udp", in: texts[1])
    }
    let directory = try NetworkNamespace(bed.layout.directoryNamespace).perform {
      () throws(SocketError) in Self.read("/proc/thread-self/net/dev")
    }
    for interface in bed.layout.directoryInterfaces {
      droppedByInterfaces += InterfaceCounts(directory, interface: interface)?.dropped ?? 0
    }
    plane = try bed.ask(.counters).counters ?? [:]
  }

  /// A count of /proc/net/snmp, where each protocol has a line of names and one of numbers.
  static func field(_ name: String, of group: String, in text: String) -> UInt64 {
    let lines = text.split(separator: "\n").filter { $0.hasPrefix("\(group):") }
    guard lines.count == 2 else { return 0 }
    let pair = zip(lines[0].split(separator: " "), lines[1].split(separator: " "))
    return pair.first { $0.0 == name }.flatMap { UInt64($0.1) } ?? 0
  }

  private static func read(_ path: String) -> String {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return "" }
    defer { close(file) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 4096)
    while true {
      let length = Glibc.read(file, &part, part.count)
      guard length > 0 else { break }
      bytes += part.prefix(length)
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// One interface's line of /proc/net/dev.
struct InterfaceCounts: Equatable {
  var received: UInt64
  var sent: UInt64
  var dropped: UInt64

  /// Nil: there is no such line.
  init?(_ text: String, interface: String) {
    // name: bytes packets errors dropped fifo frame compressed multicast, and eight for what was sent
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2, parts[0].split(separator: " ").first == interface[...] else {
        continue
      }
      let numbers = parts[1].split(separator: " ").compactMap { UInt64($0) }
      guard numbers.count >= 12 else { return nil }
      (received, sent) = (numbers[1], numbers[9])
      dropped = numbers[2] + numbers[3] + numbers[10] + numbers[11]
      return
    }
    return nil
  }
}

/// What has become of every packet between two moments at which nothing was under way.
public struct PacketBalance: Sendable, Equatable, Encodable {
  /// Sent by clients.
  public var sent: UInt64
  /// Of those, not seen by the XDP program.
  public var lostBefore: Int64
  /// Requests that it sent on to a server, and that no reply came of.
  public var unanswered: Int64
  /// Replies and answers of its own that it sent to clients, and that did not reach their link's end.
  public var lostAfter: Int64
  /// Dropped by the XDP program, whatever the reason.
  public var droppedByProgram: UInt64
  public var droppedByInterfaces: UInt64
  public var droppedBySockets: UInt64

  enum CodingKeys: String, CodingKey {
    case sent, unanswered
    case lostBefore = "lost_before_xdp"
    case lostAfter = "lost_after_xdp"
    case droppedByProgram = "dropped_by_xdp"
    case droppedByInterfaces = "dropped_by_interfaces"
    case droppedBySockets = "dropped_by_sockets"
  }

  /// Nothing was lost anywhere.
  public var isClean: Bool {
    lostBefore == 0 && unanswered == 0 && lostAfter == 0 && droppedByProgram == 0
      && droppedByInterfaces == 0 && droppedBySockets == 0
  }

  private static let steered = ["cold_read", "hot_read", "cold_write", "hot_write"]
  private static let replies = ["read_reply", "write_reply"]
  private static let answers = [
    "frozen_entry", "frozen_slot", "hello", "unsupported", "busy_no_replica", "busy_server_dead",
    "busy_not_serving",
  ]

  init(from first: PacketCounts, to last: PacketCounts) {
    let counted = last.plane.map { name, packets in
      (name: name, packets: packets - (first.plane[name] ?? 0))
    }
    func sum(_ isMeant: (String) -> Bool) -> UInt64 {
      counted.reduce(0) { isMeant($1.name) ? $0 + $1.packets : $0 }
    }
    func difference(_ a: UInt64, _ b: UInt64) -> Int64 { Int64(a) - Int64(b) }
    let replied = sum { Self.replies.contains($0) }
    let steered = sum { Self.steered.contains($0) }
    let answered = sum { Self.answers.contains($0) }
    sent = last.sent - first.sent
    lostBefore = difference(sent, steered + answered)
    unanswered = difference(steered, replied)
    lostAfter = difference(replied + answered, last.received - first.received)
    droppedByProgram = sum { $0.hasPrefix("drop_") }
    droppedByInterfaces = last.droppedByInterfaces - first.droppedByInterfaces
    droppedBySockets = last.droppedBySockets - first.droppedBySockets
  }
}
