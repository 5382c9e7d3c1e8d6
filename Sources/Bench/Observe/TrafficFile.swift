internal import Foundation
internal import Observe
internal import Wire
internal import Workload

/// A capture file of made-up traffic of which the truth is known: many clients ask one server for
/// keys after Zipf; each request and each answer is a packet.
public struct TrafficFile: Sendable {
  /// What is spoken.
  public enum Kind: String, Sendable, CaseIterable, Codable {
    case memcachedText = "memcached_text"
    case memcachedBinary = "memcached_binary"
    case memcachedUDP = "memcached_udp"
    case redis
    case hotrack
  }

  public let path: String
  public let packets: Int
  public let requests: Int
  /// Different keys that are asked for.
  public var distinctKeys: Int { truth.count { $0 > 0 } }
  /// Requests for each key, by rank from 0.
  let truth: [Int]
  let keys: KeySpace

  private static let valueLength = 100
  private static let connections = 64

  /// Writes the file. `packets`: about so many, at least 100.
  public init(
    _ kind: Kind, packets: Int, keys keyCount: Int, alpha: Double, readShare: Double, path: String
  ) throws {
    var random = RandomSource(seed: 1)
    let popularity = ZipfDistribution(count: keyCount, alpha: alpha)
    keys = KeySpace(count: keyCount, prefix: "key:", keyLength: 16, seed: 1)
    var truth = [Int](repeating: 0, count: keyCount)
    var writer = FrameWriter()
    var requests = 0
    for connection in 0..<Self.connections where kind.isStream {
      writer.segment(connection, toServer: true, flags: 2, [], port: kind.port)
    }
    while writer.frames < packets {
      let rank = popularity.rank(using: &random)
      let isRead = random.unit() < readShare
      truth[rank] += 1
      requests += 1
      let connection = requests % Self.connections
      let key = keys.key(ofRank: rank)
      let (request, answer) = kind.exchange(key, isRead: isRead, number: requests, Self.valueLength)
      if kind.isStream {
        writer.segment(connection, toServer: true, flags: 24, request, port: kind.port)
        writer.segment(connection, toServer: false, flags: 24, answer, port: kind.port)
      } else {
        writer.datagram(connection, toServer: true, request, port: kind.port)
        writer.datagram(connection, toServer: false, answer, port: kind.port)
      }
    }
    try Data(writer.bytes).write(to: URL(filePath: path))
    (self.path, self.packets, self.requests, self.truth) = (path, writer.frames, requests, truth)
  }
}

extension TrafficFile.Kind {
  var isStream: Bool { self != .memcachedUDP && self != .hotrack }

  var port: UInt16 {
    switch self {
    case .memcachedText, .memcachedBinary, .memcachedUDP: KeyProtocol.memcached.usualPort
    case .redis: KeyProtocol.redis.usualPort
    case .hotrack: KeyProtocol.hotrack.usualPort
    }
  }

  /// What client and server say.
  func exchange(
    _ key: [UInt8], isRead: Bool, number: Int, _ valueLength: Int
  ) -> (request: [UInt8], answer: [UInt8]) {
    let value = [UInt8](repeating: 120, count: valueLength)
    let (keyText, valueText) = (
      String(decoding: key, as: UTF8.self), String(decoding: value, as: UTF8.self)
    )
    switch self {
    case .memcachedText, .memcachedUDP:
      let (request, answer) =
        isRead
        ? ("get \(keyText)\r\n", "VALUE \(keyText) 0 \(valueLength)\r\n\(valueText)\r\nEND\r\n")
        : ("set \(keyText) 0 0 \(valueLength)\r\n\(valueText)\r\n", "STORED\r\n")
      let frame = [UInt8(number >> 8 & 255), UInt8(number & 255), 0, 0, 0, 1, 0, 0]
      let head = self == .memcachedUDP ? frame : []
      return (head + Array(request.utf8), head + Array(answer.utf8))
    case .memcachedBinary:
      let extras = [UInt8](repeating: 0, count: isRead ? 0 : 8)
      return (
        Self.binaryHeader(
          0x80, isRead ? 0 : 1, key: key.count, extras: extras.count,
          body: key.count + extras.count + (isRead ? 0 : valueLength)) + extras + key
          + (isRead ? [] : value),
        isRead
          ? Self.binaryHeader(0x81, 0, key: 0, extras: 4, body: 4 + valueLength) + [0, 0, 0, 0]
            + value
          : Self.binaryHeader(0x81, 1, key: 0, extras: 0, body: 0)
      )
    case .redis:
      let bulk = "$\(valueLength)\r\n\(valueText)\r\n"
      let keyBulk = "$\(key.count)\r\n\(keyText)\r\n"
      let (request, answer) =
        isRead
        ? ("*2\r\n$3\r\nGET\r\n\(keyBulk)", bulk)
        : ("*3\r\n$3\r\nSET\r\n\(keyBulk)\(bulk)", "+OK\r\n")
      return (Array(request.utf8), Array(answer.utf8))
    case .hotrack:
      var header = Header(isRead ? .get : .set)
      header.client = UInt64(number % 64) + 1
      header.sequence = UInt64(number)
      header.keyHash = KeyHash.of(key, seed: 0)
      var answer = header
      answer.flags.insert(.reply)
      return (
        Message(header, key: key, value: isRead ? [] : value).encoded(),
        Message(answer, key: key, value: isRead ? value : []).encoded()
      )
    }
  }

