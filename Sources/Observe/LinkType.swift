/// What a capture's packets begin with.
public enum LinkType: Sendable, Equatable {
  case ethernet
  /// "Linux cooked", versions 1 and 2: what captures of all interfaces have.
  case cooked
  case cooked2
  /// No header: IP at once.
  case raw
  /// Four bytes that name a protocol family: loopback of other systems.
  case family

  /// By libpcap's number (DLT_… of Linux, or LINKTYPE_… of files). Nil: not supported.
  public init?(number: Int32) {
    switch number {
    case 1: self = .ethernet
    case 113: self = .cooked
    case 276: self = .cooked2
    case 12, 14, 101, 228, 229: self = .raw
    case 0, 108: self = .family
    default: return nil
    }
  }
}
