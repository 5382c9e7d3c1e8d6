internal import Directory
internal import Wire

/// Who is home of which slot, and since which generation what a slot held is lost.
struct SlotTable: Sendable {
  /// `WireLimits.noServer`: its home was lost and it has no new one yet.
  private(set) var home: [UInt8]
  private(set) var loss: [UInt64]
  /// Frozen in the directory, because it has another home there than here.
  private(set) var moving: [Bool]
  /// Slots of each server.
  private var counts: [Int] = Array(repeating: 0, count: 256)

  init() {
    home = Array(repeating: WireLimits.noServer, count: WireLimits.slots)
    loss = Array(repeating: 0, count: WireLimits.slots)
    moving = Array(repeating: false, count: WireLimits.slots)
  }

  /// As another controller has left them. What is frozen stays so: at its home, if that lives, or
  /// without one, since that was lost.
  init(_ found: [DirectoryContents.Slot], living: UInt32) {
    home = found.map { slot in
      let isOrphan = slot.home >= WireLimits.serversMax || living & bit(slot.home) == 0
      return slot.moving && isOrphan ? WireLimits.noServer : slot.home
    }
    loss = found.map(\.lossGeneration)
    moving = found.map(\.moving)
    recount()
  }

  var isAnyMoving: Bool { moving.contains(true) }

  func home(ofHash hash: UInt64) -> UInt8 { home[KeyHash.slot(hash)] }
  func loss(ofHash hash: UInt64) -> UInt64 { loss[KeyHash.slot(hash)] }

  /// One row of slots for each server, as even as can be.
  mutating func divide(between servers: [UInt8]) {
    for slot in home.indices { home[slot] = servers[slot * servers.count / home.count] }
    recount()
  }

  /// Takes over what servers say that they are home of; where two do, the later was given it last.
  /// Whatever nobody claims has no home.
  mutating func inherit(_ claims: [(server: UInt8, generation: UInt64, runs: [SlotRun])]) {
    self = SlotTable()
    for claim in claims.sorted(by: { ($0.generation, $0.server) < ($1.generation, $1.server) }) {
      for run in claim.runs {
        for slot in Int(run.first)..<Int(run.first) + Int(run.count) {
          home[slot] = claim.server
          loss[slot] = run.lossGeneration
        }
      }
    }
    recount()
  }

  /// The slots of these servers have no home from now on.
  mutating func leave(_ servers: [UInt8]) {
    for slot in home.indices where servers.contains(home[slot]) {
      home[slot] = WireLimits.noServer
    }
    recount()
  }

  /// Every slot without a home is moving and has lost what it held. Returns the rows of them.
  mutating func markLost(generation: UInt64) -> [SlotRun] {
    let homeless = runs { home[$0] == WireLimits.noServer ? 0 : nil }
    for slot in home.indices where home[slot] == WireLimits.noServer {
      moving[slot] = true
      loss[slot] = generation
    }
    return homeless
  }

  /// Divides every row of slots without a home between the servers.
  mutating func settle(on servers: [UInt8]) {
    for run in runs(where: { home[$0] == WireLimits.noServer ? 0 : nil }) {
      for offset in 0..<Int(run.count) {
        home[Int(run.first) + offset] = servers[offset * servers.count / Int(run.count)]
      }
    }
    recount()
  }

  /// The moving slots have arrived. Returns the rows of them with their homes.
  mutating func arrive() -> [(run: SlotRun, home: UInt8)] {
    let arrived = runs { moving[$0] ? UInt64(home[$0]) : nil }
    for slot in moving.indices { moving[slot] = false }
    return arrived.map { ($0, home[Int($0.first)]) }
  }

  /// These slots have another home from now on.
  mutating func move(_ runs: [SlotRun], to server: UInt8) {
    for run in runs {
      for slot in Int(run.first)..<Int(run.first) + Int(run.count) { home[slot] = server }
    }
    recount()
  }

  /// What these slots held was lost in their loss generation.
  mutating func raiseLoss(_ run: SlotRun) {
    for slot in Int(run.first)..<Int(run.first) + Int(run.count) {
      loss[slot] = max(loss[slot], run.lossGeneration)
    }
  }

  /// These slots in rows with one loss generation each; if those are more than `max`, as they were
  /// given, each with the newest loss of any slot in it.
  func runs(in runs: [SlotRun], max limit: Int) -> [SlotRun] {
    var exact: [SlotRun] = []
    for run in runs {
      for slot in Int(run.first)..<Int(run.first) + Int(run.count) {
        if slot > Int(run.first), exact.last?.lossGeneration == loss[slot] {
          exact[exact.count - 1].count += 1
        } else {
          exact.append(SlotRun(first: UInt16(slot), count: 1, lossGeneration: loss[slot]))
        }
      }
    }
    guard exact.count > limit else { return exact }
    return runs.map { run in
      var run = run
      run.lossGeneration = loss[Int(run.first)..<Int(run.first) + Int(run.count)].max() ?? 0
      return run
    }
  }

