internal import Configuration
internal import Glibc
internal import Sockets

/// Delays the frames of a broken link: reads them from an interface of its own, to which the link's
/// programs divert them, keeps each for as long as the fault says, and gives it back. Runs as a
/// process of the testbed, in the node's namespace.
public struct LinkRelay {
  private let link: String
  private let mac: [UInt8]
  private let tap: EthernetTap
  private let signals: StopSignals
  private let poll: EventPoll
  private var queue: DelayQueue
  private var maps: LinkMaps?
  private var state: LinkState?
  private var nextLook: UInt64 = 0

  /// How often it looks what the fault is. Nanoseconds.
  private static let lookInterval: UInt64 = 20_000_000

  /// Makes `interface`, in the calling thread's namespace. The programs are at the end of `link`
  /// there, and frames to its address `mac` are for this node. `seed` is that of the delays.
  public init(interface: String, link: String, mac: String, seed: UInt64) throws(TestbedError) {
    guard let address = MACAddress(mac) else {
      throw .run("\"\(mac)\" is not a MAC address")
    }
    self.link = link
    self.mac = address.bytes
    do throws(SocketError) {
      signals = try StopSignals()
      tap = try EthernetTap(name: interface)
      poll = try EventPoll()
      try poll.add(tap.descriptor, token: 0)
      try poll.add(signals.stop.descriptor, token: 1)
    } catch {
      throw .run("\(error)")
    }
    queue = DelayQueue(seed: seed)
  }

  /// Runs until SIGTERM or SIGINT; then gives back what still waits, each frame in its time.
  public mutating func run() throws(TestbedError) {
    BackgroundThread.setTimerSlack(nanoseconds: 1)
    var isStopping = false
    do throws(SocketError) {
      while !isStopping || !queue.isEmpty {
        try poll.wait(until: queue.nextDue) { token, _ in
          if token == 1 { isStopping = true }
        }
        if isStopping { signals.stop.clear() }
        try receive()
        let now = MonotonicClock.now
        while let frame = queue.take(now: now) { frame.withUnsafeBytes { tap.send($0) } }
      }
    } catch {
      throw .run("\(error)")
    }
  }

  private mutating func receive() throws(SocketError) {
    while let frame = try tap.receive() {
      let now = MonotonicClock.now
      look(now)
      let isMine = frame.count >= mac.count && frame[..<mac.count].elementsEqual(mac)
      queue.insert(Array(frame), isMine ? state?.to : state?.from, now: now)
    }
  }

  /// Learns what the fault is now. Without the link's programs frames go on at once.
  private mutating func look(_ now: UInt64) {
    guard now >= nextLook else { return }
    nextLook = now + Self.lookInterval
    maps = maps ?? LinkMaps.find(link)
    state = try? maps?.state()
  }
}
