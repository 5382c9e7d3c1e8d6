internal import Directory
internal import Wire

/// Some slots on their way from one living server to another (docs/protocol.md §8). What they hold is
/// copied while it is in use; only then are writes frozen, and what has changed meanwhile follows.
struct SlotMove: Sendable {
  enum Stage: Sendable {
    /// The new home drops what it has left over of these slots.
    case receiving
    /// The old home sends what it stores.
    case sending
    /// Little is left to send: as soon as no transition runs, writes are frozen.
    case ready
    /// Writes are frozen and fenced; the old home sends the rest.
    case fencing
    /// The new home has all and is told that the slots are its own.
    case taking
    /// The directory knows the new home; the old one is told.
    case leaving
    case cancelling
  }

  /// A message that is sent until it is answered.
  struct Order: Sendable {
    var message: Message
    var nextSend: UInt64

    var sequence: UInt64 { message.header.sequence }
  }

  /// The generation that it began with.
  let number: UInt64
  let from: UInt8
  let to: UInt8
  let runs: [SlotRun]
  var stage = Stage.receiving
  var orders: [UInt8: Order] = [:]
  /// When the next order is due, if none is under way.
  var nextOrder: UInt64 = 0
  var fence: UInt64 = 0
  var deadline: UInt64 = 0
  /// The latest answer of the old home.
  var progress: MoveAckBody
  /// Answers in a row that showed no progress.
  var idle = 0
  /// What was last sent by an order up to `resendTo` is sent again; `mark` is the next such limit.
  var resendTo: UInt64 = 0
  var mark: UInt64 = 0
  var nextMark: UInt64 = 0

  /// The old home knows of it, and forgets nothing of these slots.
  var isBegun = false
  var isFrozen: Bool { stage == .fencing || stage == .taking }
  var slotCount: Int { runs.reduce(0) { $0 + Int($1.count) } }
}

extension ControllerCore {
  /// Messages that one order allows to send.
  private static let creditMax = 64.0
  /// Messages that may be left to send when writes are frozen; more if a move takes long, since
  /// then keys change as fast as they are sent.
  private static let restMax: UInt32 = 64
  /// Runs of slots in one move.
  private static let runsMax = 16
  /// Answers without progress after which the next order waits for a tick.
  private static let idleMax = 32

  /// Slots are on their way from one living server to another.
  public var isSlotMoveUnderWay: Bool { move != nil }

  // MARK: Who is to have slots

  /// Living servers that take part in all that is new: hot writes, copies. None only if none lives.
  var receivers: [UInt8] { living.filter { receiverMask & bit($0) != 0 } }
  var receiverMask: UInt32 { alive & ~spared == 0 ? alive : alive & ~spared }

  /// Living servers that may be given slots; never none, if any lives.
  var heirs: [UInt8] {
    let all = servers.filter { $0.phase == .alive }
    let wanted = all.filter { !$0.isDraining }
    return (wanted.isEmpty ? all : wanted).map(\.number)
  }

  var slotPlan: SlotPlan {
    SlotPlan(
      servers.filter { record in
        // Who has no room keeps what it has.
        record.phase == .alive && (record.isDraining || !record.totals.conditions.contains(.full))
      }.map { record in
        SlotPlan.Member(
          number: record.number, slots: slots.count(of: record.number),
          weight: record.isDraining ? 0 : record.slow.weight)
      })
  }

  /// Copies of hot keys go to receivers only.
  mutating func publishSpared() {
    let others = servers.filter { record in
      record.phase == .alive && (record.isDraining || record.slow.weight < 1)
    }.reduce(UInt32(0)) { $0 | bit($1.number) }
    let out = servers.filter(\.isDraining).reduce(UInt32(0)) { $0 | bit($1.number) }
    if out != drained {
      drained = out
      publish(.setDrained(out))
    }
    // All of them are as good as none.
    let mask = others & alive == alive ? 0 : others
    guard mask != spared else { return }
    spared = mask
    publish(.setSpared(mask))
  }

  // MARK: Beginning

