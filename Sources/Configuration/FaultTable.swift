/// `[[fault]]` of a testbed file.
extension Fault {
  /// `end`: seconds after which the recording ends, if that is known.
  init?(_ reader: TableReader, servers: Int, clients: Int, end: Double?) {
    let quoted = Kind.names.map { "\"\($0)\"" }.joined(separator: ", ")
    let kindName = reader.requiredString("kind", "one of \(quoted)") { Kind.names.contains($0) }
    let target: Target? = reader.required(
      "target",
      "server-0 to server-\(servers - 1), client-0 to client-\(clients - 1), servers, clients, "
        + "nodes, controller or directory", placeholder: nil
    ) { node in
      guard case .string(let text) = node, let target = Target(text) else { return nil }
      return target
    }
    let begin = reader.requiredNumber("at_s", 0...3600, placeholder: 0)
    let duration = kindName == "restart" ? nil : reader.number("for_s", 0.01...3600)
    let kind = Self.kind(kindName, reader)
    // Which other keys mean something depends on the kind.
    if Kind.names.contains(kindName) { reader.finish() }
    guard let kind, let target else { return nil }
    self.init(kind, of: target, begin: begin, duration: duration)
    if let problem = problem(servers: servers, clients: clients) {
      reader.wrong("target", shown: "\"\(target)\"", "another target: \(problem)")
    }
    if case .slow = kind, duration == nil { reader.missing("for_s", "how long it is slow") }
    let over = begin + (duration ?? 0)
    if let end, over >= end {
      reader.wrong(
        duration == nil ? "at_s" : "for_s", shown: Self.short(duration ?? begin),
        "that the fault is over before the scenario (\(Self.short(end)) s): it would last until "
          + "\(Self.short(over)) s")
    }
  }

  private static func kind(_ name: String, _ reader: TableReader) -> Kind? {
    switch name {
    case "link": return link(reader).map { .link($0) }
    case "partition": return .link(LinkFault(cut: direction(reader)))
    case "kill": return .kill
    case "pause": return .pause
    case "restart": return .restart
    case "reboot": return .reboot
    case "corrupt": return .corrupt
    case "full-disk": return .fullDisk
    case "slow":
      return .slow(share: reader.requiredNumber("share", 0.001...0.999, placeholder: 0.5))
    default: return nil
    }
  }

  private static func link(_ reader: TableReader) -> LinkFault? {
    var fault = LinkFault()
    fault.direction = direction(reader)
    fault.loss = reader.number("loss", 0...1) ?? 0
    fault.duplicate = reader.number("duplicate", 0...1) ?? 0
    fault.delay = reader.number("delay_ms", 0...LinkFault.delayMax) ?? 0
    fault.jitter = reader.number("jitter_ms", 0...LinkFault.delayMax) ?? 0
    fault.reorder = reader.number("reorder", 0...1) ?? 0
    if let problem = fault.problem {
      let key = fault.reorder > 0 ? "reorder" : "loss"
      reader.wrong(key, shown: short(fault.reorder > 0 ? fault.reorder : fault.loss), problem)
      return nil
    }
    return fault
  }

  private static func direction(_ reader: TableReader) -> LinkFault.Direction {
    let names = LinkFault.Direction.allCases.map { "\"\($0.rawValue)\"" }
    return reader.string("direction", names.joined(separator: ", ")) {
      LinkFault.Direction(rawValue: $0) != nil
    }.flatMap { LinkFault.Direction(rawValue: $0) } ?? .both
  }
}
