import Testing
import Wire
import Workload

@testable import LoadGenerator

private let second: UInt64 = 1_000_000_000

private func request(_ kind: OperationKind = .read, due: UInt64 = 0) -> LoadRequest {
  LoadRequest(
    operation: WorkloadOperation(kind: kind, key: 0), keyHash: 77, due: due, isMeasured: true)
}

private func reply(
  to header: Header, _ status: Status = .ok, generation: UInt64 = 5, epoch: UInt16 = 1
) -> Header {
  var reply = header.reply(status)
  reply.epoch = epoch
  reply.generation = generation
  return reply
}

extension LoadLanes {
  // The macros of tests cannot call what mutates.
  fileprivate mutating func begun(_ request: LoadRequest, now: UInt64) throws -> LoadTicket {
    let ticket = begin(request, now: now)
    return try #require(ticket)
  }

  fileprivate mutating func sent(_ request: LoadRequest, now: UInt64) throws -> Header {
    header(of: try begun(request, now: now))
  }

  fileprivate mutating func expectFull(now: UInt64) {
    let ticket = begin(request(), now: now)
    #expect(ticket == nil)
  }
}

@Suite struct LoadLanesTests {
  private func lanes(max: Int = 4_096) -> LoadLanes {
    LoadLanes(birthOffset: 1_000, randomSeed: 1, lanesMax: max)
  }

  @Test("no client id has more than 64 sequence numbers from its acknowledged mark")
  func window() throws {
    var lanes = lanes(max: 2)
    var headers: [Header] = []
    for _ in 0..<128 {
      let ticket = try lanes.begun(request(), now: 0)
      headers.append(lanes.header(of: ticket))
    }
    lanes.expectFull(now: 0)
    #expect(Set(headers.map(\.client)).count == 2)
    #expect(headers.allSatisfy { $0.sequence - $0.acknowledged <= 63 })
    // An answer in the middle does not move the mark; one to the first does, past both.
    guard case .completed = lanes.receive(reply(to: headers[1]), now: 1) else {
      Issue.record("an awaited answer")
      return
    }
    lanes.expectFull(now: 1)
    _ = lanes.receive(reply(to: headers[0]), now: 1)
    for expected in [65, 66] as [UInt64] {
      let ticket = try lanes.begun(request(), now: 2)
      let header = lanes.header(of: ticket)
      #expect(header.sequence == expected && header.acknowledged == 3)
    }
    lanes.expectFull(now: 2)
    #expect(lanes.outstanding == 128)
  }

  @Test("a second answer, and one to another request, mean nothing")
  func duplicates() throws {
    var lanes = lanes()
    let header = try lanes.sent(request(), now: 0)
    var other = reply(to: header)
    other.keyHash = 78
    var isIgnored = if case .ignored = lanes.receive(other, now: 1) { true } else { false }
    #expect(isIgnored)
    _ = lanes.receive(reply(to: header), now: 1)
    isIgnored = if case .ignored = lanes.receive(reply(to: header), now: 1) { true } else { false }
    #expect(isIgnored && lanes.outstanding == 0)
  }

  @Test("a write refused as stale is sent again at once, with the generation learned")
  func staleGeneration() throws {
    var lanes = lanes()
    let ticket = try lanes.begun(request(.write), now: 0)
    let first = lanes.header(of: ticket)
    guard case .again(let same) = lanes.receive(reply(to: first, .staleGeneration), now: 1) else {
      Issue.record("it is to be sent again")
      return
    }
    let second = lanes.header(of: same)
    #expect(second.sequence == first.sequence && second.client == first.client)
    #expect(first.knownGeneration == 0 && second.knownGeneration == 5)
    #expect(second.firstGeneration == 0 && second.flags == [.retry])
    // The same refusal again has nothing new to say: this time it waits.
    guard case .later = lanes.receive(reply(to: second, .staleGeneration), now: 2) else {
      Issue.record("it is to wait")
      return
    }
  }

