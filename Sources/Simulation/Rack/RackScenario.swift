internal import Wire

/// What one seed simulates: how big, how long, and how bad. Times in nanoseconds of virtual time.
public struct RackScenario: Sendable, Equatable {
  public var seed: UInt64
  public var servers = 3
  public var clients = 4
  /// Requests that one client has under way at a time, at most.
  public var outstanding = 2
  public var keys = 2
  /// Requests of all clients, besides the last reads.
  public var operations = 520
  public var readShare = 0.5
  public var deleteShare = 0.1
  /// Between the end of a client's request and its next.
  public var think: ClosedRange<UInt64> = 0...200_000
  /// Versions that the directory's state words can count.
  public var window: UInt32 = 1 << 30
  /// Sessions that a server keeps.
  public var sessionsMax = 1024
  /// Buckets of the directory, four entries each.
  public var buckets = 4
  public var conditions = LinkConditions(delay: 10_000...100_000)
  /// How likely a finished request is followed by something asked of the controller, and when.
  public var commands = 0.05
  public var commandDelay: ClosedRange<UInt64> = 0...1_000_000
  /// Things asked of the controller, at most.
  public var commandsMax = Int.max
  /// The stage with faults ends after so much time, whatever is still to be done.
  public var faultyLimit: UInt64 = 3_000_000_000
  /// Out of ten commands, how many raise the floor.
  public var floors = 1
  /// Out of ten commands, how many are quick changes of mind about one key.
  public var flaps = 3
  /// While a transition runs, so much more is held back, and for some time after it so much more is
  /// lost: what is under way then is what transitions are about.
  public var transitionHolding = 0.0
  public var transitionLoss = 0.0
  /// Between two effects of the controller.
  public var effectDelay: ClosedRange<UInt64> = 0...20_000
  public var graceDelay: ClosedRange<UInt64> = 100_000...400_000
  /// A client gives a request up after this time; nil: as is usual.
  public var patience: UInt64?
  /// A request that meets a full queue.
  public var busy = 0.0
  /// What goes wrong in the world, in the order in which it begins.
  public var worldFaults: [WorldFault] = []
  /// A server that is silent for so long is declared lost.
  public var serverTimeout: UInt64 = 1_000_000_000_000
  /// How much a clock gains or loses at most, in parts per million.
  public var driftMax = 200
  /// Servers' state is on disks, which keep what was synced before a crash; how long a sync takes.
  public var isDurable = false
  public var sync: ClosedRange<UInt64> = 20_000...200_000
  /// How likely a disk has damaged values, or is unreadable, after a crash.
  public var damage = 0.0
  /// How long the rack waits for a durable server that is away.
  public var returnTimeout: UInt64 = 100_000_000
  /// Whether the directory's policy moves keys too, by what it samples.
  public var isAutomatic = false
  /// Only what clients were told is checked, not the state of directory and servers.
  public var looksFromOutside = false
  /// Requests reach the directory at once, and once: no late duplicate of a finished one does.
  public var requestsAreDirect = false
  /// Reads carry the version that they demand. Without it a wrong steering is not covered for.
  public var demandsVersions = true

  /// How likely a finished request is followed by a server's being drained or added, and when.
  public var serverChanges = 0.0
  public var serverChangeDelay: ClosedRange<UInt64> = 0...2_000_000
  /// Slots that move at a time.
  public var movedSlots = 4096
  /// Whether slots move to servers that have fewer than their share.
  public var rebalances = true
  /// From a server's coming until slots are divided anew.
  public var rebalance: UInt64 = 5_000_000

  /// Servers that an acknowledged write has to be on: 1 or 2.
  public var copies = 1
  /// From a floor's generation until the servers are told of it.
  public var floorDelay: UInt64 = 0
  /// How likely a packet stops in the middle of the directory's decision, and for how long.
  public var pausing = 0.0
  public var pause: ClosedRange<UInt64> = 1_000...100_000
  /// How likely the controller stops in the middle of a change of the directory, as long as that.
  public var storesApart = 0.0

