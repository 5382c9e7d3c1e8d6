internal import KeyTemperature
internal import Wire

/// What the policy remembers: rates, and when it may do what.
struct PolicyState: Sendable {
  /// Seconds: of the rates that rank keys, and of those that notice a sudden change.
  static let slowTime = 2.0
  private static let fastTime = 0.1
  /// Fewer samples than this prove nothing.
  private static let samplesLeast = 8.0

  private var configuration: PolicyConfiguration
  var automatic: Bool
  /// The keys that are not hot.
  private(set) var keys: HotKeys
  /// Requests of all keys: sampled ones of cold keys, exact ones of hot keys.
  private(set) var total = DecayingCounter(timeConstant: slowTime)
  private(set) var totalFast = DecayingCounter(timeConstant: fastTime)
  private(set) var sampleInterval: UInt32 = 1
  private var samples = DecayingCounter(timeConstant: 0.2)
  private var lastAdapted: UInt64 = 0
  private var last: UInt64 = 0
  /// Keys that left the directory lately, and until when they are left alone.
  private var resting: [UInt64: UInt64] = [:]
  private var moves: Double
  private var nextDecision: UInt64 = 0
  private var random: UInt64
  /// A sample has made a key one that is promoted without waiting, since this was last asked.
  private var hasUrgent = false
  /// The fast count from which a key is; as of the last moment that time passed.
  private var urgentCount = Double.infinity

  init(_ configuration: PolicyConfiguration, seed: UInt64) {
    self.configuration = configuration
    automatic = configuration.automatic
    keys = HotKeys(
      capacity: configuration.watchedKeys, slowTime: Self.slowTime, fastTime: Self.fastTime)
    moves = configuration.movesBurst
    random = seed
  }

  /// Other settings from now on. What a command has said of `automatic` holds until the settings say
  /// something new of it. With another number of watched keys, rates are learnt anew.
  mutating func reconfigure(_ new: PolicyConfiguration) {
    if new.automatic != configuration.automatic { automatic = new.automatic }
    if new.watchedKeys != configuration.watchedKeys {
      keys = HotKeys(
        capacity: new.watchedKeys, slowTime: Self.slowTime, fastTime: Self.fastTime)
    }
    moves = min(moves, new.movesBurst)
    configuration = new
  }

  mutating func sample(
    _ hash: UInt64, key: [UInt8], isRead: Bool, weight: Double, isHot: Bool
  ) {
    samples.add(1)
    // Requests for hot keys are counted exactly, by the directory.
    guard !isHot else { return }
    let (fast, samples) = keys.add(hash, key: key, weight: weight, isRead: isRead)
    if fast >= urgentCount, samples >= Self.samplesLeast { hasUrgent = true }
    count(weight)
  }

  /// Whether a key may have become urgent since the last call.
  mutating func takeUrgent() -> Bool {
    defer { hasUrgent = false }
    return hasUrgent
  }

  mutating func count(_ requests: Double) {
    total.add(requests)
    totalFast.add(requests)
  }

  /// Lets time pass; `servers` live. Returns the sample interval if it changes: so that about so many samples are
  /// taken per second as the configuration asks for, at most.
  mutating func advance(to now: UInt64, servers: Int) -> UInt32? {
    let seconds = Double(now - (last == 0 ? now : last)) / 1e9
    last = now
    keys.advance(by: seconds)
    total.advance(by: seconds)
    totalFast.advance(by: seconds)
    samples.advance(by: seconds)
    moves = min(configuration.movesBurst, moves + seconds * configuration.movesPerSecond)
    urgentCount = max(
      configuration.urgentShare * totalFast.value / Double(max(servers, 1)),
      configuration.minimumRate * Self.fastTime)
    guard now >= lastAdapted + 100_000_000 else { return nil }
    let limit = configuration.samplesPerSecond
    var interval = sampleInterval
    if samples.rate > limit {
      var rate = samples.rate
      while rate > limit, interval < 1 << 20 {
        interval *= 2
        rate /= 2
      }
    } else if samples.rate < limit / 4, interval > 1 {
      interval /= 2
    }
    lastAdapted = now
    guard interval != sampleInterval else { return nil }
    sampleInterval = interval
    samples = DecayingCounter(timeConstant: samples.timeConstant)
    return interval
  }