  @Test(
    "what a transition refuses waits and is sent again, longer each time",
    arguments: [.frozen, .behind, .wrongServer, .otherKey, .staleEpoch] as [Status])
  func transitions(status: Status) throws {
    var lanes = lanes()
    let ticket = try lanes.begun(request(.write), now: 0)
    let header = lanes.header(of: ticket)
    var (now, waits): (UInt64, [UInt64]) = (0, [])
    for _ in 0..<4 {
      guard case .later = lanes.receive(reply(to: header, status), now: now) else {
        Issue.record("it is to wait")
        return
      }
      let begin = now
      var sent: [LoadTicket] = []
      while sent.isEmpty {
        now += 10_000
        lanes.takeDue(now: now) { _, ticket in sent.append(ticket) }
      }
      #expect(sent == [ticket])
      waits.append(now - begin)
    }
    #expect(waits[0] >= 200_000 && waits[0] <= 410_000)
    #expect(waits[3] >= 1_600_000 && waits[3] <= 3_210_000)
  }

  @Test("busy ends an operation, unless it must take effect")
  func busy() throws {
    var lanes = lanes()
    let header = try lanes.sent(request(), now: 0)
    guard case .shed = lanes.receive(reply(to: header, .busy), now: 1) else {
      Issue.record("it has ended")
      return
    }
    var persistent = request(.write)
    persistent.isPersistent = true
    let second = try lanes.sent(persistent, now: 0)
    guard case .later = lanes.receive(reply(to: second, .busy), now: 1) else {
      Issue.record("it is to wait")
      return
    }
  }

  @Test("what has no answer in time is lost, and its sequence number finished")
  func expiry() throws {
    var lanes = lanes()
    var headers: [Header] = []
    for due in 0..<10 as Range<UInt64> {
      let ticket = try lanes.begun(request(due: due * second), now: due * second)
      headers.append(lanes.header(of: ticket))
    }
    _ = lanes.receive(reply(to: headers[1]), now: 0)
    var lost: [UInt64] = []
    lanes.expire(dueBefore: 3 * second) { lost.append($0.due / second) }
    #expect(lost == [0, 2])
    guard case .ignored = lanes.receive(reply(to: headers[2]), now: 4 * second) else {
      Issue.record("nobody awaits it")
      return
    }
    let next = try lanes.sent(request(due: 11 * second), now: 0)
    #expect(next.acknowledged == 4)
    lanes.expire(dueBefore: 20 * second) { lost.append($0.due / second) }
    #expect(lost == [0, 2, 3, 4, 5, 6, 7, 8, 9, 11] && lanes.outstanding == 0)
  }

  @Test("a client id that the servers have forgotten is replaced by a younger one")
  func sessionLost() throws {
    var lanes = lanes()
    let header = try lanes.sent(request(.write), now: 0)
    var answer = reply(to: header, .sessionLost)
    answer.version = 500_000
    guard case .failed(_, .sessionLost) = lanes.receive(answer, now: second) else {
      Issue.record("it has ended")
      return
    }
    let next = try lanes.sent(request(.write), now: second)
    #expect(next.client != header.client && next.client >> 22 > 500_000)
  }

  @Test("no birth that a reply tells of breaks anything")
  func absurdBirth() throws {
    var lanes = lanes()
    for birth in [.max, 1 << 42, 0] as [UInt64] {
      let header = try lanes.sent(request(.write), now: second)
      var answer = reply(to: header, .sessionLost)
      answer.version = birth
      _ = lanes.receive(answer, now: second)
      #expect(try lanes.sent(request(.write), now: second).client != header.client)
    }
  }

  @Test("a reply of an older epoch counts for nothing; a newer epoch starts the generation anew")
  func epochs() throws {
    var lanes = lanes()
    let first = try lanes.sent(request(), now: 0)
    let second = try lanes.sent(request(), now: 0)
    _ = lanes.receive(reply(to: first, generation: 900, epoch: 2), now: 1)
    #expect(lanes.knownGeneration == 900)
    guard case .ignored = lanes.receive(reply(to: second, epoch: 1), now: 1) else {
      Issue.record("it counts for nothing")
      return
    }
    _ = lanes.receive(reply(to: second, generation: 4, epoch: 3), now: 1)
    #expect(lanes.knownGeneration == 4)
  }

  @Test("an answer to HELLO is heard")
  func hello() {
    var lanes = lanes()
    #expect(lanes.heardAt == nil)
    let hello = lanes.hello(now: 0)
    guard case .greeted = lanes.receive(reply(to: hello, generation: 9), now: 3) else {
      Issue.record("it is an answer")
      return
    }
    #expect(lanes.heardAt == 3 && lanes.knownGeneration == 9)
  }
}