  private static func binaryHeader(
    _ magic: UInt8, _ operation: UInt8, key: Int, extras: Int, body: Int
  ) -> [UInt8] {
    [magic, operation, UInt8(key >> 8), UInt8(key & 255), UInt8(extras), 0, 0, 0]
      + [
        UInt8(body >> 24 & 255), UInt8(body >> 16 & 255), UInt8(body >> 8 & 255), UInt8(body & 255),
      ]
      + [UInt8](repeating: 0, count: 12)
  }
}

/// Frames of Ethernet, IPv4 and TCP or UDP in a pcap file. Checksums are left out: whoever captures on
/// the sending host sees none either.
private struct FrameWriter {
  private(set) var bytes: [UInt8] = []
  private(set) var frames = 0
  /// The next sequence number of each connection and direction.
  private var sequences: [UInt32] = Array(repeating: 1, count: 256)
  private var microseconds: UInt64 = 1_700_000_000_000_000

  init() {
    // Microseconds, Ethernet.
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, 1] as [UInt32] { little(word) }
  }

  mutating func segment(
    _ connection: Int, toServer: Bool, flags: UInt8, _ payload: [UInt8], port: UInt16
  ) {
    begin(20 + payload.count, 6, connection, toServer)
    ports(connection, toServer, port)
    let (mine, other) = (connection * 2 + (toServer ? 0 : 1), connection * 2 + (toServer ? 1 : 0))
    big(sequences[mine])
    big(sequences[other])
    bytes += [0x50, flags, 0xff, 0xff, 0, 0, 0, 0]
    bytes += payload
    sequences[mine] &+= UInt32(payload.count) &+ (flags & 2 != 0 ? 1 : 0)
  }

  mutating func datagram(_ connection: Int, toServer: Bool, _ payload: [UInt8], port: UInt16) {
    begin(8 + payload.count, 17, connection, toServer)
    ports(connection, toServer, port)
    let length = UInt16(8 + payload.count)
    bytes += [UInt8(length >> 8), UInt8(length & 255), 0, 0]
    bytes += payload
  }

  private mutating func begin(_ length: Int, _ number: UInt8, _ connection: Int, _ toServer: Bool) {
    frames += 1
    microseconds += 1
    let (total, frame) = (20 + length, 34 + length)
    little(UInt32(microseconds / 1_000_000))
    little(UInt32(microseconds % 1_000_000))
    little(UInt32(frame))
    little(UInt32(frame))
    bytes += [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]
    bytes += [0x45, 0, UInt8(total >> 8), UInt8(total & 255), 0, 0, 0x40, 0, 64, number, 0, 0]
    let (client, server) = ([10, 0, 0, UInt8(connection)], [10, 0, 1, 1] as [UInt8])
    bytes += toServer ? client + server : server + client
  }

  private mutating func ports(_ connection: Int, _ toServer: Bool, _ port: UInt16) {
    let client = UInt16(40_000 + connection)
    big(toServer ? UInt32(client) << 16 | UInt32(port) : UInt32(port) << 16 | UInt32(client))
  }

  private mutating func big(_ word: UInt32) {
    for shift in [24, 16, 8, 0] as [UInt32] { bytes.append(UInt8(word >> shift & 255)) }
  }

  private mutating func little(_ word: UInt32) {
    for shift in [0, 8, 16, 24] as [UInt32] { bytes.append(UInt8(word >> shift & 255)) }
  }
}
