internal import Wire

/// Datagrams as the readers of a trace want them.
enum DatagramText {
  static func of(_ datagram: [UInt8], from: RackEndpoint, to: RackEndpoint) -> String {
    guard let message = try? Message(datagram: datagram) else { return "not a datagram of ours" }
    let header = message.header
    var text = "\(name(from)) -> \(name(to)): \(header.operation)"
    if header.flags.contains(.reply) || header.status != .ok { text += " \(header.status)" }
    if !message.key.isEmpty { text += " \(String(decoding: message.key, as: UTF8.self))" }
    if header.operation == .set || header.operation == .get || header.operation == .copy
      || header.operation == .mirror,
      !message.value.isEmpty
    {
      text += "=\(String(decoding: message.value, as: UTF8.self))"
    }
    if header.client != 0 {
      text += " request \(String(header.client, radix: 16))#\(header.sequence)"
    }
    if header.version != 0 { text += " version \(header.version & 0xffff_ffff_ffff)" }
    if header.generation != 0 { text += " generation \(header.generation)" }
    if header.knownGeneration != 0 { text += " known \(header.knownGeneration)" }
    let flags = names(header.flags)
    return flags.isEmpty ? text : text + " [" + flags.joined(separator: " ") + "]"
  }

  static func name(_ endpoint: RackEndpoint) -> String {
    switch endpoint {
    case .client(let number): "client \(number)"
    case .server(let number): "server \(number)"
    case .directory: "directory"
    case .controller: "controller"
    }
  }

  private static func names(_ flags: Flags) -> [String] {
    let all: [(Flags, String)] = [
      (.replicated, "replicated"), (.notHolder, "not-holder"), (.tombstone, "tombstone"),
      (.retry, "retry"), (.lost, "lost"),
    ]
    return all.filter { flags.contains($0.0) }.map(\.1)
  }
}
