internal import ControllerCore
internal import Directory
internal import Wire

/// Racks that keep two copies of everything: whatever a client is told is on two servers, and no
/// value is lost with one of them.
extension RackWorld {
  /// The controller has declared a server lost.
  func noteLoss() {
    // It may have told so before: `isOnTwo` is what it thought then.
    if !wasOnTwo { isLossExcused = true }
    wasOnTwo = false
  }

  /// A new directory has gone on without some servers.
  func noteTakeOver(_ takeOver: TakeOver) {
    if takeOver.missing.count > (wasOnTwoBeforeReboot ? 1 : 0) { isLossExcused = true }
  }

  /// Called before the controller is given anything.
  func noteCopies() {
    guard scenario.copies > 1 else { return }
    wasOnTwo = !controller.isDown && controller.core.isOnTwo
    if wasOnTwo { result.coverage.momentsOnTwo += 1 }
  }

  /// What a client is about to be told by a server. Nobody is told by one that the directory takes for
  /// dead; and as long as it takes a dead one for living, one server may be all there is.
  func checkCopies(_ header: Header, from sender: Int) {
    guard scenario.copies > 1, header.operation.isRequest, watch.isAlive(servers[sender]) else {
      return
    }
    if header.status == .lost && !isLossExcused {
      fail(.needlessLoss, "`lost`, but no server was lost that had anything alone")
    }
    // It may have told servers meanwhile that one copy has to do: the last two part on purpose.
    guard header.status == .ok || header.status == .notFound, header.version > 0, wasOnTwo,
      controller.core.isOnTwo,
      !servers.contains(where: { watch.isMisjudged($0) }),
      let key = SimulatedKeys.all.first(where: { $0.hash == header.keyHash })
    else { return }
    // A promotion that is given up may leave its fresh version on one server: the value is the same.
    let value = servers[sender].storedValue(of: key)
    let holders = servers.count {
      watch.isAlive($0)
        && ($0.storedVersion(of: key) >= header.version
          || value != nil && $0.storedValue(of: key) == value)
    }
    // One that was deleted since may have been forgotten here and there, and so may the delete: a
    // read that is late may be told of it all the same.
    if holders < 2, header.flags.isDisjoint(with: [.tombstone, .notHolder]),
      watch.newestTombstone(key.hash) <= header.version
    {
      fail(
        .onTwoServers,
        "\(key.name): a client is told of version \(header.version), which \(holders) has")
    }
  }
}
