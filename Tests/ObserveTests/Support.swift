@testable import Observe

/// The requests that a parser finds, as text: "r key", "w key", "-" without a key.
struct Found: RequestSink {
  var requests: [String] = []

  mutating func request(key: UnsafeRawBufferPointer, isRead: Bool) {
    requests.append((isRead ? "r " : "w ") + String(decoding: key, as: UTF8.self))
  }
  mutating func requestWithoutKey() { requests.append("-") }
}

extension StreamParser {
  mutating func consume(_ text: String, _ found: inout Found) {
    Array(text.utf8).withUnsafeBytes { consume($0, &found) }
  }
  mutating func consume(_ bytes: [UInt8], _ found: inout Found) {
    bytes.withUnsafeBytes { consume($0, &found) }
  }
}

/// A connection's packets, as a test writes them.
struct Packets {
  var isIPv6 = false
  /// Tags of VLANs, outermost first.
  var vlans: [UInt16] = []
  var clientPort: UInt16 = 40_000
  var serverPort: UInt16 = 11_211

  static func big(_ value: UInt64, _ bytes: Int) -> [UInt8] {
    (0..<bytes).reversed().map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
  }

  func frame(_ number: UInt8, toServer: Bool, _ body: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]
    for vlan in vlans { bytes += [0x81, 0] + Self.big(UInt64(vlan), 2) }
    let (client, server): (UInt8, UInt8) = (1, 2)
    let ends = toServer ? [client, server] : [server, client]
    if isIPv6 {
      bytes += [0x86, 0xdd, 0x60, 0, 0, 0] + Self.big(UInt64(body.count), 2) + [number, 64]
      for end in ends { bytes += [0x20, 1] + [UInt8](repeating: 0, count: 13) + [end] }
    } else {
      bytes += [8, 0, 0x45, 0] + Self.big(UInt64(20 + body.count), 2)
      bytes += [0, 0, 0x40, 0, 64, number, 0, 0]
      for end in ends { bytes += [10, 0, 0, end] }
    }
    return bytes + body
  }

  private func ports(_ toServer: Bool) -> [UInt8] {
    toServer
      ? Self.big(UInt64(clientPort), 2) + Self.big(UInt64(serverPort), 2)
      : Self.big(UInt64(serverPort), 2) + Self.big(UInt64(clientPort), 2)
  }

  func segment(
    _ sequence: UInt32, _ text: String, toServer: Bool = true, flags: UInt8 = 16,
    acknowledging: UInt32 = 0
  ) -> [UInt8] {
    frame(
      6, toServer: toServer,
      ports(toServer) + Self.big(UInt64(sequence), 4) + Self.big(UInt64(acknowledging), 4)
        + [0x50, flags, 255, 255, 0, 0, 0, 0] + Array(text.utf8))
  }

  func datagram(_ payload: [UInt8]) -> [UInt8] {
    frame(
      17, toServer: true, ports(true) + Self.big(UInt64(8 + payload.count), 2) + [0, 0] + payload)
  }
}

extension TrafficObserver {
  func take(_ frame: [UInt8], time: UInt64 = 1_000_000_000) {
    frame.withUnsafeBytes { take($0, time: time) }
  }

  /// "key: requests", the hottest first.
  var counted: [String] {
    observation(servers: 4).keys.map { "\($0.key): \(Int($0.requests))" }
  }
}
