internal import Configuration
internal import Glibc

/// Broken links of a testbed.
extension Testbed {
  /// The nodes whose links a fault strikes.
  func nodes(of target: Fault.Target) -> [TestbedLayout.Node] {
    switch target {
    case .server(let number): layout.servers.filter { $0.number == number }
    case .client(let number): layout.clients.filter { $0.number == number }
    case .servers: layout.servers
    case .clients: layout.clients
    case .nodes: layout.nodes
    case .controller, .directory: []
    }
  }

  /// Breaks the links of a target; of directions that the fault does not speak of, what is there
  /// stays.
  mutating func breakLinks(_ target: Fault.Target, _ fault: LinkFault) throws(TestbedError) {
    for node in nodes(of: target) {
      let programs = LinkPrograms(node: node)
      try programs.attach()
      let before = try programs.state()
      if fault.isDelayed { try startRelay(programs) }
      try programs.set(
        to: fault.direction == .from ? before?.to : fault,
        from: fault.direction == .to ? before?.from : fault)
    }
  }

  /// Ends what happens to frames of the fault's directions. Where nothing else happens, nothing of
  /// ours stays on the link.
  mutating func healLinks(
    _ target: Fault.Target, direction: LinkFault.Direction = .both
  ) throws(TestbedError) {
    for node in nodes(of: target) {
      let programs = LinkPrograms(node: node)
      guard let state = try programs.state() else { continue }
      let to = direction == .from ? state.to : nil
      let from = direction == .to ? state.from : nil
      try programs.set(to: to, from: from)
      guard to == nil, from == nil else { continue }
      try endRelay(of: node)
      try programs.detach()
    }
  }

  /// Frames that the fault may have touched so far; nil if a link has no programs.
  func linkCounts(
    _ target: Fault.Target, _ direction: LinkFault.Direction
  ) throws(TestbedError) -> LinkPrograms.Counts? {
    var sum = LinkPrograms.Counts()
    for node in nodes(of: target) {
      guard let state = try LinkPrograms(node: node).state() else { return nil }
      if direction != .from { sum.add(state.toCounts) }
      if direction != .to { sum.add(state.fromCounts) }
    }
    return sum
  }

  private func relayRole(_ node: TestbedLayout.Node) -> String { "relay \(node.name)" }

  private mutating func startRelay(_ programs: LinkPrograms) throws(TestbedError) {
    let node = programs.node
    let role = relayRole(node)
    if state.members.contains(where: { $0.role == role && $0.identity.isAlive }) { return }
    let child = try start(
      role: role, namespace: node.namespace,
      [
        executable, "testbed", "relay", "--interface", programs.relayInterface,
        "--link", node.interface, "--mac", "\(node.mac)", "--seed", "\(node.mac.value)",
      ])
    let relay = programs.relayInterface
    try wait(for: "it has its interface", seconds: 10, while: [(role, child)], nil) {
      let isThere = try? NamespaceSettings.perform(in: node.namespace) {
        if_nametoindex(relay) != 0
      }
      return isThere ?? false
    }
    try run(["ip", "-netns", node.namespace, "link", "set", relay, "up"])
    try programs.attachRelay()
  }

  /// What it still keeps is delivered, in its time.
  private mutating func endRelay(of node: TestbedLayout.Node) throws(TestbedError) {
    let role = relayRole(node)
    guard let member = state.members.first(where: { $0.role == role }) else { return }
    member.identity.signal(SIGTERM)
    let limit = ContinuousClock.now + .milliseconds(LinkFault.delayMax + 2_000)
    while member.identity.isAlive {
      for child in children.all { child.collect() }
      guard ContinuousClock.now < limit else {
        member.identity.signal(SIGKILL)
        break
      }
      usleep(2_000)
    }
    state = try TestbedFolder.update(name) { $0.members.removeAll { $0.role == role } }
  }
}

extension LinkPrograms.Counts {
  mutating func add(_ other: Self) {
    seen += other.seen
    lost += other.lost
    duplicated += other.duplicated
    delayed += other.delayed
  }

  func since(_ earlier: Self?) -> Self {
    guard let earlier else { return self }
    return Self(
      seen: seen - earlier.seen, lost: lost - earlier.lost,
      duplicated: duplicated - earlier.duplicated, delayed: delayed - earlier.delayed)
  }
}
