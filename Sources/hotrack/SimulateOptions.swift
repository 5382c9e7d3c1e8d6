import ArgumentParser
import Simulation

/// What `hotrack simulate` simulates: everything that a seed alone does not say, and so everything
/// that a command to replay a seed has to repeat.
struct SimulateOptions: ParsableArguments {
  @Option(
    help: "Break the protocol in this way (see above); may be given several times.",
    transform: { try named($0, "fault") })
  var fault: [SimulationFault] = []

  @Option(
    help: "Whether reads demand a version: always, never or by-seed.",
    transform: { try named($0, "way to demand") })
  var demand = RackSimulation.Demand.bySeed

  @Option(help: "Servers that an acknowledged write is on, 1 or 2, in all seeds; else as they say.")
  var copies: Int?

  @Option(help: "World faults that seeds may have: all, none, or some, as in pause,crash.")
  var world = WorldKinds.all

  @Flag(help: "Check only what clients were told, not the state of directory and servers.")
  var clientsOnly = false

  @Flag(help: "Requests reach the directory at once, and once; the rest of the network stays bad.")
  var directRequests = false

  @OptionGroup(title: "Smaller seeds (what --minimize finds)")
  var limits: LimitOptions

  /// The simulation that they describe.
  var simulation: RackSimulation {
    var simulation = RackSimulation()
    simulation.faults = fault
    simulation.demandsVersions = demand
    simulation.copies = copies
    simulation.worldFaults = world.kinds
    simulation.looksFromOutside = clientsOnly
    simulation.requestsAreDirect = directRequests
    simulation.limits = limits.limits
    return simulation
  }

  func validate() throws {
    if let copies, !(1...2).contains(copies) { throw ValidationError("--copies is 1 or 2") }
  }

  /// The arguments that describe a simulation.
  static func arguments(of simulation: RackSimulation) -> String {
    var text = ""
    for fault in simulation.faults { text += " --fault \(fault.rawValue)" }
    if simulation.demandsVersions != .bySeed {
      text += " --demand \(simulation.demandsVersions.rawValue)"
    }
    if let copies = simulation.copies { text += " --copies \(copies)" }
    let world = WorldKinds(kinds: simulation.worldFaults)
    if world != .all { text += " --world \(world)" }
    if simulation.looksFromOutside { text += " --clients-only" }
    if simulation.requestsAreDirect { text += " --direct-requests" }
    return text + LimitOptions.arguments(of: simulation.limits)
  }
}

/// What the scenario of every seed is cut down to.
struct LimitOptions: ParsableArguments {
  @Option(help: "Operations of all clients, at most.")
  var operations: Int?
  @Option(help: "Clients, at most.")
  var clients: Int?
  @Option(help: "Servers, at most.")
  var servers: Int?
  @Option(help: "Keys, at most.")
  var keys: Int?
  @Option(help: "Requests that a client has under way at a time, at most.")
  var outstanding: Int?
  @Option(help: "Things asked of the controller (transitions, floors), at most.")
  var commands: Int?
  @Option(help: "Milliseconds of virtual time after which faults end.")
  var phase: Int?
  @Option(
    help: "Only the world faults with these numbers, as a trace shows them: as in 0,4, or none.")
  var worldOnly: Numbers?
  @Option(
    help: """
      Leave out a part of the scenario; may be given several times: \
      \(ScenarioPart.allCases.map(\.rawValue).joined(separator: ", ")).
      """,
    transform: { try named($0, "part") })
  var without: [ScenarioPart] = []

  var limits: ScenarioLimits {
    var limits = ScenarioLimits()
    limits.operations = operations
    limits.clients = clients
    limits.servers = servers
    limits.keys = keys
    limits.outstanding = outstanding
    limits.commands = commands
    limits.faultyMilliseconds = phase
    limits.worldFaults = worldOnly?.values
    limits.without = without
    return limits
  }

