import Directory
import Testing
import Wire

/// The edge of the version window (docs/protocol.md, "Refresh"), with a window of 8 versions.
@Suite struct WindowTests {
  private static let window: UInt32 = 8
  private static let entry: UInt32 = 4 * 3
  private static let base = Version.first(ofEpoch: 1) + 100

  private let directory: DirectoryMemory = {
    let directory = makeDirectory(window: window)
    directory.apply(.insert(entry: entry, keyHash: 3, home: 0))
    directory.apply(
      .makeHot(
        entry: entry, completed: base, replicaSet: 1, since: 1, home: 0, copies: 0, targets: 0))
    return directory
  }()

  private func report(_ version: UInt64, by server: UInt8 = 1) -> String {
    var header = Header(.copyAck)
    header.keyHash = 3
    header.server = server
    header.incarnation = 100 + UInt64(server)
    header.epoch = 1
    header.generation = 1
    header.version = version
    var bytes = Message(header, key: [1]).encoded()
    let counter = bytes.withUnsafeMutableBytes {
      directory.handle($0, from: .server(server)).counter
    }
    return counter.description
  }

  private var reading: EntryReading { directory.reading(ofEntry: Self.entry) }

  @Test func theLastVersionOfTheWindowIsRecordedAndTheNextIsNot() {
    let before = reading
    #expect(report(Self.base + 8) == "drop_outside_window")
    #expect(report(Self.base + 1 << 40) == "drop_outside_window")
    #expect(report(UInt64.max) == "drop_outside_window")
    #expect(reading == before)
    #expect(report(Self.base + 7) == "copy_ack")
    #expect(reading.completed == Self.base + 7 && reading.replicaSet == 0b10)
    #expect(reading.windowOffset == 7)
  }

  @Test func aVersionBeforeTheWindowIsOldAndChangesNothing() {
    let before = reading
    #expect(report(Self.base - 1) == "copy_ack")
    #expect(report(1) == "copy_ack")
    #expect(reading == before)
  }

  @Test func movingTheWindowKeepsVersionAndSetAndMakesRoom() {
    #expect(report(Self.base + 7) == "copy_ack")
    #expect(report(Self.base + 7, by: 2) == "copy_ack")
    directory.apply(.rebase(entry: Self.entry))
    #expect(reading.completed == Self.base + 7 && reading.replicaSet == 0b110)
    #expect(reading.windowOffset == 0)
    #expect(report(Self.base + 8) == "copy_ack")
    #expect(reading.completed == Self.base + 8 && reading.replicaSet == 0b10)
  }

  @Test func basesAreUsedInTurnForAsLongAsTheKeyIsHot() {
    var version = Self.base
    for round in 0..<50 {
      version += 7
      #expect(report(version, by: UInt8(round % 4)) == "copy_ack")
      directory.apply(.rebase(entry: Self.entry))
      #expect(reading.completed == version && reading.replicaSet == 1 << UInt32(round % 4))
      #expect(report(version - 1) == "copy_ack")
      #expect(reading.completed == version)
    }
  }

  @Test func aKeyThatIsOnlyReadFallsBehindUntilItsValueGetsAFreshVersion() {
    // Others are written meanwhile, so its next write would lie outside the window…
    let written = Self.base + 100
    directory.apply(.rebase(entry: Self.entry))
    #expect(report(written) == "drop_outside_window")
    // …and the same value under a fresh version, as SYNC gives it, is in reach again.
    directory.apply(.setMode(entry: Self.entry, .removing))
    directory.apply(
      .makeHot(
        entry: Self.entry, completed: written, replicaSet: 1, since: 1, home: 0, copies: 0,
        targets: 0))
    #expect(reading.completed == written && reading.replicaSet == 1)
    #expect(report(written + 1) == "copy_ack")
    #expect(reading.completed == written + 1)
  }

  @Test func anOldValueMadeHotUnderAFreshVersionTakesWrites() {
    let other: UInt32 = 4 * 5
    directory.apply(.insert(entry: other, keyHash: 5, home: 0))
    let fresh = directory.reserveVersions()
    directory.apply(
      .makeHot(
        entry: other, completed: fresh, replicaSet: 1, since: 1, home: 0, copies: 0, targets: 0))
    var write = request(.set, hash: 5).encoded()
    _ = write.withUnsafeMutableBytes { directory.handle($0, from: .client) }
    var header = Header(.copyAck)
    header.keyHash = 5
    header.server = 1
    header.incarnation = 101
    header.epoch = 1
    header.generation = 1
    let version = write[24..<32].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    header.version = version
    var bytes = Message(header, key: [1]).encoded()
    _ = bytes.withUnsafeMutableBytes { directory.handle($0, from: .server(1)) }
    #expect(version > fresh)
    #expect(directory.reading(ofEntry: other).completed == version)
  }
}
