import Testing
import Wire

@testable import Observe

@Suite struct TrafficObserverTests {
  private static let syn: UInt8 = 2
  private let observer = TrafficObserver(link: .ethernet)
  private let client = Packets()

  @Test func whatIsSentAgainCountsOnce() {
    observer.take(client.segment(99, "", flags: Self.syn))
    observer.take(client.segment(100, "get a\r\n"))
    observer.take(client.segment(100, "get a\r\n"))
    observer.take(client.segment(100, "get a\r\nget b\r\n"))
    // A probe of one byte before.
    observer.take(client.segment(113, "\n"))
    #expect(observer.counted.sorted() == ["a: 1", "b: 1"])
    #expect(observer.observation(servers: 4).streams.repeatedSegments == 2)
  }

  @Test func whatComesEarlyWaits() {
    observer.take(client.segment(99, "", flags: Self.syn))
    observer.take(client.segment(107, "a b\r\nget c\r\n"))
    observer.take(client.segment(105, "ra"))
    observer.take(client.segment(100, "get "))
    // It overlaps what has come.
    observer.take(client.segment(103, " rar"))
    let seen = observer.observation(servers: 4)
    #expect(seen.keys.map(\.key).sorted() == ["b", "c", "rara"])
    #expect(seen.streams.gaps == 0)
  }

  @Test func whatTheServerHasAcknowledgedIsNotWaitedFor() {
    observer.take(client.segment(99, "", flags: Self.syn))
    observer.take(client.segment(100, "get a\r\n"))
    observer.take(client.segment(114, "get c\r\n"))
    #expect(observer.counted == ["a: 1"])
    observer.take(client.segment(1, "", toServer: false, acknowledging: 121))
    #expect(observer.counted.sorted() == ["a: 1", "c: 1"])
    let streams = observer.observation(servers: 4).streams
    #expect(streams.gaps == 1 && streams.missingBytes == 7)
  }

  @Test func aLossIsGivenUpInTheEnd() {
    observer.take(client.segment(99, "", flags: Self.syn))
    for index in 0..<20 {
      observer.take(client.segment(107 + 7 * UInt32(index), "get b\r\n"))
    }
    #expect(observer.counted == ["b: 20"])
  }

  @Test func aConnectionIsTakenUpInItsMiddleAndAcrossTheEndOfSequenceNumbers() {
    observer.take(client.segment(0xffff_fff9, "get a\r\n"))
    observer.take(client.segment(0, "get b\r\n"))
    #expect(observer.counted.sorted() == ["a: 1", "b: 1"])
    // Another connection with the same ports, of which the start was missed.
    observer.take(client.segment(0x7000_0000, "get c\r\n"))
    #expect(observer.counted.contains("c: 1"))
  }

  @Test func whatServersSayIsNoRequest() {
    observer.take(client.segment(1, "get a\r\n", toServer: false))
    #expect(observer.counted == [])
  }

  @Test func protocolsAreRecognizedOnOtherPorts() {
    var redis = Packets(isIPv6: true)
    redis.serverPort = 7_000
    observer.take(redis.segment(99, "", flags: Self.syn))
    observer.take(redis.segment(100, "*2\r\n$3\r\nGET\r\n$1\r\na\r\n"))
    let seen = observer.observation(servers: 4)
    #expect(seen.keys.map(\.keyProtocol) == [.redis])
    #expect(seen.servers.map(\.address) == ["[2001::2]:7000"])
    var other = Packets()
    other.serverPort = 80
    for index in 0..<20 {
      other.clientPort = 40_000 + UInt16(index)
      observer.take(other.segment(1, "GET / HTTP/1.1\r\n\r\n"))
    }
    #expect(observer.counted == ["a: 1"])
  }

  @Test func aPortThatIsNamedIsOfItsProtocol() {
    var configuration = TrafficObserver.Configuration()
    configuration.ports = [7_000: .redis]
    configuration.recognizes = false
    let observer = TrafficObserver(link: .ethernet, configuration: configuration)
    var packets = Packets()
    for port in [7_000, 7_001] as [UInt16] {
      packets.serverPort = port
      observer.take(packets.segment(1, "", flags: Self.syn))
      observer.take(packets.segment(2, "GET a\r\n"))
    }
    #expect(observer.counted == ["a: 1"])
  }

