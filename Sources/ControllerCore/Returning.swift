internal import Directory
internal import Wire

// Durable servers that are silent for a while, or restart with their state (docs/protocol.md §8,
// "Server away").
//
// Such a server keeps its slots, its write targets and its places in replica sets; only the alive bit
// goes, so that reads of hot keys find others and everything else is answered `busy`. No transition
// and no FLOOR begins meanwhile. So whatever it knew when it went away is what it would know had it
// been there, and it may go on as if it had stood still.
extension ControllerCore {
  /// Whether the rack waits for a server.
  var isAnyAway: Bool { servers.contains { $0.phase == .away || $0.isReturning } }

  /// A living server is to be waited for.
  mutating func goAway(_ index: Int) {
    servers[index].phase = .away
    servers[index].slotsTask = nil
    // Before it shows: who is not alive and not known to be waited for counts as lost.
    noteAway()
    alive &= ~bit(servers[index].number)
    publish(.setAlive(alive))
    publishSpared()
    // Neither can be finished without this server.
    abortBatch()
    abandonMove(with: servers[index].number)
    totals.serversAway += 1
    notice(.serverAway(servers[index].number))
  }

  /// The wait for a server is over. Not while nobody else is there: its slots would have no other
  /// home, and what it has is all there is.
  func isOverdue(_ index: Int) -> Bool {
    alive != 0 && now > servers[index].lastHeard + configuration.times.serverReturn
  }

  /// The first server is back after all were away: the others have as long from now on.
  mutating func beginReturns() {
    for index in servers.indices where servers[index].phase == .away {
      servers[index].lastHeard = now
    }
  }

  /// It answers again, in the incarnation that we know: it was only silent, or is taking up its state.
  /// Either way it is told once more what it should know.
  mutating func comeBack(_ index: Int, _ body: ProbeBody) {
    if !servers[index].isReturning {
      servers[index].isReturning = true
      servers[index].predecessor = servers[index].incarnation
    }
    if body.conditions.contains(.damaged) { servers[index].isDamaged = true }
    servers[index].phase = .admitting
    admit(index)
  }

  /// Whether a server that has restarted offers the state of the incarnation that the rack waits for,
  /// or has not missed yet.
  func believes(_ index: Int, _ header: Header, _ body: ProbeBody) -> Bool {
    let server = servers[index]
    guard body.recovered != 0, header.epoch == configuration.epoch else { return false }
    let isPart = server.phase == .alive || server.phase == .away || server.isReturning
    return isPart
      && (body.recovered == server.incarnation
        || server.isReturning && body.recovered == server.predecessor)
  }

  /// Has a restarted server take up its state.
  mutating func resume(_ index: Int, _ header: Header, _ body: ProbeBody) {
    if servers[index].phase == .alive { goAway(index) }
    servers[index].isReturning = true
    servers[index].predecessor = body.recovered
    servers[index].incarnation = header.incarnation
    servers[index].admittedIncarnation = header.incarnation
    if body.conditions.contains(.damaged) { servers[index].isDamaged = true }
    servers[index].phase = .admitting
    servers[index].lastHeard = now
    servers[index].slotsTask = nil
    note(index, body)
    // From ADMIT on it may offer its state under the new name.
    // What it was in between it has never written down.
    let number = servers[index].number
    members.removeAll { $0.server == number }
    members += [body.recovered, header.incarnation].map {
      RackMember(server: number, incarnation: $0)
    }
    admit(index)
  }

  /// It is about to count as alive again: every packet that saw its earlier incarnation living has
  /// been handled. What it holds of hot keys does not count if any of its records are damaged; the
  /// transitions that follow from the loss bring it a copy of those that have another holder.
  mutating func finishReturn(_ index: Int) {
    let server = servers[index]
    notice(.serverBack(server.number, restarted: server.incarnation != server.predecessor))
    totals.serversReturned += 1
    guard server.isDamaged else { return }
    servers[index].isDamaged = false
    for entry in entries.inOrder {
      publish(.forgetServer(entry: entry.index, server: servers[index].number))
    }
    publish(.noteLoss(generation: generation + 1))
    lossGeneration = raiseGeneration()
    unsafeLoss = lossGeneration
    // It may forget what is missing once they are over.
    floorWanted = true
    totals.serversDamaged += 1
    notice(.serverDamaged(server.number))
  }

  /// Takes in what a server says of itself.
  mutating func note(_ index: Int, _ body: ProbeBody) {
    let was = servers[index].totals.conditions
    servers[index].totals = body
    let (isFull, wasFull) = (body.conditions.contains(.full), was.contains(.full))
    if isFull != wasFull {
      if isFull { totals.fullDisks += 1 }
      notice(.serverFull(servers[index].number, isFull))
      reconsiderMove()
    }
    guard servers[index].isDurable != servers[index].isNotedAsDurable else { return }
    servers[index].isNotedAsDurable = servers[index].isDurable
    noteDurable()
  }

  /// Writes down whose state outlives its process.
  mutating func noteDurable() {
    publish(.noteDurable(servers.reduce(0) { $1.isNotedAsDurable ? $0 | bit($1.number) : $0 }))
  }

  /// Writes down which servers are waited for: they are not lost, whoever controls the directory.
  mutating func noteAway() {
    let away = servers.reduce(0) {
      $1.phase == .away || serving && $1.isReturning ? $0 | bit($1.number) : $0
    }
    guard away != awayNoted else { return }
    awayNoted = away
    publish(.noteAway(away))
  }
}

extension ServerRecord {
  /// Its state outlives its process.
  var isDurable: Bool { totals.conditions.contains(.durable) }
  /// The start whose data it has.
  var owner: UInt64 { isReturning ? predecessor : incarnation }
}
