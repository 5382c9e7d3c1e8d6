import Foundation
import ServerCore
import Storage
import Testing
import Wire

@testable import DurableStore

@Suite struct DurableStoreTests {
  private let folder = Scratch()
  private let identity = DataIdentity(rack: "10.0.0.1:18516", hashSeed: 7, server: 3)

  private var settings: DurableStore.Settings {
    var settings = DurableStore.Settings()
    settings.reserve = 4 << 20
    return settings
  }

  private func open(_ identity: DataIdentity? = nil) throws(StoreError) -> DurableStore {
    try DurableStore(path: folder.path, identity: identity ?? self.identity, settings)
  }

  /// Stores `count` values, spread over all slots in order.
  private func store(_ count: Int, of total: Int = 1000, in store: DurableStore) throws {
    let journal = StateJournal(store)
    for number in 0..<count {
      let key = Array("key \(number)".utf8)
      let value = [UInt8](repeating: UInt8(number % 256), count: 100)
      key.withUnsafeBytes { key in
        value.withUnsafeBytes { value in
          journal.store(
            key, keyHash: hash(number, of: total), value: value,
            RecordAttributes(
              version: UInt64(number + 1), generation: 1, kind: .value, isForgettable: false))
        }
      }
    }
    var server = ServerRow()
    server.epoch = 1
    server.incarnation = 99
    journal.server(server)
    #expect(try store.commit() == .durable)
  }

  private func hash(_ number: Int, of total: Int) -> UInt64 {
    UInt64(number) * (UInt64.max / UInt64(total)) + 1
  }

  /// What a load finds: numbers of values, and how it ended.
  private func load(_ store: DurableStore) throws -> (values: Set<Int>, loaded: DurableStore.Loaded)
  {
    var values: Set<Int> = []
    let loaded = try store.load { row in
      guard case .value(_, _, let value, let attributes) = row else { return }
      let number = Int(attributes.version) - 1
      #expect(value.count == 100 && value.allSatisfy { $0 == UInt8(number % 256) })
      values.insert(number)
    }
    return (values, loaded)
  }

  // MARK: Whose it is

  @Test func whatWasCommittedIsThereAgain() throws {
    do {
      let store = try open()
      #expect(try load(store).loaded == .nothing)
      try self.store(100, in: store)
      #expect(store.commits == 1 && store.rowsCommitted == 101)
      #expect(try store.commit() == .durable && store.commits == 1)
    }
    let found = try load(try open())
    #expect(found.values == Set(0..<100) && found.loaded == .whole(rows: 101))
  }

