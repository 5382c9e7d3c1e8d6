import Testing
import Wire

@Suite struct WireTests {
  @Test func theOperationStandsWhereItIsLookedFor() {
    for operation in [Operation.get, .copy, .fence] {
      #expect(
        Message(Header(operation)).encoded()[WireLimits.operationOffset] == operation.rawValue)
    }
  }

  @Test func aDatagramSurvivesEncodingAndDecoding() throws {
    var header = Header(.set)
    header.server = 3
    header.flags = [.reply, .notHolder]
    header.epoch = 7
    header.load = 12
    header.copyTargets = 0x8000_0001
    header.generation = 0x1122_3344_5566_7788
    header.version = Version.first(ofEpoch: 7)
    header.incarnation = .max
    header.returnPath = 0x0102_0304_0506_0708
    header.keyHash = 42
    header.client = 43
    header.sequence = 44
    header.acknowledged = 40
    header.firstGeneration = 5
    header.knownGeneration = 6
    header.lateness = 9
    header.returnAddress = (1, 2)
    let message = Message(header, key: Array("key".utf8), value: [1, 2, 3, 4])
    let decoded = try Message(datagram: message.encoded())
    header.keyLength = 3
    header.valueLength = 4
    #expect(decoded.header == header)
    #expect(decoded.key == message.key && decoded.value == message.value)
  }

  @Test func fieldsLieWhereTheProtocolPageSaysInNetworkByteOrder() {
    var header = Header(.get)
    header.generation = 0x0102_0304_0506_0708
    header.sequence = 0x1112_1314_1516_1718
    let bytes = Message(header, key: [9]).encoded()
    #expect(bytes.count == 137)
    #expect(Array(bytes[0..<4]) == [0x48, 0x54, 1, 1])
    #expect(bytes[5] == 255)
    #expect(Array(bytes[16..<24]) == [1, 2, 3, 4, 5, 6, 7, 8])
    #expect(Array(bytes[64..<72]) == [0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18])
    #expect(Array(bytes[104..<112]) == [0, 0, 0, 1, 0, 1, 0, 0])
  }

  @Test func everyPrefixAndEverySingleByteChangeIsDecodedOrRefused() {
    let whole = Message(Header(.set), key: [1, 2], value: [3]).encoded()
    for length in 0..<whole.count {
      #expect(throws: WireError.self) { try Message(datagram: Array(whole[..<length])) }
    }
    for position in whole.indices {
      for byte: UInt8 in [0, 1, 0x7f, 0xff] {
        var changed = whole
        changed[position] = byte
        _ = try? Message(datagram: changed)
      }
    }
  }

  @Test func bodiesSurviveAndRefuseOddLengths() throws {
    let entry = SessionEntry(client: 1, sequence: 2, version: 3, operation: .set, status: .ok)
    let fence = FenceAckBody(
      evictedBirth: 8, storedGeneration: 9, countsFrom: 10, entries: [entry, entry])
    #expect(try FenceAckBody(decoding: fence.encoded()) == fence)
    let sync = SyncBody(freshVersion: 4, lossGeneration: 5, evictedBirth: 6, entries: [entry])
    #expect(try SyncBody(decoding: sync.encoded()) == sync)
    let floor = FloorBody(keyHashes: [1, .max])
    #expect(try FloorBody(decoding: floor.encoded()) == floor)
    let runs = (0..<200).map { SlotRun(first: UInt16($0), count: 1, lossGeneration: 9) }
    let parts = SlotsBody.parts(runs: runs, keyHashes: Array(0..<300))
    #expect(parts.count > 1)
    let decoded = try parts.map { try SlotsBody(decoding: $0.encoded()) }
    #expect(decoded.flatMap(\.runs) == runs)
    #expect(decoded.flatMap(\.keyHashes) == Array(0..<300))
    #expect(parts.allSatisfy { $0.encoded().count <= WireLimits.bodyLengthMax })
    for bytes in [fence.encoded(), sync.encoded(), floor.encoded(), parts[0].encoded()] {
      let short = Array(bytes.dropLast())
      #expect(throws: WireError.self) { try FenceAckBody(decoding: short) }
      #expect(throws: WireError.self) { try SlotsBody(decoding: short) }
    }
  }

  @Test func aPageOfWhatAServerHasHoldsAsMuchAsFits() throws {
    var page = LearnBody(slotsGeneration: 5, lossGeneration: 6)
    #expect(page.isEmpty)
    var runs: UInt16 = 0
    while runs < 30, page.add(SlotRun(first: 16_383 - runs, count: 1, lossGeneration: 7)) {
      runs += 1
    }
    var keys: UInt64 = 0
    while page.add(
      LearnBody.Key(hash: keys + 1, key: Array(repeating: 65, count: 1 + Int(keys) * 50 % 250)))
    {
      keys += 1
    }
    let bytes = page.encoded()
    #expect(runs == 30 && keys > 3 && bytes.count <= WireLimits.bodyLengthMax)
    #expect(try LearnBody(decoding: bytes) == page)
    #expect(!page.add(SlotRun(first: 0, count: 1)) || bytes.count + 16 <= WireLimits.bodyLengthMax)
    // Whatever is cut off, put behind, or contradicts itself is refused.
    for length in bytes.indices {
      #expect(throws: WireError.self) { try LearnBody(decoding: Array(bytes[..<length])) }
    }
    #expect(throws: WireError.self) { try LearnBody(decoding: bytes + [0]) }
    for (place, byte) in [(0, 0xff), (2, 0xff), (3, 0), (24, 0xff), (26, 0xff)] as [(Int, UInt8)] {
      var changed = bytes
      changed[place] = byte
      #expect(throws: WireError.self) { try LearnBody(decoding: changed) }
    }
    var nameless = LearnBody(keys: [.init(hash: 1, key: [65])]).encoded()
    nameless[33] = 0
    #expect(throws: WireError.self) { try LearnBody(decoding: Array(nameless.dropLast())) }
  }

  @Test func moveBodiesSurviveAndRefuseWhatIsNotTheirs() throws {
    var body = MoveBody(
      .take, move: 7, peer: 31, runs: [SlotRun(first: 16_383, count: 1, lossGeneration: 5)])
    (body.credit, body.resendTo, body.evictedBirth, body.lossGeneration) = (1, 2, 3, 4)
    body.keyHashes = [1, .max]
    let bytes = body.encoded()
    #expect(try MoveBody(decoding: bytes) == body)
    var state = MoveAckBody(move: 9)
    (state.sent, state.evictedBirth, state.lossGeneration) = (1, 2, 3)
    (state.waiting, state.isScanned) = (4, true)
    #expect(try MoveAckBody(decoding: state.encoded()) == state)
    let sessions = SlotSessionsBody(entries: [
      SessionEntry(client: 1, sequence: 2, version: 3, operation: .delete, status: .ok)
    ])
    #expect(try SlotSessionsBody(decoding: sessions.encoded()) == sessions)
    for length in 0..<bytes.count {
      #expect(throws: WireError.self) { try MoveBody(decoding: Array(bytes[..<length])) }
    }
    for (offset, value) in [(0, UInt8(0)), (0, 8), (1, 32), (3, 2), (5, 3), (40, 0xff)] {
      var wrong = bytes
      wrong[offset] = value
      #expect(throws: WireError.self) { try MoveBody(decoding: wrong) }
    }
    #expect(throws: WireError.self) { try MoveAckBody(decoding: state.encoded() + [0]) }
    #expect(MoveBody.fits(runs: 16, keyHashes: 100) && !MoveBody.fits(runs: 16, keyHashes: 200))
  }

  @Test func keyHashIsXXH3AndNeverZero() {
    // XXH3-64 of the empty input with seed 0 (reference implementation).
    #expect(KeyHash.of([], seed: 0) == 0x2d06_8005_38d3_94c2)
    #expect(KeyHash.slot(.max) == 16_383)
    #expect(KeyHash.slot(1) == 0)
  }
}
