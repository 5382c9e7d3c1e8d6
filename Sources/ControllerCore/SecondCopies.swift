internal import Directory
internal import Wire

// Two copies of everything that was answered for (docs/protocol.md §11).
extension ControllerCore {
  /// How many servers a write of a hot key has to be on: two, if two are to stay.
  var copiesInForce: Int { min(configuration.copies, max(1, heirs.count)) }

  /// The same, once this server is part of the rack.
  func copiesWith(_ number: UInt8) -> Int {
    let others = servers.count { $0.phase == .alive && !$0.isDraining && $0.number != number }
    return min(configuration.copies, isDraining(number) ? max(1, others) : others + 1)
  }

  /// Who is to have a key's newest value beside its home server at the end of a transition: the
  /// backup of its slot, or, while that is being filled, the next living server.
  func second(of hash: UInt64, among numbers: [UInt8]? = nil) -> UInt8? {
    guard configuration.copies > 1, !faults.contains(.syncToHomeOnly) else { return nil }
    if let backup = slots.backup(ofHash: hash) { return backup }
    let home = slots.home(ofHash: hash)
    // As `copiesInForce` counts: where all are being drained, they go on together.
    let others = (numbers?.filter { !isDraining($0) } ?? heirs).filter { $0 != home }
    return others.first { $0 > home } ?? others.first
  }

  /// Every living server hands on what it executes of hot keys.
  var areServersTold: Bool {
    copiesInForce > 1
      && servers.allSatisfy { $0.phase != .alive || $0.copiesTold == 2 && $0.slotsTask == nil }
  }

  /// A transition has brought a key's newest value to its home and the other server.
  func isOnTwo(after item: BatchItem) -> Bool {
    areServersTold && (item.second != nil || faults.contains(.syncToHomeOnly))
  }

  /// Every hot key's acknowledged writes are on two living servers.
  var areKeysOnTwo: Bool {
    serving && areServersTold
      && !entries.inOrder.contains {
        $0.mode != .adding && ($0.lossGeneration < lossGeneration || !$0.isOnTwo)
      }
  }

  /// Everything that was answered for is on two living servers, so that any one of them may be lost.
  public var isOnTwo: Bool {
    areKeysOnTwo && recovery == nil && slots.haveBackups
      && !entries.inOrder.contains { $0.mode != .adding && $0.second != second(of: $0.keyHash) }
  }

  /// What a durable server remembers does not say which of it others have: it would show, after a
  /// restart, what nobody was answered.
  mutating func refuseDurable(_ index: Int, _ header: Header) {
    guard servers[index].complainedOf != header.incarnation else { return }
    servers[index].complainedOf = header.incarnation
    notice(.durableRefused(servers[index].number))
  }

  /// Servers that were told another number of copies than is in force are told again.
  mutating func adaptCopies() {
    guard serving, configuration.copies > 1 else { return }
    if isOnTwo != wasOnTwo {
      wasOnTwo.toggle()
      notice(.onTwoServers(wasOnTwo))
    }
    // SLOTS_SET would undo what a move has done so far.
    guard recovery == nil, move == nil else { return }
    for index in servers.indices
    where servers[index].phase == .alive && servers[index].copiesTold != copiesInForce
      && servers[index].slotsTask == nil
    {
      sendSlots(index)
    }
  }

  /// What lost servers were backup of goes on without them: if they come back with it, it is old.
  mutating func disownLost(_ lost: [UInt8]) {
    for index in members.indices where lost.contains(members[index].server) {
      if !living.contains(members[index].server) { members[index].incarnation = 0 }
    }
  }
}
