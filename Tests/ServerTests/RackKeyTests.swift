import Logging
import Server
import Sockets
import Testing
import Wire

/// A server of a rack with a key, asked by whoever has it and by whoever has not.
@Suite struct RackKeyTests {
  private static func keys(_ bytes: ClosedRange<UInt8>) throws -> RackKeys {
    try #require(RackKeys(Array(bytes)))
  }

  private let directory: UDPSocket
  private let arrived = DatagramBatch(capacity: 8, datagramLengthMax: WireLimits.datagramLengthMax)

  init() throws { directory = try UDPSocket(bind: Endpoint(.loopback, port: 0)) }

  private func server(_ keys: RackKeys?, capacity: Double? = nil) -> ServerOptions {
    var options = ServerOptions(
      number: 0, listen: Endpoint(.loopback, port: 0), directory: directory.local)
    options.keys = keys
    options.capacity = capacity
    options.bufferLength = 1 << 16
    return options
  }

  /// A PROBE as `keys` sign it, and its answer; nil: none comes before that to another one, signed by
  /// `after`, which the server answers for certain.
  private func probe(
    _ endpoint: Endpoint, _ keys: RackKeys?, after: RackKeys? = nil
  ) throws -> [UInt8]? {
    var probes: [(sequence: UInt64, keys: RackKeys?)] = [(1, keys)]
    if let after { probes.append((2, after)) }
    for (sequence, signing) in probes {
      var header = Header(.probe)
      header.server = 0
      header.sequence = sequence
      var bytes = Message(header).encoded()
      signing?.sign(&bytes, .toServer)
      try bytes.withUnsafeBytes { _ = try directory.send($0, to: endpoint) }
    }
    let poll = try EventPoll()
    try poll.add(directory.descriptor, token: 0)
    let deadline = MonotonicClock.now + 10_000_000_000
    while MonotonicClock.now < deadline {
      try poll.wait(until: deadline) { _, _ in }
      guard try arrived.receive(from: directory) > 0 else { continue }
      let first = Array(arrived[0])
      return try Message(datagram: first).header.sequence == 1 ? first : nil
    }
    Issue.record("the server does not answer at all")
    return nil
  }

  @Test(arguments: [nil, 1_000.0])
  func onlyWhoKnowsTheKeyIsAnswered(_ capacity: Double?) throws {
    let (keys, other) = (try Self.keys(0...15), try Self.keys(1...16))
    let servers = try RunningServers(
      [server(keys, capacity: capacity)],
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let endpoint = servers.endpoints[0]
    let answer = try #require(try probe(endpoint, keys))
    #expect(answer.withUnsafeBytes { keys.areOf($0, .fromServer) })
    #expect(try probe(endpoint, nil, after: keys) == nil)
    #expect(try probe(endpoint, other, after: keys) == nil)
    // And the rack is told of it.
    let told = try Message(datagram: try #require(try probe(endpoint, keys)))
    #expect(try ProbeBody(decoding: told.value).wrongTags == 2)
    servers.stop()
    #expect(try servers.waitForEnd().map(\.wrongTags) == [2])
  }

  @Test func withoutAKeyThereAreNoTags() throws {
    let servers = try RunningServers([server(nil)], logger: Logger(label: "test"))
    let answer = try #require(try probe(servers.endpoints[0], nil))
    #expect(try Message(datagram: answer).header.rackTag == 0)
  }

  @Test func aKeyIsReadAgainWhenAskedFor() throws {
    let (old, new) = (try Self.keys(0...15), try Self.keys(1...16))
    let signal = try WakeUp()
    let servers = try RunningServers(
      [server(old)], logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
      newKeys: (signal, { new }))
    let endpoint = servers.endpoints[0]
    #expect(try probe(endpoint, old) != nil)
    signal.signal()
    // What was received with the signal may still meet the old key.
    var answer = try probe(endpoint, old, after: new)
    answer = try probe(endpoint, new)
    #expect(try #require(answer).withUnsafeBytes { new.areOf($0, .fromServer) })
    #expect(try probe(endpoint, old, after: new) == nil)
  }
}
