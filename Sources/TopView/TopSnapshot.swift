public import Controller

/// What a controller said at one moment.
public struct TopSnapshot: Sendable {
  public var status: ControlStatus
  public var servers: [ControlServer]
  /// The hottest first.
  public var keys: [ControlKey]
  /// The newest, oldest first.
  public var events: [ControlEvent]

  /// Everything from one controller. Throws what its answers are worth.
  public init(from client: ControlClient) throws(ControlClientError) {
    guard let status = try client.ask(ControlRequest(.status)).status else {
      throw .notUnderstood(socket: client.socket)
    }
    self.status = status
    servers = try client.ask(ControlRequest(.servers)).servers ?? []
    keys = try client.ask(ControlRequest(.keys, limit: 1_000)).keys ?? []
    events = try client.ask(ControlRequest(.events, limit: 50)).events ?? []
  }

  init(
    status: ControlStatus, servers: [ControlServer], keys: [ControlKey], events: [ControlEvent]
  ) {
    self.status = status
    self.servers = servers
    self.keys = keys
    self.events = events
  }
}

/// How it is to be shown.
public struct TopChoices: Sendable, Equatable {
  /// By what the keys are sorted; the most first.
  public enum KeyOrder: String, Sendable, CaseIterable {
    case rate
    case writes
    case replicas
    case name
  }

  public var keyOrder = KeyOrder.rate
  /// The busiest servers first; otherwise by number.
  public var busiestFirst = false
  public var isPaused = false
  public var showsHelp = false

  public init() {}

  /// What a pressed key changes; false: it ends the view.
  public mutating func press(_ key: UInt8) -> Bool {
    switch key {
    case UInt8(ascii: "q"), 3, 4: return false
    case UInt8(ascii: "p"), UInt8(ascii: " "): isPaused.toggle()
    case UInt8(ascii: "k"):
      let all = KeyOrder.allCases
      let next = (all.firstIndex(of: keyOrder) ?? 0) + 1
      keyOrder = all[next % all.count]
    case UInt8(ascii: "s"): busiestFirst.toggle()
    case UInt8(ascii: "?"), UInt8(ascii: "h"): showsHelp.toggle()
    default: break
    }
    return true
  }
}
