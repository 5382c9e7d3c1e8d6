internal import ControllerCore
internal import DataPlane
internal import Directory
public import Logging
public import Sockets
internal import Wire

/// A rack's controller: loads the data plane, or goes on with the one that another controller has
/// left running, attaches it to the rack's interfaces, and runs until it is told to stop.
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
    /// It has been serving before, under another controller.
    public var isAdopted: Bool
    /// Packets are counted only.
    public var isDryRun = false
  }

  /// How long the kernel gets to find servers whose MAC address is not given. Milliseconds.
  private static let startPatience = 500

  /// Runs a controller on the calling thread and in its network namespace, until the process gets
  /// SIGTERM or SIGINT. Then the control socket is removed; the data plane stays and goes on, unless
  /// the options say otherwise.
  ///
  /// `onServing` is called once, on this thread. `readOptions`: the options as they are to be from
  /// now on, asked for at SIGHUP and by command; nil if there is nothing to read them from. Throws
  /// `ControllerError`, `DataPlaneError` or `SocketError`, whose descriptions say what to do.
  public static func run(
    _ options: ControllerOptions, log: Logger,
    readOptions: (() throws(ReloadRefusal) -> ControllerOptions)? = nil,
    onServing: @escaping (Serving) -> Void = { _ in }
  ) throws {
    try options.check()
    for interface in options.interfaces { _ = try interfaceIndex(interface) }
    let neighbours = try NeighbourWatch()
    try neighbours.watch(options, patience: startPatience)
    let places = try options.serverPlaces(neighbours)
    if options.isDryRun { return try DryRun.run(options, places, log: log, onServing: onServing) }
    let pins = try PinDirectory(rack: options.name)
    let epochFile = try EpochFile(path: options.stateFile)
    _ = try epochFile.read()
    let listener = try ControlListener(path: options.socket)
    let socket = try UDPSocket(
      bind: Endpoint(options.rack.address, port: options.controlPort), bufferLength: 4 << 20)
    let plane = try DataPlane(
      configuration: options.planeConfiguration(isRunning: !pins.isEmpty, log: log), pins: pins,
      replacingProgram: options.replacesProgram)
    let signals = try StopSignals()
    let hangUp = try ReloadSignal()
    var configuration = options.core(places: places)
    if plane.isAdopted {
      let found = plane.memory.contents()
      let state = try epochFile.read()
      try options.check(found, lastEpoch: state.epoch)
      try epochFile.raise(to: found.epoch)
      configuration.begin(epoch: found.epoch)
      configuration.keepPlaces(found)
      configuration.members = state.members
      configuration.serviceOrders = state.serviceOrders
      // Words count with the window that they were begun with.
      configuration.window = found.window
    } else {
      // As late as can be, since an epoch that was taken is used up; but before the first packet.
      let state = try epochFile.next()
      configuration.begin(epoch: state.epoch)
      configuration.members = state.members
      configuration.serviceOrders = state.serviceOrders
    }
    let epoch = configuration.epoch
    let loop = try ControllerLoop(
      options, core: ControllerCore(configuration), plane: plane, socket: socket,
      listener: listener, stop: signals.stop, reload: hangUp.reload,
      neighbours: neighbours, log: log,
      onServing: {
        onServing(
          Serving(
            epoch: epoch, rack: options.rack, servers: options.servers.count,
            socket: options.socket, isAdopted: plane.isAdopted))
      })
    loop.readOptions = readOptions
    loop.record = { core throws(ControllerError) in
      try epochFile.record(
        .init(epoch: epoch, members: core.members, serviceOrders: core.serviceOrders))
    }
    if plane.isAdopted {
      let isReplaced = try plane.adopt()
      log.info(
        "epoch \(epoch): going on with \(pins.path), \(isReplaced ? "its program replaced" : "its program kept")"
      )
      try loop.adopt()
    } else {
      try loop.begin()
    }
    for interface in plane.interfaces where !options.interfaces.contains(interface) {
      try plane.detach(interface: interface)
      log.warning("detached from \(interface), which is no longer in the rack file")
    }
    try options.attach(plane, log: log)
    log.info("epoch \(epoch), attached to \(options.interfaces.joined(separator: ", "))")
    try loop.run()
    if options.detachesOnExit {
      log.info("stopping; the data plane goes with it")
      try pins.remove()
    } else {
      log.info(
        "stopping; the data plane goes on. Take it away with `hotrack detach \(options.name)`")
    }
    withExtendedLifetime((epochFile, listener, signals, hangUp, pins)) {}
  }
}

