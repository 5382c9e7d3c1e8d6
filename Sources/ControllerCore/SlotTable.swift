internal import Directory
internal import Wire

/// Who is home of which slot, and since which generation what a slot held is lost.
struct SlotTable: Sendable {
  /// `WireLimits.noServer`: its home was lost and it has no new one yet.
  private(set) var home: [UInt8]
  /// Who has everything that the home has ever answered for; `WireLimits.noServer`: nobody.
  private(set) var backup: [UInt8]
  private(set) var loss: [UInt64]
  /// Frozen in the directory, because it has another home or backup there than here.
  private(set) var moving: [Bool]
  /// Slots of each server, as home and as backup.
  private var counts: [Int] = Array(repeating: 0, count: 256)
  private var backupCounts: [Int] = Array(repeating: 0, count: 256)

  init() {
    home = Array(repeating: WireLimits.noServer, count: WireLimits.slots)
    backup = home
    loss = Array(repeating: 0, count: WireLimits.slots)
    moving = Array(repeating: false, count: WireLimits.slots)
  }

  /// As another controller has left them. What is frozen stays so: at its home, if that lives, or
  /// at its backup, or without a home, since that was lost.
  init(_ found: [DirectoryContents.Slot], living: UInt32) {
    func lives(_ server: UInt8) -> Bool {
      server < WireLimits.serversMax && living & bit(server) != 0
    }
    home = found.map { slot in
      if !slot.moving || lives(slot.home) { return slot.home }
      return lives(slot.reader) ? slot.reader : WireLimits.noServer
    }
    backup = zip(found, home).map { slot, home in
      slot.reader == home || home == WireLimits.noServer ? WireLimits.noServer : slot.reader
    }
    loss = found.map(\.lossGeneration)
    moving = found.map(\.moving)
    recount()
  }

  var isAnyMoving: Bool { moving.contains(true) }

  func home(_ slot: Int) -> UInt8 { home[slot] }
  func backup(_ slot: Int) -> UInt8? { Self.server(backup[slot]) }
  func home(ofHash hash: UInt64) -> UInt8 { home[KeyHash.slot(hash)] }
  func backup(ofHash hash: UInt64) -> UInt8? { Self.server(backup[KeyHash.slot(hash)]) }
  func loss(ofHash hash: UInt64) -> UInt64 { loss[KeyHash.slot(hash)] }

  /// One row of slots for each server, as even as can be.
  mutating func divide(between servers: [UInt8]) {
    for slot in home.indices { home[slot] = servers[slot * servers.count / home.count] }
    recount()
  }

  /// Gives every slot a backup, of a rack that holds nothing yet: the slots of one home in rows to
  /// all others, so that they share its load should it be lost.
  mutating func divideBackups(between servers: [UInt8]) {
    guard servers.count > 1 else { return }
    var seen: [Int] = Array(repeating: 0, count: 256)
    for slot in home.indices {
      let (server, others) = (home[slot], servers.filter { $0 != home[slot] })
      backup[slot] = others[seen[Int(server)] * others.count / counts[Int(server)]]
      seen[Int(server)] += 1
    }
    recount()
  }

  /// Takes over what servers say that they are home or backup of; where two do, the later was given
  /// it last. Where the home is missing its backup takes its place. Whatever nobody claims has no
  /// home.
  mutating func inherit(_ claims: [(server: UInt8, generation: UInt64, runs: [SlotRun])]) {
    self = SlotTable()
    var claimed = backup
    var backupLoss = loss
    for claim in claims.sorted(by: { ($0.generation, $0.server) < ($1.generation, $1.server) }) {
      for run in claim.runs {
        for slot in run.slots where run.role == .home {
          home[slot] = claim.server
          backup[slot] = run.backup ?? WireLimits.noServer
          loss[slot] = run.lossGeneration
        }
        for slot in run.slots where run.role == .backup {
          claimed[slot] = claim.server
          backupLoss[slot] = run.lossGeneration
        }
      }
    }
    for slot in home.indices {
      if home[slot] == WireLimits.noServer {
        (home[slot], loss[slot]) = (claimed[slot], backupLoss[slot])
        backup[slot] = WireLimits.noServer
      } else if backup[slot] != claimed[slot] {
        // Both have to know of each other.
        backup[slot] = WireLimits.noServer
      }
    }
    recount()
  }

