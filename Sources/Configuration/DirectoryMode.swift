/// How the directory's host stands in the way of the rack's packets.
public enum DirectoryMode: String, Sendable, CaseIterable, Codable {
  /// Between clients and servers, with several interfaces: servers answer to the clients.
  case `switch`
  /// Beside them, with one interface: servers answer to the rack, and what arrives leaves by the
  /// interface that it came in by.
  case oneArm = "one-arm"

  init?(_ reader: TableReader?) {
    let names = Self.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: " or ")
    let name = reader?.string("mode", names) { Self(rawValue: $0) != nil }
    guard let mode = name.flatMap(Self.init(rawValue:)) else { return nil }
    self = mode
  }
}
