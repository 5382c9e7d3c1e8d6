/// What a link does to datagrams. Probabilities are 0...1, times in nanoseconds.
public struct LinkConditions: Sendable, Equatable {
  /// Every datagram takes so long; a wide range reorders.
  public var delay: ClosedRange<UInt64>
  public var loss = 0.0
  public var duplication = 0.0
  /// Some datagrams, and half of the second copies of duplicates, are held back for much longer.
  public var holding = 0.0
  public var hold: ClosedRange<UInt64> = 0...0

  public init(delay: ClosedRange<UInt64>) { self.delay = delay }

  /// Nothing is lost, doubled or held.
  public var isQuiet: Bool { loss == 0 && duplication == 0 && holding == 0 }
}

/// When the copies of one datagram arrive: after at most two delays.
public struct Deliveries: Sendable, Equatable {
  public var first: UInt64?
  public var second: UInt64?

  /// Nil: that copy does not arrive.
  public init(first: UInt64? = nil, second: UInt64? = nil) {
    self.first = first
    self.second = second
  }
}

/// Decides what becomes of each datagram on its link. It carries none itself: whoever simulates a
/// world schedules the arrivals.
public struct SimulatedNetwork<Endpoint: Hashable & Sendable>: Sendable {
  public struct Link: Hashable, Sendable {
    public var from: Endpoint
    public var to: Endpoint
    public init(from: Endpoint, to: Endpoint) {
      self.from = from
      self.to = to
    }
  }

  /// Of links without conditions of their own.
  public var conditions: LinkConditions
  private var special: [Link: LinkConditions] = [:]
  private var cut: Set<Link> = []
  /// Links that let nothing out before a time, and then everything.
  private var cloggedUntil: [Link: UInt64] = [:]
  private var random: SimulationRandom

  public private(set) var lost = 0
  public private(set) var duplicated = 0
  public private(set) var held = 0

  public init(_ conditions: LinkConditions, random: SimulationRandom) {
    self.conditions = conditions
    self.random = random
  }

  /// Gives a link its own conditions; nil: the network's.
  public mutating func setConditions(_ conditions: LinkConditions?, of link: Link) {
    special[link] = conditions
  }

  /// Which links, each in its one direction, carry nothing, and which hold everything back until a
  /// time (nanoseconds); all others do neither.
  public mutating func setTroubles(cut: Set<Link>, cloggedUntil: [Link: UInt64] = [:]) {
    self.cut = cut
    self.cloggedUntil = cloggedUntil
  }

  /// From now on nothing goes wrong.
  public mutating func calm(delay: ClosedRange<UInt64>) {
    conditions = LinkConditions(delay: delay)
    special = [:]
    cut = []
    cloggedUntil = [:]
  }

  /// What becomes of one datagram that is sent now (nanoseconds).
  public mutating func deliveries(
    from: Endpoint, to: Endpoint, at now: UInt64 = 0
  ) -> Deliveries {
    guard !special.isEmpty || !cut.isEmpty || !cloggedUntil.isEmpty else {
      return deliveries(conditions)
    }
    let link = Link(from: from, to: to)
    if cut.contains(link) {
      lost += 1
      return Deliveries()
    }
    var deliveries = deliveries(special[link] ?? conditions)
    if let end = cloggedUntil[link], end > now {
      if let first = deliveries.first { deliveries.first = max(first, end - now) }
      if let second = deliveries.second { deliveries.second = max(second, end - now) }
    }
    return deliveries
  }

  private mutating func deliveries(_ conditions: LinkConditions) -> Deliveries {
    var deliveries = Deliveries()
    if conditions.isQuiet {
      deliveries.first = random.duration(in: conditions.delay)
      return deliveries
    }
    let isDoubled = random.chance(conditions.duplication)
    if random.chance(conditions.loss) {
      lost += 1
    } else {
      deliveries.first = delay(conditions, holding: conditions.holding)
    }
    if isDoubled {
      duplicated += 1
      deliveries.second = delay(conditions, holding: max(0.5, conditions.holding))
    }
    return deliveries
  }

  private mutating func delay(_ conditions: LinkConditions, holding: Double) -> UInt64 {
    let delay = random.duration(in: conditions.delay)
    guard conditions.hold.upperBound > 0, random.chance(holding) else { return delay }
    held += 1
    return delay + random.duration(in: conditions.hold)
  }
}
