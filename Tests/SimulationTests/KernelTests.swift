import Simulation
import Testing

@Suite struct KernelTests {
  @Test("Random numbers are those of the seed and stream, and spread over their range")
  func random() {
    var one = SimulationRandom(seed: 7)
    var same = SimulationRandom(seed: 7)
    var other = SimulationRandom(seed: 7, stream: 1)
    let first = (0..<100).map { _ in one.next() }
    #expect(first == (0..<100).map { _ in same.next() })
    #expect(first != (0..<100).map { _ in other.next() })
    var counts = [Int](repeating: 0, count: 5)
    for _ in 0..<5_000 { counts[one.integer(in: 10...14) - 10] += 1 }
    #expect(counts.allSatisfy { $0 > 850 && $0 < 1_150 })
    #expect((0..<4_000).count { _ in one.chance(0.25) } > 850)
    #expect((0..<100).allSatisfy { _ in (5...6).contains(one.duration(in: 5...6)) })
    #expect((0..<100).allSatisfy { _ in !one.chance(0) && one.chance(1) })
  }

  @Test("xoshiro256** gives the reference implementation's numbers for a SplitMix64 seed")
  func reference() {
    // From the C code of Blackman and Vigna, state filled by SplitMix64 from 0.
    var random = SimulationRandom(seed: 0)
    #expect(random.next() == 0x99ec_5f36_cb75_f2b4)
    #expect(random.next() == 0xbf6e_1f78_4956_452a)
  }

  @Test("Events come in order of time, and those of one time in the order they were made")
  func schedulerOrder() {
    var random = SimulationRandom(seed: 3)
    var scheduler = Scheduler<Int>()
    var times: [UInt64] = []
    for number in 0..<2_000 {
      let time = random.duration(in: 0...300)
      times.append(time)
      scheduler.schedule(number, at: time)
    }
    var last: (UInt64, Int) = (0, -1)
    var seen = 0
    while let event = scheduler.next() {
      #expect(scheduler.now == times[event])
      #expect((scheduler.now, event) > last)
      last = (scheduler.now, event)
      seen += 1
    }
    #expect(seen == 2_000 && scheduler.isEmpty)
    scheduler.schedule(1, at: 5)
    #expect(scheduler.next() == 1 && scheduler.now == last.0, "the past means now")
    scheduler.schedule(2, after: 10)
    #expect(scheduler.nextTime == last.0 + 10)
  }

  @Test("A clock's times and readings belong together", arguments: [-200, 0, 137] as [Int64])
  func clocks(drift: Int64) {
    let clock = SimulatedClock(offset: 1_000_000, driftPPM: drift)
    var random = SimulationRandom(seed: 9)
    for _ in 0..<1_000 {
      let reading = 1_000_000 + random.duration(in: 0...60_000_000_000)
      let time = clock.time(ofReading: reading)
      #expect(clock.reading(at: time) >= reading)
      #expect(clock.reading(at: time) - reading < 2)
      #expect(clock.reading(at: time + 1) >= clock.reading(at: time))
    }
    #expect(clock.time(ofReading: 5) == 0)
  }

  @Test("A network loses, doubles and holds as often as it is told, and a calm one does not")
  func network() {
    var conditions = LinkConditions(delay: 10...20)
    conditions.loss = 0.1
    conditions.duplication = 0.2
    conditions.holding = 0.05
    conditions.hold = 1_000...2_000
    var network = SimulatedNetwork<Int>(conditions, random: SimulationRandom(seed: 1))
    let all = (0..<20_000).map { _ in network.deliveries(from: 1, to: 2) }
    #expect((1_700...2_300).contains(all.count { $0.first == nil }))
    #expect((3_600...4_400).contains(all.count { $0.second != nil }))
    #expect((800...1_200).contains(all.count { $0.first ?? 0 >= 1_000 }))
    #expect(all.contains { ($0.first ?? .max) > ($0.second ?? .max) }, "reordered")
    #expect(network.lost == all.count { $0.first == nil })

    network.setTroubles(
      cut: [.init(from: 1, to: 2)], cloggedUntil: [.init(from: 2, to: 1): 9_000])
    #expect(network.deliveries(from: 1, to: 2) == Deliveries())
    let clogged = (0..<100).map { _ in network.deliveries(from: 2, to: 1, at: 5_000).first }
    #expect(clogged.allSatisfy { $0 == nil || $0 ?? 0 >= 4_000 } && clogged.contains(4_000))
    #expect(network.deliveries(from: 2, to: 3).first ?? 0 < 4_000, "another link")
    network.calm(delay: 5...6)
    let calm = (0..<1_000).map { _ in network.deliveries(from: 1, to: 2) }
    #expect(calm.allSatisfy { (5...6).contains($0.first ?? 0) && $0.second == nil })
  }

  @Test("A link may have conditions of its own, in one direction")
  func ownConditions() {
    var network = SimulatedNetwork<Int>(
      LinkConditions(delay: 10...10), random: SimulationRandom(seed: 1))
    network.setConditions(LinkConditions(delay: 99...99), of: .init(from: 1, to: 2))
    #expect(network.deliveries(from: 1, to: 2).first == 99)
    #expect(network.deliveries(from: 2, to: 1).first == 10)
    network.setConditions(nil, of: .init(from: 1, to: 2))
    #expect(network.deliveries(from: 1, to: 2).first == 10)
  }

  @Test("A trace's number does not depend on what is kept of its text")
  func trace() {
    var traces = [SimulationTrace(.none), SimulationTrace(.tail(3)), SimulationTrace(.all)]
    for number: UInt64 in 0..<10 {
      for index in traces.indices {
        traces[index].record(at: number * 1_500, code: 1, values: number, text: "event \(number)")
      }
    }
    #expect(Set(traces.map(\.hash)).count == 1)
    #expect(traces.map(\.lines.count) == [0, 3, 10])
    #expect(traces[1].lines == traces[2].lines.suffix(3))
    #expect(traces[2].lines[1] == "        1.500 event 1")
    traces[0].record(at: 15_000, code: 1, values: 11, text: "")
    #expect(traces[0].hash != traces[1].hash)
  }
}
