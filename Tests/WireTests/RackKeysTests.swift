import Testing
import Wire

/// SipHash-2-4, byte by byte as its paper says it, to compare the product's with.
private func sipHash(_ key: [UInt8], _ message: [UInt8]) -> UInt64 {
  func word(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
  func rotated(_ x: UInt64, _ bits: UInt64) -> UInt64 { x << bits | x >> (64 - bits) }
  let (first, second) = (word(key[0..<8]), word(key[8..<16]))
  var v = [
    first ^ 0x736f_6d65_7073_6575, second ^ 0x646f_7261_6e64_6f6d,
    first ^ 0x6c79_6765_6e65_7261, second ^ 0x7465_6462_7974_6573,
  ]
  func rounds(_ count: Int) {
    for _ in 0..<count {
      v[0] &+= v[1]
      v[1] = rotated(v[1], 13) ^ v[0]
      v[0] = rotated(v[0], 32)
      v[2] &+= v[3]
      v[3] = rotated(v[3], 16) ^ v[2]
      v[0] &+= v[3]
      v[3] = rotated(v[3], 21) ^ v[0]
      v[2] &+= v[1]
      v[1] = rotated(v[1], 17) ^ v[2]
      v[2] = rotated(v[2], 32)
    }
  }
  let zeros = [UInt8](repeating: 0, count: 7 - message.count % 8)
  let padded = message + zeros + [UInt8(message.count & 255)]
  for start in stride(from: 0, to: padded.count, by: 8) {
    let next = word(padded[start..<start + 8])
    v[3] ^= next
    rounds(2)
    v[0] ^= next
  }
  v[2] ^= 0xff
  rounds(4)
  return v[0] ^ v[1] ^ v[2] ^ v[3]
}

@Suite struct RackKeysTests {
  private static let key = [UInt8](0..<16)
  private static let datagram: [UInt8] = {
    var header = Header(.copy)
    header.version = Version.first(ofEpoch: 3)
    header.rackTag = 0x55
    header.returnAddress = (7, 8)
    return Message(header, key: [1, 2, 3], value: [4, 5]).encoded()
  }()

  /// Those of appendix A of the paper, and of its authors' `vectors.h`.
  @Test func theComparisonIsSipHash() {
    #expect(sipHash(Self.key, []) == 0x726f_db47_dd0e_0e31)
    #expect(sipHash(Self.key, [0]) == 0x74f8_39c5_93dc_67fd)
    #expect(sipHash(Self.key, Array(0..<15)) == 0xa129_ca61_49be_45e5)
  }

  @Test(arguments: [RackKeys.Direction.toServer, .fromServer])
  func aTagIsTheHashOfTheHeaderWithTheDirectionInItsPlace(_ direction: RackKeys.Direction) throws {
    let keys = try #require(RackKeys(Self.key))
    var signed = Self.datagram
    keys.sign(&signed, direction)
    var message = Array(Self.datagram[..<WireLimits.headerLength])
    message.replaceSubrange(
      112..<120, with: [direction == .toServer ? 1 : 2, 0, 0, 0, 0, 0, 0, 0])
    #expect(try Message(datagram: signed).header.rackTag == sipHash(Self.key, message))
    #expect(signed[..<112] == Self.datagram[..<112] && signed[120...] == Self.datagram[120...])
  }

  @Test func everyBitOfTheHeaderCounts() throws {
    let keys = try #require(RackKeys(Self.key))
    var signed = Self.datagram
    keys.sign(&signed, .toServer)
    func areOf(_ bytes: [UInt8], _ keys: RackKeys, _ direction: RackKeys.Direction) -> Bool {
      bytes.withUnsafeBytes { keys.areOf($0, direction) }
    }
    #expect(areOf(signed, keys, .toServer))
    #expect(!areOf(signed, keys, .fromServer))
    #expect(!areOf(Self.datagram, keys, .toServer))
    #expect(!areOf(Array(signed[..<135]), keys, .toServer))
    #expect(!areOf([], keys, .toServer))
    for place in 0..<WireLimits.headerLength {
      for bit in 0..<8 {
        var changed = signed
        changed[place] ^= 1 << UInt8(bit)
        #expect(!areOf(changed, keys, .toServer), "byte \(place), bit \(bit)")
      }
    }
    for bit in 0..<128 {
      var other = Self.key
      other[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(!areOf(signed, try #require(RackKeys(other)), .toServer))
    }
    // Not key and value: docs/protocol.md says so.
    var body = signed
    body[WireLimits.headerLength] ^= 1
    #expect(areOf(body, keys, .toServer))
  }

  @Test func whileKeysChangeBothAreTakenAndTheFirstMakesTags() throws {
    let (old, new) = (Self.key, [UInt8](16..<32))
    func accepts(_ keys: RackKeys?, from other: RackKeys?) throws -> Bool {
      var signed = Self.datagram
      try #require(other).sign(&signed, .fromServer)
      let keys = try #require(keys)
      return signed.withUnsafeBytes { keys.areOf($0, .fromServer) }
    }
    let steps = [old, old + new, new + old, new].map { RackKeys($0) }
    for (one, next) in zip(steps, steps.dropFirst()) {
      #expect(try accepts(one, from: next) && accepts(next, from: one))
    }
    #expect(try !accepts(steps[0], from: steps[3]) && !accepts(steps[3], from: steps[0]))
    #expect(try !accepts(steps[0], from: steps[2]))
  }

  @Test func whatIsNoKeyIsRefusedAndKeysAreNotShown() throws {
    for length in [0, 1, 15, 17, 31, 33] {
      #expect(RackKeys([UInt8](repeating: 1, count: length)) == nil)
    }
    let keys = try #require(RackKeys(Self.key))
    var text = "\(keys) \(String(reflecting: keys)) \(Optional(keys) as Any)"
    dump(keys, to: &text)
    #expect(text.contains("rack key") && !text.contains("50462976") && !text.contains("0706"))
    #expect(!text.contains("first") && !text.contains(where: \.isNumber))
  }

  @Test func aServerTellsOfWrongTagsOnlyIfThereWereAny() throws {
    var body = ProbeBody()
    body.keys = 3
    #expect(body.encoded().count == 56)
    body.wrongTags = 4
    #expect(body.encoded().count == 64)
    #expect(try ProbeBody(decoding: body.encoded()) == body)
  }
}
