internal import ControllerCore
internal import TextTables
internal import Wire

/// Answers of a controller as people read them; at most 100 columns.
public enum ControlTables {
  static let columnsMax = 100

  /// The hot keys, hottest first.
  public static func keys(_ keys: [ControlKey]) -> String {
    guard !keys.isEmpty else { return "no hot keys" }
    let table = TextTable(columns: [
      .init("KEY"), .init("RATE/S", isNumber: true), .init("SHARE", isNumber: true),
      .init("READS", isNumber: true), .init("MODE"), .init("HOME", isNumber: true),
      .init("REPLICAS"), .init("VERSION", isNumber: true), .init("COPIES", isNumber: true),
    ])
    return table.text(
      keys.map { key in
        [
          key.key, Numbers.short(key.rate), Numbers.percent(key.share),
          Numbers.percent(key.readShare), key.mode.rawValue,
          String(key.home), numbers(key.replicas), version(key.version), String(key.copies),
        ]
      }, shrinking: 0, to: columnsMax)
  }

  /// The servers, by number; with two copies, what they are backup of too.
  public static func servers(_ servers: [ControlServer]) -> String {
    let haveBackups = servers.contains { $0.backups != nil }
    // There should be none.
    let haveStrangers = servers.contains { $0.wrongTags ?? 0 > 0 }
    let table = TextTable(
      columns: [
        .init("NO", isNumber: true), .init("ADDRESS"), .init("STATE"), .init("INCARNATION"),
        .init("LOAD", isNumber: true), .init("SLOTS", isNumber: true),
      ] + (haveBackups ? [.init("BACKUPS", isNumber: true)] : []) + [
        .init("KEYS", isNumber: true), .init("READS/S", isNumber: true),
        .init("WRITES/S", isNumber: true), .init("REPLIES/S", isNumber: true),
        .init("COPIES/S", isNumber: true),
      ] + (haveStrangers ? [.init("WRONG TAGS", isNumber: true)] : []))
    return table.text(
      servers.map { server in
        let state =
          (server.phase == .alive && server.weight < 1 ? "slow" : server.phase.rawValue)
          + (server.storage == .full ? ", full" : "")
        let isUnknown = server.incarnation.allSatisfy { $0 == "0" }
        let incarnation = isUnknown ? "-" : String(server.incarnation.prefix(8))
        let backups = haveBackups ? [server.backups.map { String($0) } ?? "-"] : []
        return [
          String(server.number), server.address, state, incarnation, String(server.load),
          String(server.slots),
        ] + backups + [
          Numbers.short(Double(server.keys)), Numbers.short(server.readRate),
          Numbers.short(server.writeRate), Numbers.short(server.replyRate),
          Numbers.short(server.copyRate),
        ] + (haveStrangers ? [Numbers.short(Double(server.wrongTags ?? 0))] : [])
      }, shrinking: 1, to: columnsMax)
  }

