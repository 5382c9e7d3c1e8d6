internal import KeyTemperature
internal import Wire

/// What is counted of the requests, in bounded memory.
struct KeyStatistics: RequestSink {
  /// Requests of one kind.
  struct Count: Sendable {
    var reads: UInt64 = 0
    var writes: UInt64 = 0
    var withoutKey: UInt64 = 0
  }

  /// Requests to one server.
  struct Server: Sendable {
    var address: FlowKey
    var keyProtocol: KeyProtocol
    var requests: UInt64 = 0
  }

  static let serversMax = 1_024
  /// Seconds behind which a key's present rate lies.
  static let rateTime = 5.0

  private(set) var keys: HotKeys
  private(set) var distinct = DistinctCount()
  /// Requests with a key, those before the window weighing less and less.
  private(set) var weight: DecayingCounter
  private(set) var counts = [Count](repeating: Count(), count: KeyProtocol.allCases.count)
  private(set) var servers: [Server] = []
  private var serverOfAddress: [FlowKey: UInt16] = [:]
  /// Where the next requests belong.
  private var current = KeyProtocol.hotrack
  private var currentServer: UInt16 = 0
  private var lastTime: UInt64?
  private(set) var firstTime: UInt64?
  private(set) var time: UInt64 = 0

  /// `places`: keys watched at the same time. `window`: seconds; a request so long ago weighs 1/e. Nil:
  /// none, and `weight` means nothing.
  init(places: Int, window: Double?) {
    keys = HotKeys(capacity: places, slowTime: window ?? .infinity, fastTime: Self.rateTime)
    weight = DecayingCounter(timeConstant: window ?? 1)
  }

  /// The place of a server; those beyond `serversMax` share the last one.
  mutating func server(_ flow: FlowKey, _ keyProtocol: KeyProtocol) -> UInt16 {
    var address = FlowKey()
    address.destinationHigh = flow.destinationHigh
    address.destinationLow = flow.destinationLow
    address.destinationPort = flow.destinationPort
    if let found = serverOfAddress[address] { return found }
    guard servers.count < Self.serversMax else { return UInt16(Self.serversMax - 1) }
    servers.append(Server(address: address, keyProtocol: keyProtocol))
    serverOfAddress[address] = UInt16(servers.count - 1)
    return UInt16(servers.count - 1)
  }

  /// The requests that follow are of this protocol and to this server.
  mutating func begin(_ keyProtocol: KeyProtocol, server: UInt16) {
    (current, currentServer) = (keyProtocol, server)
  }

  /// Time goes on, in steps of at least a millisecond; captures may go back a little.
  mutating func advance(to now: UInt64) {
    guard let last = lastTime else {
      (lastTime, firstTime, time) = (now, now, now)
      return
    }
    guard now >= last &+ 1_000_000 else { return }
    time = now
    lastTime = now
    let seconds = Double(now - last) / 1e9
    keys.advance(by: seconds)
    weight.advance(by: seconds)
  }

  mutating func request(key: UnsafeRawBufferPointer, isRead: Bool) {
    let keyProtocol = current
    let hash = KeyHash.of(key, seed: UInt64(keyProtocol.rawValue))
    keys.add(hash, key: [keyProtocol.rawValue] + key, weight: 1, isRead: isRead)
    distinct.add(hash)
    weight.add(1)
    if isRead {
      counts[Int(keyProtocol.rawValue)].reads += 1
    } else {
      counts[Int(keyProtocol.rawValue)].writes += 1
    }
    servers[Int(currentServer)].requests += 1
  }

  mutating func requestWithoutKey() { counts[Int(current.rawValue)].withoutKey += 1 }
}
