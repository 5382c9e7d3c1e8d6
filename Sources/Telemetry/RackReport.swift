public import Controller
internal import Foundation

/// What a rack's controller says at one moment, or why it says nothing: what the live page shows.
public struct RackReport: Sendable, Encodable {
  /// The rack's name.
  public var name: String
  /// Why there is no more than the name.
  public var error: String?
  public var status: ControlStatus?
  public var servers: [ControlServer]?
  /// The hottest first.
  public var keys: [ControlKey]?
  /// The newest, oldest first.
  public var events: [ControlEvent]?

  /// Keys and events at most.
  public static let keysMax = 100
  public static let eventsMax = 50

  /// Asks the controller that listens at this socket. Until it answers, the rack has the name `name`.
  public init(name: String, socket: String) {
    self.name = name
    do throws(ControlClientError) {
      let client = try ControlClient(socket: socket)
      status = try client.ask(ControlRequest(.status)).status
      servers = try client.ask(ControlRequest(.servers)).servers
      keys = try client.ask(ControlRequest(.keys, limit: Self.keysMax)).keys
      events = try client.ask(ControlRequest(.events, limit: Self.eventsMax)).events
      if let status { self.name = status.rack }
    } catch {
      self.error = error.description
      (status, servers, keys, events) = (nil, nil, nil, nil)
    }
  }

  init(
    name: String, status: ControlStatus, servers: [ControlServer], keys: [ControlKey],
    events: [ControlEvent]
  ) {
    self.name = name
    self.status = status
    self.servers = servers
    self.keys = keys
    self.events = events
  }

  private struct Page: Encodable {
    var racks: [RackReport]
  }

  /// `racks.json`: `{"racks": […]}`; fields have the names that they have on the control socket.
  public static func json(_ racks: [RackReport]) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(Page(racks: racks)) else {
      return Array("{\"racks\":[]}".utf8)
    }
    return Array(data)
  }
}
