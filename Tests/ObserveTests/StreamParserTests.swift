import Testing

@testable import Observe

@Suite struct StreamParserTests {
  /// What clients say, and the requests in it.
  struct Conversation: Sendable, CustomTestStringConvertible {
    var name: String
    var keyProtocol: KeyProtocol
    var bytes: [UInt8]
    var requests: [String]
    var testDescription: String { name }

    init(_ name: String, _ keyProtocol: KeyProtocol, _ text: String, _ requests: [String]) {
      self.init(name, keyProtocol, bytes: Array(text.utf8), requests)
    }
    init(_ name: String, _ keyProtocol: KeyProtocol, bytes: [UInt8], _ requests: [String]) {
      (self.name, self.keyProtocol, self.bytes) = (name, keyProtocol, bytes)
      self.requests = requests
    }
  }

  /// A header of memcached's binary protocol and what follows.
  static func binary(_ operation: UInt8, extras: Int, key: String, value: String = "") -> [UInt8] {
    let body = extras + key.utf8.count + value.utf8.count
    return [0x80, operation] + Packets.big(UInt64(key.utf8.count), 2) + [UInt8(extras), 0, 0, 0]
      + Packets.big(UInt64(body), 4) + [UInt8](repeating: 0, count: 12 + extras)
      + Array(key.utf8) + Array(value.utf8)
  }

  static let conversations = [
    Conversation(
      "memcached reads", .memcached,
      "get a\r\nget b  c d\r\ngets e\r\ngat 10 f g\r\nversion\r\n\r\nmg h v t\r\nget i\r\n",
      ["r a", "r b", "r c", "r d", "r e", "r f", "r g", "-", "r h", "r i"]),
    Conversation(
      "memcached writes", .memcached,
      "set a 0 0 7\r\nget x\r\n\r\ncas b 1 2 3 99 noreply\r\nabc\r\ndelete c\r\nincr d 5\r\n"
        + "touch e 9\r\nms f 5 T0\r\nhello\r\nmd g q\r\nma h\r\nadd i 0 0 0\r\n\r\nget j\r\n",
      ["w a", "w b", "w c", "w d", "w e", "w f", "w g", "w h", "w i", "r j"]),
    Conversation(
      "memcached binary", .memcached,
      bytes: binary(0, extras: 0, key: "a") + binary(1, extras: 8, key: "b", value: "get x\r\n")
        + binary(0x0a, extras: 0, key: "") + binary(5, extras: 20, key: "c")
        + binary(0x0d, extras: 0, key: "d") + binary(0x19, extras: 0, key: "e", value: "v"),
      ["r a", "w b", "-", "w c", "r d", "w e"]),
    Conversation(
      "redis", .redis,
      "*2\r\n$3\r\nGET\r\n$1\r\na\r\n*3\r\n$3\r\nset\r\n$1\r\nb\r\n$12\r\n*2\r\n$3\r\nGET\r\n\r\n"
        + "*1\r\n$4\r\nPING\r\n*5\r\n$4\r\nMSET\r\n$1\r\nc\r\n$1\r\n1\r\n$1\r\nd\r\n$1\r\n2\r\n"
        + "*3\r\n$3\r\nDEL\r\n$1\r\ne\r\n$1\r\nf\r\n*3\r\n$4\r\nHGET\r\n$1\r\ng\r\n$1\r\nx\r\n",
      ["r a", "w b", "-", "w c", "w d", "w e", "w f", "r g"]),
    Conversation(
      "redis, keys elsewhere", .redis,
      "*6\r\n$4\r\nEVAL\r\n$1\r\ns\r\n$1\r\n2\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nx\r\n"
        + "*4\r\n$5\r\nBLPOP\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\n0\r\n"
        + "*4\r\n$11\r\nSUNIONSTORE\r\n$1\r\ne\r\n$1\r\nf\r\n$1\r\ng\r\n"
        + "*5\r\n$5\r\nBITOP\r\n$2\r\nOR\r\n$1\r\nh\r\n$1\r\ni\r\n$1\r\nj\r\n"
        + "*4\r\n$6\r\nZUNION\r\n$1\r\n2\r\n$1\r\nk\r\n$1\r\nl\r\n"
        + "*2\r\n$7\r\nUNKNOWN\r\n$1\r\nx\r\n",
      [
        "w a", "w b", "w c", "w d", "w e", "r f", "r g", "w h", "r i", "r j", "r k", "r l", "-",
      ]),
    Conversation(
      "redis inline", .redis, "PING\r\nget a\r\nMGET b c\r\n*0\r\nset d 1\r\n",
      ["-", "r a", "r b", "r c", "w d"]),
    Conversation(
      "redis, long values and keys", .redis,
      "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5000\r\n" + String(repeating: "x", count: 5_000) + "\r\n"
        + "*2\r\n$3\r\nGET\r\n$1024\r\n" + String(repeating: "k", count: 1_024) + "\r\n"
        + "*2\r\n$3\r\nGET\r\n$1025\r\n" + String(repeating: "k", count: 1_025) + "\r\n"
        + "*2\r\n$3\r\nGET\r\n$1\r\nb\r\n",
      ["w a", "r " + String(repeating: "k", count: 1_024), "r b"]),
  ]

