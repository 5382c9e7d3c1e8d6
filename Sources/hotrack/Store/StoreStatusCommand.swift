import ArgumentParser
import Foundation
import Paxos
import StoreClient
import StoreProtocol
import StoreState

/// `hotrack store status`
struct StoreStatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show what each node says of itself.",
    discussion: """
      Exit codes: 0 every endpoint answers and is well, 1 one does not, or is not.
      """)

  @OptionGroup var options: StoreOptions

  func run() async throws {
    var isWell = true
    var rows = [["ENDPOINT", "NODE", "STATE", "GROUPS", "PEERS", "FAST", "SYNC P99", "WAITING"]]
    let endpoints = try options.parsedEndpoints
    let client = try options.client()
    for endpoint in endpoints {
      do {
        let status = try await client.status(of: endpoint)
        let state = Self.state(status)
        isWell = isWell && state == "ok"
        if options.json {
          StoreText.json(Report(endpoint: "\(endpoint)", status, state))
        } else {
          rows.append(Self.row("\(endpoint)", status, state))
        }
      } catch {
        isWell = false
        if options.json {
          StoreText.json(["endpoint": "\(endpoint)", "error": "\(error)"])
        } else {
          rows.append(["\(endpoint)", "-", "unreachable", "-", "-", "-", "-", "-"])
        }
      }
    }
    await client.close()
    if !options.json { for line in Self.aligned(rows) { StoreText.line(line) } }
    if !isWell { throw ExitCode(1) }
  }

  static func state(_ status: NodeStatus) -> String {
    if !status.diverged.isEmpty { return "diverged" }
    if !status.damaged.isEmpty { return "damaged" }
    if status.isSpaceLow { return "no space" }
    return status.isRecovering ? "recovering" : "ok"
  }

  private static func row(_ endpoint: String, _ status: NodeStatus, _ state: String) -> [String] {
    func figure(_ name: String) -> UInt64 { status.figures.first { $0.name == name }?.value ?? 0 }
    let rounds = figure("fast_rounds") + figure("slow_rounds")
    let connected = status.peers.count { $0.isConnected }
    return [
      endpoint, "\(status.node)", state, "\(figure("groups"))",
      "\(connected)/\(status.peers.count)",
      rounds == 0 ? "-" : "\(figure("fast_rounds") * 100 / rounds)%",
      "\(figure("sync_us_p99")) us", "\(figure("requests_waiting"))",
    ]
  }

  static func aligned(_ rows: [[String]]) -> [String] {
    let widths = (rows.first ?? []).indices.map { column in
      rows.map { $0[column].count }.max() ?? 0
    }
    return rows.map { row in
      zip(row, widths).map { cell, width in
        cell + String(repeating: " ", count: width - cell.count)
      }.joined(separator: "  ").trimmingCharacters(in: .whitespaces)
    }
  }

  private struct Report: Encodable {
    var endpoint: String
    var node: UInt64
    var incarnation: UInt64
    var state: String
    var diverged: [String]
    var damaged: [String]
    var peersConnected: [UInt64]
    var peersMissing: [UInt64]
    var figures: [String: UInt64]

    init(endpoint: String, _ status: NodeStatus, _ state: String) {
      self.endpoint = endpoint
      node = status.node
      incarnation = status.incarnation
      self.state = state
      diverged = status.diverged
      damaged = status.damaged
      peersConnected = status.peers.filter(\.isConnected).map(\.node)
      peersMissing = status.peers.filter { !$0.isConnected }.map(\.node)
      figures = Dictionary(
        status.figures.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    }
  }
}

/// `hotrack store dump [GROUP]`
struct StoreDumpCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dump",
    abstract: "Show what each node has of a group's log: its newest entries, promise and vote.",
    discussion: """
      Without GROUP, the groups that each node has something of. For finding out what went wrong; \
      asks every endpoint, and each answers for itself.
      """)

  @Argument(help: "The group.")
  var group: String?

  @OptionGroup var options: StoreOptions

  func run() async throws {
    try await options.run { client in
      for endpoint in try options.parsedEndpoints {
        if let group {
          let image = try await client.image(of: group, at: endpoint)
          show(image, at: "\(endpoint)")
        } else {
          for name in try await client.groups(at: endpoint) {
            if options.json {
              StoreText.json(["endpoint": "\(endpoint)", "group": name])
            } else {
              StoreText.line("\(endpoint)  \(name)")
            }
          }
        }
      }
    }
  }

  private func show(_ image: ObjectImage?, at endpoint: String) {
    let report = Report(endpoint: endpoint, image)
    if options.json { return StoreText.json(report) }
    StoreText.line("\(endpoint)")
    for (name, value) in report.lines { StoreText.line("  \(name): \(value)") }
  }

  private struct Report: Encodable {
    var endpoint: String
    var chosen: UInt64 = 0
    var revision: UInt64 = 0
    var keys = 0
    var leases = 0
    var sessions = 0
    var digest = "0"
    var next: String?
    var promised: String?
    var accepted: String?
    var floor: UInt64?
    var entries: [Entry] = []

    struct Entry: Encodable {
      var entry: UInt64
      var value: String
      var next: String
      var commands: Int
    }

    init(endpoint: String, _ image: ObjectImage?) {
      self.endpoint = endpoint
      guard let image else { return }
      let snapshot = image.snapshot
      chosen = snapshot.chosen
      revision = snapshot.state.revision
      keys = snapshot.state.keyCount
      leases = snapshot.state.leases.count
      sessions = snapshot.state.sessions.count
      digest = String(snapshot.state.digest, radix: 16)
      next = snapshot.next.map(Self.text)
      promised = image.promised.map(Self.text)
      accepted = image.accepted.map { "\(Self.text($0.ballot)) for \(Self.text($0.value.id))" }
      floor = image.floor
      let first = snapshot.chosen + 1 - UInt64(snapshot.suffix.count)
      entries = snapshot.suffix.enumerated().map { place, value in
        Entry(
          entry: first + UInt64(place), value: Self.text(value.id), next: Self.text(value.next),
          commands: value.commands.count)
      }
    }

    private static func text(_ proposer: Proposer) -> String {
      "node \(proposer.node.rawValue)/\(String(proposer.incarnation, radix: 16))"
    }

    private static func text(_ ballot: Ballot) -> String {
      "round \(ballot.round) of \(text(ballot.proposer))"
    }

    private static func text(_ id: ValueID) -> String {
      "value \(id.number) of \(text(id.proposer))"
    }

    var lines: [(String, String)] {
      var lines = [
        ("chosen", "entry \(chosen)"), ("revision", "\(revision)"), ("keys", "\(keys)"),
        ("leases", "\(leases)"), ("sessions", "\(sessions)"), ("digest", digest),
        ("next may propose without phase 1", next ?? "nobody"),
        ("promised", promised ?? "nothing"), ("accepted", accepted ?? "nothing"),
        ("votes", floor.map { "on entries above \($0)" } ?? "not yet: it has lost its disk"),
      ]
      for entry in entries {
        lines.append(
          ("entry \(entry.entry)", "\(entry.value), \(entry.commands) commands, then \(entry.next)")
        )
      }
      return lines
    }
  }
}
