internal import Directory
internal import KeyTemperature
internal import Wire

extension ControllerCore {
  /// A snapshot for screens and tests.
  public var state: ControllerState {
    let total = policy.total.rate
    return ControllerState(
      epoch: configuration.epoch, generation: generation, serving: serving,
      takeOver: takeOver, automatic: policy.automatic, rate: total,
      sampleInterval: policy.sampleInterval,
      inTransition: batch?.items.count ?? 0, copies: configuration.copies,
      isOnTwo: isOnTwo, movingSlots: recovery != nil,
      slotMove: move.map {
        SlotMoveState(from: $0.from, to: $0.to, slots: $0.slotCount, messages: $0.progress.sent)
      },
      servers: servers.map { [plan = slotPlan] in serverState($0, plan) },
      keys: entries.inOrder.map { keyState($0) }.sorted {
        $0.rate != $1.rate ? $0.rate > $1.rate : $0.keyHash < $1.keyHash
      },
      totals: totals)
  }

  private func serverState(_ record: ServerRecord, _ plan: SlotPlan) -> ServerState {
    let phase: ServerState.Phase =
      switch record.phase {
      case _ where record.isReturning: .away
      case .unknown: .unknown
      case .admitting, .admitted, .assigning, .ready, .joining: .admitting
      case .alive: record.isDraining ? .draining : .alive
      case .away: .away
      case .lost: .lost
      case .drained: .drained
      }
    return ServerState(
      number: record.number, phase: phase, incarnation: record.incarnation,
      slots: slots.count(of: record.number), slotsGoal: plan.goal(of: record.number) ?? 0,
      backups: slots.backupCount(of: record.number),
      weight: record.isDraining ? 0 : record.slow.weight, roundTrip: record.roundTrip,
      load: record.load, keys: record.totals.keys,
      reads: record.totals.reads, writes: record.totals.writes,
      copies: record.totals.copiesStored, refused: record.totals.refused,
      wrongTags: record.totals.wrongTags,
      storage: !record.isDurable
        ? .memory : record.totals.conditions.contains(.full) ? .full : .durable)
  }

  private func keyState(_ entry: Entry) -> KeyState {
    // Of the requests since its own are counted: rates of different ages do not compare.
    let total = policy.total.value - entry.totalBefore.value
    let mode: KeyState.Mode =
      switch entry.mode {
      case .adding: .adding
      case .hot: .hot
      case .removing: .removing
      }
    let set = entry.reading?.replicaSet ?? 0
    return KeyState(
      keyHash: entry.keyHash, key: entry.key, mode: mode, entry: entry.index, home: entry.home,
      replicas: entry.mode == .adding ? [] : (0..<32).filter { set & bit($0) != 0 },
      version: entry.mode == .adding ? 0 : entry.reading?.completed ?? 0, degree: entry.degree,
      copies: entry.copies, rate: entry.rate, readShare: entry.readShare,
      share: total > 0 ? min(1, (entry.reads.value + entry.writes.value) / total) : 0)
  }
}
