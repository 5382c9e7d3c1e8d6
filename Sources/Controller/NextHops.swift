internal import HostNetwork

/// By which neighbours this host reaches a rack's servers, and what the kernel knows of them. Pure.
struct NextHops {
  /// A server itself, or the router before it.
  struct Hop: Hashable {
    var interface: UInt32
    /// 4 bytes, or 16.
    var address: [UInt8]
  }

  private var hops: [UInt8: Hop] = [:]
  private var known: [Hop: Neighbour] = [:]
  /// What was said last; it holds while the kernel is not sure of anything else.
  private var macs: [UInt8: [UInt8]] = [:]

  /// The servers, ascending.
  var servers: [UInt8] { hops.keys.sorted() }

  /// These servers, and no others, are reached by these neighbours.
  mutating func set(_ new: [UInt8: Hop]) {
    for (server, hop) in hops where new[server] != hop { macs[server] = nil }
    hops = new
  }

  /// The MAC address of a server's frames; nil: not known, and never was.
  func mac(of server: UInt8) -> [UInt8]? { macs[server] }

  /// Takes in what the kernel says of a neighbour. Returns the servers whose MAC address is another
  /// one now, ascending.
  mutating func take(_ neighbour: Neighbour) -> [UInt8] {
    let hop = Hop(interface: neighbour.interface, address: neighbour.address)
    guard hops.values.contains(hop) else { return [] }
    known[hop] = neighbour
    return settle()
  }

  /// Takes in the kernel's whole table.
  mutating func take(all neighbours: [Neighbour]) -> [UInt8] {
    known = [:]
    for neighbour in neighbours {
      known[Hop(interface: neighbour.interface, address: neighbour.address)] = neighbour
    }
    return settle()
  }

  private mutating func settle() -> [UInt8] {
    var changed: [UInt8] = []
    for server in servers {
      guard let hop = hops[server], let neighbour = known[hop], neighbour.isValid,
        let mac = neighbour.mac, macs[server] != mac
      else { continue }
      macs[server] = mac
      changed.append(server)
    }
    return changed
  }

  /// Neighbours that the kernel does not know, or is not sure of any more; in order of the servers.
  var unsure: [Hop] {
    ordered.filter { hop in
      guard let neighbour = known[hop] else { return true }
      return !neighbour.isValid || neighbour.state == .stale
    }
  }

  /// Neighbours that the kernel takes for right although none of the servers behind them answers:
  /// they may have another MAC address now. Those entered by hand are none of them.
  func suspects(silent: Set<UInt8>) -> [Hop] {
    ordered.filter { hop in
      guard let neighbour = known[hop], neighbour.isValid, neighbour.state != .permanent,
        neighbour.state != .noARP
      else { return false }
      return hops.allSatisfy { $0.value != hop || silent.contains($0.key) }
    }
  }

  private var ordered: [Hop] {
    var result: [Hop] = []
    for server in servers {
      if let hop = hops[server], !result.contains(hop) { result.append(hop) }
    }
    return result
  }
}
