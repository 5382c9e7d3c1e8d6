internal import StoreState

/// When the leases of one object run out, on this replica's clock. It only ever proposes that one
/// has: the log decides, and says no if the lease was renewed in the meantime. So a replica that
/// stood still, or is behind, does no harm.
struct LeaseClock: Sendable {
  private struct Timer: Sendable {
    var lease: UInt64
    var renewals: UInt64
    var dueAt: UInt64
  }

  private var timers: [Timer] = []

  /// When the first runs out; nil: there are none.
  var deadline: UInt64? { timers.lazy.map(\.dueAt).min() }

  /// Follows the state: a lease that is new or renewed has all of its time from now on, as it has
  /// after a restart. `delay`: how much later than its time it is proposed that it has run out.
  mutating func follow(_ leases: [Lease], now: UInt64, delay: UInt64) {
    if leases.isEmpty && timers.isEmpty { return }
    timers = leases.map { lease in
      if let timer = timers.first(where: { $0.lease == lease.id && $0.renewals == lease.renewals })
      {
        return timer
      }
      // A hundredth more, for clocks that run unequally fast.
      return Timer(
        lease: lease.id, renewals: lease.renewals,
        dueAt: now + lease.timeToLive + lease.timeToLive / 100 + delay)
    }
  }

  /// The leases that have run out; each is told again after `again`, as long as it is there.
  mutating func due(_ now: UInt64, again: UInt64) -> [(lease: UInt64, renewals: UInt64)] {
    var due: [(lease: UInt64, renewals: UInt64)] = []
    for index in timers.indices where timers[index].dueAt <= now {
      due.append((timers[index].lease, timers[index].renewals))
      timers[index].dueAt = now + again
    }
    return due
  }
}

extension ObjectCore {
  /// The replica that the last value names comes first, then the others one by one: they would only
  /// be in each other's way.
  mutating func followLeases(_ context: inout ReplicaContext) {
    let isFirst = snapshot.next?.node == context.myself.node
    let delay = isFirst ? 0 : UInt64(context.place + 1) * context.configuration.resend
    leases.follow(snapshot.state.leases, now: context.now, delay: delay)
  }

  mutating func expireLeases(_ context: inout ReplicaContext) {
    for due in leases.due(context.now, again: 8 * context.configuration.resend) {
      let action: Command.Action =
        context.faults.contains(.expiryByClockAlone)
        ? .revoke(lease: due.lease) : .expire(lease: due.lease, renewals: due.renewals)
      queue.append(
        WaitingCommand(
          request: nil, command: Command(action),
          deadline: context.now + context.configuration.patience))
    }
  }
}
