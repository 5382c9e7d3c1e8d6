import CHotrack
import Directory
import DirectoryRace
import Testing
import Wire

/// Several threads on one directory, as several processors in the kernel.
@Suite(.serialized) struct RaceTests {
  private static let entry: UInt32 = 4
  private static let first = Version.first(ofEpoch: 1) + 3

  @Test func reportsOnSeveralThreadsNeverTearLoseOrTurnBack() {
    #expect(race(faults: [], rounds: 40) == nil)
  }

  // A fault that needs two threads between each other's instructions may take many rounds.
  @Test func twoPlainStoresInPlaceOfTheSwapAreFound() {
    #expect(race(faults: .tornWord, rounds: 40_000) != nil)
  }

  @Test func aWindowMovedInTheWrongOrderIsFound() {
    let found = race(faults: [], rounds: 40_000) { (memory: DirectoryMemory) in
      // The word first, then its base: in between, the base is of another time.
      let raw = memory.raw.pointee
      let word = UnsafeMutableRawPointer(raw.buckets + Int(Self.entry) / 4)
        .advanced(by: 32).assumingMemoryBound(to: UInt64.self)
      let bases = UnsafeMutableRawPointer(raw.details + Int(Self.entry))
        .assumingMemoryBound(to: UInt64.self)
      let old = hotrack_load64(word)
      let next = (directory_word_base(old) + 1) % UInt32(DIRECTORY_BASES)
      let version = bases[Int(directory_word_base(old))] + UInt64(directory_word_offset(old))
      hotrack_store64(word, directory_word(next, 0, directory_word_set(old)))
      for _ in 0..<20_000 { _ = hotrack_load64(word) }
      hotrack_store64(bases + Int(next), version)
    }
    #expect(found != nil)
  }

  private func race(
    faults: DirectoryFaults, rounds: Int,
    rebase: @escaping @Sendable (DirectoryMemory) -> Void = { $0.apply(.rebase(entry: entry)) }
  ) -> String? {
    let memory = makeDirectory(window: 1 << 20)
    memory.apply(.insert(entry: Self.entry, keyHash: 1, home: 0))
    memory.apply(
      .makeHot(
        entry: Self.entry, completed: Self.first - 1, replicaSet: 0b11, since: 1, home: 0,
        copies: 0, targets: 0))
    memory.faults = faults
    return DirectoryRace.run(
      memory, entry: Self.entry, first: Self.first, rounds: rounds, versions: 40_000,
      rebase: { rebase(memory) }
    ) { server in
      var header = Header(.copyAck)
      header.keyHash = 1
      header.server = server
      header.incarnation = 100 + UInt64(server)
      header.epoch = 1
      header.generation = 1
      var bytes = Message(header, key: [1]).encoded()
      return { version in
        bytes.withUnsafeMutableBytes { datagram in
          datagram.storeBytes(of: version.bigEndian, toByteOffset: 24, as: UInt64.self)
          return memory.handle(datagram, from: .server(server)).verdict == .consume
        }
      }
    }
  }
}
