import ClientCore
import HotrackClient
import ScriptedRack
import Sockets
import Testing
import Wire

/// Short, for what is meant to run into it; long enough for a first answer from a busy machine.
private let hasty = HotrackClient.Configuration(
  timeout: .seconds(1), firstRetry: .milliseconds(5), retryMax: .milliseconds(20))
/// Long, for what is not; lost datagrams are repeated soon.
private let patient = HotrackClient.Configuration(
  timeout: .seconds(60), firstRetry: .milliseconds(5), retryMax: .milliseconds(20))

extension ScriptedRack {
  fileprivate func client(_ configuration: HotrackClient.Configuration = patient) throws
    -> HotrackClient
  {
    try HotrackClient(rack: endpoint, configuration: configuration)
  }

  fileprivate func attempts(_ operation: Wire.Operation) -> [Header] {
    received.map(\.header).filter { $0.operation == operation }
  }

  /// Waits until a request of this operation has come.
  fileprivate func waitFor(_ operation: Wire.Operation) async throws {
    while attempts(operation).isEmpty { try await Task.sleep(for: .milliseconds(1)) }
  }
}

@Suite(.timeLimit(.minutes(1))) struct HotrackClientTests {
  @Test func valuesAreSetReadAndDeletedUnderRisingVersions() async throws {
    try await ScriptedRack.running { rack in
      let client = try HotrackClient(rack: rack.endpoint.description)
      let first = try await client.set("key", "value")
      #expect(try await client.get("key")?.string == "value")
      let second = try await client.set([0x6b, 0x65, 0x79], [0xff, 0])
      #expect(try await client.get("key") == HotrackValue(bytes: [0xff, 0], version: second))
      #expect(try await client.get("key")?.string == nil)
      let third = try await client.delete("key")
      #expect(try await client.get("key") == nil)
      #expect(try await client.get("never written") == nil)
      #expect(first < second && second < third)
    }
  }

  @Test func lostRequestsAndRepliesAreRepeatedUnderTheSameIdAndTakeEffectOnce() async throws {
    let script: ScriptedRack.Script = { header, attempt in
      guard header.operation == .set else { return .serve }
      return [.loseRequest, .loseReply, .loseReply, .serve][min(attempt, 4) - 1]
    }
    try await ScriptedRack.running(script) { rack in
      let client = try rack.client()
      let version = try await client.set("key", "value")
      #expect(try await client.get("key")?.version == version)
      // The first version that the rack gave: no attempt took effect anew.
      #expect(version == Version.first(ofEpoch: 1) + 1)
      let attempts = rack.attempts(.set)
      #expect(attempts.count == 4)
      #expect(Set(attempts.map(\.sequence)).count == 1)
      #expect(Set(attempts.map(\.client)).count == 1)
      #expect(Set(attempts.map(\.firstGeneration)) == [3])
      #expect(attempts.map { $0.flags.contains(.retry) } == [false, true, true, true])
    }
  }

  @Test(arguments: [Status.frozen, .busy, .behind, .wrongServer, .staleEpoch])
  func aPassingRefusalIsWaitedFor(_ status: Status) async throws {
    let script: ScriptedRack.Script = { header, attempt in
      header.operation == .hello || attempt > 5 ? .serve : .refuse(status)
    }
    try await ScriptedRack.running(script) { rack in
      let client = try rack.client()
      let version = try await client.set("key", "value")
      #expect(try await client.get("key")?.version == version)
      #expect(Set(rack.attempts(.set).map(\.sequence)).count == 1)
      #expect(rack.attempts(.set).count >= 6)
    }
  }

  @Test func aThousandRequestsAtOnceAllEndOverALossyNetwork() async throws {
    let script: ScriptedRack.Script = { header, attempt in
      switch (header.sequence &* 0x9e37_79b9 &+ UInt64(attempt)) % 10 {
      case 0: .loseRequest
      case 1: .loseReply
      case 2: .serveAndReplyTwice
      case 3 where attempt == 1 && header.operation != .hello: .refuse(.frozen)
      default: .serve
      }
    }
    try await ScriptedRack.running(script) { rack in
      let client = try rack.client()
      let versions = try await withThrowingTaskGroup(of: UInt64.self) { group in
        for number in 0..<500 {
          group.addTask { try await client.set("key \(number)", "value \(number)") }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(Set(versions).count == 500)
      let values = try await withThrowingTaskGroup(of: Bool.self) { group in
        for number in 0..<500 {
          group.addTask {
            try await client.get("key \(number)")?.string == "value \(number)"
          }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(values.count == 500 && values.allSatisfy { $0 })
      #expect(rack.received.allSatisfy { $0.header.sequence - $0.header.acknowledged <= 63 })
      #expect(Set(rack.received.map(\.header.client)).count == 1)
    }
  }

  @Test func aLargestValueFitsAndALargerOneDoesNot() async throws {
    try await ScriptedRack.running { rack in
      let client = try rack.client()
      let largest = [UInt8](repeating: 1, count: 1_315)
      try await client.set([1], largest)
      #expect(try await client.get([1])?.bytes == largest)
      await #expect(throws: HotrackError.tooLarge(1_317)) {
        try await client.set([1], largest + [1])
      }
      await #expect(throws: HotrackError.keyLength(0)) { try await client.get([]) }
      await #expect(throws: HotrackError.keyLength(251)) {
        try await client.delete([UInt8](repeating: 1, count: 251))
      }
    }
  }
}

@Suite(.timeLimit(.minutes(1))) struct HotrackClientFailureTests {
  @Test func aWriteWithoutAnAnswerIsUnknownAndAReadTimesOut() async throws {
    let script: ScriptedRack.Script = { header, _ in
      header.operation == .hello ? .serve : .loseRequest
    }
    try await ScriptedRack.running(script) { rack in
      let client = try rack.client(hasty)
      let (endpoint, timeout) = (rack.endpoint, Duration.seconds(1))
      let set = Task { try await client.set("key", "value") }
      let delete = Task { try await client.delete("key") }
      let get = Task { try await client.get("key") }
      for write in [set, delete] {
        await #expect(
          throws: HotrackError.unknownOutcome(.timedOut(rack: endpoint, after: timeout))
        ) { try await write.value }
      }
      await #expect(throws: HotrackError.timedOut(rack: endpoint, after: timeout, hint: nil)) {
        try await get.value
      }
      #expect(rack.attempts(.set).count > 1)
    }
  }

  @Test func aWriteThatWasNeverSentFails() async throws {
    try await ScriptedRack.running({ _, _ in .loseRequest }) { rack in
      let client = try rack.client(hasty)
      await #expect(
        throws: HotrackError.timedOut(rack: rack.endpoint, after: .seconds(1), hint: nil)
      ) { try await client.set("key", "value") }
      #expect(rack.attempts(.set).isEmpty && !rack.attempts(.hello).isEmpty)
    }
  }

  @Test func whatTheRackRefusesEveryTimeFails() async throws {
    for status in [Status.wrongHash, .unsupported, .malformed, .tooLarge] {
      let script: ScriptedRack.Script = { header, _ in
        header.operation == .hello ? .serve : .refuse(status)
      }
      try await ScriptedRack.running(script) { rack in
        let client = try rack.client()
        await #expect(throws: HotrackError.refused(status)) { try await client.set("k", "v") }
        await #expect(throws: HotrackError.refused(status)) { try await client.get("k") }
      }
    }
  }

  @Test func lostAmbiguousAndForgottenAreToldApart() async throws {
    let script: ScriptedRack.Script = { header, _ in
      switch (header.operation, header.sequence) {
      case (.get, 1): .refuse(.lost)
      case (.set, 2): .refuse(.ambiguous)
      case (.set, 3): .refuse(.sessionLost, version: 5)
      default: .serve
      }
    }
    try await ScriptedRack.running(script) { rack in
      let client = try rack.client()
      await #expect(throws: HotrackError.lost) { try await client.get("k") }
      await #expect(throws: HotrackError.unknownOutcome(.ambiguous)) {
        try await client.set("k", "v")
      }
      await #expect(throws: HotrackError.unknownOutcome(.sessionLost)) {
        try await client.set("k", "v")
      }
      // It goes on under another id.
      try await client.set("k", "v")
      #expect(Set(rack.attempts(.set).map(\.client)).count == 2)
    }
  }

  @Test func whereNobodyListensTheNetworksWordIsPassedOn() async throws {
    let nobody = try Endpoint(parsing: "127.77.0.1:9", defaultPort: 1)
    let client = try HotrackClient(rack: nobody, configuration: hasty)
    let error = await #expect(throws: HotrackError.self) { try await client.get("key") }
    #expect(
      error == .timedOut(rack: nobody, after: .seconds(1), hint: .refused(nobody)))
    #expect(error?.description.contains("nothing listens on UDP port 9 of 127.77.0.1") == true)
  }

  @Test func whatIsNoAddressIsRefusedAtOnce() {
    #expect(throws: HotrackError.socket(.invalidEndpoint("rack.example"))) {
      try HotrackClient(rack: "rack.example")
    }
  }
}

