public import Controller
internal import Foundation

/// How a testbed is at this moment.
public struct TestbedStatus: Sendable, Encodable {
  public struct Process: Sendable, Encodable {
    public var role: String
    public var process: Int32
    public var alive: Bool
    public var log: String
  }
  public struct Node: Sendable, Encodable {
    public var node: String
    public var namespace: String
    public var address: String
    /// The namespace is there.
    public var present: Bool
  }

  public var name: String
  public var folder: String
  /// Operations per second that each server emulates.
  public var capacity: Int?
  public var processes: [Process]
  public var nodes: [Node]
  /// The controller's own words; nil: it does not answer, and `controllerError` says why.
  public var rack: ControlStatus?
  public var controllerError: String?
  /// What `hotrack testbed break` or a scenario has broken, or what broke by itself.
  public var broken: [Testbed.Broken]
  /// Everything is there, runs, and serves.
  public var healthy: Bool
}

extension Testbed {
  /// Looks at processes and namespaces, and asks the controller.
  public func status() -> TestbedStatus {
    let files = FileManager.default
    let processes = state.members.map { member in
      TestbedStatus.Process(
        role: member.role, process: member.identity.process, alive: member.identity.isAlive,
        log: member.log)
    }
    func node(_ name: String, _ namespace: String, _ address: String) -> TestbedStatus.Node {
      TestbedStatus.Node(
        node: name, namespace: namespace, address: address,
        present: files.fileExists(atPath: "/run/netns/\(namespace)"))
    }
    let nodes =
      [node("dir", layout.directoryNamespace, "\(layout.rackAddress)")]
      + (layout.bridgeNamespace.map { [node("net", $0, "-")] } ?? [])
      + layout.nodes.map { node($0.name, $0.namespace, "\($0.address)") }
    var rack: ControlStatus?
    var why: String?
    do throws(ControlClientError) {
      rack = try ask(.status).status
    } catch {
      why = error.description
    }
    let serves = rack.map { $0.serving && $0.serversAlive == $0.servers } ?? false
    let broken = (try? broken()) ?? []
    return TestbedStatus(
      name: name, folder: folder, capacity: state.capacity, processes: processes, nodes: nodes,
      rack: rack, controllerError: why, broken: broken,
      healthy: serves && broken.isEmpty && processes.allSatisfy(\.alive)
        && nodes.allSatisfy(\.present))
  }
}

extension TestbedStatus {
  /// As a table for people.
  public var text: String {
    let width = (processes.map(\.role.count) + [8]).max() ?? 8
    var lines = ["testbed \(name): \(healthy ? "healthy" : "NOT healthy")   files: \(folder)"]
    if let capacity {
      lines.append("servers are emulated: \(capacity) operations per second each")
    }
    if let rack {
      lines.append(
        "rack \(rack.address): \(rack.serving ? "serving" : "not serving"), "
          + "\(rack.serversAlive) of \(rack.servers) servers, \(rack.hotKeys) hot keys, "
          + "epoch \(rack.epoch), generation \(rack.generation)")
    } else if let controllerError {
      lines.append(controllerError)
    }
    lines += broken.map { "broken: \($0.target): \($0.fault)" }
    lines.append("")
    lines.append("\(padded("PROCESS", width))  \(padded("PID", 8))STATE")
    for process in processes {
      lines.append(
        "\(padded(process.role, width))  \(padded(String(process.process), 8))"
          + (process.alive ? "runs" : "ENDED, see \(process.log)"))
    }
    lines.append("")
    let space = (nodes.map(\.namespace.count) + [9]).max() ?? 9
    lines.append("NODE  \(padded("NAMESPACE", space))  ADDRESS")
    for node in nodes {
      lines.append(
        "\(padded(node.node, 6))\(padded(node.namespace, space))  \(node.address)"
          + (node.present ? "" : "   MISSING"))
    }
    return lines.joined(separator: "\n")
  }

  private func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }
}
