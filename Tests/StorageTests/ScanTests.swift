import Storage
import Testing
import Wire

@Suite struct ScanTests {
  private func key(_ number: Int) -> [UInt8] { Array("key-\(number)".utf8) }
  private func hash(_ number: Int) -> UInt64 {
    (UInt64(number) &+ 1) &* 0x9e37_79b9_7f4a_7c15 | 1
  }

  private func store(_ table: MemoryTable, _ number: Int, length: Int = 8) {
    key(number).withUnsafeBytes { key in
      [UInt8](repeating: 7, count: length).withUnsafeBytes { value in
        table.store(
          key, keyHash: hash(number), value: value,
          RecordAttributes(
            version: UInt64(number) + 1, generation: 1, kind: .value, isForgettable: false))
      }
    }
  }

  private func remove(_ table: MemoryTable, _ number: Int) {
    key(number).withUnsafeBytes { table.remove($0, keyHash: hash(number)) }
  }

  @Test func everythingThatStaysIsSeenWhateverIsRemovedOrAddedMeanwhile() {
    for seed in 0..<40 {
      var random = Seeded(state: UInt64(seed))
      let table = MemoryTable(expectedKeys: 64)
      let count = 40 + seed * 7
      for number in 0..<count { store(table, number) }
      let staying = Set((0..<count).filter { $0 % 3 != 0 })
      var leaving = (0..<count).filter { $0 % 3 == 0 }.shuffled(using: &random)
      var seen: Set<Int> = []
      var next = count
      table.beginScan()
      var rounds = 0
      while !table.scan(
        effort: 1 + Int(random.next() % 9),
        { record in
          seen.insert(Int(record.version) - 1)
          return random.next() % 4 != 0
        })
      {
        if let number = leaving.popLast() { remove(table, number) }
        // New keys, so that the table grows now and then.
        if random.next() % 3 == 0, next < count * 3 {
          store(table, next)
          next += 1
        }
        rounds += 1
        #expect(rounds < 100_000)
      }
      #expect(staying.isSubset(of: seen))
    }
  }

  @Test func aPassOverAnEmptyTableEnds() {
    let table = MemoryTable()
    table.beginScan()
    var rounds = 0
    while !table.scan(effort: 100, { _ in true }) { rounds += 1 }
    #expect(rounds < 100)
    #expect(table.scan(effort: 1) { _ in true })
  }

  @Test func removingWhatIsNotThereDoesNothing() {
    let table = MemoryTable()
    store(table, 1)
    remove(table, 2)
    #expect(table.valueCount == 1)
    remove(table, 1)
    #expect(table.valueCount == 0 && table.recordCount == 0)
  }
}

@Suite struct SlotSessionTests {
  @Test func theEntriesOfASlotAreFound() {
    for sessionsMax in [4, 1024, 65_536] {
      let table = SessionTable(sessionsMax: sessionsMax)
      func record(_ client: UInt64, _ keyHash: UInt64) {
        _ = table.look(client: client << 22, sequence: 1, acknowledged: 1, keyHash: keyHash)
        table.record(
          client: client << 22, sequence: 1, acknowledged: 1, keyHash: keyHash, version: client,
          operation: .set, status: .ok)
      }
      let slot = 5000
      let (one, two) = (UInt64(slot) << 50 | 3, UInt64(slot) << 50 | 2)
      record(1, one)
      record(2, two)
      record(3, one)
      record(4, UInt64(slot + 1) << 50)
      let found = table.entries(inSlot: slot)
      #expect(found.map(\.keyHash) == [two, one])
      #expect(found.map { $0.entries.map(\.version) } == [[2], [1, 3]])
      #expect(table.entries(inSlot: slot + 1).count == 1)
      #expect(table.entries(inSlot: slot - 1).isEmpty)
      #expect(table.entries(inSlot: 0).isEmpty && table.entries(inSlot: 16_383).isEmpty)
    }
  }
}