  /// Whether it is time to decide. The moments are jittered, so that no load can keep step.
  mutating func isTimeToDecide(_ now: UInt64) -> Bool {
    guard now >= nextDecision else { return false }
    nextDecision = now + configuration.interval + nextRandom() % (configuration.interval / 2 + 1)
    for hash in resting.keys where (resting[hash] ?? 0) <= now { resting[hash] = nil }
    return true
  }

  /// Takes one move from the budget, if there is one. Demotions leave half of it alone: they can
  /// wait, and a load that has just changed needs promotions.
  mutating func takeMove(_ kind: TransitionKind) -> Bool {
    let least = kind == .demote ? max(1, configuration.movesBurst / 2) : 1
    guard moves >= least else { return false }
    moves -= 1
    return true
  }

  mutating func wasPromoted(_ hash: UInt64) { keys.remove(hash) }

  mutating func wasDemoted(_ hash: UInt64, now: UInt64) {
    resting[hash] = now + configuration.minimumStay
  }

  func isResting(_ hash: UInt64) -> Bool { resting[hash] != nil }

  /// The watched keys that are worth promoting when `servers` servers live, hottest first.
  func candidates(servers: Int) -> [HotKeys.Estimate] {
    guard total.value > 0, servers > 1 else { return [] }
    let slow = configuration.promoteShare * total.value / Double(servers)
    return keys.above(slow: slow, fast: urgentCount).filter { key in
      guard !isResting(key.keyHash) else { return false }
      let isSteady =
        key.slow >= slow && key.slowSamples >= Self.samplesLeast
        && rate(of: key) >= configuration.minimumRate
      return isSteady || (key.fast >= urgentCount && key.fastSamples >= Self.samplesLeast)
    }
  }

  /// Requests per second of a watched key.
  func rate(of key: HotKeys.Estimate) -> Double {
    max(total.value > 0 ? key.slow * total.rate / total.value : 0, key.fast / Self.fastTime)
  }

  private mutating func nextRandom() -> UInt64 {
    // splitmix64 (Steele, Lea, Flood, OOPSLA 2014)
    random &+= 0x9e37_79b9_7f4a_7c15
    var x = random
    x = (x ^ (x >> 30)) &* 0xbf58_476d_1ce4_e5b9
    x = (x ^ (x >> 27)) &* 0x94d0_49bb_1331_11eb
    return x ^ (x >> 31)
  }
}

/// How many servers are to hold a key.
public enum Degree {
  /// Copies worth making of each newest version, beside the server that has it.
  ///
  /// A write collapses the replica set to one server and each copy costs a server's time, so
  /// copies pay by the reads between two writes, R = reads / writes: 0.8 √R gives none for a key
  /// that is mostly written, about 3 with 95 % reads and 8 with 99 %; a key that is only read is
  /// wanted everywhere. A key with little load does not need as many: two holders for each
  /// server's worth of requests keep the choice between servers free.
  ///
  /// `rate` and `fairRate` (what one server would carry if all were even) in the same unit.
  public static func copies(readShare: Double, rate: Double, fairRate: Double, servers: Int) -> Int
  {
    guard servers > 1, rate > 0 else { return 0 }
    let others = servers - 1
    let writes = 1 - min(1, max(0, readShare))
    guard writes > 0.0005 else { return others }
    let worth = Int(0.8 * (readShare / writes).squareRoot())
    let need = fairRate > 0 ? Int((2 * rate / fairRate).rounded(.up)) : others
    return max(0, min(worth, max(1, need), others))
  }
}
