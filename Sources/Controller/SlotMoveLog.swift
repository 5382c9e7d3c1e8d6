internal import ControllerCore
internal import Directory
internal import Sockets
internal import Wire

/// How long moves of slots took, and for how long they kept writes waiting: for those who measure
/// them.
struct SlotMoveLog {
  /// Older ones are forgotten.
  static let countMax = 4_096

  private(set) var moves: [ControlSlotMove] = []
  private var last: UInt64 = 0
  private var begunAt: UInt64 = 0
  private var frozenAt: UInt64 = 0
  /// Of all moves so far, nanoseconds.
  private(set) var frozenMax: UInt64 = 0

  /// Sees an effect, right after it was carried out.
  mutating func note(_ effect: ControllerEffect, isUnderWay: Bool) {
    switch effect {
    case .send(let message, _) where message.header.operation == .slotsMove:
      if begunAt == 0 { begunAt = MonotonicClock.now }
    case .publish(.setSlots(_, _, _, _, true)):
      // Of the first of several rows.
      if isUnderWay, frozenAt == 0 { frozenAt = MonotonicClock.now }
    case .publish(.setSlots(_, _, _, _, false)):
      // Of the last of several rows, which are published one right after the other.
      if frozenAt > 0 { frozenMax = max(frozenMax, MonotonicClock.now - frozenAt) }
    case .notice(.slotMoveFinished(let from, let to, let slots, let messages)):
      let now = MonotonicClock.now
      last += 1
      moves.append(
        ControlSlotMove(
          number: last, from: from, to: to, slots: slots, messages: messages, begunNs: begunAt,
          frozenNs: frozenAt, doneNs: now))
      (begunAt, frozenAt) = (0, 0)
      // In blocks, so that forgetting costs little for each.
      if moves.count >= 2 * Self.countMax { moves.removeFirst(Self.countMax) }
    case .notice(.slotMoveGivenUp), .notice(.backupFilled), .notice(.serverLost):
      (begunAt, frozenAt) = (0, 0)
    default: break
    }
  }
}