  /// Begins the next move, if slots are elsewhere than they should be.
  mutating func beginMove() {
    guard move == nil, now >= nextMove, configuration.policy.rebalances || isAnyDraining else {
      return
    }
    let plan = slotPlan
    guard plan.isUneven || isBalancing else { return }
    // What waits for a transition has home servers that may lack its value.
    guard !entries.inOrder.contains(where: { isOutdated($0) }), batch == nil else { return }
    guard let next = plan.next(slotsMax: { slotsPerMove($0) }) else {
      isBalancing = false
      return
    }
    guard !servers.contains(where: { $0.slotsTask != nil && $0.phase == .alive }) else { return }
    var runs = slots.lastRuns(of: next.from, count: next.slots, runsMax: Self.runsMax)
    var hashes = entryHashes(in: runs)
    while !MoveBody.fits(runs: runs.count, keyHashes: hashes.count), let last = runs.last,
      runs.count > 1 || last.count > 1
    {
      runs[runs.count - 1].count /= 2
      if runs[runs.count - 1].count == 0 { runs.removeLast() }
      hashes = entryHashes(in: runs)
    }
    guard !runs.isEmpty, MoveBody.fits(runs: runs.count, keyHashes: hashes.count) else {
      // Hundreds of hot keys in one slot: some will be cold later.
      nextMove = now + configuration.times.rebalance
      return
    }
    isBalancing = true
    publish(.noteMoving(bit(next.from) | bit(next.to)))
    let number = raiseGeneration()
    move = SlotMove(
      number: number, from: next.from, to: next.to, runs: runs,
      progress: MoveAckBody(move: number))
    order(.receive)
  }

  /// Slots are to move.
  var isMoveDue: Bool {
    guard configuration.policy.rebalances || isAnyDraining else { return false }
    let plan = slotPlan
    return plan.isUneven || isBalancing && plan.next(slotsMax: { _ in 1 }) != nil
  }

  private var isAnyDraining: Bool {
    servers.contains { $0.phase == .alive && $0.isDraining }
  }

  /// So many that about the wanted number of keys move.
  private func slotsPerMove(_ number: UInt8) -> Int {
    let policy = configuration.policy
    guard let record = servers.first(where: { $0.number == number }) else { return 1 }
    let keysPerSlot = Double(record.totals.keys) / Double(max(1, slots.count(of: number)))
    guard keysPerSlot > 0 else { return policy.movedSlotsMax }
    return min(policy.movedSlotsMax, max(1, Int(Double(policy.movedKeys) / keysPerSlot)))
  }

  private func entryHashes(in runs: [SlotRun]) -> [UInt64] {
    entries.hashes.filter { Self.contains(runs, $0) }
  }

  private static func contains(_ runs: [SlotRun], _ hash: UInt64) -> Bool {
    let slot = KeyHash.slot(hash)
    return runs.contains { Int($0.first) <= slot && slot < Int($0.first) + Int($0.count) }
  }

  // MARK: Orders

  /// Sends an order of the present stage; a new one takes the place of what was not answered.
  private mutating func order(_ step: MoveStep) {
    guard let move else { return }
    var body = MoveBody(step, move: move.number, peer: move.to, runs: move.runs)
    var receiver = move.from
    switch step {
    case .receive:
      (receiver, body.peer) = (move.to, move.from)
      body.keyHashes = entryHashes(in: move.runs)
      // Keys that became hot since then are known by their fences.
      if !MoveBody.fits(runs: body.runs.count, keyHashes: body.keyHashes.count) {
        body.keyHashes = []
      }
    case .send, .fence:
      body.resendTo = move.resendTo
      let credit = step == .fence ? Self.creditMax : min(Self.creditMax, moveCredit)
      body.credit = UInt16(max(0, credit))
    case .take:
      (receiver, body.peer) = (move.to, move.from)
      body.runs = slots.runs(in: move.runs, max: MoveBody.runsMax)
      body.evictedBirth = move.progress.evictedBirth
      body.lossGeneration = move.progress.lossGeneration
    case .leave: break
    case .cancel:
      send(step, body, to: move.from)
      body.peer = move.from
      receiver = move.to
    }
    send(step, body, to: receiver)
  }

  private mutating func send(_ step: MoveStep, _ body: MoveBody, to receiver: UInt8) {
    guard let move else { return }
    let generation = step == .fence || step == .take ? move.fence : generation
    var header = header(.slotsMove, to: receiver, generation: generation)
    header.sequence = newSequence()
    let message = Message(header, value: body.encoded())
    send(message)
    let order = SlotMove.Order(message: message, nextSend: now + resendTime(receiver))
    self.move?.orders[receiver] = order
  }

