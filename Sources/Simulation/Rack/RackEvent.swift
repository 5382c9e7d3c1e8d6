/// Where datagrams of a rack come from and go to.
public enum RackEndpoint: Hashable, Sendable {
  case client(Int)
  case server(Int)
  case directory
  case controller
}

typealias RackLink = SimulatedNetwork<RackEndpoint>.Link

/// What happens in a simulated rack.
enum RackEvent {
  /// A datagram reaches the end of a link.
  case arrive(RackEndpoint, [UInt8], from: RackEndpoint)
  /// A server that takes its time comes to a datagram that has waited.
  case serve(Int, [UInt8], fromController: Bool)
  case submit(client: Int)
  case clientTimer(client: Int)
  /// The next of the controller's effects is carried out.
  case effect
  case tick
  /// So much time is over since a grace period was asked for, when so many packets had come.
  case graceElapsed(token: UInt64, packets: Int)
  /// A packet goes on that has stopped in the middle of the directory's decision.
  case resume(packet: Int)
  /// Something is asked of the controller.
  case command
  /// Servers are drained or added.
  case changeServers
  /// The network is again as it was before the transition of this number.
  case settle(disturbance: Int)
  case begin(worldFault: Int)
  case end(worldFault: Int)
  /// A server starts again with a new incarnation: empty, or with what is on its disk.
  case restart(server: Int)
  /// What a durable server has written is on its disk.
  case synced(server: Int, start: UInt64)
  /// Late datagrams have had their time.
  case drained
}

/// What a simulation asserts.
public enum SimulationCheck: String, Sendable, CaseIterable {
  case atMostOnce = "at most once"
  case setHoldsVersion = "replica set holds completed version"
  case completedFell = "completed version fell"
  case completedBehind = "completed version below what clients saw"
  case needlessLoss = "lost though servers have it"
  case onTwoServers = "two servers have what a client is told"
  case versionOrder = "version order"
  case slotOwners = "one home for each slot"
  case linearizability
  case liveness

  /// It needs nothing but what clients were told.
  public var isSeenByClients: Bool {
    switch self {
    case .versionOrder, .linearizability, .liveness: true
    case .atMostOnce, .setHoldsVersion, .completedFell, .completedBehind, .needlessLoss,
      .slotOwners, .onTwoServers:
      false
    }
  }
}

/// What went wrong, and when.
public struct SimulationFailure: Error, Sendable, Equatable {
  public var check: SimulationCheck
  public var description: String
  /// Virtual time, nanoseconds.
  public var time: UInt64
}

/// What one seed showed.
public struct SimulationResult: SeedResult {
  public var seed: UInt64
  public var failure: SimulationFailure?
  public var operations = 0
  public var servers = 0
  /// Transitions that were completed: promotions, demotions, changes of targets.
  public var transitions = 0
  public var floors = 0
  public var worldFaults = 0
  /// Servers that died.
  public var crashes = 0
  /// Times that the directory's host lost everything.
  public var reboots = 0
  /// Controllers that died.
  public var controllerCrashes = 0
  /// Moves of slots between living servers that were completed.
  public var slotMoves = 0
  /// Requests whose outcome their client does not know.
  public var unknown = 0
  public var coverage = SimulationCoverage()
  public var traceHash: UInt64 = 0
  public var events = 0
  /// Virtual time that passed, nanoseconds.
  public var duration: UInt64 = 0
  /// As many lines as the trace was asked to keep.
  public var trace: [String] = []

  public init(seed: UInt64) { self.seed = seed }
}
