import Sockets
import Testing

@testable import Server

@Suite struct EmulatedQueueTests {
  private let sender = Endpoint(.loopback, port: 1)

  private func append(_ queue: EmulatedQueue, _ byte: UInt8, now: UInt64) -> Bool {
    withUnsafeBytes(of: byte) { queue.append($0, from: sender, now: now) }
  }

  /// Serves what is due: which bytes, and when each was due.
  private func serve(_ queue: EmulatedQueue, now: UInt64) -> [(byte: UInt8, due: UInt64)] {
    var served: [(byte: UInt8, due: UInt64)] = []
    while queue.serveFirst(
      dueBy: now,
      { bytes, from, due in
        #expect(from == sender && bytes.count == 1)
        served.append((bytes[0], due))
      })
    {}
    return served
  }

  @Test func eachTakesOneServiceTimeInOrderOfArrival() {
    let queue = EmulatedQueue(operationsPerSecond: 1_000, capacity: 10, datagramLengthMax: 100)
    #expect(queue.nextDue == nil)
    for (byte, now) in [(UInt8(1), UInt64(0)), (2, 100), (3, 200)] {
      #expect(append(queue, byte, now: now))
    }
    #expect(queue.nextDue == 1_000_000)
    #expect(serve(queue, now: 999_999).isEmpty)
    #expect(serve(queue, now: 2_000_000).map(\.byte) == [1, 2])
    #expect(queue.count == 1 && queue.nextDue == 3_000_000)
    // Idle in between: the next one is due a service time after it came.
    #expect(serve(queue, now: 5_000_000).map(\.due) == [3_000_000])
    #expect(append(queue, 4, now: 6_000_000))
    #expect(queue.nextDue == 7_000_000)
  }

  @Test func aLateWakeUpTakesNoCapacityAway() {
    let queue = EmulatedQueue(operationsPerSecond: 1_000, capacity: 300, datagramLengthMax: 100)
    for number in UInt64(0)..<200 { #expect(append(queue, 1, now: number * 1_000_000)) }
    // Nobody looked for 200 milliseconds: all that a punctual server would have done is due.
    let served = serve(queue, now: 200_000_000)
    #expect(served.count == 200 && served.last?.due == 200_000_000)
  }

  @Test func aFullQueueTakesNothingAndItsPlacesAreUsedAgain() {
    let queue = EmulatedQueue(operationsPerSecond: 1_000, capacity: 3, datagramLengthMax: 100)
    var (now, byte) = (UInt64(0), UInt8(0))
    for _ in 0..<100 {
      while append(queue, byte, now: now) { byte &+= 1 }
      #expect(queue.count == 3)
      now += 1_000_000
      #expect(serve(queue, now: now).map(\.byte) == [byte &- 3])
    }
  }
}
