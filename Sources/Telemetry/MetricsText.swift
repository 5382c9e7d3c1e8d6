public import Controller
internal import ControllerCore
internal import Wire

/// A rack's state in Prometheus' text format (version 0.0.4). Names and units follow its conventions:
/// base units, `_total` for what only grows.
public struct MetricsText: Sendable {
  /// What a rack's controller said, or that it did not.
  public struct Rack: Sendable {
    /// The rack's name.
    public var name: String
    /// Nil: it did not answer.
    public var status: ControlStatus?
    public var servers: [ControlServer]
    /// Of each of which there are three series; so they should be few.
    public var keys: [ControlKey]

    public init(
      name: String, status: ControlStatus? = nil, servers: [ControlServer] = [],
      keys: [ControlKey] = []
    ) {
      self.name = name
      self.status = status
      self.servers = servers
      self.keys = keys
    }
  }

  /// The media type of the text.
  public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  private enum Kind: String {
    case gauge
    case counter
  }

  /// In the order in which they were first named.
  private var families: [String] = []
  private var samples: [String: [String]] = [:]

  /// The whole page.
  public static func of(_ racks: [Rack]) -> String {
    var text = MetricsText()
    for rack in racks { text.add(rack) }
    return text.families.map { text.samples[$0, default: []].joined() }.joined()
  }

  private mutating func add(_ rack: Rack) {
    let labels = [("rack", rack.name)]
    gauge("up", "Whether the rack's controller answers.", labels, rack.status == nil ? 0 : 1)
    guard let status = rack.status else { return }
    add(status, labels)
    for server in rack.servers { add(server, labels + [("server", String(server.number))]) }
    for key in rack.keys { add(key, labels + [("key", key.key)]) }
  }

  private mutating func add(_ status: ControlStatus, _ labels: [(String, String)]) {
    gauge("serving", "Whether the rack takes requests.", labels, status.serving ? 1 : 0)
    gauge("epoch", "The directory's epoch.", labels, Double(status.epoch))
    gauge(
      "generation", "Transitions of this epoch.", labels,
      Double(Generation.count(of: status.generation)))
    gauge(
      "controller_uptime_seconds", "Since the controller was started.", labels,
      status.uptimeSeconds)
    gauge(
      "requests_per_second", "Requests to the rack, estimated from samples.", labels, status.rate)
    gauge("hot_keys", "Keys with a directory entry.", labels, Double(status.hotKeys))
    gauge(
      "keys_in_transition", "Keys that are becoming hot or cold.", labels,
      Double(status.inTransition))
    gauge("servers", "Servers in the rack file.", labels, Double(status.servers))
    gauge("servers_alive", "Servers that serve.", labels, Double(status.serversAlive))
    if let isOnTwo = status.onTwoServers {
      gauge(
        "on_two_servers", "Whether everything that was acknowledged is on two servers.", labels,
        isOnTwo ? 1 : 0)
    }
    for (name, count) in status.counters.sorted(by: { $0.key < $1.key }) {
      if name.hasPrefix("drop_") {
        counter(
          "dropped_packets_total", "Packets that were not sent on, by reason.",
          labels + [("reason", String(name.dropFirst(5)))], count)
      } else {
        counter(
          "packets_total", "Packets by what they were handled as.", labels + [("kind", name)], count
        )
      }
    }
    let totals = status.totals
    for (name, help, count) in [
      ("promotions_total", "Keys that became hot.", totals.promotions),
      ("demotions_total", "Keys that became cold.", totals.demotions),
      ("retargets_total", "Hot keys whose write targets were changed.", totals.retargets),
      ("transitions_given_up_total", "Transitions that did not end in time.", totals.givenUp),
      ("servers_lost_total", "Servers that were declared lost.", totals.serversLost),
      ("keys_lost_total", "Keys whose newest value only a lost server held.", totals.keysLost),
      ("key_hash_bans_total", "Key hashes that are not promoted for a while.", totals.bans),
      ("servers_away_total", "Durable servers that were waited for.", totals.serversAway),
      ("servers_returned_total", "Servers that came back with their data.", totals.serversReturned),
      (
        "servers_renewed_total", "Servers whose data the rack had gone on without.",
        totals.serversRenewed
      ),
      ("servers_damaged_total", "Servers that came back damaged.", totals.serversDamaged),
      ("full_disks_total", "Times that a server had no room on its disk.", totals.fullDisks),
      ("slow_servers_total", "Times that a server was found slow.", totals.slowServers),
      ("slot_moves_total", "Moves of slots between living servers.", totals.slotMoves),
      ("slot_moves_given_up_total", "Moves of slots that did not end.", totals.slotMovesGivenUp),
      ("backup_moves_total", "Moves that gave slots a backup.", totals.backupMoves),
      ("drains_total", "Servers that were drained.", totals.drains),
      ("adoptions_total", "Controllers that took over the running directory.", totals.adoptions),
    ] { counter(name, help, labels, UInt64(max(0, count))) }
  }