  /// These slots stay frozen until `arrive`.
  mutating func freeze(_ runs: [SlotRun]) {
    for run in runs {
      for slot in Int(run.first)..<Int(run.first) + Int(run.count) { moving[slot] = true }
    }
  }

  /// The last slots of a server, `count` at most, in `runsMax` rows at most; ascending.
  func lastRuns(of server: UInt8, count: Int, runsMax: Int) -> [SlotRun] {
    var left = count
    var result: [SlotRun] = []
    for run in runs(of: server).reversed().prefix(runsMax) where left > 0 {
      let taken = min(left, Int(run.count))
      result.append(
        SlotRun(
          first: UInt16(Int(run.first) + Int(run.count) - taken), count: UInt16(taken),
          lossGeneration: run.lossGeneration))
      left -= taken
    }
    return result.reversed()
  }

  /// All slots of a server, as SLOTS_SET has them.
  func runs(of server: UInt8) -> [SlotRun] {
    runs { home[$0] == server ? loss[$0] : nil }.map { run in
      var run = run
      run.lossGeneration = loss[Int(run.first)]
      return run
    }
  }

  /// All rows with their homes.
  var rows: [(run: SlotRun, home: UInt8)] {
    runs { UInt64(home[$0]) }.map { ($0, home[Int($0.first)]) }
  }

  func count(of server: UInt8) -> Int { counts[Int(server)] }

  private mutating func recount() {
    for server in counts.indices { counts[server] = 0 }
    for server in home { counts[Int(server)] += 1 }
  }

  /// The longest rows of slots for which `mark` gives the same value; nil belongs to none.
  private func runs(where mark: (Int) -> UInt64?) -> [SlotRun] {
    var runs: [SlotRun] = []
    var previous: UInt64?
    for slot in home.indices {
      let value = mark(slot)
      defer { previous = value }
      guard let value else { continue }
      if value == previous, !runs.isEmpty {
        runs[runs.count - 1].count += 1
      } else {
        runs.append(SlotRun(first: UInt16(slot), count: 1))
      }
    }
    return runs
  }
}

/// The tables of write targets: which exist, and which may be written anew.
struct TargetTables: Sendable {
  private static let count: UInt8 = 64
  private static let places = 256

  /// The servers in each table; nil: free.
  private var mask: [UInt32?] = Array(repeating: nil, count: Int(count))
  private var users: [Int] = Array(repeating: 0, count: Int(count))
  /// Given up, but perhaps still read by a packet that is being handled.
  private var cooling: [Bool] = Array(repeating: false, count: Int(count))
  private var last: UInt8 = count - 1
  /// The table that entries are given.
  private(set) var current: UInt8 = 0

  init() {}

  /// As another controller has left them: the servers of the tables in use, and for each use its
  /// table.
  init(masks: [UInt8: UInt32], users tables: [UInt8], receivers: UInt32) {
    for table in tables {
      users[Int(table)] += 1
      mask[Int(table)] = masks[table]
    }
    current = tables.first { masks[$0] == receivers } ?? 0
  }

  /// The servers of a table.
  func servers(in table: UInt8) -> UInt32 { mask[Int(table)] ?? 0 }

  /// Takes a free table for these servers and makes it the current one; nil if none is free.
  mutating func make(for servers: [UInt8]) -> (table: UInt8, servers: [UInt8])? {
    for step in 1...Self.count {
      let table = (last + step) % Self.count
      guard mask[Int(table)] == nil, !cooling[Int(table)] else { continue }
      last = table
      current = table
      mask[Int(table)] = servers.reduce(0) { $0 | bit($1) }
      return (table, Self.row(servers, rotated: Int(table)))
    }
    return nil
  }

  /// What a table of these servers looks like.
  static func row(_ servers: [UInt8], rotated: Int) -> [UInt8] {
    (0..<places).map { servers[($0 + rotated) % servers.count] }
  }

  mutating func use(_ table: UInt8) { users[Int(table)] += 1 }

  /// An entry leaves the table. Returns whether the table is to be freed after a grace period.
  mutating func leave(_ table: UInt8) -> Bool {
    users[Int(table)] -= 1
    return retire(table)
  }

  /// Tables that nobody uses and nobody will: to be freed after a grace period.
  mutating func retireUnused() -> [UInt8] { (0..<Self.count).filter { retire($0) } }

  mutating func free(_ table: UInt8) { cooling[Int(table)] = false }

  private mutating func retire(_ table: UInt8) -> Bool {
    let index = Int(table)
    guard users[index] == 0, table != current, mask[index] != nil else { return false }
    mask[index] = nil
    cooling[index] = true
    return true
  }
}
