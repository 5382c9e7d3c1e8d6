internal import Directory
internal import Glibc
internal import Sockets

extension ControllerOptions {
  /// Where the servers are, as the directory wants it: interface indices and MAC addresses are
  /// looked up in the network namespace of this thread.
  func serverPlaces() throws(ControllerError) -> [UInt8: ServerPlace] {
    var places: [UInt8: ServerPlace] = [:]
    for server in servers {
      let index = try interfaceIndex(server.interface)
      guard
        let mac = server.mac
          ?? NeighbourTable.current().mac(of: server.endpoint.address, behind: server.interface)
      else {
        throw .unknownMAC(
          server: server.number, address: server.endpoint.address.description,
          interface: server.interface)
      }
      places[server.number] = ServerPlace(
        incarnation: 0, interface: index, port: server.endpoint.port, mac: mac,
        address: server.endpoint.address.mapped)
    }
    return places
  }
}

/// The index of an interface of this network namespace.
func interfaceIndex(_ name: String) throws(ControllerError) -> UInt32 {
  let index = if_nametoindex(name)
  guard index != 0 else { throw .noSuchInterface(name) }
  return index
}

extension IPv4Address {
  /// As 16 bytes: IPv4-mapped IPv6.
  var mapped: [UInt8] {
    MappedAddress.ipv4(
      UInt8(truncatingIfNeeded: rawValue >> 24), UInt8(truncatingIfNeeded: rawValue >> 16),
      UInt8(truncatingIfNeeded: rawValue >> 8), UInt8(truncatingIfNeeded: rawValue))
  }
}

/// The kernel's table of neighbours' MAC addresses, as text (`/proc/net/arp`).
struct NeighbourTable {
  let text: String

  /// Of this thread's network namespace; empty if the kernel does not show it.
  static func current() -> NeighbourTable {
    let file = open("/proc/thread-self/net/arp", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return NeighbourTable(text: "") }
    defer { close(file) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 4096)
    while true {
      let length = read(file, &part, part.count)
      guard length > 0 else { break }
      bytes += part.prefix(length)
    }
    return NeighbourTable(text: String(decoding: bytes, as: UTF8.self))
  }

  /// Six bytes; nil: the kernel has not learnt it.
  func mac(of address: IPv4Address, behind interface: String) -> [UInt8]? {
    for line in text.split(separator: "\n") {
      // Address, hardware type, flags (bit 2: complete), MAC address, mask, interface.
      let fields = line.split(separator: " ")
      guard fields.count == 6, fields[0] == address.description, fields[5] == interface,
        let flags = UInt32(fields[2].dropFirst(2), radix: 16), flags & 2 != 0
      else { continue }
      let bytes = fields[3].split(separator: ":").compactMap { UInt8($0, radix: 16) }
      return bytes.count == 6 ? bytes : nil
    }
    return nil
  }
}
