public import Configuration
internal import Foundation
internal import Glibc

/// A rack made of network namespaces and veth links on this host: a directory host, servers and
/// clients, real processes and real packets. Needs root.
public struct Testbed: Sendable {
  public let name: String
  public let layout: TestbedLayout
  public internal(set) var state: TestbedState
  /// The hotrack executable that its processes run.
  let executable: String

  /// Where its files are: rack file, logs, the controller's socket.
  public var folder: String { TestbedFolder.path(of: name) }
  /// The controller's Unix socket.
  public var controlSocket: String { "\(folder)/controller.socket" }

  /// Builds namespaces, links and addresses, and starts the controller and the servers. Returns
  /// when all of them answer. If anything fails, what was built is removed again, unless
  /// `keepOnFailure`: then it stays to be looked at.
  public static func up(
    _ file: TestbedFile, executable: String = ownExecutable(),
    keepOnFailure: Bool = false, interruption: Interruption? = nil,
    progress: (String) -> Void = { _ in }
  ) throws(TestbedError) -> Testbed {
    var bed = try buildNetwork(file, executable: executable, progress: progress)
    do {
      try bed.startRack(file, interruption, progress)
      return bed
    } catch {
      if !keepOnFailure { try? down(name: file.name) }
      throw error
    }
  }

  /// As `up`, without any process: namespaces, links and addresses only.
  package static func buildNetwork(
    _ file: TestbedFile, executable: String, progress: (String) -> Void = { _ in }
  ) throws(TestbedError) -> Testbed {
    try requireRoot()
    try requireTools()
    let leftOver = existingNamespaces().filter { TestbedLayout.isNamespace($0, of: file.name) }
    guard leftOver.isEmpty else { throw .exists(name: file.name) }
    try TestbedFolder.create(file.name)
    let bed = Testbed(
      name: file.name,
      layout: TestbedLayout(
        name: file.name, servers: file.servers, clients: file.clients, mode: file.mode,
        isIPv6: file.isIPv6),
      state: TestbedState(
        name: file.name, servers: file.servers, clients: file.clients, mode: file.mode,
        isIPv6: file.isIPv6, capacity: file.capacity, hashSeed: file.hashSeed),
      executable: executable)
    do {
      progress("building \(bed.layout.namespaces.count) namespaces")
      try bed.build()
      try TestbedFolder.write(bed.state)
      return bed
    } catch {
      try? down(name: file.name)
      throw error
    }
  }

  private func build() throws(TestbedError) {
    try batch(layout.linkCommands, namespace: nil)
    for namespace in layout.namespaces {
      try NamespaceSettings.setSwitches(namespace: namespace, isIPv6: layout.isIPv6)
    }
    if let namespace = layout.bridgeNamespace {
      try batch(layout.bridgeCommands, namespace: namespace)
      try NamespaceSettings.attachPassProgram(
        namespace: namespace, interface: layout.directoryLink.peer)
    }
    try batch(layout.directoryCommands, namespace: layout.directoryNamespace)
    for node in layout.nodes {
      try batch(layout.commands(of: node), namespace: node.namespace)
      try NamespaceSettings.attachPassProgram(
        namespace: node.namespace, interface: node.interface)
      try NamespaceSettings.sendOneByOne(
        namespace: node.namespace, interface: node.interface)
    }
  }

  private func batch(_ commands: [String], namespace: String?) throws(TestbedError) {
    let path = "\(folder)/ip.batch"
    try TestbedFolder.write(commands.joined(separator: "\n") + "\n", to: path)
    defer { unlink(path) }
    try run(["ip"] + (namespace.map { ["-netns", $0] } ?? []) + ["-batch", path])
  }

  /// The testbed of this name, as `up` has left it.
  public static func existing(
    _ name: String, executable: String = ownExecutable()
  ) throws(TestbedError) -> Testbed {
    guard names().contains(name) else { throw .notFound(name: name, existing: names()) }
    let state = try TestbedFolder.read(name)
    return Testbed(
      name: name,
      layout: TestbedLayout(
        name: name, servers: state.servers, clients: state.clients, mode: state.mode,
        isIPv6: state.isIPv6),
      state: state, executable: executable)
  }

  /// The names of all testbeds of this host, half-made ones too.
  public static func names() -> [String] {
    let fromNamespaces = existingNamespaces().compactMap(TestbedLayout.testbed(ofNamespace:))
    return Set(TestbedFolder.names() + fromNamespaces).sorted()
  }

