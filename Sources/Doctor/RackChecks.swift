internal import Configuration
internal import Controller
internal import Glibc
internal import HostNetwork
internal import Sockets

/// What of a rack file does not fit this host: addresses, neighbours, ports, files.
struct RackChecks {
  let rack: RackFile
  let network: HostNetwork

  var findings: [Finding] {
    [address, controlPort, rackPort, stateFile] + rackKey
      + rack.servers.flatMap { [way(to: $0), neighbour($0)] }
  }

  /// The address alone, as a network.
  private static func host(_ address: IPAddress) -> String {
    "\(address)/\(address.ipv4 == nil ? 128 : 32)"
  }

  private var address: Finding {
    let route = (try? network.route(to: rack.address.bytes)) ?? nil
    return route?.isLocal == true
      ? Finding("rack_address", "\(rack.address)", .ok, "is an address of this host")
      : Finding(
        "rack_address", "\(rack.address)", .bad,
        "is no address of this host: nobody answers for it",
        fix: "ip address add \(Self.host(rack.address)) dev lo")
  }

  /// A controller of this rack that is running has it.
  private var isRunning: Bool { (try? ControlClient(socket: rack.socket)) != nil }

  private var controlPort: Finding {
    let endpoint = Endpoint(rack.address, port: rack.controlPort)
    do throws(SocketError) {
      _ = try UDPSocket(bind: endpoint)
      return Finding("control_port", "\(endpoint)", .ok, "free")
    } catch {
      if case .portInUse = error, isRunning {
        return Finding("control_port", "\(endpoint)", .ok, "in use by this rack's controller")
      }
      if case .addressNotAvailable = error {
        return Finding(
          "control_port", "\(endpoint)", .warning, "cannot be tried without the address")
      }
      return Finding(
        "control_port", "\(endpoint)", .bad, "\(error)", fix: "ss -ulpn 'sport = :\(endpoint.port)'"
      )
    }
  }

  /// The program takes what comes to it; a process that listens there gets nothing any more.
  private var rackPort: Finding {
    let endpoint = Endpoint(rack.address, port: rack.port)
    do throws(SocketError) {
      _ = try UDPSocket(bind: endpoint)
      return Finding("rack_port", "\(endpoint)", .ok, "free")
    } catch {
      if case .portInUse = error {
        return Finding(
          "rack_port", "\(endpoint)", .warning,
          "a process of this host listens there: requests of hotrack will not reach it",
          fix: "ss -ulpn 'sport = :\(endpoint.port)'")
      }
      return Finding("rack_port", "\(endpoint)", .warning, "cannot be tried without the address")
    }
  }

  private var stateFile: Finding {
    // The nearest folder that is there: the controller makes the others.
    var folder = rack.stateFile[...]
    repeat {
      folder = folder.lastIndex(of: "/").map { folder[..<$0] } ?? ""
    } while !folder.isEmpty && access(String(folder), F_OK) != 0
    let path = folder.isEmpty ? "/" : String(folder)
    return access("\(path)/.", W_OK) == 0
      ? Finding("state_file", rack.stateFile, .ok, "can be written")
      : Finding(
        "state_file", rack.stateFile, .bad,
        "\(path) cannot be written: \(String(cString: strerror(errno)))",
        fix: "name a file on a writable disk (directory.state_file)")
  }

  /// Whether the controller can have the key; not whether it is the servers'.
  private var rackKey: [Finding] {
    guard let path = rack.rackKeyFile else { return [] }
    do throws(RackKeyError) {
      _ = try RackKeyFile.read(path)
      return [Finding("rack_key", path, .ok, "can be used")]
    } catch {
      return [
        Finding(
          "rack_key", path, .bad, "\(error)", fix: "see docs/operations.md, \"The rack's key\"")
      ]
    }
  }

  // MARK: Servers

  private func way(to server: RackFile.Server) -> Finding {
    let subject = "server \(server.number)"
    let route = (try? network.route(to: server.address.bytes)) ?? nil
    let wanted = if_nametoindex(server.interface)
    guard let route else {
      return Finding(
        "route", subject, .bad,
        "there is no route to \(server.address): the controller cannot ask it",
        fix: "ip route add \(Self.host(server.address)) dev \(server.interface)")
    }
    guard wanted == 0 || route.interface == wanted else {
      var text = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
      let other =
        if_indextoname(route.interface, &text).map { String(cString: $0) } ?? "another one"
      return Finding(
        "route", subject, .bad,
        "the kernel's way to \(server.address) is by \(other), the rack file says \(server.interface)"
          + (isFilterStrict(server.interface) ? ", and rp_filter drops what comes in there" : ""),
        fix:
          "ip route add \(Self.host(server.address)) dev \(server.interface), or correct `interface`"
      )
    }
    return Finding("route", subject, .ok, "by \(server.interface)")
  }

  private func isFilterStrict(_ interface: String) -> Bool {
    let values = ["all", interface].map {
      Int(readText("/proc/sys/net/ipv4/conf/\($0)/rp_filter").trimmed) ?? 0
    }
    return values.max() == 1
  }

  private func neighbour(_ server: RackFile.Server) -> Finding {
    let subject = "server \(server.number)"
    let route = (try? network.route(to: server.address.bytes)) ?? nil
    let hop = route?.gateway ?? server.address.bytes
    let shown = IPAddress(bytes: hop)?.description ?? "-"
    let interface = if_nametoindex(server.interface)
    var found: Neighbour?
    for attempt in 0..<50 {
      found = try? network.neighbours().first { $0.address == hop && $0.interface == interface }
      if found?.isValid == true || interface == 0 { break }
      if attempt == 0 { try? network.resolve(hop, interface: interface) }
      usleep(20_000)
    }
    guard let mac = found?.isValid == true ? found?.mac : nil else {
      return Finding(
        "neighbour", subject, .bad, "nobody answers for \(shown) behind \(server.interface)",
        fix:
          "see that it is up and on that network: ping -c 1 -I \(server.interface) \(server.address)"
      )
    }
    let learnt = MACAddress(value: mac.reduce(0) { $0 << 8 | UInt64($1) })
    guard server.mac == nil || server.mac == learnt else {
      return Finding(
        "neighbour", subject, .bad,
        "the rack file says \(server.mac.map { "\($0)" } ?? ""), and \(learnt) answers for \(shown)",
        fix: "correct its `mac`, or leave it out: then it is learnt")
    }
    return Finding("neighbour", subject, .ok, "\(shown) is \(learnt)")
  }
}
