import BinaryCoding
import Testing

@Suite struct BinaryCodingTests {
  @Test(arguments: [0, 1, 127, 128, 16_383, 16_384, 1 << 32, 1 << 63, .max] as [UInt64])
  func numbersComeBack(_ number: UInt64) throws {
    var writer = ByteWriter()
    writer.number(number)
    writer.wide(number)
    let bytes = writer.bytes
    let (first, second, isAtEnd) = try bytes.withUnsafeBytes {
      var reader = ByteReader($0)
      return (try reader.number(), try reader.wide(), reader.isAtEnd)
    }
    #expect(first == number && second == number && isAtEnd)
    #expect(try UInt64(decoding: number.encoded) == number)
  }

  @Test func arraysAndOptionalsComeBack() throws {
    let value: [UInt64?] = [1, nil, .max, nil]
    #expect(try [UInt64?](decoding: value.encoded) == value)
    var appended: [UInt8] = [9]
    value.encode(appendingTo: &appended)
    #expect(appended == [9] + value.encoded)
  }

  @Test func refusesWhatIsNoValue() {
    let bad: [[UInt8]] = [
      [], [0x80], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
      [1, 2],
      [UInt8](repeating: 0x80, count: 20),
    ]
    for bytes in bad {
      #expect(throws: MalformedBytes.self) { try UInt64(decoding: bytes) }
    }
    // A count that lies.
    #expect(throws: MalformedBytes.self) {
      try [UInt64](decoding: [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1])
    }
    #expect(throws: MalformedBytes.self) { try [UInt64](decoding: [3, 1, 2]) }
    #expect(throws: MalformedBytes.self) { try UInt64?(decoding: [2, 1]) }
    let noText: [UInt8] = [2, 0xff, 0xfe]
    #expect(throws: MalformedBytes.self) {
      try noText.withUnsafeBytes {
        var reader = ByteReader($0)
        return try reader.text()
      }
    }
  }
}
