import Directory
import Testing

/// Changes of the directory that are made store by store.
@Suite struct SteppedChangeTests {
  private static let place = ServerPlace(
    incarnation: 77, interface: 3, port: 9, mac: [1, 2, 3, 4, 5, 6],
    address: (0..<16).map { $0 })

  private static let note = EntryNote(
    key: Array("a key".utf8), isPinned: true, isLeaving: true, lossGeneration: 5)

  static let changes: [DirectoryChange] = [
    .setServer(2, place), .setSlots(first: 4000, count: 300, home: 3, moving: true),
    .setSlots(first: 0, count: 2, home: 1, moving: false),
    .setSlots(first: 7, count: 2, home: 1, reader: 2, moving: false),
    .setTargets(table: 5, servers: (0..<256).map { UInt8($0 % 3) }),
    .insert(entry: 7, keyHash: 99, home: 1),
    .makeHot(
      entry: 52, completed: 1234, replicaSet: 0b1010, since: 8, home: 1, copies: 2, targets: 5),
    .remove(entry: 52), .forgetServer(entry: 52, server: 1), .rebase(entry: 52),
    .noteEntry(entry: 52, note), .noteSlotLoss(first: 10, count: 20, generation: 6),
    .noteBan(place: 3, Ban(keyHash: 4, until: 5)),
  ]

  private func directory() -> DirectoryMemory {
    let directory = makeDirectory()
    makeHot(directory, 1234, replicaSet: 0b0110)
    return directory
  }

  @Test("Store by store it becomes what it becomes at once", arguments: changes)
  func same(_ change: DirectoryChange) throws {
    let (whole, stepped) = (directory(), directory())
    whole.apply(change)
    #expect(whole.contents() != directory().contents() || change == .rebase(entry: 52))
    let stores = try #require(SteppedChange(change, of: stepped))
    var count = 0
    while !stores.advance(steps: 2) { count += 1 }
    #expect(count < stores.countMax)
    #expect(stepped.contents() == whole.contents())
    for entry in UInt32(0)..<64 {
      #expect(stepped.reading(ofEntry: entry) == whole.reading(ofEntry: entry))
    }
  }

  @Test func whatTakesOneStoreIsNotSplit() {
    let directory = directory()
    for change in [DirectoryChange.setAlive(1), .setGeneration(5), .noteAway(2)] {
      #expect(SteppedChange(change, of: directory) == nil)
    }
  }

  /// Whoever dies before the last store of an insertion has inserted nothing.
  @Test func anEntryIsThereWithItsLastStore() throws {
    let directory = directory()
    let stores = try #require(
      SteppedChange(.insert(entry: 7, keyHash: 99, home: 1), of: directory))
    #expect(!stores.advance(steps: 4))
    #expect(directory.contents().entries.count == 1)
    #expect(stores.advance(steps: 0))
    #expect(directory.contents().entries.count == 2)
  }
}
