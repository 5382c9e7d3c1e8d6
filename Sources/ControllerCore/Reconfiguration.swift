public import Directory
internal import KeyTemperature
internal import Wire

/// What may change in a rack while it runs: who its servers are, and how keys are chosen.
public struct RackChange: Sendable, Equatable {
  /// The servers of the rack from now on, by number (0...31); their `incarnation` is not used. One
  /// with another address or port than before is another server.
  public var servers: [UInt8: ServerPlace]
  /// Servers that are drained from now on; of new ones, those that take no part until they are added.
  public var drained: Set<UInt8>
  /// Servers that were drained and are to take part again.
  public var added: Set<UInt8>
  public var policy: PolicyConfiguration
  public var times: ControllerTimes

  /// A rack of these servers, none of which changes its service.
  public init(
    servers: [UInt8: ServerPlace], drained: Set<UInt8> = [], added: Set<UInt8> = [],
    policy: PolicyConfiguration, times: ControllerTimes
  ) {
    self.servers = servers
    self.drained = drained
    self.added = added
    self.policy = policy
    self.times = times
  }
}

/// Why a rack cannot change so.
public enum RackChangeRefusal: Sendable, Equatable {
  /// It has not begun to take requests, or its controller has just begun.
  case notReady
  /// The server cannot go, or be replaced by another one of its number: it is home of so many slots,
  /// or packets may still depend on it otherwise.
  case serverNeeded(UInt8, slots: Int)
  /// Nobody would be left to serve.
  case noServerLeft
}

extension ControllerCore {
  /// Everything that stands in the way of a change; if there is nothing, `reconfigure` makes it.
  public func refusals(of change: RackChange) -> [RackChangeRefusal] {
    guard serving, !isAdopting else { return [.notReady] }
    var refusals: [RackChangeRefusal] = []
    for record in servers where !isKept(record, change) && !mayForget(record) {
      refusals.append(.serverNeeded(record.number, slots: slots.count(of: record.number)))
    }
    let isAnyLeft = change.servers.keys.contains { number in
      guard !change.drained.contains(number) else { return false }
      guard let record = servers.first(where: { $0.number == number }), isKept(record, change)
      else { return true }
      return record.phase != .lost && (!record.isDraining || change.added.contains(number))
    }
    if !isAnyLeft { refusals.append(.noServerLeft) }
    return refusals
  }

  /// Makes a change that nothing stands in the way of, as a whole.
  mutating func reconfigure(_ change: RackChange) {
    guard refusals(of: change).isEmpty else { return }
    for number in servers.filter({ !isKept($0, change) }).map(\.number) { forget(number) }
    for number in change.servers.keys.sorted() {
      guard let place = change.servers[number] else { continue }
      if servers.contains(where: { $0.number == number }) {
        relocate(number, interface: place.interface, mac: place.mac)
      } else {
        enroll(number, place, isDrained: change.drained.contains(number))
      }
    }
    configuration.servers = change.servers
    configuration.times = change.times
    reconfigure(policy: change.policy)
    // First who is to take part, so that the others may go.
    for number in change.added.sorted() { add(number) }
    for number in change.drained.sorted() { drain(number) }
    publishSpared()
    beginWhatWaits()
  }

  /// A server is behind another interface of this host, or has another MAC address (or the router
  /// before it has): packets go there from now on.
  mutating func relocate(_ number: UInt8, interface: UInt32, mac: [UInt8]) {
    guard let index = servers.firstIndex(where: { $0.number == number }),
      servers[index].place.interface != interface || servers[index].place.mac != mac
    else { return }
    servers[index].place.interface = interface
    servers[index].place.mac = mac
    configuration.servers[number]?.interface = interface
    configuration.servers[number]?.mac = mac
    publish(.relocate(number, interface: interface, mac: mac))
  }

  private mutating func reconfigure(policy new: PolicyConfiguration) {
    let old = configuration.policy
    configuration.policy = new
    policy.reconfigure(new)
    if new.readChoice != old.readChoice { publish(.setReadChoice(new.readChoice)) }
    reconsiderMove()
  }

  // MARK: Servers

  private func isKept(_ record: ServerRecord, _ change: RackChange) -> Bool {
    guard let place = change.servers[record.number] else { return false }
    return place.address == record.place.address && place.port == record.place.port
  }

  /// Nothing depends on the server, whatever has become of it: no data of it count, no packet is
  /// steered to it, and no step of the controller's waits for it.
  private func mayForget(_ record: ServerRecord) -> Bool {
    let number = record.number
    guard record.phase == .drained || record.phase == .lost || record.phase == .unknown else {
      return false
    }
    return !record.isReturning && recovery == nil && !isNeeded(number)
      && !members.contains { $0.server == number } && batch?.servers.contains(number) != true
  }

  private mutating func forget(_ number: UInt8) {
    let wasDurable = servers.contains { $0.number == number && $0.isNotedAsDurable }
    servers.removeAll { $0.number == number }
    if wasDurable { noteDurable() }
    serviceOrders.removeAll { $0.server == number }
    floorRound?.deliveries[number] = nil
    if floorRound?.deliveries.isEmpty == true { floorRound = nil }
    publish(
      .setServer(
        number,
        ServerPlace(
          incarnation: 0, interface: 0, port: 0, mac: Array(repeating: 0, count: 6),
          address: Array(repeating: 0, count: 16))))
    notice(.serverForgotten(number))
  }

  /// A new server: it is looked for from now on.
  private mutating func enroll(_ number: UInt8, _ place: ServerPlace, isDrained: Bool) {
    var record = ServerRecord(number: number, place: place)
    record.probesFrom = lastSequence
    record.nextProbe = now
    record.isDraining = isDrained
    record.phase = isDrained ? .drained : .unknown
    serviceOrders.removeAll { $0.server == number }
    let index = servers.firstIndex { $0.number > number } ?? servers.count
    servers.insert(record, at: index)
    publish(.setServerCount(UInt32(servers.last?.number ?? number) + 1))
    var place = place
    place.incarnation = 0
    publish(.setServer(number, place))
    notice(.serverEnrolled(number))
  }
}
