/// What a seed's scenario is cut down to: to find out how little is enough for it to fail.
public struct ScenarioLimits: Sendable, Equatable {
  /// Nil: as the seed says; a limit only ever makes it less.
  public var operations: Int?
  public var clients: Int?
  public var servers: Int?
  public var keys: Int?
  /// Requests that one client has under way at a time.
  public var outstanding: Int?
  /// Things asked of the controller: transitions and floors.
  public var commands: Int?
  /// Milliseconds of virtual time after which the stage with faults ends.
  public var faultyMilliseconds: Int?
  /// Numbers of the world faults that are left, ascending; nil: all.
  public var worldFaults: [Int]?
  /// Left out altogether.
  public var without: [ScenarioPart] = []

  public init() {}

  func apply(to scenario: inout RackScenario) {
    func limit(_ value: inout Int, _ most: Int?, atLeast: Int = 1) {
      if let most { value = max(atLeast, min(value, most)) }
    }
    limit(&scenario.operations, operations)
    limit(&scenario.clients, clients)
    limit(&scenario.servers, servers)
    limit(&scenario.keys, keys)
    limit(&scenario.outstanding, outstanding)
    limit(&scenario.commandsMax, commands, atLeast: 0)
    if let faultyMilliseconds {
      scenario.faultyLimit = min(
        scenario.faultyLimit, UInt64(max(0, faultyMilliseconds)) * 1_000_000)
    }
    if let worldFaults { scenario.worldFaults.removeAll { !worldFaults.contains($0.number) } }
    for part in without { part.leaveOut(of: &scenario) }
  }
}

/// A part of a scenario that can be left out.
public enum ScenarioPart: String, Sendable, CaseIterable {
  case loss, duplication, holding
  /// The network is worse during and after transitions.
  case disturbance
  /// Packets that stop in the middle of the directory's decision.
  case stops
  /// Changes of the directory that stop between two stores.
  case storesApart = "stores-apart"
  /// Full queues at servers.
  case busy
  /// Clocks that run faster or slower.
  case drift
  /// Keys that move because of what the policy sees.
  case policy
  case floors
  /// Quick changes of mind about one key.
  case flaps
  case deletes
  /// Servers that forget sessions for want of room.
  case evictions
  /// Clients that give up early.
  case impatience
  /// State words that count few versions.
  case smallWindow = "small-window"
  /// Controllers that take their time between two steps.
  case slowController = "slow-controller"
  /// Floors that are sent long after their generation.
  case lateFloors = "late-floors"
  /// Disks, and what goes wrong with them.
  case disks
  case damage
  /// Servers that are drained and added, and slots that move by themselves.
  case serverChanges = "server-changes"
  /// Second copies of everything.
  case secondCopies = "second-copies"

  func leaveOut(of scenario: inout RackScenario) {
    switch self {
    case .loss: scenario.conditions.loss = 0
    case .duplication: scenario.conditions.duplication = 0
    case .holding: scenario.conditions.holding = 0
    case .disturbance:
      scenario.transitionHolding = 0
      scenario.transitionLoss = 0
    case .stops: scenario.pausing = 0
    case .storesApart: scenario.storesApart = 0
    case .busy: scenario.busy = 0
    case .drift: scenario.driftMax = 0
    case .policy: scenario.isAutomatic = false
    case .floors: scenario.floors = 0
    case .flaps: scenario.flaps = 0
    case .deletes: scenario.deleteShare = 0
    case .evictions: scenario.sessionsMax = 1024
    case .impatience: scenario.patience = nil
    case .smallWindow: scenario.window = 1 << 30
    case .slowController: scenario.effectDelay = 0...5_000
    case .lateFloors: scenario.floorDelay = 0
    case .disks: scenario.isDurable = false
    case .damage: scenario.damage = 0
    case .serverChanges:
      scenario.serverChanges = 0
      scenario.rebalances = false
    case .secondCopies: scenario.copies = 1
    }
  }
}