  func validate() throws {
    for (name, value, least) in [
      ("operations", operations, 1), ("clients", clients, 1), ("servers", servers, 1),
      ("keys", keys, 1), ("outstanding", outstanding, 1), ("commands", commands, 0),
      ("phase", phase, 0),
    ] {
      if let value, value < least {
        throw ValidationError("--\(name) must be at least \(least)")
      }
    }
  }

  static func arguments(of limits: ScenarioLimits) -> String {
    var text = ""
    for (name, value) in [
      ("operations", limits.operations), ("clients", limits.clients),
      ("servers", limits.servers), ("keys", limits.keys), ("outstanding", limits.outstanding),
      ("commands", limits.commands), ("phase", limits.faultyMilliseconds),
    ] {
      if let value { text += " --\(name) \(value)" }
    }
    if let numbers = limits.worldFaults { text += " --world-only \(Numbers(values: numbers))" }
    for part in limits.without { text += " --without \(part.rawValue)" }
    return text
  }
}

/// Kinds of world faults, as `all`, `none` or names with commas between.
struct WorldKinds: ExpressibleByArgument, Equatable, CustomStringConvertible {
  var kinds: Set<WorldFault.Kind>
  static let all = WorldKinds(kinds: Set(WorldFault.Kind.allCases))

  init(kinds: Set<WorldFault.Kind>) { self.kinds = kinds }

  init?(argument: String) {
    switch argument {
    case "all": self = .all
    case "none": self.init(kinds: [])
    default:
      let kinds = argument.split(separator: ",").map { WorldFault.Kind(rawValue: String($0)) }
      guard !kinds.isEmpty, !kinds.contains(nil) else { return nil }
      self.init(kinds: Set(kinds.compactMap { $0 }))
    }
  }

  var description: String {
    if self == .all { return "all" }
    if kinds.isEmpty { return "none" }
    return WorldFault.Kind.allCases.filter(kinds.contains).map(\.rawValue)
      .joined(separator: ",")
  }

  var defaultValueDescription: String { description }
  static var allValueStrings: [String] {
    ["all", "none"] + WorldFault.Kind.allCases.map(\.rawValue)
  }
}

/// Numbers with commas between, or `none`.
struct Numbers: ExpressibleByArgument, CustomStringConvertible {
  var values: [Int]

  init(values: [Int]) { self.values = values }

  init?(argument: String) {
    guard argument != "none" else {
      self.init(values: [])
      return
    }
    let values = argument.split(separator: ",").map { Int($0) }
    guard !values.isEmpty, values.allSatisfy({ $0 ?? -1 >= 0 }) else { return nil }
    self.init(values: values.compactMap { $0 }.sorted())
  }

  var description: String {
    values.isEmpty ? "none" : values.map(String.init).joined(separator: ",")
  }
}

/// FIRST..LAST, both included.
struct SeedRange: ExpressibleByArgument {
  var first: UInt64
  var last: UInt64
  var count: UInt64 { last - first + 1 }

  init(first: UInt64, last: UInt64) {
    self.first = first
    self.last = last
  }

  init?(argument: String) {
    let ends = argument.split(separator: "..", omittingEmptySubsequences: false).map { UInt64($0) }
    guard ends.count <= 2, let first = ends.first ?? nil, let last = ends.last ?? nil,
      first <= last, last < .max
    else { return nil }
    self.init(first: first, last: last)
  }

  var defaultValueDescription: String { "\(first)..\(last)" }
}

/// One of an enumeration's cases by its name, or a sentence that says which there are.
private func named<Value: RawRepresentable<String> & CaseIterable>(
  _ name: String, _ what: String
) throws -> Value {
  if let value = Value(rawValue: name) { return value }
  let names = Value.allCases.map(\.rawValue).joined(separator: ", ")
  throw ValidationError("there is no \(what) '\(name)'; choose one of \(names)")
}
