internal import Wire

/// A FLOOR on its way to the servers, until all have answered or a newer one is made.
struct FloorRound: Sendable {
  let generation: UInt64
  var deliveries: [UInt8: Delivery]
  /// Somebody has been told of it.
  var isSent = false
}

extension ControllerCore {
  /// Lets the servers forget what no packet under way can need. Only while no transition runs; it
  /// may reach the servers later, it names what had an entry now. It is sent later on purpose, when
  /// the requests that wait at the servers carry the new generation: none has to be asked again.
  mutating func beginFloor() {
    let isDue = configuration.times.floor > 0 && now >= nextFloor
    guard isDue || floorWanted, batch == nil, recovery == nil else { return }
    // By it servers know that a loss has been dealt with.
    guard !entries.inOrder.contains(where: { $0.lossGeneration < lossGeneration }) else { return }
    // One that nobody has been told of yet would be forgotten by a newer one, and so on for ever.
    guard floorRound?.isSent != false else { return }
    // The new home of slots keeps copies that the old one's tombstones have to follow.
    guard move?.stage != .receiving, move?.isBegun != false else { return }
    floorWanted = false
    nextFloor = now + configuration.times.floor
    let generation = raiseGeneration()
    let hashes = entries.hashes
    var parts: [[UInt8]] = []
    for start in stride(from: 0, to: max(1, hashes.count), by: FloorBody.capacity) {
      let end = min(start + FloorBody.capacity, hashes.count)
      parts.append(FloorBody(keyHashes: Array(hashes[start..<end])).encoded())
    }
    var round = FloorRound(generation: generation, deliveries: [:])
    for server in living {
      let delivery = Delivery(
        sequence: newSequence(), header: header(.floor, to: server, generation: generation),
        values: parts, nextSend: now + configuration.times.floorDelay)
      round.deliveries[server] = delivery
    }
    floorRound = round
    driveFloor()
    totals.floors += 1
    notice(.floorRaised(generation: generation))
  }

  mutating func driveFloor() {
    guard let round = floorRound else { return }
    for record in servers {
      guard let delivery = round.deliveries[record.number] else { continue }
      guard record.phase == .alive,
        delivery.messages.first?.header.incarnation == record.incarnation
      else {
        floorRound?.deliveries[record.number] = nil
        continue
      }
      guard now >= delivery.nextSend else { continue }
      for message in delivery.outstanding { send(message) }
      floorRound?.isSent = true
      floorRound?.deliveries[record.number]?.nextSend = now + 2 * configuration.times.resend
    }
    if floorRound?.deliveries.isEmpty == true { floorRound = nil }
  }

  mutating func floorAcknowledged(_ server: UInt8, _ header: Header) {
    guard header.status == .ok else { return }
    floorRound?.deliveries[server]?.acknowledge(header)
    if floorRound?.deliveries[server]?.isComplete == true {
      floorRound?.deliveries[server] = nil
    }
    if floorRound?.deliveries.isEmpty == true { floorRound = nil }
  }
}
