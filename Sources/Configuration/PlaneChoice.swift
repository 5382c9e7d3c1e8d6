/// Where in the directory host's kernel the rack's packets are handled.
public enum PlaneChoice: String, Sendable, CaseIterable, Codable {
  /// XDP, unless the interfaces do not allow it.
  case auto
  case xdp
  /// TC ingress.
  case tc

  init?(_ reader: TableReader?) {
    let names = Self.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: " or ")
    let name = reader?.string("plane", names) { Self(rawValue: $0) != nil }
    guard let choice = name.flatMap(Self.init(rawValue:)) else { return nil }
    self = choice
  }
}