  @Test func memcachedOverUDP() {
    let frame: [UInt8] = [1, 2, 0, 0, 0, 1, 0, 0]
    observer.take(client.datagram(frame + Array("get a b\r\n".utf8)))
    observer.take(client.datagram(frame + Array("set c 0 0 1\r\nx\r\n".utf8)))
    observer.take(client.datagram([1, 2, 0, 1, 0, 2, 0, 0] + Array("get d\r\n".utf8)))
    #expect(observer.counted.sorted() == ["a: 1", "b: 1", "c: 1"])
  }

  private func rackRequest(_ key: String, sequence: UInt64, isSteered: Bool) -> [UInt8] {
    var header = Header(.get)
    header.client = 5
    header.sequence = sequence
    header.incarnation = isSteered ? 77 : 0
    return Message(header, key: Array(key.utf8)).encoded()
  }

  @Test func hotracksRequestsCountOnceBeforeAndBehindTheDirectory() {
    var rack = Packets()
    rack.serverPort = WireLimits.port
    observer.take(rack.datagram(rackRequest("a", sequence: 1, isSteered: false)))
    observer.take(rack.datagram(rackRequest("a", sequence: 1, isSteered: true)))
    // Joined ones, as the sending host shows them.
    observer.take(
      rack.datagram(
        rackRequest("a", sequence: 2, isSteered: false)
          + rackRequest("b", sequence: 3, isSteered: false)))
    // A retry is load.
    observer.take(rack.datagram(rackRequest("b", sequence: 3, isSteered: false)))
    var reply = Header(.get)
    reply.flags = .reply
    observer.take(rack.datagram(Message(reply, key: [120]).encoded()))
    #expect(observer.counted.sorted() == ["a: 2", "b: 2"])
    #expect(observer.observation(servers: 4).packets.all == 5)
  }

  @Test func manyConnectionsAndKeysTakeBoundedRoom() {
    var configuration = TrafficObserver.Configuration()
    configuration.places = 64
    configuration.connections = 64
    let observer = TrafficObserver(link: .ethernet, configuration: configuration)
    var packets = Packets()
    for index in 0..<20_000 {
      packets.clientPort = UInt16(1_024 + index % 30_000)
      // Each waits for an earlier segment, and half of them ask for one key.
      observer.take(packets.segment(1, "", flags: Self.syn))
      observer.take(packets.segment(2, "get \(index % 2 == 0 ? "hot" : "k\(index)")\r\n"))
      observer.take(packets.segment(1_000, "get late\r\n"))
    }
    let seen = observer.observation(servers: 4)
    #expect(seen.streams.connections <= 64 && seen.streams.forgotten > 19_000)
    #expect(seen.keys.count <= 64)
    #expect(seen.keys.first?.key == "hot")
    #expect(abs((seen.keys.first?.share ?? 0) - 0.5) < 0.01)
    #expect(abs(seen.distinctKeys - 10_001) < 300)
  }

  @Test func aWindowForgets() {
    var configuration = TrafficObserver.Configuration()
    configuration.window = 1
    let observer = TrafficObserver(link: .ethernet, configuration: configuration)
    var sequence: UInt32 = 1
    func ask(_ key: String, _ time: UInt64) {
      observer.take(client.segment(sequence, "get \(key)\r\n"), time: time * 1_000_000)
      sequence += 6 + UInt32(key.count)
    }
    for step in 0..<1_000 { ask("a", 1_000 + UInt64(step)) }
    for step in 0..<1_000 { ask("b", 11_000 + UInt64(step)) }
    let seen = observer.observation(servers: 4)
    #expect(seen.keys.first?.key == "b" && (seen.keys.first?.share ?? 0) > 0.99)
    #expect(seen.requests < 700)
    #expect(abs(seen.seconds - 10.999) < 0.01)
  }
}