  /// The scenario of a seed: every seed another one.
  public init(seed: UInt64) {
    self.seed = seed
    var random = SimulationRandom(seed: seed, stream: 1)
    servers = random.element(of: [2, 3, 3, 4, 5, 7])
    clients = random.integer(in: 2...6)
    outstanding = random.integer(in: 1...4)
    keys = random.integer(in: 1...4)
    operations = random.integer(in: 500...600)
    readShare = random.element(of: [0.3, 0.5, 0.7, 0.85])
    deleteShare = random.element(of: [0, 0.05, 0.2])
    think = 0...random.element(of: [50_000, 300_000, 1_500_000])
    if random.chance(0.3) { window = UInt32(random.integer(in: 16...80)) }
    if random.chance(0.25) { sessionsMax = random.integer(in: clients - 1...clients + 1) }
    buckets = random.element(of: [1, 2, 4])
    conditions = Self.conditions(&random)
    commands = random.element(of: [0.02, 0.04, 0.08])
    commandDelay = 0...random.element(of: [100_000, 2_000_000])
    floors = random.element(of: [0, 1, 3])
    flaps = random.element(of: [1, 4, 7])
    effectDelay = 0...random.element(of: [5_000, 60_000, 300_000])
    if random.chance(0.15) { patience = random.duration(in: 3_000_000...20_000_000) }
    if random.chance(0.2) { busy = 0.03 }
    isAutomatic = random.chance(0.1)
    demandsVersions = random.chance(0.5)
    transitionHolding = random.element(of: [0, 0.1, 0.3])
    transitionLoss = random.element(of: [0, 0.2])
    floorDelay = random.element(of: [0, 2_000_000, 20_000_000])
    pausing = random.element(of: [0, 0.05, 0.3])
    pause = 1_000...random.element(of: [20_000, 500_000, 20_000_000])
    driftMax = random.element(of: [200, 200, 50_000])
    if random.chance(0.1) { beRestless(&random) }
    drawWorldFaults(random.element(of: [0, 0, 1, 3, 6, 10]))
    drawReboots()
    drawControllerCrashes()
    drawStoresApart()
    isDurable = random.chance(0.4) && worldFaults.contains { $0.kind == .crash }
    if isDurable { drawFullDisks() }
    sync = 5_000...random.element(of: [20_000, 200_000, 2_000_000])
    damage = random.element(of: [0.1, 0.7])
    returnTimeout = random.element(of: [30_000_000, 100_000_000])
    var moves = SimulationRandom(seed: seed, stream: 9)
    serverChanges = moves.element(of: [0, 0.01, 0.03])
    serverChangeDelay = 0...moves.element(of: [100_000, 5_000_000])
    movedSlots = moves.element(of: [1024, 8192])
    rebalance = moves.element(of: [0, 5_000_000, 50_000_000])
    drawCopies()
  }

  /// In half of the seeds. Crashes wait then until all is on two servers again. What a read finds is
  /// compared with what it demands: that is how a server knows what another one has.
  private mutating func drawCopies() {
    var random = SimulationRandom(seed: seed, stream: 10)
    guard random.chance(0.5) else { return }
    copies = 2
  }

  private mutating func drawStoresApart() {
    var random = SimulationRandom(seed: seed, stream: 9)
    storesApart = random.element(of: [0, 0.05, 0.3])
  }

  /// One key or two, mostly read and often deleted, go in and out all the time, and servers forget
  /// in between: what is left over from one hot time meets the next.
  private mutating func beRestless(_ random: inout SimulationRandom) {
    servers = random.integer(in: 3...7)
    keys = random.integer(in: 1...2)
    readShare = random.element(of: [0.8, 0.9])
    deleteShare = random.element(of: [0.3, 0.6])
    commands = random.element(of: [0.15, 0.3])
    commandDelay = 0...100_000
    floors = 1
    flaps = 8
    floorDelay = random.element(of: [0, 0, 1_000_000])
    effectDelay = 0...random.element(of: [5_000, 60_000])
  }

