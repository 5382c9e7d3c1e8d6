import Testing
import Wire

@testable import Bench

/// What a closed load sends, and which answers it takes for right.
@Suite struct LoadDialectTests {
  private let material = LoadMaterial(count: 10, keyLength: 12, valueLength: 5)

  private func encoded(
    _ dialect: inout some LoadDialect, _ request: ClosedRequest, oldest: UInt64 = 1
  ) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: 2_048) { bytes, count in
      count = dialect.encode(
        request, lane: 0, oldest: oldest, into: UnsafeMutableRawBufferPointer(bytes))
    }
  }

  private func isRight<Dialect: LoadDialect>(
    _ dialect: inout Dialect, _ answer: [UInt8], to request: ClosedRequest
  ) -> Bool? {
    answer.withUnsafeBytes { bytes in
      guard let reply = dialect.decode(bytes),
        (dialect.number(of: reply) ^ request.number) & Dialect.numberMask == 0
      else { return nil }
      return dialect.isRight(reply, bytes, to: request)
    }
  }

  @Test func memcachedRequestsAreItsTextBehindAFrameHeader() {
    var dialect = MemcachedDialect(material)
    let key = String(decoding: material[3], as: UTF8.self)
    let get = ClosedRequest(number: 0x1_0203, operation: .get, key: 3)
    #expect(encoded(&dialect, get) == [2, 3, 0, 0, 0, 1, 0, 0] + Array("get \(key)\r\n".utf8))
    let set = ClosedRequest(number: 1, operation: .set, key: 3)
    #expect(
      encoded(&dialect, set) == [0, 1, 0, 0, 0, 1, 0, 0]
        + Array("set \(key) 0 0 5\r\nabcde\r\n".utf8))
  }

  @Test func memcachedAnswersAreCheckedToTheByte() {
    var dialect = MemcachedDialect(material)
    let key = String(decoding: material[3], as: UTF8.self)
    let frame: [UInt8] = [0, 7, 0, 0, 0, 1, 0, 0]
    let get = ClosedRequest(number: 7, operation: .get, key: 3)
    let right = "VALUE \(key) 0 5\r\nabcde\r\nEND\r\n"
    #expect(isRight(&dialect, frame + Array(right.utf8), to: get) == true)
    for wrong in [
      "END\r\n", "VALUE \(key) 0 5\r\nabcdX\r\nEND\r\n", right + "x", String(right.dropLast()),
      "SERVER_ERROR out of memory\r\n",
    ] {
      #expect(isRight(&dialect, frame + Array(wrong.utf8), to: get) == false)
    }
    #expect(isRight(&dialect, [0, 8, 0, 0, 0, 1, 0, 0] + Array(right.utf8), to: get) == nil)
    #expect(isRight(&dialect, [0, 7, 0, 0, 0, 2, 0, 0] + Array(right.utf8), to: get) == nil)
    let set = ClosedRequest(number: 7, operation: .set, key: 3)
    #expect(isRight(&dialect, frame + Array("STORED\r\n".utf8), to: set) == true)
    #expect(isRight(&dialect, frame + Array("NOT_STORED\r\n".utf8), to: set) == false)
  }

  @Test func stampedRequestsAreWhatADirectorySends() throws {
    var dialect = RackDialect(
      material, lanes: 1,
      stamp: RackDialect.Stamp(server: 4, incarnation: 9, epoch: 2, generation: 6), generation: 6)
    var versions: [UInt64] = []
    for number in UInt64(1)...2 {
      let set = ClosedRequest(number: number, operation: .set, key: 3)
      let message = try Message(datagram: encoded(&dialect, set))
      #expect(message.header.server == 4)
      #expect(message.header.incarnation == 9)
      #expect(message.header.sequence == number)
      #expect(message.header.acknowledged == 1)
      #expect(message.header.keyHash == KeyHash.of(message.key, seed: 0))
      #expect(message.value == Array("abcde".utf8))
      versions.append(message.header.version)
    }
    #expect(versions[0] < versions[1])
    #expect(versions.allSatisfy { Version.epoch(of: $0) == 2 })
  }

  @Test func unstampedRequestsAreAClients() throws {
    var dialect = RackDialect(material, lanes: 1, generation: 6)
    let get = ClosedRequest(number: 5, operation: .get, key: 3)
    let header = try Message(datagram: encoded(&dialect, get, oldest: 2)).header
    #expect(header.server == WireLimits.noServer)
    #expect(header.incarnation == 0)
    #expect(header.generation == 0)
    #expect(header.knownGeneration == 6)
    #expect(header.acknowledged == 2)
  }

  @Test func rackAnswersAreCheckedToTheByte() throws {
    var dialect = RackDialect(material, lanes: 1, generation: 6)
    let get = ClosedRequest(number: 5, operation: .get, key: 3)
    let asked = try Message(datagram: encoded(&dialect, get))
    func answer(_ status: Status, _ value: String) -> [UInt8] {
      var header = asked.header.reply(status)
      header.generation = 8
      return Message(header, value: Array(value.utf8)).encoded()
    }
    #expect(isRight(&dialect, answer(.ok, "abcde"), to: get) == true)
    #expect(dialect.knownGeneration == 8)
    #expect(isRight(&dialect, answer(.ok, "abcdX"), to: get) == false)
    #expect(isRight(&dialect, answer(.ok, "abcdef"), to: get) == false)
    #expect(isRight(&dialect, answer(.notFound, ""), to: get) == false)
    #expect(isRight(&dialect, asked.encoded(), to: get) == nil)
  }
}