@Suite(.timeLimit(.minutes(1))) struct HotrackClientEndTests {
  private static let silent: ScriptedRack.Script = { header, _ in
    header.operation == .hello ? .serve : .loseRequest
  }

  @Test func cancellationEndsARequestAtOnceAndAWriteAsUnknown() async throws {
    try await ScriptedRack.running(Self.silent) { rack in
      let client = try rack.client()
      let write = Task { try await client.set("key", "value") }
      let read = Task { try await client.get("key") }
      try await rack.waitFor(.set)
      try await rack.waitFor(.get)
      write.cancel()
      read.cancel()
      await #expect(throws: HotrackError.unknownOutcome(.cancelled)) { try await write.value }
      await #expect(throws: HotrackError.cancelled) { try await read.value }
    }
  }

  @Test func aTaskThatWasCancelledBeforeSendsNothing() async throws {
    try await ScriptedRack.running { rack in
      let client = try rack.client()
      let write = Task {
        while !Task.isCancelled { await Task.yield() }
        try await client.set("key", "value")
      }
      write.cancel()
      await #expect(throws: HotrackError.cancelled) { try await write.value }
      #expect(try await client.get("key") == nil)
      #expect(rack.attempts(.set).isEmpty)
    }
  }

  @Test func closingEndsWhatIsUnfinishedAndWhatComesLater() async throws {
    try await ScriptedRack.running(Self.silent) { rack in
      let client = try rack.client()
      let write = Task { try await client.delete("key") }
      let read = Task { try await client.get("key") }
      try await rack.waitFor(.delete)
      try await rack.waitFor(.get)
      client.close()
      client.close()
      await #expect(throws: HotrackError.unknownOutcome(.closed)) { try await write.value }
      await #expect(throws: HotrackError.closed) { try await read.value }
      await #expect(throws: HotrackError.closed) { try await client.set("key", "value") }
    }
  }

  @Test func clientsOfOneProcessDiffer() {
    let ids = (0..<10_000).map { _ in ClientIdentity.fresh() }
    #expect(Set(ids).count == ids.count)
    #expect(ids.allSatisfy { $0 != 0 })
    let births = ids.map { ClientIdentity.birth(of: $0) }
    // 2020 to 2100: milliseconds, not another unit.
    #expect(births.allSatisfy { (1_577_836_800_000..<4_102_444_800_000).contains($0) })
  }

  @Test func everyErrorSaysWhatToDo() throws {
    let rack = Endpoint(.loopback, port: 1)
    for (error, advice) in [
      (.unknownOutcome(.ambiguous), "Read the key before you write it"),
      (.lost, "Write the key again"),
      (.timedOut(rack: rack, after: .seconds(5), hint: nil), "Check the address"),
      (.refused(.wrongHash), "seed"), (.keyLength(0), "choose another key"),
      (.tooLarge(2_000), "store a shorter value"), (.closed, "make a new one"),
      (.socket(.invalidEndpoint("x")), "10.0.0.1:18516"),
    ] as [(HotrackError, String)] {
      #expect(error.description.contains(advice), "\(error)")
    }
  }
}