  private mutating func drawControllerCrashes() {
    var plan = WorldFaultPlan(
      random: SimulationRandom(seed: seed, stream: 8), servers: servers, clients: clients,
      operations: operations)
    add(plan.drawControllerCrashes())
  }

  private mutating func drawFullDisks() {
    var plan = WorldFaultPlan(
      random: SimulationRandom(seed: seed, stream: 11), servers: servers, clients: clients,
      operations: operations)
    add(plan.drawFullDisks())
  }

  private mutating func add(_ faults: [WorldFault]) {
    worldFaults += faults
    // Stable: sorting by place within those that begin together.
    worldFaults = worldFaults.enumerated().sorted {
      ($0.element.after, $0.offset) < ($1.element.after, $1.offset)
    }.map(\.element)
    for index in worldFaults.indices { worldFaults[index].number = index }
  }

  private mutating func drawWorldFaults(_ count: Int) {
    guard count > 0 else { return }
    var plan = WorldFaultPlan(
      random: SimulationRandom(seed: seed, stream: 5), servers: servers, clients: clients,
      operations: operations)
    worldFaults = plan.draw(count)
    // Who is impatient declares servers lost that only stand still or cannot be heard.
    let isImpatient = plan.random.chance(0.5)
    if isImpatient || worldFaults.contains(where: { $0.kind == .crash }) {
      serverTimeout = 20_000_000
    }
  }

  /// In some seeds the directory's host goes down, whatever else goes wrong; often twice in a row.
  private mutating func drawReboots() {
    var random = SimulationRandom(seed: seed, stream: 6)
    guard random.chance(0.3) else { return }
    var after = random.integer(in: 0...operations / 2)
    for _ in 0..<random.integer(in: 1...4) {
      worldFaults.append(
        WorldFault(
          number: worldFaults.count, after: after, delay: random.duration(in: 0...1_000_000),
          duration: random.duration(
            in: 20_000...random.element(of: [200_000, 5_000_000, 40_000_000])),
          effect: .reboot))
      after += random.chance(0.5) ? random.integer(in: 0...2) : random.integer(in: 0...200)
    }
    worldFaults.sort { ($0.after, $0.number) < ($1.after, $1.number) }
    for number in worldFaults.indices { worldFaults[number].number = number }
  }

  private static func conditions(_ random: inout SimulationRandom) -> LinkConditions {
    var conditions = LinkConditions(
      delay: 5_000...random.element(of: [20_000, 100_000, 600_000]))
    conditions.loss = random.element(of: [0, 0.01, 0.05])
    conditions.duplication = random.element(of: [0.01, 0.05, 0.15])
    conditions.holding = random.element(of: [0.005, 0.02, 0.05])
    conditions.hold = 500_000...random.element(of: [3_000_000, 12_000_000, 30_000_000])
    return conditions
  }
}

/// The keys of simulated racks. The first ones share a slot, so that what concerns a whole slot
/// concerns several of them.
enum SimulatedKeys {
  static let hashSeed: UInt64 = 0x686f_7472_6163_6b21

  struct Key: Sendable {
    var bytes: [UInt8]
    var hash: UInt64
    var name: String
  }

  static let all: [Key] = {
    var bySlot: [Int: Key] = [:]
    var number = 0
    while true {
      let name = "key\(number)"
      let hash = KeyHash.of(Array(name.utf8), seed: hashSeed)
      let key = Key(bytes: Array(name.utf8), hash: hash, name: name)
      number += 1
      guard let other = bySlot.updateValue(key, forKey: KeyHash.slot(hash)) else { continue }
      let apart = (0..<6).map { index in
        let name = "apart\(index)"
        return Key(
          bytes: Array(name.utf8), hash: KeyHash.of(Array(name.utf8), seed: hashSeed), name: name)
      }
      return [apart[0], other, key] + apart.dropFirst()
    }
  }()
}