  /// Longer than a slow server takes.
  private func resendTime(_ number: UInt8) -> UInt64 {
    let roundTrip = servers.first { $0.number == number }?.roundTrip ?? 0
    return configuration.times.resend + min(2 * roundTrip, configuration.times.serverTimeout / 4)
  }

  /// The order that the present stage repeats.
  private func step(of stage: SlotMove.Stage) -> MoveStep {
    switch stage {
    case .receiving: .receive
    case .sending, .ready: .send
    case .fencing: .fence
    case .taking: .take
    case .leaving: .leave
    case .cancelling: .cancel
    }
  }

  // MARK: Answers

  mutating func moveAcknowledged(_ server: UInt8, _ message: Message) {
    guard let move, move.orders[server]?.sequence == message.header.sequence,
      message.header.status == .ok, let body = try? MoveAckBody(decoding: message.value),
      body.move == move.number
    else { return }
    self.move?.orders[server] = nil
    switch move.stage {
    case .receiving:
      if body.isScanned { self.move?.stage = .sending }
      goOn(isProgress: true)
    case .sending, .ready:
      self.move?.isBegun = true
      moveCredit -= Double(body.sent - min(body.sent, move.progress.sent))
      takeProgress(body)
      if body.isScanned, body.waiting <= restMax(move) {
        self.move?.stage = .ready
        beginWhatWaits()
      } else {
        self.move?.stage = .sending
      }
      if self.move?.orders.isEmpty == true {
        goOn(isProgress: body.sent > move.progress.sent || !body.isScanned)
      }
    case .fencing:
      takeProgress(body)
      if body.isScanned, body.waiting == 0 {
        takeLosses(body.losses)
        self.move?.stage = .taking
        goOn(isProgress: true)
      } else {
        goOn(isProgress: body.waiting < move.progress.waiting)
      }
    case .taking: finishFreeze()
    case .leaving: finishMove()
    case .cancelling: if self.move?.orders.isEmpty == true { endMove() }
    }
  }

  private mutating func takeProgress(_ body: MoveAckBody) {
    // A server may say anything.
    totals.slotMessages &+= body.sent - min(body.sent, move?.progress.sent ?? 0)
    move?.progress = body
  }

  /// What the old home has lost by damage to its disk is lost at the new home too.
  private mutating func takeLosses(_ losses: [SlotRun]) {
    guard let move else { return }
    for loss in losses where move.runs.contains(where: { $0.contains(loss) }) {
      slots.raiseLoss(loss)
      publish(
        .noteSlotLoss(first: loss.first, count: loss.count, generation: loss.lossGeneration))
    }
  }

  /// The next order at once, unless the last ones have brought nothing or too much is sent already.
  private mutating func goOn(isProgress: Bool) {
    guard let move else { return }
    let idle = isProgress ? 0 : move.idle + 1
    self.move?.idle = idle
    let isPaced = (move.stage == .sending && moveCredit < 1) || move.stage == .ready
    if isPaced || idle > Self.idleMax { return }
    order(step(of: move.stage))
  }

  /// A move under many writes never has nothing left: it may take longer to freeze the longer it
  /// has been copying.
  private func restMax(_ move: SlotMove) -> UInt32 {
    let rounds = move.progress.sent / 65_536
    return Self.restMax << UInt32(min(6, rounds))
  }

  // MARK: The frozen time

  /// Freezes the writes of the moving slots: the first and the second step of a transition, and like
  /// one it has no other beside it. True: it has begun.
  mutating func freezeMove() -> Bool {
    guard let move, move.stage == .ready else { return false }
    self.move?.stage = .fencing
    let deadline = now + configuration.times.slotFreeze + slowAllowance
    self.move?.deadline = deadline
    if !faults.contains(.slotsNotFrozen) {
      for run in move.runs {
        publish(.setSlots(first: run.first, count: run.count, home: move.from, moving: true))
      }
    }
    let fence = raiseGeneration()
    self.move?.fence = fence
    order(.fence)
    return true
  }

