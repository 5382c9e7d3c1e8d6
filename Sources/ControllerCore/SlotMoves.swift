internal import Directory
internal import Wire

/// Some slots on their way from one living server to another (docs/protocol.md §8). What they hold is
/// copied while it is in use; only then are writes frozen, and what has changed meanwhile follows.
struct SlotMove: Sendable {
  /// What becomes of whom (docs/protocol.md §11).
  enum Kind: Sendable, Equatable {
    /// The new server becomes home, the old home leaves. A backup stays what it is, unless it is the
    /// new home: then the slots have none any more.
    case home
    /// The backup becomes home, and the home becomes backup.
    case exchange
    /// The new server becomes backup; the one before, if there was one, leaves.
    case backup(before: UInt8?)
  }
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
    /// Whoever goes on with these slots as something else is told, and whoever has to leave them: it
    /// must not claim them any more if the directory is lost, and the new server too.
    case assigning
    /// The directory knows the new servers; the one that has nothing to do with the slots is told.
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
  let kind: Kind
  /// The home, which has what moves.
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
  var isFrozen: Bool { stage == .fencing || stage == .taking || stage == .assigning }
  /// Who is to leave when the directory steers nothing there any more.
  var leaver: UInt8? {
    switch kind {
    case .home: from
    case .exchange: nil
    case .backup(let before): before
    }
  }
  func concerns(_ server: UInt8) -> Bool { server == from || server == to || server == leaver }
  var slotCount: Int { runs.reduce(0) { $0 + Int($1.count) } }
}

extension ControllerCore {
  /// Messages that one order allows to send.
  private static let creditMax = 64.0
  /// Messages that may be left to send when writes are frozen; more if a move takes long, since
  /// then keys change as fast as they are sent.
  private static let restMax: UInt32 = 64
  /// Answers without progress after which the next order waits for a tick.
  private static let idleMax = 32

  /// Slots are on their way from one living server to another.
  public var isSlotMoveUnderWay: Bool { move != nil }

  // MARK: Beginning

