import CAllocations
import Testing
import Workload

@Suite struct WorkloadAllocationTests {
  @Test("operations and arrivals allocate nothing", arguments: [KeySpace.Order.scattered, .latest])
  func none(order: KeySpace.Order) {
    var keys = KeySpace(count: 1_000_000, keyLength: 40, order: order, seed: 1)
    // The overlay is looked at with each operation.
    if order == .scattered { keys.change(.random(keys: 100, top: 10_000)) }
    let mix = OperationMix(
      readShare: 0.5, deleteShare: 0.1, insertShare: order == .latest ? 0.1 : 0,
      readModifyWriteShare: 0.2)
    var stream = OperationStream(
      popularity: ZipfDistribution(count: 1_000_000, alpha: 1.2), keys: keys, mix: mix,
      valueLengths: .uniform(10...100), seed: 1)
    var arrivals = PoissonArrivals(rate: 1e6, seed: 2)
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 8)
    defer { room.deallocate() }
    var sum = 0
    let before = callocations_count()
    for _ in 0..<100_000 {
      let operation = stream.next()
      keys.writeKey(ofNumber: operation.key, into: room)
      sum &+= operation.valueLength &+ Int(arrivals.next()) &+ Int(room[39])
    }
    #expect(callocations_count() == before)
    #expect(sum != 0)
  }
}
