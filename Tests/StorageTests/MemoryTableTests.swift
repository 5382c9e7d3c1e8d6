import CAllocations
import Storage
import Testing
import Wire

/// Seeded random numbers (SplitMix64).
struct Seeded: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }
}

/// What the model says of one key.
private struct Expected: Equatable {
  var version: UInt64
  var generation: UInt64
  var kind: StoredRecord.Kind
  var isForgettable: Bool
  var value: [UInt8]
}

/// A table beside a dictionary that is told the same.
private struct Pair {
  let table: MemoryTable
  var model: [[UInt8]: Expected] = [:]
  /// Few hash values: whole keys have to be compared, and probing runs long.
  let hashes: UInt64

  func hash(_ key: [UInt8]) -> UInt64 { KeyHash.of(key, seed: 1) % hashes + 1 }

  func read(_ key: [UInt8]) -> (version: UInt64, kind: StoredRecord.Kind, value: [UInt8])? {
    key.withUnsafeBytes { bytes in
      table.find(bytes, keyHash: hash(key)).map { ($0.version, $0.kind, Array($0.value)) }
    }
  }

  mutating func store(_ key: [UInt8], _ expected: Expected) {
    let attributes = RecordAttributes(
      version: expected.version, generation: expected.generation, kind: expected.kind,
      isForgettable: expected.isForgettable)
    key.withUnsafeBytes { key in
      expected.value.withUnsafeBytes { value in
        table.store(key, keyHash: hash(Array(key)), value: value, attributes)
      }
    }
    model[key] = expected
  }

  func check() {
    #expect(table.recordCount == model.count)
    #expect(table.valueCount == model.values.count { $0.kind == .value })
    for (key, expected) in model {
      let found = read(key)
      #expect(found?.version == expected.version && found?.kind == expected.kind)
      #expect(found?.value == expected.value)
    }
  }
}

@Suite struct MemoryTableTests {
  @Test(arguments: [UInt64(3), 50, 1 << 40])
  func anyOrderOfChangesLeavesWhatADictionaryWouldHold(hashes: UInt64) {
    var random = Seeded(state: hashes)
    // No room at first, so that the table grows while it is changed.
    var pair = Pair(table: MemoryTable(expectedKeys: 1), hashes: hashes)
    for step in 0..<20_000 {
      let key = Array("k\(random.next() % 900)".utf8)
      switch random.next() % 100 {
      case 0..<60:
        let kind: StoredRecord.Kind = random.next() % 4 == 0 ? .tombstone : .value
        let length = kind == .value ? Int(random.next() % 1_200) : 0
        pair.store(
          key,
          Expected(
            version: UInt64(step + 1), generation: random.next() % 10, kind: kind,
            isForgettable: random.next() % 3 == 0,
            value: Array(repeating: UInt8(truncatingIfNeeded: step), count: length)))
      case 60..<75:
        guard var expected = pair.model[key] else { continue }
        expected.version += 1
        expected.isForgettable.toggle()
        if random.next() % 3 == 0 {
          expected.kind = .lost
          expected.value = []
        }
        key.withUnsafeBytes {
          pair.table.update(
            $0, keyHash: pair.hash(key),
            RecordAttributes(
              version: expected.version, generation: expected.generation, kind: expected.kind,
              isForgettable: expected.isForgettable))
        }
        pair.model[key] = expected
      case 75:
        let generation = random.next() % 10
        pair.table.forget { $0.generation < generation }
        pair.model = pair.model.filter { !($1.isForgettable && $1.generation < generation) }
      case 76 where random.next() % 20 == 0:
        let residue = random.next() % 7
        pair.table.review {
          $0.version % 7 == residue ? .remove : .keep(isForgettable: $0.version % 2 == 0)
        }
        pair.model = pair.model.filter { $1.version % 7 != residue }.mapValues {
          var kept = $0
          kept.isForgettable = kept.version % 2 == 0
          return kept
        }
      default:
        let found = pair.read(key)
        #expect(found?.version == pair.model[key]?.version)
        #expect(found?.value == pair.model[key]?.value)
      }
    }
    pair.check()
  }

  @Test func aTableGrowsThroughManySizesAndLosesNothing() {
    let table = MemoryTable(expectedKeys: 1)
    let count = 100_000
    var key = [UInt8](repeating: 0, count: 8)
    func name(_ number: Int) {
      key.withUnsafeMutableBytes { $0.storeBytes(of: number, as: Int.self) }
    }
    for number in 0..<count {
      name(number)
      key.withUnsafeBytes { bytes in
        table.store(
          bytes, keyHash: KeyHash.of(bytes, seed: 0), value: bytes,
          RecordAttributes(
            version: UInt64(number + 1), generation: 0, kind: .value, isForgettable: false))
      }
      // What was stored a while ago is found also while it is being moved.
      name(number / 2)
      key.withUnsafeBytes { bytes in
        let found = table.find(bytes, keyHash: KeyHash.of(bytes, seed: 0))
        #expect(found?.version == UInt64(number / 2 + 1))
      }
    }
    #expect(table.valueCount == count)
  }

  @Test func readingAndReplacingStoredKeysAllocatesNothing() {
    let table = MemoryTable()
    let keys = (0..<500).map { Array("key \($0)".utf8) }
    let hashes = keys.map { KeyHash.of($0, seed: 0) }
    // Two lengths of different size classes, so that blocks are given back and taken again.
    let values = [[UInt8](repeating: 1, count: 40), [UInt8](repeating: 2, count: 400)]
    func round(_ version: UInt64) {
      let value = values[Int(version % 2)]
      for (key, hash) in zip(keys, hashes) {
        key.withUnsafeBytes { key in
          value.withUnsafeBytes { value in
            table.store(
              key, keyHash: hash, value: value,
              RecordAttributes(
                version: version, generation: 1, kind: .value, isForgettable: false))
          }
          #expect(table.find(key, keyHash: hash)?.version == version)
        }
      }
    }
    for version in UInt64(1)...4 { round(version) }
    let unfair = callocations_count()
    #expect(callocations_count() == unfair, "counting itself allocates nothing")
    var taken: UInt64 = 0
    for version in UInt64(5)...1_004 {
      let value = values[Int(version % 2)]
      for index in keys.indices {
        keys[index].withUnsafeBytes { key in
          value.withUnsafeBytes { value in
            let before = callocations_count()
            table.store(
              key, keyHash: hashes[index], value: value,
              RecordAttributes(
                version: version, generation: 1, kind: .value, isForgettable: false))
            let found = table.find(key, keyHash: hashes[index])
            taken += callocations_count() - before
            precondition(found?.version == version)
          }
        }
      }
    }
    #expect(taken == 0, "in a million operations")
    let made = callocations_count()
    _ = Array(repeating: 1, count: Int(taken) + 1_000).map { $0 + 1 }
    #expect(callocations_count() > made, "the counter counts")
  }
}