  /// The slots of these servers go to their backups, or have no home from now on; what they were
  /// backup of has none.
  mutating func leave(_ servers: [UInt8]) {
    let isGone = (0...UInt8.max).map { servers.contains($0) }
    for slot in home.indices {
      if isGone[Int(backup[slot])] {
        backup[slot] = WireLimits.noServer
        moving[slot] = true
      }
      if isGone[Int(home[slot])] {
        home[slot] = backup[slot]
        backup[slot] = WireLimits.noServer
        moving[slot] = true
      }
    }
    recount()
  }

  /// Every slot goes on without its backup, and is moving until all know it. Returns whether any had
  /// one.
  mutating func dropBackups() -> Bool {
    var hadAny = false
    for slot in home.indices where backup[slot] != WireLimits.noServer {
      backup[slot] = WireLimits.noServer
      moving[slot] = true
      hadAny = true
    }
    recount()
    return hadAny
  }

  /// There is a second server for every slot.
  var haveBackups: Bool { backupCounts[Int(WireLimits.noServer)] == 0 }

  /// Every slot without a home is moving and has lost what it held. Returns the rows of them.
  mutating func markLost(generation: UInt64) -> [SlotRun] {
    let homeless = runs { home[$0] == WireLimits.noServer ? Mark(0, 0) : nil }
    for slot in home.indices where home[slot] == WireLimits.noServer {
      moving[slot] = true
      loss[slot] = generation
    }
    return homeless
  }

  /// Divides every row of slots without a home between the servers.
  mutating func settle(on servers: [UInt8]) {
    for run in runs(where: { home[$0] == WireLimits.noServer ? Mark(0, 0) : nil }) {
      for offset in 0..<Int(run.count) {
        home[Int(run.first) + offset] = servers[offset * servers.count / Int(run.count)]
      }
    }
    recount()
  }

  /// The moving slots have arrived. Returns the rows of them with their homes and readers.
  mutating func arrive() -> [Row] {
    let arrived = runs { moving[$0] ? pair($0) : nil }
    for slot in moving.indices { moving[slot] = false }
    return arrived.map(row)
  }

  /// These slots have another home from now on; if it was their backup, they have none.
  mutating func move(_ runs: [SlotRun], to server: UInt8) {
    for slot in runs.flatMap(\.slots) {
      home[slot] = server
      if backup[slot] == server { backup[slot] = WireLimits.noServer }
    }
    recount()
  }

  /// The homes of these slots become their backups, and the backups homes.
  mutating func exchange(_ runs: [SlotRun]) {
    for slot in runs.flatMap(\.slots) { (home[slot], backup[slot]) = (backup[slot], home[slot]) }
    recount()
  }

  /// These slots have another backup from now on.
  mutating func setBackup(of runs: [SlotRun], to server: UInt8) {
    for slot in runs.flatMap(\.slots) { backup[slot] = server }
    recount()
  }

  /// What these slots held was lost in their loss generation.
  mutating func raiseLoss(_ run: SlotRun) {
    for slot in run.slots {
      loss[slot] = max(loss[slot], run.lossGeneration)
    }
  }

  /// These slots in rows with one home and one reader each, in the order given.
  func rows(in runs: [SlotRun]) -> [Row] {
    var rows: [Row] = []
    for run in runs {
      for slot in run.slots {
        if slot > Int(run.first), pair(slot - 1) == pair(slot) {
          rows[rows.count - 1].run.count += 1
        } else {
          rows.append(row(SlotRun(first: UInt16(slot), count: 1)))
        }
      }
    }
    return rows
  }

