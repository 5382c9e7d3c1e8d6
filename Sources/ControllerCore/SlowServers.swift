/// Whether one server is so much slower than the others that load has to move away from it, and when
/// it may come back: by halving and doubling its share, each with a time to wait, so that a server
/// that is slow because of its load keeps as much of it as it can bear.
struct SlowWatch: Sendable, Equatable {
  /// Below this a share is not worth having.
  private static let weightLeast = 1.0 / 8
  private static let relapsesMax: UInt64 = 4

  /// The part of a full share of slots that the server is to have; 1: it is not slow.
  private(set) var weight = 1.0
  /// Since when it is bad or good without a break; 0: it is not.
  private var badSince: UInt64 = 0
  private var goodSince: UInt64 = 0
  private var lastRise: UInt64 = 0
  private var relapses: UInt64 = 0

  enum Change: Equatable {
    case slower
    case faster
  }

  /// What is known of a server at one moment.
  struct Measure: Equatable {
    /// Of a probe, or since one that is not answered yet. Nanoseconds.
    var roundTrip: UInt64
    /// Requests that wait there.
    var load: Double
  }

  /// Takes in what is known now; `usual`: of the other servers. `maySlow`: not too many are slow.
  mutating func take(
    _ measure: Measure, usual: Measure, maySlow: Bool, now: UInt64, _ policy: SlowPolicy
  ) -> Change? {
    let roundTripLimit = max(Double(policy.roundTrip), policy.ratio * Double(usual.roundTrip))
    let loadLimit = max(policy.load, policy.ratio * usual.load)
    let isBad = Double(measure.roundTrip) >= roundTripLimit || measure.load >= loadLimit
    let isGood =
      Double(measure.roundTrip) < roundTripLimit / 2 && measure.load < loadLimit / 2
    badSince = isBad ? (badSince == 0 ? now : badSince) : 0
    goodSince = isGood ? (goodSince == 0 ? now : goodSince) : 0
    if isBad, maySlow, weight > 0, now >= badSince + policy.after {
      fall(now, policy)
      return .slower
    }
    if isGood, weight < 1, now >= goodSince + policy.recovery << relapses {
      weight = weight == 0 ? Self.weightLeast : weight * 2
      goodSince = now
      lastRise = now
      return .faster
    }
    return nil
  }

  private mutating func fall(_ now: UInt64, _ policy: SlowPolicy) {
    // It had been given more too early.
    let isRelapse = lastRise > 0 && now < lastRise + (6 * policy.recovery) << relapses
    relapses = isRelapse ? min(relapses + 1, Self.relapsesMax) : 0
    weight = weight <= Self.weightLeast ? 0 : weight / 2
    badSince = now
  }
}

extension ControllerCore {
  /// How often it is looked at who is slow.
  private static let slowInterval: UInt64 = 50_000_000

  /// Looks at all living servers; slots and write targets follow by themselves.
  mutating func watchSlowServers() {
    let policy = configuration.policy.slow
    guard serving, now >= nextSlowWatch else { return }
    nextSlowWatch = now + Self.slowInterval
    guard policy.isOn, self.policy.automatic else {
      guard servers.contains(where: { $0.slow.weight < 1 }) else { return }
      for index in servers.indices { servers[index].slow = SlowWatch() }
      publishSpared()
      return
    }
    let watched = servers.indices.filter { servers[$0].phase == .alive && !servers[$0].isDraining }
    guard watched.count >= 3 else { return }
    let measures = watched.map { measure(of: servers[$0]) }
    for (place, index) in watched.enumerated() {
      let others = measures.indices.filter { $0 != place }.map { measures[$0] }
      // No more than a quarter of the rack: the others have to carry what those do not.
      let slow = watched.count { servers[$0].slow.weight < 1 }
      let maySlow = servers[index].slow.weight < 1 || slow < max(1, watched.count / 4)
      let change = servers[index].slow.take(
        measures[place], usual: Self.median(others), maySlow: maySlow, now: now, policy)
      let (number, weight) = (servers[index].number, servers[index].slow.weight)
      switch change {
      case .slower?:
        totals.slowServers += 1
        notice(
          .serverSlow(
            number, roundTrip: Int(measures[place].roundTrip / 1_000_000),
            load: Int(measures[place].load), weight: weight))
      case .faster?: notice(.serverRecovered(number, weight: weight))
      case nil: continue
      }
      publishSpared()
    }
  }

  private func measure(of record: ServerRecord) -> SlowWatch.Measure {
    let waiting = record.probeSent.map { now > $0.time ? now - $0.time : 0 } ?? 0
    return SlowWatch.Measure(
      roundTrip: max(record.roundTrip, waiting), load: record.smoothLoad)
  }

  private static func median(_ measures: [SlowWatch.Measure]) -> SlowWatch.Measure {
    let middle = measures.count / 2
    return SlowWatch.Measure(
      roundTrip: measures.map(\.roundTrip).sorted()[middle],
      load: measures.map(\.load).sorted()[middle])
  }
}