  /// The new home has everything and answers for the slots: generation, then table.
  private mutating func finishFreeze() {
    guard let move else { return }
    _ = raiseGeneration()
    slots.move(move.runs, to: move.to)
    for run in move.runs {
      publish(.setSlots(first: run.first, count: run.count, home: move.to, moving: false))
    }
    for hash in entryHashes(in: move.runs) { entries.update(hash) { $0.home = move.to } }
    totals.slotMoves += 1
    totals.slotsMoved += move.slotCount
    notice(
      .slotMoveFinished(
        from: move.from, to: move.to, slots: move.slotCount, messages: move.progress.sent))
    self.move?.stage = .leaving
    order(.leave)
    beginWhatWaits()
  }

  private mutating func finishMove() {
    endMove()
    beginWhatWaits()
  }

  private mutating func endMove() {
    move = nil
    publish(.noteMoving(0))
  }

  // MARK: Time

  /// Repeats what is unanswered; gives up what keeps writes waiting too long.
  mutating func driveMove(elapsed: UInt64) {
    let rate = configuration.policy.movedKeysPerSecond
    moveCredit = min(
      max(Self.creditMax, rate / 20), moveCredit + rate * Double(elapsed) / 1e9)
    guard let move else { return }
    if now >= move.nextMark {
      self.move?.resendTo = move.mark
      self.move?.mark = lastSequence
      self.move?.nextMark = now + (move.isFrozen ? 0 : configuration.times.resend)
    }
    // Once the new home may take the slots for its own there is no way back but a loss.
    if move.stage == .fencing, now >= move.deadline {
      giveUpMove()
      return
    }
    if move.orders.isEmpty {
      order(step(of: move.stage))
    }
    for (server, order) in move.orders.sorted(by: { $0.key < $1.key }) where now >= order.nextSend {
      var order = order
      // A floor may have risen meanwhile. Not while slots are frozen: the fence is what it is.
      if !move.isFrozen { order.message.header.generation = generation }
      order.nextSend = now + resendTime(server)
      send(order.message)
      self.move?.orders[server] = order
    }
  }

  /// Writes go on at the old home, whose fence lets everything pass that knows the new generation.
  private mutating func giveUpMove() {
    guard let move else { return }
    thaw(move)
    totals.slotMovesGivenUp += 1
    notice(.slotMoveGivenUp(from: move.from, to: move.to, slots: move.slotCount))
    nextMove = now + configuration.times.rebalance
    cancelMove()
  }

  private mutating func thaw(_ move: SlotMove) {
    _ = raiseGeneration()
    for run in move.runs {
      publish(.setSlots(first: run.first, count: run.count, home: move.from, moving: false))
    }
  }

  private mutating func cancelMove() {
    self.move?.orders = [:]
    self.move?.stage = .cancelling
    order(.cancel)
  }

  /// What is asked for has changed: a move that has not got to the frozen time is not needed.
  mutating func reconsiderMove() {
    guard let move, move.stage == .receiving || move.stage == .sending || move.stage == .ready
    else { return }
    let plan = slotPlan
    let excess = slots.count(of: move.from) - (plan.goal(of: move.from) ?? 0)
    let lack = (plan.goal(of: move.to) ?? 0) - slots.count(of: move.to)
    if excess <= 0 || lack <= 0 { cancelMove() }
  }

  /// A server of the move is away: what it knows of the move is not what it will know.
  mutating func abandonMove(with number: UInt8) {
    guard let move, move.from == number || move.to == number else { return }
    self.move = nil
    nextMove = now + configuration.times.rebalance
    if move.isFrozen { slots.freeze(move.runs) }
    if move.stage != .leaving { totals.slotMovesGivenUp += 1 }
    // The fence at the old home lets everything pass that knows of this.
    _ = raiseGeneration()
    settleMove()
  }

  /// Servers are lost: the recovery tells all others which slots are theirs. What was frozen goes on
  /// at its old home, if that lives: at once, or, if the new home may have taken it, when all know
  /// better; a directory that began a new epoch meanwhile would believe whoever was told last.
  mutating func abortMove() {
    guard let move else { return }
    self.move = nil
    nextMove = now + configuration.times.rebalance
    let oldHomeLives = servers.contains { $0.number == move.from && $0.phase == .alive }
    if move.stage == .fencing, oldHomeLives { thaw(move) }
    if move.stage == .taking, oldHomeLives { slots.freeze(move.runs) }
    if move.stage != .leaving { totals.slotMovesGivenUp += 1 }
  }
}
