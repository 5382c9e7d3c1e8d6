internal import ControllerCore
internal import DataPlane
internal import Directory
internal import Logging
internal import Sockets
internal import Wire

/// A dry run (`hotrack attach --dry-run`): the data plane counts what it would do, and every packet
/// goes its way as if nobody looked. No server hears of it, nothing is written down, and with the process
/// all of it is gone.
///
/// The directory serves from the beginning, with all servers of the rack file, the slots dealt out
/// evenly and no hot keys.
enum DryRun {
  /// The epoch of a directory that no server ever hears of.
  static let epoch: UInt16 = 1

  /// Runs it on the calling thread until the process gets SIGTERM or SIGINT.
  static func run(
    _ options: ControllerOptions, _ places: [UInt8: ServerPlace], log: Logger,
    onServing: (Controller.Serving) -> Void
  ) throws {
    let listener = try ControlListener(path: options.socket)
    // Nobody is asked anything, so nobody answers.
    let socket = try UDPSocket(bind: Endpoint(.loopback, port: 0))
    let plane = try DataPlane(
      configuration: options.planeConfiguration(isRunning: false, log: log))
    let signals = try StopSignals()
    let core = ControllerCore(options.core(epoch: epoch, places: places))
    let loop = try ControllerLoop(
      options, core: core, plane: plane, socket: socket, listener: listener, stop: signals.stop,
      log: log, onServing: {})
    try loop.begin()
    let drained = Set(options.servers.filter(\.isDrained).map(\.number))
    for change in changes(
      places: places, drained: drained, window: options.window,
      sampleInterval: core.state.sampleInterval)
    {
      plane.memory.apply(change)
    }
    try options.attach(plane, log: log)
    onServing(
      Controller.Serving(
        epoch: epoch, rack: options.rack, servers: options.servers.count, socket: options.socket,
        isAdopted: false, isDryRun: true))
    try loop.run()
    withExtendedLifetime((listener, signals, plane)) {}
  }

  /// Whether the loop may carry out an effect of its core.
  static func allows(_ effect: ControllerEffect) -> Bool {
    switch effect {
    case .publish(.decayLoads), .publish(.setSampleInterval): true
    default: false
    }
  }

  /// What makes an empty directory one that decides.
  static func changes(
    places: [UInt8: ServerPlace], drained: Set<UInt8>, window: UInt32, sampleInterval: UInt32
  ) -> [DirectoryChange] {
    let numbers = places.keys.sorted()
    let living = numbers.filter { !drained.contains($0) }
    var changes: [DirectoryChange] = [
      .begin(
        epoch: epoch, serverCount: UInt32(numbers.last ?? 0) + 1,
        nextVersion: Version.first(ofEpoch: epoch), window: window)
    ]
    changes += numbers.compactMap { number in places[number].map { .setServer(number, $0) } }
    for (index, number) in living.enumerated() {
      let (first, end) = (
        WireLimits.slots * index / living.count, WireLimits.slots * (index + 1) / living.count
      )
      changes.append(
        .setSlots(first: UInt16(first), count: UInt16(end - first), home: number, moving: false))
    }
    changes += [
      .setAlive(living.reduce(0) { $0 | 1 << UInt32($1) }),
      .setGeneration(Generation.first(ofEpoch: epoch)), .setSampleInterval(sampleInterval),
      .setServing(true),
    ]
    return changes
  }
}