  private mutating func add(_ server: ControlServer, _ labels: [(String, String)]) {
    gauge("server_alive", "Whether the server serves.", labels, server.phase == .alive ? 1 : 0)
    gauge(
      "server_weight", "The part of a full share that it is to have; below 1 it is slow.", labels,
      server.weight)
    gauge(
      "server_disk_full", "Whether the server takes no writes for want of room.", labels,
      server.storage == .full ? 1 : 0)
    gauge("server_load", "Requests that waited at the last probe.", labels, Double(server.load))
    gauge("server_slots", "Slots that the server is home of.", labels, Double(server.slots))
    if let backups = server.backups {
      gauge("server_backup_slots", "Slots that the server is backup of.", labels, Double(backups))
    }
    gauge("server_keys", "Keys that the server stores.", labels, Double(server.keys))
    let help = "Requests steered to the server."
    counter("server_requests_total", help, labels + [("operation", "read")], server.reads)
    counter("server_requests_total", help, labels + [("operation", "write")], server.writes)
    counter("server_copies_total", "Copies sent to the server.", labels, server.copies)
    counter("server_replies_total", "Replies that came from the server.", labels, server.replies)
    counter(
      "server_refused_total", "Requests that the server refused since its own start.", labels,
      server.refused)
    if let wrongTags = server.wrongTags {
      counter(
        "server_wrong_tags_total",
        "Datagrams without the rack's tag that the server dropped since its own start.", labels,
        wrongTags)
    }
  }

  private mutating func add(_ key: ControlKey, _ labels: [(String, String)]) {
    gauge("key_requests_per_second", "Requests for a hot key.", labels, key.rate)
    gauge("key_read_ratio", "The part of them that are reads.", labels, key.readShare)
    gauge(
      "key_replicas", "Servers that hold the key's newest version.", labels,
      Double(key.replicas.count))
  }

  private mutating func gauge(
    _ name: String, _ help: String, _ labels: [(String, String)], _ value: Double
  ) { sample(name, .gauge, help, labels, Self.number(value)) }

  private mutating func counter(
    _ name: String, _ help: String, _ labels: [(String, String)], _ value: UInt64
  ) { sample(name, .counter, help, labels, String(value)) }

  private mutating func sample(
    _ name: String, _ kind: Kind, _ help: String, _ labels: [(String, String)], _ value: String
  ) {
    let name = "hotrack_" + name
    if samples[name] == nil {
      families.append(name)
      samples[name] = ["# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"]
    }
    let text = labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",")
    samples[name]?.append("\(name){\(text)} \(value)\n")
  }

  /// Whole numbers without a point.
  private static func number(_ value: Double) -> String {
    guard value.isFinite else { return value.isNaN ? "NaN" : value > 0 ? "+Inf" : "-Inf" }
    return value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : String(value)
  }

  private static func escaped(_ text: String) -> String {
    text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
  }
}
