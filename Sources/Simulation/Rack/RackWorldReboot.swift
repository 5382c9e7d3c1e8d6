internal import ControllerCore
internal import Directory

/// The host of the directory: what of it outlives a power failure.
struct SimulatedHost {
  var isDown = false
  /// On its disk: the last epoch in use, and whose data count.
  var epoch: UInt16 = 1
  var members: [RackMember] = []
  /// And who was drained or added by command.
  var serviceOrders: [ServiceOrder] = []
  /// A grace period that was asked for when fewer packets had come was asked for before it went down.
  var packetsBefore = 0
}

extension RackWorld {
  /// The directory and its controller lose what they have in memory, and so do packets that are
  /// being decided. Returns whether they did.
  func loseHost() -> Bool {
    guard !host.isDown else { return false }
    host.isDown = true
    result.reboots += 1
    if !controller.isDown { result.coverage.add(controller.core.state.totals) }
    processors.packetsBegun += 1
    host.packetsBefore = processors.packetsBegun
    processors.underWay = [:]
    controller.effects = []
    controller.nextEffect = 0
    controller.changing = nil
    controller.inbox = []
    watch.forgetDirectory()
    return true
  }

  /// The host is back: a directory with nothing in it begins the next epoch.
  func startHost() {
    guard host.isDown else { return }
    host.isDown = false
    host.epoch += 1
    memory = DirectoryMemory(
      buckets: scenario.buckets, randomSeed: UInt32(truncatingIfNeeded: processors.random.next()))
    memory.faults = faults.directory
    controller = SimulatedController(
      scenario, faults: faults, capacity: memory.capacity, epoch: host.epoch,
      members: host.members, serviceOrders: host.serviceOrders)
    trace.record(
      at: scheduler.now, code: 11, values: UInt64(host.epoch),
      text: "the directory's host is back, epoch \(host.epoch)")
    world.controllerPaused = 0
    wasOnTwoBeforeReboot = wasOnTwo
    give(.start(now: controller.clock.reading(at: scheduler.now)))
  }

  /// What servers still have is not lost by a directory that takes over.
  func check(_ takeOver: TakeOver) {
    result.coverage.count(takeOver)
    if result.crashes == 0, !watch.hasLostServers, takeOver.missing.isEmpty,
      takeOver.keysLost > 0 || takeOver.slotsLost > 0
    {
      fail(.needlessLoss, "\(takeOver)")
    }
  }
}
