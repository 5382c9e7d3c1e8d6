internal import Directory
internal import Glibc
internal import Sockets

extension ControllerOptions {
  /// Where the servers are, as the directory wants it: interface indices are looked up in the network
  /// namespace of this thread, MAC addresses that the options do not have in what is known of
  /// neighbours. Those that nobody knows yet are zero.
  func serverPlaces(
    _ neighbours: NeighbourWatch? = nil
  ) throws(ControllerError) -> [UInt8: ServerPlace] {
    var places: [UInt8: ServerPlace] = [:]
    for server in servers {
      let index = try interfaceIndex(server.interface)
      let mac =
        server.mac ?? neighbours?.mac(of: server.number) ?? Array(repeating: 0, count: 6)
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
