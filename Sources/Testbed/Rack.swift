internal import Configuration
public import Controller
internal import Foundation
internal import Glibc
internal import Sockets

/// The rack of a testbed: controller and servers.
extension Testbed {
  /// How long a rack may take to come up, in seconds.
  private static let patience = 20.0

  /// Starts servers and controller; returns when the rack serves with all of its servers.
  mutating func startRack(
    _ file: TestbedFile, _ interruption: Interruption?, _ progress: (String) -> Void
  ) throws(TestbedError) {
    let rackFile = "\(folder)/rack.toml"
    try TestbedFolder.write(layout.rackFile(of: file, folder: folder).text, to: rackFile)
    if file.isTagged { try makeRackKey() }
    try makeDataFolder(file)
    progress("starting \(file.servers) servers")
    var children: [(role: String, child: ChildProcess)] = []
    for (role, arguments) in serverCommands(file) {
      children.append((role, try start(role: role, namespace: nil, arguments)))
    }
    progress("starting the controller")
    let controller = try startController(rackFile: rackFile)
    children.insert(("controller", controller), at: 0)
    try waitUntilServing(children, interruption)
  }

  private func makeRackKey() throws(TestbedError) {
    let path = TestbedLayout.rackKeyFile(in: folder)
    let key = Data((0..<16).map { _ in UInt8.random(in: .min ... .max) })
    guard
      FileManager.default.createFile(
        atPath: path, contents: key, attributes: [.posixPermissions: 0o600])
    else { throw .run("cannot write \(path)") }
  }

  /// An empty folder for the data of durable servers.
  private mutating func makeDataFolder(_ file: TestbedFile) throws(TestbedError) {
    guard file.engine == .rocksdb else { return }
    let folder = "\(file.data ?? "/var/tmp/hotrack-testbed")/\(name)"
    try Self.removeData(of: name, in: folder)
    do {
      try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw .run("cannot make \(folder): \(error.localizedDescription)")
    }
    // `down` has to know where to look, whatever becomes of this.
    state = try TestbedFolder.update(name) { $0.data = folder }
    if let megabytes = file.diskMegabytes { try mountDisks(folder, megabytes: megabytes) }
  }

  /// One process hosts all emulated servers, or each has its own. A server enters its namespace by
  /// itself, so that the command is the same for both.
  private func serverCommands(_ file: TestbedFile) -> [(role: String, arguments: [String])] {
    let common =
      ["server", "--directory", "\(layout.rackAddress)", "--seed", "\(file.hashSeed)"]
      + (file.capacity.map { ["--capacity", "\($0)"] } ?? [])
      + (file.isTagged ? ["--rack-key-file", TestbedLayout.rackKeyFile(in: folder)] : [])
      + (file.gatherMicroseconds > 0 ? ["--gather-us", "\(file.gatherMicroseconds)"] : [])
      // A small reserve: a testbed has many servers on one disk.
      + (state.data.map { ["--engine", "rocksdb", "--data", $0, "--reserve-mb", "16"] } ?? [])
    let places = layout.servers.map { node in
      ["--server", "\(node.number)=\(node.address)@\(node.namespace)"]
    }
    if file.oneProcess {
      return [("servers", [executable] + common + places.flatMap(\.self))]
    }
    return zip(layout.servers, places).map { node, place in
      ("server \(node.number)", [executable] + common + place)
    }
  }

  private mutating func startController(rackFile: String) throws(TestbedError) -> ChildProcess {
    try start(
      role: "controller", namespace: layout.directoryNamespace,
      [executable, "controller", "--config", rackFile])
  }

  private func waitUntilServing(
    _ children: [(role: String, child: ChildProcess)], _ interruption: Interruption?
  ) throws(TestbedError) {
    let servers = layout.servers.count
    try wait(for: "the rack serves", seconds: Self.patience, while: children, interruption) {
      guard let status = try? ask(.status).status else { return false }
      return status.serving && status.serversAlive == servers
    }
  }

  /// Asks the testbed's controller.
  public func ask(
    _ command: ControlRequest.Command, key: String? = nil, on: Bool? = nil
  ) throws(ControlClientError) -> ControlAnswer {
    try ControlClient(socket: controlSocket).ask(ControlRequest(command, key: key, on: on))
  }
}