  /// The rack as a whole.
  public static func status(_ status: ControlStatus) -> String {
    let totals = status.totals
    var lines = [
      ("rack", "\(status.rack) at \(status.address)"),
      (
        "controller",
        "process \(status.process), up \(duration(status.uptimeSeconds))"
          + (totals.adoptions == 0 ? "" : "; no. \(totals.adoptions + 1) of this directory")
      ),
      ("epoch", "\(status.epoch), generation \(Generation.count(of: status.generation))"),
      (
        "serving",
        status.dryRun == true
          ? "no: a dry run, packets are counted only" : status.serving ? "yes" : "no"
      ),
      (
        "servers",
        status.dryRun == true
          ? "\(status.servers), not asked" : "\(status.serversAlive) of \(status.servers) alive"
      ),
      ("interfaces", interfaces(status.interfaces)),
      ("requests", "\(Numbers.short(status.rate))/s, one of \(status.sampleInterval) sampled"),
      (
        "hot keys",
        "\(status.hotKeys), chosen \(status.automatic ? "automatically" : "by command only")"
      ),
      (
        "under way",
        status.movingSlots
          ? "slots of lost servers move"
          : status.slotsToMove > 0
            ? "\(status.slotsToMove) slots are to move"
              + (status.slotMove.map {
                ", now from server \($0.from) to server \($0.to)"
              } ?? "")
            : status.slotMove != nil
              ? "slots get another backup, from server \(status.slotMove.map { "\($0.from)" } ?? "")"
                + " to server \(status.slotMove.map { "\($0.to)" } ?? "")"
              : status.inTransition == 0
                ? (status.quiet ? "nothing" : "something waits")
                : "transition of \(status.inTransition) keys"
      ),
      (
        "transitions",
        "\(totals.promotions) promotions, \(totals.demotions) demotions, "
          + "\(totals.retargets) retargets, \(totals.givenUp) given up"
      ),
      (
        "slots moved",
        "\(totals.slotsMoved) in \(totals.slotMoves) moves, writes waited for at most "
          + "\(status.slotsFrozenMaxUs) us; \(totals.slotMovesGivenUp) given up"
      ),
      (
        "lost",
        "\(totals.serversLost) servers, \(totals.keysLost) keys; "
          + "\(totals.bans) key hashes banned"
      ),
    ]
    if let isOnTwo = status.onTwoServers {
      lines.append(
        (
          "two copies",
          isOnTwo ? "of everything" : "not of everything: one more loss may lose values"
        ))
    }
    if let rate = status.limitPerSecond, let burst = status.limitBurst {
      lines.append(
        ("rate limit", "\(Numbers.short(rate))/s of one client address, \(burst) at once"))
    }
    if let takeOver = status.takeOver { lines.append(("new epoch", takeOver.description)) }
    lines += counters(status.counters)
    let width = lines.map(\.0.count).max() ?? 0
    return lines.map { name, text in
      name + String(repeating: " ", count: width - name.count + 2) + text
    }.joined(separator: "\n")
  }

  /// Those of one kind together: `s0 s1 native, eth1 generic`.
  private static func interfaces(_ modes: [String: String]) -> String {
    let names = Dictionary(grouping: modes.keys.sorted()) { modes[$0] ?? "" }
    return names.sorted { $0.key > $1.key }.map { mode, names in
      "\(names.joined(separator: " ")) \(mode)"
    }.joined(separator: ", ")
  }

  /// The data plane's counters that are not zero, the drops apart.
  private static func counters(_ counters: [String: UInt64]) -> [(String, String)] {
    let counted = counters.filter { $0.value > 0 }.sorted { $0.key < $1.key }
    let (drops, others) = (
      counted.filter { $0.key.hasPrefix("drop_") }, counted.filter { !$0.key.hasPrefix("drop_") }
    )
    let total = drops.reduce(0) { $0 + $1.value }
    return others.map { ($0.key, String($0.value)) } + [("dropped", String(total))]
      + drops.map { ("  " + $0.key.dropFirst(5), String($0.value)) }
  }

  // MARK: Numbers

  /// "epoch:counter"; "-": none.
  public static func version(_ version: UInt64) -> String {
    version == 0 ? "-" : "\(version >> 48):\(version & 0xffff_ffff_ffff)"
  }

  /// Ascending numbers, with runs drawn together: "0-3,7"; "-": none.
  public static func numbers(_ numbers: [UInt8]) -> String {
    var runs: [ClosedRange<UInt8>] = []
    for number in numbers {
      if let last = runs.last, last.upperBound + 1 == number {
        runs[runs.count - 1] = last.lowerBound...number
      } else {
        runs.append(number...number)
      }
    }
    let parts = runs.map { run in
      switch run.count {
      case 1: "\(run.lowerBound)"
      case 2: "\(run.lowerBound),\(run.upperBound)"
      default: "\(run.lowerBound)-\(run.upperBound)"
      }
    }
    let text = parts.joined(separator: ",")
    let widthMax = 16
    guard text.count > widthMax else { return text.isEmpty ? "-" : text }
    // Sixteen of 32 in the worst order do not fit: say how many there are.
    return text.prefix(widthMax - 5) + "…(\(numbers.count))"
  }

  static func duration(_ seconds: Double) -> String {
    let seconds = Int(seconds)
    return switch seconds {
    case ..<120: "\(seconds) s"
    case ..<7200: "\(seconds / 60) min \(seconds % 60) s"
    default: "\(seconds / 3600) h \(seconds % 3600 / 60) min"
    }
  }
}
