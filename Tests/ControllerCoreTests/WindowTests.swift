import ControllerCore
import Directory
import Testing
import Wire

@Suite struct WindowTests {
  @Test func aWrittenKeyMovesItsWindowUp() {
    let rack = TestRack(window: 64)
    rack.serve()
    let key = hash(homeOf: 1, of: 3)
    rack.promote(key)
    for sequence in UInt64(1)...300 {
      #expect(rack.perform(.set, key, sequence: sequence, value: [1])?.header.status == .ok)
    }
    #expect(rack.core.state.totals.rebases >= 3)
  }

  @Test func aKeyThatIsOnlyReadWhileOthersAreWrittenStaysWritable() {
    let rack = TestRack(window: 256)
    rack.serve()
    let (key, other) = (hash(homeOf: 1, of: 3), hash(homeOf: 0, of: 3))
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    rack.promote(key)
    for sequence in UInt64(1)...1000 {
      #expect(
        rack.perform(.set, other, client: 11, sequence: sequence, value: [2])?.header.status == .ok)
      if sequence % 20 == 0 {
        #expect(rack.perform(.get, key, client: 10, sequence: sequence)?.value == [1])
      }
    }
    rack.settle()
    #expect(rack.core.state.totals.freshVersions >= 3)
    #expect(rack.perform(.set, key, sequence: 2, value: [3])?.header.status == .ok)
    #expect(rack.perform(.get, key, client: 10, sequence: 2000)?.value == [3])
  }

  @Test func anOldValueIsPromotedWithAFreshVersion() {
    let rack = TestRack(window: 4096)
    rack.serve()
    let key = hash(homeOf: 1, of: 3)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    _ = rack.memory.reserveVersions(1_000_000)
    rack.run(milliseconds: 20)
    rack.promote(key)
    #expect(rack.core.state.totals.freshVersions == 1)
    #expect(rack.perform(.get, key, client: 10, sequence: 1)?.value == [1])
    #expect(rack.perform(.set, key, sequence: 2, value: [2])?.header.status == .ok)
    #expect(rack.perform(.get, key, client: 10, sequence: 2)?.value == [2])
    #expect(rack.reading(key)?.windowOffset ?? .max < 4096)
  }

  @Test func aKeyThatWasNeverWrittenCanBePromotedAndThenWritten() {
    let rack = TestRack(firstVersion: 7 << 48 | 5)
    rack.serve()
    let key = hash(homeOf: 2, of: 3)
    rack.promote(key)
    #expect(rack.perform(.get, key, client: 10, sequence: 1)?.header.status == .notFound)
    #expect(rack.perform(.set, key, sequence: 1, value: [1])?.header.status == .ok)
    #expect(rack.perform(.get, key, client: 10, sequence: 2)?.value == [1])
  }
}