  @Test func anotherServersDirectoryIsRefused() throws {
    _ = try open()
    for change in [
      { $0.server = 4 }, { $0.rack = "10.0.0.2:18516" }, { $0.hashSeed = 8 },
    ] as [(inout DataIdentity) -> Void] {
      var other = identity
      change(&other)
      #expect(throws: StoreError.foreign(path: folder.path, found: identity, wanted: other)) {
        try open(other)
      }
    }
    try Data("hotrack data 2\n".utf8).write(to: folder.file("identity"))
    #expect(throws: StoreError.self) { try open() }
    try FileManager.default.removeItem(at: folder.file("identity"))
    #expect(throws: StoreError.self) { try open() }
    try Data(identity.text.utf8).write(to: folder.file("identity"))
    _ = try open()
  }

  @Test func oneProcessAtATimeHasIt() throws {
    let store = try open()
    #expect(throws: StoreError.taken(path: folder.path)) { try open() }
    withExtendedLifetime(store) {}
  }

  // MARK: Damage

  @Test func aDamagedBlockCostsTheSlotsThatItHas() throws {
    let flushed = try filled()
    try folder.flipByte(in: flushed, at: 0.4)
    let store = try open()
    let (values, loaded) = try load(store)
    guard case .damaged(let slots, _, let reason) = loaded else {
      Issue.record("\(loaded)")
      return
    }
    #expect(reason.contains("Corruption"))
    #expect(!slots.isEmpty && slots.count < 2000 && slots == slots.sorted())
    let missing = Set(0..<1000).subtracting(values)
    #expect(!missing.isEmpty && missing.count < 200)
    // Whatever is missing is known to be.
    #expect(missing.allSatisfy { slots.contains(KeyHash.slot(hash($0, of: 1000))) })

    // Written anew, it is whole; the old files are kept.
    try store.rebuild { try? self.store(10, in: store) }
    #expect(FileManager.default.fileExists(atPath: folder.file("damaged/rocksdb").path))
  }

  @Test func aRebuiltStoreHasWhatItWasGiven() throws {
    let flushed = try filled()
    try folder.flipByte(in: flushed, at: 0.4)
    do {
      let store = try open()
      _ = try load(store)
      let journal = StateJournal(store)
      try store.rebuild {
        for number in 0..<10_000 {
          withUnsafeBytes(of: UInt64(number)) { key in
            journal.store(
              key, keyHash: UInt64(number) << 40 + 1, value: key,
              RecordAttributes(version: 1, generation: 1, kind: .value, isForgettable: false))
          }
        }
      }
      journal.fence(5, nil)
      #expect(try store.commit() == .durable)
    }
    #expect(try open().load { _ in } == .whole(rows: 10_000))
  }

  @Test(arguments: ["log", "sst", "MANIFEST", "CURRENT"])
  func aMissingFileMakesEverythingUnusable(kind: String) throws {
    _ = try filled()
    for file in try folder.files("store/rocksdb") where file.lastPathComponent.contains(kind) {
      try FileManager.default.removeItem(at: file)
    }
    try expectUnusable()
  }

  @Test(arguments: [0.2, 0.5, 0.9])
  func aLogThatWasCutOrChangedMakesEverythingUnusable(share: Double) throws {
    for isCut in [true, false] {
      do {
        let store = try open()
        _ = try store.load { _ in }
        for _ in 0..<50 { try self.store(20, in: store) }
      }
      let log = try #require(try folder.files("store/rocksdb").largest(ending: ".log"))
      if isCut {
        try folder.cut(log, to: share)
      } else {
        try folder.flipByte(in: log, at: share)
      }
      try expectUnusable()
    }
  }

  @Test func rowsThatNobodyWroteMakeEverythingUnusable() throws {
    do {
      let store = try open()
      [UInt8(200), 1].withUnsafeBytes { store.put($0, $0) }
      #expect(try store.commit() == .durable)
    }
    try expectUnusable()
  }

  private func expectUnusable() throws {
    do {
      let store = try open()
      let loaded = try store.load { _ in }
      guard case .unusable = loaded else {
        Issue.record("\(loaded)")
        return
      }
      // It begins empty, and what was there is kept.
      #expect(FileManager.default.fileExists(atPath: folder.file("damaged").path))
      try self.store(5, in: store)
    }
    #expect(try load(try open()).loaded == .whole(rows: 6))
  }

  /// Stores 1,000 values in one sorted file, and some more in the log; returns the file.
  private func filled() throws -> URL {
    do {
      let store = try open()
      try self.store(1000, in: store)
      try store.flush()
      try self.store(1, in: store)
    }
    return try #require(try folder.files("store/rocksdb").largest(ending: ".sst"))
  }

  // MARK: Putting aside

  @Test func whatARackRefusesIsKeptAside() throws {
    do {
      let store = try open()
      try self.store(100, in: store)
      let journal = StateJournal(store)
      store.setAside(as: "refused")
      journal.removeEverything()
      journal.fence(
        1,
        FenceRow(
          key: [1], generation: 2, lossGeneration: 0, evictedBirth: 0, evictedGeneration: 0,
          countsFrom: 0))
      #expect(try store.commit() == .durable)
    }
    #expect(try open().load { _ in } == .whole(rows: 1))
    #expect(FileManager.default.fileExists(atPath: folder.file("refused/rocksdb/CURRENT").path))
  }

  @Test func whatAnEarlierProcessWasInterruptedInIsFinishedOrDropped() throws {
    do { try store(100, in: try open()) }
    // The new store was complete, and the old one put aside already.
    try FileManager.default.moveItem(at: folder.file("store"), to: folder.file("store.new"))
    #expect(try load(try open()).values.count == 100)
    // It was not complete.
    try FileManager.default.createDirectory(
      at: folder.file("store.new/rocksdb"), withIntermediateDirectories: true)
    #expect(try load(try open()).values.count == 100)
    #expect(!FileManager.default.fileExists(atPath: folder.file("store.new").path))
  }
}

/// A directory for one test.
final class Scratch {
  let path: String

  init() { path = NSTemporaryDirectory() + "hotrack-store-\(UUID().uuidString)" }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String) -> URL { URL(fileURLWithPath: "\(path)/\(name)") }

  func files(_ name: String) throws -> [URL] {
    try FileManager.default.contentsOfDirectory(
      at: file(name), includingPropertiesForKeys: [.fileSizeKey])
  }

  /// Changes one byte of a file, this far behind its beginning.
  func flipByte(in file: URL, at share: Double) throws {
    var data = try Data(contentsOf: file)
    data[Int(Double(data.count) * share)] ^= 0x10
    try data.write(to: file)
  }

  func cut(_ file: URL, to share: Double) throws {
    let data = try Data(contentsOf: file)
    try data.prefix(Int(Double(data.count) * share)).write(to: file)
  }
}

extension [URL] {
  func largest(ending: String) throws -> URL? {
    try filter { $0.lastPathComponent.hasSuffix(ending) }.max {
      try size($0) < size($1)
    }
  }

  private func size(_ file: URL) throws -> Int {
    try file.resourceValues(forKeys: [.fileSizeKey]).fileSize ?? 0
  }
}
