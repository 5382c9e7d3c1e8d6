internal import ControllerCore
internal import DataPlane
internal import Directory
internal import Logging
internal import Sockets

/// What is to be done so that a running controller is as another rack file says, or why that cannot be.
/// Finding out changes nothing.
struct ReloadPlan {
  /// In the order of the old file, then what is new.
  private(set) var changes: [ControlReload.Item] = []
  private(set) var problems: [ControlReload.Item] = []
  private(set) var change: RackChange
  private(set) var attached: [String]
  private(set) var detached: [String]

  /// `old` is what holds now; `places`: where the servers of `new` are.
  init(
    from old: ControllerOptions, to new: ControllerOptions, places: [UInt8: ServerPlace],
    core: ControllerCore
  ) {
    change = RackChange(servers: places, policy: new.policy, times: new.times)
    attached = new.interfaces.filter { !old.interfaces.contains($0) }
    detached = old.interfaces.filter { !new.interfaces.contains($0) }
    for server in new.servers {
      let before = old.servers.first {
        $0.number == server.number && $0.endpoint == server.endpoint
      }
      switch (before?.isDrained ?? false, server.isDrained) {
      case (false, true): change.drained.insert(server.number)
      case (true, false): change.added.insert(server.number)
      default: break
      }
    }
    compareSettings(old, new)
    compareServers(old, new)
    do throws(ControllerError) {
      try new.check()
    } catch {
      problems.append(.init(text: "\(error)"))
    }
    for refusal in core.refusals(of: change) { problems.append(Self.problem(refusal, new)) }
  }

  // MARK: What has changed

  private mutating func compareSettings(_ old: ControllerOptions, _ new: ControllerOptions) {
    let before = Dictionary(old.settings.map { ($0.path, $0.value) }) { first, _ in first }
    let after = Dictionary(new.settings.map { ($0.path, $0.value) }) { first, _ in first }
    let paths = old.settings.map(\.path) + new.settings.map(\.path).filter { before[$0] == nil }
    if old.keys != new.keys, before["rack.rack_key_file"] == after["rack.rack_key_file"] {
      changes.append(.init(path: "rack.rack_key_file", text: "another key"))
      problems.append(
        .init(
          path: "rack.rack_key_file", text: Self.whatToDo("rack.rack_key_file", rack: old.name)))
    }
    // Servers are compared as a whole.
    for path in paths where before[path] != after[path] && !path.hasPrefix("server ") {
      let (first, second) = (before[path] ?? "not set", after[path] ?? "not set")
      changes.append(.init(path: path, text: "\(first) → \(second)"))
      guard !path.hasPrefix("policy.") else { continue }
      if path == "directory.interfaces", !old.isOneArm, !new.isOneArm { continue }
      problems.append(.init(path: path, text: Self.whatToDo(path, rack: old.name)))
    }
  }

  private mutating func compareServers(_ old: ControllerOptions, _ new: ControllerOptions) {
    for server in old.servers where !new.servers.contains(where: { $0.number == server.number }) {
      changes.append(.init(path: "server \(server.number)", text: "removed"))
    }
    for server in new.servers {
      let path = "server \(server.number)"
      guard let before = old.servers.first(where: { $0.number == server.number }) else {
        let service = server.isDrained ? ", drained" : ""
        changes.append(.init(path: path, text: "added, at \(server.endpoint)\(service)"))
        continue
      }
      func note(_ key: String, _ first: String, _ second: String) {
        guard first != second else { return }
        changes.append(.init(path: "\(path).\(key)", text: "\(first) → \(second)"))
      }
      note("address", before.endpoint.description, server.endpoint.description)
      note("interface", before.interface, server.interface)
      note("mac", Self.text(before.mac), Self.text(server.mac))
      note("drained", "\(before.isDrained)", "\(server.isDrained)")
    }
  }

  private static func text(_ mac: [UInt8]?) -> String {
    mac.map(textOfMAC) ?? "as the kernel's neighbour table has it"
  }

  // MARK: What cannot be