  /// Begins the next move, if slots are elsewhere than they should be.
  mutating func beginMove() {
    guard move == nil else { return }
    // What waits for a transition has home servers that may lack its value.
    guard !entries.inOrder.contains(where: { isOutdated($0) }), batch == nil else { return }
    let isTold = servers.allSatisfy {
      $0.phase != .alive
        || $0.slotsTask == nil && (configuration.copies < 2 || $0.copiesTold == copiesInForce)
    }
    guard isTold else { return }
    guard let next = nextMoveWanted() else { return }
    var runs = next.runs
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
      nextRefill = nextMove
      return
    }
    let number = raiseGeneration()
    let move = SlotMove(
      number: number, kind: next.kind, from: next.from, to: next.to, runs: runs,
      progress: MoveAckBody(move: number))
    publish(.noteMoving(bit(next.from) | bit(next.to) | (move.leaver.map(bit) ?? 0)))
    self.move = move
    order(.receive)
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
      for index in body.runs.indices {
        switch move.kind {
        case .home where body.runs[index].backup == move.to: body.runs[index].backup = nil
        case .home: break
        case .exchange: body.runs[index].backup = move.from
        case .backup: (body.runs[index].role, body.runs[index].backup) = (.backup, nil)
        }
      }
      body.evictedBirth = move.progress.evictedBirth
      body.lossGeneration = move.progress.lossGeneration
    case .assign:
      body.runs = slots.runs(in: move.runs, max: MoveBody.runsMax)
      assign(&body, move)
      return
    case .leave: receiver = move.leaver ?? move.from
    case .cancel:
      send(step, body, to: move.from)
      body.peer = move.from
      receiver = move.to
    }
    send(step, body, to: receiver)
  }

  /// What the home is from now on; and that another server leaves.
  private mutating func assign(_ body: inout MoveBody, _ move: SlotMove) {
    for index in body.runs.indices {
      body.runs[index].role = move.kind == .exchange ? .backup : .home
      body.runs[index].backup = move.kind == .exchange ? nil : move.to
    }
    if move.kind != .home { send(.assign, body, to: move.from) }
    guard let leaver = move.leaver else { return }
    for index in body.runs.indices {
      (body.runs[index].role, body.runs[index].backup) = (.leaving, nil)
    }
    send(.assign, body, to: leaver)
  }

  private mutating func send(_ step: MoveStep, _ body: MoveBody, to receiver: UInt8) {
    guard let move else { return }
    let generation = step == .fence || step == .take || step == .assign ? move.fence : generation
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
    case .assigning: .assign
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
      if body.isScanned, case .backup = move.kind, faults.contains(.backupBelievedEmpty) {
        self.move?.fence = generation
        self.move?.stage = .taking
      }
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
    case .taking where faults.contains(.homeAnswersAlone): finishFreeze()
    case .taking:
      self.move?.stage = .assigning
      goOn(isProgress: true)
    case .assigning: if self.move?.orders.isEmpty == true { finishFreeze() }
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

  /// These slots as the table has them.
  mutating func publishSlots(_ runs: [SlotRun], moving: Bool) {
    for row in slots.rows(in: runs) { publish(row, moving: moving) }
  }

  mutating func publish(_ row: SlotTable.Row, moving: Bool) {
    publish(
      .setSlots(
        first: row.run.first, count: row.run.count, home: row.home, reader: row.reader,
        moving: moving))
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
      publishSlots(move.runs, moving: true)
    }
    let fence = raiseGeneration()
    self.move?.fence = fence
    order(.fence)
    return true
  }

  /// The new server has everything and answers for the slots: generation, then table.
  private mutating func finishFreeze() {
    guard let move else { return }
    _ = raiseGeneration()
    switch move.kind {
    case .home: slots.move(move.runs, to: move.to)
    case .exchange: slots.exchange(move.runs)
    case .backup: slots.setBackup(of: move.runs, to: move.to)
    }
    publishSlots(move.runs, moving: false)
    if case .backup = move.kind {
      totals.backupMoves += 1
      notice(
        .backupFilled(
          home: move.from, backup: move.to, slots: move.slotCount,
          messages: move.progress.sent))
    } else {
      for hash in entryHashes(in: move.runs) { entries.update(hash) { $0.home = move.to } }
      totals.slotMoves += 1
      totals.slotsMoved += move.slotCount
      notice(
        .slotMoveFinished(
          from: move.from, to: move.to, slots: move.slotCount, messages: move.progress.sent))
    }
    if move.leaver == nil {
      endMove()
    } else {
      self.move?.stage = .leaving
      order(.leave)
    }
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
    (nextMove, nextRefill) = (now + configuration.times.rebalance, now + configuration.times.again)
    cancelMove()
  }

  private mutating func thaw(_ move: SlotMove) {
    _ = raiseGeneration()
    publishSlots(move.runs, moving: false)
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
    if case .backup(let before) = move.kind {
      // Whoever is to go is no backup; whoever was to go may be to stay.
      if isDraining(move.to) || before.map({ !isDraining($0) }) ?? false { cancelMove() }
      return
    }
    let plan = slotPlan
    let excess = slots.count(of: move.from) - (plan.goal(of: move.from) ?? 0)
    let lack = (plan.goal(of: move.to) ?? 0) - slots.count(of: move.to)
    if excess <= 0 || lack <= 0 { cancelMove() }
  }

  /// A server of the move is away: what it knows of the move is not what it will know.
  mutating func abandonMove(with number: UInt8) {
    guard let move, move.concerns(number) else { return }
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
    if move.stage == .taking || move.stage == .assigning, oldHomeLives { slots.freeze(move.runs) }
    if move.stage != .leaving { totals.slotMovesGivenUp += 1 }
  }
}
