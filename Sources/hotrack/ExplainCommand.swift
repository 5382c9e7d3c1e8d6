import ArgumentParser
import Controller
import ControllerCore
import DataPlane
import Sockets
import Wire

/// `hotrack explain`: where a request for a key would go, and why.
struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract: "Show where a request for a key would go now, and why.",
    discussion: """
      Gives the running XDP program a made-up request for the key (BPF_PROG_TEST_RUN): the answer \
      is the program's own, from the directory as it is at this moment. Nothing is sent and no \
      value is touched; but it is counted as one request, and with --write it takes one version. \
      Ask again to see how reads of a hot key are spread. Run it on the directory's host, in its \
      network namespace, as root.

      --json prints one object: `key_hash`, `slot`, `operation`, `verdict` (steered, answered, \
      dropped or passed), `server`, `address`, `replicated`, `version`, `generation`, `copies[]`, \
      `status` (if answered), `entry` (of a hot key, as in `hotrack keys --json`), `because[]`.

      Exit codes: 0 the request would reach a server, 1 it would not, or there is no answer, 64 \
      wrong usage.
      """)

  @Argument(help: "The key.")
  var key: String

  @Flag(help: "Ask for a write, not for a read.")
  var write = false

  @Flag(help: "Print one JSON object.")
  var json = false

  @OptionGroup var control: ControlOptions

  func validate() throws {
    guard (1...WireLimits.keyLengthMax).contains(key.utf8.count) else {
      throw ValidationError("a key has 1 to \(WireLimits.keyLengthMax) bytes")
    }
  }

  func run() throws {
    let (status, keys) = try control.reporting("explain") {
      let client = try control.client()
      return (
        try client.ask(ControlRequest(.status)).status,
        try client.ask(ControlRequest(.keys, limit: 65_536)).keys ?? []
      )
    }
    guard let status else { throw ExitCode(1) }
    try reportingFailure("explain") {
      let rack = try Endpoint(parsing: status.address, defaultPort: WireLimits.port)
      let program = try PinnedProgram(rack: status.rack)
      guard let ingress = program.interfaces.first else { throw NotAttached(rack: status.rack) }
      let seen = try Explanation(
        of: write ? .set : .get, key: Array(key.utf8), seed: status.hashSeed ?? 0,
        rack: (rack.address.bytes, rack.port), by: program, ingress: ingress)
      let hash = hexadecimal(seen.keyHash)
      let report = ExplainReport(
        key: key, isWrite: write, seen: seen, entry: keys.first { $0.keyHash == hash })
      if json { try printJSON(report) } else { print(report.text) }
      if seen.verdict != .steered { throw ExitCode(1) }
    }
  }

  private struct NotAttached: Error, CustomStringConvertible {
    let rack: String
    var description: String {
      "the program of rack \(rack) is attached to no interface: see `hotrack status`"
    }
  }
}

/// What `hotrack explain` shows.
struct ExplainReport: Encodable {
  var key: String
  var keyHash: String
  var slot: Int
  var operation: String
  var verdict: Explanation.Verdict
  var server: UInt8?
  var address: String?
  var replicated: Bool
  var version: UInt64?
  var generation: UInt64?
  var copies: [UInt8]
  var status: String?
  var entry: ControlKey?
  /// Sentences.
  var because: [String]

  init(key: String, isWrite: Bool, seen: Explanation, entry: ControlKey?) {
    self.key = key
    keyHash = hexadecimal(seen.keyHash)
    slot = seen.slot
    operation = isWrite ? "write" : "read"
    verdict = seen.verdict
    server = seen.server
    address = seen.address
    replicated = seen.isReplicated
    version = seen.version
    generation = seen.generation
    copies = seen.copies
    status = seen.status.map { "\($0)" }
    self.entry = entry
    because = Self.reasons(isWrite, seen, entry)
  }

  private static func reasons(
    _ isWrite: Bool, _ seen: Explanation, _ entry: ControlKey?
  ) -> [String] {
    let version = ControlTables.version(seen.version ?? 0)
    switch seen.verdict {
    case .steered where isWrite && seen.isReplicated:
      return [
        "the key is hot: a write goes to any server, chosen by the request's id",
        seen.copies.isEmpty
          ? "its version is \(version); no copies are to be made"
          : "its version is \(version), to be copied to \(ControlTables.numbers(seen.copies))",
      ]
    case .steered where isWrite:
      return [
        "the key is not hot: its slot, \(seen.slot), has its home there",
        "its version is \(version)",
      ]
    case .steered where seen.isReplicated:
      return [
        "the key is hot: reads go to the servers that hold its newest version, the less loaded of two",
        "the server must have version \(version) at least",
      ]
    case .steered:
      return ["the key is not hot: its slot, \(seen.slot), has its home there"]
    case .answered where seen.status == .frozen:
      return [
        entry == nil
          ? "its slot is on its way to another server; writes wait for a few round trips"
          : "the key's directory entry is changing; writes wait for a few round trips"
      ]
    case .answered where seen.status == .busy:
      return [
        "no server may serve it now: `hotrack servers` says who is lost, away or not there yet"
      ]
    case .answered:
      return ["the program itself refuses it"]
    case .dropped:
      return ["`hotrack stats` says why: the counter drop_… that has just risen by one"]
    case .passed:
      return [
        "the program did not take it for a request to this rack: is this the directory's host?"
      ]
    }
  }

  var text: String {
    var lines = ["key hash  \(keyHash), slot \(slot)"]
    if let entry {
      lines.append(
        "entry     \(entry.mode.rawValue), home \(entry.home), version "
          + "\(ControlTables.version(entry.version)) at \(ControlTables.numbers(entry.replicas))")
    } else {
      lines.append("entry     none: the key is not hot")
    }
    switch verdict {
    case .steered: lines.append("\(operation) → server \(server ?? 0) at \(address ?? "-")")
    case .answered: lines.append("\(operation) → answered by the program: \(status ?? "-")")
    case .dropped: lines.append("\(operation) → dropped")
    case .passed: lines.append("\(operation) → passed to the kernel")
    }
    return (lines + because.map { "          " + $0 }).joined(separator: "\n")
  }
}