extension ControllerConfiguration {
  /// Where nobody knows yet where to send, it is as it was.
  fileprivate mutating func keepPlaces(_ found: DirectoryContents) {
    for (number, place) in servers where place.mac.allSatisfy({ $0 == 0 }) {
      let known = found.servers[Int(number)]
      if known.address == place.address { servers[number]?.mac = known.mac }
    }
  }
}

extension Logger {
  func warnOfGenericMode(_ interface: String) {
    warning(
      """
      the driver of \(interface) cannot run XDP programs: attached in generic mode, in which each \
      packet costs about as much as in the kernel's own forwarding
      """)
  }
}

extension ControllerOptions {
  /// What the data plane is loaded with. `isRunning`: there is one that goes on.
  func planeConfiguration(isRunning: Bool, log: Logger) -> DataPlaneConfiguration {
    var rack = RackConfiguration(
      address: self.rack.address.mapped, port: self.rack.port, controlPort: controlPort)
    rack.isOneArm = isOneArm
    rack.isDryRun = isDryRun
    rack.keys = keys
    rack.limit = limit
    var configuration = DataPlaneConfiguration(rack: rack, buckets: buckets)
    configuration.kind = plane
    guard plane == nil, !isRunning else { return configuration }
    let (kind, reason) = PlaneKind.suiting(interfaces)
    configuration.kind = kind
    if let reason {
      log.warning(
        """
        \(reason). The rack's packets are handled on TC instead, in which each costs about as much as \
        in the kernel's own forwarding; `plane = "xdp"` under [directory] insists on XDP
        """)
    }
    return configuration
  }

  /// Attaches a data plane to those of the interfaces that it is not attached to yet.
  func attach(_ plane: DataPlane, log: Logger) throws(DataPlaneError) {
    let attached = plane.interfaces
    for interface in interfaces where !attached.contains(interface) {
      if try plane.attach(interface: interface) == .generic { log.warnOfGenericMode(interface) }
    }
  }
}

extension ControllerConfiguration {
  fileprivate mutating func begin(epoch: UInt16) {
    self.epoch = epoch
    firstVersion = Version.first(ofEpoch: epoch)
    seed = UInt64(epoch)
  }
}

extension ControllerOptions {
  /// Throws if a directory that is running is not this rack's, or not of this state file.
  func check(_ found: DirectoryContents, lastEpoch: UInt16) throws(ControllerError) {
    func refuse(_ reason: String) -> ControllerError {
      .directoryDiffers(rack: name, reason: reason)
    }
    guard found.epoch >= lastEpoch else {
      throw refuse(
        "it is of epoch \(found.epoch), and the state file \(stateFile) knows of a later one, "
          + "\(lastEpoch)")
    }
    for entry in found.entries
    where KeyHash.of(entry.note.key, seed: hashSeed) != entry.keyHash {
      throw refuse("its key hashes are not made with the seed \(hashSeed)")
    }
    let needed = found.slots.reduce(found.alive) { servers, slot in
      slot.home < WireLimits.serversMax && found.serving && !slot.moving
        ? servers | 1 << UInt32(slot.home) : servers
    }
    for number in UInt8(0)..<UInt8(WireLimits.serversMax)
    where needed >> UInt32(number) & 1 == 1 && !servers.contains(where: { $0.number == number }) {
      throw refuse("server \(number) is part of it, and the rack file does not have that server")
    }
  }

  func core(
    epoch: UInt16 = 1, places: [UInt8: ServerPlace], members: [RackMember] = []
  ) -> ControllerConfiguration {
    var configuration = ControllerConfiguration(
      epoch: epoch, servers: places, window: window, capacity: buckets * 4, seed: UInt64(epoch))
    configuration.copies = copies
    configuration.policy = policy
    configuration.drained = Set(servers.filter(\.isDrained).map(\.number))
    configuration.times = times
    configuration.members = members
    return configuration
  }
}
