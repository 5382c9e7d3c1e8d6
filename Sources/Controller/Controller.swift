internal import ControllerCore
internal import DataPlane
internal import Directory
public import Logging
public import Sockets
internal import Wire

/// A rack's controller: loads the data plane, attaches it to the rack's interfaces, and runs until
/// it is told to stop.
public enum Controller {
  /// What is known when the rack begins to take requests.
  public struct Serving: Sendable, Equatable {
    public var epoch: UInt16
    /// Where clients send requests.
    public var rack: Endpoint
    /// Servers in the rack.
    public var servers: Int
    /// Of the control socket.
    public var socket: String
  }

  /// Runs a controller on the calling thread and in its network namespace, until the process gets
  /// SIGTERM or SIGINT. Then the program is detached and the control socket removed.
  ///
  /// `onServing` is called once, on this thread. Throws `ControllerError`, `DataPlaneError` or
  /// `SocketError`, whose descriptions say what to do.
  public static func run(
    _ options: ControllerOptions, log: Logger, onServing: @escaping (Serving) -> Void = { _ in }
  ) throws {
    try options.check()
    for interface in options.interfaces { _ = try interfaceIndex(interface) }
    let places = try options.serverPlaces()
    let epochFile = try EpochFile(path: options.stateFile)
    _ = try epochFile.read()
    let listener = try ControlListener(path: options.socket)
    let socket = try UDPSocket(
      bind: Endpoint(options.rack.address, port: options.controlPort), bufferLength: 4 << 20)
    let plane = try DataPlane(
      configuration: DataPlaneConfiguration(
        rack: RackConfiguration(
          address: options.rack.address.mapped, port: options.rack.port,
          controlPort: options.controlPort),
        buckets: options.buckets))
    let signals = try StopSignals()
    // As late as can be, since an epoch that was taken is used up; but before the first packet.
    let state = try epochFile.next()
    let epoch = state.epoch
    let loop = try ControllerLoop(
      options,
      core: ControllerCore(options.core(epoch: epoch, places: places, members: state.members)),
      plane: plane,
      socket: socket, listener: listener, stop: signals.stop, log: log,
      onServing: {
        onServing(
          Serving(
            epoch: epoch, rack: options.rack, servers: options.servers.count,
            socket: options.socket))
      })
    loop.recordMembers = { members throws(ControllerError) in
      try epochFile.record(members, epoch: epoch)
    }
    try loop.begin()
    for interface in options.interfaces { try plane.attach(interface: interface) }
    log.info("epoch \(epoch), attached to \(options.interfaces.joined(separator: ", "))")
    try loop.run()
    log.info("stopping")
    withExtendedLifetime((epochFile, listener, signals)) {}
  }
}

extension ControllerOptions {
  func core(
    epoch: UInt16, places: [UInt8: ServerPlace], members: [RackMember] = []
  ) -> ControllerConfiguration {
    var configuration = ControllerConfiguration(
      epoch: epoch, servers: places, window: window, capacity: buckets * 4, seed: UInt64(epoch))
    configuration.policy = policy
    configuration.times = times
    configuration.members = members
    return configuration
  }
}