  @Test(arguments: conversations)
  func requestsAreFound(_ conversation: Conversation) {
    var parser = StreamParser(conversation.keyProtocol, fromStart: true)
    var found = Found()
    parser.consume(conversation.bytes, &found)
    #expect(found.requests == conversation.requests)
    #expect(parser.isSynchronized)
  }

  @Test(arguments: conversations)
  func whereTheStreamIsCutDoesNotMatter(_ conversation: Conversation) {
    for size in [1, 2, 3, 5, 7, 11, 24, 100] {
      var parser = StreamParser(conversation.keyProtocol, fromStart: true)
      var found = Found()
      var rest = conversation.bytes[...]
      while !rest.isEmpty {
        parser.consume(Array(rest.prefix(size)), &found)
        rest = rest.dropFirst(size)
      }
      #expect(found.requests == conversation.requests, "in pieces of \(size)")
    }
  }

  @Test(arguments: conversations.filter { !$0.name.contains("inline") })
  func theyAreRecognizedWhoeverListens(_ conversation: Conversation) {
    var parser = StreamParser(nil, fromStart: false)
    var found = Found()
    parser.consume(conversation.bytes, &found)
    #expect(found.requests == conversation.requests)
    #expect(parser.keyProtocol == conversation.keyProtocol)
  }

  @Test func aGapInsideAValueIsPassedOver() {
    var parser = StreamParser(.memcached, fromStart: true)
    var found = Found()
    parser.consume("set a 0 0 1000\r\nxxx", &found)
    parser.passOver(990)
    #expect(parser.isSynchronized)
    parser.consume("xxxxxxx\r\nget b\r\n", &found)
    #expect(found.requests == ["w a", "r b"])
  }

  @Test func behindAnyOtherGapTheNextRequestThatIsRecognizedCounts() {
    var parser = StreamParser(.redis, fromStart: true)
    var found = Found()
    parser.consume("*2\r\n$3\r\nGET\r\n$5\r\nal", &found)
    parser.passOver(40)
    #expect(!parser.isSynchronized)
    parser.consume("ue\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n*2\r\n$3\r\nGET\r\n$1\r\nc\r\n", &found)
    #expect(found.requests == ["r b", "r c"])

    var binary = StreamParser(.memcached, fromStart: true)
    found = Found()
    binary.consume(Self.binary(0, extras: 0, key: "a"), &found)
    binary.passOver(30)
    binary.consume([1, 0x80, 2, 3] + Self.binary(0, extras: 0, key: "b"), &found)
    #expect(found.requests == ["r a", "r b"])
  }

  @Test func whatIsNotTheProtocolIsNotCounted() {
    for text in [
      "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\u{16}\u{3}\u{1}\0get a", "*2\r\n*1\r\n$3\r\nGET\r\n",
      "*99999999\r\n", "$3\r\nGET\r\n", "set a b c d\r\n", "getting a\r\n",
      "get " + String(repeating: "k", count: 300) + "\r\n",
    ] {
      var parser = StreamParser(nil, fromStart: true)
      var found = Found()
      parser.consume(text, &found)
      #expect(found.requests == [], "\(text)")
    }
  }

  @Test func controlCharactersEndNoWord() {
    for text in ["get a \0b\r\n", "get\0a\r\n", "get a\0\r\n", "set a \u{1}0 0 1\r\n"] {
      var parser = StreamParser(.memcached, fromStart: true)
      var found = Found()
      parser.consume(text, &found)
      #expect(!parser.isSynchronized && found.requests.allSatisfy { $0.hasSuffix(" a") }, "\(text)")
    }
  }

  @Test func onlyTheKeysPlaceOfACommandCounts() {
    #expect(RedisCommand.nameLengthMax >= "GEORADIUSBYMEMBER_RO".count)
    // The table traps if two commands have one hash.
    var parser = StreamParser(.redis, fromStart: true)
    var found = Found()
    parser.consume("*3\r\n$6\r\nOBJECT\r\n$8\r\nENCODING\r\n$1\r\na\r\n", &found)
    #expect(found.requests == ["r a"])
  }
}
