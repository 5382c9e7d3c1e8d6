import CAllocations
import Storage
import Testing
import Wire

private func client(birth: UInt64, _ low: UInt64 = 1) -> UInt64 { birth << 22 | low }

extension SessionTable {
  fileprivate func look(_ client: UInt64, _ sequence: UInt64, mark: UInt64) -> SessionFinding {
    look(client: client, sequence: sequence, acknowledged: mark, keyHash: 7)
  }

  fileprivate func record(
    _ client: UInt64, _ sequence: UInt64, mark: UInt64, version: UInt64 = 1, keyHash: UInt64 = 7
  ) {
    record(
      client: client, sequence: sequence, acknowledged: mark, keyHash: keyHash, version: version,
      operation: .set, status: .ok)
  }
}

private func entry(_ client: UInt64, _ sequence: UInt64, version: UInt64 = 1) -> SessionEntry {
  SessionEntry(client: client, sequence: sequence, version: version, operation: .set, status: .ok)
}

@Suite struct SessionTableTests {
  @Test func aRecordedWriteIsSeenUntilItIsAcknowledged() {
    let sessions = SessionTable(sessionsMax: 4)
    let one = client(birth: 10)
    #expect(sessions.look(one, 5, mark: 5) == .unseen)
    sessions.record(one, 5, mark: 5, version: 99)
    #expect(sessions.look(one, 5, mark: 5) == .seen(entry(one, 5, version: 99)))
    #expect(
      sessions.look(client: one, sequence: 5, acknowledged: 5, keyHash: 8) == .seenForAnotherKey)
    // The finding is of before the mark rises: the request itself says that 5 is finished.
    #expect(sessions.look(one, 7, mark: 6) == .unseen)
    #expect(sessions.look(one, 5, mark: 5) == .finished)
    #expect(sessions.entries(ofKeyHash: 7).isEmpty)
  }

  @Test func theOldestClientMakesRoomAndIsToldSo() {
    let sessions = SessionTable(sessionsMax: 3)
    for birth in [UInt64(30), 10, 20] { sessions.record(client(birth: birth), 1, mark: 1) }
    #expect(sessions.look(client(birth: 40), 1, mark: 1) == .unseen)
    sessions.record(client(birth: 40), 1, mark: 1)
    #expect(sessions.count == 3 && sessions.evictedBirth == 10)
    #expect(sessions.look(client(birth: 10), 2, mark: 1) == .lost)
    #expect(sessions.look(client(birth: 20), 1, mark: 1) == .seen(entry(client(birth: 20), 1)))
    // Born between those that are known: never seen here, and younger than what was evicted; but
    // the oldest that is known is younger.
    #expect(sessions.look(client(birth: 15), 1, mark: 1) == .lost)
    #expect(sessions.evictedBirth == 15)
    #expect(sessions.look(client(birth: 25), 1, mark: 1) == .unseen)
    #expect(sessions.entries(ofKeyHash: 7).map(\.client) == [20, 30, 40].map { client(birth: $0) })
  }

  @Test func mergedEntriesRespectTheMarkAndEviction() {
    let sessions = SessionTable(sessionsMax: 2)
    let known = client(birth: 50)
    sessions.record(known, 10, mark: 10)
    sessions.merge(entry(known, 9), keyHash: 7)
    sessions.merge(entry(known, 12, version: 5), keyHash: 7)
    sessions.merge(entry(known, 10, version: 6), keyHash: 7)
    #expect(
      sessions.entries(ofKeyHash: 7)
        == [entry(known, 10, version: 6), entry(known, 12, version: 5)],
      "of two results the later one counts, what is finished stays out")
    sessions.merge(entry(known, 10, version: 4), keyHash: 7)
    #expect(sessions.entries(ofKeyHash: 7).first == entry(known, 10, version: 6))
    // A higher number than the mark allows shows that everything 64 below it is finished.
    sessions.merge(entry(known, 80), keyHash: 7)
    #expect(sessions.look(known, 16, mark: 10) == .finished)
    #expect(sessions.look(known, 17, mark: 10) == .unseen)
    sessions.raiseEvictedBirth(to: 60)
    sessions.merge(entry(client(birth: 55), 1), keyHash: 7)
    #expect(sessions.look(client(birth: 55), 1, mark: 1) == .lost)
    sessions.merge(entry(client(birth: 61), 1, version: 9), keyHash: 7)
    #expect(
      sessions.look(client(birth: 61), 1, mark: 1) == .seen(entry(client(birth: 61), 1, version: 9))
    )
  }

  @Test func anyOrderOfWritesIsRememberedAsADictionaryWould() {
    var random = Seeded(state: 5)
    let sessions = SessionTable(sessionsMax: 40)
    struct Known {
      var mark: UInt64
      var entries: [UInt64: (version: UInt64, keyHash: UInt64)] = [:]
    }
    var model: [UInt64: Known] = [:]
    var evicted: UInt64 = 0
    var marks: [UInt64: UInt64] = [:]
    for step in UInt64(1)...60_000 {
      let birth = 1 + random.next() % 60 + step / 1_000
      let one = client(birth: birth, birth % 5)
      var mark = marks[one] ?? 1
      if random.next() % 3 == 0 { mark += random.next() % 5 }
      if random.next() % 200 == 0 { mark += 100 }
      marks[one] = mark
      let sequence = mark + random.next() % 64
      let keyHash = sequence % 16 + 1
      let finding = sessions.look(
        client: one, sequence: sequence, acknowledged: mark, keyHash: keyHash)
      if var known = model[one] {
        let entry = known.entries[sequence]
        if sequence < known.mark {
          #expect(finding == .finished)
        } else if let entry {
          #expect(
            finding
              == .seen(
                SessionEntry(
                  client: one, sequence: sequence, version: entry.version, operation: .set,
                  status: .ok)))
        } else {
          #expect(finding == .unseen)
        }
        known.mark = max(known.mark, mark)
        known.entries = known.entries.filter { $0.key >= known.mark }
        model[one] = known
      } else {
        let oldest = model.keys.min().map { $0 >> 22 } ?? 0
        let isLost = birth <= evicted || (model.count == 40 && birth <= oldest)
        #expect(finding == (isLost ? .lost : .unseen))
        if isLost { evicted = max(evicted, birth) }
      }
      if finding == .unseen {
        if model[one] == nil {
          if model.count == 40, let oldest = model.keys.min() {
            evicted = max(evicted, oldest >> 22)
            model[oldest] = nil
          }
          model[one] = Known(mark: mark)
        }
        model[one]?.entries[sequence] = (step, keyHash)
        sessions.record(
          client: one, sequence: sequence, acknowledged: mark, keyHash: keyHash, version: step,
          operation: .set, status: .ok)
      }
      if step % 500 == 0 {
        for keyHash in UInt64(1)...16 {
          let expected = model.flatMap { one, known in
            known.entries.filter { $0.value.keyHash == keyHash }.map { (one, $0.key) }
          }
          let found = sessions.entries(ofKeyHash: keyHash).map { ($0.client, $0.sequence) }
          #expect(found.count == expected.count)
          #expect(found.elementsEqual(expected.sorted { $0 < $1 }) { $0 == $1 })
        }
        #expect(sessions.count == model.count && sessions.evictedBirth == evicted)
      }
    }
  }
}
