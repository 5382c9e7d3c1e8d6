/// A table in memory whose every change is written into a journal as well. What is read comes from
/// memory; the journal brings it back after the process has ended.
public final class DurableTable: StorageEngine {
  private let table: MemoryTable
  private let journal: StateJournal

  /// An empty table.
  public init(expectedKeys: Int = 1024, journal: StateJournal) {
    table = MemoryTable(expectedKeys: expectedKeys)
    self.journal = journal
  }

  public var valueCount: Int { table.valueCount }

  public func find(_ key: UnsafeRawBufferPointer, keyHash: UInt64) -> StoredRecord? {
    table.find(key, keyHash: keyHash)
  }

  public func store(
    _ key: UnsafeRawBufferPointer, keyHash: UInt64, value: UnsafeRawBufferPointer,
    _ attributes: RecordAttributes
  ) {
    table.store(key, keyHash: keyHash, value: value, attributes)
    journal.store(key, keyHash: keyHash, value: value, attributes)
  }

  public func update(
    _ key: UnsafeRawBufferPointer, keyHash: UInt64, _ attributes: RecordAttributes
  ) {
    let before = table.find(key, keyHash: keyHash)
    table.update(key, keyHash: keyHash, attributes)
    // Whether it is forgettable follows from the slots.
    let isWrittenDown =
      before?.version == attributes.version && before?.generation == attributes.generation
      && before?.kind == attributes.kind
    guard !isWrittenDown, let record = table.find(key, keyHash: keyHash) else { return }
    journal.store(key, keyHash: keyHash, value: record.value, attributes)
  }

  public func remove(_ key: UnsafeRawBufferPointer, keyHash: UInt64) {
    journal.remove(key, keyHash: keyHash)
    table.remove(key, keyHash: keyHash)
  }

  public func beginScan() { table.beginScan() }

  public func scan(effort: Int, _ body: (StoredRecord) -> Bool) -> Bool {
    table.scan(effort: effort, body)
  }

  public func forget(where shouldForget: (StoredRecord) -> Bool) {
    table.forget { record in
      guard shouldForget(record) else { return false }
      journal.remove(record.key, keyHash: record.keyHash)
      return true
    }
  }

  public func review(_ decide: (StoredRecord) -> RecordReview) {
    table.review { record in
      let decision = decide(record)
      if case .remove = decision { journal.remove(record.key, keyHash: record.keyHash) }
      return decision
    }
  }

  /// Takes in what the journal's rows say, without writing it down again.
  public func restore(
    _ key: UnsafeRawBufferPointer, keyHash: UInt64, value: UnsafeRawBufferPointer,
    _ attributes: RecordAttributes
  ) {
    table.store(key, keyHash: keyHash, value: value, attributes)
  }

  /// Writes everything down anew.
  public func recordEverything() {
    table.forEach { record in
      journal.store(
        record.key, keyHash: record.keyHash, value: record.value,
        RecordAttributes(
          version: record.version, generation: record.generation, kind: record.kind,
          isForgettable: false))
    }
  }
}
