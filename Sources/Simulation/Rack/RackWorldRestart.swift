internal import ControllerCore
internal import Directory

/// The controller of a simulated rack dies at any moment, what it was about to do is left undone,
/// and another one goes on with the directory as it then is.
extension RackWorld {
  /// It dies after so many of its next effects, at least one. False: it is dead or dying already.
  func crashController(afterEffects count: Int) -> Bool {
    guard !controller.isDown, controller.effectsLeft == nil else { return false }
    controller.effectsLeft = count
    return true
  }

  /// Called after each of its effects. Returns whether it was the last.
  func diesNow() -> Bool {
    guard let left = controller.effectsLeft else { return false }
    controller.effectsLeft = left - 1
    guard left <= 1 else { return false }
    // Of a directory that does not serve yet nothing is left to go on with: that is a reboot.
    guard memory.contents().serving else {
      controller.effectsLeft = 1
      return false
    }
    result.controllerCrashes += 1
    result.coverage.add(controller.core.state.totals)
    controller.die()
    world.controllerPaused = 0
    trace.record(at: scheduler.now, code: 10, text: "the controller dies")
    return true
  }

  /// Another one takes the place of the one that has died; one that is dying lives on.
  func restartController() {
    controller.effectsLeft = nil
    guard controller.isDown, !host.isDown else { return }
    controller = SimulatedController(
      scenario, faults: faults, capacity: memory.capacity, epoch: host.epoch,
      members: host.members, serviceOrders: host.serviceOrders)
    trace.record(at: scheduler.now, code: 11, text: "another controller takes over")
    let now = controller.clock.reading(at: scheduler.now)
    give(.adopt(now: now, memory.contents()))
  }
}