  private static func whatToDo(_ path: String, rack: String) -> String {
    switch path {
    case _ where path.hasPrefix("limits."):
      "cannot change while the controller runs: restart it "
        + "(`systemctl restart hotrack-controller@\(rack)`); the data plane goes on meanwhile, and "
        + "has the new limit from one packet to the next"
    case "directory.state_file", "directory.socket":
      "cannot change while the controller runs: move what is there, if anything, and restart it "
        + "(`systemctl restart hotrack-controller@\(rack)`); the data plane goes on meanwhile"
    case "directory.interfaces":
      "cannot change in one-arm mode while the rack runs: `hotrack detach \(rack)` after its "
        + "controller was stopped, restart the servers, and start the controller"
    case "directory.plane":
      "cannot change while the data plane runs: stop the controller, `hotrack detach \(rack)`, restart "
        + "the servers, and start the controller"
    case "rack.rack_key_file":
      "cannot change while the controller runs: restart it "
        + "(`systemctl restart hotrack-controller@\(rack)`); the data plane goes on meanwhile. "
        + "docs/operations.md says in which order keys change"
    case _ where path.hasPrefix("rack.") || path.hasPrefix("directory."):
      "cannot change while the rack runs, since clients, servers and the directory's memory "
        + "depend on it: stop the controller, `hotrack detach \(rack)`, restart the servers, and "
        + "start the controller"
    default:
      "cannot change while the controller runs: restart it "
        + "(`systemctl restart hotrack-controller@\(rack)`); the data plane goes on meanwhile"
    }
  }

  private static func problem(
    _ refusal: RackChangeRefusal, _ new: ControllerOptions
  ) -> ControlReload.Item {
    switch refusal {
    case .notReady:
      .init(
        text: "the rack has not begun to take requests: ask again when `hotrack status` says so")
    case .noServerLeft:
      .init(
        path: "server",
        text: "no server would be left that takes requests: leave one that is not drained")
    case .serverNeeded(let number, let slots):
      .init(
        path: "server \(number)",
        text: (new.servers.contains { $0.number == number }
          ? "cannot get another address or port" : "cannot be removed")
          + " while the rack depends on it (it has \(slots) slots): `hotrack servers drain "
          + "\(number)`, and reload when that is done")
    }
  }
}

extension ControllerLoop {
  /// How long the kernel gets to find new servers; meanwhile nothing else is done. Milliseconds.
  private static let reloadPatience = 20

  /// Reads the rack file again and has the rack be as it says: all of it, or, if anything stands in
  /// the way, nothing.
  func reloadAnswer() -> ControlAnswer {
    do throws(ReloadRefusal) {
      let changes = try reload()
      say("reloaded: \(changes.isEmpty ? "nothing has changed" : "all of this holds")", changes)
      var answer = ControlAnswer.done
      answer.reload = ControlReload(changes: changes, problems: [])
      return answer
    } catch {
      for problem in error.problems { log.error("not reloaded: \(problem.line)") }
      events.add("not reloaded: \(error.problems.map(\.line).joined(separator: "; "))")
      var answer = ControlAnswer.refused(
        "nothing was changed: " + error.problems.map(\.line).joined(separator: "; "))
      answer.reload = ControlReload(changes: [], problems: error.problems)
      return answer
    }
  }

  private func say(_ what: String, _ changes: [ControlReload.Item]) {
    log.info("\(what)")
    for change in changes { log.info("  \(change.line)") }
    events.add(([what] + changes.map(\.line)).joined(separator: "; "))
  }

  private func reload() throws(ReloadRefusal) -> [ControlReload.Item] {
    guard let readOptions else {
      throw ReloadRefusal([.init(text: "this controller was not started with a rack file")])
    }
    let new = try readOptions()
    let plan: ReloadPlan
    do throws(ControllerError) {
      try neighbours?.watch(new, patience: Self.reloadPatience)
      plan = ReloadPlan(
        from: options, to: new, places: try new.serverPlaces(neighbours), core: core)
    } catch {
      throw ReloadRefusal([.init(text: "\(error)")])
    }
    do throws(ReloadRefusal) {
      guard plan.problems.isEmpty else { throw ReloadRefusal(plan.problems) }
      // What may yet fail comes first, and is undone.
      try attach(plan.attached)
    } catch {
      try? neighbours?.watch(options, patience: 0)
      throw error
    }
    options = new
    knowServers()
    do throws(SocketError) {
      try handle(.reconfigure(plan.change))
    } catch {
      // Of sending, not of the change: what was not sent is sent again.
      log.warning("\(error)")
    }
    for interface in plan.detached {
      do throws(DataPlaneError) {
        try plane.detach(interface: interface)
      } catch {
        log.warning("\(error)")
      }
    }
    return plan.changes
  }

  private func attach(_ interfaces: [String]) throws(ReloadRefusal) {
    var done: [String] = []
    for interface in interfaces {
      do throws(DataPlaneError) {
        if try plane.attach(interface: interface) == .generic { log.warnOfGenericMode(interface) }
        done.append(interface)
      } catch {
        for other in done { try? plane.detach(interface: other) }
        throw ReloadRefusal([.init(path: "directory.interfaces", text: "\(error)")])
      }
    }
  }
}