  /// Ends all processes of a testbed and removes its namespaces, links and files, whatever state
  /// they are in.
  public static func down(name: String) throws(TestbedError) {
    try requireRoot()
    guard names().contains(name) else { throw .notFound(name: name, existing: names()) }
    let namespaces = existingNamespaces().filter { TestbedLayout.isNamespace($0, of: name) }
    var left: [String] = []
    // Twice: one that was just being started may have escaped the first look.
    for _ in 0..<2 {
      let stayed = ProcessTable.end(
        ProcessTable.processes(of: name, namespaces: namespaces))
      left = stayed.map { "process \($0.process)" }
    }
    for namespace in namespaces {
      do {
        try run(["ip", "netns", "delete", namespace])
      } catch {
        left.append("namespace \(namespace)")
      }
    }
    do throws(TestbedError) {
      try removeDataPlane(of: name)
    } catch {
      left.append(error.description)
    }
    guard left.isEmpty else { throw .leftOver(name: name, what: left) }
    try removeData(of: name, in: (try? TestbedFolder.read(name))?.data)
    try TestbedFolder.remove(name)
  }

  /// This program's own file.
  public static func ownExecutable() -> String {
    (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "hotrack"
  }

  static func requireRoot() throws(TestbedError) {
    guard geteuid() == 0 else { throw .notRoot }
  }

  private static func requireTools() throws(TestbedError) {
    let tools = [("ip", "iproute2"), ("nsenter", "util-linux"), ("ethtool", "ethtool")]
    for (tool, package) in tools {
      let folders = (getenv("PATH").map { String(cString: $0) } ?? "").split(separator: ":")
      guard folders.contains(where: { access("\($0)/\(tool)", X_OK) == 0 }) else {
        throw .missingTool(tool, package: package)
      }
    }
  }

  private static func existingNamespaces() -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: "/run/netns")) ?? []).sorted()
  }
}

/// Its processes.
extension Testbed {
  /// Starts a process of this testbed in a namespace (nil: in the host's) and writes it down.
  /// Its output goes to a log file in the testbed's folder.
  @discardableResult
  public mutating func start(
    role: String, namespace: String?, _ arguments: [String]
  ) throws(TestbedError) -> ChildProcess {
    let log = "\(folder)/\(role.replacing(" ", with: "-")).log"
    let file = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard file >= 0 else {
      throw .system(doing: "create \(log)", code: errno, reason: reason(errno))
    }
    defer { close(file) }
    let child = try ChildProcess.start(
      Self.entering(namespace) + arguments, output: file,
      environment: ["\(ProcessTable.marker)=\(name)"])
    let member = TestbedState.Member(
      role: role, identity: child.identity, log: log, arguments: arguments, namespace: namespace)
    state = try TestbedFolder.update(name) { state in
      if let place = state.members.firstIndex(where: { $0.role == role }) {
        state.members[place] = member
      } else {
        state.members.append(member)
      }
    }
    return child
  }

  /// Learns what other commands have written down since.
  mutating func refresh() throws(TestbedError) { state = try TestbedFolder.read(name) }

  /// Replaces this process by a program in a node's namespace: its status becomes the command's.
  /// Returns only by throwing.
  public func execute(_ arguments: [String], node: String) throws(TestbedError) -> Never {
    guard let namespace = layout.namespace(of: node) else {
      throw .noSuchNode(node, nodes: ["dir"] + layout.nodes.map(\.name))
    }
    setenv(ProcessTable.marker, name, 1)
    let all = Self.entering(namespace) + arguments
    withCStrings(all) { _ = execvp(all[0], $0) }
    throw .system(doing: "start \(all[0])", code: errno, reason: reason(errno))
  }

  /// `ip netns exec` would hide the BPF file system behind a /sys of its own; this does not.
  private static func entering(_ namespace: String?) -> [String] {
    namespace.map { ["nsenter", "--net=/run/netns/\($0)", "--"] } ?? []
  }

  /// Throws if the process has ended, with the last that it said.
  func checkRuns(_ child: ChildProcess, role: String) throws(TestbedError) {
    guard let status = child.exitStatus else { return }
    throw failure(role: role, what: "has ended with status \(status)")
  }

  /// An error that quotes the end of the process's log, since the file goes away with the testbed.
  func failure(role: String, what: String) -> TestbedError {
    let log = state.members.first { $0.role == role }?.log ?? folder
    let text = FileManager.default.contents(atPath: log).map { String(decoding: $0, as: UTF8.self) }
    let last = text?.split(separator: "\n").suffix(2).joined(separator: " | ") ?? ""
    return .process(role: role, what: what, said: last)
  }

  /// Asks again and again until `isReady`; gives up after `seconds`, or when a process has ended.
  func wait(
    for what: String, seconds: Double, while children: [(role: String, child: ChildProcess)],
    _ interruption: Interruption?, _ isReady: () -> Bool
  ) throws(TestbedError) {
    let limit = ContinuousClock.now + .seconds(seconds)
    while !isReady() {
      try interruption?.check()
      for (role, child) in children { try checkRuns(child, role: role) }
      guard ContinuousClock.now < limit else {
        let role = children.first?.role ?? "testbed"
        throw failure(role: role, what: "was not ready after \(Int(seconds)) s (\(what))")
      }
      usleep(10_000)
    }
  }
}
