internal import Glibc
internal import Logging
internal import NIOCore

/// A disk that fills up: changes are refused while there still is room for what has to be written.
extension StoreNode {
  /// Segments of the log for which there has to be room, beside the spare one...
  private static let roomMin: UInt64 = 2
  /// ...and for how many before changes are taken again.
  private static let roomAgain: UInt64 = 4

  /// Looks every second how much room there is.
  func watchSpace() {
    eventLoop.scheduleTask(in: .seconds(1)) { [self] in
      guard !isStopping else { return }
      lookForSpace()
      watchSpace()
    }
  }

  private func lookForSpace() {
    guard hasRoom else { return setSpaceLow(true) }
    guard isSpaceLow else { return }
    // The log may lack its spare segment.
    writer.tidy(removingBefore: nil) { [self] error, isLow in
      eventLoop.execute { [self] in
        if let error { return fail("\(error)") }
        setSpaceLow(isLow || !hasRoom)
      }
    }
  }

  /// Whether there is room on the disk for more than what has to be written.
  var hasRoom: Bool {
    var disk = statvfs()
    guard statvfs(options.dataDirectory, &disk) == 0 else { return true }
    let free = UInt64(disk.f_bavail).multipliedReportingOverflow(by: UInt64(disk.f_frsize))
    let segments = isSpaceLow ? Self.roomAgain : Self.roomMin
    return free.overflow || free.partialValue >= segments * UInt64(options.segmentLength)
  }

  func setSpaceLow(_ isLow: Bool) {
    guard isLow != isSpaceLow else { return }
    isSpaceLow = isLow
    if isLow {
      log.error("the disk is full: no changes are taken until there is room again")
    } else {
      log.notice("there is room on the disk again")
      guard isStoringHeldBack else { return }
      isStoringHeldBack = false
      storeSome()
    }
  }
}
