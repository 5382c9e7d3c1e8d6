internal import ControllerCore
internal import Directory
internal import Sockets
internal import Wire

/// The latest promotions with the times of their steps, for those who measure them.
struct PromotionLog {
  /// Older ones are forgotten.
  static let countMax = 4_096

  private(set) var promotions: [ControlPromotion] = []
  /// By entry.
  private var underWay: [UInt32: ControlPromotion] = [:]
  /// The entries of key hashes that are being fenced.
  private var fencing: [UInt64: UInt32] = [:]
  private var last: UInt64 = 0

  /// Sees an effect, right after it was carried out. `asked`: when the promotion of a key that is
  /// under way was asked for.
  mutating func note(_ effect: ControllerEffect, asked: (UInt64) -> UInt64?) {
    switch effect {
    case .publish(.insert(let entry, let hash, let home)):
      let now = MonotonicClock.now
      underWay[entry] = ControlPromotion(
        number: 0, keyHash: hexadecimal(hash), home: home, askedNs: asked(hash) ?? now,
        begunNs: now, fencedNs: 0, hotNs: 0)
      fencing[hash] = entry
    case .publish(.makeHot(let entry, _, _, _, _, _, _)):
      guard var promotion = underWay.removeValue(forKey: entry) else { return }
      last += 1
      promotion.number = last
      promotion.hotNs = MonotonicClock.now
      promotions.append(promotion)
      // In blocks, so that forgetting costs little for each.
      if promotions.count >= 2 * Self.countMax { promotions.removeFirst(Self.countMax) }
    case .publish(.remove(let entry)):
      guard underWay.removeValue(forKey: entry) != nil else { return }
      fencing = fencing.filter { $0.value != entry }
    case .send(let message, _) where message.header.operation == .sync:
      // The first of several.
      guard let entry = fencing.removeValue(forKey: message.header.keyHash) else { return }
      underWay[entry]?.fencedNs = MonotonicClock.now
    default: break
    }
  }
}