  /// These slots in rows with one loss generation and one backup each; if those are more than `max`, as they were
  /// given, each with the newest loss of any slot in it.
  func runs(in runs: [SlotRun], max limit: Int) -> [SlotRun] {
    var exact: [SlotRun] = []
    for run in runs {
      for slot in run.slots {
        if slot > Int(run.first), exact.last?.lossGeneration == loss[slot],
          exact.last?.backup == backup(slot)
        {
          exact[exact.count - 1].count += 1
        } else {
          exact.append(
            SlotRun(
              first: UInt16(slot), count: 1, lossGeneration: loss[slot], backup: backup(slot)))
        }
      }
    }
    guard exact.count > limit else { return exact }
    return runs.map { run in
      var run = run
      run.lossGeneration = loss[run.slots].max() ?? 0
      run.backup = backup(Int(run.first))
      return run
    }
  }

  /// These slots stay frozen until `arrive`.
  mutating func freeze(_ runs: [SlotRun]) {
    for run in runs {
      for slot in run.slots { moving[slot] = true }
    }
  }

  /// The last slots of which this is true, `count` at most, in `runsMax` rows at most; ascending.
  func lastRuns(count: Int, runsMax: Int, where isWanted: (Int) -> Bool) -> [SlotRun] {
    var left = count
    var result: [SlotRun] = []
    let runs = runs { isWanted($0) ? Mark(loss[$0], backup[$0]) : nil }
    for run in runs.reversed().prefix(runsMax) where left > 0 {
      let taken = min(left, Int(run.count))
      let first = run.slots.upperBound - taken
      result.append(
        SlotRun(first: UInt16(first), count: UInt16(taken), lossGeneration: loss[first]))
      left -= taken
    }
    return result.reversed()
  }

  /// The slots that are moving and have a home.
  var taken: [Row] {
    runs { moving[$0] && home[$0] != WireLimits.noServer ? pair($0) : nil }.map(row)
  }

  /// All slots that a server is home or backup of, as SLOTS_SET has them.
  func runs(of server: UInt8) -> [SlotRun] {
    let own = runs { home[$0] == server ? Mark(loss[$0], backup[$0]) : nil }
    let kept = runs { backup[$0] == server ? Mark(loss[$0], server) : nil }
    return own.map { run in
      SlotRun(
        first: run.first, count: run.count, lossGeneration: loss[Int(run.first)], role: .home,
        backup: Self.server(backup[Int(run.first)]))
    }
      + kept.map { run in
        SlotRun(
          first: run.first, count: run.count, lossGeneration: loss[Int(run.first)], role: .backup)
      }
  }

  /// Slots in a row of which the same servers are home and serve reads.
  struct Row {
    var run: SlotRun
    var home: UInt8
    /// The backup, or else the home.
    var reader: UInt8
  }

  /// All rows.
  var rows: [Row] { runs { pair($0) }.map(row) }

  private func pair(_ slot: Int) -> Mark { Mark(UInt64(home[slot]), backup[slot]) }

  private func row(_ run: SlotRun) -> Row {
    let slot = Int(run.first)
    return Row(run: run, home: home[slot], reader: Self.server(backup[slot]) ?? home[slot])
  }

  private static func server(_ number: UInt8) -> UInt8? {
    number == WireLimits.noServer ? nil : number
  }

  func count(of server: UInt8) -> Int { counts[Int(server)] }
  func backupCount(of server: UInt8) -> Int { backupCounts[Int(server)] }

  private mutating func recount() {
    for server in counts.indices { (counts[server], backupCounts[server]) = (0, 0) }
    for server in home { counts[Int(server)] += 1 }
    for server in backup { backupCounts[Int(server)] += 1 }
  }

  /// What slots of one row have in common.
  private struct Mark: Equatable {
    var first: UInt64
    var second: UInt8

    init(_ first: UInt64, _ second: UInt8) { (self.first, self.second) = (first, second) }
  }

  /// The longest rows of slots for which `mark` gives the same value; nil belongs to none.
  private func runs(where mark: (Int) -> Mark?) -> [SlotRun] {
    var runs: [SlotRun] = []
    var previous: Mark?
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
