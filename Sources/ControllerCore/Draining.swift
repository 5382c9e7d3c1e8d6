internal import Directory
internal import Wire

extension ControllerCore {
  /// What the rack file and the commands of earlier times say. A server whose data count takes part
  /// until it has given them away.
  mutating func drainFromTheStart() {
    var out = configuration.drained
    for order in serviceOrders {
      if order.isDrained { out.insert(order.server) } else { out.remove(order.server) }
    }
    // If all were drained there would be no rack.
    guard !servers.allSatisfy({ out.contains($0.number) }) else { return }
    for index in servers.indices where out.contains(servers[index].number) {
      servers[index].isDraining = true
      let isMember = members.contains { $0.server == servers[index].number }
      servers[index].phase = isMember ? .unknown : .drained
    }
  }

  private mutating func remember(_ order: ServiceOrder) {
    serviceOrders.removeAll { $0.server == order.server }
    let place = serviceOrders.firstIndex { $0.server > order.server } ?? serviceOrders.count
    serviceOrders.insert(order, at: place)
  }

  /// Takes a server out of service, unless it is the last one that could serve.
  mutating func drain(_ number: UInt8) {
    guard let index = servers.firstIndex(where: { $0.number == number }),
      !servers[index].isDraining, mayDrain(number)
    else { return }
    servers[index].isDraining = true
    remember(ServiceOrder(server: number, isDrained: true))
    publishSpared()
    switch servers[index].phase {
    case .alive:
      notice(.drainBegun(number))
      reconsiderMove()
    // What it had is dealt with first, or it comes back with that.
    case .lost, .away: notice(.drainBegun(number))
    case .drained: break
    case _ where servers[index].isReturning: notice(.drainBegun(number))
    default:
      // It takes no part yet; but while the rack begins, it may have what nobody else has.
      if serving { leave(index) }
    }
  }

  /// Whether another server could go on without it.
  public func mayDrain(_ number: UInt8) -> Bool {
    servers.contains { $0.number == number }
      && servers.contains { $0.number != number && !$0.isDraining && $0.phase != .lost }
  }

  /// Takes a server into service again; it joins when it answers, and then gets its slots.
  mutating func add(_ number: UInt8) {
    guard let index = servers.firstIndex(where: { $0.number == number }),
      servers[index].isDraining
    else { return }
    servers[index].isDraining = false
    remember(ServiceOrder(server: number, isDrained: false))
    notice(.serverAdded(number))
    if servers[index].phase == .drained {
      servers[index].phase = .unknown
      servers[index].nextProbe = now
    }
    publishSpared()
    reconsiderMove()
  }

  /// Lets a server go that nothing depends on any more: no slot, no write target, no replica set.
  mutating func driveDrains() {
    guard serving, recovery == nil else { return }
    for index in servers.indices where servers[index].isDraining {
      let number = servers[index].number
      if servers[index].phase == .lost || servers[index].phase == .unknown {
        // What it had is with others already, or lost; if it is there again, it begins anew.
        servers[index].phase = .drained
        servers[index].leftIncarnation = 0
        notice(.drained(number))
      }
      guard servers[index].phase == .alive else { continue }
      guard !isNeeded(number) else {
        servers[index].freeSince = nil
        continue
      }
      let isHolder = leaveReplicaSets(number)
      if isHolder || servers[index].freeSince == nil {
        servers[index].freeSince = now
      } else if let since = servers[index].freeSince,
        now >= since + configuration.times.floorDelay, batch?.servers.contains(number) != true
      {
        // What was steered to it has been answered by now, so that nothing waits for a lost answer.
        alive &= ~bit(number)
        publish(.setAlive(alive))
        leave(index)
        publishSpared()
      }
    }
  }

  func isNeeded(_ number: UInt8) -> Bool {
    func names(_ table: UInt8) -> Bool { targets.servers(in: table) & bit(number) != 0 }
    return slots.count(of: number) > 0 || slots.backupCount(of: number) > 0
      || move?.concerns(number) ?? false
      || (alive & ~bit(number)) == 0 || names(targets.current)
      || entries.inOrder.contains { $0.targets.map(names) ?? false }
  }

  /// Takes a server out of the replica sets that have others. A key that is held by it alone, since
  /// nobody has written it meanwhile, goes to its new home by a transition. Returns whether it was in
  /// a set.
  private mutating func leaveReplicaSets(_ number: UInt8) -> Bool {
    var isHolder = false
    // Another one that leaves is no holder to rely on.
    let leaving = servers.reduce(bit(number)) { $1.isDraining ? $0 | bit($1.number) : $0 }
    for entry in entries.inOrder {
      let set = entry.reading?.replicaSet ?? 0
      guard set & bit(number) != 0 else { continue }
      isHolder = true
      // With two copies it may be the only holder of what was written since that was read.
      if set & alive & ~leaving != 0, configuration.copies < 2 {
        publish(.forgetServer(entry: entry.index, server: number))
      } else if entry.mode == .hot, entry.want == nil {
        want(.retarget, entry.keyHash, .serversChanged)
      }
    }
    return isHolder
  }

  /// It takes no part any more; its place in the replica sets is cleared when no packet under way
  /// can put it back.
  private mutating func leave(_ index: Int) {
    let number = servers[index].number
    servers[index].phase = .drained
    servers[index].leftIncarnation = servers[index].incarnation
    servers[index].slotsTask = nil
    servers[index].freeSince = nil
    totals.drains += 1
    notice(.drained(number))
    afterGrace([.forget(number)])
  }

  /// No packet sees the server as living any more.
  mutating func forgetDrained(_ number: UInt8) {
    for entry in entries.inOrder {
      publish(.forgetServer(entry: entry.index, server: number))
    }
  }
}
