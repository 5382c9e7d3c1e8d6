internal import ControllerCore
internal import Glibc
internal import HostNetwork
internal import Logging
internal import Sockets

/// Keeps track of where frames to those servers have to go whose MAC address is not in the rack file:
/// learns it from the kernel's neighbour table, follows every change of that and of the routes, and
/// has the kernel ask where it is not sure. In the network namespace of the thread that has made it.
package final class NeighbourWatch {
  /// How often stale neighbours are asked for. Nanoseconds.
  private static let careInterval: UInt64 = 1_000_000_000
  /// Until a neighbour behind which nobody answers is asked for anew; then twice as long each time,
  /// up to the last. Nanoseconds.
  private static let suspicionPauses: ClosedRange<UInt64> = 1_000_000_000...64_000_000_000
  /// A server is silent that has not answered for so long. Well below the time after which it counts
  /// as lost. Nanoseconds.
  static let silence: UInt64 = 300_000_000

  private let network: HostNetwork
  private let changes: NetworkChanges
  private var hops = NextHops()
  private var watched: [(number: UInt8, address: [UInt8], interface: UInt32)] = []
  private var nextCare: UInt64 = 0
  private var suspicions: [NextHops.Hop: (next: UInt64, pause: UInt64)] = [:]
  /// Readable when something has changed.
  var descriptor: Int32 { changes.descriptor }

  init() throws(HostNetworkError) {
    // First, so that nothing happens between what is asked and what is told.
    changes = try NetworkChanges()
    network = try HostNetwork()
  }

  /// Watches the servers of these options that have no MAC address of their own, and no others. Waits
  /// for the kernel to find them, for at most so many milliseconds.
  func watch(_ options: ControllerOptions, patience: Int) throws(ControllerError) {
    watched = []
    for server in options.servers where server.mac == nil {
      watched.append(
        (server.number, server.endpoint.address.bytes, try interfaceIndex(server.interface)))
    }
    findHops()
    readAll()
    let limit = MonotonicClock.now + UInt64(patience) * 1_000_000
    while watched.contains(where: { hops.mac(of: $0.number) == nil }) {
      let now = MonotonicClock.now
      guard now < limit else { return }
      var state = pollfd(fd: changes.descriptor, events: Int16(POLLIN), revents: 0)
      _ = poll(&state, 1, Int32((limit - now) / 1_000_000) + 1)
      _ = takeChanges()
    }
  }

  /// Six bytes; nil: not known yet.
  func mac(of server: UInt8) -> [UInt8]? { hops.mac(of: server) }

  /// The servers whose MAC address is another one than before, ascending.
  func takeChanges() -> [UInt8] {
    var changed: Set<UInt8> = []
    for change in changes.take() {
      switch change {
      case .neighbour(let neighbour): changed.formUnion(hops.take(neighbour))
      case .routes:
        findHops()
        changed.formUnion(readAll())
      case .unknown:
        findHops()
        changed.formUnion(readAll())
      }
    }
    return changed.sorted()
  }

  /// Has the kernel ask for what it is not sure of. `silent`: servers that do not answer.
  func care(_ now: UInt64, silent: Set<UInt8>) {
    let suspects = hops.suspects(silent: silent)
    suspicions = suspicions.filter { suspects.contains($0.key) }
    for hop in suspects {
      let (next, pause) = suspicions[hop] ?? (now, Self.suspicionPauses.lowerBound)
      guard now >= next else { continue }
      suspicions[hop] = (now + pause, min(2 * pause, Self.suspicionPauses.upperBound))
      // Refused where an interface is down: it is tried again.
      try? network.resolveAnew(hop.address, interface: hop.interface)
    }
    guard now >= nextCare else { return }
    nextCare = now + Self.careInterval
    resolveUnsure()
  }

  private func resolveUnsure() {
    for hop in hops.unsure { try? network.resolve(hop.address, interface: hop.interface) }
  }

  private func findHops() {
    var found: [UInt8: NextHops.Hop] = [:]
    for server in watched {
      let route = try? network.route(to: server.address, interface: server.interface)
      found[server.number] = NextHops.Hop(
        interface: server.interface, address: route?.gateway ?? server.address)
    }
    hops.set(found)
  }

  @discardableResult
  private func readAll() -> [UInt8] {
    guard !watched.isEmpty, let all = try? network.neighbours() else { return [] }
    let changed = hops.take(all: all)
    resolveUnsure()
    return changed
  }
}

extension ControllerLoop {
  /// Servers have another MAC address: the data plane sends there at once.
  func takeNeighbourChanges() throws(SocketError) {
    for number in neighbours?.takeChanges() ?? [] {
      guard let server = options.servers.first(where: { $0.number == number }),
        let mac = neighbours?.mac(of: number), let interface = try? interfaceIndex(server.interface)
      else { continue }
      let text = "server \(number) is reached by MAC address \(textOfMAC(mac)) now"
      log.info("\(text)")
      events.add(text)
      try handle(.relocate(server: number, interface: interface, mac: mac))
    }
  }
}

/// As in 02:48:54:00:01:00.
func textOfMAC(_ mac: [UInt8]) -> String {
  mac.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
}
