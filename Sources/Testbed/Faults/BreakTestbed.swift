public import Configuration
internal import Glibc

/// Breaking a testbed, and healing it.
extension Testbed {
  /// A fault that has begun.
  public struct RunningFault: Sendable {
    public let fault: Fault
    fileprivate let slow: SlowProcesses?
  }

  /// Begins a fault of this testbed, whose times do not matter here.
  public mutating func begin(_ fault: Fault) throws(TestbedError) -> RunningFault {
    if let problem = fault.problem(servers: layout.servers.count, clients: layout.clients.count) {
      throw .run(problem)
    }
    try refresh()
    var slow: SlowProcesses?
    switch fault.kind {
    case .link(let link): try breakLinks(fault.target, link)
    case .kill: try killProcesses(fault.target)
    case .pause: try setStopped(true, fault.target)
    case .restart:
      try killProcesses(fault.target)
      try startProcesses(fault.target)
    case .slow(let share):
      slow = try SlowProcesses(members(of: fault.target).map(\.identity), share: share)
    case .reboot:
      try killProcesses(fault.target)
      // Without it the next controller would go on with program and maps, as after a mere crash.
      try Self.removeDataPlane(of: name)
    case .corrupt:
      try killProcesses(fault.target)
      try damageFile(fault.target)
    case .fullDisk: try fillDisk(fault.target)
    }
    return RunningFault(fault: fault, slow: slow)
  }

  /// Ends a fault: what it has broken works again, as far as that is for the testbed to do.
  public mutating func end(_ running: RunningFault) throws(TestbedError) {
    let target = running.fault.target
    try refresh()
    switch running.fault.kind {
    case .link(let link): try healLinks(target, direction: link.direction)
    case .kill, .reboot, .corrupt: try startProcesses(target)
    case .fullDisk: try clearDisk(target)
    case .pause: try setStopped(false, target)
    case .restart: break
    case .slow: running.slow?.end()
    }
  }

  /// Has a stopped process go on.
  public mutating func resume(_ target: Fault.Target) throws(TestbedError) {
    try refresh()
    try setStopped(false, target)
  }

  /// Heals everything: links are whole again, stopped processes go on, and those of the rack that
  /// have ended are started again. Returns what was broken.
  @discardableResult
  public mutating func heal() throws(TestbedError) -> [Broken] {
    try refresh()
    let found = try broken()
    try healLinks(.nodes)
    for node in layout.servers where isDiskFull(Fault.Target(node)) {
      try clearDisk(Fault.Target(node))
    }
    for member in state.members {
      if member.identity.isStopped { member.identity.signal(SIGCONT) }
      if !member.identity.isAlive, member.isOfRack {
        try start(role: member.role, namespace: member.namespace, member.arguments)
      }
    }
    return found
  }

  /// Something that is broken now.
  public struct Broken: Sendable, Equatable, Encodable {
    /// `server-2`, `controller`; for other processes their role.
    public var target: String
    /// What is the matter with it.
    public var fault: String
  }

  /// What is broken now, as links and processes themselves say, whoever has broken them.
  public func broken() throws(TestbedError) -> [Broken] {
    var found: [Broken] = []
    for node in layout.nodes where access("/run/netns/\(node.namespace)", F_OK) == 0 {
      guard let state = try LinkPrograms(node: node).state() else { continue }
      let target = Fault.Target(node).description
      if var both = state.to, state.from.map({ both.isLike($0) }) == true {
        both.direction = .both
        found.append(Broken(target: target, fault: "link: \(both)"))
        continue
      }
      for (direction, fault) in [(LinkFault.Direction.to, state.to), (.from, state.from)] {
        guard var fault else { continue }
        fault.direction = direction
        found.append(Broken(target: target, fault: "link: \(fault)"))
      }
    }
    for target in layout.servers.map({ Fault.Target($0) }) where isDiskFull(target) {
      found.append(Broken(target: target.description, fault: "its disk is full"))
    }
    for member in state.members {
      if member.identity.isStopped {
        found.append(Broken(target: member.target, fault: "stopped"))
      } else if !member.identity.isAlive, member.isOfRack {
        found.append(Broken(target: member.target, fault: "does not run"))
      }
    }
    return found
  }
}

extension Fault.Target {
  init(_ node: TestbedLayout.Node) {
    self = node.kind == .server ? .server(node.number) : .client(node.number)
  }
}

extension LinkFault {
  /// The same happens, in whatever direction.
  fileprivate func isLike(_ other: LinkFault) -> Bool {
    var other = other
    other.direction = direction
    return self == other
  }
}

extension TestbedState.Member {
  /// It serves, and has no end of its own.
  var isOfRack: Bool { role == "controller" || role == "servers" || role.hasPrefix("server ") }

  /// As faults name it.
  var target: String { role.replacing("server ", with: "server-") }
}
