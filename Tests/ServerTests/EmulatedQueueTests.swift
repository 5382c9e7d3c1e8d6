import Sockets
import Testing

@testable import Server

@Suite struct EmulatedQueueTests {
  private let sender = Endpoint(.loopback, port: 1)

  private func append(
    _ queue: EmulatedQueue, _ byte: UInt8, isCopy: Bool = false, now: UInt64
  ) -> Bool {
    withUnsafeBytes(of: byte) { queue.append($0, from: sender, isCopy: isCopy, now: now) }
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

  @Test func copiesComeBeforeRequestsThatWait() {
    let queue = EmulatedQueue(operationsPerSecond: 1_000, capacity: 10, datagramLengthMax: 100)
    for (byte, now) in [(UInt8(1), UInt64(0)), (2, 100)] { #expect(append(queue, byte, now: now)) }
    // What is in service is not interrupted.
    #expect(append(queue, 3, isCopy: true, now: 200))
    #expect(append(queue, 4, isCopy: true, now: 1_500_000))
    let served = serve(queue, now: 10_000_000)
    // Nobody looked meanwhile: the second copy came while the first was stored, after the request
    // could not yet begin.
    #expect(served.map(\.byte) == [1, 3, 4, 2])
    #expect(served.map(\.due) == [1_000_000, 2_000_000, 3_000_000, 4_000_000])
  }

  @Test func aCopyThatComesLaterDoesNotOvertakeWhatHadBegun() {
    let queue = EmulatedQueue(operationsPerSecond: 1_000, capacity: 10, datagramLengthMax: 100)
    for (byte, now) in [(UInt8(1), UInt64(0)), (2, 100)] { #expect(append(queue, byte, now: now)) }
    #expect(append(queue, 3, isCopy: true, now: 1_000_001))
    #expect(serve(queue, now: 10_000_000).map(\.byte) == [1, 2, 3])
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
