import Configuration
import Testing

@testable import Testbed

@Suite struct DelayQueueTests {
  private func fault(delay: Double, jitter: Double = 0, reorder: Double = 0) -> LinkFault {
    var fault = LinkFault()
    (fault.delay, fault.jitter, fault.reorder) = (delay, jitter, reorder)
    return fault
  }

  private func drained(_ queue: inout DelayQueue) -> [(due: UInt64, frame: UInt8)] {
    var all: [(due: UInt64, frame: UInt8)] = []
    while let due = queue.nextDue, let frame = queue.take(now: due) { all.append((due, frame[0])) }
    return all
  }

  @Test func `A fixed delay keeps the order`() {
    var queue = DelayQueue(seed: 1)
    for number in 0..<200 {
      queue.insert([UInt8(number)], fault(delay: 2), now: UInt64(number / 3) * 1_000)
    }
    let early = queue.take(now: 1_999_999)
    #expect(early == nil)
    let all = drained(&queue)
    #expect(all.map(\.frame) == (0..<200).map { UInt8($0) })
    #expect(all[0].due == 2_000_000)
    #expect(queue.isEmpty)
  }

  @Test func `Each frame is late by the delay and a part of the jitter`() {
    var queue = DelayQueue(seed: 2)
    for number in 0..<250 { queue.insert([UInt8(number)], fault(delay: 1, jitter: 3), now: 0) }
    let all = drained(&queue)
    #expect(all.allSatisfy { (1_000_000..<4_000_000).contains($0.due) })
    #expect(all.map(\.due) == all.map(\.due).sorted())
    #expect(all.map(\.frame) != (0..<250).map { UInt8($0) })
    #expect((all.last?.due ?? 0) - (all.first?.due ?? 0) > 2_500_000)
  }

  @Test func `So many overtake as are to`() {
    var queue = DelayQueue(seed: 3)
    for _ in 0..<4_000 { queue.insert([0], fault(delay: 5, reorder: 0.25), now: 7) }
    var atOnce = 0
    while queue.take(now: 7) != nil { atOnce += 1 }
    #expect((850...1_150).contains(atOnce))
    #expect(queue.nextDue == 5_000_007)
  }

  @Test func `Without a fault frames go at once, and beyond its room they are lost`() {
    var queue = DelayQueue(seed: 4, countMax: 2)
    let taken = [UInt8(1), 2, 3].map { queue.insert([$0], nil, now: 5) }
    #expect(taken == [true, true, false])
    #expect(drained(&queue).map(\.frame) == [1, 2])
  }
}
